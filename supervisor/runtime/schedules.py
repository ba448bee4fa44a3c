"""Scheduled services: one alarm on the wall clock, for the nearest run.

The loop's own timers follow the monotonic clock, which knows nothing of a clock that is set or a machine that sleeps.
So the alarm is a timerfd(2) on CLOCK_REALTIME that fires at a time of day, and also at once when the clock is set
(``TFD_TIMER_CANCEL_ON_SET``): nothing is polled, and nothing is late by as much as somebody moved the clock.
"""

from __future__ import annotations

import time

from supervisor.core import events as ev
from supervisor.core.record import Record
from supervisor.core.spec import Schedule, ServiceSpec
from supervisor.core.states import Desired

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from supervisor.core.service import Service
    from supervisor.runtime.ports import Loop

    class Alarm(Protocol):
        """A clock that rings."""

        fd: int

        def set(self, at: float | None) -> None:
            """Ring at this wall-clock time, and no other; None for never."""

        def read(self) -> bool:
            """Acknowledge; whether the clock was set."""


_CORRECTION = 3 * 3600.0
"""A clock set back by less than this runs nothing twice; by more, it was wrong before. As cron(8)."""


class _Planned(Record):
    """The next run: the time it is planned for, and the time it begins."""

    schedule: Schedule
    at: float
    begins: float


class Schedules:
    """Which scheduled service is due when.

    Args:
        post: takes the events for the core.
        salt: varies the jitter from daemon to daemon.
        wall: seconds since the epoch.
        make_alarm: makes the alarm when the first schedule comes.
    """

    def __init__(
        self,
        post: Callable[[ev.Event], None],
        *,
        salt: int = 0,
        wall: Callable[[], float] = time.time,
        make_alarm: Callable[[], Alarm] | None = None,
    ) -> None:
        self._post = post
        self._salt = salt
        self._wall = wall
        self._make_alarm = make_alarm or _timerfd_alarm
        self._wanted: dict[str, Schedule] = {}
        self._planned: dict[str, _Planned | None] = {}
        self._last: dict[str, float] = {}  # what the latest run was planned for
        self._alarm: Alarm | None = None
        self._loop: Loop | None = None

    def attach(self, loop: Loop) -> None:
        """Plan what was wanted before there was a loop, and from now on."""
        self._loop = loop
        for name in self._wanted:
            self._plan(name, self._wall())
        self._arm()

    def follow(self, name: str, spec: ServiceSpec | None, service: Service | None) -> None:
        """Keep runs planned for a scheduled service exactly as long as it is wanted up."""
        schedule = spec.schedule if spec is not None else None
        if schedule is None or service is None or service.desired is not Desired.UP:
            if self._wanted.pop(name, None) is not None:
                self._planned.pop(name, None)
                self._arm()
            if spec is None:
                self._last.pop(name, None)
            return
        if self._wanted.get(name) == schedule:
            return
        self._wanted[name] = schedule
        if self._loop is not None:
            self._plan(name, self._wall())
            self._arm()

    def _plan(self, name: str, after: float) -> None:
        from supervisor.runtime import cron  # noqa: PLC0415 - datetime and the zones, only with a schedule

        schedule = self._wanted[name]
        at = cron.next_due(schedule, after)
        if at is None:
            self._planned[name] = None
            self._post(ev.RunPlanned(name, None))
            return
        self._planned[name] = _Planned(schedule, at, cron.delayed(schedule, name, at, self._salt))
        self._post(ev.RunPlanned(name, cron.written(schedule, at)))

    def _arm(self) -> None:
        if self._loop is None:
            return
        nearest = min((planned.begins for planned in self._planned.values() if planned is not None), default=None)
        if self._alarm is None:
            if nearest is None:
                return
            self._alarm = self._make_alarm()
            self._loop.add_reader(self._alarm.fd, self._rings)
        self._alarm.set(nearest)

    def _rings(self) -> None:
        """Something is due, or the clock was set."""
        if self._alarm is None:
            return
        from supervisor.runtime import cron  # noqa: PLC0415 - see above

        was_set = self._alarm.read()
        now = self._wall()
        try:
            for name, planned in list(self._planned.items()):
                if planned is None:
                    continue
                if planned.begins <= now:
                    # what was missed on the way is made up for by this one run
                    late = now - planned.begins
                    self._last[name] = planned.at
                    self._post(ev.RunDue(name, cron.written(planned.schedule, planned.at), late))
                    self._plan(name, max(now, planned.at))
                elif was_set:
                    last = self._last.get(name, now)
                    self._plan(name, last if 0 < last - now < _CORRECTION else now)
        finally:
            self._arm()


def _timerfd_alarm() -> Alarm:
    from supervisor.runtime.libc import TimerFd  # noqa: PLC0415 - ctypes, only with a schedule

    return TimerFd()
