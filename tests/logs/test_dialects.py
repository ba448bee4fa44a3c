"""Records in the schemas of others: what each asks for is there, and nothing gets lost or forged."""

import json
import os
import re
from typing import Any

import pytest

from supervisor.core.spec import JsonLines, LineLevels, ServiceLog
from supervisor.logs.catalogue import EVENTS
from supervisor.logs.dialects import DIALECTS
from supervisor.logs.lines import Fragment
from supervisor.logs.output import OutputLines
from supervisor.logs.structured import make_renderer
from tests.logs.support import STAMP, STAMP_TEXT, parse
from tests.logs.test_schema import example

ORIGIN = ("web", 7, "stderr")
MERGE = ServiceLog(json=JsonLines.MERGE)
EXITED: dict[str, object] = {
    "timestamp": STAMP_TEXT,
    "level": "warning",
    "event": "child_exited",
    "seq": 3,
    "service": "web",
    "pid": 7,
    "exit_code": 3,
    "expected": False,
    "duration_s": 0.5,
    "tail": ["one", "two"],
}


def event(schema: str, record: dict[str, object]) -> dict[str, Any]:
    """An event as it is written."""
    (written,) = parse(make_renderer("json", terminal=False, schema=schema)(record))
    return written


def line(schema: str, message: bytes, log: ServiceLog = MERGE) -> dict[str, Any]:
    """A line as it is written, in bulk and alone."""
    data, count = OutputLines(16384, schema=schema).render(STAMP_TEXT, 4, ORIGIN, [message], log)
    assert count == 1
    (record,) = parse(data)
    (plain,) = OutputLines(16384).records(STAMP_TEXT, 4, ORIGIN, [message], log)
    assert event(schema, plain) == record, "a record that was held, or goes to another place too, is the same"
    return record


def flat(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Attributes of OTLP as a dictionary; whole numbers are strings there."""
    return {pair["key"]: next(iter(pair["value"].values()), None) for pair in pairs}


def test_ecs_event() -> None:
    """The fields that the Elastic Common Schema has, dotted; the rest behind a prefix."""
    assert event("ecs", EXITED) == {
        "@timestamp": STAMP_TEXT,
        "log.level": "warning",
        "event.action": "child_exited",
        "event.sequence": 3,
        "service.name": "web",
        "process.pid": 7,
        "process.exit_code": 3,
        "pausevisor.expected": False,
        "pausevisor.duration_s": 0.5,
        "pausevisor.tail": ["one", "two"],
        "event.duration": 500_000_000,
        "ecs.version": "8.11.0",
        "message": "child_exited web",
    }


def test_ecs_lines() -> None:
    """A line's message is the message; a child's own names stay, but for those that are ours in either schema."""
    head = {
        "@timestamp": STAMP_TEXT,
        "log.level": "info",
        "event.action": "output",
        "event.sequence": 5,
        "service.name": "web",
        "process.pid": 7,
        "pausevisor.stream": "stderr",
        "ecs.version": "8.11.0",
    }
    assert line("ecs", b"100 % \xe2\x82\xac") == head | {"message": "100 % \u20ac"}
    assert line("ecs", b'{"msg":"x","a":1,"@timestamp":"t","event.action":"child_exited","seq":9,"level":"fatal"}') == {
        **head,
        "log.level": "critical",
        "message": "x",
        "a": 1,
        "child_@timestamp": "t",
        "child_event.action": "child_exited",
        "child_seq": 9,
        "child_level": "fatal",
    }


def test_gcp() -> None:
    """What the agents of Google Cloud look for: severity, time, message, labels."""
    head = {"time": STAMP_TEXT, "severity": "INFO", "event": "output", "seq": 5, "service": "web", "pid": 7}
    labels = {"logging.googleapis.com/labels": {"service": "web", "stream": "stderr"}}
    assert line("gcp", b"x") == head | labels | {"stream": "stderr", "message": "x"}
    merged = line("gcp", b'{"message":"x","severity":"ERROR","time":1,"logging.googleapis.com/trace":"t"}')
    assert merged["severity"] == "ERROR"
    assert (merged["child_severity"], merged["child_time"], merged["message"]) == ("ERROR", 1, "x")
    assert merged["logging.googleapis.com/trace"] == "t"
    written = event("gcp", EXITED)
    assert (written["severity"], written["message"], written["exit_code"]) == ("WARNING", "child_exited web", 3)
    assert written["logging.googleapis.com/labels"] == {"service": "web"}


def test_otel() -> None:
    """One resource with one record in one scope, as OTLP/JSON has it; numbers of 64 bits are strings."""
    written = event("otel", EXITED)
    (resource,) = written["resourceLogs"]
    assert flat(resource["resource"]["attributes"]) == {"service.name": "web"}
    (scope,) = resource["scopeLogs"]
    (record,) = scope["logRecords"]
    assert record["timeUnixNano"] == f"{int(STAMP)}250000000"
    assert (record["severityNumber"], record["severityText"], record["eventName"]) == (13, "WARNING", "child_exited")
    assert record["body"] == {"stringValue": "child_exited web"}
    attributes = flat(record["attributes"])
    assert attributes["process.pid"] == "7"
    assert attributes["pausevisor.expected"] is False
    assert attributes["pausevisor.duration_s"] == 0.5
    assert attributes["pausevisor.tail"] == {"values": [{"stringValue": "one"}, {"stringValue": "two"}]}


def test_otel_lines() -> None:
    """A child's members are attributes of whatever type they have; its message is the body."""
    written = line("otel", b'{"message":"x","n":null,"list":[1,{"a":true}],"big":1e400,"level":"fatal"}')
    (record,) = written["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert record["body"] == {"stringValue": "x"}
    assert (record["severityNumber"], record["severityText"]) == (21, "CRITICAL")
    values = {pair["key"]: pair["value"] for pair in record["attributes"]}
    assert values["log.iostream"] == {"stringValue": "stderr"}
    assert values["n"] == {}
    assert values["big"] == {"stringValue": "1e400"}
    assert values["list"]["arrayValue"]["values"] == [
        {"intValue": "1"},
        {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": True}}]}},
    ]


@pytest.mark.parametrize("schema", DIALECTS)
def test_a_second_message_is_kept(schema: str) -> None:
    """`message` is the message; a `msg` beside it is a field like any other, in whatever order they stand."""
    for text in (b'{"msg":"short","message":"long"}', b'{"message":"long","msg":"short"}'):
        written = line(schema, text)
        if schema == "otel":
            (record,) = written["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
            written = flat(record["attributes"]) | {"message": record["body"]["stringValue"]}
        assert (written["message"], written["msg"]) == ("long", "short")


def test_ecs_names_of_objects() -> None:
    """An index that has an object of a name refuses a record with anything else there: it gets a name of its own."""
    merged = line("ecs", b'{"log":"y","process":{"thread":{"id":1}},"ecs":1,"pausevisor":null,"child_log":2}')
    assert {name: value for name, value in merged.items() if "." not in name and name != "@timestamp"} == {
        "child_child_log": "y",
        "process": {"thread": {"id": 1}},
        "child_ecs": 1,
        "child_pausevisor": None,
        "child_log": 2,
    }


def test_otel_large_numbers() -> None:
    """Of a number that is no 64 bit integer the collector's parser says that the whole line is none."""
    written = line("otel", b'{"most":9223372036854775807,"more":9223372036854775808,"least":-9223372036854775808}')
    (record,) = written["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    values = {pair["key"]: pair["value"] for pair in record["attributes"]}
    assert values["most"] == {"intValue": "9223372036854775807"}
    assert values["more"] == {"stringValue": "9223372036854775808"}
    assert values["least"] == {"intValue": "-9223372036854775808"}


@pytest.mark.parametrize("schema", DIALECTS)
def test_lines_in_bulk(schema: str) -> None:
    """Many lines, of any text and of several levels, each in its record."""
    messages = [b"ERROR: 1 %d %b", b'say "x" \\ \xff', b"", "\ue000\ue001".encode(), b"987654321987654321"]
    log = ServiceLog(level=LineLevels(guess=True))
    data, count = OutputLines(16384, schema=schema).render(STAMP_TEXT, 9, ORIGIN, messages, log)
    alone = [
        OutputLines(16384, schema=schema).render(STAMP_TEXT, 9 + n, ORIGIN, [m], log)[0] for n, m in enumerate(messages)
    ]
    assert parse(data) == parse(b"".join(alone))
    assert count == len(messages)


@pytest.mark.parametrize("schema", DIALECTS)
def test_long_lines(schema: str) -> None:
    """Split, each record is valid and short enough, and they say how they belong together."""
    messages = [Fragment(b'"\\' * 3000), b"x" * 3000]
    data, _ = OutputLines(2000, schema=schema).render(STAMP_TEXT, 0, ORIGIN, messages)
    assert all(len(piece) < 2000 for piece in data.split(b"\n"))
    text, parts = "", []
    for record in parse(data):
        if schema == "otel":
            (log,) = record["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
            text += log["body"]["stringValue"]
            marks = flat(log["attributes"])
            parts.append((int(marks["pausevisor.id"]), int(marks["pausevisor.part"])))
        else:
            text += record["message"]
            prefix = "pausevisor." if schema == "ecs" else ""
            parts.append((record[f"{prefix}id"], record[f"{prefix}part"]))
    assert text == '"\\' * 3000 + "x" * 3000
    assert parts == [(1, number) for number in range(1, len(parts) + 1)]


@pytest.mark.parametrize("schema", DIALECTS)
@pytest.mark.parametrize("name", EVENTS)
def test_every_event(schema: str, name: str) -> None:
    """Every event in every schema is one line of JSON that has all that the native one has."""
    record = example(name, optional=True)
    text = json.dumps(event(schema, record))
    for value in record.values():
        if isinstance(value, str) and value not in {"info", STAMP_TEXT}:
            assert value in text


def test_the_examples_of_the_manual_are_real() -> None:
    """What the manual shows of each schema is what is written."""
    path = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "logs.md")
    with open(path, encoding="utf-8") as file:
        manual = file.read()
    record = EXITED | {"seq": 42, "tail": ["KeyError: 'user'"]}
    message = re.findall(r"^```\n(\{.*\})\n```$", manual, re.MULTILINE)[0].encode()
    origin = ("web", 7, "stdout")
    real = {}
    for schema in ("native", *DIALECTS):
        lines = OutputLines(16384, schema=schema)
        shown = lines.render(STAMP_TEXT, 41, origin, [message], MERGE)[0]
        if schema == "native":
            shown = lines.render(STAMP_TEXT, 40, origin, [b"ready to serve"])[0] + shown
        else:
            shown = make_renderer("json", terminal=False, schema=schema)(record) + shown
        real[schema] = shown.decode().splitlines()
    examples = [
        line
        for block in re.findall(r"^```json\n(.*?)^```$", manual, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert examples == [*real["native"], *real["ecs"], *real["gcp"], *real["otel"]]
