"""The keys of a service about its output: where it goes, and what becomes of its lines."""

from supervisor.config.destinations import ServiceOutput
from supervisor.config.kinds import Choice, Count, Flag
from supervisor.config.patterns import Multiline
from supervisor.config.shapes import ByType, Field, Table
from supervisor.config.units import Duration
from supervisor.core.spec import Ansi, JsonLines, LineLevels, Overflow, ServiceLog

LEVELS = ("debug", "info", "warning", "error", "critical")
"""Names of levels, as files write them."""

_OUTPUT = ServiceOutput()
_LEVEL = Choice({level: level for level in LEVELS})
_LEVEL_FORMS = f'{", ".join(LEVELS)}, guess, or a table such as {{ stderr = "error", guess = true }}'

_LINE_LEVELS = ByType(
    {
        str: Choice(
            {level: LineLevels(level, level) for level in LEVELS} | {"guess": LineLevels(guess=True)},
            allowed=_LEVEL_FORMS,
        ),
        dict: Table(
            (
                Field("stdout", _LEVEL, "The level of what it writes to stdout.", "info"),
                Field("stderr", _LEVEL, "The level of what it writes to stderr.", "info"),
                Field("guess", Flag(), "Look for a level in each line first.", default=False),
            ),
            LineLevels,
        ),
    },
    _LEVEL_FORMS,
)

SERVICE_LOG = Table(
    (
        Field(
            "json",
            Choice.of(JsonLines),
            "What a line that is a JSON object becomes: text, fields of the record, or one field of it.",
            "text",
        ),
        Field("level", _LINE_LEVELS, "The level of its lines, by stream, or guessed from each line.", "info"),
        Field("ansi", Choice.of(Ansi), "Whether escape sequences, such as colours, stay in its lines.", "keep"),
        Field(
            "multiline",
            Multiline(),
            "Joins lines into one record: a regular expression that the first line of a record matches, or the name of "
            "rules for a language's stack traces: python, java, go, node.",
        ),
        Field(
            "multiline-timeout",
            Duration(zero=False),
            "How long a record waits for its next line.",
            "200ms",
        ),
        Field(
            "overflow",
            Choice.of(Overflow),
            "What happens while the log is not read fast enough: the service waits, or lines are dropped and counted.",
            "block",
        ),
        Field("tail", Count(0, 1000), "How many of its last lines are kept in memory, of each stream.", 20),
    ),
    ServiceLog,
)

OUTPUT = (
    Field(
        "stdout",
        _OUTPUT,
        "Where its output goes: to the log, where the daemon's goes, nowhere, or to a file, the journal or syslog.",
        "log",
    ),
    Field(
        "stderr",
        _OUTPUT,
        "Where its errors go: to the log, where the daemon's go, nowhere, or to a file, the journal or syslog.",
        "log",
    ),
    Field("log", SERVICE_LOG, "What becomes of its lines."),
)
