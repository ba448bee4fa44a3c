"""One service: all that the core knows of it, and what that means.

The transitions are functions in :mod:`supervisor.core.rise` (towards ``running``) and :mod:`supervisor.core.fall`
(away from it); which of them belongs to which state and event stands in :mod:`supervisor.core.table`.
"""

from supervisor.core.effects import Effect
from supervisor.core.policy import wants_restart
from supervisor.core.record import Record
from supervisor.core.spec import Kind, NotifyProbe, ServiceSpec, StopScope
from supervisor.core.states import Desired, Reason, State
from supervisor.core.wait_status import is_success

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Step = tuple["Service", tuple[Effect, ...]]
    Handler = Callable[["Context", "Service", Any], Step]


class Service(Record):
    """All that the core knows of one service.

    Attributes:
        pid: its main process; set exactly in the states of ``HAS_PROCESS``, but for the moment between the order
            to spawn and its answer.
        attempt: how often its program was started.
        started_at: monotonic time of the last start.
        deadline: monotonic time; when it has to be ready or done (STARTING), when the watchdog expires (RUNNING), when
            to kill (STOPPING), when to start again (BACKOFF).
        stop_by: monotonic time that no extension moves the deadline of STOPPING past.
        ending: why its process ends in STOPPING though nobody ordered it: what we found wrong with it, or that it
            said so itself (ANNOUNCED). When it is gone the policy decides, as after any other end.
        need: what it waits for, or what has failed it.
        streak: restarts in a row, for the doubling of the delay.
        restarts: monotonic times of the restarts that the limit counts.
        killed: KILL was sent to the present process because it was late.
        status: wait status of the last process that ended.
        exit_code: what the daemon returns if this service decides it.
        failures: health probes of the present process that failed in a row.
        healthy: its health probes don't say otherwise.
        reloading: the service said that it reads its configuration again.
        reload_due: it is to be told to, as soon as it is ready.
        frozen: nothing in its control group runs, by order.
        held: seconds that its deadline was away when it was frozen; None where it had none.
        status_text: what the service said of itself, sd_notify(3).
        run_at: the time that the present or last run of a scheduled service was planned for, as its schedule writes it.
        next_run: the same for the next one.
        queued: the same for a run that waits for the present one to end.
    """

    state: State = State.STOPPED
    desired: Desired = Desired.DOWN
    reason: Reason = Reason.INITIAL
    pid: int | None = None
    attempt: int = 0
    started_at: float = 0.0
    deadline: float | None = None
    stop_by: float | None = None
    ending: Reason | None = None
    need: str = ""
    streak: int = 0
    restarts: tuple[float, ...] = ()
    killed: bool = False
    status: int | None = None
    exit_code: int = 0
    failures: int = 0
    healthy: bool = True
    reloading: bool = False
    reload_due: bool = False
    frozen: bool = False
    held: float | None = None
    status_text: str = ""
    run_at: str | None = None
    next_run: str | None = None
    queued: str | None = None


class Context(Record):
    """What a transition may look at beside the service itself.

    Attributes:
        closing: the daemon is on its way down, and nothing is started any more.
        missing: the first of its needs that is not met; empty when all are.
    """

    spec: ServiceSpec
    now: float
    salt: int = 0
    closing: bool = False
    missing: str = ""


class ImpossibleTransitionError(Exception):
    """An event reached a service in a state in which it can't happen: a bug in the daemon."""


def succeeded(spec: ServiceSpec, service: Service, status: int) -> bool:
    """Whether the process ended well; one that was to tell us that it is ready has to have done so before."""
    well = is_success(status, spec.success_codes, spec.success_signals)
    return well and not (service.state is State.STARTING and spec.ready is not None)


def is_expected(spec: ServiceSpec, service: Service, status: int) -> bool:
    """Whether this end of the main process surprises nobody: it was told to end, or it ended successfully."""
    if service.state is State.STOPPING and service.ending in (None, Reason.NEED_FAILED):
        return True
    return service.ending in (None, Reason.ANNOUNCED) and succeeded(spec, service, status)


def clears_group(spec: ServiceSpec, service: Service, status: int) -> bool:
    """Whether what is left of the process group has to go with the main process: a successor is to take its place.

    Otherwise the successor would meet the ports and locks of workers that nobody leads any more.
    """
    by_itself = service.state is not State.STOPPING
    replaced = by_itself and wants_restart(spec.restart, success=succeeded(spec, service, status))
    return replaced and spec.stop_scope is not StopScope.PROCESS


def is_running_at_once(spec: ServiceSpec) -> bool:
    """Whether the service counts as ready as soon as its program runs."""
    return spec.kind is Kind.SERVICE and spec.ready is None


def tells_readiness(spec: ServiceSpec) -> bool:
    """Whether ``READY=1`` is what its readiness depends on."""
    return spec.ready is not None and isinstance(spec.ready.probe, NotifyProbe)


def is_at_ease(service: Service) -> bool:
    """Whether a scheduled service waits for its time: up, with nothing to do."""
    return service.state is State.WAITING and not service.need


def wanted(service: Service) -> bool:
    """Whether somebody wants the service up."""
    return service.desired is Desired.UP
