"""The children's output, on real pipes: every line, in order, and nobody kept waiting but the child that floods."""

import asyncio
import importlib
import importlib.util
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from supervisor.logs.capture import Capture
from supervisor.logs.journal import Journal
from supervisor.logs.pipes import Pipe
from supervisor.logs.sink import Sink
from tests.logs.support import Turns, accounted, closing, open_descriptors, parse, read_now, turns

LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])


class Room:
    """A whole logs room before a pipe, and the reader of that pipe."""

    def __init__(self, loop: Turns, *, capacity: int = 4 << 20, max_record: int = 16384) -> None:
        self.loop = loop
        self.reader, self.writer = os.pipe()
        self.sink = Sink(self.writer, capacity=capacity)
        self.journal = Journal(self.sink, max_record=max_record)
        self.capture = Capture(self.journal, self.sink, max_record=max_record, clock=loop.clock)
        self.sink.attach(loop)
        self.capture.attach(loop)
        self.seen = bytearray()

    def child(self, service: str = "web", stream: str = "stdout", pid: int = 7) -> int:
        """A pipe as a child gets it: its writing end."""
        pipe = self.capture.open(service, stream)
        writer = os.dup(pipe.write_fd)
        self.capture.bind(pipe, pid)
        return writer

    def read(self) -> None:
        """Be the reader of the log until there is nothing left to do."""
        while True:
            ready = self.loop.turn()
            piece = read_now(self.reader)
            self.seen += piece
            if not ready and not piece:
                return

    @property
    def records(self) -> list[dict[str, Any]]:
        """What has been read."""
        return parse(bytes(self.seen))

    @property
    def messages(self) -> list[str]:
        """The lines that have been read."""
        return [record["message"] for record in self.records if record["event"] == "output"]

    def close(self) -> None:
        """Give all descriptors back."""
        self.sink.close()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def room() -> Iterator[Room]:
    """A logs room; at its end every descriptor it made must be closed."""
    with turns() as loop:
        before = open_descriptors()
        made = Room(loop)
        yield made
        made.capture.close()
        made.close()
        assert open_descriptors() == before


def test_lines_become_records(room: Room) -> None:
    """Each line is a record with service, process and stream; the pipe is closed at its end."""
    before = open_descriptors()
    out, err = room.child(), room.child(stream="stderr")
    os.write(out, b"one\ntwo\n")
    os.write(err, b"three\n")
    os.close(out)
    os.close(err)
    room.read()
    found = [(r["service"], r["pid"], r["stream"], r["message"]) for r in room.records]
    assert sorted(found) == [
        ("web", 7, "stderr", "three"),
        ("web", 7, "stdout", "one"),
        ("web", 7, "stdout", "two"),
    ]
    assert open_descriptors() == before


def test_a_line_in_pieces_and_a_last_one_without_newline(room: Room) -> None:
    """A byte at a time makes no record until the line ends, or the stream does."""
    writer = room.child()
    for byte in b"ab\ncd":
        os.write(writer, bytes([byte]))
        room.read()
    assert room.messages == ["ab"]
    os.close(writer)
    room.read()
    assert room.messages == ["ab", "cd"]


def test_drain_comes_before_what_is_written_next(room: Room) -> None:
    """After drain all that a dead child wrote is in the log, the unfinished line too, without a turn of the loop."""
    writer = room.child(pid=9)
    os.write(writer, b"one\nlast words")
    os.close(writer)
    tail = room.capture.drain(9)
    room.journal.emit("info", "child_exited")
    room.seen += read_now(room.reader)
    assert [record.get("message", record["event"]) for record in room.records] == ["one", "last words", "child_exited"]
    assert tail == ["one", "last words"]
    assert room.capture.drain(9) == []


@pytest.mark.parametrize("held", [True, False])
def test_drain_of_a_full_pipe(room: Room, held: bool) -> None:
    """A pipe as full as it can be, of one unfinished line, is drained to the end, whether or not it is still held."""
    writer = room.child(pid=9)
    os.write(writer, b"x" * 65536)
    if not held:
        os.close(writer)
    room.capture.drain(9)
    room.journal.emit("info", "child_exited")
    room.read()
    assert room.records[-1]["event"] == "child_exited"
    assert "".join(room.messages) == "x" * 65536
    if held:
        os.close(writer)
        room.read()


def test_drain_after_the_end_of_file_was_seen(room: Room) -> None:
    """If the loop saw the end first there is nothing left to read, and the tail is there all the same."""
    writer = room.child(pid=9)
    os.write(writer, b"one\ntwo\n")
    os.close(writer)
    room.read()
    assert room.capture.drain(9) == ["one", "two"]
    assert room.messages == ["one", "two"]


def test_the_tail_is_short(room: Room) -> None:
    """The tail is the last twenty lines of each stream and a bounded number of bytes, stderr last."""
    out, err = room.child(), room.child(stream="stderr")
    for number in range(30):
        os.write(out, b"line %d\n" % number)
        room.read()
    os.write(err, b"x" * 9000 + b"\nend\n")
    os.close(out)
    os.close(err)
    tail = room.capture.drain(7)
    assert tail[:20] == [f"line {number}" for number in range(10, 30)]
    assert tail[20:] == ["end"]


def test_a_descendant_goes_on_writing(room: Room) -> None:
    """When the child is gone but somebody holds its pipe, that one's lines still come."""
    writer = room.child(pid=9)
    os.write(writer, b"the child's\nhalf")
    room.capture.drain(9)
    os.write(writer, b"the descendant's\n")
    room.read()
    assert room.messages == ["the child's", "half", "the descendant's"]
    os.close(writer)
    room.read()
    assert len(room.messages) == 3


def test_drain_does_not_follow_a_descendant_for_ever(room: Room) -> None:
    """With a descendant that writes without end, drain returns all the same."""
    pipe = room.capture.open("yes", "stdout")
    with subprocess.Popen(["yes"], stdout=pipe.write_fd) as process:
        room.capture.bind(pipe, 9)
        try:
            assert pipe.read_fd >= 0
            room.capture.drain(9)
        finally:
            process.kill()
    room.read()
    assert set(room.messages) <= {"y", ""}


def test_a_spawn_that_fails(room: Room) -> None:
    """A pipe that was opened for nothing is closed, both ends, and discarding it again does no harm."""
    before = open_descriptors()
    pipe = room.capture.open("web", "stdout")
    room.capture.discard(pipe)
    room.capture.discard(pipe)
    assert open_descriptors() == before


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_no_descriptor_left(room: Room, left: int) -> None:
    """Out of descriptors, be it at the first or at the second end of a pipe, open fails and leaves nothing behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = open_descriptors()
    with ExitStack() as stack:
        fillers = [stack.enter_context(open("/dev/null", "rb")) for _ in range(4)]
        highest = max(filler.fileno() for filler in fillers)
        for filler in fillers[:left]:
            filler.close()
        opened: list[Pipe] = []
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        with pytest.raises(OSError, match="Too many open files"):
            opened.extend(room.capture.open("web", "stdout") for _ in range(highest))
    for pipe in opened:
        room.capture.discard(pipe)
    assert open_descriptors() == before


def test_only_our_end_is_non_blocking_and_none_is_inherited(room: Room) -> None:
    """The child's end blocks, as a program expects of its stdout, and a child gets neither by accident."""
    pipe = room.capture.open("web", "stdout")
    assert os.get_blocking(pipe.write_fd)
    assert not os.get_blocking(pipe.read_fd)
    assert not os.get_inheritable(pipe.write_fd)
    assert not os.get_inheritable(pipe.read_fd)
    room.capture.discard(pipe)


def test_a_blocked_log_stops_reading_and_loses_nothing() -> None:
    """With a reader slower than the children it is the children that wait; every line arrives, in order."""
    total = 30_000
    script = f"for n in range({total}): print(n)"
    with turns() as loop:
        room = Room(loop, capacity=200_000)
        for pid, stream in ((7, "stdout"), (8, "stderr")):
            pipe = room.capture.open("count", stream)
            process = subprocess.Popen([sys.executable, "-ISc", script], stdout=pipe.write_fd)
            room.capture.bind(pipe, pid)
            with process:
                while process.poll() is None:
                    loop.turn(0.01)
                    assert room.sink.pending < 800_000
                    room.seen += _some(room.reader)
                room.capture.drain(pid)
        room.read()
        room.capture.close()
        room.close()
    assert accounted(room.records)
    for stream in ("stdout", "stderr"):
        lines = [record["message"] for record in room.records if record.get("stream") == stream]
        assert lines == list(map(str, range(total)))


def _some(fd: int) -> bytes:
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def test_drain_of_many_while_the_log_is_blocked() -> None:
    """Children that die while nobody reads the log keep what they wrote until somebody does; none of it is lost."""
    with turns() as loop:
        room = Room(loop, capacity=100_000)
        lines = [b"%03d " % pid + b"x" * 95 for pid in range(1, 201)]
        for pid, line in enumerate(lines, 1):
            writer = room.child(f"service{pid}", pid=pid)
            os.write(writer, b"\n".join([line] * 50))
            os.close(writer)
        for pid in range(1, 201):
            room.capture.drain(pid)
            room.journal.emit("info", "child_exited", pid=pid)
        assert room.sink.blocked
        assert room.sink.pending < 150_000
        room.read()
        room.capture.close()
        room.close()
    assert Counter(room.messages) == {line.decode(): 50 for line in lines}
    assert accounted(room.records)


def test_nobody_reads_and_everything_is_closed() -> None:
    """At the end what the log has no room for is counted, and nothing waits."""
    with turns() as loop:
        room = Room(loop, capacity=500_000)
        writers = [room.child(f"service{pid}", pid=pid) for pid in range(1, 21)]
        for writer in writers:
            os.write(writer, b"line\n" * 2000)
        loop.settle()
        assert room.sink.blocked
        room.capture.close()
        room.journal.emit("info", "shutdown_finished")
        while piece := read_now(room.reader):
            room.seen += piece
            loop.turn()
        room.close()
        for writer in writers:
            os.close(writer)
    assert accounted(room.records)
    dropped = sum(record["count"] for record in room.records if record["event"] == "log_lines_dropped")
    assert len(room.messages) + dropped == 40_000
    assert dropped > 0
    assert room.records[-1]["event"] == "shutdown_finished"


def test_a_reader_that_is_gone_lets_children_run() -> None:
    """With nobody to read the log a child is not kept waiting."""
    with turns() as loop:
        room = Room(loop, capacity=50_000)
        pipe = room.capture.open("talk", "stdout")
        script = "import sys\nfor n in range(100_000): print(n)"
        with subprocess.Popen([sys.executable, "-ISc", script], stdout=pipe.write_fd) as process:
            room.capture.bind(pipe, 7)
            while not room.sink.blocked:
                loop.turn(1)
            os.close(room.reader)
            while process.poll() is None:
                loop.turn(0.05)
            assert process.returncode == 0
        room.capture.close()
        assert room.sink.lost["closed"] > 50_000
        room.reader = os.open("/dev/null", os.O_RDONLY)
        room.close()


_ENDLESS_PROGRAM = """
import os, resource, subprocess, sys
from supervisor.logs.capture import Capture
from supervisor.logs.journal import Journal
from supervisor.logs.sink import Sink
from tests.logs.support import turns

def kilobytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024

with turns() as loop:
    sink = Sink(1)
    journal = Journal(sink)
    capture = Capture(journal, sink)
    journal.lines("warm", 1, "stdout", [b"up"])
    before = worst = kilobytes()
    sink.attach(loop)
    capture.attach(loop)
    pipe = capture.open("endless", "stdout")
    script = "import sys\\nfor n in range(3200): sys.stdout.write('x' * 65535 + 'y')"
    process = subprocess.Popen([sys.executable, "-ISc", script], stdout=pipe.write_fd)
    capture.bind(pipe, 7)
    while process.poll() is None:
        loop.turn(0.05)
        worst = max(worst, kilobytes())
    capture.drain(7)
    while sink.pending:
        loop.turn(1)
    sys.stderr.write(f"{worst - before}")
"""


def test_two_hundred_megabytes_without_a_newline() -> None:
    """A line of 200 MB costs less than 10 MB of memory; its parts are numbered, and together they are the line."""
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS_PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1 << 20
    ) as process:
        assert process.stdout is not None
        length = letters = parts = 0
        first: dict[str, Any] = {}
        record: dict[str, Any] = {}
        for line in process.stdout:
            assert len(line) <= 16384
            record = parse(line)[0]
            if "part" not in record:
                continue
            first = first or record
            parts += 1
            assert (record["part"], record["id"]) == (parts, first["seq"])
            length += len(record["message"])
            letters += record["message"].count("y")
        assert process.stderr is not None
        grown = int(process.stderr.read())
    assert (length, letters) == (3200 * 65536, 3200)
    assert record["parts"] == record["part"]
    assert grown < 10_000


@pytest.mark.parametrize("name", LOOPS)
def test_on_real_loops(name: str) -> None:
    """A hundred thousand lines of each stream, on the loops the daemon runs on: all of them, each stream in order."""
    total = 100_000
    script = f"import sys\nfor n in range({total}): print(n); print(n, file=sys.stderr)"
    module: Any = asyncio if name == "asyncio" else importlib.import_module(name)
    loop = module.new_event_loop()
    reader, writer = os.pipe()
    with closing(reader, writer):
        sink = Sink(writer)
        capture = Capture(Journal(sink), sink)
        sink.attach(loop)
        capture.attach(loop)
        pipes = {stream: capture.open("count", stream) for stream in ("stdout", "stderr")}
        process = subprocess.Popen(
            [sys.executable, "-ISc", script], stdout=pipes["stdout"].write_fd, stderr=pipes["stderr"].write_fd
        )
        for pipe in pipes.values():
            capture.bind(pipe, process.pid)
        seen: list[bytes] = []
        missing = 2 * total

        def read() -> None:
            nonlocal missing
            seen.append(read_now(reader))
            missing -= seen[-1].count(b"\n")
            if missing <= 0:
                loop.stop()

        loop.add_reader(reader, read)
        loop.run_forever()
        process.wait()
        loop.remove_reader(reader)
        capture.close()
        sink.close()
        loop.close()
    found = parse(b"".join(seen))
    for stream in ("stdout", "stderr"):
        assert [record["message"] for record in found if record["stream"] == stream] == list(map(str, range(total)))
    assert accounted(found)


def test_nothing_planned_while_nothing_is_written(room: Room) -> None:
    """Open pipes that nobody writes to wake nobody."""
    writers = [room.child(f"service{number}", pid=number) for number in range(1, 51)]
    assert room.loop.turn() == 0
    for writer in writers:
        os.close(writer)
    room.read()
    assert room.loop.turn() == 0


def test_every_child_gets_its_turn(room: Room) -> None:
    """One call back reads a bounded amount, so that a child that floods does not starve a quiet one."""
    flood = [room.child("flood", pid=pid) for pid in range(1, 9)]
    quiet = room.child("quiet", pid=99)
    for writer in flood:
        os.set_blocking(writer, False)
        os.write(writer, b"y\n" * 16_000)
    os.write(quiet, b"hello\n")
    before = room.journal.seq
    room.loop.turn()
    assert room.journal.seq - before <= 8192 + 16384
    room.read()
    assert "hello" in room.messages
    for writer in [*flood, quiet]:
        os.close(writer)
    room.read()


def test_any_bytes(room: Room) -> None:
    """Bytes that are no UTF-8, control characters, line separators, a character across two reads: valid records."""
    writer = room.child()
    for piece in (b"\xff\xfe\n\0\x1b[31m\r\n", "\u2028x\n".encode(), b"\xf0\x9f", b"\x98\x80\n", b"\xed\xa0\x80\n"):
        os.write(writer, piece)
        room.read()
    os.close(writer)
    room.read()
    assert room.messages == ["\ufffd\ufffd", "\0\x1b[31m", "\u2028x", "\U0001f600", "\ufffd\ufffd\ufffd"]
