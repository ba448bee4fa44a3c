"""The seam to the kernel for everything about processes that exist: waiting, signalling, and reading /proc.

Objects of :class:`Kernel` are passed to those who need one; tests pass another. Only the reaper may call the three
waiting methods. The pause mode imports this module, so it imports nothing but :mod:`os` and :mod:`time`.
"""

from __future__ import annotations

import errno
import os
import resource  # noqa: F401 - os.wait4 imports it when it has reaped: too late to find that no descriptor is free
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from resource import struct_rusage

CLD_EXITED = os.CLD_EXITED
CLD_DUMPED = os.CLD_DUMPED
CLD_STOPPED = os.CLD_STOPPED
CLD_CONTINUED = os.CLD_CONTINUED

_ALL = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT
_STOPS = os.WSTOPPED | os.WCONTINUED | os.WNOHANG


_PIECE = 256
"""Bytes of a list of numbers that are read at once: some 40 numbers."""


class Stat:
    """What /proc/PID/stat says of a process; proc_pid_stat(5).

    Attributes:
        comm: name of the program, at most 15 bytes, as the process itself may set it: never to be trusted.
        state: one letter; ``Z`` for a zombie.
    """

    __slots__ = ("comm", "parent", "pgrp", "session", "state")

    def __init__(self, comm: str, state: str, parent: int, pgrp: int, session: int) -> None:
        self.comm = comm
        self.state = state
        self.parent = parent
        self.pgrp = pgrp
        self.session = session


class Kernel:
    """System calls about processes, one method each. Nothing here blocks."""

    def monotonic(self) -> float:
        """Seconds of CLOCK_MONOTONIC; the only clock that decides anything."""
        return time.monotonic()

    def own_pid(self) -> int:
        """Our own process id; 1 makes us the init of a namespace."""
        return os.getpid()

    # -- waiting: for the reaper only ----------------------------------------------------------------------------

    def peek(self) -> tuple[int, int, int] | None:
        """A child with news, as (pid, si_code, si_status), which stays unconsumed; None when there is none now.

        Raises:
            ChildProcessError: there is no child at all.
        """
        info = os.waitid(os.P_ALL, 0, _ALL)
        return None if info is None else (info.si_pid, info.si_code, info.si_status)

    def reap(self, pid: int) -> tuple[int, struct_rusage]:
        """Consume a zombie: its wait status, and what it and the children it waited for have used."""
        _, status, usage = os.wait4(pid, os.WNOHANG)
        return status, usage

    def consume_stop(self, pid: int) -> None:
        """Consume a stop or continue that was peeked at; an exit that came in between stays."""
        try:
            os.waitid(os.P_PID, pid, _STOPS)
        except ChildProcessError:
            return  # it was killed in between: there is no stop left, and the exit is the next news

    # -- signalling ----------------------------------------------------------------------------------------------

    def kill(self, pid: int, signal: int) -> None:
        """Signal one process. Safe for a child that is not reaped yet: its pid can't be reused before."""
        os.kill(pid, signal)

    def kill_group(self, pgrp: int, signal: int) -> None:
        """Signal a process group. Never 0, 1 or less: those mean our own group, or every process there is."""
        if pgrp <= 1:
            raise ValueError(f"process group {pgrp} is nobody's to signal")
        os.killpg(pgrp, signal)

    # -- looking -------------------------------------------------------------------------------------------------

    def ties(self, pid: int) -> tuple[int, int] | None:
        """Session and process group of a process, a zombie too; None when it is gone. Far cheaper than :meth:`stat`."""
        try:
            return os.getsid(pid), os.getpgid(pid)
        except ProcessLookupError:
            return None

    def name(self, pid: int) -> str:
        """The ``comm`` of :class:`Stat`, of a zombie too; empty when the process is gone or /proc can't be read."""
        return _read(f"/proc/{pid}/comm", more=False)[:-1].decode("utf-8", "replace")

    def stat(self, pid: int) -> Stat | None:
        """The process's stat line; None when it is gone or /proc can't be read."""
        line = _read(f"/proc/{pid}/stat", more=False)
        if not line:
            return None
        # the name may hold anything, parentheses and newlines too: it ends at the last one
        head, _, tail = line.rpartition(b")")
        state, parent, pgrp, session, _ = tail.split(None, 4)
        comm = head.partition(b"(")[2].decode("utf-8", "replace")
        return Stat(comm, state.decode(), int(parent), int(pgrp), int(session))

    def environment(self, pid: int, name: str) -> str | None:
        """Value of a variable in the environment the process was started with; None when it can't be known."""
        prefix = name.encode() + b"="
        for entry in _read(f"/proc/{pid}/environ").split(b"\0"):
            if entry.startswith(prefix):
                return entry[len(prefix) :].decode("utf-8", "replace")
        return None

    def users(self, pid: int) -> frozenset[int]:
        """Real, effective and saved user ids of a process, a zombie too; empty when it is gone."""
        for line in _read(f"/proc/{pid}/status", more=False).split(b"\n"):
            if line.startswith(b"Uid:"):
                return frozenset(map(int, line.split()[1:4]))
        return frozenset()

    def children(self, pid: int) -> list[int]:
        """Processes whose parent is ``pid``, zombies included; empty when /proc can't be read."""
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return []
        found: list[int] = []
        for thread in threads:
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
        return found

    def walk_children(self, pid: int) -> Iterator[list[int]]:
        """:meth:`children`, a few at a time; when some of them go meanwhile, others may be missing.

        While thousands of them die, the kernel takes a fifth of a second to list them all.
        """
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return
        for thread in threads:
            yield from _numbers(f"/proc/{pid}/task/{thread}/children")

    def descendants(self) -> list[int]:
        """Every process below us, parents before their children, zombies included."""
        found: list[int] = []
        seen = {self.own_pid()}
        generation = [self.own_pid()]
        while generation:
            # a process may move up while we look (its parent died): seen keeps it from being listed twice
            generation = [child for pid in generation for child in self.children(pid) if child not in seen]
            seen.update(generation)
            found += generation
        return found


def _numbers(path: str) -> Iterator[list[int]]:
    """The numbers in a file in /proc, each of them with a blank behind it, piece by piece; none if it can't be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rest = b""
        while data := os.read(fd, _PIECE):
            whole, _, rest = (rest + data).rpartition(b" ")
            yield [int(number) for number in whole.split()]
    except ProcessLookupError:
        return
    finally:
        os.close(fd)


def _read(path: str, *, more: bool = True) -> bytes:
    """The whole of a file in /proc, or its first 4096 bytes; empty when the process has gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = os.read(fd, 4096)
        while more and (chunk := os.read(fd, 65536)):  # these files are read in pieces, and a piece may be short
            data += chunk
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EACCES, errno.EPERM, errno.EIO):
            raise
        return b""
    else:
        return data
    finally:
        os.close(fd)
