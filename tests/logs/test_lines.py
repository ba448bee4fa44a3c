"""Lines out of bytes: the same however they arrive, and in bounded memory."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs.lines import Fragment, Splitter, boundary, no_longer
from tests.logs.support import patient

Message = tuple[bytes, bool]

_STREAMS = st.lists(
    st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xff", b"\x80", b"\0"])
).map(b"".join)


def split(chunks: list[bytes], limit: int) -> list[Message]:
    """Feed chunks; each message with whether it goes on in the next."""
    splitter = Splitter(limit)
    messages = list(itertools.chain.from_iterable(map(splitter.feed, chunks))) + splitter.flush()
    return [(bytes(message), type(message) is Fragment) for message in messages]


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream, and the same in pieces."""
    stream = draw(_STREAMS)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)))))
    return stream, [stream[start:end] for start, end in itertools.pairwise([0, *cuts, len(stream)])]


@patient
@given(chunked(), st.integers(4, 12))
def test_chunks_make_no_difference(case: tuple[bytes, list[bytes]], limit: int) -> None:
    """Any chunking of a stream gives the same messages."""
    stream, chunks = case
    assert split(chunks, limit) == split([stream], limit)


@patient
@given(chunked())
def test_lines_are_those_of_the_stream(case: tuple[bytes, list[bytes]]) -> None:
    """Without a limit in the way messages are the stream cut at newlines, one CR taken off each."""
    stream, chunks = case
    *lines, rest = stream.split(b"\n")
    expected = [line.removesuffix(b"\r") for line in lines] + ([rest] if rest else [])
    assert split(chunks, 1_000_000) == [(line, False) for line in expected]


@patient
@given(chunked(), st.integers(4, 12))
def test_nothing_of_a_long_line_is_lost(case: tuple[bytes, list[bytes]], limit: int) -> None:
    """Pieces are no longer than the limit, and joined they are the lines; the last piece of each is marked as such."""
    stream, chunks = case
    messages = split(chunks, limit)
    assert all(len(message) <= limit for message, _ in messages)
    joined, line = [], b""
    for message, goes_on in messages:
        line += message
        if not goes_on:
            joined.append((line, False))
            line = b""
    assert line == b""
    assert joined == split([stream], 1_000_000)


@patient
@given(st.text(min_size=1), st.integers(4, 9))
def test_characters_are_not_cut(text: str, limit: int) -> None:
    """Every piece of a line of UTF-8 is UTF-8."""
    line = text.replace("\n", "").encode("utf-8", "replace")
    for message, _ in split([line], limit):
        message.decode("utf-8")


@pytest.mark.parametrize(("length", "pieces"), [(99, 1), (100, 1), (101, 2), (200, 2), (201, 3)])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_lines_about_the_limit(length: int, pieces: int, end: bytes) -> None:
    """A line as long as the limit is one message, one byte more makes it two; its end doesn't count."""
    assert len(split([b"x" * length + end], 100)) == pieces


def test_a_stream_that_never_ends_a_line() -> None:
    """Two hundred megabytes without newline come in pieces, with no more memory than the limit and a chunk."""
    splitter, chunk = Splitter(65536), b"x" * 32768
    tracemalloc.start()
    try:
        total = sum(len(message) for _ in range(6400) for message in splitter.feed(chunk))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total + sum(map(len, splitter.flush())) == 6400 * 32768
    assert peak < 1_000_000


def test_flush_ends_the_stream_there() -> None:
    """A flush gives the unfinished line once, and the next bytes begin a new one."""
    splitter = Splitter(100)
    assert splitter.feed(b"one\ntwo") == [b"one"]
    assert splitter.flush() == [b"two"]
    assert splitter.flush() == []
    assert splitter.feed(b" three\n") == [b" three"]


def test_bytes_that_are_no_utf_8_are_cut_at_the_limit() -> None:
    """Where no character begins near the limit it is the limit that counts."""
    assert boundary(b"\x80" * 20, 10) == 10


@patient
@given(chunked(), st.integers(4, 40), st.data())
def test_blocks_are_the_same_lines(case: tuple[bytes, list[bytes]], limit: int, data: st.DataObject) -> None:
    """Asked for the lines in one piece wherever one likes, they are the same, and so is what follows."""
    splitter, other = Splitter(limit), Splitter(limit)
    messages: list[bytes] = []
    for chunk in case[1]:
        block = splitter.block(chunk) if data.draw(st.booleans()) else None
        messages += splitter.feed(chunk) if block is None else block.split(b"\n")
        other.feed(chunk)
        assert splitter.within == other.within
    messages += splitter.flush()
    assert [(bytes(message), type(message) is Fragment) for message in messages] == split([case[0]], limit)


def test_no_block_of_a_great_many_lines() -> None:
    """Whose records would be a hundred times as large."""
    assert Splitter(65536).block(b"y\n" * 16384) is None
    assert Splitter(65536).block(b"a line of the length that lines have\n" * 100) is not None


def test_a_block_of_more_than_a_line_may_have() -> None:
    """It is lines that have a limit, not what is read at once."""
    splitter = Splitter(100)
    assert splitter.block((b"x" * 100 + b"\n") * 3 + b"x") == b"\n".join([b"x" * 100] * 3)
    assert splitter.block(b"x" * 100 + b"\n") is None
    assert splitter.feed(b"x" * 99 + b"\n") == [b"x" * 100]


@patient
@given(st.lists(st.integers(0, 9)), st.integers(0, 9))
def test_whether_a_line_is_longer(lengths: list[int], limit: int) -> None:
    """No line is longer than the limit if, and only if, the longest is not."""
    assert no_longer(b"\n".join([b"x" * length for length in lengths]), b"\n", limit) == (
        max(lengths, default=0) <= limit
    )
