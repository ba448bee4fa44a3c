"""What the user asked for, as the core sees it: complete, checked, every default filled in.

The configuration room turns files into these; the command line makes one by hand for ``run -- COMMAND``.

All times are seconds, all sizes bytes.
"""

from enum import Enum

from supervisor.core.record import Record
from supervisor.core.signals import SIGHUP, SIGINT, SIGQUIT, SIGTERM


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


class Output(Enum):
    """Where a stream of a child goes."""

    LOG = "log"
    INHERIT = "inherit"
    NULL = "null"


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
        name: unique; letters, digits and ``._-``, so that it is safe in paths and labels.
        command: program and arguments; the program is searched for in the ``PATH`` of ``environment``.
        directory: absolute working directory.
        environment: the whole environment of the child.
        restart_limit: None for no limit.
        success_codes: exit codes that count as success.
        success_signals: signals whose death counts as success.
        stop_signal: None for the signal the daemon was sent (TERM or INT), TERM when there was none.
        transparent: set for the single-command form only.
    """

    name: str
    command: tuple[str, ...]
    directory: str = "/"
    environment: dict[str, str] = {}  # noqa: RUF012 - copied for each record
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
    stdout: Output = Output.LOG
    stderr: Output = Output.LOG
    transparent: Transparent | None = None


class Shutdown(Record):
    """Signal action: shut the daemon down in order; ``signal`` is the stop signal where it is not the one received."""

    signal: int | None = None


class Reload(Record):
    """Signal action: read the configuration again."""


class Ignore(Record):
    """Signal action: report it and do nothing."""


class Forward(Record):
    """Signal action: pass it on, as it came or as ``signal``, to ``services`` or, when None, to all of them."""

    signal: int | None = None
    services: tuple[str, ...] | None = None


SignalAction = Shutdown | Reload | Ignore | Forward

DEFAULT_SIGNALS: dict[int, SignalAction] = {
    SIGTERM: Shutdown(),
    SIGINT: Shutdown(),
    SIGQUIT: Shutdown(),
    SIGHUP: Reload(),
    37: Shutdown(),  # SIGRTMIN+3: what systemd sends a container as its stop signal
}
"""What a signal to the daemon does unless configured; a signal not listed is ignored."""


class FleetSpec(Record):
    """The daemon's own settings and all its services, in the order in which they were defined."""

    services: dict[str, ServiceSpec] = {}  # noqa: RUF012 - copied for each record
    main: str | None = None
    on_failure: OnFailure = OnFailure.SHUTDOWN
    when_done: WhenDone = WhenDone.EXIT
    shutdown_timeout: float = 9.0
    drain_delay: float = 0.0
    orphans: Orphans = Orphans.TERMINATE
    signals: dict[int, SignalAction] = DEFAULT_SIGNALS


class LogSpec(Record):
    """Where records go and how they look.

    Attributes:
        format: ``json``, ``logfmt`` or ``console``; None for console on a terminal and json elsewhere.
        level: least level written: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        to: ``stdout``, ``stderr`` or an absolute path.
        max_record: longest record in bytes; a longer message is split into several.
    """

    format: str | None = None
    level: str = "info"
    to: str = "stdout"
    max_record: int = 16384
