"""Writing to every kind of descriptor: at once or not at all, and without a trace on its flags."""

import errno
import fcntl
import os
import pty
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest

from supervisor.logs.outlet import Outlet
from tests.logs.support import closing, open_descriptors, read_now

Ends = tuple[int, int]
"""A descriptor to read from and one to write to."""

Kind = Callable[[str], AbstractContextManager[Ends]]


@contextmanager
def pipe(_folder: str) -> Iterator[Ends]:
    """A pipe."""
    reader, writer = os.pipe()
    with closing(reader, writer):
        yield reader, writer


@contextmanager
def fifo(folder: str) -> Iterator[Ends]:
    """A named pipe, as containerd makes them for a container's stdout."""
    path = os.path.join(folder, "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    with closing(reader, writer):
        yield reader, writer


@contextmanager
def stream_socket(_folder: str) -> Iterator[Ends]:
    """A connected socket, as systemd makes them for a unit's stdout."""
    left, right = socket.socketpair()
    with left, right:
        yield left.fileno(), right.fileno()


@contextmanager
def terminal(_folder: str) -> Iterator[Ends]:
    """A pseudo-terminal; the master reads."""
    master, slave = pty.openpty()
    with closing(master, slave):
        yield master, slave


KINDS: list[Kind] = [pipe, fifo, stream_socket, terminal]


def fill(outlet: Outlet) -> int:
    """Write until there is no room; return how many bytes went."""
    written = 0
    try:
        while True:
            written += outlet.write(b"x" * 1000 + b"\n")
    except BlockingIOError:
        return written


def flags(fd: int) -> int:
    """Status flags of the open file description."""
    return fcntl.fcntl(fd, fcntl.F_GETFL)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_one_refuses_and_keeps_its_flags(kind: Kind, tmp_path: object) -> None:
    """With nobody reading, a write says so instead of waiting; no flag changes; once it was read there is room."""
    with kind(str(tmp_path)) as (reader, writer):
        before = flags(writer)
        outlet = Outlet(writer)
        written = fill(outlet)
        assert flags(writer) == before
        assert len(read_now(reader).replace(b"\r", b"")) == written
        assert outlet.write(b"again\n") == 6
        outlet.close()


def _refuse(number: int, *_args: object, **_kwargs: object) -> int:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL])
@pytest.mark.parametrize("kind", [pipe, stream_socket])
def test_without_rwf_nowait(kind: Kind, number: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a kernel or under a seccomp profile without pwritev2 the same holds, by another way."""
    monkeypatch.setattr(os, "pwritev", partial(_refuse, number))
    test_a_full_one_refuses_and_keeps_its_flags(kind, tmp_path)


@pytest.mark.parametrize("kind", [pipe, fifo, terminal])
def test_without_a_description_of_our_own(kind: Kind, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc or the permission to open the file again is missing as well, poll says what can be written."""
    with kind(str(tmp_path)) as (reader, writer), monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", partial(_refuse, errno.ENOSYS))
        patch.setattr(os, "open", partial(_refuse, errno.EACCES))
        outlet = Outlet(writer)
        if kind is not terminal:  # a terminal has room for less than a piece, and waits: no way round that
            fill(outlet)
        else:
            assert outlet.write(b"x" * 1000) == 256
        assert flags(writer) & os.O_NONBLOCK == 0
        assert read_now(reader)
        outlet.close()


@pytest.mark.parametrize("way", ["pwritev2", "own description", "poll"])
def test_a_pipe_whose_reader_is_gone(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPIPE comes as EPIPE, whichever way it is written."""
    reader, writer = os.pipe()
    with closing(reader, writer):
        if way != "pwritev2":
            monkeypatch.setattr(os, "pwritev", partial(_refuse, errno.ENOSYS))
        if way == "poll":
            monkeypatch.setattr(os, "open", partial(_refuse, errno.EACCES))
        os.close(reader)
        outlet = Outlet(writer)
        with pytest.raises(BrokenPipeError):
            outlet.write(b"x")
        outlet.close()


def test_files_and_devices() -> None:
    """A full device says ENOSPC, the null device takes all, a descriptor that is not open is refused at once."""
    null, full = os.open("/dev/null", os.O_WRONLY), os.open("/dev/full", os.O_WRONLY)
    with closing(null, full):
        assert Outlet(null).write(b"x" * 100) == 100
        with pytest.raises(OSError, match="No space"):
            Outlet(full).write(b"x")
    with pytest.raises(OSError, match="Bad file"):
        Outlet(null)


def test_a_file_is_written_where_its_offset_is(tmp_path: object) -> None:
    """A file opened by the shell with ``>`` or ``>>`` is written as the shell meant it."""
    path = os.path.join(str(tmp_path), "log")
    for mode, text in ((os.O_TRUNC, b"one\n"), (os.O_APPEND, b"two\n")):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | mode)
        with closing(fd):
            assert Outlet(fd).write(text) == 4
            assert stat.S_ISREG(os.fstat(fd).st_mode)
    with open(path, "rb") as file:
        assert file.read() == b"one\ntwo\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("supported", [True, False])
def test_close_leaves_the_descriptor_and_nothing_else(
    kind: Kind, supported: bool, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an outlet opened for itself it closes; the descriptor it was given stays."""
    with kind(str(tmp_path)) as (reader, writer):
        if not supported:
            monkeypatch.setattr(os, "pwritev", partial(_refuse, errno.ENOSYS))
        before = open_descriptors()
        outlet = Outlet(writer)
        outlet.write(b"x\n")
        outlet.close()
        outlet.close()
        assert open_descriptors() == before
        assert read_now(reader)
