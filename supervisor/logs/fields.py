"""A field of a record: its values, as JSON Schema, and its meaning; and the fields that many events share."""

from msgspec import Struct

from supervisor.logs.journal import LEVELS

Schema = dict[str, object]

_TIMESTAMP = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"


class Field(Struct, frozen=True):
    """One field: what its values are, as JSON Schema, and what it means; ``required`` unless it may be missing."""

    schema: Schema
    text: str
    required: bool = True


def integer(text: str, *, least: int = 0, most: int | None = None) -> Field:
    """A whole number, within limits."""
    limits: Schema = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return Field({"type": "integer", **limits}, text)


def seconds(text: str) -> Field:
    """A span of time."""
    return Field({"type": "number", "minimum": 0}, text)


def string(text: str, *, values: tuple[str, ...] = ()) -> Field:
    """A text, or one of a few words."""
    return Field({"enum": list(values)} if values else {"type": "string"}, text)


def strings(text: str) -> Field:
    """A list of texts."""
    return Field({"type": "array", "items": {"type": "string"}}, text)


def boolean(text: str) -> Field:
    """Yes or no."""
    return Field({"type": "boolean"}, text)


def optional(field: Field) -> Field:
    """The same field where it may be missing."""
    return Field(field.schema, field.text, required=False)


SERVICE = Field({"type": "string", "minLength": 1}, "name of the service")
PID = integer("process id, in the PID namespace of the daemon", least=1)
SIGNAL = integer("number of the signal", least=1, most=64)
SIGNAL_NAME = Field({"type": "string", "pattern": r"^SIG[A-Z0-9+]+$"}, "name of the signal, `SIGTERM`, `SIGRTMIN+3`")
COMM = string("name of the process, as in `/proc/PID/comm`; empty where that could not be read")
ORIGIN = optional(Field({"type": "string", "minLength": 1}, "service the process came from, where known"))
SINK = Field({"type": "string", "minLength": 1}, "the sink: `file:PATH`, `journald` or `syslog:ADDRESS`")
ERROR = string("the error, in words")
PROBE = string("what was probed: `tcp 127.0.0.1:80`, `notify`, `file /run/ready`")

SIGNALLED = {"signal": SIGNAL, "signal_name": SIGNAL_NAME}
USAGE = {
    "user_cpu_s": seconds("CPU time in user mode, seconds"),
    "system_cpu_s": seconds("CPU time in kernel mode, seconds"),
    "max_rss_bytes": integer("peak resident memory, bytes"),
}
ORPHAN = {"pid": PID, "comm": COMM}

COMMON = {
    "timestamp": Field({"type": "string", "pattern": _TIMESTAMP}, "RFC 3339, UTC, microseconds, `Z`"),
    "level": string("weight of the record", values=tuple(LEVELS)),
    "event": string("name of the event"),
    "seq": integer("counts records up by one from 1; a gap is a loss", least=1),
}
"""Fields of every record."""

ENDING = {
    "exit_code": optional(integer("exit code, if the process exited by itself", most=255)),
    "signal": optional(integer("signal that killed it, otherwise", least=1, most=64)),
    "signal_name": optional(Field(SIGNAL_NAME.schema, "name of that signal")),
    "core_dumped": optional(boolean("whether that signal left a core file")),
}
"""Fields that tell how a process ended: either the first one or the others."""
