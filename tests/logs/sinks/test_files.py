"""Files as sinks: the loop never waits for the disk, failures are told and tried again, nothing is lost silently."""

import json
import os
import threading
from collections.abc import Callable

import pytest

from supervisor.core.record import replace
from supervisor.core.spec import FileSink
from supervisor.logs.lines import Fragment
from supervisor.logs.sinks import buffered
from supervisor.logs.sinks.files import FileTarget, render_json
from supervisor.logs.sinks.rotation import Outcome
from supervisor.logs.sinks.writer import FileLog
from tests.helpers.patience import PATIENCE
from tests.logs.sinks.support import Bench
from tests.logs.sinks.test_rotation import content, largest_file, whole


@pytest.fixture
def path(tmp_path: os.PathLike[str]) -> str:
    """Where a file may be made."""
    return os.path.join(tmp_path, "web.log")


def target(on: Bench, spec: FileSink) -> FileTarget:
    """A target at work."""
    made: FileTarget = on.add(FileTarget(spec, on.tell, on.workers, render=render_json))
    return made


class Gate:
    """Holds up one call, as a stalled disk does, until it is opened."""

    def __init__(self, call: Callable[[bytes], Outcome]) -> None:
        self.call = call
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, data: bytes) -> Outcome:
        """Wait, then do what was asked."""
        self.entered.set()
        assert self.open.wait(PATIENCE)
        return self.call(data)


def test_the_pieces_of_a_line_have_the_number_of_the_first(on: Bench, path: str) -> None:
    """Of each stream, though others come between; a line that is one record has no such number."""

    def piece(pid: int, **marks: object) -> dict[str, object]:
        return {"timestamp": "t", "event": "output", "service": "web", "pid": pid, "stream": "stdout", **marks}

    made = target(on, FileSink(path, json=True))
    made.records([piece(1, part=1), piece(2, part=1), piece(1, part=2), piece(3), piece(2, part=2, parts=2)])
    made.records([piece(1, part=3, parts=3), piece(2, part=1)])
    on.until(lambda: not made.pending, "all is written")
    found = [json.loads(line) for line in content(path).splitlines()]
    assert [(record["seq"], record.get("id")) for record in found] == [
        (1, 1), (2, 2), (3, 1), (4, None), (5, 2), (6, 1), (7, 7),
    ]  # fmt: skip


def is_blocked(made: FileTarget | FileLog) -> bool:
    """Whether it is blocked now (the type checker takes an attribute for constant)."""
    return made.blocked


def stall(made: FileTarget | FileLog) -> Gate:
    """Make the next write to the file hang until the gate is opened."""
    gate = Gate(made._file.write)  # noqa: SLF001 - the disk itself can't be made to stall here
    made._file.write = gate  # type: ignore[method-assign]  # noqa: SLF001 - the same
    return gate


def test_who_waits_loses_nothing_to_a_full_buffer(on: Bench, path: str) -> None:
    """What was read while there was room, or was left in a pipe, is taken whole; what others give is cut off there."""
    made = target(on, FileSink(path, json=True))
    on.until(lambda: os.path.exists(path), "the file is made")
    gate = stall(made)
    lines = [b"y"] * 16384
    for _ in range(3):
        made.lines("web", 1, "stdout", lines, whole=True)
    assert made.pending > 3 * buffered.CAPACITY
    made.lines("web", 1, "stdout", lines)
    gate.open.set()
    on.until(lambda: not made.pending and on.lost(), "all is written, and the loss is told")
    assert content(path).count(b"\n") == 3 * 16384
    assert on.lost() == 16384


def test_there_is_an_end_to_it(on: Bench, path: str) -> None:
    """However many have lines that nobody can give again."""
    made = target(on, FileSink(path))
    on.until(lambda: os.path.exists(path), "the file is made")
    gate = stall(made)
    for _ in range(40):
        made.lines("web", 1, "stdout", [b"x" * (buffered.CAPACITY - 1)], whole=True)
    assert made.pending == 16 * buffered.CAPACITY
    gate.open.set()
    on.until(lambda: not made.pending and on.lost(), "all is written, and the loss is told")
    assert on.lost() == 24


def test_lines_are_written_as_they_came(on: Bench, path: str) -> None:
    """Bytes, empty lines and all; the file is there before the first line is."""
    made = target(on, FileSink(path))
    on.until(lambda: os.path.exists(path), "the file is made")
    made.lines("web", 1, "stdout", [b"one", b"", b"\xff\x00"])
    made.lines("web", 1, "stderr", [b"two"])
    on.until(lambda: not made.pending, "all is written")
    assert content(path) == b"one\n\n\xff\x00\ntwo\n"
    assert on.told == []


def test_records(on: Bench, path: str) -> None:
    """In the form of JSON each line is a record with a number of its own; records come as they are."""
    made = target(on, FileSink(path, json=True))
    assert made.structured
    made.lines("web", 7, "stdout", [b"one", b"two"])
    made.records(
        [{"event": "output", "seq": 9, "x": {"y": [1]}, "odd": "\ud800"}, {"event": "output", "message": "three"}]
    )
    on.until(lambda: not made.pending, "all is written")
    records = [json.loads(line) for line in content(path).splitlines()]
    assert [(record["seq"], record.get("message")) for record in records] == [
        (1, "one"),
        (2, "two"),
        (9, None),
        (3, "three"),
    ]
    assert {"service": "web", "pid": 7, "stream": "stdout", "event": "output", "level": "info"}.items() <= records[
        0
    ].items()
    assert records[2] == {"event": "output", "seq": 9, "x": {"y": [1]}, "odd": "\ufffd"}


def test_long_lines_come_in_pieces(on: Bench, path: str) -> None:
    """Pieces are put together; a line of another stream that comes in between ends the piece."""
    made = target(on, FileSink(path))
    made.lines("web", 1, "stdout", [Fragment(b"aaa"), Fragment(b"bbb")])
    made.lines("web", 1, "stdout", [b"ccc", b"next", Fragment(b"ddd")])
    made.lines("web", 1, "stderr", [b"error"])
    made.lines("web", 1, "stdout", [b"eee"])
    on.until(lambda: not made.pending, "all is written")
    assert content(path) == b"aaabbbccc\nnext\nddd\nerror\neee\n"


def test_the_loop_does_not_wait_for_a_stalled_disk(on: Bench, path: str) -> None:
    """While a write hangs lines gather, within the bounds; capture is asked to stop, what comes still is counted."""
    drained = []
    made = target(on, FileSink(path, None))
    made.on_drain(lambda: drained.append(made.pending))
    on.until(lambda: os.path.exists(path), "the file is made")
    on.turn()
    gate = stall(made)
    line = b"x" * 999
    made.lines("web", 1, "stdout", [line])
    assert gate.entered.wait(PATIENCE)
    assert not is_blocked(made)
    count = 1
    while not is_blocked(made):
        made.lines("web", 1, "stdout", [line] * 10)
        count += 10
    assert buffered.CAPACITY // 4 < made.pending < buffered.CAPACITY // 4 + 20_000
    made.lines("web", 1, "stdout", [line] * 2000)
    count += 2000
    assert made.pending <= buffered.CAPACITY
    on.until(on.lost, "the loss is told")
    assert on.events("log_lines_dropped")[0] == {"sink": f"file:{path}", "count": on.lost(), "reason": "blocked"}
    assert drained == []
    gate.open.set()
    on.until(lambda: not made.pending, "all is written")
    assert not is_blocked(made)
    assert len(drained) == 1
    assert content(path).count(line + b"\n") == count - on.lost()
    assert on.events("sink_failed") == []


def test_one_stalled_disk_holds_up_nobody_else(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """However many files stall, another one is written to within moments."""
    gates = []
    for number in range(5):
        bad = target(on, FileSink(os.path.join(tmp_path, f"bad{number}")))
        on.until(lambda stalled=number: on.workers.busy == stalled, "the file is made")  # type: ignore[misc]
        gates.append(stall(bad))
        bad.lines("bad", 1, "stdout", [b"x"])
    good = target(on, FileSink(os.path.join(tmp_path, "good")))
    good.lines("good", 1, "stdout", [b"fine"])
    on.until(lambda: not good.pending, "the good file is written")
    for gate in gates:
        gate.open.set()
    on.until(lambda: not on.workers.busy, "all is written")
    assert on.workers.threads <= 2


def test_a_folder_that_is_missing(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """It is told once, tried again, and what has waited is written when the folder is there."""
    folder = os.path.join(tmp_path, "logs")
    path = os.path.join(folder, "web.log")
    made = target(on, FileSink(path))
    on.until(lambda: on.told, "the failure is told")
    failed = on.events("sink_failed")[0]
    assert (failed["sink"], failed["error"]) == (f"file:{path}", f"{path}: No such file or directory")
    assert 0 < failed["retry_s"] < 1
    made.lines("web", 1, "stdout", [b"one"])
    assert not is_blocked(made)
    on.turn(0.5)
    assert [event for event, _ in on.told] == ["sink_failed"]
    os.mkdir(folder)
    on.until(lambda: not made.pending, "all is written")
    on.until(lambda: on.events("sink_recovered"), "the recovery is told")
    assert content(path) == b"one\n"
    assert len(on.told) == 2


def test_down_and_with_nothing_to_write_there_is_no_timer(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """Trying again costs wake-ups, so it is done while something waits only."""
    path = os.path.join(tmp_path, "logs", "web.log")
    made = target(on, FileSink(path))
    on.until(lambda: on.told, "the failure is told")
    assert not made._retrying  # noqa: SLF001 - a timer can't be seen from outside
    made.lines("web", 1, "stdout", [b"one"])
    assert made._retrying  # noqa: SLF001 - the same


def test_a_full_disk(on: Bench, path: str) -> None:
    """Nobody waits for a disk that is full: what has no room in the buffer is counted; and it goes on where it was."""
    made = target(on, FileSink(path, None))
    sent = 0
    with largest_file(2000):
        while not made.lost and not on.lost():
            made.lines("web", 1, "stdout", [b"%09d" % number for number in range(sent, sent + 1000)])
            sent += 1000
            on.turn()
            assert not is_blocked(made) or not made.down
        on.until(lambda: on.events("log_lines_dropped"), "the loss is told")
        assert on.events("log_lines_dropped")[0]["reason"] == "no_space"
        assert on.events("sink_failed")[0]["error"] == "File too large"
        assert len(content(path)) == 2000
    on.until(lambda: not made.pending, "all is written")
    on.until(lambda: on.events("sink_recovered"), "the recovery is told")
    on.until(lambda: not made.lost, "all losses are told")
    numbers = [int(line) for line in content(path).splitlines()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + on.lost() == sent


def test_reopen(on: Bench, path: str) -> None:
    """What is written before is in the renamed file, what is written after in the new one, and nothing is between."""
    made = target(on, FileSink(path))
    made.lines("web", 1, "stdout", [b"one"])
    on.until(lambda: not made.pending, "all is written")
    os.rename(path, path + ".moved")
    made.lines("web", 1, "stdout", [b"two", Fragment(b"thr")])
    on.until(lambda: not made.pending, "all is written")
    done: list[bool] = []
    made.reopen(lambda: done.append(True))
    on.turn()
    assert done == []  # the line under way belongs into the old file
    made.lines("web", 1, "stdout", [b"ee"])
    on.until(lambda: done, "it is opened again")
    made.lines("web", 1, "stdout", [b"four"])
    on.until(lambda: not made.pending, "all is written")
    assert content(path + ".moved") == b"one\ntwo\nthree\n"
    assert content(path) == b"four\n"


def test_reopen_is_done_where_it_fails_too(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """Who waits for it is not left waiting; the failure is told."""
    path = os.path.join(tmp_path, "logs", "web.log")
    os.mkdir(os.path.dirname(path))
    made = target(on, FileSink(path))
    on.until(lambda: os.path.exists(path), "the file is made")
    os.rename(os.path.dirname(path), os.path.join(tmp_path, "moved"))
    done: list[bool] = []
    made.reopen(lambda: done.append(True))
    on.until(lambda: done, "it is tried")
    on.until(lambda: on.events("sink_failed"), "the failure is told")


def test_rotation_in_a_storm(on: Bench, path: str) -> None:
    """Rotated, compressed and renamed by somebody else all the while: each line is there once, in order."""
    made = target(on, FileSink(path, 20_000, keep=1000, compress=True))
    moved = []
    for number in range(300):
        made.lines("web", 1, "stdout", [b"%08d" % line for line in range(number * 100, number * 100 + 100)])
        if number % 60 == 59:
            on.until(lambda: not made.pending, "all is written")
            moved.append(f"{path}-moved{number}")
            os.rename(path, moved[-1])
            made.reopen()
        on.turn(0)
    on.until(lambda: not made.pending and not on.workers.busy, "all is written and compressed")
    everything = sorted(
        int(line) for data in [whole(path), *(content(name) for name in moved)] for line in data.splitlines()
    )
    assert everything == list(range(30_000))
    assert on.lost() == 0
    names = sorted(os.listdir(os.path.dirname(path)))
    assert [name for name in names if name.endswith(".gz")]
    assert not [name for name in names if name.endswith("partial")]


def test_idle_files_are_closed(on: Bench, path: str) -> None:
    """A file that nobody uses any more is closed when all is written; the next line opens it again."""
    made = target(on, FileSink(path))
    made.lines("web", 1, "stdout", [b"one"])
    made.idle()
    on.until(lambda: not made.pending and not on.workers.busy, "all is written")
    on.turn()
    assert not is_open(path)
    made.lines("web", 1, "stdout", [b"two"])
    on.until(lambda: not made.pending, "all is written")
    assert is_open(path)
    assert content(path) == b"one\ntwo\n"


def is_open(path: str) -> bool:
    """Whether this process has the file open."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") == path:
                return True
        except FileNotFoundError:
            continue  # the listing's own
    return False


def test_new_limits(on: Bench, path: str) -> None:
    """After a reload a file is rotated by its new settings, and stays the same file."""
    spec = FileSink(path, None, keep=5)
    made = target(on, spec)
    made.lines("web", 1, "stdout", [b"one"])
    made.configure(replace(spec, max_size=4))
    made.lines("web", 1, "stdout", [b"two"])
    on.until(lambda: not made.pending, "all is written")
    made.lines("web", 1, "stdout", [b"three"])
    on.until(lambda: not made.pending, "all is written")
    assert whole(path) == b"one\ntwo\nthree\n"
    assert os.path.exists(path + ".1")


def test_the_end(on: Bench, path: str) -> None:
    """At the end what waits is written without a loop; what can't be is counted and told."""
    made = target(on, FileSink(path))
    made.lines("web", 1, "stdout", [b"one"] * 1000)
    assert made.flush(PATIENCE)
    assert content(path) == b"one\n" * 1000
    gate = stall(made)
    made.lines("web", 1, "stdout", [b"two"] * 10)
    assert not made.flush(0.05)
    made.tell()
    gate.open.set()
    assert on.events("log_lines_dropped") == [{"sink": f"file:{path}", "count": 10, "reason": "blocked"}]


def test_the_end_with_a_full_disk(on: Bench, path: str) -> None:
    """It is tried once more, not for as long as there is time."""
    made = target(on, FileSink(path))
    on.until(lambda: os.path.exists(path), "the file is made")
    with largest_file(0):
        made.lines("web", 1, "stdout", [b"one"])
        assert not made.flush(3600)
    made.tell()
    assert [event for event, _ in on.told] == ["sink_failed", "log_lines_dropped"]


def test_the_end_of_a_file_that_has_failed_before(on: Bench, path: str) -> None:
    """The last try is waited for: left alone it might leave the beginning of a line in the file."""
    made = target(on, FileSink(path))
    with largest_file(0):
        made.lines("web", 1, "stdout", [b"one"])
        on.until(lambda: bool(made.down), "the file has failed")
        gate = stall(made)
        threading.Timer(0.2, gate.open.set).start()
        assert not made.flush(10)
        assert gate.entered.is_set()
        assert gate.open.is_set()
        assert not made.flush(10)  # once more it is nobody's turn
    made.tell()


# -- the log itself ----------------------------------------------------------------------------------------------


@pytest.fixture
def log(on: Bench, path: str) -> FileLog:
    """The log in a file, at work."""
    made: FileLog = on.add(FileLog(FileSink(path, None), on.workers, capacity=16_000))
    return made


def test_the_log_before_there_is_a_loop(path: str) -> None:
    """The file is opened at once, and records wait; at the latest the end writes them."""
    made = FileLog(FileSink(path, None))
    assert os.path.exists(path)
    assert made.write(b"one\n")
    assert content(path) == b""
    assert made.flush(PATIENCE)
    assert content(path) == b"one\n"
    made.close()


@pytest.mark.parametrize("kind", ["folder", "missing"])
def test_a_log_that_cannot_be_opened(tmp_path: os.PathLike[str], kind: str) -> None:
    """It is an error of the start."""
    path = os.fspath(tmp_path) if kind == "folder" else os.path.join(tmp_path, "none", "x")
    with pytest.raises(OSError, match=r"Is a directory|No such file") as caught:
        FileLog(FileSink(path))
    assert caught.value.filename == path


def test_the_log_leaves_room_for_events(on: Bench, log: FileLog, path: str) -> None:
    """While the disk stalls output gets half of the buffer, events all of it, and what is lost is counted."""
    gate = stall(log)
    record = b"x" * 99 + b"\n"
    assert log.write(record)
    assert gate.entered.wait(PATIENCE)
    while log.room > 0:
        log.write(record, output=True)
    assert is_blocked(log)
    assert not log.write(record, output=True)
    assert log.offer(record)
    written = log.pending // 100
    while log.offer(record):
        written += 1
    assert not log.write(record)
    assert log.lost == {"blocked": 2}
    drained: list[int] = []
    log.on_drain(lambda: drained.append(log.pending))
    gate.open.set()
    on.until(lambda: not log.pending, "all is written")
    assert drained
    assert content(path) == record * written


def test_the_log_takes_whole_what_there_is_room_for(on: Bench, log: FileLog, path: str) -> None:
    """Whoever has found room gives many records at once, and can't take back those that are too many."""
    gate = stall(log)
    records = (b"x" * 99 + b"\n") * 70
    written = 0
    while log.room > 0:
        assert log.write(records, output=True)
        written += 1
    assert gate.entered.wait(PATIENCE)
    assert not log.write(records, output=True)
    assert log.lost == {"blocked": 70}
    gate.open.set()
    on.until(lambda: not log.pending, "all is written")
    assert content(path) == records * written


def test_nobody_waits_for_a_log_whose_disk_is_full(on: Bench, log: FileLog, path: str) -> None:
    """There is room, as capture sees it, and what is lost is counted; when the disk has room the journal is told."""
    drained: list[int] = []
    log.on_drain(lambda: drained.append(log.pending))
    with largest_file(1000):
        log.write((b"x" * 99 + b"\n") * 11, output=True)
        on.until(lambda: log.down, "the disk is found to be full")
        while not log.lost:
            log.write(b"x" * 99 + b"\n", output=True)
        assert log.room > 0
        assert not is_blocked(log)
        assert log.lost.keys() == {"no_space"}
        drained.clear()
    on.until(lambda: not log.pending, "all is written")
    assert drained
    assert on.told == []
    assert content(path).endswith(b"x\n")
