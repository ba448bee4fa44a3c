"""The children's output, on real pipes: every line, in order, and nobody kept waiting but the child that floods."""

import asyncio
import fcntl
import importlib
import importlib.util
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.record import Record
from supervisor.core.spec import Ansi, JsonLines, LineLevels, Output, Overflow, ServiceLog
from supervisor.logs.capture import Capture
from supervisor.logs.journal import Journal
from supervisor.logs.pipes import QUEUE, Pipe
from supervisor.logs.sink import Sink
from tests.logs.support import Turns, accounted, closing, open_descriptors, parse, patient, read_now, turns

LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])


class Room:
    """A whole logs room before a pipe, and the reader of that pipe."""

    def __init__(self, loop: Turns, *, capacity: int = 4 << 20, max_record: int = 16384, targets: Any = None) -> None:
        self.loop = loop
        self.reader, self.writer = os.pipe()
        self.sink = Sink(self.writer, capacity=capacity)
        self.journal = Journal(self.sink, max_record=max_record)
        self.capture = Capture(self.journal, self.sink, max_record=max_record, targets=targets, clock=loop.clock)
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


def test_who_fills_a_pipe_gets_a_larger_one(room: Room) -> None:
    """And is read in larger pieces, without a line lost, cut or out of order; who writes less keeps what it has."""
    busy, calm = room.child(), room.child("db", pid=8)
    os.set_blocking(busy, False)
    left = b"".join(b"%07d: a line of the length that lines have\n" % number for number in range(40_000))
    os.write(calm, b"x" * 32000 + b"\n")
    while left:
        left = left[os.write(busy, left) :]
        room.read()
    sizes = [fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) for fd in (busy, calm)]
    assert sizes == [262144, 65536]
    os.close(busy)
    os.close(calm)
    room.read()
    numbers = [int(record["message"][:7]) for record in room.records if record["service"] == "web"]
    assert numbers == list(range(40_000))
    assert [record["seq"] for record in room.records] == list(range(1, len(room.records) + 1))


def test_a_pipe_that_can_not_grow(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may refuse, to a user whose pipes take much already: it goes on as it is, and nobody asks again."""
    asked: list[int] = []

    def refuse(_: int, command: int, value: int = 0) -> int:
        asked.append(command)
        raise PermissionError(value)

    monkeypatch.setattr("supervisor.logs.capture.fcntl.fcntl", refuse)
    writer = room.child()
    os.set_blocking(writer, False)
    left = b"a line of the length that lines have, or so\n" * 10_000
    while left:
        left = left[os.write(writer, left) :]
        room.read()
    assert asked == [fcntl.F_SETPIPE_SZ]
    monkeypatch.undo()
    os.close(writer)
    room.read()
    assert room.messages == ["a line of the length that lines have, or so"] * 10_000


_FAULTS = """
import os, resource, sys
from supervisor.logs.capture import Capture
from supervisor.logs.journal import Journal
from supervisor.logs.sink import Sink
from tests.logs.support import turns

with turns() as loop:
    sink = Sink(os.open("/dev/null", os.O_WRONLY))
    capture = Capture(Journal(sink), sink)
    capture.attach(loop)
    pipe = capture.open("web", "stdout")
    os.set_blocking(pipe.write_fd, False)
    lines = b"a line of the length that lines have, and not a short one\\n" * 20000
    for turn in range(96):
        if turn == 32:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        os.write(pipe.write_fd, lines)
        loop.turn()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 64)
"""


def test_memory_is_not_given_back_and_taken_again_for_each_chunk() -> None:
    """Each page of it would be cleared by the kernel again: 1,000 for a chunk, at a third of what its lines cost."""
    faults = int(subprocess.check_output([sys.executable, "-c", _FAULTS], text=True))
    assert faults < 300


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


def log_of(**settings: Any) -> ServiceLog:
    """What becomes of lines, with these settings."""
    return ServiceLog(**settings)


def child_with(room: Room, log: ServiceLog, pid: int = 7, service: str = "web", places: Any = None) -> int:
    """A pipe as the child of a service with these settings gets it."""
    pipe = room.capture.open(service, "stdout", log, places)
    writer = os.dup(pipe.write_fd)
    room.capture.bind(pipe, pid)
    return writer


def test_lines_are_joined_until_time_is_up(room: Room) -> None:
    """A record waits for its next line for as long as it may, by one timer, which is set only while one waits."""
    log = log_of(multiline=r"^\S", multiline_timeout=0.2)
    first, second = child_with(room, log), child_with(room, log, pid=8)
    assert room.loop.timers == []
    os.write(first, b"one\n  more\n")
    room.read()
    room.loop.pass_time(0.1)
    os.write(second, b"two\n")
    room.read()
    assert room.messages == []
    assert len(room.loop.timers) == 1
    room.loop.pass_time(0.1)
    room.read()
    assert room.messages == ["one\n  more"]
    room.loop.pass_time(0.1)
    room.read()
    assert room.messages == ["one\n  more", "two"]
    assert room.loop.timers == []
    os.write(first, b"three\n")
    room.read()
    room.loop.pass_time(0.15)
    os.write(first, b"  more\n")
    room.read()
    room.loop.pass_time(0.1)
    assert len(room.messages) == 2
    os.close(first)
    room.read()
    assert room.messages[2:] == ["three\n  more"]
    room.loop.pass_time(1)
    assert room.loop.timers == []
    os.close(second)
    room.read()


def test_what_is_held_comes_before_the_end(room: Room) -> None:
    """A record that waits for its next line, and a last line without newline, are out before the child's exit is."""
    writer = child_with(room, log_of(multiline=r"^\S"), pid=9)
    os.write(writer, b"one\n  more\n  half")
    tail = room.capture.drain(9)
    room.journal.emit("info", "child_exited")
    room.read()
    assert [record.get("message", record["event"]) for record in room.records] == [
        "one\n  more\n  half",
        "child_exited",
    ]
    assert tail == ["one", "  more", "  half"]
    os.close(writer)
    room.read()


def test_escape_sequences_are_stripped_where_asked_for(room: Room) -> None:
    """A colour that two reads cut in two is gone too; without the option everything stays."""
    plain, coloured = child_with(room, log_of(ansi=Ansi.STRIP)), child_with(room, log_of(), pid=8)
    for writer in (plain, coloured):
        for piece in (b"\x1b[3", b"1mred\x1b[0m\nend\x1b"):
            os.write(writer, piece)
            room.read()
        os.close(writer)
        room.read()
    assert room.messages == ["red", "end", "\x1b[31mred\x1b[0m", "end\x1b"]


def test_secrets_never_reach_anything(room: Room) -> None:
    """A secret that two reads, or two records, cut in two is in no record, no tail, no report and no follower."""
    room.journal.add_secret("correct-horse", "web")
    seen: list[Any] = []
    room.capture.tails.follow(seen.extend)
    writer = room.child(pid=9)
    for piece in (
        b"password=correct",
        b"-horse\n",
        b"x" * 40_000,
        b"x" * 25_530 + b"correct-ho",
        b"rse" + b"y" * 60_000,
        b"y" * 10_000 + b"\ncorrect-h",
    ):
        os.write(writer, piece)
        room.read()
    os.close(writer)
    tail = room.capture.drain(9)
    room.read()
    text = "".join(room.messages)
    assert text == "password=[redacted]" + "x" * 65_530 + "[redacted]" + "y" * 70_000 + "[redacted]"
    assert "".join(record["message"] for record in seen) == text
    assert "correct" not in "".join(tail)
    assert "correct" not in repr(room.capture.tails.last("web"))


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLDEST, Overflow.DROP_NEWEST])
def test_who_is_not_to_wait_does_not(overflow: Overflow) -> None:
    """With nobody reading the log the child writes on; afterwards what was dropped is counted, to the line."""
    total = 40_000
    script = f"for n in range({total}): print(n)"
    with turns() as loop:
        room = Room(loop, capacity=200_000)
        pipe = room.capture.open("count", "stdout", log_of(overflow=overflow))
        process = subprocess.Popen([sys.executable, "-ISc", script], stdout=pipe.write_fd)
        room.capture.bind(pipe, 7)
        with process:
            while process.poll() is None:
                loop.turn(0.01)
                assert room.sink.pending < 500_000
                assert pipe.queued <= QUEUE
        room.capture.drain(7)
        room.journal.emit("info", "child_exited")
        room.read()
        room.capture.close()
        room.close()
    numbers = [int(message) for message in room.messages]
    dropped = [record for record in room.records if record["event"] == "log_lines_dropped"]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + sum(record["count"] for record in dropped) == total
    assert {(record["service"], record["reason"]) for record in dropped} == {("count", "overflow")}
    assert accounted(room.records)
    assert (numbers[-1] == total - 1) is (overflow is Overflow.DROP_OLDEST)
    expected = 0
    for record in room.records:  # it is told where it is missing
        if record["event"] == "log_lines_dropped":
            expected += record["count"]
        elif record["event"] == "output":
            assert int(record["message"]) == expected
            expected += 1


def test_one_who_waits_beside_one_who_does_not() -> None:
    """A blocked log keeps a service with block waiting while another's lines are dropped; the first loses nothing."""
    with turns() as loop:
        room = Room(loop, capacity=200_000)
        patient_one = child_with(room, log_of(), service="patient")
        hasty = child_with(room, log_of(overflow=Overflow.DROP_NEWEST), pid=8, service="hasty")
        for writer in (patient_one, hasty):
            os.set_blocking(writer, False)
        written = {patient_one: 0, hasty: 0}
        for _ in range(300):
            for writer in written:
                try:
                    written[writer] += os.write(writer, b"line\n" * 800) // 5  # all or nothing: PIPE_BUF
                except BlockingIOError:
                    continue
            loop.turn()
        assert room.sink.blocked
        assert written[hasty] == 240_000
        assert written[patient_one] < 100_000
        room.read()
        for writer in written:
            os.close(writer)
        room.read()
        room.capture.close()
        room.close()
    counted = Counter(record["service"] for record in room.records if record["event"] == "output")
    dropped = sum(record["count"] for record in room.records if record["event"] == "log_lines_dropped")
    assert counted["patient"] == written[patient_one]
    assert counted["hasty"] + dropped == written[hasty]
    assert accounted(room.records)


class Place(Record):
    """A destination."""

    name: str


class Elsewhere:
    """A target that takes lines or records, and can have no room."""

    def __init__(self, name: str, *, structured: bool) -> None:
        self.name = name
        self.structured = structured
        self.blocked = False
        self.lost: dict[str, int] = {}
        self.taken: list[Any] = []
        self.whole: dict[str, bool] = {}
        self._callbacks: list[Callable[[], object]] = []

    def lines(self, service: str, pid: int, stream: str, messages: Sequence[bytes], *, whole: bool = False) -> None:
        """Take lines."""
        self.whole[service] = whole
        self.taken += [(service, pid, stream, message) for message in messages]

    def records(self, records: Sequence[Mapping[str, object]], *, whole: bool = False) -> None:
        """Take records."""
        self.whole |= dict.fromkeys((str(record["service"]) for record in records), whole)
        self.taken += records

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Remember whom to call back."""
        self._callbacks.append(callback)

    def block(self, *, on: bool) -> None:
        """Have no room, or have some again."""
        self.blocked = on
        for callback in self._callbacks if not on else ():
            callback()


class Registry:
    """Knows one target a place."""

    def __init__(self) -> None:
        self.targets: dict[str, Elsewhere] = {}
        self.used: Counter[str] = Counter()

    def acquire(self, destination: Any, service: str) -> Any:
        """The target, for one user more."""
        name = f"{destination.name}:{service}"
        self.used[name] += 1
        return self.targets.setdefault(name, Elsewhere(name, structured=destination.name == "records"))

    def release(self, target: Any) -> None:
        """One user less."""
        self.used[target.name] -= 1


@pytest.fixture
def registry() -> Registry:
    """Where lines may go beside the log."""
    return Registry()


@pytest.fixture
def wide(registry: Registry) -> Iterator[Room]:
    """A logs room with other places beside the log."""
    with turns() as loop:
        made = Room(loop, targets=registry)
        yield made
        made.capture.close()
        made.close()


def test_a_stream_goes_to_several_places(wide: Room, registry: Registry) -> None:
    """Each place gets each line, as lines or as records; the log only if it is one of them; users are counted."""
    both = (Output.LOG, Place("lines"), Place("records"))
    first = child_with(wide, log_of(json=JsonLines.MERGE), places=both)
    second = child_with(wide, log_of(), pid=8, service="db", places=(Place("lines"),))
    os.write(first, b'{"a":1}\n')
    os.write(second, b"not for the log\n")
    wide.read()
    assert [record.get("a") for record in wide.records] == [1]
    assert registry.targets["lines:web"].taken == [("web", 7, "stdout", b'{"a":1}')]
    (record,) = registry.targets["records:web"].taken
    assert (record["a"], record["service"], record["event"]) == (1, "web", "output")
    assert registry.targets["lines:db"].taken == [("db", 8, "stdout", b"not for the log")]
    assert set(registry.used.values()) == {1}
    for writer in (first, second):
        os.close(writer)
    wide.read()
    assert set(registry.used.values()) == {0}
    assert [record["message"] for record in wide.capture.tails.last("db")] == ["not for the log"]


def test_the_pieces_of_a_long_line_are_numbered_for_who_takes_records(registry: Registry) -> None:
    """They are text of one level, whatever each of them looks like, and the last one knows how many they are."""
    with turns() as loop:
        room = Room(loop, max_record=300, targets=registry)
        log = log_of(json=JsonLines.MERGE, level=LineLevels(guess=True))
        writer = child_with(room, log, places=(Place("records"),))
        os.write(writer, b"ERROR: " + b"x" * 1393)
        room.read()
        os.write(writer, b'xxx{"level":"info"}\n{"a":1}\n')
        room.read()
        taken = registry.targets["records:web"].taken
        assert [(record.get("part"), record.get("parts")) for record in taken] == [(1, None), (2, 2), (None, None)]
        assert {record["level"] for record in taken[:2]} == {"error"}
        assert "".join(record["message"] for record in taken[:2]) == "ERROR: " + "x" * 1396 + '{"level":"info"}'
        assert taken[2]["a"] == 1
        os.close(writer)
        room.read()
        room.capture.close()
        room.close()


def test_a_place_without_room_stops_its_own_services_alone(wide: Room, registry: Registry) -> None:
    """A target that is blocked keeps those waiting that go to it and are to wait; all others go on, and so does it."""
    web = child_with(wide, log_of(), places=(Output.LOG, Place("lines")))
    hasty = child_with(wide, log_of(overflow=Overflow.DROP_OLDEST), pid=8, service="hasty", places=(Place("lines"),))
    other = child_with(wide, log_of(), pid=9, service="other")
    for writer in (web, hasty, other):
        os.write(writer, b"one\n")
    wide.read()
    for target in registry.targets.values():
        target.block(on=True)
    for writer in (web, hasty, other):
        os.write(writer, b"two\n")
    wide.read()
    assert wide.messages == ["one", "one", "two"]
    assert [line[3] for line in registry.targets["lines:hasty"].taken] == [b"one", b"two"]
    assert [registry.targets[f"lines:{name}"].whole for name in ("web", "hasty")] == [{"web": True}, {"hasty": False}]
    assert wide.loop.turn() == 0
    for target in registry.targets.values():
        target.block(on=False)
    wide.read()
    assert Counter(wide.messages) == {"one": 2, "two": 2}
    for target in registry.targets.values():
        target.block(on=True)
    os.write(web, b"three\n")
    wide.read()
    assert wide.capture.drain(7) == ["one", "two", "three"]
    for writer in (web, hasty, other):
        os.close(writer)
    for target in registry.targets.values():
        target.block(on=False)
    wide.read()
    assert set(registry.used.values()) == {0}


def test_a_blocked_log_does_not_stop_other_places(registry: Registry) -> None:
    """A service that does not go to the log is read on while nobody reads the log."""
    with turns() as loop:
        room = Room(loop, capacity=100_000, targets=registry)
        flood = child_with(room, log_of(), service="flood")
        other = child_with(room, log_of(), pid=8, service="other", places=(Place("lines"),))
        os.set_blocking(flood, False)
        for _ in range(20):
            try:
                os.write(flood, b"line\n" * 10_000)
            except BlockingIOError:
                break
            loop.settle()
        assert room.sink.blocked
        os.write(other, b"still there\n")
        loop.settle()
        assert [line[3] for line in registry.targets["lines:other"].taken] == [b"still there"]
        os.close(flood)
        os.close(other)
        room.read()
        room.capture.close()
        room.close()


def test_where_lines_go_may_change(wide: Room, registry: Registry) -> None:
    """Lines read before are where they went, those after go elsewhere; an unfinished one goes with its end."""
    writer = child_with(wide, log_of())
    os.write(writer, b"one\ntw")
    wide.read()
    wide.capture.change({("web", "stdout"): (log_of(), (Place("lines"),)), ("db", "stdout"): (log_of(), None)})
    os.write(writer, b"o\n")
    wide.read()
    wide.capture.change({("web", "stdout"): (log_of(), (Output.LOG, Place("lines"), Place("records")))})
    os.write(writer, b"three\n")
    wide.read()
    wide.capture.change({("web", "stdout"): (log_of(), None), ("web", "stderr"): (log_of(), (Place("lines"),))})
    os.write(writer, b"four\n")
    wide.read()
    assert wide.messages == ["one", "three", "four"]
    assert [line[3] for line in registry.targets["lines:web"].taken] == [b"two", b"three"]
    assert [record["message"] for record in registry.targets["records:web"].taken] == ["three"]
    assert set(registry.used.values()) == {0}
    os.close(writer)
    wide.read()


def test_a_place_that_stays_is_not_let_go_of_meanwhile(wide: Room, registry: Registry) -> None:
    """A connection is not made anew because another place comes or goes."""
    writer = child_with(wide, log_of(), places=(Place("lines"),))
    os.write(writer, b"one\n")
    wide.read()
    used: list[int] = []
    registry.release = lambda target: used.append(registry.used[target.name])  # type: ignore[method-assign]
    wide.capture.change({("web", "stdout"): (log_of(), (Place("records"), Place("lines")))})
    assert used == [2]
    os.close(writer)
    wide.read()


def test_what_becomes_of_lines_may_change(wide: Room) -> None:
    """Colours, objects, joined lines: what is held by settings that end is complete."""
    writer = child_with(wide, log_of(multiline=r"^\S", multiline_timeout=9.0))
    os.write(writer, b'{"a":1}\n \x1b[1mmore\x1b[0m\n\x1b[3')
    wide.read()
    assert wide.messages == []
    wide.capture.change({("web", "stdout"): (log_of(json=JsonLines.MERGE, ansi=Ansi.STRIP), None)})
    wide.read()
    assert wide.messages == ['{"a":1}\n \x1b[1mmore\x1b[0m']
    os.write(writer, b'2m{"a":1}\n\x1b[32mgreen\x1b[0m\n\x1b[3')
    wide.read()
    assert [record.get("message", record.get("a")) for record in wide.records[1:]] == ['\x1b[32m{"a":1}', "green"]
    wide.capture.change({("web", "stdout"): (log_of(), None)})
    os.write(writer, b"2mkept\n")
    wide.read()
    assert wide.messages[-1] == "[32mkept", "the escape was read when they were stripped"
    os.close(writer)
    wide.read()


def test_a_long_line_ends_where_it_began(registry: Registry) -> None:
    """Whoever has its first pieces gets its end, so that nobody waits for it; what comes later is a line."""
    with turns() as loop:
        room = Room(loop, max_record=300, targets=registry)
        writer = child_with(room, log_of())
        os.write(writer, b"x" * 3000)
        room.read()
        room.capture.change({("web", "stdout"): (log_of(), (Place("lines"),))})
        os.write(writer, b"y\nz\n")
        room.read()
        room.capture.change({("web", "stdout"): (log_of(), None)})
        os.write(writer, b"whole\n")
        room.read()
        parts = room.records[:-1]
        assert "".join(record["message"] for record in parts) == "x" * 3000
        assert parts[-1]["part"] == parts[-1]["parts"]
        assert "part" not in room.records[-1]
        assert [line[3] for line in registry.targets["lines:web"].taken] == [b"y", b"z"]
        os.close(writer)
        room.read()
        room.capture.close()
        room.close()


def test_who_waits_may_change(registry: Registry) -> None:
    """A flood that waited drops from now on, and the other way round; whatever comes, the numbers add up."""
    policies = [log_of(), log_of(overflow=Overflow.DROP_OLDEST), log_of(overflow=Overflow.DROP_NEWEST)]
    with turns() as loop:
        room = Room(loop, capacity=100_000, targets=registry)
        writer = child_with(room, policies[0])
        os.set_blocking(writer, False)
        number = written = 0
        for turn in range(60):
            while number < 2000 * (turn + 1):
                try:
                    os.write(writer, b"%09d\n" % number)
                except BlockingIOError:
                    break
                number += 1
            written = number
            loop.settle()
            places = (Output.LOG, Place("lines")) if turn % 2 else None
            room.capture.change({("web", "stdout"): (policies[turn % 3], places)})
            if turn % 4 == 3:
                room.seen += read_now(room.reader)
        os.close(writer)
        room.read()
        lines = [int(message) for message in room.messages]
        dropped = sum(record["count"] for record in room.records if record["event"] == "log_lines_dropped")
        assert dropped > 0
        assert len(lines) + dropped == written
        assert lines == sorted(set(lines))
        assert accounted(room.records)
        room.capture.close()
        room.close()


def test_a_blocked_place_that_goes_frees_who_waited_for_it(wide: Room, registry: Registry) -> None:
    """Nobody waits for a place that nothing goes to any more, nor for any when it is to drop."""
    web = child_with(wide, log_of(), places=(Place("lines"),))
    hasty = child_with(wide, log_of(), pid=8, service="hasty", places=(Place("lines"),))
    for text in (b"one\n", b"two\n"):
        os.write(web, text)
        os.write(hasty, text)
        wide.read()
        for target in registry.targets.values():
            target.block(on=True)
    assert [line[3] for line in registry.targets["lines:web"].taken] == [b"one"]
    drops = log_of(overflow=Overflow.DROP_OLDEST)
    wide.capture.change({("web", "stdout"): (log_of(), None), ("hasty", "stdout"): (drops, (Place("lines"),))})
    wide.read()
    assert wide.messages == ["two"]
    assert [line[3] for line in registry.targets["lines:hasty"].taken] == [b"one", b"two"]
    for writer in (web, hasty):
        os.close(writer)
    wide.read()


def test_a_change_without_descriptors_is_told(wide: Room, registry: Registry) -> None:
    """What can't be changed now stays as it was, and works on."""
    writer = child_with(wide, log_of(), places=(Place("lines"),))
    os.write(writer, b"one\n")
    wide.read()
    acquire = registry.acquire

    def refuse(destination: Any, service: str) -> Any:
        if destination.name == "records":
            raise OSError(24, "Too many open files")
        return acquire(destination, service)

    registry.acquire = refuse  # type: ignore[method-assign]
    wanted = (log_of(overflow=Overflow.DROP_OLDEST), (Output.LOG, Place("lines"), Place("records")))
    wide.capture.change({("web", "stdout"): wanted})
    os.write(writer, b"two\n")
    wide.read()
    (warning,) = wide.records
    assert (warning["event"], warning["service"]) == ("supervisor_warning", "web")
    assert [line[3] for line in registry.targets["lines:web"].taken] == [b"one", b"two"]
    assert registry.used["lines:web"] == 1
    os.close(writer)
    wide.read()


@patient
@given(st.binary(max_size=4000), st.lists(st.integers(1, 900), min_size=1), st.sampled_from(["", r"^[a-m]"]))
def test_any_bytes_in_any_pieces_give_the_same_records(data: bytes, sizes: list[int], multiline: str) -> None:
    """What is read in other pieces is nothing else: the same messages, of which nothing is lost."""
    found = []
    for pieces in ([len(data) or 1], sizes):
        with turns() as loop:
            room = Room(loop, max_record=256)
            writer = child_with(room, log_of(multiline=multiline or None))
            at = turn = 0
            while at < len(data):
                at += os.write(writer, data[at : at + pieces[turn % len(pieces)]])
                turn += 1
                room.read()
            os.close(writer)
            room.read()
            room.capture.close()
            room.close()
        assert accounted(room.records)
        found.append([(r["message"], r.get("part"), r.get("parts")) for r in room.records if r["event"] == "output"])
    assert found[0] == found[1]
