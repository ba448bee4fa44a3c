"""A bounded buffer before one descriptor: what is written here never blocks, and what is lost is counted.

Owns every byte between a record and the kernel. What may be written where, and how without blocking, is
:mod:`supervisor.logs.outlet`; what is said about losses is :mod:`supervisor.logs.journal`.

The buffer has marks. Above a quarter of its capacity the sink is ``blocked``: capture reads no more, and it is the
children that wait; drained to an eighth, the ``on_drain`` callbacks run and reading goes on. From half on output is
refused, so that a flood leaves the other half to events. Each write is taken whole or not at all, so memory is bounded
by the capacity and one write.

While something is pending the descriptor is watched for room, by an epoll instance of our own that the loop watches in
turn: the loop never sees the descriptor (uvloop would set it to ``O_NONBLOCK``, for everyone who shares it), and
nothing pending means no wake-up. A file has nothing to wait for: a full disk is tried again with the next record.

Imports :mod:`os`, :mod:`errno`, :mod:`time` and, once attached, :mod:`select`.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from supervisor.logs.backlog import Backlog
from supervisor.logs.outlet import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from collections.abc import Callable
    from typing import Protocol

    class Watcher(Protocol):
        """What calls back when a descriptor can be read: an asyncio or uvloop loop, or the pause mode's own."""

        def add_reader(self, fd: int, callback: Callable[[], object], /) -> object:
            """Call ``callback`` whenever ``fd`` can be read, from now on."""

        def remove_reader(self, fd: int, /) -> object:
            """Call back no more."""


CAPACITY = 4 << 20
"""Bytes buffered before events are lost."""

_PIECE = 65536
"""Bytes a write(2): the capacity of a pipe."""

_NEWLINE = 10
_EPOLLOUT = 4  # select.EPOLLOUT

BLOCKED, NO_SPACE, CLOSED, IO_ERROR = "blocked", "no_space", "closed", "io_error"
"""Why records were lost: the reader is too slow, the disk or the file's limit is full, the reader is gone, other."""

_REASONS = {errno.ENOSPC: NO_SPACE, errno.EDQUOT: NO_SPACE, errno.EFBIG: NO_SPACE} | dict.fromkeys(
    (errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNREFUSED, errno.ESHUTDOWN), CLOSED
)


def reason_of(error: OSError) -> str:
    """Why records are lost that meet this error."""
    return _REASONS.get(error.errno or 0, IO_ERROR)


_OPEN_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Sink:
    r"""Writes records, each of them one line that ends in ``\n``, to one descriptor.

    No method blocks (but :meth:`flush`, for as long as it is told) and none raises for what the descriptor does.

    Attributes:
        lost: records lost and not yet told, by reason; whoever tells of them takes them out.
        blocked: so much is pending that nobody should read more from children.
        is_terminal: whether a person may be reading.
    """

    __slots__ = (
        "_backlog", "_callbacks", "_capacity", "_epoll", "_outlet", "_torn", "_waiting", "_watcher",
        "blocked", "is_terminal", "lost",
    )  # fmt: skip

    def __init__(self, fd: int, *, capacity: int = CAPACITY, nonblocking: bool = False) -> None:
        """Write to ``fd``, which stays the caller's.

        Args:
            fd: any descriptor; one that is not open makes a sink that loses everything, counted.
            capacity: bytes buffered before events are lost; output stops at half of it.
            nonblocking: the descriptor's description is ours alone and has ``O_NONBLOCK`` set.
        """
        self._outlet = _outlet(fd, nonblocking=nonblocking)
        self._capacity = capacity
        self._backlog = Backlog()
        self._torn = False  # the last byte that went out was not the end of a record
        self._waiting = False
        self._watcher: Watcher | None = None
        self._epoll: select.epoll | None = None
        self._callbacks: list[Callable[[], object]] = []
        self.lost: dict[str, int] = {}
        self.blocked = False
        self.is_terminal = self._outlet is not None and self._outlet.is_terminal

    @property
    def pending(self) -> int:
        """Bytes waiting for the descriptor."""
        return self._backlog.size

    @property
    def room(self) -> int:
        """Bytes that may be queued before output is refused: as long as it is above 0 no output is lost."""
        return self._capacity // 2 - self._backlog.size

    def write(self, data: bytes, *, output: bool = False) -> bool:
        """Write whole records, at once if nothing waits before them.

        Args:
            data: any number of records.
            output: they are children's output, which leaves half of the buffer to events.

        Returns:
            Whether all of them were written or queued; those that were not are counted in ``lost``.
        """
        lost, reason = self._accept(data, self._capacity // 2 if output else self._capacity)
        self.lose(lost, reason)
        return not lost

    def offer(self, data: bytes) -> bool:
        """Write one record if it can be, as :meth:`write` does, but don't count it as lost if it can't."""
        return not self._accept(data, self._capacity)[0]

    def lose(self, count: int, reason: str) -> None:
        """Count records as lost that never came here."""
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Call back, in order of registration, each time the sink is no longer ``blocked``."""
        self._callbacks.append(callback)

    def attach(self, watcher: Watcher) -> None:
        """Have ``watcher`` say when there is room; before, what doesn't fit just waits for the next write."""
        import select  # noqa: PLC0415 (only who has a loop has something to wait with)

        self._watcher = watcher
        self._epoll = select.epoll()
        watcher.add_reader(self._epoll.fileno(), self._on_room)
        self._on_room()

    def detach(self) -> None:
        """Let go of the watcher; what is pending stays."""
        if self._watcher is not None and self._epoll is not None:
            self._watcher.remove_reader(self._epoll.fileno())
            self._epoll.close()
        self._watcher = self._epoll = None
        self._waiting = False

    def flush(self, timeout: float = 0.0) -> bool:
        """Write what is pending, for the end of the process: blocks for at most ``timeout`` seconds.

        Returns:
            Whether nothing is pending any more.
        """
        import select  # noqa: PLC0415 (at the end only)

        deadline = time.monotonic() + timeout
        poller = select.poll()
        while (reason := self._flush()) == BLOCKED and (left := deadline - time.monotonic()) > 0:
            if self._outlet is not None:
                poller.register(self._outlet.fd, select.POLLOUT)
            poller.poll(left * 1000)
        self._wait(reason)
        self._settle()
        return not self._backlog.size

    def close(self) -> None:
        """Let go of everything; what is pending is dropped, and the descriptor stays open."""
        self.detach()
        self._backlog.take()
        if self._outlet is not None:
            self._outlet.close()
            self._outlet = None

    def _accept(self, data: bytes, limit: int) -> tuple[int, str]:
        """Write or queue ``data``; return how many of its records were lost, and why."""
        reason = self._flush() if self._backlog.size and not self._waiting else BLOCKED
        rest: bytes | memoryview = data
        if not self._backlog.size:
            sent, reason = self._push(data)
            if sent == len(data):
                return 0, ""
            rest = memoryview(data)[sent:]
        if reason == BLOCKED:
            kept = len(rest) if self._backlog.size < limit else 0
        else:
            kept = 0 if self._backlog.size else self._tail(bytes(rest))
        self._backlog.add(rest[:kept])
        self._wait(reason)
        return bytes(rest[kept:]).count(b"\n"), reason

    def _push(self, data: bytes | memoryview) -> tuple[int, str]:
        """Write until all is written or the descriptor takes no more; return the bytes written, and why no more."""
        sent, reason = 0, ""
        outlet = self._outlet
        if outlet is None:
            return 0, CLOSED
        try:
            view = memoryview(data)
            while sent < len(data):
                sent += outlet.write(view[sent : sent + _PIECE])
        except BlockingIOError:
            reason = BLOCKED
        except OSError as error:
            reason = reason_of(error)
            if error.errno == errno.EBADF:
                # Never written to again: the number may come to mean another file.
                self._outlet = None
        if sent:
            self._torn = data[sent - 1] != _NEWLINE
        return sent, reason

    def _flush(self) -> str:
        """Write what is pending. After a fault what could not be written is lost; return why not all was written."""
        reason = ""
        while self._backlog.size and not reason:
            sent, reason = self._push(self._backlog.front())
            self._backlog.skip(sent)
        if reason not in ("", BLOCKED):
            rest = self._backlog.take()
            kept = self._tail(rest)
            self.lose(rest.count(b"\n", kept), reason)
            self._backlog.add(rest[:kept])
        return reason

    def _tail(self, data: bytes) -> int:
        """Length of the rest of a record that is half written, to be finished when it can be.

        Without it the next record would begin in the middle of a line; a FIFO, too, keeps its half for the next reader.
        """
        return data.find(b"\n") + 1 if self._torn else 0

    def _wait(self, reason: str) -> None:
        """Watch the descriptor exactly while there is something to wait for; keep ``blocked`` up to date."""
        if self._backlog.size > self._capacity // 4:
            self.blocked = True
        if self._outlet is None:
            self.detach()
            return
        wanted = self._backlog.size > 0 and reason == BLOCKED
        if wanted == self._waiting or self._epoll is None:
            return
        try:
            if wanted:
                self._epoll.register(self._outlet.fd, _EPOLLOUT)
            else:
                self._epoll.unregister(self._outlet.fd)
        except OSError:
            # No memory, or the user's limit of watches: the next record tries again.
            wanted = False
        self._waiting = wanted

    def _on_room(self) -> None:
        self._wait(self._flush())
        self._settle()

    def _settle(self) -> None:
        if self.blocked and self._backlog.size <= self._capacity // 8:
            self.blocked = False
            for callback in self._callbacks:
                callback()


def open_sink(to: str, *, capacity: int = CAPACITY) -> Sink:
    """Open where records go: ``stdout``, ``stderr`` or a path.

    A path is created with mode 0640 if missing and appended to; a symbolic link is followed; a FIFO is written to
    without waiting for its reader.

    Raises:
        OSError: the path can't be written to: a directory, a FIFO that nobody reads (ENXIO), no permission, no such
            directory. ``filename`` is the path.
    """
    if to in _STANDARD:
        return Sink(_STANDARD[to], capacity=capacity)
    return Sink(_above_standard(os.open(to, _OPEN_FLAGS, 0o640)), capacity=capacity, nonblocking=True)


def is_file(to: str) -> bool:
    """Whether this is the path of a regular file, or of one that is yet to be made."""
    if to in _STANDARD:
        return False
    try:
        return stat.S_ISREG(os.stat(to).st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # whoever opens it is told why


_STANDARD = {"stdout": 1, "stderr": 2}


def _above_standard(fd: int) -> int:
    """The same file as a number above 2, so that no child of ours takes it for its stdin, stdout or stderr."""
    if fd > 2:
        return fd
    import fcntl  # noqa: PLC0415 (only if we were started with standard descriptors closed)

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def _outlet(fd: int, *, nonblocking: bool) -> Outlet | None:
    try:
        return Outlet(fd, nonblocking=nonblocking)
    except OSError:
        return None  # not open: every record counts as lost, because closed
