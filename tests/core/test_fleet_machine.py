"""Random lives of a fleet on a fake clock, held to what must always be true."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.descent import LAST_GRACE, Phase
from supervisor.core.fleet import Fleet
from supervisor.core.needs import Graph, is_met
from supervisor.core.record import replace
from supervisor.core.signals import SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1
from supervisor.core.spec import (
    FleetSpec,
    Health,
    Kind,
    Need,
    NotifyProbe,
    OnFailure,
    Orphans,
    Overlap,
    Ready,
    Restart,
    RestartLimit,
    Schedule,
    ServiceSpec,
    StopScope,
    TcpProbe,
    Until,
    WhenDone,
)
from supervisor.core.states import AT_REST, HAS_DEADLINE, HAS_PROCESS, Desired, State

NAMES = ("a", "b", "c", "d", "e")
STATUSES = st.sampled_from([0, 1 << 8, 3 << 8, SIGTERM, SIGKILL, 11 | 128])
names = st.sampled_from(NAMES)

PROBE = TcpProbe("127.0.0.1", 80)
AT = "2026-01-31T12:00:00Z"

specs = st.builds(
    ServiceSpec,
    name=st.just(""),
    command=st.just(("x",)),
    kind=st.sampled_from([Kind.SERVICE, Kind.SERVICE, Kind.TASK]),
    ready=st.sampled_from([None, None, Ready(PROBE), Ready(NotifyProbe())]),
    start_timeout=st.sampled_from([None, 5.0, 60.0]),
    health=st.sampled_from([None, Health(PROBE, failures=2)]),
    watchdog=st.sampled_from([None, 30.0]),
    restart=st.sampled_from(list(Restart)),
    restart_delay=st.sampled_from([0.0, 0.2, 5.0]),
    restart_limit=st.one_of(st.none(), st.builds(RestartLimit, st.integers(1, 4), st.sampled_from([1.0, 60.0]))),
    stop_timeout=st.sampled_from([0.0, 1.0, 8.0, 100.0]),
    stop_scope=st.sampled_from(list(StopScope)),
)
fleets = st.builds(
    FleetSpec,
    main=st.sampled_from([None, *NAMES]),
    on_failure=st.sampled_from(list(OnFailure)),
    when_done=st.sampled_from(list(WhenDone)),
    drain_delay=st.sampled_from([0.0, 2.0, 100.0]),
    orphans=st.sampled_from([Orphans.TERMINATE, Orphans.WAIT]),
)


needs = st.builds(Need, st.sampled_from(list(Until)), st.booleans())
schedules = st.one_of(st.none(), st.builds(Schedule, cron=st.just("* * * * *"), overlap=st.sampled_from(list(Overlap))))


def arranged(
    services: list[ServiceSpec], edges: list[Need | None], schedule: Schedule | None
) -> dict[str, ServiceSpec]:
    """The services by name, each needing some of those before it; the last one perhaps scheduled."""
    named: dict[str, ServiceSpec] = {}
    pairs = iter(edges)
    for name, spec in zip(NAMES, services, strict=True):
        needed = {other: need for other in named if (need := next(pairs)) is not None}
        plain = {} if spec.kind is Kind.SERVICE else {"ready": None, "health": None, "watchdog": None}
        named[name] = replace(spec, name=name, needs=needed, **plain)
    if schedule is not None:
        planned = {"kind": Kind.SCHEDULED, "schedule": schedule, "ready": None, "health": None, "watchdog": None}
        named[NAMES[-1]] = replace(named[NAMES[-1]], **planned)
    return named


class FleetMachine(RuleBasedStateMachine):
    """The shell is simulated: processes live until a rule ends them, except that KILL always does."""

    @initialize(
        fleet=fleets,
        services=st.lists(specs, min_size=len(NAMES), max_size=len(NAMES)),
        edges=st.lists(st.one_of(st.none(), needs), min_size=10, max_size=10),
        schedule=schedules,
    )
    def build(
        self, fleet: FleetSpec, services: list[ServiceSpec], edges: list[Need | None], schedule: Schedule | None
    ) -> None:
        """Start with five random services, and needs among them at random."""
        named = arranged(services, edges, schedule)
        self.now = 1000.0
        self.next_pid = 2
        self.alive: dict[int, str] = {}
        self.orphans = 0
        self.restarts: dict[str, list[float]] = {name: [] for name in NAMES}
        self.spawned_after_shutdown = False
        self.finished: int | None = None
        self.fleet = Fleet(replace(fleet, services=named), salt=7)
        self.asked_before = dict.fromkeys(NAMES, False)
        self.shutdown_at: float | None = None
        self.perform(self.fleet.start(self.now))

    # -- the shell -----------------------------------------------------------------------------------------------

    def send(self, event: ev.Event) -> None:
        """Apply one event and everything that follows from it."""
        self.asked_before = {name: s.state is State.STOPPING for name, s in self.fleet.services.items()}
        self.perform(self.fleet.handle(event, self.now))
        if self.fleet.wants_children_gone() and not self.alive and not self.orphans:
            self.perform(self.fleet.handle(ev.ChildrenGone(), self.now))

    def perform(self, effects: list[fx.Effect]) -> None:
        """Carry out effects; answers come first."""
        todo = list(effects)
        while todo:
            effect = todo.pop(0)
            if isinstance(effect, fx.Spawn):
                todo[:0] = self.spawn(effect)
            elif isinstance(effect, fx.Freeze):
                todo[:0] = self.fleet.handle(ev.Frozen(effect.service), self.now)
            elif isinstance(effect, fx.SendSignal):
                assert self.alive[effect.pid] == effect.service, "a signal went to a process that is not the service's"
                self.check_stop_order(effect)
            elif isinstance(effect, fx.SignalDescendants) and effect.signal == SIGKILL:
                self.orphans = 0
            elif isinstance(effect, fx.Report) and effect.event == "shutdown_started":
                assert self.shutdown_at is None, "there is one shutdown"
                self.shutdown_at = self.now
            elif isinstance(effect, fx.Finish):
                assert self.finished is None, "the daemon ends once"
                self.finished = effect.exit_code

    def spawn(self, effect: fx.Spawn) -> list[fx.Effect]:
        """Start a process, if the core still wants it."""
        if not self.fleet.awaits_spawn(effect.service, effect.attempt):
            return []
        assert self.shutdown_at is None, "something was started on the way down"
        assert effect.service not in self.alive.values(), "two processes of one service"
        for other, need in self.fleet.specs[effect.service].needs.items():
            if other in self.fleet.spec.services:
                assert is_met(need, self.fleet.services[other]), "something was started before what it needs"
        pid, self.next_pid = self.next_pid, self.next_pid + 1
        self.alive[pid] = effect.service
        return self.fleet.handle(ev.ProcessSpawned(effect.service, pid), self.now)

    def check_stop_order(self, effect: fx.SendSignal) -> None:
        """On the way down nobody is asked to stop while somebody is alive that needs it, directly or not."""
        faulty = self.fleet.services[effect.service].ending is not None  # that goes before order
        if self.fleet.phase is Phase.STOPPING and effect.wake and not faulty and not self.asked_before[effect.service]:
            graph = Graph(self.fleet.spec.services)
            assert not set(graph.above(effect.service)) & set(self.alive.values()), "stopped before who needs it"

    # -- what may happen -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), status=STATUSES)
    def process_exits(self, data: st.DataObject, status: int) -> None:
        """Some main process ends."""
        pid = data.draw(st.sampled_from(sorted(self.alive)))
        self.send(ev.ProcessExited(self.alive.pop(pid), status))

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 10.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock goes on, and every deadline on the way is met in its order."""
        until = self.now + seconds
        while True:
            deadlines = [(s.deadline, name) for name, s in self.fleet.services.items() if s.deadline is not None]
            if self.fleet.deadline is not None:
                deadlines.append((self.fleet.deadline, ""))
            due = min((deadline for deadline in deadlines if deadline[0] <= until), default=None)
            if due is None:
                break
            self.now = max(self.now, due[0])
            self.send(ev.DeadlinePassed(due[1]) if due[1] else ev.FleetDeadlinePassed())
        self.now = until

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), well=st.booleans())
    def probe_answers(self, data: st.DataObject, well: bool) -> None:
        """A probe of some process has an answer."""
        pid = data.draw(st.sampled_from(sorted(self.alive)))
        name = self.alive[pid]
        if self.fleet.services[name].state is State.STARTING:
            self.send(ev.BecameReady(name, pid) if well else ev.Notified(name, pid, ready=True))
        else:
            self.send(ev.ProbeSucceeded(name, pid) if well else ev.ProbeFailed(name, pid, "tcp", "refused"))

    @precondition(lambda self: self.alive)
    @rule(
        data=st.data(),
        said=st.sampled_from(
            [
                {"stopping": True},
                {"watchdog": True},
                {"trigger": True},
                {"extend": 20.0},
                {"status": "x"},
                {"ready": True},
            ]
        ),
    )
    def service_says(self, data: st.DataObject, said: dict[str, Any]) -> None:
        """Some process says something of itself."""
        pid = data.draw(st.sampled_from(sorted(self.alive)))
        self.send(ev.Notified(self.alive[pid], pid, **said))

    @rule(late=st.sampled_from([0.0, 100.0]), last=st.booleans())
    def run_is_due(self, late: float, last: bool) -> None:
        """The time of the scheduled service has come, perhaps for the last time."""
        name = NAMES[-1]
        if (
            name in self.fleet.services
            and self.fleet.specs[name].schedule
            and self.fleet.services[name].desired is Desired.UP
        ):
            self.send(ev.RunDue(name, AT, late))
            self.send(ev.RunPlanned(name, None if last else AT))

    @rule(
        name=names,
        order=st.sampled_from(
            [ev.StartRequested, ev.StopRequested, ev.RestartRequested, ev.FreezeRequested, ev.ThawRequested]
        ),
    )
    def somebody_orders(
        self,
        name: str,
        order: type[ev.StartRequested | ev.StopRequested | ev.RestartRequested | ev.FreezeRequested | ev.ThawRequested],
    ) -> None:
        """A user starts, stops, restarts, freezes or thaws a service."""
        if self.shutdown_at is None:
            self.send(order(name))

    @rule(several=st.sets(names), order=st.sampled_from([ev.StopRequested, ev.RestartRequested]))
    def somebody_orders_several(self, several: set[str], order: type[ev.StopRequested | ev.RestartRequested]) -> None:
        """A user stops or restarts several services at once."""
        if self.shutdown_at is None:
            known = [name for name in sorted(several) if name in self.fleet.services]
            self.send(ev.OrdersGiven(tuple(map(order, known))))

    @rule(signal=st.sampled_from([SIGHUP, SIGUSR1, 34]))
    def harmless_signal(self, signal: int) -> None:
        """A signal that orders nothing."""
        self.send(ev.SignalReceived(signal))

    @rule(signal=st.sampled_from([SIGTERM, SIGINT]))
    def order_to_end(self, signal: int) -> None:
        """TERM or INT."""
        self.send(ev.SignalReceived(signal))

    @rule()
    def orphan_appears(self) -> None:
        """Somebody left a process behind."""
        if self.finished is None:
            self.orphans += 1

    @rule(name=names, delay=st.sampled_from([0.0, 0.2]))
    def reload_changes_one(self, name: str, delay: float) -> None:
        """A new configuration: one service changed."""
        services = dict(self.fleet.spec.services)
        kept = services[name].needs if name in services else {}
        services[name] = ServiceSpec(name=name, command=("y",), restart_delay=delay, needs=kept)
        self.send(ev.Reconfigured(replace(self.fleet.spec, services=services)))

    @rule(name=names)
    def reload_removes_one(self, name: str) -> None:
        """A new configuration: one service gone."""
        services = {other: spec for other, spec in self.fleet.spec.services.items() if other != name}
        self.send(ev.Reconfigured(replace(self.fleet.spec, services=services)))

    # -- what must be true ---------------------------------------------------------------------------------------

    @invariant()
    def table_and_world_agree(self) -> None:
        """The core believes in exactly the processes that there are, each in a state that has one."""
        believed = {s.pid: name for name, s in self.fleet.services.items() if s.pid is not None}
        assert believed == self.alive
        for service in self.fleet.services.values():
            assert (service.pid is not None) == (service.state in HAS_PROCESS)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Who is stopping is killed or has a deadline; who backs off has one; who rests has none.

        Who waits lacks something, or waits for its time.
        """
        for name, service in self.fleet.services.items():
            if service.state is State.WAITING:
                spec = self.fleet.specs[name]
                lacks = [
                    other
                    for other, need in spec.needs.items()
                    if other in self.fleet.spec.services
                    and (other in self.fleet.turns.held or not is_met(need, self.fleet.services[other]))
                ]
                assert lacks if service.need else spec.kind is Kind.SCHEDULED
            if service.state is State.STOPPING:
                assert service.killed or service.deadline is not None
            if service.state is State.BACKOFF:
                assert service.deadline is not None
            assert service.deadline is None or service.state in HAS_DEADLINE
            if service.frozen:
                assert service.state in (State.STARTING, State.RUNNING)
                assert service.deadline is None
            assert service.frozen or service.held is None
            if service.state in AT_REST:
                assert service.desired is Desired.DOWN

    @invariant()
    def nobody_is_held_for_nothing(self) -> None:
        """Who waits to stop waits for somebody that is stopping, or waits for such a one itself."""
        turns = self.fleet.turns
        for name in turns.held:
            before = list(turns.before(name))
            assert before
            assert any(self.fleet.services[other].state is State.STOPPING for other in before)
        assert not turns.held or self.fleet.phase is Phase.UP

    @invariant()
    def limits_are_kept(self) -> None:
        """No service has restarted more often than its limit allows."""
        for name, service in self.fleet.services.items():
            limit = self.fleet.specs[name].restart_limit
            if limit is not None:
                assert len([at for at in service.restarts if self.now - at < limit.within]) <= max(limit.count, 5)

    @invariant()
    def shutdown_ends(self) -> None:
        """A shutdown has a deadline at every moment until it is over, unless it was told to wait for orphans."""
        if self.shutdown_at is None or self.fleet.phase is Phase.LINGERING:
            return
        if self.finished is None:
            assert self.fleet.deadline is not None
            latest = self.shutdown_at + 2 * self.fleet.spec.shutdown_timeout + LAST_GRACE
            assert self.fleet.deadline <= max(latest, self.now + self.fleet.spec.shutdown_timeout)

    def teardown(self) -> None:
        """However it came here: TERM ends it, even if no process ever obeys."""
        if not hasattr(self, "fleet") or self.finished is not None:
            return
        self.send(ev.SignalReceived(SIGTERM))
        self.time_passes(self.fleet.spec.shutdown_timeout + LAST_GRACE + 1.0)
        assert self.finished is not None


FleetMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFleetMachine = FleetMachine.TestCase
