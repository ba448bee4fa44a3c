"""The client's end of the control socket: one request a connection, HTTP/1.1 by hand.

The standard library's client takes longer to import than all else that a command does, blocks until an answer is
complete, and can't be waited for beside others. What is needed of HTTP here is a page: a head, and a body by length or
in chunks. A stream that was cut is told from one that has ended, since the last chunk is missing.

On the way of the health check, so it imports builtin modules only.
"""

from __future__ import annotations

import _socket
import os
import time
from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

PATIENCE = 10.0
"""Seconds until an answer that nobody has to work for counts as missing."""

_FILE_TYPE, _SOCKET = 0o170000, 0o140000
"""inode(7); as numbers, for the stat module is not on the way of the health check."""

_PIECE = 65536
_LONGEST_HEAD = 65536


class ClientError(Exception):
    """The daemon could not be asked, or has not answered; the message says so to people."""


class UnreachableError(ClientError):
    """Nobody listens; ``tried`` has the paths, each with what is there."""

    def __init__(self, tried: Sequence[tuple[str, str]]) -> None:
        self.tried = tuple(tried)
        super().__init__("no daemon is there: " + "; ".join(f"{path}: {why}" for path, why in tried))


class ForbiddenError(ClientError):
    """The socket is not for us."""


class LostError(ClientError):
    """The connection ended before the answer did."""


class SilentError(ClientError):
    """There was no answer in time."""


class Exchange:
    """One request, and its answer as it arrives.

    Attributes:
        path: the socket's.
        status: 0 until the head of the answer is there.
        body: what has arrived of it and was not taken.
        complete: the answer has ended, as HTTP says, and not only the connection.
    """

    __slots__ = ("_chunked", "_left", "_raw", "_socket", "body", "complete", "path", "status")

    def __init__(self, socket: Any, path: str, request: bytes) -> None:
        self.path = path
        self.status = 0
        self.body = bytearray()
        self.complete = False
        self._socket = socket
        self._raw = bytearray()
        self._left = 0
        self._chunked = False
        try:
            socket.sendall(request, _socket.MSG_NOSIGNAL)
        except OSError:
            return  # it refuses without reading: the answer, or the end, says why

    def fileno(self) -> int:
        """To wait for more by select(2)."""
        return int(self._socket.fileno())

    def close(self) -> None:
        """Read no further; the daemon does what it was asked to all the same."""
        self._socket.close()

    def pump(self, within: float | None = None) -> None:
        """Read what is there, or wait for it.

        Args:
            within: seconds to wait at most; for ever when None.

        Raises:
            LostError: the connection has ended, the answer has not.
            SilentError: nothing came in time.
        """
        self._socket.settimeout(within)
        try:
            data = self._socket.recv(_PIECE)
        except (TimeoutError, BlockingIOError):
            raise SilentError(f"the daemon at {self.path} does not answer") from None
        except OSError:
            data = b""
        if not data:
            raise LostError(f"the daemon at {self.path} has gone away before it had answered")
        self._raw += data
        try:
            while not self.complete and self._advance():
                pass
        except (ValueError, IndexError):
            raise ClientError(f"what answers at {self.path} is no pausevisor") from None

    def finish(self, within: float | None = PATIENCE) -> bytes:
        """Wait for the whole answer, so many seconds at most; its body."""
        deadline = None if within is None else time.monotonic() + within
        while not self.complete:
            self.pump(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self.close()
        return bytes(self.body)

    def lines(self) -> list[bytes]:
        """Take the complete lines that have arrived."""
        end = self.body.rfind(b"\n") + 1
        taken = bytes(self.body[:end])
        del self.body[:end]
        return taken.splitlines()

    def _advance(self) -> bool:
        """Understand one more piece of what has arrived; false when it takes more to do so."""
        raw = self._raw
        if not self.status:
            end = raw.find(b"\r\n\r\n")
            if end < 0:
                if len(raw) > _LONGEST_HEAD:
                    raise ValueError
                return False
            self._read_head(bytes(raw[:end]))
            del raw[: end + 4]
        elif self._left:
            part = raw[: self._left]
            del raw[: self._left]
            self.body += part
            self._left -= len(part)
            self.complete = not self._left and not self._chunked
            return bool(part)
        else:
            end = raw.find(b"\r\n")
            if end < 0:
                return False
            size = bytes(raw[:end])
            del raw[: end + 2]
            if size:  # else it is the end of the chunk before
                self._left = int(size.split(b";")[0], 16)
                self.complete = not self._left
        return True

    def _read_head(self, head: bytes) -> None:
        first, *fields = head.split(b"\r\n")
        if not first.startswith(b"HTTP/1."):
            raise ValueError
        self.status = int(first.split()[1])
        for field in fields:
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                self._left = int(value)
            elif name.lower() == b"transfer-encoding":
                self._chunked = b"chunked" in value.lower()
        self.complete = not self._left and not self._chunked


class Client:
    """Asks the daemon at the first of some paths where one is.

    Args:
        paths: where it may be.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)

    def ask(self, method: str, target: str, body: bytes = b"", within: float | None = PATIENCE) -> Exchange:
        """Ask, and wait for the whole answer, so many seconds at most.

        Raises:
            ClientError: there is none.
        """
        exchange = self.begin(method, target, body)
        exchange.finish(within)
        return exchange

    def begin(self, method: str, target: str, body: bytes = b"") -> Exchange:
        """Ask; the answer is the caller's to read.

        Raises:
            UnreachableError: nobody listens at any of the paths.
            ForbiddenError: the socket at one of them is not for us.
        """
        socket, path = self.connect()
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        if method == "POST" and not body:
            length = "Content-Length: 0\r\n"
        head = f"{method} {target} HTTP/1.1\r\nHost: pausevisor\r\nConnection: close\r\n{length}\r\n"
        return Exchange(socket, path, head.encode("ascii") + body)

    def connect(self) -> tuple[Any, str]:
        """A connection, and the path it goes through; raises as :meth:`begin` does."""
        tried: list[tuple[str, str]] = []
        forbidden = ""
        for path in self._paths:
            try:
                return _connect(path), path
            except PermissionError:
                forbidden = forbidden or path
            except OSError as error:
                tried.append((path, _why(path, error)))
        if forbidden:
            raise ForbiddenError(f"not permitted to use {forbidden}")
        raise UnreachableError(tried)


def _connect(path: str) -> Any:
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        # a deadline of the kernel's: one of Python's makes the socket non-blocking, and a full backlog an error at once
        socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, pack("ll", int(PATIENCE), 0))
        socket.connect(path)
    except BaseException:
        socket.close()
        raise
    return socket


def _why(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there any more" if _is_socket(path) else "that is no socket"
    if isinstance(error, BlockingIOError):
        return "it does not accept connections: too many clients wait already"
    return error.strerror or str(error)


def _is_socket(path: str) -> bool:
    try:
        return os.stat(path).st_mode & _FILE_TYPE == _SOCKET
    except OSError:
        return True  # it has gone meanwhile
