"""Orders to the daemon that arrive as signals, and signals for its services."""

from supervisor.core import events as ev
from supervisor.core.descent import Phase
from supervisor.core.effects import Effect, ReloadConfiguration, ReopenLogs, Report, SendSignal
from supervisor.core.signals import signal_name
from supervisor.core.spec import Forward, Ignore, Reload, Shutdown
from supervisor.core.spec import ReopenLogs as ReopenLogsAction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.fleet import Fleet


_WORDS: dict[type, str] = {
    Shutdown: "shutdown",
    Reload: "reload",
    ReopenLogsAction: "reopen-logs",
    Ignore: "ignore",
    Forward: "forward",
}
"""What a signal does, as its record says it."""


def signal_received(fleet: "Fleet", event: ev.SignalReceived, now: float) -> list[Effect]:
    """What a signal to the daemon does, as configured."""
    if fleet.phase is Phase.OVER:
        return []  # the exit code is out; nothing can be ordered any more
    action = fleet.spec.signals.get(event.signal, Ignore())
    word = "kill" if _is_repeated_order(fleet, event.signal, action) else _WORDS[type(action)]
    name = signal_name(event.signal)
    fields: dict[str, object] = {"signal": event.signal, "signal_name": name, "action": word}
    if event.sender:
        fields["sender_pid"] = event.sender
    report = Report("info", "signal_received", fields)
    match action:
        case Shutdown() if word == "kill":
            return [report, *fleet.descent.kill_all(now)]
        case Shutdown():
            signal = action.signal or event.signal
            effects = fleet.descent.order(f"signal {name}", signal, now)
            # the single command was sent another signal on its way down: it gets it as it came
            again = forward(fleet, signal, Forward()) if fleet.is_single() else []
            return [report, *(again if effects is None else effects)]
        case Forward():
            return [report, *forward(fleet, event.signal, action)]
        case Reload() | ReopenLogsAction() | Ignore():
            return [report, *_upkeep(fleet, action)]


def _upkeep(fleet: "Fleet", action: object) -> list[Effect]:
    """What is read or opened again; not on the way down, where it is about to be closed."""
    if fleet.phase is not Phase.UP:
        return []
    if isinstance(action, Reload):
        return [ReloadConfiguration()]
    return [ReopenLogs()] if isinstance(action, ReopenLogsAction) else []


def forward(fleet: "Fleet", signal: int, action: Forward) -> list[Effect]:
    """The signal for each service that it is meant for and that has a process."""
    return [
        SendSignal(name, service.pid, action.signal or signal, fleet.specs[name].stop_scope)
        for name, service in fleet.services.items()
        if service.pid is not None
        and (action.services is None or name in action.services or fleet.specs[name].base in action.services)
    ]


def signal_service(fleet: "Fleet", event: ev.SignalRequested) -> list[Effect]:
    """A signal that somebody wants one service to have."""
    service = fleet.services.get(event.service)
    if service is None or service.pid is None:
        return []  # it has ended by now
    scope = event.scope or fleet.specs[event.service].stop_scope
    return [SendSignal(event.service, service.pid, event.signal, scope)]


def _is_repeated_order(fleet: "Fleet", signal: int, action: object) -> bool:
    """Whether this is the second order to end: nobody wants to wait any longer.

    The single command is spared the KILL as long as the second signal is another one than the first: it gets
    every signal that we are sent, as it would from tini.
    """
    if not isinstance(action, Shutdown) or not fleet.descent.ordered:
        return False
    return not fleet.is_single() or (action.signal or signal) == fleet.descent.stop_signal
