"""The last lines of services: kept within bounds, and made into records when somebody asks."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.spec import JsonLines, LineLevels, ServiceLog
from supervisor.logs.tails import LINE_BYTES, REPORT_BYTES, Tails
from tests.logs.support import STAMP, STAMP_TEXT, patient


def log(tail: int) -> ServiceLog:
    """Keep so many."""
    return ServiceLog(tail=tail)


def messages(records: list[dict[str, Any]]) -> list[str]:
    """What the records say."""
    return [record["message"] for record in records]


def test_records_are_those_of_the_log() -> None:
    """A line has the fields that it has in the log, but for its number; JSON is merged here too."""
    tails = Tails()
    how = ServiceLog(json=JsonLines.MERGE, level=LineLevels(guess=True))
    tails.add(("web", 7, "stdout"), [b"ERROR: x", b'{"level":"warn","pid":1}'], how, STAMP)
    head = {"timestamp": STAMP_TEXT, "event": "output", "service": "web", "pid": 7, "stream": "stdout"}
    assert tails.last("web") == [
        head | {"level": "error", "message": "ERROR: x"},
        head | {"level": "warning", "child_pid": 1},
    ]
    assert tails.last("other") == []


def test_the_last_of_both_streams_in_the_order_in_which_they_came() -> None:
    """So many lines of each stream are kept, and given in order of arrival, whatever the clock did meanwhile."""
    tails = Tails()
    for number in range(10):
        stream = "stderr" if number % 2 else "stdout"
        tails.add(("web", 7, stream), [b"%d" % number], log(3), STAMP - number)
    assert messages(tails.last("web")) == ["4", "5", "6", "7", "8", "9"]
    assert messages(tails.last("web", 4)) == ["6", "7", "8", "9"]
    assert messages(tails.last("web", 99)) == ["4", "5", "6", "7", "8", "9"]
    assert tails.last("web", 0) == []


@patient
@given(st.lists(st.lists(st.binary(max_size=700), min_size=1, max_size=12), max_size=30), st.integers(1, 5))
def test_bounds(pieces: list[list[bytes]], most: int) -> None:
    """Whatever comes, the last lines are there, as many as asked for or as fit, in a bounded memory."""
    tails = Tails()
    for piece in pieces:
        tails.add(("web", 7, "stdout"), piece, log(most), STAMP)
    lines = [line.decode("utf-8", "replace") for piece in pieces for line in piece][-most:]
    kept = messages(tails.last("web"))
    assert len(kept) <= most
    assert lines[len(lines) - len(kept) + 1 :] == kept[1:]
    assert bool(kept) is bool(lines)
    if sum(map(len, [line for piece in pieces for line in piece][-2 * most - 12 :])) <= most * LINE_BYTES:
        assert kept == lines


def test_a_long_line_keeps_its_end() -> None:
    """Of a line longer than all that may be kept the end stays: that is where a report says what happened."""
    tails = Tails()
    tails.add(("web", 7, "stdout"), [b"first", b"x" * 10_000 + b"end"], log(2), STAMP)
    (message,) = messages(tails.last("web"))
    assert message == "x" * (2 * LINE_BYTES - 3) + "end"


def test_the_report_of_a_process() -> None:
    """Only its own lines, those of stderr last, joined ones one by one, and no more than has a place in a record."""
    tails = Tails()
    tails.add(("web", 6, "stdout"), [b"of its predecessor"], log(20), STAMP)
    tails.add(("web", 7, "stderr"), [b"Traceback\n  File x\nError"], log(20), STAMP)
    tails.add(("web", 7, "stdout"), [b"one", b"two"], log(20), STAMP)
    assert tails.report("web", 7) == ["one", "two", "Traceback", "  File x", "Error"]
    assert tails.report("web", 8) == []
    tails.add(("web", 7, "stdout"), [b"y" * 1000] * 100, log(100), STAMP)
    assert len("\n".join(tails.report("web", 7)[:-3])) == REPORT_BYTES


def test_a_tail_of_nothing() -> None:
    """With a tail of 0 nothing is kept, nor what was before a reload said so; a smaller one keeps the last."""
    tails = Tails()
    tails.add(("web", 7, "stdout"), [b"one", b"two", b"three"], log(20), STAMP)
    tails.add(("web", 7, "stdout"), [b"four"], log(2), STAMP)
    assert messages(tails.last("web")) == ["three", "four"]
    tails.add(("web", 7, "stdout"), [b"five"], log(0), STAMP)
    assert tails.last("web") == []


def test_a_service_that_is_gone() -> None:
    """Nothing is kept of a service that is forgotten."""
    tails = Tails()
    tails.add(("web", 7, "stdout"), [b"one"], log(20), STAMP)
    tails.forget("web")
    tails.forget("web")
    assert tails.last("web") == []


def test_followers() -> None:
    """Each gets what its services write, in batches, until it has had enough; one that raises does not disturb."""
    tails = Tails()
    every: list[list[dict[str, Any]]] = []
    web: list[list[dict[str, Any]]] = []
    calls = []

    def broken(records: list[dict[str, Any]]) -> None:
        calls.append(records)
        raise RuntimeError

    stop = tails.follow(every.append)
    tails.follow(broken)
    tails.follow(web.append, frozenset({"web"}))
    tails.add(("db", 8, "stdout"), [b"one", b"two"], log(0), STAMP)
    tails.add(("web", 7, "stdout"), [b"three"], log(0), STAMP)
    stop()
    stop()
    tails.add(("web", 7, "stdout"), [b"four"], log(0), STAMP)
    assert [messages(batch) for batch in every] == [["one", "two"], ["three"]]
    assert [messages(batch) for batch in web] == [["three"], ["four"]]
    assert len(calls) == 1
