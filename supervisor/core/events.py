"""What happened: the only input of the core. Names are in the past tense, and every event is complete when made.

An order from a user and a wait status from the kernel become the same kind of thing here.
"""

from supervisor.core.record import Record
from supervisor.core.spec import FleetSpec
from supervisor.core.states import Reason


class StartRequested(Record):
    """Somebody wants the service up. ``needs_met`` is false while something it needs is missing."""

    service: str
    needs_met: bool = True


class NeedsMet(Record):
    """All that the service needs is there."""

    service: str


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


class KillRequested(Record):
    """Somebody wants the service dead, now."""

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
    """The service is ready to serve."""

    service: str


class DeadlinePassed(Record):
    """The service's deadline has come."""

    service: str


ServiceEvent = (
    StartRequested
    | NeedsMet
    | StopRequested
    | RestartRequested
    | KillRequested
    | ProcessSpawned
    | SpawnFailed
    | ProcessExited
    | BecameReady
    | DeadlinePassed
)


class SignalReceived(Record):
    """The daemon was sent a signal; ``sender`` is the process that sent it, 0 for the kernel or another namespace."""

    signal: int
    sender: int = 0


class ShutdownRequested(Record):
    """Somebody ordered a shutdown by other means than a signal."""

    reason: str


class FleetDeadlinePassed(Record):
    """The daemon's own deadline (drain, shutdown, the last grace) has come."""


class ChildrenGone(Record):
    """The daemon has no child left, its own or adopted."""


class DescendantsKilled(Record):
    """Processes outside the services had to be killed; each is named ``comm[pid]``."""

    names: tuple[str, ...]


class Reconfigured(Record):
    """The configuration was read again and is good."""

    spec: FleetSpec


FleetEvent = SignalReceived | ShutdownRequested | FleetDeadlinePassed | ChildrenGone | DescendantsKilled | Reconfigured
Event = ServiceEvent | FleetEvent
