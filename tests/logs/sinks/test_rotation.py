"""A file that is rotated: whatever is written in whatever pieces, no byte is lost, doubled or torn."""

import gzip
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.record import replace
from supervisor.core.spec import FileSink
from supervisor.logs.sink import NO_SPACE, reason_of
from supervisor.logs.sinks.birth import birth_time
from supervisor.logs.sinks.rotation import RotatingFile
from tests.logs.support import patient


def content(path: str) -> bytes:
    """What a file holds, unpacked if it is compressed."""
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        return bytes(file.read())


def rotated(path: str) -> list[str]:
    """The files of one log, the oldest first."""
    folder, base = os.path.split(path)
    numbers = {}
    for name in os.listdir(folder):
        if name == base:
            numbers[0] = name
        elif name.startswith(base + "."):
            number = int(name.removeprefix(base + ".").removesuffix(".gz"))
            assert number not in numbers, f"{name} is there twice"
            numbers[number] = name
    return [os.path.join(folder, numbers[number]) for number in sorted(numbers, reverse=True)]


def whole(path: str) -> bytes:
    """All that the files of one log hold together."""
    return b"".join(content(name) for name in rotated(path))


@pytest.fixture
def path(tmp_path: os.PathLike[str]) -> str:
    """Where a file may be made."""
    return os.path.join(tmp_path, "web.log")


@contextmanager
def file_of(spec: FileSink, wall: Callable[[], float] | None = None) -> Iterator[RotatingFile]:
    """A file that is closed at the end."""
    file = RotatingFile(spec) if wall is None else RotatingFile(spec, wall=wall)
    try:
        yield file
    finally:
        file.close()


lines = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b" ") + b"\n")


@patient
@given(
    written=st.lists(st.lists(lines, min_size=1, max_size=8).map(b"".join), max_size=12),
    limit=st.integers(1, 120),
    actions=st.lists(st.sampled_from(["", "restart", "reopen", "compress"]), min_size=12, max_size=12),
)
def test_nothing_is_lost_doubled_or_torn(written: list[bytes], limit: int, actions: list[str]) -> None:
    """The files, oldest first, are what was written; each line is in one, and none is too large but for one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "web.log")
        spec = FileSink(path, limit, keep=1000)
        file = RotatingFile(spec)
        for data, action in zip(written, actions, strict=False):
            outcome = file.write(data)
            assert (outcome.written, outcome.error, outcome.warnings) == (len(data), None, [])
            if action == "compress":
                assert file.compress() == []
            elif action:
                file.close()
                file = RotatingFile(spec) if action == "restart" else file
        file.close()
        assert whole(path) == b"".join(written)
        for name in rotated(path):
            found = content(name)
            assert found.endswith(b"\n")
            assert len(found) <= limit or found.count(b"\n") == 1


@patient
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=30), max_size=20),
    limit=st.integers(1, 60),
)
def test_pieces_of_lines_stay_together(pieces: list[bytes], limit: int) -> None:
    """A line that arrives in pieces is in one file: only where a line has ended does another file begin."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "web.log")
        with file_of(FileSink(path, limit, keep=1000)) as file:
            for piece in pieces:
                assert file.write(piece).written == len(piece)
        data = b"".join(pieces)
        assert whole(path) == data
        for name in rotated(path)[:-1]:
            assert content(name).endswith(b"\n")


@patient
@given(keep=st.integers(0, 4), compress=st.booleans(), before=st.integers(0, 6))
def test_only_so_many_are_kept(keep: int, compress: bool, before: int) -> None:
    """The newest `keep` stay, what a greater `keep` has left goes too, and files that look alike are not touched."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "web.log")
        for number in range(1, before + 1):
            with open(f"{path}.{number}", "wb") as old:
                old.write(b"old %d\n" % number)
        alike = [f"{path}.20260101", f"{path}.01", f"{path}.1.bak", f"{path}x.1"]
        for name in alike:
            with open(name, "wb") as other:
                other.write(b"not ours\n")
        with file_of(FileSink(path, 10, keep=keep, compress=compress)) as file:
            for number in range(8):
                file.write(b"line %4d\n" % number)
                if compress:
                    file.compress()
        for name in alike:
            assert content(name) == b"not ours\n"
            os.unlink(name)
        assert [content(name) for name in rotated(path)] == [b"line %4d\n" % n for n in range(7 - keep, 8)]
        assert all(name.endswith(".gz") for name in rotated(path)[:-1]) or not compress


def test_what_is_there_is_continued(path: str) -> None:
    """A file of an earlier daemon is appended to, its size counts, and a line it left unfinished is ended."""
    with open(path, "wb") as file:
        file.write(b"old 1\nold 2, unfini")
    with file_of(FileSink(path, 30, keep=9)) as log:
        log.write(b"new 1\n")
        log.write(b"new 2\n")
    assert [content(name) for name in rotated(path)] == [b"old 1\nold 2, unfini\nnew 1\n", b"new 2\n"]


def test_age(path: str) -> None:
    """A file is rotated by the first line that comes when it is too old; the age of one that is there counts."""
    now = [os.stat(os.path.dirname(path)).st_mtime]
    spec = FileSink(path, None, max_age=100, keep=9)
    with file_of(spec, lambda: now[0]) as log:
        log.write(b"one\n")
        now[0] += 99
        log.write(b"two\n")
        now[0] += 1
        log.write(b"three\nfour\n")
    now[0] += 1000
    with file_of(spec, lambda: now[0]) as log:
        log.write(b"five\n")
    assert [content(name) for name in rotated(path)] == [b"one\ntwo\n", b"three\nfour\n", b"five\n"]


def test_an_old_file_that_is_empty_is_new(path: str) -> None:
    """There is nothing in it that could be too old."""
    with open(path, "wb"):
        pass
    os.utime(path, (1, 1))
    with file_of(FileSink(path, None, max_age=100, keep=9)) as log:
        log.write(b"one\n")
    assert rotated(path) == [path]


def test_the_time_a_file_was_made(path: str) -> None:
    """It is not that of the last write, where the file system knows; and it is never in the future."""
    with open(path, "wb") as file:
        file.write(b"x")
    os.utime(path, (1, 1))
    fd = os.open(path, os.O_RDONLY)
    try:
        found = os.fstat(fd)
        assert found.st_mtime == 1
        assert abs(birth_time(fd, found, 1e12) - os.stat(os.path.dirname(path)).st_mtime) < 5
        assert birth_time(fd, found, 5.0) == 5.0
    finally:
        os.close(fd)


def test_somebody_else_rotates(path: str) -> None:
    """Renamed by others, the file is written to until it is opened again; our own rotation leaves theirs alone."""
    with file_of(FileSink(path, 10, keep=9)) as log:
        log.write(b"one\n")
        os.rename(path, path + ".moved")
        log.write(b"two\n")
        log.write(b"three\n")
        assert content(path + ".moved") == b"one\ntwo\n"
        assert content(path) == b"three\n"
        os.rename(path, path + ".again")
        log.reopen()
        log.write(b"four\n")
    assert content(path + ".again") == b"three\n"
    assert content(path) == b"four\n"
    assert not os.path.exists(path + ".1")


def test_somebody_else_truncates(path: str) -> None:
    """After `copytruncate` the file begins at its beginning, without a hole, and counts as new."""
    now = [os.stat(os.path.dirname(path)).st_mtime]
    with file_of(FileSink(path, 100, max_age=50, keep=9), lambda: now[0]) as log:
        log.write(b"x" * 89 + b"\n")
        now[0] += 49
        os.truncate(path, 0)
        log.write(b"y" * 49 + b"\n")
        now[0] += 49
        log.write(b"z\n")
    assert content(path) == b"y" * 49 + b"\nz\n"


def test_somebody_else_removes(path: str) -> None:
    """What is written to a file without a name is nobody's, so there is a new one."""
    with file_of(FileSink(path)) as log:
        log.write(b"one\n")
        os.unlink(path)
        log.write(b"two\n")
    assert content(path) == b"two\n"


def test_a_symbolic_link_is_followed(tmp_path: os.PathLike[str]) -> None:
    """The file it leads to is written to and rotated, where it is; the link stays."""
    os.mkdir(os.path.join(tmp_path, "data"))
    link, real = os.path.join(tmp_path, "web.log"), os.path.join(tmp_path, "data", "web")
    os.symlink("data/web", link)
    with file_of(FileSink(link, 5, keep=9)) as log:
        log.write(b"one\ntwo\n")
    assert os.readlink(link) == "data/web"
    assert [content(name) for name in rotated(real)] == [b"one\n", b"two\n"]


@pytest.mark.parametrize("kind", ["directory", "fifo", "fifo with reader", "no folder", "file for folder", "terminal"])
def test_what_is_no_file(path: str, kind: str) -> None:
    """A folder, a FIFO, a terminal, a folder that is missing: refused at once, and never waited for."""
    opened = []
    if kind == "directory":
        os.mkdir(path)
    elif kind.startswith("fifo"):
        os.mkfifo(path)
        if kind.endswith("reader"):
            opened.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    elif kind == "no folder":
        path += "/none/x"
    elif kind == "file for folder":
        with open(path, "wb"):
            path += "/x"
    else:
        opened += os.openpty()
        path = os.ttyname(opened[1])
    log = RotatingFile(FileSink(path))
    outcome = log.write(b"one\n")
    log.close()
    for fd in opened:
        os.close(fd)
    assert outcome.written == 0
    assert outcome.error is not None
    assert outcome.error.filename == path
    assert outcome.error.strerror


@pytest.mark.parametrize(("device", "written"), [("/dev/null", 4), ("/dev/full", 0)])
def test_devices(device: str, written: int) -> None:
    """What takes everything and what takes nothing are written to, and never rotated."""
    with file_of(FileSink(device, 1, keep=0)) as log:
        for _ in range(2):
            outcome = log.write(b"one\n")
            assert outcome.written == written
            assert not outcome.rotated
            assert written or (outcome.error is not None and reason_of(outcome.error) == NO_SPACE)
    assert os.path.exists(device)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Within, no file can grow beyond this: setrlimit(2), RLIMIT_FSIZE."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk(path: str) -> None:
    """What has room is written, in whole lines: the half of one is taken back, and it is whole when there is room."""
    with file_of(FileSink(path, None)) as log:
        with largest_file(10):
            outcome = log.write(b"one\ntwo\nthree\n")
            assert outcome.error is not None
            assert reason_of(outcome.error) == NO_SPACE
            assert outcome.written == 8
            assert content(path) == b"one\ntwo\n"
            os.rename(path, path + ".moved")
            log.reopen()
        assert log.write(b"three\n").error is None
    assert (content(path + ".moved"), content(path)) == (b"one\ntwo\n", b"three\n")


def test_a_full_disk_within_a_long_line(path: str) -> None:
    """A line of which earlier pieces are written goes on where it was cut off."""
    with file_of(FileSink(path, None)) as log:
        log.write(b"one, ")
        with largest_file(8):
            assert log.write(b"two, three\n").written == 3
        assert log.write(b", three\n").error is None
    assert content(path) == b"one, two, three\n"


def test_a_rotation_that_fails(path: str) -> None:
    """The file grows on, with one warning, until the rotation is tried again."""
    now = [1000.0]
    os.mkdir(path + ".1")
    os.mkdir(path + ".1/not-empty")
    with file_of(FileSink(path, 8, keep=1), lambda: now[0]) as log:
        log.write(b"one\ntwo\n")
        outcome = log.write(b"three\n")
        assert outcome.written == 6
        assert outcome.error is None
        assert [warning.split(" cannot")[0] for warning in outcome.warnings] == [path]
        assert log.write(b"four\n").warnings == []
        os.rmdir(path + ".1/not-empty")
        os.rmdir(path + ".1")
        now[0] += 61
        assert log.write(b"five\n").rotated
    assert [content(name) for name in rotated(path)] == [b"one\ntwo\nthree\nfour\n", b"five\n"]


def test_mode_and_owner_are_kept(path: str) -> None:
    """The new file is what the old one was, where we may make it so; one that is made for the first time is 0640."""
    with file_of(FileSink(path, 4, keep=1)) as log:
        log.write(b"one\n")
        assert os.stat(path).st_mode & 0o777 == 0o640
        os.chmod(path, 0o604)
        if os.geteuid() == 0:
            os.chown(path, 12, 34)
        log.write(b"two\n")
        log.compress()
    for name in (path, path + ".1.gz"):
        found = os.stat(name)
        assert found.st_mode & 0o777 == 0o604
        assert (found.st_uid, found.st_gid) == (12, 34) or os.geteuid() != 0


def test_compression_beside_rotation(path: str) -> None:
    """While one file is compressed another is rotated: it is found under its new number, and none is lost."""
    spec = FileSink(path, 4, keep=9)
    with file_of(spec) as log:
        log.write(b"one\ntwo\n")
        source = log._next_to_compress()  # noqa: SLF001 - what compress() does first
        assert source is not None
        log.write(b"three\n")
        log._compress(source)  # noqa: SLF001 - and then
        os.close(source)
        assert sorted(os.path.basename(name) for name in rotated(path)) == ["web.log", "web.log.1", "web.log.2.gz"]
        assert log.compress() == []
    assert whole(path) == b"one\ntwo\nthree\n"
    assert not os.path.exists(path + ".gz.partial")


def test_compression_of_what_is_removed_meanwhile(path: str) -> None:
    """A file that went past `keep` while it was compressed is gone."""
    with file_of(FileSink(path, 4, keep=1)) as log:
        log.write(b"one\ntwo\n")
        source = log._next_to_compress()  # noqa: SLF001 - what compress() does first
        assert source is not None
        log.write(b"three\n")
        log._compress(source)  # noqa: SLF001 - and then
        os.close(source)
    assert whole(path) == b"two\nthree\n"
    assert sorted(os.listdir(os.path.dirname(path))) == ["web.log", "web.log.1"]


def test_compression_that_was_killed(path: str) -> None:
    """What a daemon left that was killed while it compressed is made good by the next, in any of the steps."""
    with open(path + ".gz.partial", "wb") as file:
        file.write(b"half")
    with open(path + ".1", "wb") as file:
        file.write(b"two\n")
    with open(path + ".2", "wb") as file:
        file.write(b"one\n")
    with gzip.open(path + ".2.gz", "wb") as packed:
        packed.write(b"one\n")
    with file_of(FileSink(path, 6, keep=9)) as log:
        log.write(b"three\n")
        assert log.compress() == []
    assert whole(path) == b"one\ntwo\nthree\n"
    assert sorted(os.listdir(os.path.dirname(path))) == ["web.log", "web.log.1.gz", "web.log.2.gz"]


def test_compression_on_a_full_disk(path: str) -> None:
    """The file stays as it is, and nothing half done is left."""
    with file_of(FileSink(path, 4, keep=9)) as log:
        log.write(b"one\ntwo\n")
        with largest_file(5):
            (warning,) = log.compress()
        assert "cannot be compressed" in warning
        assert sorted(os.listdir(os.path.dirname(path))) == ["web.log", "web.log.1"]
        assert log.compress() == []
    assert whole(path) == b"one\ntwo\n"


def test_settings_may_change(path: str) -> None:
    """New limits hold from the next write on."""
    with file_of(FileSink(path, None, keep=9)) as log:
        log.write(b"one\ntwo\n")
        log.spec = replace(log.spec, max_size=4)
        log.write(b"three\n")
    assert [content(name) for name in rotated(path)] == [b"one\ntwo\n", b"three\n"]
