"""The events, as published: one source, and what the daemon writes fits it."""

import importlib
import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from supervisor.logs.catalogue import EVENTS, STATES
from supervisor.logs.encode import encode
from supervisor.logs.fields import COMMON
from supervisor.logs.output import OutputLines
from supervisor.logs.schema import event_schema, markdown
from supervisor.logs.structured import FORMATS, make_renderer
from tests.helpers.patience import PATIENCE
from tests.logs.support import STAMP_TEXT, parse

_jsonschema: Any = importlib.import_module("jsonschema")  # it has no type information of its own
_ROOT = os.path.join(os.path.dirname(__file__), "..", "..")

ENDINGS: list[dict[str, object]] = [{"exit_code": 3}, {"signal": 9, "signal_name": "SIGKILL", "core_dumped": False}]

EXAMPLES: dict[str, object] = {
    "timestamp": STAMP_TEXT,
    "level": "info",
    "seq": 1,
    "signal_name": "SIGTERM",
    "errno": "ENOENT",
    "from": "stopped",
    "to": "starting",
}
"""Values of fields whose schema does not say by itself what one looks like."""


def valid(record: dict[str, Any]) -> bool:
    """Whether the published schema takes this record, as it would be written."""
    return bool(_jsonschema.Draft202012Validator(event_schema()).is_valid(json.loads(encode(record))))


def example(name: str, *, optional: bool) -> dict[str, Any]:
    """A record of this event, with or without the fields that may be missing."""
    fields = {**COMMON, **EVENTS[name].fields}
    record = {key: _value(key, field.schema) for key, field in fields.items() if field.required or optional}
    record["event"] = name
    return record | (ENDINGS[0] if EVENTS[name].ending else {})


def _value(key: str, schema: dict[str, Any]) -> object:
    if key in EXAMPLES:
        return EXAMPLES[key]
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "x", "integer": 1, "number": 0.5, "boolean": True, "array": ["x"], "object": {}}[schema["type"]]


def test_the_schema_is_a_schema() -> None:
    """The schema is valid JSON Schema, draft 2020-12."""
    _jsonschema.Draft202012Validator.check_schema(event_schema())


def test_the_published_file_is_up_to_date() -> None:
    """``config/events.schema.json`` is what ``python -m supervisor.logs.schema`` writes."""
    ran = subprocess.run(
        [sys.executable, "-m", "supervisor.logs.schema"], capture_output=True, check=True, cwd=_ROOT, timeout=PATIENCE
    )
    with open(os.path.join(_ROOT, "config", "events.schema.json"), "rb") as file:
        assert file.read() == ran.stdout


def test_the_documentation_is_up_to_date() -> None:
    """The tables of ``docs/events.md`` are those ``python -m supervisor.logs.schema --markdown`` writes."""
    with open(os.path.join(_ROOT, "docs", "events.md"), encoding="utf-8") as file:
        found = re.search(r"<!-- tables -->\n\n(.*)\n<!-- end of tables -->", file.read(), re.DOTALL)
    assert found is not None
    assert found[1] == markdown()


@pytest.mark.parametrize("name", EVENTS)
def test_each_event(name: str) -> None:
    """With or without its optional fields a record is valid; with another field or without a required one it is not.

    Other fields are those of a child whose JSON is merged.
    """
    full, least = example(name, optional=True), example(name, optional=False)
    assert valid(full)
    assert valid(least)
    assert valid(full | {"surprise": 1}) is EVENTS[name].merged
    for key in least:
        without = {other: value for other, value in least.items() if other != key}
        assert not valid(without), key


@pytest.mark.parametrize("name", [name for name, event in EVENTS.items() if event.ending])
def test_a_process_ends_in_one_way(name: str) -> None:
    """An end is an exit code, or a signal with its name and whether it dumped core; never both, never neither."""
    record = {key: value for key, value in example(name, optional=True).items() if key != "exit_code"}
    assert not valid(record)
    assert all(valid(record | ending) for ending in ENDINGS)
    assert not valid(record | ENDINGS[0] | ENDINGS[1])
    for key in ENDINGS[1]:
        assert not valid(record | {other: value for other, value in ENDINGS[1].items() if other != key})


@pytest.mark.parametrize(
    "change",
    [
        {"event": "no_such_event"},
        {"level": "notice"},
        {"seq": 0},
        {"seq": "1"},
        {"timestamp": "2023-11-14T22:13:20Z"},
        {"timestamp": "2023-11-14T22:13:20.250000+01:00"},
        {"to": "dead"},
        {"service": ""},
    ],
)
def test_wrong_values(change: dict[str, object]) -> None:
    """A wrong value in any field is refused."""
    record = example("service_state_changed", optional=True)
    assert valid(record)
    assert not valid(record | change)


def test_all_states_are_known() -> None:
    """A state change may be from any state to any."""
    record = example("service_state_changed", optional=True)
    assert all(valid(record | {"from": state, "to": state}) for state in STATES)


def test_parts_come_with_what_belongs_to_them() -> None:
    """A part has an id; a total has both."""
    line = example("output", optional=False)
    assert valid(line | {"id": 1, "part": 1})
    assert not valid(line | {"part": 1})
    assert not valid(line | {"id": 1, "parts": 1})


def test_lines_are_valid() -> None:
    """What the line renderer makes fits the schema, split or not."""
    data, _ = OutputLines(300).render(STAMP_TEXT, 0, ("web", 7, "stdout"), [b"x" * 1000, b"y"])
    records = parse(data)
    assert len(records) > 2
    assert all(map(valid, records))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EVENTS)
def test_every_event_goes_through_every_format(name: str, form: str) -> None:
    """No field of any event is in the way of structlog, whose functions have parameters of their own."""
    record = example(name, optional=True)
    line = make_renderer(form, terminal=False)(record)
    assert line.count(b"\n") == 1
    if form == "json":
        assert json.loads(line) == record
    else:
        assert not line.startswith(b"{")


def test_names_are_snake_case() -> None:
    """Names of events and fields are snake_case, and every one of them says what it means."""
    for name, event in EVENTS.items():
        assert event.text.endswith("."), name
        for key, field in event.fields.items():
            assert re.fullmatch(r"[a-z]+(_[a-z]+)*", key), (name, key)
            assert field.text, (name, key)
