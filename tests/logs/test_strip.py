"""Escape sequences: gone whatever they are and however they arrive, and nothing else with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs.strip import Stripper
from tests.logs.support import patient

_PIECES = st.lists(
    st.sampled_from(
        [b"\x1b", b"[", b"]", b"0;", b"31", b"m", b"a", b"\n", b"\x07", b"\\", b"(", b"B", b"P", b" ", b"\xe2\x82\xac"]
    ),
    max_size=60,
).map(b"".join)


def strip(*chunks: bytes) -> bytes:
    """What is left of a stream that comes in these pieces."""
    stripper = Stripper()
    return b"".join(map(stripper.feed, chunks)) + stripper.flush()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (b"plain \xff text\n", b"plain \xff text\n"),
        (b"\x1b[31mred\x1b[0m\n", b"red\n"),
        (b"\x1b[38;5;196;1mred\x1b[m", b"red"),
        (b"\x1b[2K\x1b[1Gprogress", b"progress"),
        (b"\x1b[?25lhidden\x1b[?25h", b"hidden"),
        (b"\x1b]0;title\x07text", b"text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", b"link"),
        (b"\x1bP1$r0m\x1b\\text", b"text"),
        (b"\x1b(Btext\x1b=\x1b7\x1b8", b"text"),
        (b"\x1b\nnext", b"\nnext"),
        (b"\x1b[31\nnext", b"[31\nnext"),
        (b"\x1b]0;never ended\nnext\n", b"]0;never ended\nnext\n"),
        (b"end\x1b[3", b"end[3"),
        (b"end\x1b", b"end"),
    ],
)
def test_sequences(text: bytes, left: bytes) -> None:
    """Colours, cursors, titles, links and character sets go; of what is none of these only the escape goes."""
    assert strip(text) == left
    assert strip(*(bytes([byte]) for byte in text)) == left


@patient
@given(_PIECES, st.lists(st.integers(1, 7), min_size=1))
def test_the_pieces_do_not_matter(text: bytes, sizes: list[int]) -> None:
    """However a stream is cut, the same is left of it, and no escape is."""
    chunks, at, turn = [], 0, 0
    while at < len(text):
        chunks.append(text[at : at + sizes[turn % len(sizes)]])
        at += len(chunks[-1])
        turn += 1
    assert strip(*chunks) == strip(text)
    assert b"\x1b" not in strip(text)


def test_a_string_of_any_length_takes_no_memory() -> None:
    """A title that never ends is text after four kilobytes, and is not kept."""
    stripper = Stripper()
    stripper.feed(b"\x1b]0;")
    written = b"".join(stripper.feed(b"x" * 1000) for _ in range(100))
    assert len(written) > 90_000
    assert written.startswith(b"]0;xxx")
