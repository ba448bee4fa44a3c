"""Records in the words of others: what a log pipeline that knows one of these schemas needs no rules for.

``ecs`` is the Elastic Common Schema, ``gcp`` what the agents of Google Cloud Logging understand, ``otel`` the log data
model of OpenTelemetry as one line of OTLP/JSON: the collector's receiver for such files takes it as it is, which it
does with no flatter form. What a schema has no name for keeps ours, behind ``pausevisor.`` in ``ecs`` and ``otel``.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Record = dict[str, object]
Dialect = Callable[[Mapping[str, object], Mapping[str, object]], Record]
"""Makes a record of ours, and of the members of a child's JSON object that are merged into it."""

PREFIX = "child_"
"""What stands before a child's name that would be taken for one of ours."""


def free_name(name: str, taken: Mapping[str, object] | frozenset[str]) -> str:
    """The name, behind as many prefixes as it takes to be none of those taken."""
    while name in taken:
        name = PREFIX + name
    return name


def headline(record: Mapping[str, object]) -> str:
    """What an event is about in a few words, for readers that show one field."""
    message = record.get("message")
    if isinstance(message, str) or record["event"] == "output":
        return str(message or "")
    return " ".join(str(record[key]) for key in ("event", "service", "comm") if record.get(key))


_ECS = {
    "timestamp": "@timestamp",
    "level": "log.level",
    "event": "event.action",
    "seq": "event.sequence",
    "reason": "event.reason",
    "service": "service.name",
    "pid": "process.pid",
    "comm": "process.name",
    "command": "process.args",
    "exit_code": "process.exit_code",
    "error": "error.message",
}
"""Names of the Elastic Common Schema for ours."""

_ECS_VERSION = "8.11.0"


def ecs(record: Mapping[str, object], child: Mapping[str, object]) -> Record:
    """In the Elastic Common Schema, with dotted names, as its loggers write it."""
    made: Record = {_ECS.get(key, f"pausevisor.{key}"): value for key, value in record.items() if key != "message"}
    duration = record.get("duration_s")
    if isinstance(duration, int | float):
        made["event.duration"] = round(duration * 1e9)  # nanoseconds
    made["ecs.version"] = _ECS_VERSION
    # A name with a dot is an object in the index: under the name of that object no other value can be indexed.
    objects = frozenset(name.partition(".")[0] for name in made if "." in name)
    apart = {
        free_name(PREFIX + name, child) if name in objects and not isinstance(value, dict) else name: value
        for name, value in child.items()
    }
    return _with_child(made, record, apart)


_GCP = {"timestamp": "time", "level": "severity"}
_GCP_LABELS = ("service", "stream")


def gcp(record: Mapping[str, object], child: Mapping[str, object]) -> Record:
    """As structured logging of Google Cloud has it; what it has no name for is part of the payload, by our names."""
    made: Record = {_GCP.get(key, key): value for key, value in record.items() if key != "message"}
    made["severity"] = str(made["severity"]).upper()
    labels = {key: record[key] for key in _GCP_LABELS if key in record}
    if labels:
        made["logging.googleapis.com/labels"] = labels
    return _with_child(made, record, child)


def _with_child(made: Record, record: Mapping[str, object], child: Mapping[str, object]) -> Record:
    text, fields = _apart(record, child)
    made |= {free_name(name, made): value for name, value in fields.items()}
    if text is not None:
        made["message"] = text
    return made


def _apart(record: Mapping[str, object], child: Mapping[str, object]) -> tuple[object, Record]:
    """What the message is, None for none, and the other members of the child's object."""
    fields = dict(child)
    if not fields:
        return headline(record), fields
    return fields.pop("message" if "message" in fields else "msg", None), fields


_OTEL = {
    "service": "service.name",
    "pid": "process.pid",
    "comm": "process.executable.name",
    "command": "process.command_args",
    "exit_code": "process.exit.code",
    "stream": "log.iostream",
    "error": "error.message",
}
"""Names of OpenTelemetry's semantic conventions for ours."""

_SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
"""SeverityNumber: the first of each range, and FATAL for what we call critical."""

_SCOPE = {"name": "pausevisor"}


def otel(record: Mapping[str, object], child: Mapping[str, object]) -> Record:
    """As OTLP/JSON: one resource, the service, with one record in its scope."""
    level = str(record["level"])
    own = {key: value for key, value in record.items() if key not in ("timestamp", "level", "event", "message")}
    attributes = {_OTEL.get(key, f"pausevisor.{key}"): value for key, value in own.items() if key != "service"}
    body, fields = _apart(record, child)
    attributes |= {free_name(name, attributes): value for name, value in fields.items()}
    log: Record = {
        "timeUnixNano": _nanoseconds(str(record["timestamp"])),
        "severityNumber": _SEVERITIES[level],
        "severityText": level.upper(),
        "eventName": record["event"],
        "attributes": _pairs(attributes),
    }
    if body is not None:
        log["body"] = _any_value(body)
    resource = {"attributes": _pairs({"service.name": record.get("service", "pausevisor")})}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": _SCOPE, "logRecords": [log]}]}]}


def _nanoseconds(stamp: str) -> str:
    moment = datetime.fromisoformat(stamp)
    return f"{int(moment.timestamp())}{moment.microsecond:06d}000"


def _pairs(attributes: Mapping[str, object]) -> list[Record]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: object) -> Record:
    """AnyValue of OTLP/JSON: whole numbers are strings there, as protobuf's mapping of 64 bits asks.

    A number of more bits is text: as a number the collector would refuse it, and the whole line with it.
    """
    if value is None:
        return {}
    make = _ANY_VALUES.get(type(value))
    return make(value) if make is not None else {"stringValue": str(value)}


_INT64 = 1 << 63

_ANY_VALUES: dict[type, Callable[[Any], Record]] = {
    bool: lambda value: {"boolValue": value},
    int: lambda value: {"intValue" if -_INT64 <= value < _INT64 else "stringValue": str(value)},
    float: lambda value: {"doubleValue": value},
    list: lambda value: {"arrayValue": {"values": [_any_value(item) for item in value]}},
    dict: lambda value: {"kvlistValue": {"values": _pairs(value)}},
}

DIALECTS: dict[str, Dialect] = {"ecs": ecs, "otel": otel, "gcp": gcp}
"""By the name of the schema; ``native`` is none of them."""

_OF_A_LINE = frozenset(
    {"timestamp", "level", "event", "seq", "service", "pid", "stream", "id", "part", "parts", "message"}
)


def translate(record: Record, schema: str) -> Record:
    """A complete record of ours in another schema; what else is in an ``output`` record is the child's."""
    if record["event"] != "output" or ("message" in record and _OF_A_LINE.issuperset(record)):
        return DIALECTS[schema](record, {})
    own = {key: value for key, value in record.items() if key in _OF_A_LINE and key != "message"}
    return DIALECTS[schema](own, {key: value for key, value in record.items() if key not in own})
