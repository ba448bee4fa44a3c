"""Schedules: when they are due, and the alarm that rings for them, on a wall clock that the test moves."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from supervisor.core import events as ev
from supervisor.core.service import Service
from supervisor.core.spec import Kind, Schedule, ServiceSpec
from supervisor.core.states import Desired, State
from supervisor.runtime.cron import delayed, next_due, written
from supervisor.runtime.schedules import Schedules
from tests.runtime.fakes import FakeClock, FakeLoop

BERLIN = "Europe/Berlin"
ALARM = 77


def at(text: str, zone: str = "UTC") -> float:
    """Seconds since the epoch of a time as the clock on the wall shows it; the first of two that look alike."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone)).timestamp()


def times(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next so many times of a schedule, as it writes them."""
    found = []
    now = at(after, schedule.timezone or "UTC")
    for _ in range(count):
        due = next_due(schedule, now)
        assert due is not None
        found.append(written(schedule, due))
        now = due
    return found


def test_times() -> None:
    """Strictly after, in the order of time, in the schedule's own zone."""
    assert times(Schedule("*/20 * * * *", "UTC"), "2026-01-31T23:20", 3) == [
        "2026-01-31T23:40:00+00:00",
        "2026-02-01T00:00:00+00:00",
        "2026-02-01T00:20:00+00:00",
    ]
    assert times(Schedule("0 9 * * MON", BERLIN), "2026-01-31T12:00", 1) == ["2026-02-02T09:00:00+01:00"]


def test_daylight_saving_begins() -> None:
    """On 2026-03-29 the hour from 02:00 is skipped in Berlin: what was due in it runs right after; others go on."""
    assert times(Schedule("30 2 * * *", BERLIN), "2026-03-28T12:00", 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert times(Schedule("*/30 * * * *", BERLIN), "2026-03-29T01:00", 3) == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T03:30:00+02:00",
    ]


def test_daylight_saving_ends() -> None:
    """On 2026-10-25 the hour from 02:00 comes twice: a time in it runs once, each half hour runs each time."""
    assert times(Schedule("30 2 * * *", BERLIN), "2026-10-24T12:00", 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    assert times(Schedule("*/30 * * * *", BERLIN), "2026-10-25T01:30", 5) == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_never() -> None:
    """A day that there is not, or that never is the weekday asked for, is never due."""
    assert next_due(Schedule("0 0 30 2 *", "UTC"), at("2026-01-01")) is None
    assert next_due(Schedule("0 0 29 2 *", "UTC"), at("2026-01-01")) == at("2028-02-29")


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a zone the daemon's own counts: ``TZ``, and UTC when that is nonsense."""
    monkeypatch.setenv("TZ", ":" + BERLIN)
    assert written(Schedule("0 0 * * *"), at("2026-07-01T00:00")) == "2026-07-01T02:00:00+02:00"
    monkeypatch.setenv("TZ", "nonsense")
    assert written(Schedule("0 0 * * *"), at("2026-07-01T00:00")) == "2026-07-01T00:00:00+00:00"


def test_jitter_stays_within_its_bounds() -> None:
    """Later by some of it, by another share each time and everywhere; never earlier."""
    schedule = Schedule("* * * * *", jitter=10.0)
    late = {delayed(schedule, "job", 60.0 * n, salt) - 60.0 * n for n in range(20) for salt in (1, 2)}
    assert len(late) == 40
    assert all(0 <= seconds <= 10 for seconds in late)
    assert delayed(Schedule("* * * * *"), "job", 60.0, 1) == 60.0


class FakeAlarm:
    """An alarm that rings when the test says so."""

    fd = ALARM

    def __init__(self) -> None:
        self.at: float | None = None
        self.was_set = False
        self.rings = False

    def set(self, at: float | None) -> None:
        """Remember the time."""
        self.at = at

    def read(self) -> bool:
        """Whether the clock was set."""
        was_set, self.was_set, self.rings = self.was_set, False, False
        return was_set


class Wall:
    """Schedules, their alarm, and the clock on the wall."""

    def __init__(self, **schedules: Schedule) -> None:
        self.now = at("2026-01-31T12:00:30")
        self.alarm = FakeAlarm()
        self.made = 0
        self.events: list[ev.Event] = []
        self.loop = FakeLoop(FakeClock())
        self.loop.readable_when(lambda fd: fd == ALARM and self.alarm.rings)
        self.schedules = Schedules(self.events.append, wall=lambda: self.now, make_alarm=self._make)
        self.specs = {
            name: ServiceSpec(name=name, command=("x",), kind=Kind.SCHEDULED, schedule=schedule)
            for name, schedule in schedules.items()
        }

    def _make(self) -> FakeAlarm:
        self.made += 1
        return self.alarm

    def follow(self, name: str, desired: Desired = Desired.UP) -> None:
        """Show a service as it is now."""
        self.schedules.follow(name, self.specs[name], Service(state=State.WAITING, desired=desired))

    def started(self) -> "Wall":
        """All of them wanted, and the loop there."""
        for name in self.specs:
            self.follow(name)
        assert self.made == 0, "nothing is made before there is a loop"
        self.schedules.attach(self.loop)
        return self

    def set_clock(self, now: float) -> None:
        """Somebody sets the clock."""
        self.now = now
        self.alarm.was_set = True
        self._ring()

    def wait(self) -> None:
        """Let the time come that the alarm is set to."""
        assert self.alarm.at is not None
        self.now = self.alarm.at
        self._ring()

    def _ring(self) -> None:
        self.alarm.rings = True
        self.loop.settle()

    def due(self) -> list[tuple[str, str]]:
        """Runs that were due, and when; forgotten by asking."""
        found = [(event.service, event.at[11:16]) for event in self.events if isinstance(event, ev.RunDue)]
        self.events.clear()
        return found


def test_plans_and_rings() -> None:
    """One alarm for the nearest of all; each run is followed by the plan of the next."""
    wall = Wall(often=Schedule("* * * * *", "UTC"), seldom=Schedule("*/5 * * * *", "UTC")).started()
    assert wall.events == [
        ev.RunPlanned("often", "2026-01-31T12:01:00+00:00"),
        ev.RunPlanned("seldom", "2026-01-31T12:05:00+00:00"),
    ]
    assert wall.alarm.at == at("2026-01-31T12:01:00")
    seen = []
    for _ in range(5):
        wall.wait()
        seen.append(wall.due())
    assert seen[:4] == [[("often", f"12:0{minute}")] for minute in (1, 2, 3, 4)]
    assert seen[4] == [("often", "12:05"), ("seldom", "12:05")]
    assert wall.made == 1


def test_only_while_wanted() -> None:
    """Stopped, it is planned no more, and nothing rings; started again it is; gone, it is forgotten."""
    wall = Wall(job=Schedule("* * * * *", "UTC")).started()
    noon = at("2026-01-31T12:01:00")
    seen: list[float | None] = [wall.alarm.at]
    for desired in (Desired.DOWN, Desired.UP):
        wall.follow("job", desired)
        seen.append(wall.alarm.at)
    wall.schedules.follow("job", None, None)
    assert [*seen, wall.alarm.at] == [noon, None, noon, None]


def test_without_schedules_there_is_no_alarm() -> None:
    """Nobody pays for what nobody asked for."""
    wall = Wall()
    wall.schedules.follow("web", ServiceSpec(name="web", command=("x",)), Service(desired=Desired.UP))
    wall.started()
    assert wall.made == 0


def test_never_due_is_told() -> None:
    """A schedule that has no time is told once, and rings for nobody."""
    wall = Wall(never=Schedule("0 0 30 2 *", "UTC")).started()
    assert wall.events == [ev.RunPlanned("never", None)]
    assert wall.made == 0


def test_missed_runs_are_made_up_for_once() -> None:
    """After a sleep, or a clock set forward, there is one run for all that was missed, as late as it is."""
    wall = Wall(job=Schedule("* * * * *", "UTC")).started()
    wall.set_clock(at("2026-01-31T15:30:20"))
    (run,) = [event for event in wall.events if isinstance(event, ev.RunDue)]
    assert (run.at[11:16], run.late) == ("12:01", 3 * 3600 + 29 * 60 + 20)
    assert wall.alarm.at == at("2026-01-31T15:31:00")


def test_clock_set_back_a_little_runs_nothing_twice() -> None:
    """Within three hours what has run stays run."""
    wall = Wall(job=Schedule("*/10 * * * *", "UTC")).started()
    wall.wait()
    assert wall.due() == [("job", "12:10")]
    wall.set_clock(at("2026-01-31T11:15:00"))
    assert wall.due() == []
    assert wall.alarm.at == at("2026-01-31T12:20:00")


def test_clock_set_back_far_was_wrong_before() -> None:
    """Further back, the old time counts for nothing."""
    wall = Wall(job=Schedule("*/10 * * * *", "UTC")).started()
    wall.wait()
    wall.set_clock(at("2025-01-31T11:15:00"))
    wall.due()
    assert wall.alarm.at == at("2025-01-31T11:20:00")


def test_a_schedule_that_was_changed_is_planned_anew() -> None:
    """By a reload, for one."""
    wall = Wall(job=Schedule("* * * * *", "UTC")).started()
    wall.specs["job"] = ServiceSpec(name="job", command=("x",), schedule=Schedule("0 13 * * *", "UTC"))
    wall.follow("job")
    assert wall.alarm.at == at("2026-01-31T13:00:00")
