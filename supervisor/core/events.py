"""What happened: the only input of the core. Names are in the past tense, and every event is complete when made.

An order from a user and a wait status from the kernel become the same kind of thing here.
"""

from supervisor.core.record import Record
from supervisor.core.spec import FleetSpec, StopScope
from supervisor.core.states import Reason


class StartRequested(Record):
    """Somebody wants the service up."""

    service: str


class NeedsMet(Record):
    """All that the service needs is there."""

    service: str


class NeedFailed(Record):
    """Something that the service needs has failed for good."""

    service: str
    need: str


class StopRequested(Record):
    """Somebody wants the service down.

    Attributes:
        signal: what the daemon was sent, for a service without a ``stop-signal`` of its own; None for TERM.
        by: monotonic time at which it is killed at the latest; None for its own stop-timeout alone.
    """

    service: str
    reason: Reason = Reason.STOP
    signal: int | None = None
    by: float | None = None


class RestartRequested(Record):
    """Somebody wants the service stopped and started again."""

    service: str
    reason: Reason = Reason.RESTART


class ReloadRequested(Record):
    """The service is to read its own configuration again; ``pid`` is the process that has not done so."""

    service: str
    pid: int


class KillRequested(Record):
    """Somebody wants the service dead, now."""

    service: str


class FreezeRequested(Record):
    """Somebody wants the service to stand still, with all it has started."""

    service: str


class Frozen(Record):
    """The kernel was told to let nothing of the service's control group run."""

    service: str


class ThawRequested(Record):
    """Somebody wants the service to go on."""

    service: str


class ProcessSpawned(Record):
    """The program was executed."""

    service: str
    pid: int


class SpawnFailed(Record):
    """The program could not be executed.

    Attributes:
        exit_code: what a shell would return for it: 127 not found, 126 otherwise, 1 when it is not at fault.
        transient: the machine was out of something (processes, memory, descriptors); it is tried again for ever.
    """

    service: str
    exit_code: int
    transient: bool = False


class ProcessExited(Record):
    """The main process ended; ``status`` is that of wait4(2)."""

    service: str
    status: int


class BecameReady(Record):
    """A probe found the process ready to serve."""

    service: str
    pid: int


class ProbeFailed(Record):
    """A health probe of the process failed; ``probe`` says what was probed, ``error`` how it failed."""

    service: str
    pid: int
    probe: str
    error: str


class ProbeSucceeded(Record):
    """A health probe of the process succeeded."""

    service: str
    pid: int


class Notified(Record):
    """The service sent a message to its notification socket; sd_notify(3). What is absent is None or false.

    Attributes:
        pid: the main process at the time of the message.
        watchdog: ``WATCHDOG=1``.
        trigger: ``WATCHDOG=trigger``: it asks to be treated as if the watchdog had expired.
        extend: seconds from now, of ``EXTEND_TIMEOUT_USEC``.
        status: free text.
        error: its own errno.
        main_pid: another process that is the main one from now on; the shell has checked that it is the service's.
    """

    service: str
    pid: int
    ready: bool = False
    reloading: bool = False
    stopping: bool = False
    watchdog: bool = False
    trigger: bool = False
    extend: float | None = None
    status: str | None = None
    error: int | None = None
    main_pid: int | None = None


class RunPlanned(Record):
    """The next run of a scheduled service is at ``at``, as its schedule writes times; None: there will never be one."""

    service: str
    at: str | None


class RunDue(Record):
    """A run of a scheduled service is due; ``late`` seconds after the time ``at`` that it was planned for."""

    service: str
    at: str
    late: float = 0.0


class DeadlinePassed(Record):
    """The service's deadline has come."""

    service: str


ServiceEvent = (
    StartRequested
    | NeedsMet
    | NeedFailed
    | StopRequested
    | RestartRequested
    | ReloadRequested
    | KillRequested
    | FreezeRequested
    | Frozen
    | ThawRequested
    | ProcessSpawned
    | SpawnFailed
    | ProcessExited
    | BecameReady
    | ProbeFailed
    | ProbeSucceeded
    | Notified
    | RunPlanned
    | RunDue
    | DeadlinePassed
)


class SignalReceived(Record):
    """The daemon was sent a signal; ``sender`` is the process that sent it, 0 for the kernel or another namespace."""

    signal: int
    sender: int = 0


class ShutdownRequested(Record):
    """Somebody ordered a shutdown by other means than a signal."""

    reason: str


class SignalRequested(Record):
    """Somebody wants a service signalled; ``scope`` None for the service's own stop-scope."""

    service: str
    signal: int
    scope: StopScope | None = None


class OrdersGiven(Record):
    """Somebody wants several services stopped, or restarted: each when those that need it are down."""

    orders: tuple[StopRequested | RestartRequested, ...]


class FleetDeadlinePassed(Record):
    """The daemon's own deadline (drain, shutdown, the last grace) has come."""


class ChildrenGone(Record):
    """The daemon has no child left, its own or adopted."""


class DescendantsKilled(Record):
    """Processes outside the services had to be killed; each is named ``comm[pid]``."""

    names: tuple[str, ...]


class Reconfigured(Record):
    """Something else is wanted than before: the configuration was read again and is good, or somebody has scaled.

    Attributes:
        scaled: only the number of instances is another one; nobody is told to read anything again.
    """

    spec: FleetSpec
    scaled: bool = False


FleetEvent = (
    SignalReceived
    | ShutdownRequested
    | SignalRequested
    | OrdersGiven
    | FleetDeadlinePassed
    | ChildrenGone
    | DescendantsKilled
    | Reconfigured
)
Event = ServiceEvent | FleetEvent
