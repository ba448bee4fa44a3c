"""Transitions on the way down: ended by itself or told to end, and what its policy makes of it."""

from supervisor.core import events as ev
from supervisor.core.effects import Report, SendSignal, Thaw
from supervisor.core.policy import limit_reached, recent_restarts, restart_delay, transient_delay, wants_restart
from supervisor.core.record import replace
from supervisor.core.rise import launch, skipped, thawed, wait_for_schedule
from supervisor.core.service import Context, ImpossibleTransitionError, Service, succeeded
from supervisor.core.signals import SIGKILL, SIGTERM
from supervisor.core.spec import Kind, Overlap, ServiceSpec
from supervisor.core.states import Desired, Reason, State
from supervisor.core.wait_status import core_dumped, exit_code, shell_code, term_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.effects import Effect
    from supervisor.core.service import Step

_NO_FAULT = frozenset({Reason.SUCCESS, Reason.STOP, Reason.RESTART, Reason.RELOAD, Reason.SHUTDOWN, Reason.REPLACED})
"""Ends of a run that nobody has to look into."""

# -- ended -----------------------------------------------------------------------------------------------------------


def spawn_failed(context: Context, service: Service, event: ev.SpawnFailed) -> "Step":
    """No process came of the order to spawn."""
    failed = replace(service, exit_code=event.exit_code, status=None)
    # The single command's caller tries again by itself, and waits for an exit code to do so.
    if event.transient and not context.closing and context.spec.transparent is None:
        delay = transient_delay(context.spec, service.streak, context.salt)
        return _back_off(context, failed, delay, Reason.SPAWN_FAILED)
    return _ended(context, failed, Reason.SPAWN_FAILED)


def exited(context: Context, service: Service, event: ev.ProcessExited) -> "Step":
    """The process ended by itself."""
    spec = context.spec
    reason = _why_it_ended(spec, service, event.status)
    was_up = context.now - service.started_at >= spec.restart_reset_after
    ended = _without_process(service, event.status, success=reason is Reason.SUCCESS)
    return _run_over(context, replace(ended, streak=0 if was_up else service.streak), reason)


def stopped(context: Context, service: Service, event: ev.ProcessExited) -> "Step":
    """The process that was told to end, or was about to, has ended."""
    spec = context.spec
    if service.ending is None:
        down = _without_process(service, event.status, success=succeeded(spec, service, event.status))
        told = _run_report(context, down, down.reason)
        if down.desired is Desired.UP and not context.closing:
            again, effects = launch(context, replace(down, run_at=down.queued or down.run_at, queued=None), down.reason)
            return again, (*told, *effects)
        return replace(down, state=State.STOPPED, desired=Desired.DOWN, queued=None), told
    if service.ending is Reason.ANNOUNCED:
        return exited(context, replace(service, state=State.RUNNING, ending=None), event)
    # it was ended for what is wrong with it, so that it obeyed is no success
    down = _without_process(service, event.status, success=False)
    if service.ending is Reason.NEED_FAILED:
        failed = replace(down, state=State.FAILED, reason=Reason.NEED_FAILED, desired=Desired.DOWN)
        return replace(failed, exit_code=down.exit_code or 1), ()
    return _run_over(context, replace(down, exit_code=down.exit_code or 1), service.ending)


def _why_it_ended(spec: ServiceSpec, service: Service, status: int) -> Reason:
    if succeeded(spec, service, status):
        return Reason.SUCCESS
    if term_signal(status):
        return Reason.CORE_DUMP if core_dumped(status) else Reason.SIGNAL
    return Reason.EXIT_CODE if exit_code(status) not in spec.success_codes else Reason.NOT_READY


def _without_process(service: Service, status: int, *, success: bool) -> Service:
    code = 0 if success else shell_code(status) or 1
    ended = replace(service, pid=None, status=status, exit_code=code, deadline=None, stop_by=None)
    return replace(ended, frozen=False, held=None)


def _run_over(context: Context, service: Service, reason: Reason) -> "Step":
    """Report a run of a schedule, then let the policy decide."""
    after, effects = _ended(context, service, reason)
    return after, (*_run_report(context, service, reason), *effects)


def _run_report(context: Context, service: Service, reason: Reason) -> "tuple[Effect, ...]":
    """The record of a run, of a scheduled service."""
    if context.spec.kind is not Kind.SCHEDULED:
        return ()
    fields: dict[str, object] = {
        "service": context.spec.name,
        "attempt": service.attempt,
        "succeeded": reason is Reason.SUCCESS,
        "reason": reason.value,
        "exit_code": service.exit_code,
        "duration_s": round(context.now - service.started_at, 6),
    }
    if service.run_at is not None:
        fields["scheduled_for"] = service.run_at
    return (Report("info" if reason in _NO_FAULT else "warning", "run_finished", fields),)


def _ended(context: Context, service: Service, reason: Reason) -> "Step":
    """Restart, or be completed or failed, as the policy says; a scheduled service waits for its next time."""
    spec = context.spec
    success = reason is Reason.SUCCESS
    if context.closing or not wants_restart(spec.restart, success=success):
        return _over(context, service, reason, success=success)
    recent = recent_restarts(spec.restart_limit, service.restarts, context.now)
    if limit_reached(spec.restart_limit, recent):
        # a service that ends too often has failed, even if each time with status 0
        return _over(context, replace(service, exit_code=service.exit_code or 1), Reason.RESTART_LIMIT, success=False)
    counted = replace(service, restarts=(*recent, context.now) if spec.restart_limit else ())
    return _back_off(context, counted, restart_delay(spec, service.streak, context.salt), reason)


def _over(context: Context, service: Service, reason: Reason, *, success: bool) -> "Step":
    """There is no restart."""
    if context.spec.kind is Kind.SCHEDULED and not context.closing:
        if service.queued is not None:
            return launch(context, replace(service, run_at=service.queued, queued=None, streak=0), Reason.SCHEDULE)
        return wait_for_schedule(service, reason)
    state = State.COMPLETED if success else State.FAILED
    return replace(service, state=state, reason=reason, desired=Desired.DOWN, ending=None, queued=None), ()


def _back_off(context: Context, service: Service, delay: float, reason: Reason) -> "Step":
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
    again = replace(service, streak=service.streak + 1, ending=None)
    if delay == 0:
        starting, effects = launch(context, again, reason)
        return starting, (report, *effects)
    return replace(again, state=State.BACKOFF, reason=reason, deadline=context.now + delay), (report,)


def delay_over(context: Context, service: Service, _: object) -> "Step":
    """The wait before the next start is over."""
    return launch(context, service, Reason.DELAY_OVER)


# -- told to end -----------------------------------------------------------------------------------------------------


def stop(context: Context, service: Service, event: ev.StopRequested) -> "Step":
    """The order to end, and the deadline after which it is no longer an order."""
    if service.pid is None:
        return stop_at_once(context, service, event)
    signal = context.spec.stop_signal or event.signal or SIGTERM
    down = replace(service, desired=Desired.DOWN, reason=event.reason, ending=None, stop_by=event.by, queued=None)
    return begin_stop(context, down, signal)


def restart(context: Context, service: Service, event: ev.RestartRequested) -> "Step":
    """The order to end and to start again."""
    if service.pid is None:
        return service, ()  # it is about to be spawned
    fresh = replace(service, desired=Desired.UP, reason=event.reason, ending=None, streak=0, restarts=())
    return begin_stop(context, fresh, context.spec.stop_signal or SIGTERM)


def begin_stop(context: Context, service: Service, signal: int) -> "Step":
    """The signal and the deadline; reason, ending and what is wanted are set already."""
    stopping = replace(service, state=State.STOPPING, frozen=False, held=None)
    deadline = context.now + context.spec.stop_timeout
    deadline = deadline if service.stop_by is None else min(deadline, service.stop_by)
    if deadline <= context.now:
        return kill(context, stopping, None)
    effects = (_signal(context, service, signal, wake=True),)
    awake = (Thaw(context.spec.name), thawed(context, service)) if service.frozen else ()
    return replace(stopping, deadline=deadline), (*awake, *effects)


def stop_again(context: Context, service: Service, event: ev.StopRequested) -> "Step":
    """Already told to end; a nearer deadline counts, and a restart that was under way is off."""
    nearest = [time for time in (service.deadline, event.by) if time is not None]
    deadline = None if service.killed else min(nearest, default=context.now + context.spec.stop_timeout)
    by = min((time for time in (service.stop_by, event.by) if time is not None), default=None)
    down = replace(service, desired=Desired.DOWN, reason=event.reason, deadline=deadline, stop_by=by, queued=None)
    if service.ending is Reason.ANNOUNCED:
        # it is going by itself and was not asked yet; whoever is asked may go faster
        signal = context.spec.stop_signal or event.signal or SIGTERM
        return replace(down, ending=None), (_signal(context, service, signal, wake=True),)
    return replace(down, ending=None), ()


def stop_at_once(_: Context, service: Service, event: ev.StopRequested) -> "Step":
    """There is no process: it is stopped by saying so."""
    return replace(_at_rest(service), reason=event.reason), ()


def kill_at_once(_: Context, service: Service, _event: ev.KillRequested) -> "Step":
    """There is no process to kill."""
    return _at_rest(service), ()


def _at_rest(service: Service) -> Service:
    return replace(
        service,
        state=State.STOPPED,
        desired=Desired.DOWN,
        reason=Reason.STOP,
        deadline=None,
        ending=None,
        need="",
        queued=None,
        next_run=None,
    )


def kill(context: Context, service: Service, _: object) -> "Step":
    """KILL, which nothing can refuse; from here on there is nothing to wait for but the kernel."""
    killed = replace(service, state=State.STOPPING, deadline=None, killed=True, frozen=False, held=None)
    return killed, (_signal(context, service, SIGKILL),)


def kill_order(context: Context, service: Service, event: ev.KillRequested) -> "Step":
    """The order to be dead, now."""
    if service.pid is None:
        return kill_at_once(context, service, event)
    return kill(context, replace(service, desired=Desired.DOWN, reason=Reason.STOP, ending=None, queued=None), event)


def up_again(_: Context, service: Service, _event: object) -> "Step":
    """Wanted up while it is stopping: it starts again when it is down."""
    return replace(service, desired=Desired.UP, ending=None, streak=0, restarts=()), ()


def _signal(context: Context, service: Service, signal: int, *, wake: bool = False) -> SendSignal:
    if service.pid is None:
        # can't happen: the callers have looked, and STOPPING is entered with a process only
        raise ImpossibleTransitionError(f"{context.spec.name}: has no process while {service.state.value}")
    return SendSignal(context.spec.name, service.pid, signal, context.spec.stop_scope, wake)


# -- a run of a schedule that meets the one before --------------------------------------------------------------------


def run_overlaps(context: Context, service: Service, event: ev.RunDue) -> "Step":
    """The run before is still under way."""
    if service.desired is Desired.DOWN:
        return service, ()
    schedule = context.spec.schedule
    overlap = Overlap.SKIP if schedule is None else schedule.overlap
    if overlap is Overlap.SKIP or (overlap is Overlap.QUEUE and service.queued is not None):
        return service, (skipped(context, event, "the run before is under way"),)
    queued = replace(service, queued=event.at)
    if overlap is Overlap.QUEUE or service.pid is None or service.state is State.STOPPING:
        return queued, ()
    replaced = replace(queued, desired=Desired.UP, reason=Reason.REPLACED, ending=None)
    return begin_stop(context, replaced, context.spec.stop_signal or SIGTERM)
