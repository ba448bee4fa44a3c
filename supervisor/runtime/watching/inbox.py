"""The socket that a service sends its notifications to; sd_notify(3).

Each start of a service has one of its own, so a message needs no sender to say whose it is, and one of a process that
was replaced goes nowhere. Its name is abstract, unix(7): no writable directory is needed, nothing is left behind, and a
service reaches it whatever its user. Who may send is :mod:`~supervisor.runtime.watching.senders`' matter.

Uses :mod:`_socket`, which is a tenth of :mod:`socket`: it is imported before the first such program starts.
"""

from __future__ import annotations

import _socket
import os
import struct

from supervisor.core.record import Record

_LONGEST = 4096
"""Bytes of a message, as with systemd."""

_CREDENTIALS = struct.Struct("=iII")
"""struct ucred: pid, uid, gid; unix(7)."""

_ROOM = _socket.CMSG_SPACE(_CREDENTIALS.size)
"""No room for descriptors: those that come along are closed by the kernel as the message is taken from the queue.

That is all ``BARRIER=1`` asks for: its sender waits for its descriptor to be closed, and by then every message before
it was handled. A descriptor that never gets a number here can't be leaked, inherited or be one too many.
"""


class Letter(Record):
    """One message, and what the kernel says of its sender.

    Attributes:
        data: at most as much as is read of one; see ``cut``.
        pid: sender's process; 0 when it can't be seen from our PID namespace.
        uid: its user.
        cut: it was longer.
    """

    data: bytes
    pid: int
    uid: int
    cut: bool


class Inbox:
    """The receiving end.

    Attributes:
        address: for ``NOTIFY_SOCKET``.
        fd: readable when there is a message.
    """

    __slots__ = ("_socket", "address", "fd")

    def __init__(self) -> None:
        """Open it.

        Raises:
            OSError: out of descriptors or memory; nothing is left open.
        """
        name = f"pausevisor/notify/{os.urandom(16).hex()}"
        kind = _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
        self._socket = _socket.socket(_socket.AF_UNIX, kind)
        try:
            # first, for the kernel adds credentials to what is sent from now on
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
            self._socket.bind(f"\0{name}".encode())
        except OSError:
            self._socket.close()
            raise
        self.address = f"@{name}"
        self.fd = self._socket.fileno()

    def read(self) -> Letter | None:
        """The next message; None when there is none now.

        Raises:
            OSError: something that does not happen to a datagram socket.
        """
        try:
            data, attached, flags, _ = self._socket.recvmsg(_LONGEST, _ROOM)
        except BlockingIOError:
            return None
        pid, uid = 0, -1
        for level, kind, content in attached:
            if (level, kind, len(content)) == (_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS, _CREDENTIALS.size):
                pid, uid, _ = _CREDENTIALS.unpack(content)
        return Letter(data, pid, uid, bool(flags & _socket.MSG_TRUNC))

    def close(self) -> None:
        """Close it; a sender is refused from now on."""
        self._socket.close()
