"""The kind of schedules: when a scheduled service runs, in the words of crontab(5).

The fields are read by cronsim, which is imported when there is a schedule to read.
"""

from supervisor.config.kinds import Choice, Text
from supervisor.config.problems import Place, show
from supervisor.config.shapes import ByType, Field, Table
from supervisor.config.units import Duration
from supervisor.core.spec import Overlap, Schedule

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Names of crontab(5) for common times; ``@reboot`` is what a task is for."""

_FIELD = r"[0-9A-Za-z*,/#-]+"
_FIELDS = rf"{_FIELD}(?: +{_FIELD}){{4,5}}"
_ALLOWED = 'five fields of crontab(5) such as "*/5 * * * *", six with seconds first, or @hourly and the like'


class Cron:
    """The times of a schedule: five fields, or six with seconds first, or a name for them."""

    allowed = _ALLOWED

    def parse(self, value: object, at: Place) -> str:
        """Read the fields; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if not isinstance(value, str):
            raise at.wrong(value, self.allowed)
        import re  # noqa: PLC0415 - only with a schedule

        if value.startswith("@"):
            if value in MACROS:
                return MACROS[value]
            raise at.wrong(value, f"five fields of crontab(5), or {', '.join(MACROS)}")
        if re.fullmatch(_FIELDS, value) is None:
            raise at.wrong(value, self.allowed)
        problem = _problem(value)
        if problem:
            raise at.refuse(f"found {show(value)}: {problem}; allowed: {self.allowed}")
        return value

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"type": "string", "pattern": f"^(?:{_FIELDS}|{'|'.join(MACROS)})$", "examples": ["*/5 * * * *"]}


class Timezone(Text):
    """The name of a time zone in the tz database."""

    def __init__(self) -> None:
        super().__init__(empty=False, allowed='the name of a time zone, such as "Europe/Berlin" or "UTC"')

    def parse(self, value: object, at: Place) -> str:
        """Read a name; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        name = super().parse(value, at)
        if name == "UTC":
            return name  # there also where no tz database is installed
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - only who names a zone

        try:
            ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            raise at.wrong(name, f"{self.allowed}, of those installed (package tzdata)") from None
        return name


SCHEDULE = ByType(
    {
        str: Cron(),
        dict: Table(
            (
                Field("cron", Cron(), "When it runs.", required=True),
                Field("timezone", Timezone(), "Whose clock; the daemon's local time when absent."),
                Field("overlap", Choice.of(Overlap), "What a run does while the one before is under way.", "skip"),
                Field("jitter", Duration(), "Each run begins up to so much later, by chance.", "0s"),
                Field("start-deadline", Duration(), "A run that can't begin within so much of its time is missed."),
            ),
            Schedule,
        ),
    },
    f'{_ALLOWED}, or a table such as {{ cron = "0 3 * * *", timezone = "UTC" }}',
)
"""A text, or a table that says more; :func:`schedule` makes the same of both."""


def schedule(value: str | Schedule) -> Schedule:
    """What a file gave, as the core has it."""
    return Schedule(value) if isinstance(value, str) else value


def _problem(fields: str) -> str:
    """What is wrong with fields of the right number; empty for none.

    A day that no month has, the 30th of February, is no mistake of writing: such a service has failed, and says so.
    """
    problem = _refusal(fields)
    if not problem:
        return ""
    words = fields.split()
    any_day, any_month = [*words[:-3], "*", *words[-2:]], [*words[:-2], "*", words[-1]]
    # each is right without the other
    if not _refusal(" ".join(any_day)) and not _refusal(" ".join(any_month)):
        return ""
    return problem


def _refusal(fields: str) -> str:
    """What cronsim says against these fields; empty for nothing."""
    from datetime import UTC, datetime  # noqa: PLC0415 - only with a schedule

    from cronsim import CronSim, CronSimError  # noqa: PLC0415

    try:
        CronSim(fields, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        reason = str(error)
        return reason[:1].lower() + reason[1:]
    except (ValueError, AssertionError):
        return "it can't be understood"
    return ""
