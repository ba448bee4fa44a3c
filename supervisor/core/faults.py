"""Transitions for what is found wrong with a service: too late to be ready, silent, unhealthy, or its need has failed.

Its process is ended, and what follows is its policy's, as after any other failure: ``Service.ending`` keeps why.
"""

from supervisor.core import events as ev
from supervisor.core.effects import Report
from supervisor.core.fall import begin_stop
from supervisor.core.probes import describe
from supervisor.core.record import replace
from supervisor.core.service import Context, Service
from supervisor.core.signals import SIGABRT, SIGTERM
from supervisor.core.spec import HealthAction
from supervisor.core.states import Desired, Reason, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.service import Step


def _end_for(context: Context, service: Service, why: Reason, signal: int | None = None) -> "Step":
    """End a process for what is wrong with it; its policy decides what follows."""
    wrong = replace(service, reason=why, ending=why)
    return begin_stop(context, wrong, signal or context.spec.stop_signal or SIGTERM)


def start_timed_out(context: Context, service: Service, _: ev.DeadlinePassed) -> "Step":
    """It was to be ready, or to have done its work, by now."""
    if service.pid is None or service.deadline is None:
        return service, ()
    return _end_for(context, service, Reason.START_TIMEOUT)


def watchdog_late(context: Context, service: Service, event: ev.DeadlinePassed) -> "Step":
    """The only deadline of a running service is its watchdog's."""
    return (service, ()) if service.deadline is None else watchdog_expired(context, service, event)


def watchdog_expired(context: Context, service: Service, event: ev.DeadlinePassed | ev.Notified) -> "Step":
    """It has not shown for too long that it is alive, or says itself that something is wrong.

    It gets ABRT, so that it can leave a core; systemd.service(5), ``WatchdogSignal=``.
    """
    fields: dict[str, object] = {"service": context.spec.name, "pid": service.pid}
    if context.spec.watchdog is not None and isinstance(event, ev.DeadlinePassed):
        fields["watchdog_s"] = context.spec.watchdog
    ending, effects = _end_for(context, service, Reason.WATCHDOG, SIGABRT)
    return ending, (Report("warning", "watchdog_expired", fields), *effects)


def probe_failed(context: Context, service: Service, event: ev.ProbeFailed) -> "Step":
    """A health probe failed: so many in a row, and the service is unhealthy."""
    health = context.spec.health
    if health is None or event.pid != service.pid:
        return service, ()  # the probe was under way when the process, or the configuration, was replaced
    counted = replace(service, failures=service.failures + 1)
    fields: dict[str, object] = {"service": context.spec.name, "pid": event.pid, "probe": event.probe}
    fields |= {"kind": "health", "error": event.error, "failures": counted.failures}
    report = Report("warning", "probe_failed", fields)
    if counted.failures < health.failures or not counted.healthy:
        return counted, (report,)
    unhealthy = replace(counted, healthy=False)
    effects = (report, _health_changed(context, unhealthy))
    if health.action is HealthAction.REPORT:
        return unhealthy, effects
    ending, more = _end_for(context, unhealthy, Reason.UNHEALTHY)
    return ending, (*effects, *more)


def probe_succeeded(context: Context, service: Service, event: ev.ProbeSucceeded) -> "Step":
    """A health probe succeeded."""
    if event.pid != service.pid or not service.failures:
        return service, ()
    well = replace(service, failures=0, healthy=True)
    return well, () if service.healthy else (_health_changed(context, well),)


def _health_changed(context: Context, service: Service) -> Report:
    fields: dict[str, object] = {"service": context.spec.name, "pid": service.pid, "healthy": service.healthy}
    if context.spec.health is not None:
        fields["probe"] = describe(context.spec.health.probe)
    return Report("info" if service.healthy else "error", "health_changed", fields)


def need_failed(context: Context, service: Service, event: ev.NeedFailed) -> "Step":
    """Something it needs has failed for good, and so does it; ``need`` says what."""
    if service.pid is None:
        failed = replace(service, state=State.FAILED, desired=Desired.DOWN, reason=Reason.NEED_FAILED, need=event.need)
        return replace(failed, deadline=None, queued=None, exit_code=1), ()
    return _end_for(context, replace(service, desired=Desired.DOWN, need=event.need), Reason.NEED_FAILED)


def need_failed_again(_: Context, service: Service, event: ev.NeedFailed) -> "Step":
    """It is ending already; now it will not come back, if it was to."""
    if service.desired is Desired.DOWN:
        return service, ()
    return replace(service, desired=Desired.DOWN, ending=Reason.NEED_FAILED, need=event.need), ()
