"""The events as published: the JSON Schema in ``config/events.schema.json`` and the tables in ``docs/events.md``.

::

python -m supervisor.logs.schema > config/events.schema.json
python -m supervisor.logs.schema --markdown
"""

import sys

from supervisor.logs.catalogue import EVENTS, Event
from supervisor.logs.fields import COMMON, ENDING, Field, Schema

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


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
