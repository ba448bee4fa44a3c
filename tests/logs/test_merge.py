"""A child's JSON in its records: what it says is kept, and it never says what is ours."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.spec import JsonLines, LineLevels, ServiceLog
from supervisor.logs.levels import of_value
from supervisor.logs.lines import Fragment
from supervisor.logs.merge import DEPTH, MEMBERS, OURS
from supervisor.logs.output import OutputLines, output_records
from tests.logs.support import STAMP, STAMP_TEXT, patient

ORIGIN = ("web", 7, "stdout")
MERGE = ServiceLog(json=JsonLines.MERGE)
EMBED = ServiceLog(json=JsonLines.EMBED)
HEAD = {"timestamp": STAMP_TEXT, "event": "output", "service": "web", "pid": 7, "stream": "stdout"}

ODD = b'{"\\u0061":"\\u0062"}'
"""An object that can't be copied as it is: no other in the same run is then either."""


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; no record may have a name of ours twice, for some readers take the first."""
    names = [name for name, _ in pairs]
    if "output" in dict(pairs).values() and names[0] == "timestamp":
        assert [name for name in (*OURS, "level") if names.count(name) > 1] == []
    return dict(pairs)


def parse(data: bytes) -> list[dict[str, Any]]:
    """Records."""
    return [json.loads(line, object_pairs_hook=without_doubles) for line in data.split(b"\n")[:-1]]


def render(
    *messages: bytes, log: ServiceLog = MERGE, schema: str = "native", most: int = 16384, least: str = "info"
) -> list[dict[str, Any]]:
    """The records made of messages, by both ways, which have to agree."""
    data, count = OutputLines(most, schema=schema, least=least).render(STAMP_TEXT, 0, ORIGIN, messages, log)
    records = parse(data)
    assert len(records) == count
    assert all(len(line) < most for line in data.split(b"\n"))
    slow, _ = OutputLines(most, schema=schema, least=least).render(STAMP_TEXT, 0, ORIGIN, [*messages, ODD], log)
    assert parse(slow)[: len(records)] == records
    return records


def merged(line: bytes, **more: Any) -> dict[str, Any]:
    """The one record of an object, without what is in every record."""
    (record,) = render(line, **more)
    assert {key: record.pop(key) for key in HEAD} == HEAD
    assert record.pop("seq") == 1
    return record


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"a":1,"b":[1,{"c":null}],"d":"x"}', {"level": "info", "a": 1, "b": [1, {"c": None}], "d": "x"}),
        (b'{"level":"error","msg":"x"}', {"level": "error", "msg": "x"}),
        (b'{"level": "WARN", "message": "x"}', {"level": "warning", "message": "x"}),
        (b'{"level":"INFO"}', {"level": "info"}),
        (b'{"level":"err"}', {"level": "error"}),
        (b'{"level":"fatal"}', {"level": "critical", "child_level": "fatal"}),
        (b'{"a":1, "level": "Error" ,"b":2}', {"level": "error", "a": 1, "b": 2}),
        (b'{"level":30,"time":1,"msg":"x"}', {"level": "info", "child_level": 30, "time": 1, "msg": "x"}),
        (b'{"a":1,"level":50}', {"level": "error", "child_level": 50, "a": 1}),
        (b'{"level":3}', {"level": "info", "child_level": 3}),
        (b'{"level":null}', {"level": "info", "child_level": None}),
        (b'{"level":{"name":"error"}}', {"level": "info", "child_level": {"name": "error"}}),
        (b'{"severity":"ERROR","a":1}', {"level": "error", "severity": "ERROR", "a": 1}),
        (b'{"log.level":"debug"}', {"level": "debug", "log.level": "debug"}),
        (b'{"levelname":"CRITICAL"}', {"level": "critical", "levelname": "CRITICAL"}),
        (b'{"timestamp":"t","a":1}', {"level": "info", "child_timestamp": "t", "a": 1}),
        (
            b'{"event":"child_exited","seq":1,"pid":1,"service":"x","stream":"y"}',
            {
                "level": "info",
                "child_event": "child_exited",
                "child_seq": 1,
                "child_pid": 1,
                "child_service": "x",
                "child_stream": "y",
            },
        ),
        (b'{"id":"r-1","part":1,"parts":2}', {"level": "info", "child_id": "r-1", "child_part": 1, "child_parts": 2}),
        (b'{"request":{"id":5,"event":"x"}}', {"level": "info", "request": {"id": 5, "event": "x"}}),
        (b'{"id":1,"request":{"id":5}}', {"level": "info", "child_id": 1, "request": {"id": 5}}),
        (b'{"event":1,"child_event":2}', {"level": "info", "child_child_event": 1, "child_event": 2}),
        (b'{"\\u0065vent":"x"}', {"level": "info", "child_event": "x"}),
        (b'{"x\\"event":1,"event":2}', {"level": "info", 'x"event': 1, "child_event": 2}),
        (b'{"message":{"a":1}}', {"level": "info", "child_message": {"a": 1}}),
        (b'{"message":"say \\"event\\": 1"}', {"level": "info", "message": 'say "event": 1'}),
        (b'{"a":1,"a":2}', {"level": "info", "a": 2}),
        (b'{"event":1,"event":2}', {"level": "info", "child_event": 2}),
        (b'{"event" : 1 }', {"level": "info", "child_event": 1}),
        (b'{ "a" : 1 }', {"level": "info", "a": 1}),
        (b"{}", {"level": "info"}),
        (b'{"":1}', {"level": "info", "": 1}),
        ('{"a":"é\u2028"}'.encode(), {"level": "info", "a": "é\u2028"}),
        (b'{"a":"\xff"}', {"level": "info", "a": "\ufffd"}),
        (b'{"a":"%d %b %%"}', {"level": "info", "a": "%d %b %%"}),
        (b'{\n  "a": [\n    1\n  ]\n}', {"level": "info", "a": [1]}),
    ],
)
def test_what_an_object_becomes(line: bytes, record: dict[str, Any]) -> None:
    """Its members, with those that would pass for ours behind the prefix, and the level that it says."""
    assert merged(line) == record


@pytest.mark.parametrize(
    "line",
    [
        b"text",
        b"{not json}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1}{"b":2}',
        b'{"a":1},{"b":2}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x01"}',
        b'{"a":01}',
        b'{"a":1,}',
        b"{'a':1}",
        b"[1,2]",
        b'"text"',
        b"17",
        b'{"a":1} // comment',
        b'{"a":1} ',
        b' {"a":1}',
        b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1),
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(MEMBERS + 1)) + b"}",
        b'{"a":"' + b"x" * 20_000 + b'"}',
    ],
)
def test_what_stays_text(line: bytes) -> None:
    """What is no JSON, too deep, too large or too long is a message, in one record or several."""
    records = render(line, b'{"after":1}')
    assert "".join(record["message"] for record in records[:-1]) == line.decode()
    assert records[-1]["after"] == 1


def test_a_name_in_escapes_beside_one_that_is_deeper() -> None:
    """What stands as often as there are objects that have it may stand elsewhere: a name in escapes gives no cover."""
    forged, other = render(b'{"\\u0065vent":"child_exited"}', b'{"a":{"event":1}}')
    assert (forged["event"], forged["child_event"]) == ("output", "child_exited")
    assert other["a"] == {"event": 1}


def test_an_object_as_deep_and_as_large_as_may_be() -> None:
    """At the bounds an object is merged."""
    deep = b'{"a":' * DEPTH + b"1" + b"}" * DEPTH
    large = b"{" + b",".join(b'"k%d":1' % number for number in range(MEMBERS)) + b"}"
    assert merged(deep)["a"] == json.loads(deep)["a"]
    assert merged(large)["k255"] == 1


@pytest.mark.parametrize("number", ["1e400", "-1e-400", "123456789012345678901234567890", "0.1000000000000000000001"])
def test_numbers_keep_their_digits(number: str) -> None:
    """A number is copied, not understood."""
    data, _ = OutputLines(16384).render(STAMP_TEXT, 0, ORIGIN, [b'{"a":%b}' % number.encode()], MERGE)
    assert b'"a":%b}' % number.encode() in data


def test_embedded() -> None:
    """Embedded, an object is one field, as it was written, and only its level is understood."""
    records = render(
        b'{"event":"x","level":"warn"}', b'{"level":40,"seq":[1]}', b'{"severity":"ERROR"}', b"{}", b"text", log=EMBED
    )
    assert [(record["level"], record.get("json"), record.get("message")) for record in records] == [
        ("warning", {"event": "x", "level": "warn"}, None),
        ("warning", {"level": 40, "seq": [1]}, None),
        ("error", {"severity": "ERROR"}, None),
        ("info", {}, None),
        ("info", None, "text"),
    ]
    assert all(record["event"] == "output" for record in records)


def test_levels_that_lines_do_not_say() -> None:
    """What says nothing of its level has its stream's, or what is guessed."""
    levels = LineLevels(stdout="debug", stderr="error")
    for json_lines in JsonLines:
        log = ServiceLog(json=json_lines, level=levels)
        for stream, level in (("stdout", "debug"), ("stderr", "error")):
            data, _ = OutputLines(16384).render(STAMP_TEXT, 0, ("web", 7, stream), [b"x", b'{"a":1}', b"{}"], log)
            assert {record["level"] for record in parse(data)} == {level}
    guessing = ServiceLog(json=JsonLines.MERGE, level=LineLevels(guess=True))
    records = render(b"ERROR: x", b'{"level":"warn"}', b"x", b'{"a":"ERROR: x"}', log=guessing)
    assert [record["level"] for record in records] == ["error", "warning", "info", "info"]


def test_levels_below_the_least() -> None:
    """Of lines whose level is known only those loud enough are written; debug is not less than info."""
    log = ServiceLog(json=JsonLines.MERGE, level=LineLevels(guess=True))
    lines = [b"DEBUG x", b"x", b"ERROR x", b'{"level":"warn"}', b'{"level":"debug"}', Fragment(b"x" * 5000), b"y"]
    heard = {
        least: [
            record["level"]
            for record in parse(OutputLines(2000, least=least).render(STAMP_TEXT, 0, ORIGIN, lines, log)[0])
        ]
        for least in ("debug", "info", "warning", "error", "critical")
    }
    assert heard["debug"] == heard["info"]
    assert heard["info"][:5] == ["debug", "info", "error", "warning", "debug"]
    assert heard["warning"] == ["error", "warning"]
    assert heard["error"] == ["error"]
    assert heard["critical"] == []
    for log in (ServiceLog(), MERGE):
        assert OutputLines(2000, least="warning").render(STAMP_TEXT, 5, ORIGIN, [b"x"], log) == (b"", 0)


def test_lines_that_were_joined() -> None:
    """Messages of several lines are each what they are alone, whatever their lines would make with one another."""
    messages = [b'{"a":1}\n{"b":', b"2}", b'{"c":3}', b'{"d":\n4}', b'{"e":5}\n{"f":6}']
    together = [{key: value for key, value in record.items() if key != "seq"} for record in render(*messages)]
    assert together == [HEAD | merged(message) for message in messages]
    assert [record.get("message") for record in together] == [
        *map(bytes.decode, messages[:2]),
        None,
        None,
        messages[4].decode(),
    ]


def test_other_formats_get_the_same_fields() -> None:
    """As plain records, and for targets, an object has the same fields, of values that Python has."""
    line = b'{"event":"x","level":30,"big":1e400,"list":[1,{"a":null}],"message":"m"}'
    expected = {"level": "info", "child_event": "x", "child_level": 30, "big": "1e400"}
    expected |= {"list": [1, {"a": None}], "message": "m"}
    (plain,) = OutputLines(16384).records(STAMP_TEXT, 4, ORIGIN, [line], MERGE)
    assert plain == HEAD | {"seq": 5} | expected
    (structured,) = output_records(ORIGIN, [line], MERGE, STAMP)
    assert structured == HEAD | expected
    (text,) = output_records(ORIGIN, [b"a\xff"], MERGE, STAMP)
    assert text["message"] == "a\ufffd"


_NAMES = st.sampled_from(
    [*OURS, "level", "message", "severity", "child_event", "child_level", "a", "b\\u0062", 'q\\"', ""]
)
_VALUES = st.recursive(
    st.sampled_from(
        [
            "1",
            "30",
            "50",
            "300",
            "-0.5",
            "true",
            "null",
            '"x"',
            '"info"',
            '"ERROR"',
            '"warn"',
            '"\\"level\\":30"',
            '"é"',
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
        st.lists(st.tuples(_NAMES, inner), max_size=3).map(lambda pairs: _written(pairs, ", ", ": ")),
    ),
    max_leaves=5,
)


def _written(pairs: list[tuple[str, str]], comma: str, colon: str) -> str:
    return "{" + comma.join(f'"{name}"{colon}{value}' for name, value in pairs) + "}"


_OBJECTS = st.builds(
    _written,
    st.lists(st.tuples(_NAMES, _VALUES), max_size=6),
    st.sampled_from([",", ", "]),
    st.sampled_from([":", ": ", " : "]),
).map(str.encode)


@patient
@given(st.lists(st.one_of(_OBJECTS, st.sampled_from([b"text", b"{", b'{"a":1', b"{}}"])), min_size=1, max_size=6))
def test_no_child_forges_ours(messages: list[bytes]) -> None:
    """Whatever objects come, together or alone: the fields of ours are ours, and everything of the child's is kept."""
    records = render(*messages)
    assert len(records) == len(messages)
    for number, (record, message) in enumerate(zip(records, messages, strict=True), 1):
        assert {key: record[key] for key in HEAD} == HEAD
        assert record["seq"] == number
        assert not {"id", "part", "parts"} & record.keys()
        try:
            child = json.loads(message)
        except ValueError:
            assert record["message"] == message.decode()
            continue
        own = set(HEAD) | {"seq", "level"}
        kept = {name: value for name, value in record.items() if name not in own}
        assert isinstance(kept.get("message", ""), str)
        lost = [
            value for name, value in child.items() if name not in {*OURS, "level", "message"} and kept[name] != value
        ]
        assert lost == []
        assert len(kept) >= len(child) - ("level" in child)
        if isinstance(child.get("level"), str | int) and not isinstance(child["level"], bool):
            assert record["level"] == (of_value(child["level"]) or "info")


@patient
@given(
    st.lists(st.binary(max_size=60).map(lambda data: b"{" + data.replace(b"\n", b" ") + b"}"), min_size=1, max_size=5)
)
def test_any_bytes_are_valid_records(messages: list[bytes]) -> None:
    """What looks like an object and is none is a message, and what comes out is JSON."""
    assert len(render(*messages)) == len(messages)
    assert len(render(*messages, log=EMBED)) == len(messages)


@patient
@given(st.lists(_OBJECTS, min_size=1, max_size=4), st.integers(256, 400))
def test_records_stay_within_their_length(messages: list[bytes], most: int) -> None:
    """An object that would not fit into a record with our fields is text, in as many records as it takes."""
    for record in render(*messages, most=most):
        assert record["event"] == "output"
