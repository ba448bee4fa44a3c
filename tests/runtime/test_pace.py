"""How often dead orphans are looked for."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.runtime.pace import INTERVAL, Pace


@given(st.lists(st.floats(0, 1), max_size=200))
def test_in_the_long_run_one_each_interval(gaps: list[float]) -> None:
    """Whoever waits as told looks so often at most, beside a few at once; whoever looks seldom never waits."""
    pace, now, looks = Pace(), 1000.0, 0
    for gap in gaps:
        now += gap
        looks += 1
        if pace.looked(now):
            now += INTERVAL
    assert looks <= 16 + (now - 1000.0) / INTERVAL + 1


def test_a_few_at_once() -> None:
    """The first looks are free, and again after a rest."""
    pace = Pace()
    for start in (1000.0, 2000.0):
        slowed = [pace.looked(start) for _ in range(17)]
        assert not any(slowed[:15])
        assert slowed[16]


def test_seldom_is_at_once() -> None:
    """At one each interval nobody waits."""
    pace = Pace()
    assert not any(pace.looked(1000.0 + n * INTERVAL) for n in range(1000))
