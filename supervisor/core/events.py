"""What happened: the only input of the core. Names are in the past tense, and every event is complete when made.

An order from a user and a wait status from the kernel become the same kind of thing here.
"""

from msgspec import Struct

from supervisor.core.spec import FleetSpec
from supervisor.core.states import Reason


class StartRequested(Struct, frozen=True):
    """Somebody wants the service up. ``needs_met`` is false while something it needs is missing."""

    service: str
    needs_met: bool = True


class NeedsMet(Struct, frozen=True):
    """All that the service needs is there."""

    service: str


class StopRequested(Struct, frozen=True):
    """Somebody wants the service down.

    Attributes:
        signal: what the daemon was sent, for a service without a ``stop-signal`` of its own; None for TERM.
        by: monotonic time at which it is killed at the latest; None for its own stop-timeout alone.
    """

    service: str
    reason: Reason = Reason.STOP
    signal: int | None = None
    by: float | None = None


class RestartRequested(Struct, frozen=True):
    """Somebody wants the service stopped and started again."""

    service: str
    reason: Reason = Reason.RESTART


class KillRequested(Struct, frozen=True):
    """Somebody wants the service dead, now."""

    service: str


class ProcessSpawned(Struct, frozen=True):
    """The program was executed."""

    service: str
    pid: int


class SpawnFailed(Struct, frozen=True):
    """The program could not be executed.

    Attributes:
        exit_code: what a shell would return for it: 127 not found, 126 otherwise, 1 when it is not at fault.
        transient: the machine was out of something (processes, memory, descriptors); it is tried again for ever.
    """

    service: str
    exit_code: int
    transient: bool = False


class ProcessExited(Struct, frozen=True):
    """The main process ended; ``status`` is that of wait4(2)."""

    service: str
    status: int


class BecameReady(Struct, frozen=True):
    """The service is ready to serve."""

    service: str


class DeadlinePassed(Struct, frozen=True):
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


class SignalReceived(Struct, frozen=True):
    """The daemon was sent a signal; ``sender`` is the process that sent it, 0 for the kernel or another namespace."""

    signal: int
    sender: int = 0


class ShutdownRequested(Struct, frozen=True):
    """Somebody ordered a shutdown by other means than a signal."""

    reason: str


class FleetDeadlinePassed(Struct, frozen=True):
    """The daemon's own deadline (drain, shutdown, the last grace) has come."""


class ChildrenGone(Struct, frozen=True):
    """The daemon has no child left, its own or adopted."""


class DescendantsKilled(Struct, frozen=True):
    """Processes outside the services had to be killed; each is named ``comm[pid]``."""

    names: tuple[str, ...]


class Reconfigured(Struct, frozen=True):
    """The configuration was read again and is good."""

    spec: FleetSpec


FleetEvent = SignalReceived | ShutdownRequested | FleetDeadlinePassed | ChildrenGone | DescendantsKilled | Reconfigured
Event = ServiceEvent | FleetEvent
