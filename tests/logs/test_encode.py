"""Records as JSON: equal to what others make of them, and never refused."""

import enum
import json
import math
import os
import re
import time
from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs.encode import encode, encode_line, timestamp, to_json
from tests.logs.support import patient

_TEXT = st.text(st.characters(codec="utf-8"))
_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | _TEXT
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=20)


class _Colour(enum.StrEnum):
    RED = "red"


class _Number(enum.IntEnum):
    ONE = 1


@patient
@given(st.dictionaries(_TEXT, _VALUES))
def test_equal_to_msgspec(record: dict[str, object]) -> None:
    """For everything JSON has but fractions, the bytes are those msgspec gives."""
    assert encode(record) == msgspec.json.encode(record)


@patient
@given(st.dictionaries(_TEXT, _VALUES))
def test_json_reads_it_back(record: dict[str, object]) -> None:
    """What the standard library reads is the record."""
    assert json.loads(encode(record)) == record


@patient
@given(st.text(st.characters(codec=None)))
def test_any_text_gives_one_line_of_utf_8(text: str) -> None:
    """With lone surrogates and control characters too, a line is valid UTF-8 and has no newline but its last byte."""
    line = encode_line({"text": text})
    found = json.loads(line.decode("utf-8"))["text"]
    assert line.count(b"\n") == 1
    assert found == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@patient
@given(st.binary(max_size=64).filter(lambda name: b"\0" not in name))
def test_a_file_name_of_any_bytes(name: bytes) -> None:
    """A name that is not UTF-8 has U+FFFD where it isn't, and is intact elsewhere."""
    found = json.loads(encode({"name": os.fsdecode(name)}))["name"]
    expected = re.sub("[\ud800-\udfff]", "\ufffd", os.fsdecode(name))
    assert found == expected


@patient
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_six_decimals(value: float) -> None:
    """A float is rounded to a millionth."""
    assert json.loads(encode({"value": value}))["value"] == round(value, 6)


def test_floats_that_json_has_no_word_for() -> None:
    """NaN and the infinities are null."""
    assert encode({"values": [math.nan, math.inf, -math.inf]}) == b'{"values":[null,null,null]}'


def test_other_types_are_written_as_something() -> None:
    """Enumerations are their values, bytes are text, what JSON doesn't know is its ``str()``; keys too."""
    record: dict[object, object] = {"a": _Colour.RED, "b": _Number.ONE, "c": b"\xffx", "d": 1 + 2j, "e": (1,), 5: None}
    assert json.loads(encode(record)) == {  # type: ignore[arg-type]  # that it is no record is the point
        "a": "red",
        "b": 1,
        "c": "\ufffdx",
        "d": "(1+2j)",
        "e": [1],
        "5": None,
    }


def test_a_value_alone() -> None:
    """A value without a record is JSON too."""
    assert to_json(["a", {"b": True}]) == '["a",{"b":true}]'


@patient
@given(st.floats(0, 4_000_000_000))
def test_timestamps(wall: float) -> None:
    """A timestamp is RFC 3339 in UTC with microseconds, cut off and not rounded up into the next second."""
    text = timestamp(wall)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert abs(datetime.fromisoformat(text).timestamp() - wall) < 2e-6
    assert datetime.fromisoformat(text).replace(microsecond=0) == datetime.fromtimestamp(int(wall), UTC)


def test_timestamps_do_not_depend_on_the_time_zone() -> None:
    """Whatever TZ says, the time is UTC."""
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = "Pacific/Kiritimati"
        time.tzset()
        assert timestamp(0.5) == "1970-01-01T00:00:00.500000Z"
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()
