"""Every event and its fields: the public interface of the log, as one table.

The JSON Schema in ``config/events.schema.json`` and the table in ``docs/events.md`` are made of it::

    python -m supervisor.logs.schema > config/events.schema.json
    python -m supervisor.logs.schema --markdown

Names of events and of fields are stable: they are added to, not changed. No record has a field that is not listed.
"""

import sys

from msgspec import Struct

from supervisor.logs.journal import LEVELS

Schema = dict[str, object]

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"

STATES = ("stopped", "waiting", "starting", "running", "stopping", "backoff", "completed", "failed")
"""States of a service, as in ``from`` and ``to``."""

_TIMESTAMP = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"


class Field(Struct, frozen=True):
    """One field: what its values are, as JSON Schema, and what it means; ``required`` unless it may be missing."""

    schema: Schema
    text: str
    required: bool = True


class Event(Struct, frozen=True):
    """One event: what it means, its fields beside the common ones, and whether it tells how a process ended.

    ``ending`` adds ``exit_code``, or else ``signal``, ``signal_name`` and ``core_dumped``; ``merged`` says that it may
    have fields of a child's own beside those listed.
    """

    text: str
    fields: dict[str, Field]
    ending: bool = False
    merged: bool = False


def _integer(text: str, *, least: int = 0, most: int | None = None) -> Field:
    limits: Schema = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return Field({"type": "integer", **limits}, text)


def _seconds(text: str) -> Field:
    return Field({"type": "number", "minimum": 0}, text)


def _string(text: str, *, values: tuple[str, ...] = ()) -> Field:
    return Field({"enum": list(values)} if values else {"type": "string"}, text)


def _strings(text: str) -> Field:
    return Field({"type": "array", "items": {"type": "string"}}, text)


def _boolean(text: str) -> Field:
    return Field({"type": "boolean"}, text)


def _optional(field: Field) -> Field:
    return Field(field.schema, field.text, required=False)


_SERVICE = Field({"type": "string", "minLength": 1}, "name of the service")
_PID = _integer("process id, in the PID namespace of the daemon", least=1)
_SIGNAL = _integer("number of the signal", least=1, most=64)
_SIGNAL_NAME = Field({"type": "string", "pattern": r"^SIG[A-Z0-9+]+$"}, "name of the signal, `SIGTERM`, `SIGRTMIN+3`")
_COMM = _string("name of the process, as in `/proc/PID/comm`; empty where that could not be read")
_ORIGIN = _optional(Field({"type": "string", "minLength": 1}, "service the process came from, where known"))
_SINK = Field({"type": "string", "minLength": 1}, "the sink: `file:PATH`, `journald` or `syslog:ADDRESS`")
_ERROR = _string("the error, in words")
_PROBE = _string("what was probed: `tcp 127.0.0.1:80`, `notify`, `file /run/ready`")

_SIGNALLED = {"signal": _SIGNAL, "signal_name": _SIGNAL_NAME}
_USAGE = {
    "user_cpu_s": _seconds("CPU time in user mode, seconds"),
    "system_cpu_s": _seconds("CPU time in kernel mode, seconds"),
    "max_rss_bytes": _integer("peak resident memory, bytes"),
}
_ORPHAN = {"pid": _PID, "comm": _COMM}

COMMON = {
    "timestamp": Field({"type": "string", "pattern": _TIMESTAMP}, "RFC 3339, UTC, microseconds, `Z`"),
    "level": _string("weight of the record", values=tuple(LEVELS)),
    "event": _string("name of the event"),
    "seq": _integer("counts records up by one from 1; a gap is a loss", least=1),
}
"""Fields of every record."""

ENDING = {
    "exit_code": _optional(_integer("exit code, if the process exited by itself", most=255)),
    "signal": _optional(_integer("signal that killed it, otherwise", least=1, most=64)),
    "signal_name": _optional(Field(_SIGNAL_NAME.schema, "name of that signal")),
    "core_dumped": _optional(_boolean("whether that signal left a core file")),
}
"""Fields that tell how a process ended: either the first one or the others."""

EVENTS: dict[str, Event] = {
    "supervisor_started": Event(
        "The daemon, or the pause mode, stands.",
        {
            "version": _string("version of pausevisor"),
            "mode": _string(
                "`pid1`; `subreaper`: orphans come to us all the same; `plain`: they go to another process",
                values=("pid1", "subreaper", "plain"),
            ),
            "loop": _string("event loop; `none` in pause mode", values=("uvloop", "asyncio", "none")),
            "python": _string("version of Python"),
            "pid": _PID,
            "services": _integer("how many services are configured"),
        },
    ),
    "supervisor_warning": Event(
        "Something does not work here, or not as ordered; the daemon does without.",
        {
            "service": _optional(_SERVICE),
            "message": _string("what, and what follows from it"),
        },
    ),
    "control_listening": Event(
        "Clients can connect.",
        {
            "address": _string("path of the socket, or address and port"),
            "serves": _string(
                "`control`: everything, to whom the kernel says may; `api`: everything, for a token; `health`: probes "
                "and metrics, to everybody",
                values=("control", "api", "health"),
            ),
        },
    ),
    "pause_entered": Event(
        "Nothing is left to supervise: orphans are reaped until the daemon is told to end.",
        {"reason": _string("why")},
    ),
    "signal_received": Event(
        "A signal was sent to the daemon.",
        {
            **_SIGNALLED,
            "action": _string(
                "what it does; `kill` is a second order to shut down",
                values=("shutdown", "kill", "reload", "reopen-logs", "ignore", "forward"),
            ),
            "sender_pid": _optional(_integer("who sent it, where the kernel says", least=1)),
        },
    ),
    "signal_forwarded": Event(
        "A service was sent a signal.",
        {
            "service": _SERVICE,
            "pid": _PID,
            **_SIGNALLED,
            "scope": _string("whom it reaches", values=("process", "group", "tree")),
        },
    ),
    "service_state_changed": Event(
        "A service went from one state to another.",
        {
            "service": _SERVICE,
            "from": _string("state before", values=STATES),
            "to": _string("state now", values=STATES),
            "reason": _string("why"),
            "need": _optional(_string("service that it waits for, or that has failed it")),
        },
    ),
    "child_started": Event(
        "The program of a service runs: exec succeeded.",
        {
            "service": _SERVICE,
            "pid": _PID,
            "command": _strings("program and arguments"),
            "attempt": _integer("number of this start, from 1", least=1),
        },
    ),
    "child_exited": Event(
        "The main process of a service has ended and is reaped. Its output stands before this record.",
        {
            "service": _SERVICE,
            "pid": _PID,
            "expected": _boolean("whether it was told to end, or ended in a way that counts as success"),
            "duration_s": _seconds("how long it ran, seconds"),
            **_USAGE,
            "oom_killed": _boolean("whether the kernel killed it for want of memory"),
            "tail": _optional(
                _strings(
                    "last lines of its output (`tail` of each stream, at most 4 KiB), when the end was not expected"
                )
            ),
        },
        ending=True,
    ),
    "child_stopped": Event(
        "The main process of a service was stopped by a signal; it is alive.",
        {"service": _SERVICE, "pid": _PID, **_SIGNALLED},
    ),
    "child_continued": Event(
        "The main process of a service was continued.",
        {"service": _SERVICE, "pid": _PID, **_SIGNALLED},
    ),
    "child_spawn_failed": Event(
        "The program of a service could not be started.",
        {
            "service": _SERVICE,
            "stage": Field({"type": "string", "minLength": 1}, "step that failed: `fork`, `chdir`, `exec` and others"),
            "errno": Field({"type": "string", "pattern": "^([A-Z][A-Z0-9]*|[0-9]+)$"}, "name of the error, `ENOENT`"),
            "error": _ERROR,
            "retry": _optional(_boolean("whether it is tried again for lack of resources")),
        },
    ),
    "orphan_exited": Event(
        "A process that was handed to us, because its parent had ended, has ended and is reaped.",
        {**_ORPHAN, **_USAGE, "origin": _ORIGIN},
        ending=True,
    ),
    "orphan_stopped": Event("An orphan was stopped by a signal.", {**_ORPHAN, **_SIGNALLED, "origin": _ORIGIN}),
    "orphan_continued": Event("An orphan was continued.", {**_ORPHAN, **_SIGNALLED, "origin": _ORIGIN}),
    "restart_scheduled": Event(
        "A service will be started again.",
        {
            "service": _SERVICE,
            "delay_s": _seconds("in so many seconds"),
            "attempt": _integer("number of that start, from 1", least=1),
            "reason": _string("why"),
        },
    ),
    "service_ready": Event(
        "A service is ready, by what its `ready` asks.",
        {
            "service": _SERVICE,
            "pid": _PID,
            "probe": _PROBE,
            "duration_s": _seconds("since its program was started, seconds"),
        },
    ),
    "service_status": Event(
        "A service said something of itself, by sd_notify(3); level `debug`.",
        {
            "service": _SERVICE,
            "pid": _PID,
            "status": _optional(_string("its `STATUS=`")),
            "error_number": _optional(_integer("its `ERRNO=`")),
        },
    ),
    "probe_failed": Event(
        "A probe of a service failed; for readiness only when the error is another one than before.",
        {
            "service": _SERVICE,
            "pid": _PID,
            "probe": _PROBE,
            "kind": _string("what it was for", values=("ready", "health")),
            "error": _ERROR,
            "failures": _optional(_integer("so many in a row", least=1)),
        },
    ),
    "health_changed": Event(
        "A service is unhealthy: its probe failed as often in a row as `health` allows; or it is well again.",
        {"service": _SERVICE, "pid": _PID, "healthy": _boolean("whether it is well"), "probe": _optional(_PROBE)},
    ),
    "watchdog_expired": Event(
        "A service was silent for longer than its `watchdog` allows, or asked for this itself; it gets ABRT.",
        {"service": _SERVICE, "pid": _PID, "watchdog_s": _optional(_seconds("what it allows, seconds"))},
    ),
    "run_finished": Event(
        "A run of a scheduled service is over.",
        {
            "service": _SERVICE,
            "attempt": _integer("number of this start, from 1", least=1),
            "succeeded": _boolean("whether it ended well"),
            "reason": _string("how it ended: `success`, `exit-code`, `signal` and others"),
            "exit_code": _integer("its exit code, 128 and the number of the signal that killed it", most=255),
            "duration_s": _seconds("how long it took, seconds"),
            "scheduled_for": _optional(_string("the time it was planned for; missing for one that was ordered")),
        },
    ),
    "run_skipped": Event(
        "A run of a scheduled service does not take place.",
        {"service": _SERVICE, "scheduled_for": _string("the time it was planned for"), "reason": _string("why")},
    ),
    "output": Event(
        "A line that a child wrote.",
        {
            "service": _SERVICE,
            "pid": _integer("process that was given the stream; a descendant may have written to it too", least=1),
            "stream": _string("which", values=("stdout", "stderr")),
            "message": _optional(
                _string(
                    "the line, without its newline; bytes that are not UTF-8 are U+FFFD. With `json` the child's own "
                    "`message`, if it has one"
                )
            ),
            "json": _optional(Field({"type": "object"}, 'with `json = "embed"`: the object that the line is')),
            "id": _optional(_integer("of a split line: `seq` of its first record", least=1)),
            "part": _optional(_integer("of a split line: number of this piece, from 1", least=1)),
            "parts": _optional(_integer("of a split line: number of its pieces, always there in the last", least=1)),
        },
        merged=True,
    ),
    "log_lines_dropped": Event(
        "Records were lost before this one: their numbers are missing. With `sink`, what was lost is what that sink "
        "should have got, and no number is missing here.",
        {
            "service": _optional(_SERVICE),
            "sink": _optional(_SINK),
            "count": _integer("how many", least=1),
            "reason": _string(
                "the reader was too slow, the disk or file is full, the reader is gone, another error, or lines of a "
                "service that is not to wait",
                values=("blocked", "no_space", "closed", "io_error", "overflow"),
            ),
        },
    ),
    "sink_failed": Event(
        "A sink does not work. What it is to get waits, as much as has room; it is tried again.",
        {"sink": _SINK, "error": _ERROR, "retry_s": _seconds("in so many seconds, and then less and less often")},
    ),
    "sink_recovered": Event(
        "A sink works again; what has waited is written.",
        {"sink": _SINK, "down_s": _seconds("how long it did not work, seconds")},
    ),
    "logs_reopened": Event("Log files were opened again.", {"sinks": _strings("which")}),
    "config_loaded": Event("The configuration was read.", {"sources": _strings("files, in the order of reading")}),
    "config_reloaded": Event(
        "A changed configuration is in force.",
        {
            "added": _strings("services that are new"),
            "changed": _strings("services that have changed"),
            "removed": _strings("services that are gone"),
        },
    ),
    "config_rejected": Event(
        "A changed configuration is wrong; what was in force stays in force.",
        {"errors": _strings("all errors, each with file and key")},
    ),
    "shutdown_started": Event("The daemon begins to stop everything.", {"reason": _string("why")}),
    "shutdown_finished": Event(
        "Nothing is left; the last record.",
        {
            "exit_code": _integer("exit code of the daemon", most=255),
            "duration_s": _seconds("since `shutdown_started`, seconds"),
            "killed": _strings("services and other processes that were late and got KILL"),
        },
    ),
    "internal_error": Event(
        "A defect of the daemon; it goes on.",
        {"where": _string("what it was doing"), "error": _ERROR},
    ),
}
"""All events by name."""


def event_schema() -> Schema:
    """JSON Schema of a record: one of the events, each with its own fields; others only where a child's are merged."""
    return {
        "$schema": SCHEMA_ID,
        "title": "A record of pausevisor's log",
        "type": "object",
        "required": list(COMMON),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in EVENTS],
        "$defs": {name: _definition(name, event) for name, event in EVENTS.items()},
    }


def markdown() -> str:
    """The events and their fields as the tables of ``docs/events.md``."""
    common = "".join(f"| `{name}` | {field.text} |\n" for name, field in COMMON.items())
    sections = [f"### Common fields\n\n| field | meaning |\n|---|---|\n{common}"]
    for name, event in EVENTS.items():
        rows = "".join(
            f"| `{key}` | {_kind(field.schema)} | {_article(field)}{field.text} |\n"
            for key, field in _fields(event).items()
        )
        more = ' With `json = "merge"` it has the child\'s own fields as well.' if event.merged else ""
        sections.append(f"### `{name}`\n\n{event.text}{more}\n\n| field | type | meaning |\n|---|---|---|\n{rows}")
    return "\n".join(sections)


def _fields(event: Event) -> dict[str, Field]:
    return {**event.fields, **(ENDING if event.ending else {})}


def _definition(name: str, event: Event) -> Schema:
    fields = {**COMMON, "event": Field({"const": name}, ""), **_fields(event)}
    definition: Schema = {
        "description": event.text,
        "type": "object",
        "properties": {
            key: field.schema | ({"description": field.text} if field.text else {}) for key, field in fields.items()
        },
        "required": [key for key, field in fields.items() if field.required],
        "additionalProperties": event.merged,
    }
    if event.ending:
        definition["oneOf"] = _either_ending()
    if "parts" in event.fields:
        definition["dependentRequired"] = {"id": ["part"], "part": ["id"], "parts": ["id", "part"]}
    return definition


def _either_ending() -> list[Schema]:
    by_itself, *killed = ENDING
    return [
        {"required": [by_itself], "properties": dict.fromkeys(killed, False)},
        {"required": killed, "properties": {by_itself: False}},
    ]


def _kind(schema: Schema) -> str:
    values = schema.get("enum")
    if isinstance(values, list):
        return ", ".join(f"`{value}`" for value in values)
    return "list of strings" if schema["type"] == "array" else str(schema["type"])


def _article(field: Field) -> str:
    return "" if field.required else "optional: "


def main(arguments: list[str]) -> None:
    """Write the JSON Schema, or with ``--markdown`` the tables, to stdout."""
    if arguments == ["--markdown"]:
        sys.stdout.write(markdown())
        return
    import json  # noqa: PLC0415 (the daemon needs the table, if anything)

    sys.stdout.write(json.dumps(event_schema(), indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
