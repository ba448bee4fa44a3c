"""Orders to several services: who is told when, and what goes before."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.signals import SIGTERM
from supervisor.core.spec import Kind, Need, OnFailure, Ready, Restart, ServiceSpec, TcpProbe, Until
from supervisor.core.states import State
from tests.core.test_fleet import World, spec

ENDED = SIGTERM
IGNORE = OnFailure.IGNORE


def needing(name: str, *needed: str, **changes: object) -> ServiceSpec:
    """A service that needs others."""
    return spec(name, **{"restart": Restart.ALWAYS, "needs": {other: Need() for other in needed}, **changes})  # type: ignore[arg-type]


def chain() -> World:
    """The proxy needs the application, and that the database."""
    return World(needing("db"), needing("app", "db"), needing("proxy", "app"))


def stop(world: World, *names: str) -> World:
    """Stop several."""
    return world.send(ev.OrdersGiven(tuple(map(ev.StopRequested, names))))


def restart(world: World, *names: str) -> World:
    """Restart several."""
    return world.send(ev.OrdersGiven(tuple(map(ev.RestartRequested, names))))


def told(world: World) -> list[str]:
    """Who was told to stop, in this order."""
    return [name for name, _ in world.signals()]


def test_a_stop_goes_against_the_needs() -> None:
    """Each is told when the one that needs it is gone."""
    world = stop(chain(), "db", "app", "proxy")
    assert (told(world), list(world.fleet.turns.held)) == (["proxy"], ["db", "app"])
    assert list(world.fleet.turns.before("db")) == ["app", "proxy"]
    assert told(world.exits("proxy", ENDED)) == ["proxy", "app"]
    assert told(world.exits("app", ENDED)) == ["proxy", "app", "db"]
    assert set(world.exits("db", ENDED).states().values()) == {State.STOPPED}


def test_a_restart_comes_up_by_the_needs() -> None:
    """Down from the top, up from the bottom; nobody is up on what is about to go."""
    world = restart(chain(), "proxy", "app", "db").exits("proxy", ENDED)
    assert world.states() == {"db": State.RUNNING, "app": State.STOPPING, "proxy": State.WAITING}
    world.exits("app", ENDED)
    assert world.states() == {"db": State.STOPPING, "app": State.WAITING, "proxy": State.WAITING}
    world.exits("db", ENDED)
    assert set(world.states().values()) == {State.RUNNING}
    changes = [fields["service"] for fields in world.reports("service_state_changed") if fields["to"] == "running"]
    assert changes[3:] == ["db", "app", "proxy"]


def test_by_way_of_those_that_are_not_meant() -> None:
    """Be it a task that has done its work, or a service that goes on."""
    task = needing("migrate", "db", kind=Kind.TASK, restart=Restart.NEVER)
    app = spec("app", needs={"migrate": Need(Until.COMPLETED)})
    world = World(needing("db"), task, app).exits("migrate", 0)
    assert told(stop(world, "db", "app")) == ["app"]
    assert told(world.exits("app", ENDED)) == ["app", "db"]
    world = chain()
    assert told(stop(world, "db", "proxy")) == ["proxy"]
    assert told(world.exits("proxy", ENDED)) == ["proxy", "db"]
    assert world.states()["app"] is State.RUNNING


def test_a_task_that_is_done_is_done_again() -> None:
    """It waits for its turn in a restart of all, and whoever needs its work for it."""
    task = needing("migrate", "db", kind=Kind.TASK, restart=Restart.NEVER)
    app = spec("app", needs={"migrate": Need(Until.COMPLETED)})
    world = World(needing("db"), task, app).exits("migrate", 0)
    restart(world, "db", "migrate", "app").exits("app", ENDED)
    assert world.states() == {"db": State.STOPPING, "migrate": State.WAITING, "app": State.WAITING}
    world.exits("db", ENDED)
    assert world.states() == {"db": State.RUNNING, "migrate": State.STARTING, "app": State.WAITING}
    assert world.exits("migrate", 0).states()["app"] is State.RUNNING


def test_one_alone_is_told_at_once() -> None:
    """An order to one service goes before the order to several, and is of that one."""
    world = stop(chain(), "db", "app", "proxy").send(ev.StopRequested("db"))
    assert told(world) == ["proxy", "db"]
    assert told(world.exits("db", ENDED).exits("proxy", ENDED)) == ["proxy", "db", "app"]


def test_a_start_calls_off_what_it_needs() -> None:
    """Who is to be up again keeps what it needs."""
    world = stop(chain(), "db", "app", "proxy").send(ev.StartRequested("app"))
    assert list(world.fleet.turns.held) == []
    world.exits("proxy", ENDED)
    assert world.states() == {"db": State.RUNNING, "app": State.RUNNING, "proxy": State.STOPPED}


def test_a_stop_and_a_start_of_who_is_going() -> None:
    """It comes back when it is down, and what it needs was never told."""
    world = stop(chain(), "db", "app", "proxy").send(ev.StartRequested("proxy"))
    assert set(world.exits("proxy", ENDED).states().values()) == {State.RUNNING}
    assert told(world) == ["proxy"]


def test_who_dies_while_it_is_held() -> None:
    """It does not come back on what is about to go; of a stop it is stopped, of a restart it waits its turn."""
    world = stop(chain(), "db", "app", "proxy").exits("app", 1 << 8)
    assert world.states() == {"db": State.RUNNING, "app": State.STOPPED, "proxy": State.STOPPING}
    world = restart(chain(), "db", "app", "proxy").exits("app", 1 << 8)
    assert (world.states()["app"], list(world.fleet.turns.held)) == (State.BACKOFF, ["db", "app"])
    world.exits("proxy", ENDED)
    assert world.states() == {"db": State.STOPPING, "app": State.WAITING, "proxy": State.WAITING}


def test_others_that_need_what_is_held() -> None:
    """Who is not meant goes on; if it dies it waits, and starts when what it needs is there after all."""
    world = World(needing("db"), needing("app", "db"), needing("other", "db", restart_delay=0.0))
    stop(world, "db", "app").exits("other", 1 << 8)
    assert world.states()["other"] is State.WAITING
    assert world.send(ev.StartRequested("db")).states()["other"] is State.RUNNING
    world.exits("app", ENDED)
    assert world.states() == {"db": State.RUNNING, "app": State.STOPPED, "other": State.RUNNING}


def test_a_failed_service_brings_up_what_it_needs() -> None:
    """As an order to it alone does."""
    world = World(needing("db"), spec("app", needs={"db": Need()}), spec("x"), on_failure=IGNORE)
    world.exits("app", 1 << 8).send(ev.StopRequested("db")).exits("db", ENDED)
    restart(world, "app", "x")
    assert world.states()["app"] is State.RUNNING
    assert world.states()["db"] is State.RUNNING


def test_a_reload_in_the_middle() -> None:
    """What it removes still waits for its turn, by the needs as they were; what is gone from the needs holds nobody."""
    world = stop(chain(), "db", "app", "proxy")
    services = {name: one for name, one in world.spec.services.items() if name != "app"}
    services["proxy"] = replace(services["proxy"], needs={})
    world.send(ev.Reconfigured(replace(world.spec, services=services)))
    assert told(world) == ["proxy", "app"]
    assert told(world.exits("app", ENDED)) == ["proxy", "app", "db"]
    assert list(world.fleet.services) == ["db", "proxy"]


def test_what_is_removed_does_not_come_back() -> None:
    """A restart of several that comes late is none of what a reload has removed, and is still stopping."""
    world = World(needing("db"), needing("app", "db"), spec("x"))
    services = {name: one for name, one in world.spec.services.items() if name != "app"}
    world.send(ev.Reconfigured(replace(world.spec, services=services)))
    restart(world, "app", "x", "db")
    world.exits("x", ENDED).exits("app", ENDED)
    assert world.states() == {"db": State.STOPPING, "x": State.RUNNING}
    assert world.exits("db", ENDED).states() == {"db": State.RUNNING, "x": State.RUNNING}


def test_who_has_no_process_holds_nobody_up() -> None:
    """A whole chain that waits and is told at once, beside a service that is not meant: whom both need is told, too."""
    slow = spec("slow", ready=Ready(TcpProbe("127.0.0.1", 80)))
    app = needing("app", "db")
    chain = needing("a", "app", "slow"), needing("b", "a", "slow"), needing("c", "b", "slow")
    world = World(slow, needing("db"), app, *chain, needing("d", "app", "slow"))
    assert told(restart(world, "db", "a", "b", "d", "c")) == ["db"]
    assert not world.fleet.turns.held


def test_a_shutdown_in_the_middle() -> None:
    """It goes on in its own order, which is the same."""
    world = restart(chain(), "db", "app", "proxy").send(ev.SignalReceived(SIGTERM))
    assert list(world.fleet.turns.held) == []
    for name in ("proxy", "app", "db"):
        assert told(world)[-1] == name
        world.exits(name, ENDED)
    assert stop(world, "db", "app").end() == 0


def test_a_long_chain_is_told_one_by_one() -> None:
    """However long it is: nothing recurses."""
    names = [f"s{number}" for number in range(300)]
    world = World(*(needing(name, *names[max(0, at - 1) : at]) for at, name in enumerate(names)))
    world.effects.clear()
    stop(world, *names)
    for name in reversed(names):
        assert told(world) == [name]
        world.effects.clear()
        world.exits(name, ENDED)
    assert set(world.states().values()) == {State.STOPPED}


SIZE = 7


@given(
    edges=st.sets(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE))),
    meant=st.sets(st.integers(0, SIZE), min_size=1),
    ends=st.lists(st.integers(0, SIZE), min_size=40, max_size=40),
    again=st.booleans(),
)
def test_any_graph(edges: set[tuple[int, int]], meant: set[int], ends: list[int], again: bool) -> None:
    """Each that is meant is told once, after all that need it and are meant; nobody else is; all come up again."""
    needs = {high: {low for h, low in edges if low < h == high} for high in range(SIZE + 1)}
    below = {high: set(low) for high, low in needs.items()}
    for high in range(SIZE + 1):  # those below have smaller numbers, so theirs are complete
        below[high] |= {farther for low in needs[high] for farther in below[low]}
    world = World(*(needing(str(number), *map(str, sorted(needs[number]))) for number in range(SIZE + 1)))
    (restart if again else stop)(world, *map(str, sorted(meant)))
    gone: set[int] = set()
    for pick in ends:
        stopping = [int(name) for name, state in world.states().items() if state is State.STOPPING]
        if not stopping:
            break
        end = stopping[pick % len(stopping)]
        for number in map(int, told(world)):
            assert not any(number in below[other] for other in meant - gone - {number}) or number in gone
        gone.add(end)
        world.exits(str(end), ENDED)
    assert sorted(map(int, told(world))) == sorted(meant)
    assert not world.fleet.turns.held
    up = {number for number in range(SIZE + 1) if again or number not in meant}
    assert {int(name) for name, state in world.states().items() if state is State.RUNNING} == up
    spawned = [effect.service for effect in world.effects if isinstance(effect, fx.Spawn)]
    assert len(spawned) == SIZE + 1 + (len(meant) if again else 0)
