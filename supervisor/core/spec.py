"""What the user asked for, as the core sees it: complete, checked, every default filled in.

The configuration room turns files into these; the command line makes one by hand for ``run -- COMMAND``.

All times are seconds, all sizes bytes.
"""

from enum import Enum

from supervisor.core.record import Record
from supervisor.core.signals import SIGHUP, SIGINT, SIGQUIT, SIGTERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Restart(Enum):
    """When a service that ended is started again; systemd.service(5), ``Restart=``."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


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


class NotifyProbe(Record):
    """Ready when the service says ``READY=1``; sd_notify(3)."""


class FdProbe(Record):
    """Ready when the service writes a line to this descriptor; s6's ``notification-fd``."""

    fd: int


class TcpProbe(Record):
    """Well when a connection can be made."""

    host: str
    port: int


class HttpProbe(Record):
    """Well when a GET is answered with a status from 200 to 399.

    Attributes:
        path: with its query; begins with ``/``.
    """

    host: str
    port: int
    path: str = "/"


class CommandProbe(Record):
    """Well when the command exits with 0; it runs as the service does: user, directory, environment."""

    command: tuple[str, ...]


class LogProbe(Record):
    """Ready when a line of the service's output matches; a regular expression that is searched for."""

    pattern: str


class FileProbe(Record):
    """Well when the file exists; absolute path."""

    path: str


Probe = NotifyProbe | FdProbe | TcpProbe | HttpProbe | CommandProbe | LogProbe | FileProbe


class Ready(Record):
    """How a service tells that it is ready.

    Attributes:
        interval: seconds between two tries, where it has to be asked.
        timeout: seconds that one try may take.
    """

    probe: Probe
    interval: float = 0.5
    timeout: float = 1.0


class HealthAction(Enum):
    """What follows when a service is found unhealthy."""

    RESTART = "restart"
    """Its process is ended, and its restart policy decides as after any other failure."""
    REPORT = "report"


class Health(Record):
    """How a running service is watched.

    Attributes:
        interval: seconds from the end of one probe to the next.
        timeout: seconds that one probe may take.
        failures: so many in a row make it unhealthy.
    """

    probe: TcpProbe | HttpProbe | CommandProbe | FileProbe
    interval: float = 10.0
    timeout: float = 1.0
    failures: int = 3
    action: HealthAction = HealthAction.RESTART


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


class Output(Enum):
    """Where a stream of a child goes."""

    LOG = "log"
    INHERIT = "inherit"
    NULL = "null"


class JsonLines(Enum):
    """What becomes of a line that is a JSON object."""

    TEXT = "text"
    """It is a message like any other."""
    MERGE = "merge"
    """Its members become fields of the record."""
    EMBED = "embed"
    """It becomes one field of the record, ``json``."""


class Ansi(Enum):
    """What becomes of escape sequences, such as colours, in a line."""

    KEEP = "keep"
    STRIP = "strip"


class Overflow(Enum):
    """What happens to the lines of a service for which the log has no room."""

    BLOCK = "block"
    """Nothing is read until there is room: the service waits, and nothing is lost."""
    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"


class LineLevels(Record):
    """Which level the lines of a service have.

    Attributes:
        stdout: of what it writes there.
        stderr: of what it writes there.
        guess: look for the level in the line itself, and take these where there is none.
    """

    stdout: str = "info"
    stderr: str = "info"
    guess: bool = False


class ServiceLog(Record):
    """What becomes of the lines that a service writes.

    Attributes:
        multiline: a regular expression for the first line of a record, or the name of a set of rules; None for a record
            a line.
        multiline_timeout: seconds without another line after which a record is complete.
        tail: how many lines of each stream are kept in memory.
    """

    json: JsonLines = JsonLines.TEXT
    level: LineLevels = LineLevels()
    ansi: Ansi = Ansi.KEEP
    multiline: str | None = None
    multiline_timeout: float = 0.2
    overflow: Overflow = Overflow.BLOCK
    tail: int = 20


class FileSink(Record):
    """A file that lines are appended to, and that is rotated: ``web.log`` becomes ``web.log.1``.

    Attributes:
        path: absolute; ``{service}`` stands for the name of the service, or of its instance.
        max_size: bytes to which it grows before it is rotated; None for no limit.
        max_age: seconds from its creation after which it is rotated; None for no limit.
        keep: how many rotated files are kept.
        compress: rotated files are gzipped.
        json: one record a line, as in the log; otherwise the lines as they were written.
    """

    path: str
    max_size: int | None = 50_000_000
    max_age: float | None = None
    keep: int = 5
    compress: bool = False
    json: bool = False


class JournaldSink(Record):
    """The journal of systemd, by its native protocol; ``path`` is its socket."""

    path: str = "/run/systemd/journal/socket"


class SyslogSink(Record):
    """A syslog daemon.

    Attributes:
        transport: ``udp``, ``tcp`` or ``unix``.
        host: name or address; for ``unix`` the path of the socket.
        facility: number, from 0 to 23; RFC 5424, section 6.2.1.
        legacy: the older format that daemons expect on ``/dev/log``, RFC 3164 without the host's name.
    """

    transport: str
    host: str
    port: int = 514
    facility: int = 3
    legacy: bool = False


Destination = FileSink | JournaldSink | SyslogSink
"""Where lines may go beside the log, or instead of it."""


class OnFailure(Enum):
    """What a service that failed for good does to the daemon."""

    SHUTDOWN = "shutdown"
    IGNORE = "ignore"


class WhenDone(Enum):
    """What the daemon does when every service has finished."""

    EXIT = "exit"
    PAUSE = "pause"


class Orphans(Enum):
    """What happens at the end to the processes that are left when every service is down."""

    TERMINATE = "terminate"
    """TERM, and KILL at the deadline."""
    WAIT = "wait"
    """They may finish their work; an order to shut down ends the waiting."""
    LEAVE = "leave"
    """Nobody waits for them, as under tini; as PID 1 the kernel kills them when the daemon is gone."""


class RestartLimit(Record):
    """At most ``count`` restarts (1 or more) in any ``within`` seconds; one more and the service has failed."""

    count: int = 5
    within: float = 60.0


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


class Shutdown(Record):
    """Signal action: shut the daemon down in order; ``signal`` is the stop signal where it is not the one received."""

    signal: int | None = None


class Reload(Record):
    """Signal action: read the configuration again."""


class ReopenLogs(Record):
    """Signal action: open the log files again, after somebody has renamed them."""


class Ignore(Record):
    """Signal action: report it and do nothing."""


class Forward(Record):
    """Signal action: pass it on, as it came or as ``signal``, to ``services`` or, when None, to all of them."""

    signal: int | None = None
    services: tuple[str, ...] | None = None


SignalAction = Shutdown | Reload | ReopenLogs | Ignore | Forward

DEFAULT_SIGNALS: dict[int, SignalAction] = {
    SIGTERM: Shutdown(),
    SIGINT: Shutdown(),
    SIGQUIT: Shutdown(),
    SIGHUP: Reload(),
    37: Shutdown(),  # SIGRTMIN+3: what systemd sends a container as its stop signal
}
"""What a signal to the daemon does unless configured; a signal not listed is ignored."""


class FleetSpec(Record):
    """The daemon's own settings and all its services, in the order in which they were defined.

    Attributes:
        services: by name; of a replicated service every instance, ``web#1`` and so on.
        templates: by the name of a replicated service, what makes its instance of a number.
        termination_message_path: where Kubernetes reads why the container ended; empty for nowhere, None for its
            default path where that exists.
        watch_config: reload when a file of the configuration changes.
    """

    services: dict[str, ServiceSpec] = {}  # noqa: RUF012 - copied for each record
    templates: "dict[str, Callable[[int], ServiceSpec]]" = {}  # noqa: RUF012 - copied for each record
    main: str | None = None
    on_failure: OnFailure = OnFailure.SHUTDOWN
    when_done: WhenDone = WhenDone.EXIT
    shutdown_timeout: float = 9.0
    drain_delay: float = 0.0
    orphans: Orphans = Orphans.TERMINATE
    signals: dict[int, SignalAction] = DEFAULT_SIGNALS
    termination_message_path: str | None = None
    watch_config: bool = False


class LogSpec(Record):
    """Where records go and how they look.

    Attributes:
        format: ``json``, ``logfmt`` or ``console``; None for console on a terminal and json elsewhere.
        level: least level written: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        to: ``stdout``, ``stderr`` or an absolute path; empty for nowhere but ``targets``.
        targets: where records go as well; a file is given them in the log's format.
        max_record: longest record in bytes; a longer message is split into several.
        schema: the names of fields in json: ``native``, ``ecs``, ``otel`` or ``gcp``.
        redact: regular expressions; what they match is written nowhere.
    """

    format: str | None = None
    level: str = "info"
    to: str = "stdout"
    targets: tuple[Destination, ...] = ()
    max_record: int = 16384
    schema: str = "native"
    redact: tuple[str, ...] = ()


class ControlSpec(Record):
    """Where the daemon can be asked and given orders.

    Attributes:
        socket: absolute path of the unix socket; empty for none, None for the default places.
        group: name or number of the group whose members may use the socket too.
        listen: numeric address and port for the same over TCP; None for none.
        token_file: absolute path of the file with the token that is asked for over TCP.
        health: numeric address and port that serves the probes and the metrics only, to everybody; None for none.
    """

    socket: str | None = None
    group: str | None = None
    listen: tuple[str, int] | None = None
    token_file: str | None = None
    health: tuple[str, int] | None = None
