"""The automaton of one service: every transition stands in :data:`TABLE`, and nowhere else.

A cell is a function that makes the next :class:`Service` and the effects, or :data:`IGNORED` (it may happen, and
means nothing here), or :data:`IMPOSSIBLE` (if it happens, a bug is reported and the state stays). A test visits
every pair of state and event.

Rules that are not in the table: needs, the main service, and the shutdown of all are the fleet's
(:mod:`supervisor.core.fleet`); when and for how long to back off is :mod:`supervisor.core.policy`'s.
"""

from __future__ import annotations

from supervisor.core import events as ev
from supervisor.core.effects import Effect, Report, SendSignal, Spawn
from supervisor.core.policy import limit_reached, recent_restarts, restart_delay, transient_delay, wants_restart
from supervisor.core.record import Record, replace
from supervisor.core.signals import SIGKILL, SIGTERM
from supervisor.core.spec import ServiceSpec, StopScope
from supervisor.core.states import Desired, Reason, State
from supervisor.core.wait_status import core_dumped, is_success, shell_code, term_signal

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
        deadline: monotonic time; when to kill (STOPPING) or when to start again (BACKOFF).
        streak: restarts in a row, for the doubling of the delay.
        restarts: monotonic times of the restarts that the limit counts.
        killed: KILL was sent to the present process because it was late.
        status: wait status of the last process that ended.
        exit_code: what the daemon returns if this service decides it.
    """

    state: State = State.STOPPED
    desired: Desired = Desired.DOWN
    reason: Reason = Reason.INITIAL
    pid: int | None = None
    attempt: int = 0
    started_at: float = 0.0
    deadline: float | None = None
    streak: int = 0
    restarts: tuple[float, ...] = ()
    killed: bool = False
    status: int | None = None
    exit_code: int = 0


class Context(Record):
    """What a transition may look at beside the service itself.

    Attributes:
        closing: the daemon is on its way down, and nothing is started any more.
        needs_met: all that the service needs is there.
    """

    spec: ServiceSpec
    now: float
    salt: int = 0
    closing: bool = False
    needs_met: bool = True


class ImpossibleTransitionError(Exception):
    """An event reached a service in a state in which it can't happen: a bug in the daemon."""


def step(context: Context, service: Service, event: ev.ServiceEvent) -> Step:
    """The service after the event, and what is to be done.

    Raises:
        ImpossibleTransitionError: the table says that this can't happen.
    """
    return TABLE[service.state][type(event)](context, service, event)


def is_expected(spec: ServiceSpec, service: Service, status: int) -> bool:
    """Whether this end of the main process surprises nobody: it was told to end, or it ended successfully."""
    return service.state is State.STOPPING or is_success(status, spec.success_codes, spec.success_signals)


def clears_group(spec: ServiceSpec, service: Service, status: int) -> bool:
    """Whether what is left of the process group has to go with the main process: a successor is to take its place.

    Otherwise the successor would meet the ports and locks of workers that nobody leads any more.
    """
    success = is_success(status, spec.success_codes, spec.success_signals)
    replaced = service.state is not State.STOPPING and wants_restart(spec.restart, success=success)
    return replaced and spec.stop_scope is not StopScope.PROCESS


def IGNORED(_: Context, service: Service, _event: object) -> Step:  # noqa: N802 - reads as a constant in the table
    """A cell: the event means nothing in this state."""
    return service, ()


def IMPOSSIBLE(context: Context, service: Service, event: object) -> Step:  # noqa: N802 - reads as a constant
    """A cell: the event can't happen in this state."""
    raise ImpossibleTransitionError(f"{context.spec.name}: {type(event).__name__} while {service.state.value}")


def _start(context: Context, service: Service, _: ev.StartRequested) -> Step:
    """An order to start: the past is forgotten, so that a failed service gets its full chances again."""
    fresh = replace(service, desired=Desired.UP, streak=0, restarts=(), deadline=None)
    if context.needs_met:
        return _spawn(context, fresh, Reason.START)
    return replace(fresh, state=State.WAITING, reason=Reason.START), ()


def _spawn(context: Context, service: Service, reason: Reason) -> Step:
    starting = replace(
        service, state=State.STARTING, reason=reason, deadline=None, attempt=service.attempt + 1, killed=False
    )
    return starting, (Spawn(context.spec.name, starting.attempt),)


def _needs_met(context: Context, service: Service, _: ev.NeedsMet) -> Step:
    return _spawn(context, service, Reason.NEEDS_MET)


def _delay_over(context: Context, service: Service, _: object) -> Step:
    return _spawn(context, service, Reason.DELAY_OVER)


def _start_now(context: Context, service: Service, _: object) -> Step:
    """An order to start or restart what waits for its delay: no need to wait any longer."""
    return _spawn(context, replace(service, desired=Desired.UP, streak=0, restarts=()), Reason.START)


def _spawned(context: Context, service: Service, event: ev.ProcessSpawned) -> Step:
    """Running at once: no readiness is configured."""
    running = replace(service, state=State.RUNNING, reason=Reason.SPAWNED, pid=event.pid, started_at=context.now)
    return running, ()


def _ready(_: Context, service: Service, _event: ev.BecameReady) -> Step:
    return replace(service, state=State.RUNNING, reason=Reason.READY), ()


def _spawn_failed(context: Context, service: Service, event: ev.SpawnFailed) -> Step:
    ended = replace(service, exit_code=event.exit_code, status=None)
    # The single command's caller tries again by itself, and waits for an exit code to do so.
    if event.transient and not context.closing and context.spec.transparent is None:
        delay = transient_delay(context.spec, service.streak, context.salt)
        return _back_off(context, ended, delay, Reason.SPAWN_FAILED)
    return _ended(context, ended, Reason.SPAWN_FAILED)


def _exited(context: Context, service: Service, event: ev.ProcessExited) -> Step:
    """The process ended by itself."""
    spec = context.spec
    success = is_success(event.status, spec.success_codes, spec.success_signals)
    was_up = context.now - service.started_at >= spec.restart_reset_after
    ended = replace(_without_process(spec, service, event.status), streak=0 if was_up else service.streak)
    return _ended(context, ended, Reason.SUCCESS if success else _failure_reason(event.status))


def _without_process(spec: ServiceSpec, service: Service, status: int) -> Service:
    success = is_success(status, spec.success_codes, spec.success_signals)
    code = 0 if success else shell_code(status)
    return replace(service, pid=None, status=status, exit_code=code, deadline=None)


def _failure_reason(status: int) -> Reason:
    if not term_signal(status):
        return Reason.EXIT_CODE
    return Reason.CORE_DUMP if core_dumped(status) else Reason.SIGNAL


def _ended(context: Context, service: Service, reason: Reason) -> Step:
    """Restart, or be completed or failed, as the policy says."""
    spec = context.spec
    success = reason is Reason.SUCCESS
    if context.closing or not wants_restart(spec.restart, success=success):
        state = State.COMPLETED if success else State.FAILED
        return replace(service, state=state, reason=reason, desired=Desired.DOWN), ()
    recent = recent_restarts(spec.restart_limit, service.restarts, context.now)
    if limit_reached(spec.restart_limit, recent):
        # a service that ends too often has failed, even if each time with status 0
        failed = replace(service, state=State.FAILED, reason=Reason.RESTART_LIMIT, desired=Desired.DOWN)
        return replace(failed, exit_code=service.exit_code or 1), ()
    counted = replace(service, restarts=(*recent, context.now) if spec.restart_limit else ())
    return _back_off(context, counted, restart_delay(spec, service.streak, context.salt), reason)


def _back_off(context: Context, service: Service, delay: float, reason: Reason) -> Step:
    report = Report(
        "info",
        "restart_scheduled",
        {
            "service": context.spec.name,
            "delay_s": round(delay, 6),
            "attempt": service.attempt + 1,
            "reason": reason.value,
        },
    )
    again = replace(service, streak=service.streak + 1)
    if delay == 0:
        starting, effects = _spawn(context, again, reason)
        return starting, (report, *effects)
    return replace(again, state=State.BACKOFF, reason=reason, deadline=context.now + delay), (report,)


def _stop(context: Context, service: Service, event: ev.StopRequested) -> Step:
    """The order to end, and the deadline after which it is no longer an order."""
    if service.pid is None:
        return _stop_at_once(context, service, event)
    signal = context.spec.stop_signal or event.signal or SIGTERM
    return _begin_stop(context, replace(service, desired=Desired.DOWN), event.reason, signal, event.by)


def _restart(context: Context, service: Service, event: ev.RestartRequested) -> Step:
    if service.pid is None:
        return service, ()  # it is about to be spawned
    signal = context.spec.stop_signal or SIGTERM
    fresh = replace(service, desired=Desired.UP, streak=0, restarts=())
    return _begin_stop(context, fresh, event.reason, signal, None)


def _begin_stop(context: Context, service: Service, reason: Reason, signal: int, by: float | None) -> Step:
    stopping = replace(service, state=State.STOPPING, reason=reason)
    deadline = context.now + context.spec.stop_timeout
    deadline = deadline if by is None else min(deadline, by)
    if deadline <= context.now:
        return _kill(context, stopping, None)
    return replace(stopping, deadline=deadline), (_signal(context, service, signal, wake=True),)


def _stop_again(context: Context, service: Service, event: ev.StopRequested) -> Step:
    """Already told to end; a nearer deadline counts, and a restart that was under way is off."""
    nearest = [time for time in (service.deadline, event.by) if time is not None]
    deadline = None if service.killed else min(nearest, default=context.now + context.spec.stop_timeout)
    return replace(service, desired=Desired.DOWN, reason=event.reason, deadline=deadline), ()


def _stop_at_once(_: Context, service: Service, event: ev.StopRequested) -> Step:
    """There is no process: it is stopped by saying so."""
    stopped = replace(service, state=State.STOPPED, desired=Desired.DOWN, reason=event.reason, deadline=None)
    return stopped, ()


def _kill_at_once(_: Context, service: Service, _event: ev.KillRequested) -> Step:
    stopped = replace(service, state=State.STOPPED, desired=Desired.DOWN, reason=Reason.STOP, deadline=None)
    return stopped, ()


def _kill(context: Context, service: Service, _: object) -> Step:
    """KILL, which nothing can refuse; from here on there is nothing to wait for but the kernel."""
    killed = replace(service, state=State.STOPPING, deadline=None, killed=True)
    return killed, (_signal(context, service, SIGKILL),)


def _kill_order(context: Context, service: Service, event: ev.KillRequested) -> Step:
    if service.pid is None:
        return _kill_at_once(context, service, event)
    return _kill(context, replace(service, desired=Desired.DOWN, reason=Reason.STOP), event)


def _up_again(_: Context, service: Service, _event: object) -> Step:
    """Wanted up while it is stopping: it starts again when it is down."""
    return replace(service, desired=Desired.UP, streak=0, restarts=()), ()


def _stopped(context: Context, service: Service, event: ev.ProcessExited) -> Step:
    down = _without_process(context.spec, service, event.status)
    if down.desired is Desired.UP and not context.closing:
        return _spawn(context, down, down.reason)
    return replace(down, state=State.STOPPED, desired=Desired.DOWN), ()


def _signal(context: Context, service: Service, signal: int, *, wake: bool = False) -> SendSignal:
    if service.pid is None:
        # can't happen: the callers have looked, and STOPPING is entered with a process only
        raise ImpossibleTransitionError(f"{context.spec.name}: has no process while {service.state.value}")
    return SendSignal(context.spec.name, service.pid, signal, context.spec.stop_scope, wake)


_NEW_EVENTS = (ev.NeedFailed, ev.ProbeFailed, ev.ProbeSucceeded, ev.Notified, ev.RunPlanned, ev.RunDue)

_AT_REST: dict[type, Handler] = {
    ev.StartRequested: _start,
    ev.NeedsMet: IGNORED,
    ev.StopRequested: IGNORED,
    ev.RestartRequested: _start_now,
    ev.KillRequested: IGNORED,
    ev.ProcessSpawned: IMPOSSIBLE,
    ev.SpawnFailed: IMPOSSIBLE,
    ev.ProcessExited: IMPOSSIBLE,
    ev.BecameReady: IGNORED,
    ev.DeadlinePassed: IGNORED,
}

TABLE: dict[State, dict[type, Handler]] = {
    State.STOPPED: _AT_REST,
    State.COMPLETED: _AT_REST,
    State.FAILED: _AT_REST,
    State.WAITING: {
        ev.StartRequested: IGNORED,
        ev.NeedsMet: _needs_met,
        ev.StopRequested: _stop_at_once,
        ev.RestartRequested: IGNORED,
        ev.KillRequested: _kill_at_once,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: IMPOSSIBLE,
        ev.BecameReady: IGNORED,
        ev.DeadlinePassed: IGNORED,
    },
    State.STARTING: {
        ev.StartRequested: IGNORED,
        ev.NeedsMet: IGNORED,
        ev.StopRequested: _stop,
        ev.RestartRequested: _restart,
        ev.KillRequested: _kill_order,
        ev.ProcessSpawned: _spawned,
        ev.SpawnFailed: _spawn_failed,
        ev.ProcessExited: _exited,
        ev.BecameReady: _ready,
        ev.DeadlinePassed: IGNORED,
    },
    State.RUNNING: {
        ev.StartRequested: IGNORED,
        ev.NeedsMet: IGNORED,
        ev.StopRequested: _stop,
        ev.RestartRequested: _restart,
        ev.KillRequested: _kill_order,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: _exited,
        ev.BecameReady: IGNORED,
        ev.DeadlinePassed: IGNORED,
    },
    State.STOPPING: {
        ev.StartRequested: _up_again,
        ev.NeedsMet: IGNORED,
        ev.StopRequested: _stop_again,
        ev.RestartRequested: _up_again,
        ev.KillRequested: _kill_order,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: _stopped,
        ev.BecameReady: IGNORED,
        ev.DeadlinePassed: _kill,
    },
    State.BACKOFF: {
        ev.StartRequested: _start_now,
        ev.NeedsMet: IGNORED,
        ev.StopRequested: _stop_at_once,
        ev.RestartRequested: _start_now,
        ev.KillRequested: _kill_at_once,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: IMPOSSIBLE,
        ev.BecameReady: IGNORED,
        ev.DeadlinePassed: _delay_over,
    },
}
"""State x event -> what happens. Complete: a missing pair fails a test, not a user."""

for _cells in TABLE.values():
    for _event in _NEW_EVENTS:
        _cells.setdefault(_event, IGNORED)
