"""The keys of a service about its output: where it goes, and what becomes of its lines."""

from supervisor.config.kinds import Choice
from supervisor.config.shapes import Field
from supervisor.core.spec import Output

_OUTPUT = Choice.of(Output)

OUTPUT = (
    Field("stdout", _OUTPUT, "Where its output goes: to the log, where the daemon's goes, or nowhere.", "log"),
    Field("stderr", _OUTPUT, "Where its errors go: to the log, where the daemon's go, or nowhere.", "log"),
)
