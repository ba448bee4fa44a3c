"""Records: numbered, stamped, filtered, and every loss told."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from supervisor.core.spec import JsonLines, ServiceLog
from supervisor.logs.encode import encode_line
from supervisor.logs.journal import LEVELS, Journal
from supervisor.logs.sink import Sink
from supervisor.logs.structured import make_renderer
from tests.logs.support import STAMP, STAMP_TEXT, accounted, closing, parse, read_now, turns

Ends = tuple[int, int]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A pipe: its reading and its writing end."""
    reader, writer = os.pipe()
    with closing(reader, writer):
        yield reader, writer


def records_of(fd: int) -> list[dict[str, Any]]:
    """The records that are there."""
    return parse(read_now(fd))


def test_a_record(ends: Ends) -> None:
    """A record has the common fields in front, then its own in the order they were given."""
    journal = Journal(Sink(ends[1]), wall=lambda: STAMP)
    journal.emit("warning", "child_exited", service="web", pid=7, **{"from": "x"})
    assert read_now(ends[0]) == (
        f'{{"timestamp":"{STAMP_TEXT}","level":"warning","event":"child_exited","seq":1,'
        f'"service":"web","pid":7,"from":"x"}}\n'.encode()
    )


@pytest.mark.parametrize("least", LEVELS)
def test_levels(ends: Ends, least: str) -> None:
    """Below the least level nothing is written, and no number is used up."""
    journal = Journal(Sink(ends[1]), level=least)
    for level in LEVELS:
        journal.emit(level, "x")
    found = records_of(ends[0])
    assert [record["level"] for record in found] == [level for level in LEVELS if LEVELS[level] >= LEVELS[least]]
    assert [record["seq"] for record in found] == list(range(1, len(found) + 1))


def test_an_unknown_level_is_refused(ends: Ends) -> None:
    """A level that doesn't exist is an error at once, not a journal that says nothing."""
    with pytest.raises(KeyError):
        Journal(Sink(ends[1]), level="loud")


def test_lines_share_the_numbering(ends: Ends) -> None:
    """Lines of children are records like others, of level info, with the time of the call; odd bytes are said once."""
    journal = Journal(Sink(ends[1]), wall=lambda: STAMP)
    journal.emit("info", "a")
    journal.lines("web", 7, "stderr", [b"one", b"tw\xffo"])
    journal.lines("web", 7, "stderr", [])
    journal.lines("web", 8, "stderr", [b"\xff"])
    journal.emit("info", "b")
    found = records_of(ends[0])
    assert [record["seq"] for record in found] == [1, 2, 3, 4, 5, 6]
    assert [record["event"] for record in found[3:]] == ["supervisor_warning", "output", "b"]
    assert [list(record.values()) for record in found[1:3]] == [
        [STAMP_TEXT, "info", "output", 2, "web", 7, "stderr", "one"],
        [STAMP_TEXT, "info", "output", 3, "web", 7, "stderr", "tw\ufffdo"],
    ]


def test_lines_are_filtered_by_level(ends: Ends) -> None:
    """Above info no line is written."""
    journal = Journal(Sink(ends[1]), level="warning")
    journal.lines("web", 7, "stdout", [b"one"])
    journal.emit("warning", "a")
    assert [record["seq"] for record in records_of(ends[0])] == [1]


def test_held_records_come_in_order_when_there_is_a_renderer(ends: Ends) -> None:
    """Held, nothing is written; then all of it is, with the times and numbers it had."""
    times = iter(range(100))
    journal = Journal(Sink(ends[1]), hold=True, wall=lambda: next(times))
    journal.emit("info", "a")
    journal.lines("web", 7, "stdout", [b"one", b"two"])
    journal.emit("info", "b")
    assert read_now(ends[0]) == b""
    journal.use(encode_line, plain=True)
    journal.emit("info", "c")
    journal.lines("web", 7, "stdout", [b"three"])
    found = records_of(ends[0])
    assert [record["event"] for record in found] == ["a", "output", "output", "b", "c", "output"]
    assert [record["seq"] for record in found] == [1, 2, 3, 4, 5, 6]
    assert [record["timestamp"][17:19] for record in found] == ["00", "01", "01", "02", "03", "04"]


def test_held_records_are_bounded(ends: Ends) -> None:
    """A renderer that never comes costs bounded memory, and what was not kept is told."""
    seen = b""
    with turns() as loop:
        sink = Sink(ends[1])
        sink.attach(loop)
        journal = Journal(sink, hold=True)
        for _ in range(10_500):
            journal.emit("info", "a")
        journal.use(encode_line, plain=True)
        journal.emit("info", "b")
        while piece := read_now(ends[0]):
            seen += piece
            loop.turn()
        sink.close()
    found = parse(seen)
    assert accounted(found)
    assert [record["count"] for record in found if record["event"] == "log_lines_dropped"] == [500]


def test_losses_are_told_where_they_are(ends: Ends) -> None:
    """With a flood and a slow reader, every gap in the numbers is followed by a record that says its size."""
    seen = b""
    with turns() as loop:
        sink = Sink(ends[1], capacity=50_000)
        sink.attach(loop)
        journal = Journal(sink)
        for number in range(300):
            journal.lines("web", 7, "stdout", [b"line %d" % number] * 100)
            journal.emit("info", "event", number=number)
            if number % 7 == 0:
                seen += _some(ends[0])
                loop.turn()
        while sink.pending:
            seen += read_now(ends[0])
            loop.turn()
        seen += read_now(ends[0])
        sink.close()
    found = parse(seen)
    assert accounted(found)
    assert any(record["event"] == "log_lines_dropped" for record in found)
    assert {record["reason"] for record in found if record["event"] == "log_lines_dropped"} == {"blocked"}


def _some(fd: int) -> bytes:
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 20_000)
    except BlockingIOError:
        return b""


def test_events_survive_a_flood_of_output(ends: Ends) -> None:
    """With nobody reading and output without end, events still find room; only lines are lost."""
    with turns() as loop:
        sink = Sink(ends[1], capacity=200_000)
        sink.attach(loop)
        journal = Journal(sink)
        for number in range(300):
            journal.lines("yes", 7, "stdout", [b"y"] * 100)
            journal.emit("info", "event", number=number)
        seen = b""
        while piece := read_now(ends[0]):
            seen += piece
            loop.turn()
        sink.close()
    found = parse(seen)
    assert [record["number"] for record in found if record["event"] == "event"] == list(range(300))
    assert accounted(found)


def test_a_loss_below_the_least_level_is_not_told(ends: Ends) -> None:
    """At level error a loss is no record, and does not pile up either."""
    sink = Sink(ends[1])
    sink.lose(5, "blocked")
    journal = Journal(sink, level="error")
    journal.emit("error", "a")
    assert [record["event"] for record in records_of(ends[0])] == ["a"]
    assert sink.lost == {}


def test_a_reader_that_is_gone_is_told_elsewhere(ends: Ends) -> None:
    """When the reader of the log is gone, the other stream gets one record that says so, and no more."""
    reader, writer = os.pipe()
    with closing(reader, writer):
        journal = Journal(Sink(ends[1]), fallback=Sink(writer))
        os.close(ends[0])
        for _ in range(5):
            journal.emit("info", "a")
        told = records_of(reader)
    assert [(record["event"], record["reason"], record["count"]) for record in told] == [
        ("log_lines_dropped", "closed", 1)
    ]


def test_a_full_disk_is_told_once_there_is_space(tmp_path: object) -> None:
    """While nothing can be written nothing is numbered but what is lost; then the loss is one record."""
    full = os.open("/dev/full", os.O_WRONLY)
    path = os.path.join(str(tmp_path), "log")
    with closing(full):
        journal = Journal(Sink(full))
        for _ in range(4):
            journal.emit("info", "a")
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, full)  # the disk has space again
        os.close(file)
        journal.emit("info", "b")
    with open(path, "rb") as log:
        found = parse(log.read())
    assert [(record["event"], record["seq"]) for record in found] == [("log_lines_dropped", 5), ("b", 6)]
    assert (found[0]["count"], found[0]["reason"]) == (4, "no_space")


def test_taps_see_events_as_they_were_written(ends: Ends) -> None:
    """Whoever taps sees every event after it was written, redacted, and no line; until he has had enough."""
    journal = Journal(Sink(ends[1]), level="info", wall=lambda: STAMP)
    journal.add_secret("swordfish", "web")
    seen: list[dict[str, object]] = []
    journal.emit("info", "before")
    journal.tap(seen.append)
    journal.emit("info", "a", word="swordfish")
    journal.emit("debug", "unwritten")
    journal.lines("web", 7, "stdout", [b"line"])
    journal.untap(seen.append)
    journal.untap(seen.append)
    journal.emit("info", "after")
    assert seen == [{"timestamp": STAMP_TEXT, "level": "info", "event": "a", "seq": 2, "word": "[redacted]"}]
    assert [record["event"] for record in records_of(ends[0])] == ["before", "a", "output", "after"]


def test_a_tap_that_fails_is_shown_no_more(ends: Ends) -> None:
    """What goes wrong with one who looks on is said, and the others go on seeing."""
    journal = Journal(Sink(ends[1]))
    seen: list[object] = []

    def broken(_: object) -> None:
        raise ValueError("no")

    journal.tap(broken)
    journal.tap(lambda record: seen.append(record["event"]))
    journal.emit("info", "a")
    journal.emit("info", "b")
    assert [record["event"] for record in records_of(ends[0])] == ["a", "internal_error", "b"]
    assert seen == ["internal_error", "a", "b"]


def test_taps_see_losses(ends: Ends) -> None:
    """That records were lost is an event like others."""
    sink = Sink(ends[1], capacity=1000)
    journal = Journal(sink)
    seen: list[object] = []
    with turns() as loop:
        sink.attach(loop)
        sink.lose(3, "blocked")
        journal.tap(lambda record: seen.append((record["event"], record.get("count"))))
        journal.emit("info", "a")
        sink.close()
    assert seen == [("log_lines_dropped", 3), ("a", None)]


class Writes(Sink):
    """A sink that remembers what it was given at a time."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.given: list[bytes] = []

    def write(self, data: bytes, *, output: bool = False) -> bool:
        """Remember."""
        self.given.append(data)
        return super().write(data, output=output)


def test_a_batch_is_one_write(ends: Ends) -> None:
    """Events of a batch are written together at its end, in order; lines of children keep their place among them."""
    sink = Writes(ends[1])
    journal = Journal(sink)
    with journal.batch():
        journal.emit("info", "a")
        with journal.batch():
            journal.emit("info", "b")
        assert sink.given == []
        journal.lines("web", 7, "stdout", [b"line"])
        journal.emit("info", "c")
        journal.emit("info", "d")
    journal.emit("info", "e")
    assert len(sink.given) == 4
    assert [record["event"] for record in records_of(ends[0])] == ["a", "b", "output", "c", "d", "e"]


def test_a_batch_ends_whatever_happens(ends: Ends) -> None:
    """What was emitted before something went wrong is written."""
    journal = Journal(Sink(ends[1]))

    def fail() -> None:
        with journal.batch():
            journal.emit("info", "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    journal.emit("info", "b")
    assert [record["event"] for record in records_of(ends[0])] == ["a", "b"]


def test_a_large_batch_is_written_in_between(ends: Ends) -> None:
    """A batch keeps no more in memory than a pipe takes at once."""
    sink = Writes(ends[1])
    journal = Journal(sink)
    with journal.batch():
        for _ in range(100):
            journal.emit("info", "a", text="x" * 1000)
        assert len(sink.given) == 1
    assert sum(data.count(b"\n") for data in sink.given) == 100


def test_losses_within_a_batch_stand_where_they_happened(ends: Ends) -> None:
    """What a batch loses is told after what was emitted before."""
    sink = Sink(ends[1])
    journal = Journal(sink)
    with journal.batch():
        journal.emit("info", "a")
        sink.lose(2, "blocked")
        journal.emit("info", "b")
    assert [record["event"] for record in records_of(ends[0])] == ["a", "log_lines_dropped", "b"]


def test_a_short_secret_is_told_once(ends: Ends) -> None:
    """A secret that is too short to be taken out is warned of, and the warning does not hold it."""
    journal = Journal(Sink(ends[1]))
    for _ in range(3):
        journal.add_secret("abc", "web")
    (warning,) = records_of(ends[0])
    assert (warning["event"], warning["service"]) == ("supervisor_warning", "web")
    assert "abc" not in warning["message"]


def test_patterns_and_secrets_together(ends: Ends) -> None:
    """Both are taken out of events."""
    journal = Journal(Sink(ends[1]))
    journal.redact([r"token=\S+"])
    journal.add_secret("swordfish", "web")
    journal.emit("info", "a", text="token=x swordfish")
    assert records_of(ends[0])[0]["text"] == "[redacted] [redacted]"


def test_dropped_lines_take_numbers(ends: Ends) -> None:
    """Lines that never became records leave a gap that the record about them accounts for."""
    journal = Journal(Sink(ends[1]))
    journal.emit("info", "a")
    journal.dropped("web", 5)
    found = records_of(ends[0])
    assert accounted(found)
    assert (found[1]["service"], found[1]["count"], found[1]["reason"], found[1]["seq"]) == ("web", 5, "overflow", 7)


class Collector:
    """A target of the log: collects records."""

    def __init__(self) -> None:
        self.collected: list[Any] = []

    def records(self, records: Any) -> None:
        """Collect."""
        self.collected += records


def test_mirrors_get_every_record(ends: Ends) -> None:
    """Targets of the log itself get events and lines, those too that were kept before there were any."""
    journal = Journal(Sink(ends[1]))
    journal.keep()
    journal.emit("info", "a")
    journal.lines("web", 7, "stdout", [b"early"])
    mirror: Any = Collector()
    journal.mirror([mirror])
    journal.emit("info", "b")
    journal.lines("web", 7, "stdout", [b"late"])
    found = records_of(ends[0])
    assert mirror.collected == found
    assert [record.get("message", record["event"]) for record in found] == ["a", "early", "b", "late"]


@pytest.mark.parametrize("schema", ["ecs", "gcp", "otel"])
def test_held_lines_are_in_the_schema_too(ends: Ends, schema: str) -> None:
    """What came before there was a renderer looks as what comes after."""
    merge = ServiceLog(json=JsonLines.MERGE)
    journal = Journal(Sink(ends[1]), hold=True, wall=lambda: STAMP)
    journal.lines("web", 7, "stdout", [b'{"a":1,"message":"x"}', b"text"], merge)
    journal.use(make_renderer("json", terminal=False, schema=schema), schema=schema)
    held = read_now(ends[0])
    journal.seq = 0
    journal.lines("web", 7, "stdout", [b'{"a":1,"message":"x"}', b"text"], merge)
    assert parse(held) == parse(read_now(ends[0]))
