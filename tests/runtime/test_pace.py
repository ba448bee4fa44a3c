"""How often dead orphans are looked for."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.signals import SIGCHLD
from supervisor.runtime.pace import INTERVAL, Pace
from tests.runtime.fakes import Failpoints, FakeClock, FakeLoop, FakeSignals


class World:
    """A pace, and what it acts on."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.failpoints = Failpoints()
        self.loop = FakeLoop(self.clock)
        self.signals = FakeSignals(self.failpoints)
        self.pace = Pace(self.loop, self.signals)

    def look(self) -> bool:
        """Look, and find orphans; whether the next look has to wait."""
        self.pace.looked(self.clock.now)
        return bool(self.signals.held_back)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_in_the_long_run_one_each_interval(gaps: list[float]) -> None:
    """Whoever waits as told looks so often at most, beside a few at once."""
    world = World()
    for gap in gaps:
        world.clock.now += gap
        if world.look():
            world.loop.advance(INTERVAL)
            assert not world.signals.held_back
    assert len(gaps) <= 16 + (world.clock.now - 1000.0) / INTERVAL + 1


def test_a_few_at_once() -> None:
    """The first looks are free, and again after a rest."""
    world = World()
    for _ in range(2):
        slowed = [world.look() for _ in range(17)]
        assert not any(slowed[:15])
        assert slowed[16]
        assert world.signals.held_back == {SIGCHLD}
        world.loop.advance(1)


def test_seldom_is_at_once() -> None:
    """At one each interval nobody waits."""
    world = World()
    for _ in range(1000):
        world.clock.now += INTERVAL
        assert not world.look()


def test_a_mistake_keeps_no_death_back_for_ever() -> None:
    """Should the signal not be listened to again, that is told, and tried again."""
    world = World()
    while not world.look():
        continue
    world.failpoints.arm("signals.hold_back", world.failpoints.passed["signals.hold_back"] + 1, OSError("injected"))
    world.loop.advance(INTERVAL)
    assert [str(error) for error in world.loop.errors] == ["injected"]
    assert world.signals.held_back
    world.loop.advance(1)
    assert not world.signals.held_back
