"""The buffer before the log: it never blocks, it keeps within its bounds, and it counts what it loses."""

import asyncio
import errno
import importlib
import importlib.util
import os
import pty
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from supervisor.logs.sink import BLOCKED, CLOSED, NO_SPACE, Sink, open_sink
from tests.helpers.patience import PATIENCE
from tests.logs.support import closing, open_descriptors, read_now, turns

LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])
RECORD = b"x" * 99 + b"\n"


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A pipe of one page: its reading and its writing end."""
    reader, writer = os.pipe()
    with closing(reader, writer):
        _shrink(writer)
        yield reader, writer


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An event loop of the kind asked for."""
    module: Any = asyncio if request.param == "asyncio" else importlib.import_module(request.param)
    made = module.new_event_loop()
    yield made
    made.close()


def is_blocked(sink: Sink) -> bool:
    """Whether it is blocked now (the type checker takes an attribute for constant)."""
    return sink.blocked


def _shrink(fd: int) -> None:
    import fcntl  # noqa: PLC0415 (here only)

    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)


def test_written_at_once_when_nothing_waits(ends: tuple[int, int]) -> None:
    """A record is in the pipe when write returns, with no loop attached."""
    sink = Sink(ends[1])
    assert sink.write(RECORD)
    assert read_now(ends[0]) == RECORD
    assert sink.pending == 0
    sink.close()


def test_a_full_pipe_buffers_and_goes_on_in_order(ends: tuple[int, int]) -> None:
    """What doesn't fit waits, and follows whole and in order as the reader reads."""
    records = [b"%08d\n" % number for number in range(5000)]
    seen = b""
    with turns() as loop:
        sink = Sink(ends[1])
        sink.attach(loop)
        for record in records:
            assert sink.write(record)
        while sink.pending:
            seen += read_now(ends[0])
            loop.turn()
        seen += read_now(ends[0])
        sink.close()
    assert seen == b"".join(records)
    assert sink.lost == {}


def test_idle_means_no_wake_up(ends: tuple[int, int]) -> None:
    """The loop is woken while something waits for room, and never otherwise."""
    with turns() as loop:
        sink = Sink(ends[1])
        sink.attach(loop)
        sink.write(RECORD)
        assert loop.turn() == 0
        sink.write(RECORD * 100)
        assert loop.turn() == 0  # the pipe is full: nothing to do
        read_now(ends[0])
        assert loop.turn() == 1
        read_now(ends[0])
        loop.settle()
        assert sink.pending == 0
        assert loop.turn() == 0
        sink.close()


@pytest.mark.parametrize("loop", LOOPS, indirect=True)
@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_on_real_loops_and_with_flags_untouched(loop: Any, kind: str) -> None:
    """On both loops a blocked sink drains by itself, and the descriptor others share stays as it was: blocking."""
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "terminal":
        reader, writer = pty.openpty()
    else:
        left, right = socket.socketpair()
        reader, writer = left.detach(), right.detach()
    with closing(reader, writer):
        sink = Sink(writer)
        sink.attach(loop)
        sink.write(RECORD * 20_000)
        assert is_blocked(sink)
        assert os.get_blocking(writer)
        seen = bytearray()
        sink.on_drain(loop.stop)
        loop.add_reader(reader, lambda: seen.extend(read_now(reader)))
        loop.run_forever()
        assert not is_blocked(sink)
        assert os.get_blocking(writer)
        sink.flush()
        loop.remove_reader(reader)
        sink.close()
        seen += read_now(reader)
        assert seen.replace(b"\r", b"")[:5000] == RECORD * 50


def test_marks(ends: tuple[int, int]) -> None:
    """Above a quarter it is blocked; from half on output is refused; events are taken until it is full."""
    with turns() as loop:
        sink = Sink(ends[1], capacity=40_000)
        sink.attach(loop)
        sink.write(RECORD * 41)  # what the pipe holds, and one more
        while not is_blocked(sink):
            assert sink.write(RECORD, output=True)
        assert 10_000 < sink.pending <= 10_100
        while sink.room > 0:
            assert sink.write(RECORD, output=True)
        assert sink.pending >= 20_000
        assert not sink.write(RECORD * 3, output=True)
        assert sink.lost == {BLOCKED: 3}
        while sink.pending < 40_000:
            assert sink.write(RECORD)
        assert not sink.write(RECORD)
        assert not sink.offer(RECORD)
        assert sink.lost == {BLOCKED: 4}
        sink.close()


def test_callbacks_when_drained(ends: tuple[int, int]) -> None:
    """Callbacks run in order once the sink has drained to an eighth, and only if it had been blocked."""
    called: list[int] = []
    with turns() as loop:
        sink = Sink(ends[1], capacity=40_000)
        sink.attach(loop)
        sink.on_drain(lambda: called.append(sink.pending))
        sink.on_drain(lambda: called.append(-1))
        sink.write(RECORD * 60)
        read_now(ends[0])
        loop.settle()
        assert called == []
        sink.write(RECORD * 200)
        assert is_blocked(sink)
        while is_blocked(sink):
            assert called == []
            read_now(ends[0])
            loop.turn()
        assert called[0] <= 5000
        assert called[1] == -1
        sink.close()


def test_a_write_from_a_callback(ends: tuple[int, int]) -> None:
    """What a callback writes comes behind what was there, and may block the sink again."""
    with turns() as loop:
        sink = Sink(ends[1], capacity=40_000)
        sink.attach(loop)
        sink.on_drain(lambda: sink.write(b"y" * 20_000 + b"\n"))
        sink.write(RECORD * 200)
        while is_blocked(sink) and sink.pending <= 20_000:
            read_now(ends[0])
            loop.turn()
        assert is_blocked(sink)
        assert sink.pending > 20_000
        sink.close()


def test_a_reader_that_is_gone(ends: tuple[int, int]) -> None:
    """With the reader gone all is counted as lost, nothing spins, and nobody is kept waiting."""
    with turns() as loop:
        sink = Sink(ends[1], capacity=40_000)
        drained: list[bool] = []
        sink.on_drain(lambda: drained.append(True))
        sink.attach(loop)
        sink.write(RECORD * 200)
        assert is_blocked(sink)
        os.close(ends[0])
        loop.settle()
        assert drained == [True]
        assert sink.pending < len(RECORD)  # the rest of a record that is half in the pipe
        before = sink.lost[CLOSED]
        assert 200 - 4096 // 100 - 1 <= before <= 200
        assert not sink.write(RECORD * 2)
        assert not sink.offer(RECORD)
        assert sink.lost == {CLOSED: before + 2}
        assert loop.turn() == 0
        sink.close()


def test_a_reader_that_comes_back(tmp_path: object) -> None:
    """A FIFO that is read again gets whole records again."""
    path = os.path.join(str(tmp_path), "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = open_sink(path)
    with turns() as loop:
        sink.attach(loop)
        sink.write(RECORD * 2000)
        os.close(reader)
        loop.settle()
        assert not sink.write(RECORD)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        assert sink.write(b"back\n")
        seen = read_now(reader)
        loop.settle()
        lines = (seen + read_now(reader)).split(b"\n")
        assert lines[-2:] == [b"back", b""]
        assert {len(line) for line in lines[:-2]} == {99}
        os.close(reader)
        sink.close()


@pytest.mark.parametrize("how", ["closed", "read-only"])
def test_a_descriptor_that_can_not_be_written(how: str) -> None:
    """A descriptor that is closed, or open for reading only, loses everything, counted."""
    fd = os.open("/dev/null", os.O_RDONLY)
    if how == "closed":
        os.close(fd)
    sink = Sink(fd)  # before anything else takes the number
    with turns() as loop:
        sink.attach(loop)
        assert not sink.write(RECORD * 3)
        assert sink.lost == {CLOSED: 3}
        assert sink.flush()
        sink.close()
    if how == "read-only":
        os.close(fd)


def test_a_number_that_comes_to_mean_another_file() -> None:
    """Once a descriptor was found closed, no record goes to the file that gets its number later."""
    fd = os.open("/dev/null", os.O_WRONLY)
    sink = Sink(fd)
    os.close(fd)
    assert not sink.write(RECORD)
    reader, writer = os.pipe()
    with closing(reader, writer):
        os.dup2(writer, fd)
        with closing(fd):
            assert not sink.write(RECORD)
            assert read_now(reader) == b""
    sink.close()


def test_a_full_disk() -> None:
    """On a full disk records are counted as lost, at once: nothing waits for space, so nobody is kept waiting."""
    fd = os.open("/dev/full", os.O_WRONLY)
    with closing(fd), turns() as loop:
        sink = Sink(fd, capacity=4000)
        sink.attach(loop)
        for _ in range(100):
            assert not sink.write(RECORD, output=True)
        assert sink.lost == {NO_SPACE: 100}
        assert not is_blocked(sink)
        assert sink.pending == 0
        assert loop.turn() == 0
        sink.close()


_FILE_LIMIT_PROGRAM = """
import resource, sys
from supervisor.logs.sink import open_sink

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

sink = open_sink(sys.argv[1])
limit(250)
taken = [sink.write(b"%02d" % number + b"x" * 97 + b"\\n") for number in range(6)]
print(taken, sink.lost, sink.pending)
limit(resource.RLIM_INFINITY)
taken = [sink.write(b"%02d" % number + b"x" * 97 + b"\\n") for number in range(6, 8)]
print(taken, sink.lost, sink.pending)
"""


def test_space_that_comes_back(tmp_path: object) -> None:
    """A record cut by a full file is finished when there is space again; those in between are lost, and counted."""
    path = os.path.join(str(tmp_path), "log")
    ran = subprocess.run(
        [sys.executable, "-c", _FILE_LIMIT_PROGRAM, path], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert ran.stdout.splitlines() == [
        "[True, True, True, False, False, False] {'no_space': 3} 50",
        "[True, True] {'no_space': 3} 0",
    ]
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    assert [line[:2] for line in lines] == [b"00", b"01", b"02", b"06", b"07", b""]
    assert {len(line) for line in lines[:-1]} == {99}


def test_flush_waits_no_longer_than_it_is_told(ends: tuple[int, int]) -> None:
    """With nobody reading a flush gives up at its time; with a reader it empties the buffer."""
    sink = Sink(ends[1])
    sink.write(RECORD * 100)
    assert not sink.flush(0.01)
    assert not sink.flush()
    with subprocess.Popen(["cat"], stdin=ends[0], stdout=subprocess.DEVNULL) as reader:
        assert sink.flush(30)
        assert sink.pending == 0
        sink.close()
        os.close(ends[1])
        assert reader.wait(PATIENCE) == 0


def test_memory_is_given_back(ends: tuple[int, int]) -> None:
    """A sink that was full holds no more than before once it is empty."""
    with turns() as loop:
        sink = Sink(ends[1])
        sink.attach(loop)
        while sink.pending < 4 << 20:
            sink.write(RECORD * 100)
        while sink.pending:
            read_now(ends[0])
            loop.turn()
        assert sys.getsizeof(sink._backlog._pieces) < 10_000  # noqa: SLF001 (its memory is its own business but for this)
        sink.close()


def test_a_path_is_opened_for_appending(tmp_path: object) -> None:
    """A path is created private to owner and group, appended to, and never becomes descriptor 0, 1 or 2."""
    path = os.path.join(str(tmp_path), "log")
    for text in (b"one\n", b"two\n"):
        sink = open_sink(path)
        assert sink.write(text)
        sink.close()
    with open(path, "rb") as file:
        assert file.read() == b"one\ntwo\n"
    assert stat.S_IMODE(os.stat(path).st_mode) & ~0o640 == 0


_LOW_NUMBERS_PROGRAM = """
import os, sys
from supervisor.logs.sink import open_sink
report = os.dup(1)
for number in (0, 1, 2):
    os.close(number)
sink = open_sink(sys.argv[1])
sink.write(b"x\\n")
os.write(report, b",".join(name.encode() for name in os.listdir("/proc/self/fd") if name in "012"))
"""


def test_a_path_takes_no_standard_number(tmp_path: object) -> None:
    """Started with 0 to 2 closed, the log still is none of them."""
    path = os.path.join(str(tmp_path), "log")
    ran = subprocess.run(
        [sys.executable, "-c", _LOW_NUMBERS_PROGRAM, path], capture_output=True, check=True, timeout=PATIENCE
    )
    assert ran.stdout in (b"", b"0")  # the listing's own descriptor is the lowest free one
    with open(path, "rb") as file:
        assert file.read() == b"x\n"


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (os.mkdir, errno.EISDIR),
        (os.mkfifo, errno.ENXIO),
        (lambda path: os.symlink("missing/file", path), errno.ENOENT),
        (lambda path: os.symlink(path, path), errno.ELOOP),
    ],
)
def test_a_path_that_can_not_be_opened(make: Callable[[str], None], number: int, tmp_path: object) -> None:
    """A directory, a FIFO without reader, a link to nowhere: an error that names the path, and no waiting."""
    path = os.path.join(str(tmp_path), "log")
    make(path)
    with pytest.raises(OSError, match="log") as caught:
        open_sink(path)
    assert caught.value.errno == number
    assert caught.value.filename == path


def test_standard_streams_are_used_as_they_are() -> None:
    """``stdout`` and ``stderr`` are descriptors 1 and 2 themselves, and stay open."""
    before = open_descriptors()
    for name in ("stdout", "stderr"):
        open_sink(name).close()
    assert open_descriptors() == before


def test_every_descriptor_is_given_back(ends: tuple[int, int]) -> None:
    """A sink that was attached, blocked and closed leaves nothing open but what it was given."""
    with turns() as loop:
        before = open_descriptors()
        sink = Sink(ends[1])
        sink.attach(loop)
        sink.write(RECORD * 100)
        sink.close()
        sink.close()
        assert open_descriptors() == before


def test_a_terminal_is_known_as_one(ends: tuple[int, int]) -> None:
    """``is_terminal`` tells a terminal from a pipe."""
    master, slave = pty.openpty()
    with closing(master, slave):
        sink = Sink(slave)
        assert sink.is_terminal
        assert not Sink(ends[1]).is_terminal
        sink.close()


def test_a_hung_up_terminal() -> None:
    """A terminal whose other end is closed is counted as lost without spinning."""
    master, slave = pty.openpty()
    with closing(master, slave), turns() as loop:
        sink = Sink(slave)
        sink.attach(loop)
        sink.write(RECORD * 2000)
        assert sink.pending
        os.close(master)
        loop.settle()
        assert loop.turn() == 0
        assert sum(sink.lost.values()) > 0
        assert not sink.write(RECORD)
        sink.close()


def test_memory_is_bounded() -> None:
    """Whatever is written, no more than the capacity and one write is kept."""
    reader, writer = os.pipe()
    with closing(reader, writer):
        sink = Sink(writer, capacity=100_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(20_000):
            sink.write(RECORD * 100)
        assert sink.pending <= 110_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5_000  # KiB
        assert sink.lost[BLOCKED] > 1_900_000
        sink.close()
