"""Deadlines: one timer for the nearest of many, and no wake-up without reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.runtime.timers import Deadlines
from tests.runtime.fakes import FakeClock, FakeLoop


class Bench:
    """Deadlines on a fake clock and loop."""

    def __init__(self) -> None:
        self.clock = FakeClock(0.0)
        self.loop = FakeLoop(self.clock)
        self.passed: list[tuple[str | None, float]] = []
        self.deadlines = Deadlines(lambda name: self.passed.append((name, self.clock.now)), lambda: self.clock.now)
        self.deadlines.attach(self.loop)


@pytest.fixture
def bench() -> Bench:
    """Deadlines on a fake clock."""
    return Bench()


def test_each_passes_once_at_its_time(bench: Bench) -> None:
    """Deadlines pass in order of time, each once; None is the daemon's own."""
    bench.deadlines.set("late", 3.0)
    bench.deadlines.set("soon", 1.0)
    bench.deadlines.set(None, 2.0)
    bench.loop.advance(10)
    assert bench.passed == [("soon", 1.0), (None, 2.0), ("late", 3.0)]


def test_there_is_one_timer_for_all(bench: Bench) -> None:
    """However many deadlines there are, the loop has one timer, for the nearest."""
    for number in range(100):
        bench.deadlines.set(f"service{number}", 100.0 - number)
    assert bench.loop.pending_timers() == [1.0]


@pytest.mark.parametrize("moved", [0.5, 5.0])
def test_a_moved_deadline_passes_at_its_new_time(bench: Bench, moved: float) -> None:
    """A nearer and a later deadline both replace the one before."""
    bench.deadlines.set("web", 1.0)
    bench.deadlines.set("web", moved)
    bench.loop.advance(10)
    assert bench.passed == [("web", moved)]


def test_a_deadline_that_moves_away_and_back_passes_once(bench: Bench) -> None:
    """Two entries for the same time are one deadline."""
    for at in (1.0, 2.0, 1.0):
        bench.deadlines.set("web", at)
    bench.loop.advance(10)
    assert bench.passed == [("web", 1.0)]


def test_a_dropped_deadline_does_not_pass(bench: Bench) -> None:
    """None drops it; when none is left, nothing wakes us."""
    bench.deadlines.set("web", 1.0)
    bench.deadlines.set("db", 2.0)
    bench.deadlines.set("web", None)
    bench.deadlines.set("db", None)
    assert bench.loop.pending_timers() == []
    bench.loop.advance(10)
    assert bench.passed == []


def test_dropping_what_was_never_set_is_no_news(bench: Bench) -> None:
    """Names without a deadline may be dropped at any time, without touching others."""
    bench.deadlines.set("web", 1.0)
    bench.deadlines.set("other", None)
    bench.deadlines.set(None, None)
    bench.loop.advance(2)
    assert bench.passed == [("web", 1.0)]


def test_deadlines_set_before_the_loop_is_there_are_kept() -> None:
    """The first programs run before the loop: what they set is due when it comes, at once if it is past."""
    clock = FakeClock(0.0)
    passed: list[str | None] = []
    deadlines = Deadlines(passed.append, lambda: clock.now)
    deadlines.set("past", 1.0)
    deadlines.set("future", 9.0)
    clock.now = 5.0
    loop = FakeLoop(clock)
    deadlines.attach(loop)
    loop.settle()
    assert passed == ["past"]
    loop.advance(4)
    assert passed == ["past", "future"]


def test_a_timer_that_fires_early_is_armed_again() -> None:
    """A loop whose clock is ahead of ours by a little does not make a deadline pass before its time, or get lost."""
    clock = FakeClock(0.0)
    passed: list[str | None] = []
    behind = 0.0
    deadlines = Deadlines(passed.append, lambda: clock.now - behind)
    loop = FakeLoop(clock)
    deadlines.attach(loop)
    deadlines.set("web", 1.0)
    behind = 1 / 1024
    clock.now = 1.0
    loop.turn()
    assert passed == []
    assert loop.pending_timers() == [1 + 1 / 1024]
    loop.advance(0.01)
    assert passed == ["web"]


def test_a_deadline_set_while_another_passes_counts(bench: Bench) -> None:
    """A service that starts again when its deadline passes gets a new one, which passes in its turn."""
    passed: list[float] = []

    def again(name: str | None) -> None:
        passed.append(bench.clock.now)
        if len(passed) < 3:
            deadlines.set(name, bench.clock.now + 1.0)

    deadlines = Deadlines(again, lambda: bench.clock.now)
    deadlines.attach(bench.loop)
    deadlines.set("web", 1.0)
    bench.loop.advance(10)
    assert passed == [1.0, 2.0, 3.0]


def test_dropping_one_while_another_passes_counts(bench: Bench) -> None:
    """Of two deadlines for the same time, the first may call off the second."""
    passed: list[str | None] = []

    def drop_other(name: str | None) -> None:
        passed.append(name)
        deadlines.set("b" if name == "a" else "a", None)

    deadlines = Deadlines(drop_other, lambda: bench.clock.now)
    deadlines.attach(bench.loop)
    deadlines.set("a", 1.0)
    deadlines.set("b", 1.0)
    bench.loop.advance(10)
    assert passed == ["a"]


def test_what_a_passing_raises_stops_no_other(bench: Bench) -> None:
    """A failure in what one deadline leads to does not keep the next from passing."""
    passed: list[str | None] = []

    def fail_first(name: str | None) -> None:
        passed.append(name)
        if name == "first":
            raise RuntimeError("injected")

    deadlines = Deadlines(fail_first, lambda: bench.clock.now)
    deadlines.attach(bench.loop)
    deadlines.set("first", 1.0)
    deadlines.set("second", 2.0)
    bench.loop.advance(10)
    assert passed == ["first", "second"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(1, 20)), st.integers(0, 3))))
def test_it_agrees_with_a_table(changes: list[tuple[str, int | None, int]]) -> None:
    """Whatever is set, moved and dropped as time goes by: each name passes exactly when its last deadline says."""
    bench = Bench()
    table: dict[str, float] = {}
    expected: list[tuple[str | None, float]] = []

    def advance(seconds: float) -> None:
        end = bench.clock.now + seconds
        for at, name in sorted((at, name) for name, at in table.items() if at <= end):
            expected.append((name, max(at, bench.clock.now)))
            del table[name]
        bench.loop.advance(seconds)

    for name, at, seconds in changes:
        if at is None:
            table.pop(name, None)
        else:
            table[name] = float(at)
        bench.deadlines.set(name, None if at is None else float(at))
        advance(seconds)
    advance(100)
    assert sorted(bench.passed, key=str) == sorted(expected, key=str)
