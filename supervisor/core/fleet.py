"""All services together: the one place that assigns a service's state.

:class:`Fleet` is given events and the time, and answers with effects; it does nothing itself. An event is handled in
two phases: services step, and what their steps mean for others is put into a queue and worked off until nothing more
follows; only then is the whole looked at (the end, a pause), and only then does the shell carry anything out. So no
decision is made on half of the news, and nothing recurses.

Beside it: :mod:`~supervisor.core.needs` (who needs whom), :mod:`~supervisor.core.orders` (signals to the daemon),
:mod:`~supervisor.core.descent` (the way down), :mod:`~supervisor.core.reload` (a new configuration),
:mod:`~supervisor.core.turns` (orders to several services).
"""

from supervisor.core import events as ev
from supervisor.core.descent import Descent, Phase
from supervisor.core.effects import Effect, NotifyManager, Report
from supervisor.core.light import deque
from supervisor.core.needs import Graph, is_met
from supervisor.core.orders import signal_received, signal_service
from supervisor.core.service import Context, Service, is_at_ease
from supervisor.core.spec import FleetSpec, OnFailure, Until, WhenDone
from supervisor.core.states import AT_REST, HAS_PROCESS, Desired, Reason, State
from supervisor.core.table import step
from supervisor.core.turns import Turns

_Order = ev.StartRequested | ev.RestartRequested | ev.StopRequested | ev.KillRequested

_NEVER_UP = frozenset({State.STOPPED, State.FAILED})


class Fleet:
    """The services and the daemon's own course.

    Args:
        spec: what was asked for.
        salt: any number that differs from daemon to daemon; varies the restart delays.

    Attributes:
        specs: by instance; those that a reload has removed too, until they are down.
        services: the same instances.
        graph: who needs whom.
        alive: instances that have a process, or are about to, in the order in which they got it.
        descent: the way down.
        changed: instances that stepped since the shell last looked, for its timers and watches.
        stepped: instances that stepped in the present event.
        removed: instances that a reload has removed and that are not down yet.
        turns: orders that wait until others are down.
    """

    def __init__(self, spec: FleetSpec, *, salt: int = 0) -> None:
        self.spec = spec
        self.specs = dict(spec.services)
        self.services = {name: Service() for name in self.specs}
        self.graph = Graph(self.specs)
        self.alive: dict[str, None] = {}
        self.descent = Descent(self)
        self.changed: list[str] = []
        self.stepped: list[str] = []
        self.removed: set[str] = set()
        self.turns = Turns(self, self._carry_out)
        self._news: deque[tuple[str, Service]] = deque()  # who stepped, and what it was before
        self._active: set[str] = set()  # not at rest
        self._rising: set[str] = set(self.specs)  # neither up nor at rest yet
        self.salt = salt
        self._paused = False
        self._announced = False

    @property
    def phase(self) -> Phase:
        """Where the daemon is on its way down."""
        return self.descent.phase

    @property
    def deadline(self) -> float | None:
        """When the daemon itself has to go on; see :class:`Descent`."""
        return self.descent.deadline

    def start(self, now: float) -> list[Effect]:
        """Bring every service up; with none, pause."""
        self.stepped.clear()
        return self.bring_up(list(self.specs), now) + self._settle(now)

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
        self.stepped.clear()
        match event:
            case ev.SignalReceived():
                effects = signal_received(self, event, now)
            case ev.ShutdownRequested():
                effects = self.descent.order(event.reason, None, now) or []
            case ev.SignalRequested():
                effects = signal_service(self, event)
            case ev.FleetDeadlinePassed():
                effects = self.descent.deadline_passed(now)
            case ev.ChildrenGone():
                effects = self.descent.children_gone(now)
            case ev.DescendantsKilled():
                self.descent.killed += event.names
                effects = []
            case ev.Reconfigured():
                from supervisor.core.reload import reconfigure  # noqa: PLC0415 - off the start path

                effects = reconfigure(self, event, now)
            case ev.OrdersGiven():
                # on the way down all are stopped in this order anyway
                effects = self.turns.give(event.orders, now) if self.phase is Phase.UP else []
            case ev.StartRequested() | ev.RestartRequested() | ev.StopRequested() | ev.KillRequested():
                effects = self._order(event, now)
            case _:
                effects = self.apply(event, now)
        return effects + self._settle(now)

    @property
    def announced(self) -> bool:
        """Whether every service was up or had ended at one time, so that the manager above us was told."""
        return self._announced

    def wants_children_gone(self) -> bool:
        """Whether the end waits for the last child, so that the shell should say when there is none."""
        return self.descent.waits_for_children()

    def exit_code(self) -> int:
        """Exit code of the daemon; see :meth:`Descent.exit_code`."""
        return self.descent.exit_code()

    def is_single(self) -> bool:
        """Whether this is the single-command form."""
        main = self.specs.get(self.spec.main or "")
        return main is not None and main.transparent is not None

    # -- services ------------------------------------------------------------------------------------------------

    def adopt(self, spec: FleetSpec, removed: list[str]) -> None:
        """Take over the names of a new configuration; services that are new are at rest, and started by an event.

        Args:
            spec: the new one.
            removed: who is not in it any more, and is to be stopped.
        """
        self.spec = spec
        for name, service in spec.services.items():
            if name not in self.services:
                self.specs[name] = service
                self.services[name] = Service()
        self.removed.update(removed)
        leaving = {name: self.specs[name] for name in self.removed}
        self.graph = Graph(spec.services | leaving, leaving)

    def bring_up(self, names: list[str], now: float) -> list[Effect]:
        """Start these. Who needs others goes first: it waits before the news comes that it need not."""
        effects: list[Effect] = []
        for name in sorted(names, key=lambda name: name not in self.graph.needs):
            effects += self.apply(ev.StartRequested(name), now)
        return effects

    def apply(self, event: ev.ServiceEvent, now: float) -> list[Effect]:
        """Let one service step; the only assignment of a service's state."""
        name = event.service
        before = self.services.get(name)
        if before is None:
            return []  # a late timer or an order for a service that a reload has removed
        closing = self.phase is not Phase.UP
        context = Context(self.specs[name], now, self.salt, closing, "" if closing else self._missing(name))
        after, effects = step(context, before, event)
        if after is before:
            return list(effects)
        self.services[name] = after
        self.changed.append(name)
        self.stepped.append(name)
        if name in self.graph.dependents:
            self._news.append((name, before))
        if after.state is not before.state:
            self._sort(name, after)
        if after.killed and not before.killed and closing:
            self.descent.killed.append(name)
        # what a step reports before it does anything is what it was led to by: the cause stands before the change
        first = next((at for at, effect in enumerate(effects) if not isinstance(effect, Report)), len(effects))
        return [*effects[:first], *self._change_report(name, before, after), *effects[first:]]

    def _sort(self, name: str, service: Service) -> None:
        """Keep the sets that spare the daemon from looking at a thousand services for the news of one."""
        state = service.state
        if state in HAS_PROCESS:
            self.alive[name] = None
        else:
            self.alive.pop(name, None)
        resting = state in AT_REST
        (self._active.discard if resting else self._active.add)(name)
        up = resting or state is State.RUNNING or is_at_ease(service)
        (self._rising.discard if up else self._rising.add)(name)

    def _change_report(self, name: str, before: Service, after: Service) -> list[Effect]:
        if after.state is before.state:
            return []
        fields: dict[str, object] = {
            "service": name,
            "from": before.state.value,
            "to": after.state.value,
            "reason": after.reason.value,
        }
        if after.need:
            fields["need"] = after.need
        # the single command's end is told by our exit code
        alarming = after.state is State.FAILED and self.specs[name].transparent is None
        return [Report("error" if alarming else "info", "service_state_changed", fields)]

    # -- needs ---------------------------------------------------------------------------------------------------

    def _missing(self, name: str) -> str:
        """The first need of a service that is not met, or about to be stopped; empty when there is none."""
        held, needs = self.turns.held, self.graph.needs.get(name, ())
        return next((other for other, need in needs if other in held or not is_met(need, self.services[other])), "")

    def _order(self, event: _Order, now: float) -> list[Effect]:
        """An order to one service: it goes before all that was ordered of it, and of what it needs, but waits."""
        name = event.service
        rises = isinstance(event, ev.StartRequested | ev.RestartRequested)
        if rises and name in self.removed:
            return []  # what a reload has removed does not come back for an order that was late
        if name in self.turns.held and name not in self.removed:
            self.turns.call_off(name)
        if rises and self.turns.held:
            for other in self.graph.below(name):
                self.turns.call_off(other)
        return self._carry_out(event, now)

    def _carry_out(self, event: _Order, now: float) -> list[Effect]:
        """An order to start brings up what the service needs as well, unless that is up or has done its work."""
        if isinstance(event, ev.StopRequested | ev.KillRequested):
            return self.apply(event, now)
        service = self.services.get(event.service)
        if self.phase is not Phase.UP or service is None:
            return []
        effects = self.apply(event, now)
        if self.services[event.service].state is State.WAITING:
            for other in reversed(self.graph.below(event.service)):
                if self.services[other].state in _NEVER_UP and other not in self.turns.held:
                    effects += self.apply(ev.StartRequested(other), now)
        return effects

    def looked_at_again(self, name: str) -> None:
        """It was to be stopped, and is not any more, or is told now: those that wait for it or about it look again."""
        self.changed.append(name)
        if name in self.graph.dependents:
            self._news.append((name, self.services[name]))

    def _propagate(self, now: float) -> list[Effect]:
        """What the steps of services mean for those who need them, until nothing more follows."""
        effects: list[Effect] = []
        while self._news and self.phase is Phase.UP:
            name, before = self._news.popleft()
            after = self.services[name]
            if after.state is State.FAILED:
                effects += self._fail_dependents(name, now) if before.state is not State.FAILED else []
                continue
            restarts = before.pid is not None and after.pid is None and after.desired is Desired.UP
            for other, need in self.graph.dependents.get(name, ()):
                effects += self._need_stepped(other, now, restarts=restarts and need.restart_with)
        return effects

    def _need_stepped(self, name: str, now: float, *, restarts: bool) -> list[Effect]:
        """Something that this service needs has stepped; ``restarts`` when it is to restart with it, and it does."""
        service = self.services[name]
        if service.state is State.WAITING:
            return self.look_at_needs(name, now)
        if restarts and name not in self.removed and service.pid is not None and service.desired is Desired.UP:
            return self.apply(ev.RestartRequested(name, Reason.NEED_RESTARTED), now)
        return []

    def look_at_needs(self, name: str, now: float) -> list[Effect]:
        """Let a service start that waits for nothing any more."""
        service = self.services[name]
        if service.state is not State.WAITING or not service.need or self._missing(name):
            return []
        return self.apply(ev.NeedsMet(name), now)

    def _fail_dependents(self, name: str, now: float) -> list[Effect]:
        """All that need it, directly or not, have failed with it; told in the order in which they are to stop."""
        above = self.graph.above(name)
        lost = {name}
        for other in reversed(above):  # nobody before those it needs
            if self._is_lost_with(other, lost):
                lost.add(other)
        effects: list[Effect] = []
        for other in above:
            if other in lost:
                effects += self.apply(ev.NeedFailed(other, name), now)
        return effects

    def _is_lost_with(self, name: str, lost: set[str]) -> bool:
        """Whether it can't go on without one of these; what had to complete before a service ran is behind it."""
        service = self.services[name]
        if service.state in AT_REST:
            return False
        return any(
            other in lost and (service.pid is None or need.until is not Until.COMPLETED)
            for other, need in self.graph.needs.get(name, ())
        )

    # -- the whole -----------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> list[Effect]:
        """What follows from the states the services are in now: for each other, and for the daemon."""
        effects = self._propagate(now)
        if self.phase is Phase.UP:
            looked_at = 0
            while looked_at < len(self.stepped):
                fresh = self.stepped[looked_at:]
                looked_at = len(self.stepped)
                effects += self.turns.go_on(fresh, now) + self._propagate(now)
            self._forget_removed()
            effects += self._settle_up(now)
        else:
            effects += self.descent.settle(now)
        self._news.clear()
        return effects

    def _forget_removed(self) -> None:
        resting = [name for name in self.removed if self.services[name].state in AT_REST]
        # a task that has done its work tells who needs whom by way of it, as long as one of them is left
        gone = [name for name in resting if not self.descent.is_needed(name)]
        for name in gone:
            self.removed.discard(name)
            del self.services[name], self.specs[name]
            self._rising.discard(name)
            self.graph.forget(name)

    def _settle_up(self, now: float) -> list[Effect]:
        main = self.services.get(self.spec.main or "")
        if main is not None and main.state in (State.COMPLETED, State.FAILED):
            return self.descent.begin(f"main service {self.spec.main} has ended", main.exit_code, now)
        failed = self._failed_service()
        if failed is not None:
            return self.descent.begin(f"service {failed} has failed", self.services[failed].exit_code or 1, now)
        if self._active:
            self._paused = False
            return self._announce_ready()
        if self.services and self.spec.when_done is WhenDone.EXIT and not self._stopped_by_order():
            return self.descent.begin("every service has finished", 0, now)
        return [*self._announce_ready(), *self._pause()]

    def _announce_ready(self) -> list[Effect]:
        """READY=1 for the manager above us, once, when every service is up or has ended."""
        if self._announced or self._rising:
            return []
        self._announced = True
        return [NotifyManager("READY=1")]

    def _failed_service(self) -> str | None:
        if self.spec.on_failure is OnFailure.IGNORE:
            return None
        stepped = (name for name in self.stepped if name in self.services and name not in self.removed)
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
