"""Children's lines as records: valid whatever they are, and never longer than allowed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.spec import JsonLines, LineLevels, ServiceLog
from supervisor.logs.dialects import DIALECTS
from supervisor.logs.lines import Fragment, Splitter
from supervisor.logs.output import OutputLines
from supervisor.logs.pipes import PLAIN
from supervisor.logs.structured import make_renderer
from tests.logs.support import STAMP_TEXT, parse, patient

ORIGIN = ("web", 7, "stdout")

_AWKWARD = st.lists(
    st.sampled_from(
        [b"\\", b'"', b"\0", b"\x1b", b"\x7f", b"a", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xff", b"u0041", b"\t"]
    ),
    max_size=400,
).map(b"".join)


def render(lines: OutputLines, messages: list[bytes], seq: int = 0) -> tuple[list[dict[str, Any]], bytes]:
    """The records made of messages, and their bytes."""
    data, count = lines.render(STAMP_TEXT, seq, ORIGIN, messages)
    records = parse(data)
    assert len(records) == count
    return records, data


def joined(records: list[dict[str, Any]]) -> list[str]:
    """The messages of records, the parts of each put together; every message must be complete and in order."""
    whole: list[str] = []
    identity = expected = 0
    for record in records:
        if "part" not in record:
            assert expected == 0
            whole.append(record["message"])
            continue
        if expected == 0:
            identity, expected = record["seq"], 1
            whole.append("")
        assert (record["id"], record["part"]) == (identity, expected)
        whole[-1] += record["message"]
        expected = 0 if record["part"] == record.get("parts") else expected + 1
    assert expected == 0
    return whole


@patient
@given(st.lists(_AWKWARD, min_size=1), st.integers(240, 900))
def test_any_bytes_in_records_of_bounded_length(messages: list[bytes], limit: int) -> None:
    """Whatever the bytes and the limit: valid records, none too long, and joined they are the messages."""
    records, data = render(OutputLines(limit), messages)
    assert all(len(line) <= limit for line in data.splitlines(keepends=True))
    assert joined(records) == [message.decode("utf-8", "replace") for message in messages]
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))


@pytest.mark.parametrize(
    "unit", [b"\\", b"a\\", b"\\\\u0041", b"\0", b"a\0", b'"', b"\\\t", b"\xf0\x9f\x98\x80", b"\xff\\"]
)
@pytest.mark.parametrize("limit", range(300, 320))
def test_no_cut_goes_through_an_escape_or_a_character(unit: bytes, limit: int) -> None:
    """Wherever a cut falls, no escape sequence and no character is cut in two."""
    records, data = render(OutputLines(limit), [unit * 500])
    assert all(len(line) <= limit for line in data.splitlines(keepends=True))
    assert joined(records) == [(unit * 500).decode("utf-8", "replace")]


@patient
@given(st.lists(_AWKWARD, min_size=1))
def test_the_bulk_and_the_single_way_agree(messages: list[bytes]) -> None:
    """Rendered in bulk or one by one, a message that fits is the same bytes."""
    bulk = OutputLines(10_000_000).render(STAMP_TEXT, 0, ORIGIN, messages)
    single = OutputLines(400 * 6 + 300).render(STAMP_TEXT, 0, ORIGIN, messages)
    assert bulk == single


@patient
@given(
    st.lists(
        st.one_of(_AWKWARD, st.text(st.characters(codec="utf-8", exclude_characters="\n")).map(str.encode)), min_size=1
    ),
    st.sampled_from([400, 16384]),
    st.sampled_from(["info", "error"]),
    st.sampled_from(["native", "ecs"]),
)
def test_a_block_is_its_lines(messages: list[bytes], limit: int, least: str, schema: str) -> None:
    """Rendered in one piece, if they can be, lines are the same bytes."""
    lines = OutputLines(limit, schema=schema, least=least)
    found = lines.block(STAMP_TEXT, 997, ORIGIN, b"\n".join(messages), PLAIN)
    expected = lines.render(STAMP_TEXT, 997, ORIGIN, messages)
    assert found in (expected, None)
    if limit == 16384 and least == "info" and b"\x7f" not in b"".join(messages) and not lines.invalid:
        assert found == expected


def test_no_block_in_the_middle_of_a_line() -> None:
    """While a split message goes on, what comes is its next part."""
    lines = OutputLines(1000)
    render(lines, [Fragment(b"a" * 1500)])
    assert lines.block(STAMP_TEXT, 9, ORIGIN, b"end", PLAIN) is None


@patient
@given(st.lists(_AWKWARD, min_size=1), st.integers(4, 40))
def test_the_other_formats_get_the_same_numbers(messages: list[bytes], limit: int) -> None:
    """As plain records, too, parts are numbered and joined they are the messages; the limit is on the message."""
    records = list(OutputLines(limit).records(STAMP_TEXT, 0, ORIGIN, messages))
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert all(len(str(record["message"]).replace("\ufffd", "?").encode()) <= limit for record in records)
    if b"\xff" not in b"".join(messages):  # cut where no character begins, a byte may be replaced in each piece
        assert joined(records) == [message.decode() for message in messages]


@pytest.mark.parametrize("seq", [0, 1, 997, 998, 999, 1000, 987_654_321_998, 10**18 - 2])
@pytest.mark.parametrize("guessing", [False, True])
def test_numbers_count_up_by_one(seq: int, guessing: bool) -> None:
    """From wherever, over any number of digits, in records of one kind and of several."""
    log = ServiceLog(level=LineLevels(guess=guessing))
    data, count = OutputLines(16384).render(STAMP_TEXT, seq, ORIGIN, [b"ERROR: a", b"b"] * 1100, log)
    records = parse(data)
    assert [record["seq"] for record in records] == list(range(seq + 1, seq + 2201))
    assert count == 2200
    assert [record["message"] for record in records] == ["ERROR: a", "b"] * 1100
    assert data.startswith(b'{"timestamp":"')


def test_one_long_line_among_many() -> None:
    """Is found, wherever it stands, and is the only one that is split."""
    for at in (0, 1, 57, 99):
        messages = [b"short \x7f" * (number % 3) for number in range(100)]
        messages[at] = b"x" * 5000
        records, _ = render(OutputLines(1000), messages)
        assert joined(records) == [message.decode() for message in messages]
        assert {record["message"][:1] for record in records if "part" in record} == {"x"}


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_short_piece_is_a_piece(cut: int) -> None:
    """Of a long line that was a secret little is left; it is one line all the same, read at once or not."""
    messages = [b"before", Fragment(b"token="), b"[redacted]", b"after"]
    lines = OutputLines(16384)
    records: list[dict[str, Any]] = []
    for part in filter(None, (messages[:cut], messages[cut:])):
        data, _ = lines.render(STAMP_TEXT, len(records), ORIGIN, part)
        records += parse(data)
    assert [(record["message"], record.get("part"), record.get("parts")) for record in records] == [
        ("before", None, None),
        ("token=", 1, None),
        ("[redacted]", 2, 2),
        ("after", None, None),
    ]


def test_no_block_of_very_many_lines() -> None:
    """A large chunk that begins with long lines may be full of short ones: their records are not made at once."""
    lines = OutputLines(16384)
    assert lines.block(STAMP_TEXT, 0, ORIGIN, b"\n" * 8191, ServiceLog()) is not None
    assert lines.block(STAMP_TEXT, 0, ORIGIN, b"\n" * 8192, ServiceLog()) is None


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_that_is_not_written_is_not_written_to_its_end(as_json: bool) -> None:
    """The level of a long line is that of its first piece, whatever the next ones look like."""
    messages = [Fragment(b"x" * 900), Fragment(b"ERROR: " * 90), b"ERROR: y", b"ERROR: z"]
    log = ServiceLog(level=LineLevels(guess=True))
    records = OutputLines(900, least="error").records(STAMP_TEXT, 0, ORIGIN, messages, log, as_json=as_json)
    assert [record["message"] for record in records] == ["ERROR: z"]
    data, _ = OutputLines(900, least="error").render(STAMP_TEXT, 0, ORIGIN, messages, log)
    assert [record["message"] for record in parse(data)] == ["ERROR: z"]


_OBJECTS = st.dictionaries(st.text(max_size=9), st.text(max_size=90) | st.integers() | st.floats(), max_size=5)


@patient
@given(
    st.lists(_AWKWARD, min_size=1), st.lists(_OBJECTS), st.integers(300, 900), st.sampled_from(["native", *DIALECTS])
)
def test_a_log_that_goes_to_several_places_is_the_same(
    texts: list[bytes], objects: list[object], limit: int, schema: str
) -> None:
    """Records that are rendered one by one are those that are rendered in bulk, and as short as records have to be."""
    limit += 900 * (schema == "otel")
    log = ServiceLog(json=JsonLines.MERGE)
    render = make_renderer("json", terminal=False, schema=schema)

    def one_by_one(messages: list[bytes]) -> bytes:
        records = OutputLines(limit, schema=schema).records(STAMP_TEXT, 0, ORIGIN, messages, log, as_json=True)
        lines = [render(record) for record in records]
        assert all(len(line) <= limit for line in lines)
        return b"".join(lines)

    data, _ = OutputLines(limit, schema=schema).render(STAMP_TEXT, 0, ORIGIN, texts, log)
    assert parse(one_by_one(texts)) == parse(data)
    one_by_one([json.dumps(thing).encode() for thing in objects])  # which may be shorter or longer than as copied


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_about_the_limit(more: int) -> None:
    """A record as long as the limit is one record; one byte more makes it two, each with all it needs."""
    empty = OutputLines(100_000).render(STAMP_TEXT, 0, ORIGIN, [b""])[0]
    records, data = render(OutputLines(1000), [b"x" * (1000 - len(empty) + more)])
    assert len(records) == (2 if more > 0 else 1)
    if more <= 0:
        assert len(data) == 1000 + more
    else:
        assert [(record["id"], record["part"], record["parts"]) for record in records] == [(1, 1, 2), (1, 2, 2)]


def test_parts_of_a_line_whose_end_is_not_known() -> None:
    """Pieces of a line that goes on have no total; the last one has, over calls, and other streams don't mix in."""
    lines = OutputLines(1000)
    first, _ = render(lines, [b"before", Fragment(b"a" * 1500)])
    other, count = lines.render(STAMP_TEXT, 90, ("web", 7, "stderr"), [b"between"])
    second, _ = render(lines, [Fragment(b"b" * 700), b"c", b"after"], seq=10)
    assert count == 1
    assert "part" not in json.loads(other)
    marks = [(record.get("id"), record.get("part"), record.get("parts")) for record in first + second]
    assert marks == [
        (None, None, None),
        (2, 1, None),
        (2, 2, None),
        (2, 3, None),
        (2, 4, 4),
        (None, None, None),
    ]


@patient
@given(st.binary(max_size=3000), st.integers(1, 500))
def test_from_bytes_to_records_nothing_is_lost(stream: bytes, chunk: int) -> None:
    """Splitter and renderer together: any stream, in any pieces, is recoverable from its records."""
    splitter, lines = Splitter(100), OutputLines(260)
    text = stream.decode("latin-1").encode()  # text, so that nothing is replaced
    messages = [m for at in range(0, len(text), chunk) for m in splitter.feed(text[at : at + chunk])] + splitter.flush()
    records = render(lines, messages)[0] if messages else []
    *expected, rest = text.split(b"\n")
    expected = [line.removesuffix(b"\r") for line in expected] + ([rest] if rest else [])
    assert joined(records) == [line.decode() for line in expected]


def test_a_limit_below_any_record_still_makes_progress() -> None:
    """With a limit no record can keep, messages still come through, in small pieces."""
    assert joined(render(OutputLines(1), [b"x" * 100, b"short"])[0]) == ["x" * 100, "short"]
