"""The keys of a service about its output: where it goes, and what becomes of its lines."""

from supervisor.config.destinations import ServiceOutput
from supervisor.config.shapes import Field

_OUTPUT = ServiceOutput()

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
)
