"""Transitions by what a service says of itself: sd_notify(3), one message at a time."""

from supervisor.core import events as ev
from supervisor.core.effects import Report
from supervisor.core.faults import watchdog_expired
from supervisor.core.record import replace
from supervisor.core.rise import service_ready, thaw
from supervisor.core.service import Context, Service, tells_readiness
from supervisor.core.states import Reason, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.service import Step


def notified(context: Context, service: Service, event: ev.Notified) -> "Step":
    """A message of sd_notify(3), all of its fields in the order in which they bear on each other."""
    if event.pid != service.pid:
        return service, ()  # it was sent by the process before, or about it
    told, effects = _told(context, service, event)
    for apply in (_told_stopping, _told_ready, _told_alive, _told_longer):
        told, more = apply(context, told, event)
        effects += more
    return told, effects


def _told(context: Context, service: Service, event: ev.Notified) -> "Step":
    told = replace(service, pid=event.main_pid or service.pid)
    if event.reloading or event.ready:
        told = replace(told, reloading=event.reloading)
    if event.status is None and event.error is None and event.main_pid is None:
        return told, ()
    fields: dict[str, object] = {"service": context.spec.name, "pid": told.pid}
    if event.status is not None:
        told = replace(told, status_text=event.status)
        fields["status"] = event.status
    if event.error is not None:
        fields["error_number"] = event.error
    return told, (Report("debug", "service_status", fields),)


def _told_stopping(context: Context, service: Service, event: ev.Notified) -> "Step":
    """It ends by itself, and gets as long as if it had been told to."""
    if not event.stopping or service.state is State.STOPPING:
        return service, ()
    moving, effects = thaw(context, service, event)  # it had said so already when it was frozen
    ending = replace(moving, state=State.STOPPING, reason=Reason.ANNOUNCED, ending=Reason.ANNOUNCED)
    return replace(ending, deadline=context.now + context.spec.stop_timeout), effects


def _told_ready(context: Context, service: Service, event: ev.Notified) -> "Step":
    if not event.ready or service.state is not State.STARTING or not tells_readiness(context.spec):
        return service, ()
    return service_ready(context, service)


def _told_alive(context: Context, service: Service, event: ev.Notified) -> "Step":
    if event.trigger and service.state is not State.STOPPING:
        return watchdog_expired(context, service, event)
    if not event.watchdog or service.state is not State.RUNNING or context.spec.watchdog is None or service.frozen:
        return service, ()
    # an extension that was granted stands
    return replace(service, deadline=max(service.deadline or 0.0, context.now + context.spec.watchdog)), ()


def _told_longer(context: Context, service: Service, event: ev.Notified) -> "Step":
    """EXTEND_TIMEOUT_USEC: whatever it is timed for now, it has that long from now at least."""
    if event.extend is None or service.deadline is None:
        return service, ()
    extended = max(service.deadline, context.now + event.extend)
    if service.state is State.STOPPING and service.stop_by is not None:
        extended = min(extended, service.stop_by)
    return replace(service, deadline=extended), ()
