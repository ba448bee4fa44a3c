"""The daemon's own settings, and all its services together."""

from supervisor.core.light import Enum
from supervisor.core.record import Record
from supervisor.core.signals import SIGHUP, SIGINT, SIGQUIT, SIGTERM
from supervisor.core.spec.service import ServiceSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


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
