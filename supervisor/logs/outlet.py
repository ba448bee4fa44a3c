"""How to write to a descriptor that others share, without ever blocking and without touching its flags.

``O_NONBLOCK`` belongs to the open file description: set on our stdout it would hit every process that shares the
pipe or terminal (and uvloop sets it on whatever it is told to watch). So each kind of file gets its own way:

=================  ====================================================================================================
own description    opened by us with ``O_NONBLOCK``: plain write(2)
pipe, socket       pwritev2(2) with ``RWF_NOWAIT`` (pipes and sockets from Linux 6.4 and 6.5 on); else as below
FIFO, terminal     refuse ``RWF_NOWAIT``: a description of our own by way of ``/proc/self/fd``, where permitted
socket, older      send(2) with ``MSG_DONTWAIT``
pipe, tty, older   poll(2), then a piece so small that it fits where poll found room
file, device       plain write(2): neither makes a writer wait for a reader
=================  ====================================================================================================

Only the piece behind poll can block, when another writer takes the room in between, and then for as long as the
reader takes. Imports :mod:`os`, :mod:`stat` and :mod:`errno`; :mod:`select` and :mod:`socket` in the last resorts.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NO_NOWAIT = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EINVAL})
"""What a kernel, a file or a seccomp profile that doesn't know pwritev2(2) with ``RWF_NOWAIT`` answers."""

_OWN_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIPE_PIECE = 4096
"""PIPE_BUF: poll(2) reports a pipe writable when a page is free."""

_TTY_PIECE = 256
"""WAKEUP_CHARS of the kernel: poll(2) reports a terminal writable with fewer than these waiting."""


class Outlet:
    """One descriptor to write to.

    Attributes:
        fd: what to wait on for room; our own description where ``write`` uses one.
        is_terminal: whether a person may be reading.
        write: takes bytes, returns how many were written (at least one); raises ``BlockingIOError`` when there is no
            room now and any other ``OSError`` as the kernel gave it.
    """

    __slots__ = ("_release", "fd", "is_terminal", "write")

    def __init__(self, fd: int, *, nonblocking: bool = False) -> None:
        """Choose the way to write.

        Args:
            fd: an open descriptor; it stays the caller's.
            nonblocking: its description is ours alone and has ``O_NONBLOCK`` set.

        Raises:
            OSError: ``fd`` is not open (EBADF).
        """
        mode = os.fstat(fd).st_mode
        self.fd = fd
        self.is_terminal = os.isatty(fd)
        self._release: Callable[[], None] | None = None
        self.write: Callable[[bytes | memoryview], int] = self._plain
        if nonblocking:
            return
        if self.is_terminal:
            self._use_own_description(_TTY_PIECE)
        elif stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            self.write = self._nowait

    def close(self) -> None:
        """Close what was opened here; the descriptor given stays open."""
        if self._release is not None:
            self._release()
            self._release = None

    def _plain(self, data: bytes | memoryview) -> int:
        return os.write(self.fd, data)

    def _nowait(self, data: bytes | memoryview) -> int:
        try:
            return os.pwritev(self.fd, [data], -1, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in _NO_NOWAIT:
                raise
        if stat.S_ISSOCK(os.fstat(self.fd).st_mode):
            self._use_socket()
        else:
            self._use_own_description(_PIPE_PIECE)
        return self.write(data)

    def _use_own_description(self, piece: int) -> None:
        """Open the same file again with ``O_NONBLOCK``; behind poll, ``piece`` bytes at a time, where that fails."""
        try:
            own = os.open(f"/proc/self/fd/{self.fd}", _OWN_FLAGS)
        except OSError:
            # Not root and not the owner, no /proc, or a FIFO whose reader is gone (its EPIPE comes with the write).
            self._use_poll(piece)
            return
        self.fd = own
        self._release = lambda: os.close(own)
        self.write = self._plain

    def _use_socket(self) -> None:
        import socket  # noqa: PLC0415 (1 MB: only on kernels before 6.5)

        # A duplicate, because the object closes its descriptor when it goes.
        connection = socket.socket(fileno=os.dup(self.fd))
        self._release = connection.close
        self.write = lambda data: connection.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _use_poll(self, piece: int) -> None:
        import select  # noqa: PLC0415 (the last resort)

        poller = select.poll()
        poller.register(self.fd, select.POLLOUT)

        def write(data: bytes | memoryview) -> int:
            if not poller.poll(0):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return os.write(self.fd, data[:piece])

        self.write = write
