"""When a schedule is due: wall-clock seconds in, wall-clock seconds out; no clock is read here.

The fields are cronsim's matter, with Debian cron's rules for daylight saving, and the zones are zoneinfo's. Imported
when there is a schedule.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from supervisor.core.chance import share
from supervisor.core.spec import Schedule

_LOCALTIME = "/etc/localtime"


def next_due(schedule: Schedule, after: float) -> float | None:
    """The first time of the schedule after ``after``, both in seconds since the epoch; None when there is none.

    That is when it has none within fifty years.
    """
    start = datetime.fromtimestamp(after, _zone(schedule.timezone))
    try:
        return next(CronSim(schedule.cron, start)).timestamp()
    except (StopIteration, CronSimError):
        return None


def written(schedule: Schedule, at: float) -> str:
    """A time as the schedule's own clock shows it: ``2026-01-31T03:30:00+01:00``."""
    return datetime.fromtimestamp(at, _zone(schedule.timezone)).isoformat(timespec="seconds")


def delayed(schedule: Schedule, name: str, at: float, salt: int) -> float:
    """When a run of this time begins: later by its share of the jitter, another one each time and everywhere."""
    return at + schedule.jitter * share(salt, name, at)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if name:
        return ZoneInfo(name)
    return _local_zone()


def _local_zone() -> tzinfo:
    """What ``TZ`` and /etc/localtime say, as tzset(3); UTC when neither can be read, as there.

    Not an offset: the next run may be on the other side of a change to daylight saving.
    """
    named = os.environ.get("TZ", "").lstrip(":")
    try:
        if named:
            return ZoneInfo(named)
        with open(_LOCALTIME, "rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError, LookupError):
        return UTC
