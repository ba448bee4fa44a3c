"""What waits for room: all of it where the child waits, and a bounded part of it, counted, where it does not."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.spec import Overflow, ServiceLog
from supervisor.logs.lines import Fragment
from supervisor.logs.pipes import QUEUE, Pipe
from tests.logs.support import patient

ROOMY = 10 * QUEUE


def pipe(overflow: Overflow) -> Pipe:
    """A stream that loses lines in this way."""
    made = Pipe("web", "stdout", (-1, -1), 65536)
    made.log = ServiceLog(overflow=overflow)
    return made


def leave_all(made: Pipe) -> list[bytes]:
    """Everything that waits, for the log."""
    found = []
    while made.queue:
        found += made.leave(3)
    return [*found, *made.closed([])]


def test_with_block_everything_waits() -> None:
    """However much it is: whoever reads for such a service stops."""
    made = pipe(Overflow.BLOCK)
    lines = [b"%d" % number * 1000 for number in range(1000)]
    made.enqueue(lines[:500], 0)
    made.enqueue(lines[500:], 0)
    assert leave_all(made) == lines
    assert made.dropped == 0


@pytest.mark.parametrize(
    ("overflow", "kept"), [(Overflow.DROP_OLDEST, slice(-128, None)), (Overflow.DROP_NEWEST, slice(0, 128))]
)
def test_what_is_kept(overflow: Overflow, kept: slice) -> None:
    """Of lines for which there is no room the last or the first are kept, as many as the queue holds."""
    made = pipe(overflow)
    lines = [b"%03d" % number + b"x" * 1021 for number in range(400)]
    for line in lines:
        made.enqueue([line], ROOMY)
        assert made.queued <= QUEUE
    assert leave_all(made) == lines[kept]
    assert made.dropped == 400 - 128
    assert made.queued == 0


def test_all_queues_share_a_bound() -> None:
    """When others have taken the room that there is in all, less waits here."""
    for overflow in (Overflow.DROP_OLDEST, Overflow.DROP_NEWEST):
        made = pipe(overflow)
        made.enqueue([b"x" * 100] * 10, 450)
        assert made.queued == 400
        made.enqueue([b"x" * 100] * 10, -50)
        assert made.queued <= 400
        assert made.dropped == 16


def joined(messages: Sequence[bytes]) -> list[bytes]:
    """The lines that the messages are of; each must have an end."""
    lines, line = [], b""
    for message in messages:
        line += message
        if type(message) is not Fragment:
            lines.append(line)
            line = b""
    assert line == b""
    return lines


_LINE = st.tuples(st.integers(0, 3), st.integers(1, 60_000))


@patient
@given(
    st.sampled_from([Overflow.DROP_OLDEST, Overflow.DROP_NEWEST]),
    st.lists(_LINE, min_size=1, max_size=25),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4)), min_size=1),
)
def test_lines_are_dropped_as_a_whole_and_counted(
    overflow: Overflow, shapes: list[tuple[int, int]], steps: list[tuple[int, int]]
) -> None:
    """Whatever comes and goes in between: what is written are lines in order, each whole or marked as ended early.

    What is missing is exactly what was counted; of a long line whose beginning was written already the rest may be.
    """
    made = pipe(overflow)
    messages: list[bytes] = []
    for number, (pieces, size) in enumerate(shapes):
        line = [b"%02d%d" % (number, piece) + b"x" * size for piece in range(pieces + 1)]
        messages += [*map(Fragment, line[:-1]), line[-1]]
    written: list[bytes] = []
    at = turn = 0
    while at < len(messages):
        takes, leaves = steps[turn % len(steps)]
        arrived = made.admit(messages[at : at + takes])
        if arrived:
            made.enqueue(arrived, ROOMY)
        at += takes
        turn += 1
        if leaves and made.queue:
            written += made.leave(leaves)
    written += leave_all(made)
    lines = joined(written)
    numbers = [int(line[:2]) for line in lines]
    assert numbers == sorted(set(numbers))
    whole = [len(line) for line in lines]
    assert {line[2:3] for line in lines} <= {b"0"}, "no line is without its beginning"
    expected = [(pieces + 1) * (size + 3) for pieces, size in shapes]
    cut = sum(length < expected[number] for number, length in zip(numbers, whole, strict=True))
    assert len(shapes) - len(lines) + cut == made.dropped


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLDEST, Overflow.DROP_NEWEST])
def test_no_block_while_something_of_a_stream_was_lost(overflow: Overflow) -> None:
    """Not even by other settings: what was dropped is told first, and the rest of a line that was cut is no line."""
    line = b"a line of the length that lines have\n"
    made = pipe(Overflow.BLOCK)
    assert made.block(line) == line[:-1]
    made = pipe(overflow)
    made.closed([Fragment(b"begun")])
    made.enqueue([Fragment(b"dropped")], -1)
    made.log = ServiceLog()
    assert made.block(line) is None
    made.dropped = 0
    assert made.block(line) is None
    assert made.admit(made.feed(b"rest\n" + line)) == [line[:-1]]
    assert made.block(line) is None
    made.queue = None
    assert made.closed([b"next"]) == [b"", b"next"]
    assert made.block(line) == line[:-1]
