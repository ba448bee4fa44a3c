"""The pause mode's loop, on real pipes."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from supervisor.runtime.poll import PollLoop


@pytest.fixture
def loop() -> PollLoop:
    """A loop that nobody watches anything with yet; a timer far away ends a test that hangs."""
    loop = PollLoop()
    loop.call_later(20, lambda: pytest.fail("nothing happened"))
    return loop


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: reader and writer."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def test_a_reader_is_called_when_there_is_input(loop: PollLoop, pipe: tuple[int, int]) -> None:
    """As long as there is some, and not any more when nobody watches."""
    reader, writer = pipe
    seen: list[bytes] = []

    def read() -> None:
        seen.append(os.read(reader, 1))
        if len(seen) == 3:
            loop.stop()

    os.write(writer, b"abc")
    loop.add_reader(reader, read)
    loop.run()
    assert seen == [b"a", b"b", b"c"]
    assert loop.remove_reader(reader) is True
    assert loop.remove_reader(reader) is False


def test_a_writer_is_called_when_there_is_room(loop: PollLoop, pipe: tuple[int, int]) -> None:
    """Not while the pipe is full; again when it was read from."""
    reader, writer = pipe
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65536)
    order: list[str] = []

    def writable() -> None:
        order.append("writable")
        loop.remove_writer(writer)
        loop.stop()

    def make_room() -> None:
        order.append("read")
        os.read(reader, 1 << 20)

    loop.add_writer(writer, writable)
    loop.call_soon(make_room)
    loop.run()
    assert order == ["read", "writable"]


def test_one_descriptor_may_be_watched_for_both(loop: PollLoop) -> None:
    """Input and room of one socket are watched apart: no longer watching the one leaves the other."""
    import socket  # noqa: PLC0415 - one test needs it

    ours, theirs = socket.socketpair()
    with ours, theirs:
        order: list[str] = []

        def writable() -> None:
            order.append("writable")
            assert loop.remove_writer(ours.fileno()) is True
            theirs.send(b"x")

        def readable() -> None:
            order.append("readable")
            loop.stop()

        loop.add_reader(ours.fileno(), readable)
        loop.add_writer(ours.fileno(), writable)
        loop.run()
    assert order == ["writable", "readable"]


def test_a_hang_up_is_told_to_who_watches(loop: PollLoop, pipe: tuple[int, int]) -> None:
    """The end of input calls the reader, a broken pipe the writer: reading or writing tells what it is."""
    reader, writer = pipe
    os.close(writer)
    loop.add_reader(reader, loop.stop)
    loop.run()
    again, broken = os.pipe()
    os.close(again)
    loop.remove_reader(reader)
    loop.add_writer(broken, loop.stop)
    loop.run()
    loop.remove_writer(broken)
    os.close(broken)


def test_a_timer_comes_once_and_never_early(loop: PollLoop) -> None:
    """Each is called at its time or later, once, in the order in which they are due."""
    called: list[str] = []
    began = time.monotonic()

    def last() -> None:
        called.append("last")
        loop.stop()

    loop.call_later(0.02, last)
    loop.call_later(0.001, lambda: called.append("first"))
    loop.call_later(0.01, lambda: called.append("second"))
    loop.run()
    assert called == ["first", "second", "last"]
    assert time.monotonic() - began >= 0.02
    loop.call_soon(loop.stop)
    loop.run()
    assert called == ["first", "second", "last"]


def test_what_is_due_soon_leaves_others_a_turn(loop: PollLoop, pipe: tuple[int, int]) -> None:
    """A callback that calls for itself again and again does not keep a descriptor from being read."""
    reader, writer = pipe
    turns: list[str] = []

    def again() -> None:
        turns.append("soon")
        if len(turns) == 3:
            os.write(writer, b"x")
        loop.call_soon(again)

    loop.add_reader(reader, loop.stop)
    loop.call_soon(again)
    loop.run()
    assert 3 <= len(turns) <= 5


def test_who_was_removed_by_another_is_not_called(loop: PollLoop) -> None:
    """Of two descriptors that are ready at once, the first one's callback may drop the second."""
    pipes = [os.pipe(), os.pipe()]
    called: list[int] = []

    def drop_others(mine: int) -> None:
        called.append(mine)
        for reader, _ in pipes:
            if reader != mine:
                loop.remove_reader(reader)
        loop.call_soon(loop.stop)

    for reader, writer in pipes:
        os.write(writer, b"x")
        loop.add_reader(reader, partial(drop_others, reader))
    loop.run()
    assert len(called) == 1
    for ends in pipes:
        for end in ends:
            os.close(end)


def test_idle_means_asleep(loop: PollLoop, pipe: tuple[int, int]) -> None:
    """Without news the loop uses no CPU time: it waits in the kernel until the timer is due."""
    loop.add_reader(pipe[0], lambda: pytest.fail("no input"))
    loop.call_later(0.2, loop.stop)
    before = time.thread_time()
    loop.run()
    assert time.thread_time() - before < 0.05
