"""Tries of a probe, one after the other, on a fake clock."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from supervisor.runtime.watching.rounds import Rounds, ShortageError, Verdicts
from tests.runtime.fakes import FakeClock, FakeLoop

if TYPE_CHECKING:
    from supervisor.runtime.watching.rounds import Done


class Script:
    """A checker that does what the test says.

    Attributes:
        outcomes: for each try: what comes of it at once; None for nothing yet.
        done: of the try that is under way.
    """

    def __init__(self, *outcomes: "str | Exception | None") -> None:
        self.outcomes = list(outcomes)
        self.started = 0
        self.cancelled = 0
        self.done: Done | None = None

    def start(self, done: "Done") -> None:
        """The next outcome."""
        assert self.done is None, "two at once"
        self.started += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, ShortageError | str):
            done(outcome)
        elif outcome is not None:
            raise outcome
        else:
            self.done = done

    def cancel(self) -> None:
        """What is under way ends."""
        self.cancelled += 1
        self.done = None

    def finish(self, outcome: str) -> None:
        """What is under way has come to its end."""
        done, self.done = self.done, None
        assert done is not None
        done(outcome)


class Course:
    """Rounds on a fake clock, and what was told."""

    def __init__(self, checker: Script) -> None:
        self.clock = FakeClock(0.0)
        self.loop = FakeLoop(self.clock)
        self.told: list[tuple[float, str]] = []
        self.react: Callable[[], None] = lambda: None
        verdicts = Verdicts(
            lambda: self._tell("well"),
            lambda error: self._tell(f"wrong {error}"),
            lambda error: self._tell(f"unable {error}"),
            lambda error: self._tell(f"broken {error!r}"),
        )
        self.rounds = Rounds(self.loop, checker, 1.0, lambda count: 10.0 + count, verdicts)  # type: ignore[arg-type]
        self.rounds.start()

    def _tell(self, what: str) -> None:
        self.told.append((self.clock.now, what))
        self.react()


def test_one_after_the_other() -> None:
    """Each try begins its wait after the end of the one before; what came of each is told."""
    checker = Script("", "no", None, "")
    course = Course(checker)
    course.loop.advance(32)
    assert course.told == [(10.0, "well"), (21.0, "wrong no")]
    course.loop.advance(1.5)
    checker.finish("")
    assert course.told[2:] == [(33.5, "well")]
    course.loop.advance(12.9)
    assert checker.started == 3
    course.loop.advance(0.1)
    assert course.told[3:] == [(46.5, "well")]


def test_none_longer_than_its_timeout() -> None:
    """A try that does not end is ended, and has failed; the next one comes as after any other."""
    checker = Script(None, "")
    course = Course(checker)
    course.loop.advance(11)
    assert (course.told, checker.cancelled) == ([(11.0, "wrong timed out after 1s")], 1)
    course.loop.advance(11)
    assert course.told[1:] == [(22.0, "well")]


def test_stopped_between_tries_and_within_one() -> None:
    """Nothing is told any more, what is under way is ended, and no timer is left."""
    for seconds, cancelled in ((5, 0), (10.5, 1)):
        checker = Script()
        course = Course(checker)
        course.loop.advance(seconds)
        course.rounds.stop()
        assert checker.cancelled == cancelled
        assert course.loop.pending_timers() == []
        course.loop.advance(100)
        assert course.told == []
        course.rounds.stop()


def test_whoever_is_told_may_stop_it() -> None:
    """As it happens when the service is ready."""
    checker = Script("")
    course = Course(checker)
    course.react = course.rounds.stop
    course.loop.advance(100)
    assert len(course.told) == 1
    assert course.loop.pending_timers() == []


@pytest.mark.parametrize("shortage", [ShortageError("Too many open files")])
def test_a_try_that_can_not_be_made(shortage: ShortageError) -> None:
    """It is told as such, and the next one comes."""
    course = Course(Script(shortage, "", shortage))
    course.loop.advance(40)
    assert [what for _, what in course.told] == ["unable Too many open files", "well", "unable Too many open files"]


def test_a_mistake_of_ours_ends_nothing() -> None:
    """A checker that raises is told of as a mistake; probing goes on, and nobody is blamed."""
    checker = Script(RuntimeError("oops"), "", KeyError("x"), "no")
    course = Course(checker)
    course.loop.advance(60)
    assert [what for _, what in course.told] == [
        "broken RuntimeError('oops')",
        "well",
        "broken KeyError('x')",
        "wrong no",
    ]
    assert course.loop.errors == []


def test_a_mistake_of_who_is_told_ends_nothing() -> None:
    """The next try is planned before anybody is told of this one."""
    course = Course(Script("", "", ""))

    def fail() -> None:
        raise RuntimeError("oops")

    course.react = fail
    course.loop.advance(40)
    assert [what for _, what in course.told] == ["well"] * 3
    assert len(course.loop.errors) == 3


def test_an_answer_that_comes_too_late_is_nothing() -> None:
    """After the timeout the result stands."""
    checker = Script(None)
    course = Course(checker)
    course.loop.advance(10)
    late = checker.done
    assert late is not None
    course.loop.advance(1)
    late("")
    assert [what for _, what in course.told] == ["wrong timed out after 1s"]
