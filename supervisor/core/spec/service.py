"""One service: its program, when and in what surroundings it runs, and how it ends."""

from supervisor.core.light import Enum
from supervisor.core.record import Record
from supervisor.core.spec.output import Destination, Output, ServiceLog
from supervisor.core.spec.probes import Health, Ready


class Restart(Enum):
    """When a service that ended is started again; systemd.service(5), ``Restart=``."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class RestartLimit(Record):
    """At most ``count`` restarts (1 or more) in any ``within`` seconds; one more and the service has failed."""

    count: int = 5
    within: float = 60.0


class StopScope(Enum):
    """Whom a stop signal reaches."""

    PROCESS = "process"
    GROUP = "group"
    TREE = "tree"


class Kind(Enum):
    """What a service is for; systemd.service(5), ``Type=``, and systemd.timer(5)."""

    SERVICE = "service"
    """Runs until it is told to end."""
    TASK = "task"
    """Runs once; what needs it waits for its success. It is ``starting`` while it runs."""
    SCHEDULED = "scheduled"
    """Runs at the times of its schedule; between them it is ``waiting``."""


class Until(Enum):
    """How far a needed service has to be."""

    STARTED = "started"
    """Its program runs, or has completed."""
    READY = "ready"
    """It is running; a task has completed."""
    COMPLETED = "completed"
    """It has ended with success."""


class Need(Record):
    """What a service needs of another one.

    Attributes:
        until: how far the other one has to be before this one starts.
        restart_with: start again whenever the other one does.
    """

    until: Until = Until.READY
    restart_with: bool = False


class Overlap(Enum):
    """What happens when a run is due while the one before is still under way."""

    SKIP = "skip"
    QUEUE = "queue"
    """It runs right after; one at most waits."""
    REPLACE = "replace"


class Schedule(Record):
    """When a scheduled service runs.

    Attributes:
        cron: five fields of crontab(5).
        timezone: name from the tz database; empty for the daemon's local time.
        jitter: each run begins up to so many seconds late, by chance.
        start_deadline: a run that could not begin within so many seconds of its time is missed; None for no limit.
    """

    cron: str
    timezone: str = ""
    overlap: Overlap = Overlap.SKIP
    jitter: float = 0.0
    start_deadline: float | None = None


class Isolation(Record):
    """What a service's process is restricted to, or given; None and empty: as the daemon itself.

    Attributes:
        user: name or number; names are looked up at each start. Sets HOME, USER, LOGNAME and SHELL.
        group: name or number; the user's own when None.
        supplementary_groups: names or numbers; the user's own when None.
        limits: soft and hard limit by resource as setrlimit(2) names it, in small letters (``nofile``); -1 is infinity.
        nice: from -20 to 19.
        oom_score_adjust: from -1000 to 1000; proc_pid_oom_score_adj(5).
        capabilities: the bounding set, names in small letters without ``cap_``; None leaves it alone.
        cpu_affinity: numbers of processors.
    """

    user: str | None = None
    group: str | None = None
    supplementary_groups: tuple[str, ...] | None = None
    umask: int | None = None
    nice: int | None = None
    limits: dict[str, tuple[int, int]] = {}  # noqa: RUF012 - copied for each record
    oom_score_adjust: int | None = None
    no_new_privileges: bool = False
    capabilities: tuple[str, ...] | None = None
    cpu_affinity: tuple[int, ...] = ()


class Cgroup(Record):
    """A control group of its own, where cgroup v2 is writable; cgroups(7).

    Attributes:
        memory_max: bytes.
        pids_max: processes and threads.
        cpu_max: processors, such as 1.5.
    """

    memory_max: int | None = None
    pids_max: int | None = None
    cpu_max: float | None = None


class Transparent(Record):
    """How the single command starts: with what the daemon itself was given, as under tini.

    Attributes:
        signal_mask: the blocked signals the daemon inherited.
        new_session: start in a session of its own where there is no terminal to share.
    """

    signal_mask: frozenset[int] = frozenset()
    new_session: bool = True


class ServiceSpec(Record):
    """One service.

    Attributes:
        name: unique; letters, digits and ``._-``, so that it is safe in paths and labels; an instance of a replicated
            service is called ``web#1``.
        command: program and arguments; the program is searched for in the ``PATH`` of ``environment``.
        directory: absolute working directory.
        environment: the whole environment of the child, before what is read at each start.
        environment_files: absolute paths, read at each start, after ``-`` where the file may be missing; what they set
            is weaker than ``environment``'s own settings and stronger than what was inherited, see ``explicit``.
        secret_files: absolute path by variable; read at each start, and the values are redacted everywhere.
        explicit: names in ``environment`` that the file set, as opposed to those inherited.
        needs: by the name of the service, without the number of an instance.
        ready: None for ready as soon as it runs.
        start_timeout: seconds to become ready, and for a task or a scheduled run to end; None for no limit.
        watchdog: ``WATCHDOG=1`` has to come at least this often; None for no watchdog.
        base: of an instance, the name of its service; empty for a service that is not replicated.
        restart_limit: None for no limit.
        success_codes: exit codes that count as success.
        success_signals: signals whose death counts as success.
        stop_signal: None for the signal the daemon was sent (TERM or INT), TERM when there was none.
        reload_signal: what its main process gets at each reload that leaves it running; None for nothing.
        stdout: one place, or several; of several, the words are ``LOG`` only.
        transparent: set for the single-command form only.
    """

    name: str
    command: tuple[str, ...]
    kind: Kind = Kind.SERVICE
    directory: str = "/"
    environment: dict[str, str] = {}  # noqa: RUF012 - copied for each record
    environment_files: tuple[str, ...] = ()
    secret_files: dict[str, str] = {}  # noqa: RUF012 - copied for each record
    explicit: frozenset[str] = frozenset()
    needs: dict[str, Need] = {}  # noqa: RUF012 - copied for each record
    ready: Ready | None = None
    start_timeout: float | None = None
    health: Health | None = None
    watchdog: float | None = None
    schedule: Schedule | None = None
    base: str = ""
    isolation: Isolation | None = None
    cgroup: Cgroup | None = None
    restart: Restart = Restart.ON_FAILURE
    restart_delay: float = 0.2
    restart_max_delay: float = 30.0
    restart_reset_after: float = 10.0
    restart_limit: RestartLimit | None = RestartLimit()
    success_codes: frozenset[int] = frozenset({0})
    success_signals: frozenset[int] = frozenset()
    stop_signal: int | None = None
    stop_scope: StopScope = StopScope.GROUP
    stop_timeout: float = 8.0
    reload_signal: int | None = None
    stdout: Output | tuple[Output | Destination, ...] = Output.LOG
    stderr: Output | tuple[Output | Destination, ...] = Output.LOG
    log: ServiceLog = ServiceLog()
    transparent: Transparent | None = None
