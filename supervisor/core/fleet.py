"""All services together: the main one, the end of all, and the way down.

:class:`Fleet` is the one place that assigns a service's state. It is given events and the time, and answers with
effects; it does nothing itself. The way down is a second, short automaton, :class:`Phase`:

``UP`` -> ``DRAINING`` (told everybody, not stopping yet) -> ``STOPPING`` (services get their stop signals) ->
``SWEEPING`` (every remaining descendant gets TERM, at the deadline KILL) -> ``OVER``. ``LINGERING`` stands beside
SWEEPING: descendants may finish by themselves.
"""

from enum import Enum

from supervisor.core import events as ev
from supervisor.core.effects import (
    CloseOutput,
    Effect,
    Finish,
    NotifyManager,
    ReloadConfiguration,
    ReopenLogs,
    Report,
    SendSignal,
    SignalDescendants,
)
from supervisor.core.service import Context, Service, step
from supervisor.core.signals import SIGINT, SIGKILL, SIGTERM, signal_name
from supervisor.core.spec import (
    FleetSpec,
    Forward,
    Ignore,
    OnFailure,
    Orphans,
    Reload,
    ServiceSpec,
    Shutdown,
    WhenDone,
)
from supervisor.core.spec import ReopenLogs as ReopenLogsAction
from supervisor.core.states import AT_REST, HAS_PROCESS, Desired, Reason, State
from supervisor.core.wait_status import term_signal

LAST_GRACE = 1.0
"""Seconds that the kernel gets to carry out a KILL before the daemon ends without having seen the last process go."""


class Phase(Enum):
    """Where the daemon is on its way down."""

    UP = "up"
    DRAINING = "draining"
    STOPPING = "stopping"
    LINGERING = "lingering"
    SWEEPING = "sweeping"
    OVER = "over"


_WORDS: dict[type, str] = {
    Shutdown: "shutdown",
    Reload: "reload",
    ReopenLogsAction: "reopen-logs",
    Ignore: "ignore",
    Forward: "forward",
}
"""What a signal does, as its record says it."""


class Fleet:
    """The services and the daemon's own course.

    Args:
        spec: what was asked for.
        salt: any number that differs from daemon to daemon; varies the restart delays.
    """

    def __init__(self, spec: FleetSpec, *, salt: int = 0) -> None:
        self.spec = spec
        self.phase = Phase.UP
        self.specs = dict(spec.services)
        self.services = {name: Service() for name in self.specs}
        self.deadline: float | None = None
        self.changed: list[str] = []  # services that stepped since the shell last looked, for its timers
        self._stepped: list[str] = []  # services that stepped in the present event
        self._salt = salt
        self._removed: set[str] = set()
        self._paused = False
        self._announced = False
        self._ordered = False
        self._stop_signal: int | None = None
        self._exit_code: int | None = None
        self._began = 0.0
        self._shutdown_by = 0.0
        self._killed: list[str] = []
        self._swept = False

    def start(self, now: float) -> list[Effect]:
        """Bring every service up; with none, pause."""
        effects: list[Effect] = []
        for name in self.specs:
            effects += self._apply(ev.StartRequested(name), now)
        return effects + self._settle(now)

    def awaits_spawn(self, name: str, attempt: int) -> bool:
        """Whether the service still wants the process of this attempt: an event in between may have stopped it."""
        service = self.services.get(name)
        return (
            service is not None
            and service.state is State.STARTING
            and service.pid is None
            and service.attempt == attempt
        )

    def handle(self, event: ev.Event, now: float) -> list[Effect]:
        """What is to be done about an event.

        Raises:
            ImpossibleTransitionError: a service can't have met this event; nothing has changed.
        """
        self._stepped.clear()
        match event:
            case ev.SignalReceived():
                effects = self._signal_received(event, now)
            case ev.ShutdownRequested():
                effects = self._order_shutdown(event.reason, None, now)
            case ev.SignalRequested():
                effects = self._signal_service(event)
            case ev.FleetDeadlinePassed():
                effects = self._deadline_passed(now)
            case ev.ChildrenGone():
                effects = self._children_gone(now)
            case ev.DescendantsKilled():
                self._killed += event.names
                effects = []
            case ev.Reconfigured():
                effects = self._reconfigure(event.spec, now)
            case _:
                effects = self._apply(event, now)
        return effects + self._settle(now)

    def wants_children_gone(self) -> bool:
        """Whether the end waits for the last child, so that the shell should say when there is none."""
        return self.phase in (Phase.SWEEPING, Phase.LINGERING)

    # -- services ------------------------------------------------------------------------------------------------

    def _apply(self, event: ev.ServiceEvent, now: float) -> list[Effect]:
        """Let one service step; the only assignment of a service's state."""
        name = event.service
        before = self.services.get(name)
        if before is None:
            return []  # a late timer or an order for a service that a reload has removed
        context = Context(self.specs[name], now, self._salt, self.phase is not Phase.UP)
        after, effects = step(context, before, event)
        self.services[name] = after
        self.changed.append(name)
        self._stepped.append(name)
        if after.killed and not before.killed and self.phase is not Phase.UP:
            self._killed.append(name)
        return [*self._change_report(name, before, after), *effects]

    def _change_report(self, name: str, before: Service, after: Service) -> list[Effect]:
        if after.state is before.state:
            return []
        fields: dict[str, object] = {
            "service": name,
            "from": before.state.value,
            "to": after.state.value,
            "reason": after.reason.value,
        }
        # the single command's end is told by our exit code
        alarming = after.state is State.FAILED and self.specs[name].transparent is None
        return [Report("error" if alarming else "info", "service_state_changed", fields)]

    def _settle(self, now: float) -> list[Effect]:
        """What follows from the states the services are in now: the end, a pause, or the next phase."""
        self._forget_removed()
        if self.phase is Phase.UP:
            return self._settle_up(now)
        if self.phase is Phase.STOPPING and not any(s.state in HAS_PROCESS for s in self.services.values()):
            return self._sweep(now)
        return []

    def _forget_removed(self) -> None:
        gone = [name for name in self._removed if self.services[name].state in AT_REST]
        for name in gone:
            self._removed.discard(name)
            del self.services[name], self.specs[name]

    def _settle_up(self, now: float) -> list[Effect]:
        main = self.services.get(self.spec.main or "")
        if main is not None and main.state in (State.COMPLETED, State.FAILED):
            return self._begin_shutdown(f"main service {self.spec.main} has ended", main.exit_code, now)
        failed = self._failed_service()
        if failed is not None:
            reason = f"service {failed} has failed"
            return self._begin_shutdown(reason, self.services[failed].exit_code or 1, now)
        if any(service.state not in AT_REST for service in self.services.values()):
            self._paused = False
            return self._announce_ready()
        if self.services and self.spec.when_done is WhenDone.EXIT and not self._stopped_by_order():
            return self._begin_shutdown("every service has finished", 0, now)
        return [*self._announce_ready(), *self._pause()]

    def _announce_ready(self) -> list[Effect]:
        """READY=1 for the manager above us, once, when every service is up or has ended."""
        if self._announced or any(
            s.state is not State.RUNNING and s.state not in AT_REST for s in self.services.values()
        ):
            return []
        self._announced = True
        return [NotifyManager("READY=1")]

    def _failed_service(self) -> str | None:
        if self.spec.on_failure is OnFailure.IGNORE:
            return None
        stepped = (name for name in self._stepped if name in self.services)
        return next((name for name in stepped if self.services[name].state is State.FAILED), None)

    def _stopped_by_order(self) -> bool:
        """A user who stopped the last service did not ask for the daemon's end."""
        return any(service.state is State.STOPPED for service in self.services.values())

    def _pause(self) -> list[Effect]:
        if self._paused:
            return []
        self._paused = True
        reason = "every service has finished" if self.services else "no service is configured"
        return [Report("info", "pause_entered", {"reason": reason})]

    # -- signals -------------------------------------------------------------------------------------------------

    def _signal_received(self, event: ev.SignalReceived, now: float) -> list[Effect]:
        if self.phase is Phase.OVER:
            return []  # the exit code is out; nothing can be ordered any more
        action = self.spec.signals.get(event.signal, Ignore())
        word = "kill" if self._is_repeated_order(event.signal, action) else _WORDS[type(action)]
        fields: dict[str, object] = {
            "signal": event.signal,
            "signal_name": signal_name(event.signal),
            "action": word,
        }
        if event.sender:
            fields["sender_pid"] = event.sender
        report = Report("info", "signal_received", fields)
        match action:
            case Shutdown() if word == "kill":
                return [report, *self._kill_all(now)]
            case Shutdown():
                return [
                    report,
                    *self._order_shutdown(f"signal {signal_name(event.signal)}", action.signal or event.signal, now),
                ]
            case Forward():
                return [report, *self._forward(event.signal, action)]
            case Reload() | ReopenLogsAction() if self.phase is Phase.UP:
                return [report, ReloadConfiguration() if isinstance(action, Reload) else ReopenLogs()]
            case _:
                return [report]

    def _is_repeated_order(self, signal: int, action: object) -> bool:
        """Whether this is the second order to end: nobody wants to wait any longer.

        The single command is spared the KILL as long as the second signal is another one than the first: it gets
        every signal that we are sent, as it would from tini.
        """
        if not isinstance(action, Shutdown) or not self._ordered:
            return False
        return not self._is_single() or (action.signal or signal) == self._stop_signal

    def _is_single(self) -> bool:
        main = self.specs.get(self.spec.main or "")
        return main is not None and main.transparent is not None

    def _forward(self, signal: int, action: Forward) -> list[Effect]:
        names = self.specs if action.services is None else action.services
        return [
            SendSignal(name, service.pid, action.signal or signal, self.specs[name].stop_scope)
            for name in names
            if (service := self.services.get(name)) is not None and service.pid is not None
        ]

    def _signal_service(self, event: ev.SignalRequested) -> list[Effect]:
        service = self.services.get(event.service)
        if service is None or service.pid is None:
            return []  # it has ended by now
        scope = event.scope or self.specs[event.service].stop_scope
        return [SendSignal(event.service, service.pid, event.signal, scope)]

    def _kill_all(self, now: float) -> list[Effect]:
        """No more patience: KILL for every service and everything that descends from us."""
        self.phase = Phase.STOPPING
        self.deadline = now + LAST_GRACE
        self._swept = True
        effects: list[Effect] = []
        for name in list(self.services):
            effects += self._apply(ev.KillRequested(name), now)
        return [*effects, SignalDescendants(SIGKILL)]

    # -- the way down --------------------------------------------------------------------------------------------

    def _order_shutdown(self, reason: str, signal: int | None, now: float) -> list[Effect]:
        """An order from outside: TERM, INT, or a command."""
        if self._ordered:
            # the single command was sent another signal on its way down: it gets it as it came
            return self._forward(signal, Forward()) if signal and self._is_single() else []
        self._ordered = True
        self._stop_signal = signal
        if self.phase is Phase.UP:
            return self._begin_shutdown(reason, None, now)
        if self.phase is Phase.LINGERING:
            return self._sweep_now(now)
        return []

    def _begin_shutdown(self, reason: str, exit_code: int | None, now: float) -> list[Effect]:
        self._began = now
        self._shutdown_by = now + self.spec.shutdown_timeout
        main = self.services.get(self.spec.main or "")
        # an ordered shutdown asks the main service for its code, unless it is not there to answer
        self._exit_code = 0 if exit_code is None and (main is None or main.pid is None) else exit_code
        effects: list[Effect] = [Report("info", "shutdown_started", {"reason": reason}), NotifyManager("STOPPING=1")]
        self.phase = Phase.DRAINING
        for name, service in self.services.items():
            if service.pid is None:
                effects += self._apply(ev.StopRequested(name, Reason.SHUTDOWN), now)
        drain = min(self.spec.drain_delay, self.spec.shutdown_timeout)
        if drain > 0 and any(service.state in HAS_PROCESS for service in self.services.values()):
            self.deadline = now + drain
            return effects
        return effects + self._stop_services(now)

    def _stop_services(self, now: float) -> list[Effect]:
        self.phase = Phase.STOPPING
        self.deadline = self._shutdown_by
        signal = self._stop_signal if self._is_single() or self._stop_signal in (SIGTERM, SIGINT) else None
        effects: list[Effect] = []
        for name in list(self.services):
            effects += self._apply(ev.StopRequested(name, Reason.SHUTDOWN, signal, self._shutdown_by), now)
        return effects + self._settle(now)

    def _sweep(self, now: float) -> list[Effect]:
        """Services are down; what is left are descendants that nobody configured."""
        if self.spec.orphans is Orphans.LEAVE:
            return self._finish(now)
        if self.spec.orphans is Orphans.WAIT and not self._ordered:
            self.phase = Phase.LINGERING
            self.deadline = None
            return []
        return self._sweep_now(now)

    def _sweep_now(self, now: float) -> list[Effect]:
        lingered = self.phase is Phase.LINGERING
        self.phase = Phase.SWEEPING
        if self._swept:
            return []  # KILL is out already
        self.deadline = now + self.spec.shutdown_timeout if lingered else max(self._shutdown_by, now)
        return [SignalDescendants(SIGTERM)]

    def _deadline_passed(self, now: float) -> list[Effect]:
        """The daemon's deadline: the end of the drain, the shutdown's deadline, or the last grace after KILL."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.phase is Phase.DRAINING:
            return self._stop_services(now)
        if self._swept:
            return self._finish(now)
        if self.phase is Phase.STOPPING:
            return self._kill_all(now)
        self._swept = True
        self.deadline = now + LAST_GRACE
        return [SignalDescendants(SIGKILL)]

    def _children_gone(self, now: float) -> list[Effect]:
        return self._finish(now) if self.wants_children_gone() else []

    def _finish(self, now: float) -> list[Effect]:
        self.phase = Phase.OVER
        self.deadline = None
        code = self.exit_code()
        fields: dict[str, object] = {
            "exit_code": code,
            "duration_s": round(now - self._began, 6),
            "killed": list(dict.fromkeys(self._killed)),
        }
        report = Report("warning" if self._killed else "info", "shutdown_finished", fields)
        return [CloseOutput(), report, Finish(code)]

    def exit_code(self) -> int:
        """Exit code of the daemon, by the contract: who decided the end also decides the code.

        A shutdown that was ordered returns 0, or the exit code that the main service chose; a main service that died
        by the signal we sent counts as 0. The single-command form returns the command's status whatever it is.
        """
        if self._exit_code is not None:
            return self._exit_code
        main = self.services.get(self.spec.main or "")
        if main is None or main.status is None:
            return 0
        if term_signal(main.status) and not self._is_single():
            return 0
        return main.exit_code

    # -- reload --------------------------------------------------------------------------------------------------

    def _reconfigure(self, spec: FleetSpec, now: float) -> list[Effect]:
        """Only what changed is touched: others keep their process."""
        if self.phase is not Phase.UP:
            return []
        added, changed, removed = compare(self.specs, spec.services)
        self.spec = spec
        effects: list[Effect] = []
        for name in self._removed.intersection(spec.services):
            # removed by one reload and back by the next, before it was down
            self._removed.discard(name)
            effects += self._apply(ev.StartRequested(name), now)
        for name in removed:
            self._removed.add(name)
            effects += self._apply(ev.StopRequested(name, Reason.RELOAD), now)
        for name in changed:
            effects += self._apply_new_spec(name, spec.services[name], now)
        for name in added:
            self.specs[name] = spec.services[name]
            self.services[name] = Service()
            effects += self._apply(ev.StartRequested(name), now)
        fields: dict[str, object] = {"added": added, "changed": changed, "removed": removed}
        return [Report("info", "config_reloaded", fields), *effects]

    def _apply_new_spec(self, name: str, spec: ServiceSpec, now: float) -> list[Effect]:
        """Stop by the old settings, start by the new ones; what an order stopped stays stopped."""
        wanted = self.services[name].desired is Desired.UP or self.services[name].state in (
            State.COMPLETED,
            State.FAILED,
        )
        effects = self._apply(ev.RestartRequested(name, Reason.RELOAD), now) if wanted else []
        self.specs[name] = spec
        return effects


def compare(old: dict[str, ServiceSpec], new: dict[str, ServiceSpec]) -> tuple[list[str], list[str], list[str]]:
    """Names of the services that were added, changed and removed, in the order of their definition."""
    added = [name for name in new if name not in old]
    changed = [name for name in new if name in old and new[name] != old[name]]
    removed = [name for name in old if name not in new]
    return added, changed, removed
