"""Needs: the graph itself, and a fleet that starts along it, stops against it, and fails with it."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core import events as ev
from supervisor.core.needs import Graph, find_cycles, is_met, layers
from supervisor.core.record import replace
from supervisor.core.reload import scaled
from supervisor.core.service import Service
from supervisor.core.signals import SIGTERM
from supervisor.core.spec import (
    FleetSpec,
    Kind,
    Need,
    OnFailure,
    Ready,
    Restart,
    ServiceSpec,
    TcpProbe,
    Until,
    WhenDone,
)
from supervisor.core.states import Reason, State
from tests.core.test_fleet import World, spec

STARTED, READY, COMPLETED = Need(Until.STARTED), Need(Until.READY), Need(Until.COMPLETED)
PROBED = Ready(TcpProbe("127.0.0.1", 80))
EXITED_3 = 3 << 8


def needing(
    name: str, *others: str, need: Need = READY, restart: Restart = Restart.NEVER, **changes: object
) -> ServiceSpec:
    """A service that needs others."""
    return spec(name, restart, needs=dict.fromkeys(others, need), **changes)


def chain() -> World:
    """Three services: web needs api, api needs db; no end of theirs is the daemon's."""
    services = needing("web", "api"), needing("api", "db"), spec("db")
    return World(*services, on_failure=OnFailure.IGNORE, when_done=WhenDone.PAUSE)


def graphs() -> st.SearchStrategy[dict[str, list[str]]]:
    """Any graph of up to eight names, cycles and unknown names included."""
    names = st.sampled_from("abcdefgh")
    return st.dictionaries(names, st.lists(st.sampled_from("abcdefghxyz"), max_size=4), max_size=8)


# -- the graph -------------------------------------------------------------------------------------------------------


@given(graphs())
def test_a_graph_has_layers_or_a_cycle(needs: dict[str, list[str]]) -> None:
    """Every graph either has an order, in which nobody stands before what it needs, or a cycle that is one."""
    cycles = find_cycles(needs)
    if cycles:
        with pytest.raises(ValueError, match="need each other"):
            layers(needs)
        for cycle in cycles:
            assert all(after in needs[before] for before, after in zip(cycle, cycle[1:] + cycle[:1], strict=True))
        return
    order = {name: number for number, layer in enumerate(layers(needs)) for name in layer}
    assert order.keys() == needs.keys()
    assert all(order[other] < order[name] for name in needs for other in needs[name] if other in needs)


def test_cycles_begin_with_who_is_defined_first() -> None:
    """A cycle of one, of two and of five, each found once."""
    assert find_cycles({"a": ["a"]}) == [["a"]]
    assert find_cycles({"a": ["b"], "b": ["a"], "c": ["a"]}) == [["a", "b"]]
    five = {name: [after] for name, after in zip("abcde", "bcdea", strict=True)}
    assert find_cycles({"z": ["c"], **five}) == [list("abcde")]


def random_needs(names: str, bits: int) -> dict[str, dict[str, Need]]:
    """Needs of these services, each of some of those before it: a bit says of each pair whether there is one."""
    pairs = [(a, b) for at, a in enumerate(names) for b in names[:at]]
    needs: dict[str, dict[str, Need]] = {name: {} for name in names}
    for number, (a, b) in enumerate(pairs):
        if bits >> number & 1:
            needs[a][b] = READY
    return needs


@given(st.integers(0, 2**28 - 1), st.sampled_from("abcdefgh"))
def test_who_is_forgotten_was_never_there(bits: int, gone: str) -> None:
    """The graph without one is the graph of the others."""
    specs = {name: spec(name, needs=needs) for name, needs in random_needs("abcdefgh", bits).items()}
    graph = Graph(specs)
    graph.forget(gone)
    others = Graph({name: specs[name] for name in specs if name != gone})
    assert (graph.needs, graph.dependents) == (others.needs, others.dependents)


def test_nobody_waits_for_who_leaves() -> None:
    """Those who leave need what they needed, each other too; nobody who stays needs them."""
    specs = {name: spec(name, needs=needs) for name, needs in random_needs("abc", 0b111).items()}
    graph = Graph(specs, leaving="b")
    assert {name: [other for other, _ in needs] for name, needs in graph.needs.items()} == {"b": ["a"], "c": ["a"]}
    assert Graph(specs, leaving="abc").needs == Graph(specs).needs


@given(st.integers(0, 2**28 - 1))
def test_closures_are_in_order(bits: int) -> None:
    """Above and below a service nobody stands on the wrong side of anybody."""
    names = "abcdefgh"
    needs = random_needs(names, bits)
    graph = Graph({name: spec(name, needs=needs[name]) for name in names})
    for name in names:
        below = graph.below(name)
        assert len(set(below)) == len(below)
        assert all(below.index(other) < below.index(b) for b in below for other in needs[b])
        above = graph.above(name)
        assert set(above) == {other for other in names if name in graph.below(other)}
        assert all(above.index(other) > above.index(a) for a in above for other in needs[a] if other in above)


def test_long_chains_do_not_recurse() -> None:
    """Ten thousand services in a row are walked as well as three."""
    names = [str(number) for number in range(10_000)]
    needs = {name: [before] for before, name in pairwise(names)} | {"0": []}
    assert len(layers({name: needs[name] for name in names[:500]})) == 500
    assert find_cycles(needs) == []
    assert find_cycles(needs | {"0": ["9999"]}) != []
    specs = {name: spec(name, needs=dict.fromkeys(needs[name], READY)) for name in names}
    assert Graph(specs).below("9999") == names[:-1]


@pytest.mark.parametrize(
    ("state", "pid", "met"),
    [
        (State.STOPPED, None, ()),
        (State.WAITING, None, ()),
        (State.STARTING, None, ()),
        (State.STARTING, 7, (STARTED,)),
        (State.RUNNING, 7, (STARTED, READY)),
        (State.STOPPING, 7, ()),
        (State.BACKOFF, None, ()),
        (State.COMPLETED, None, (STARTED, READY, COMPLETED)),
        (State.FAILED, None, ()),
    ],
)
def test_when_a_need_is_met(state: State, pid: int | None, met: tuple[Need, ...]) -> None:
    """How far each state is."""
    for need in (STARTED, READY, COMPLETED):
        assert is_met(need, Service(state=state, pid=pid)) is (need in met)


# -- the fleet -------------------------------------------------------------------------------------------------------


def test_starts_along_and_stops_against() -> None:
    """Nobody starts before what it needs, nobody is told to stop while somebody needs it, and the record names it."""
    world = chain()
    assert [r["service"] for r in world.reports("service_state_changed") if r["to"] == "running"] == [
        "db",
        "api",
        "web",
    ]
    waits = {str(r["service"]): r["need"] for r in world.reports("service_state_changed") if r["to"] == "waiting"}
    assert waits == {"web": "api", "api": "db"}
    world.send(ev.SignalReceived(SIGTERM))
    for name in ("web", "api", "db"):
        assert world.signals()[-1] == (name, SIGTERM)
        world.exits(name, SIGTERM)
    assert [name for name, _ in world.signals()] == ["web", "api", "db"]
    assert world.end() == 0


def test_layers_stop_together() -> None:
    """Within a layer everybody is told at once, and the next one when all of them are down."""
    world = World(needing("a", "db"), needing("b", "db"), spec("db"))
    world.send(ev.SignalReceived(SIGTERM))
    assert world.signals() == [("a", SIGTERM), ("b", SIGTERM)]
    world.exits("a", SIGTERM)
    assert len(world.signals()) == 2
    world.exits("b", SIGTERM)
    assert world.signals()[-1] == ("db", SIGTERM)


def test_a_completed_task_stands_between() -> None:
    """Who needs a task that needed a database needs the database too: it stops after them."""
    world = World(needing("app", "migrate"), needing("migrate", "db", kind=Kind.TASK), spec("db")).exits("migrate", 0)
    world.send(ev.SignalReceived(SIGTERM))
    assert world.signals() == [("app", SIGTERM)]
    assert world.exits("app", SIGTERM).signals()[-1] == ("db", SIGTERM)


def test_slow_layers_share_the_deadline() -> None:
    """At the shared deadline everybody left gets KILL, whoever's turn it was."""
    world = chain()
    world.send(ev.SignalReceived(SIGTERM)).advance_to_deadline()
    assert [pair for pair in world.signals() if pair[1] == 9] == [("web", 9), ("api", 9), ("db", 9)]


def test_task_before_its_users() -> None:
    """A plain need of a task, and one of its completion, wait for its success; it has to have run."""
    for need in (READY, COMPLETED):
        world = World(spec("migrate", kind=Kind.TASK), needing("web", "migrate", need=need))
        assert world.states() == {"migrate": State.STARTING, "web": State.WAITING}
        assert world.exits("migrate", 0).states() == {"migrate": State.COMPLETED, "web": State.RUNNING}


def test_readiness_is_waited_for() -> None:
    """A need of ready waits for the probe's answer, one of started does not."""
    world = World(
        spec("db", ready=PROBED), needing("early", "db", need=STARTED), needing("web", "db", restart=Restart.ALWAYS)
    )
    assert world.states() == {"db": State.STARTING, "early": State.RUNNING, "web": State.WAITING}
    world.send(ev.BecameReady("db", world.pids["db"]))
    assert world.states()["web"] is State.RUNNING


def test_need_that_fails_fails_its_dependents() -> None:
    """Those that wait and those that run, with the reason and the name of what failed; they stop in order."""
    world = chain().exits("db", EXITED_3)
    assert world.states() == {"web": State.STOPPING, "api": State.STOPPING, "db": State.FAILED}
    assert [name for name, _ in world.signals()] == ["web", "api"]
    world.exits("web", SIGTERM).exits("api", 0)
    assert set(world.states().values()) == {State.FAILED}
    failed = {str(r["service"]): r.get("need") for r in world.reports("service_state_changed") if r["to"] == "failed"}
    assert failed == {"db": None, "web": "db", "api": "db"}
    assert world.fleet.services["api"].reason is Reason.NEED_FAILED


def test_failed_task_fails_who_waits_for_it() -> None:
    """What could not be migrated is not served; and the daemon returns the task's own exit code."""
    world = World(spec("migrate", kind=Kind.TASK), needing("web", "migrate", need=COMPLETED)).exits("migrate", EXITED_3)
    assert world.states()["web"] is State.FAILED
    assert world.end() == 3


def test_completed_need_is_left_behind() -> None:
    """A task that is run again and fails then does not take down who runs already."""
    world = World(
        spec("migrate", kind=Kind.TASK),
        needing("web", "migrate", need=COMPLETED),
        on_failure=OnFailure.IGNORE,
    ).exits("migrate", 0)
    world.send(ev.StartRequested("migrate")).exits("migrate", EXITED_3)
    assert world.states() == {"migrate": State.FAILED, "web": State.RUNNING}


def test_need_that_restarts_leaves_dependents_alone() -> None:
    """Unless they ask for it: then they restart too, and wait for it to be back."""
    tied = Need(Until.READY, restart_with=True)
    world = World(
        spec("db", Restart.ALWAYS, restart_delay=1.0),
        needing("free", "db"),
        needing("tied", "db", need=tied),
    )
    world.exits("db", EXITED_3)
    assert world.states() == {"db": State.BACKOFF, "free": State.RUNNING, "tied": State.STOPPING}
    assert world.fleet.services["tied"].reason is Reason.NEED_RESTARTED
    world.exits("tied", SIGTERM)
    assert world.states()["tied"] is State.WAITING
    world.now += 2
    world.send(ev.DeadlinePassed("db"))
    assert set(world.states().values()) == {State.RUNNING}


def test_ordered_restart_takes_along_who_is_tied() -> None:
    """A restart by order is a restart; a stop that was ordered before is not undone by it."""
    tied = Need(Until.READY, restart_with=True)
    world = World(spec("db"), needing("a", "db", need=tied), needing("b", "db", need=tied))
    world.send(ev.StopRequested("b")).send(ev.RestartRequested("db")).exits("db", SIGTERM)
    assert world.states() == {"db": State.RUNNING, "a": State.STOPPING, "b": State.STOPPING}
    world.exits("a", SIGTERM).exits("b", SIGTERM)
    assert world.states() == {"db": State.RUNNING, "a": State.RUNNING, "b": State.STOPPED}


def test_who_restarts_waits_for_its_needs_again() -> None:
    """After its delay a service waits, if what it needs is away just then."""
    world = World(spec("db", Restart.ALWAYS, restart_delay=5.0), needing("web", "db", restart=Restart.ALWAYS))
    world.exits("db", EXITED_3).exits("web", EXITED_3)
    world.now += 1
    world.send(ev.DeadlinePassed("web"))
    assert world.states() == {"db": State.BACKOFF, "web": State.WAITING}
    world.now += 5
    world.send(ev.DeadlinePassed("db"))
    assert world.states() == {"db": State.RUNNING, "web": State.RUNNING}


def test_order_to_start_brings_up_what_is_needed() -> None:
    """All that is down on the way; what has completed is not run again; a stop stops just the one."""
    world = chain()
    for name in ("web", "api", "db"):
        world.send(ev.StopRequested(name)).exits(name, SIGTERM)
    assert set(world.states().values()) == {State.STOPPED}
    world.send(ev.StartRequested("web"))
    assert set(world.states().values()) == {State.RUNNING}
    world.send(ev.StopRequested("db"))
    assert world.states() == {"db": State.STOPPING, "api": State.RUNNING, "web": State.RUNNING}


def test_failed_need_can_be_brought_back_by_order() -> None:
    """Starting who failed with it starts what failed, too."""
    world = chain().exits("db", EXITED_3).exits("web", SIGTERM).exits("api", SIGTERM)
    world.send(ev.StartRequested("web"))
    assert set(world.states().values()) == {State.RUNNING}


def test_every_instance_is_needed() -> None:
    """A need of a replicated service is met when all its instances are there."""
    instances = [spec(f"db#{number}", base="db", ready=PROBED) for number in (1, 2)]
    world = World(*instances, needing("web", "db"))
    world.send(ev.BecameReady("db#1", world.pids["db#1"]))
    assert world.states()["web"] is State.WAITING
    world.send(ev.BecameReady("db#2", world.pids["db#2"]))
    assert world.states()["web"] is State.RUNNING


def test_records_come_in_the_order_of_what_happened() -> None:
    """Nobody's start is told before its waiting, however the services are written down."""
    world = chain()
    ways: dict[str, list[str]] = {}
    for record in world.reports("service_state_changed"):
        ways.setdefault(str(record["service"]), []).append(str(record["from"]))
    waited = ["stopped", "waiting", "starting"]
    assert ways == {"web": waited, "api": waited, "db": ["stopped", "starting"]}


def test_scaling() -> None:
    """More instances are started, fewer are stopped, and those that stay keep their process."""

    def template(number: int) -> ServiceSpec:
        return spec(f"w#{number}", base="w")

    two = FleetSpec(
        services={"a": spec("a"), **{f"w#{n}": template(n) for n in (1, 2)}, "z": spec("z")}, templates={"w": template}
    )
    four = scaled(two, "w", 4)
    assert list(four.services) == ["a", "w#1", "w#2", "w#3", "w#4", "z"]
    assert list(scaled(four, "w", 1).services) == ["a", "w#1", "z"]
    assert list(scaled(scaled(four, "w", 0), "w", 1).services) == ["a", "z", "w#1"]
    with pytest.raises(KeyError):
        scaled(two, "a", 2)
    world = World(*two.services.values(), templates=two.templates)
    before = dict(world.pids)
    world.send(ev.Reconfigured(scaled(world.fleet.spec, "w", 4)))
    assert {name: world.pids[name] for name in before} == before
    assert world.states()["w#4"] is State.RUNNING
    world.send(ev.Reconfigured(scaled(world.fleet.spec, "w", 1)))
    assert [name for name, _ in world.signals()] == ["w#2", "w#3", "w#4"]
    assert replace(world.fleet.spec, services={}).templates == two.templates


@pytest.mark.parametrize("seed", range(3))
def test_five_hundred_services_up_and_down(seed: int) -> None:
    """A random graph of 500 services comes up along its needs and goes down against them, every one of them."""
    draw = random.Random(seed)
    names = [f"s{number}" for number in range(500)]
    services = []
    for at, name in enumerate(names):
        others = draw.sample(names[:at], min(at, draw.randrange(4)))
        services.append(needing(name, *others, need=draw.choice([STARTED, READY]), kind=Kind.SERVICE))
    draw.shuffle(services)
    world = World(*services)
    assert set(world.states().values()) == {State.RUNNING}
    order = {name: at for at, name in enumerate(world.pids)}
    assert all(order[other] < order[s.name] for s in services for other in s.needs)
    world.send(ev.SignalReceived(SIGTERM))
    stopped: list[str] = []
    while world.pids:
        told = [name for name, _ in world.signals() if name in world.pids]
        assert told, "nobody was told to stop, and somebody is left"
        for name in told:
            world.exits(name, SIGTERM)
            stopped.append(name)
    order = {name: at for at, name in enumerate(stopped)}
    assert all(order[other] > order[s.name] for s in services for other in s.needs)
    assert world.end() == 0
