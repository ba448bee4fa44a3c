"""Transitions on the way up: started, waiting for needs or for the time, spawned, ready; and frozen on the way."""

from supervisor.core import events as ev
from supervisor.core.effects import Freeze, Report, SendSignal, Spawn, Thaw
from supervisor.core.probes import describe
from supervisor.core.record import replace
from supervisor.core.service import Context, Service, is_running_at_once
from supervisor.core.spec import Kind, StopScope
from supervisor.core.states import Desired, Reason, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.effects import Effect
    from supervisor.core.service import Step


def start(context: Context, service: Service, _: ev.StartRequested) -> "Step":
    """An order to start: the past is forgotten, so that a failed service gets its full chances again."""
    fresh = replace(service, desired=Desired.UP, streak=0, restarts=(), deadline=None, need="")
    if context.spec.kind is Kind.SCHEDULED:
        return wait_for_schedule(fresh, Reason.SCHEDULE)
    return launch(context, fresh, Reason.START)


def start_now(context: Context, service: Service, _: object) -> "Step":
    """An order to start or restart what waits for its delay or its time: no need to wait any longer."""
    return launch(context, replace(service, desired=Desired.UP, streak=0, restarts=()), Reason.START)


def run_now(context: Context, service: Service, _: object) -> "Step":
    """An order to restart what waits: for its time, it runs now; for its needs, it goes on waiting."""
    if service.need:
        return service, ()
    return launch(context, replace(service, run_at=None), Reason.RESTART)


def launch(context: Context, service: Service, reason: Reason) -> "Step":
    """Spawn, or wait for what is missing."""
    if not context.missing:
        return spawn(context, service, reason)
    waiting = replace(service, state=State.WAITING, reason=Reason.NEEDS, need=context.missing, deadline=None)
    return waiting, ()


def spawn(context: Context, service: Service, reason: Reason) -> "Step":
    """Order the next process; all that was known of the one before is forgotten."""
    starting = replace(
        service,
        state=State.STARTING,
        reason=reason,
        deadline=None,
        stop_by=None,
        ending=None,
        need="",
        attempt=service.attempt + 1,
        killed=False,
        failures=0,
        healthy=True,
        reloading=False,
        reload_due=False,
        frozen=False,
        held=None,
        status_text="",
    )
    return starting, (Spawn(context.spec.name, starting.attempt),)


def wait_for_schedule(service: Service, reason: Reason) -> "Step":
    """A scheduled service with nothing to do; the shell plans its next run."""
    waiting = replace(service, state=State.WAITING, reason=reason, deadline=None, ending=None, need="", queued=None)
    return waiting, ()


def needs_met(context: Context, service: Service, _: ev.NeedsMet) -> "Step":
    """Nothing is missing any more."""
    if not service.need:
        return service, ()  # it waits for its time
    return spawn(context, service, Reason.NEEDS_MET)


def spawned(context: Context, service: Service, event: ev.ProcessSpawned) -> "Step":
    """Running at once where no readiness is configured; a task is ready when it has done its work."""
    starting = replace(service, pid=event.pid, started_at=context.now)
    if is_running_at_once(context.spec):
        return running(context, starting, Reason.SPAWNED)
    timeout = context.spec.start_timeout
    return replace(starting, deadline=None if timeout is None else context.now + timeout), ()


def running(context: Context, service: Service, reason: Reason) -> "Step":
    """Ready; the watchdog begins."""
    watchdog = context.spec.watchdog
    if service.frozen:  # what makes it ready was on its way already
        return replace(service, state=State.RUNNING, reason=reason, held=watchdog), ()
    deadline = None if watchdog is None else context.now + watchdog
    return replace(service, state=State.RUNNING, reason=reason, deadline=deadline), ()


def became_ready(context: Context, service: Service, event: ev.BecameReady) -> "Step":
    """What was probed is there."""
    return service_ready(context, service) if event.pid == service.pid else (service, ())


def service_ready(context: Context, service: Service) -> "Step":
    """From starting to running, by what the readiness depends on."""
    spec = context.spec
    up, _ = running(context, replace(service, reload_due=False), Reason.READY)
    fields: dict[str, object] = {
        "service": spec.name,
        "pid": service.pid,
        "probe": describe(spec.ready.probe) if spec.ready is not None else "",
        "duration_s": round(context.now - service.started_at, 6),
    }
    return up, (Report("info", "service_ready", fields), *(_reload_signal(context, up) if service.reload_due else ()))


def reload(context: Context, service: Service, event: ev.ReloadRequested) -> "Step":
    """What tells a program that goes on to read its own configuration again, when it is ready to be told.

    Before that it may have no handler yet, and would die of the signal; or it is reading what was there before.
    """
    if context.spec.reload_signal is None or event.pid != service.pid:
        return service, ()
    if service.state is State.STARTING and context.spec.ready is not None:
        return replace(service, reload_due=True), ()
    return service, _reload_signal(context, service)


def _reload_signal(context: Context, service: Service) -> "tuple[Effect, ...]":
    """To the main process alone, which tells its workers."""
    signal = context.spec.reload_signal
    if signal is None or service.pid is None:
        return ()
    return (SendSignal(context.spec.name, service.pid, signal, StopScope.PROCESS),)


def freeze(context: Context, service: Service, _: ev.FreezeRequested) -> "Step":
    """The order to stand still; it does when the kernel has taken it."""
    if service.pid is None or service.frozen:
        return service, ()
    return service, (Freeze(context.spec.name),)


def frozen(context: Context, service: Service, _: ev.Frozen) -> "Step":
    """It stands still, and so does its time: nobody who can't move is late, silent or unhealthy."""
    held = None if service.deadline is None else max(0.0, service.deadline - context.now)
    still = replace(service, frozen=True, held=held, deadline=None)
    return still, (Report("info", "service_frozen", {"service": context.spec.name, "pid": service.pid}),)


def thaw(context: Context, service: Service, _: object) -> "Step":
    """It goes on where it stood, and its deadlines with it."""
    if not service.frozen:
        return service, ()
    deadline = None if service.held is None else context.now + service.held
    moving = replace(service, frozen=False, held=None, deadline=deadline)
    return moving, (Thaw(context.spec.name), thawed(context, service))


def thawed(context: Context, service: Service) -> Report:
    """The record that it goes on."""
    return Report("info", "service_thawed", {"service": context.spec.name, "pid": service.pid})


def run_planned(_: Context, service: Service, event: ev.RunPlanned) -> "Step":
    """The next run of a scheduled service is known; it has failed when there will never be one."""
    if event.at is None and service.state is State.WAITING:
        failed = replace(service, state=State.FAILED, reason=Reason.NEVER_DUE, desired=Desired.DOWN, next_run=None)
        return replace(failed, exit_code=service.exit_code or 1), ()
    return replace(service, next_run=event.at), ()


def run_due(context: Context, service: Service, event: ev.RunDue) -> "Step":
    """A run begins, unless it comes too late or something it needs is missing: the next one comes by itself."""
    schedule = context.spec.schedule
    if schedule is not None and schedule.start_deadline is not None and event.late > schedule.start_deadline:
        return service, (skipped(context, event, "too late"),)
    if context.missing:
        return service, (skipped(context, event, f"{context.missing} is not there"),)
    return spawn(context, replace(service, streak=0, run_at=event.at), Reason.SCHEDULE)


def skipped(context: Context, event: ev.RunDue, reason: str) -> Report:
    """The record of a run that does not take place."""
    fields: dict[str, object] = {"service": context.spec.name, "scheduled_for": event.at, "reason": reason}
    return Report("warning", "run_skipped", fields)
