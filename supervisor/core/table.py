"""The automaton of one service: every transition stands in :data:`TABLE`, and nowhere else.

A cell is a function that makes the next :class:`~supervisor.core.service.Service` and the effects, or :data:`IGNORED`
(it may happen, and means nothing here), or :data:`IMPOSSIBLE` (if it happens, a bug is reported and the state stays).
A test visits every pair of state and event.
"""

from supervisor.core import events as ev
from supervisor.core import fall, faults, rise, told
from supervisor.core.service import Context, ImpossibleTransitionError, Service
from supervisor.core.states import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.service import Handler, Step


def step(context: Context, service: Service, event: ev.ServiceEvent) -> "Step":
    """The service after the event, and what is to be done.

    Raises:
        ImpossibleTransitionError: the table says that this can't happen.
    """
    return TABLE[service.state][type(event)](context, service, event)


def IGNORED(_: Context, service: Service, _event: object) -> "Step":  # noqa: N802 - reads as a constant in the table
    """A cell: the event means nothing in this state."""
    return service, ()


def IMPOSSIBLE(context: Context, service: Service, event: object) -> "Step":  # noqa: N802 - reads as a constant
    """A cell: the event can't happen in this state."""
    raise ImpossibleTransitionError(f"{context.spec.name}: {type(event).__name__} while {service.state.value}")


_AT_REST: "dict[type, Handler]" = {
    ev.StartRequested: rise.start,
    ev.NeedsMet: IGNORED,
    ev.NeedFailed: IGNORED,
    ev.StopRequested: IGNORED,
    ev.RestartRequested: rise.start,
    ev.ReloadRequested: IGNORED,
    ev.KillRequested: IGNORED,
    ev.FreezeRequested: IGNORED,
    ev.Frozen: IMPOSSIBLE,
    ev.ThawRequested: IGNORED,
    ev.ProcessSpawned: IMPOSSIBLE,
    ev.SpawnFailed: IMPOSSIBLE,
    ev.ProcessExited: IMPOSSIBLE,
    ev.BecameReady: IGNORED,
    ev.ProbeFailed: IGNORED,
    ev.ProbeSucceeded: IGNORED,
    ev.Notified: IGNORED,
    ev.RunPlanned: IGNORED,
    ev.RunDue: IGNORED,
    ev.DeadlinePassed: IGNORED,
}

TABLE: "dict[State, dict[type, Handler]]" = {
    State.STOPPED: _AT_REST,
    State.COMPLETED: _AT_REST,
    State.FAILED: _AT_REST,
    State.WAITING: {
        ev.StartRequested: IGNORED,
        ev.NeedsMet: rise.needs_met,
        ev.NeedFailed: faults.need_failed,
        ev.StopRequested: fall.stop_at_once,
        ev.RestartRequested: rise.run_now,
        ev.ReloadRequested: IGNORED,
        ev.KillRequested: fall.kill_at_once,
        ev.FreezeRequested: IGNORED,
        ev.Frozen: IMPOSSIBLE,
        ev.ThawRequested: IGNORED,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: IMPOSSIBLE,
        ev.BecameReady: IGNORED,
        ev.ProbeFailed: IGNORED,
        ev.ProbeSucceeded: IGNORED,
        ev.Notified: IGNORED,
        ev.RunPlanned: rise.run_planned,
        ev.RunDue: rise.run_due,
        ev.DeadlinePassed: IGNORED,
    },
    State.STARTING: {
        ev.StartRequested: IGNORED,
        ev.NeedsMet: IGNORED,
        ev.NeedFailed: faults.need_failed,
        ev.StopRequested: fall.stop,
        ev.RestartRequested: fall.restart,
        ev.ReloadRequested: rise.reload,
        ev.KillRequested: fall.kill_order,
        ev.FreezeRequested: rise.freeze,
        ev.Frozen: rise.frozen,
        ev.ThawRequested: rise.thaw,
        ev.ProcessSpawned: rise.spawned,
        ev.SpawnFailed: fall.spawn_failed,
        ev.ProcessExited: fall.exited,
        ev.BecameReady: rise.became_ready,
        ev.ProbeFailed: IGNORED,
        ev.ProbeSucceeded: IGNORED,
        ev.Notified: told.notified,
        ev.RunPlanned: rise.run_planned,
        ev.RunDue: fall.run_overlaps,
        ev.DeadlinePassed: faults.start_timed_out,
    },
    State.RUNNING: {
        ev.StartRequested: IGNORED,
        ev.NeedsMet: IGNORED,
        ev.NeedFailed: faults.need_failed,
        ev.StopRequested: fall.stop,
        ev.RestartRequested: fall.restart,
        ev.ReloadRequested: rise.reload,
        ev.KillRequested: fall.kill_order,
        ev.FreezeRequested: rise.freeze,
        ev.Frozen: rise.frozen,
        ev.ThawRequested: rise.thaw,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: fall.exited,
        ev.BecameReady: IGNORED,
        ev.ProbeFailed: faults.probe_failed,
        ev.ProbeSucceeded: faults.probe_succeeded,
        ev.Notified: told.notified,
        ev.RunPlanned: IGNORED,
        ev.RunDue: IGNORED,
        ev.DeadlinePassed: faults.watchdog_late,
    },
    State.STOPPING: {
        ev.StartRequested: fall.up_again,
        ev.NeedsMet: IGNORED,
        ev.NeedFailed: faults.need_failed_again,
        ev.StopRequested: fall.stop_again,
        ev.RestartRequested: fall.up_again,
        ev.ReloadRequested: IGNORED,
        ev.KillRequested: fall.kill_order,
        ev.FreezeRequested: IGNORED,
        ev.Frozen: IMPOSSIBLE,
        ev.ThawRequested: IGNORED,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: fall.stopped,
        ev.BecameReady: IGNORED,
        ev.ProbeFailed: IGNORED,
        ev.ProbeSucceeded: IGNORED,
        ev.Notified: told.notified,
        ev.RunPlanned: rise.run_planned,
        ev.RunDue: fall.run_overlaps,
        ev.DeadlinePassed: fall.kill,
    },
    State.BACKOFF: {
        ev.StartRequested: rise.start_now,
        ev.NeedsMet: IGNORED,
        ev.NeedFailed: faults.need_failed,
        ev.StopRequested: fall.stop_at_once,
        ev.RestartRequested: rise.start_now,
        ev.ReloadRequested: IGNORED,
        ev.KillRequested: fall.kill_at_once,
        ev.FreezeRequested: IGNORED,
        ev.Frozen: IMPOSSIBLE,
        ev.ThawRequested: IGNORED,
        ev.ProcessSpawned: IMPOSSIBLE,
        ev.SpawnFailed: IMPOSSIBLE,
        ev.ProcessExited: IMPOSSIBLE,
        ev.BecameReady: IGNORED,
        ev.ProbeFailed: IGNORED,
        ev.ProbeSucceeded: IGNORED,
        ev.Notified: IGNORED,
        ev.RunPlanned: rise.run_planned,
        ev.RunDue: rise.run_due,
        ev.DeadlinePassed: fall.delay_over,
    },
}
"""State x event -> what happens. Complete: a missing pair fails a test, not a user."""
