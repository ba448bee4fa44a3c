"""What every run's records must satisfy, whatever the run was about."""

import functools
import importlib
import itertools
import json
import os
import re
from collections.abc import Iterable
from typing import Any

from tests.helpers.streams import Record

SCHEMA = os.path.join(os.path.dirname(__file__), "..", "..", "config", "events.schema.json")

_jsonschema: Any = importlib.import_module("jsonschema")  # it has no type information of its own

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_LEVELS = {"debug", "info", "warning", "error", "critical"}
_EACH = 10
"""So many records of an event are all validated; of a storm's further ones, one of each shape."""


def check_records(records: list[Record]) -> None:
    """Assert what holds for all records of one run of the daemon, in the order in which they were written."""
    check_common(records)
    check_schema(records)
    check_sequence(records)
    check_children(records)
    assert [found for found in records if found["event"] == "internal_error"] == []
    ends = [index for index, found in enumerate(records) if found["event"] == "shutdown_finished"]
    assert ends in ([], [len(records) - 1]), f"records after shutdown_finished: {records[ends[0] + 1 :]}"


def check_common(records: Iterable[Record]) -> None:
    """Every record has the four common fields."""
    for found in records:
        assert _TIMESTAMP.fullmatch(str(found.get("timestamp"))), found
        assert found.get("level") in _LEVELS, found
        assert isinstance(found.get("seq"), int), found
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", found["event"]), found


def check_sequence(records: list[Record]) -> None:
    """``seq`` goes up by one; where it leaps, ``log_lines_dropped`` accounts for what is missing."""
    numbers = [found["seq"] for found in records]
    assert numbers == sorted(set(numbers)), numbers
    missing = numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0
    dropped = sum(found["count"] for found in records if found["event"] == "log_lines_dropped" and "sink" not in found)
    leaps = [(left, right) for left, right in itertools.pairwise(numbers) if right != left + 1]
    assert missing <= dropped, f"{missing} records missing at {leaps}, {dropped} reported as dropped"


def check_children(records: Iterable[Record]) -> None:
    """Each ``child_exited`` follows a ``child_started`` of the same service and process, once; orphans are others.

    Except where a service has named another of its processes as the main one: then that one's end is the service's, and
    the one that was started is an orphan like any other.
    """
    living: dict[int, str] = {}
    heirless: dict[str, int] = {}  # by service: the process that was started and has ended as an orphan
    for found in records:
        event = found["event"]
        if event == "child_started":
            assert found["pid"] not in living, found
            living[found["pid"]] = found["service"]
        elif event == "child_exited" and (living or heirless):
            service = found["service"]
            if found["pid"] in living:
                assert living.pop(found["pid"]) == service, found
            elif heirless.pop(service, None) is None:
                started = [pid for pid, name in living.items() if name == service]
                assert started, found
                del living[started[0]]
        elif event == "orphan_exited" and found["pid"] in living:
            heirless[living.pop(found["pid"])] = found["pid"]
    assert heirless == {}, "main processes that ended as orphans, and nobody has taken their places"


@functools.cache
def validator(event: str) -> Any:
    """Validator for the records of one event, from the published schema."""
    with open(SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    _jsonschema.Draft202012Validator.check_schema(schema)
    reference = {"$ref": f"#/$defs/{event}"}
    assert reference in schema["oneOf"], f"{event} is no event of the published schema"
    del schema["oneOf"]  # to try every other event as well is what takes the time
    return _jsonschema.Draft202012Validator({**schema, "allOf": [reference]})


def check_schema(records: Iterable[Record]) -> None:
    """Every record is as the published schema says."""
    seen: dict[str, int] = {}
    shapes: set[object] = set()
    for found in records:
        name = found["event"]
        seen[name] = seen.get(name, 0) + 1
        shape = (name, frozenset((key, type(thing)) for key, thing in found.items()))
        if seen[name] > _EACH and shape in shapes:
            continue
        shapes.add(shape)
        problems = [f"{list(error.path)}: {error.message}" for error in validator(name).iter_errors(found)]
        assert problems == [], found


def check_foretold(orphans: list[Record]) -> None:
    """Assert that each of these ended as ``programs/orphans.py`` has made it end by its own pid."""
    for found in orphans:
        expected = ("signal", 9) if found["pid"] % 7 == 0 else ("exit_code", found["pid"] % 200)
        assert found.get(expected[0]) == expected[1], found
