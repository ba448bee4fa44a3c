"""Probes that connect: a TCP connection, and a GET over one. Non-blocking sockets on the loop, and no HTTP library.

Addresses written as numbers, and ``localhost``, are used as they are. Any other name is looked up by the loop, which
asks a thread: the resolver of libc has no other way of not blocking.
"""

from __future__ import annotations

import errno
import os
import socket

from supervisor.runtime.watching.rounds import SHORTAGES, ShortageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.runtime.ports import WatchLoop
    from supervisor.runtime.watching.rounds import Done

    Address = tuple[int, tuple[Any, ...]]

_LOCALHOST = ("127.0.0.1", "::1")
_CHUNK = 4096
_LONGEST_LINE = 4096
_LONGEST_REST = 65536
"""Bytes of an answer that are read and thrown away: a server whose answer nobody takes logs a broken pipe."""


class TcpChecker:
    """Well when a connection can be made. All addresses of a name are tried, within one timeout."""

    def __init__(self, loop: WatchLoop, host: str, port: int) -> None:
        self._loop = loop
        self._host = host
        self._port = port
        self._done: Done | None = None
        self._socket: socket.socket | None = None
        self._lookup: Any = None
        self._addresses: list[Address] = []
        self._error = ""

    def start(self, done: Done) -> None:
        """Begin to connect; see :class:`~supervisor.runtime.watching.rounds.Checker`."""
        self.cancel()
        self._done = done
        self._error = ""
        self._addresses = _numeric(self._host, self._port)
        if self._addresses:
            self._next()
            return
        lookup = self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        self._lookup = self._loop.create_task(lookup)
        self._lookup.add_done_callback(self._found)

    def cancel(self) -> None:
        """Close the connection, if there is one."""
        self._done = None
        if self._lookup is not None:
            self._lookup.cancel()
            self._lookup = None
        self._close()

    def _found(self, lookup: Any) -> None:
        """A name was looked up."""
        if lookup is not self._lookup:
            if not lookup.cancelled():
                lookup.exception()  # nobody asks for it any more, and asyncio would complain
            return
        self._lookup = None
        error = lookup.exception()
        if error is not None:
            reason = getattr(error, "strerror", None) or str(error)
            self._finish(f"{self._host} can't be looked up: {reason}")
            return
        self._addresses = [(family, address) for family, _, _, _, address in lookup.result()]
        self._next()

    def _next(self) -> None:
        """Connect to the next address; when there is none left, the first error is the result."""
        while self._addresses:
            family, address = self._addresses.pop(0)
            error = self._connect(family, address)
            if error == errno.EINPROGRESS and self._socket is not None:
                self._loop.add_writer(self._socket.fileno(), self._writable)
                return
            if not error:
                self._try_connection()
                return
            if error in SHORTAGES:
                self._finish(ShortageError(f"no socket: {os.strerror(error)}"))
                return
            self._note(error)
        self._finish(self._error or f"{self._host} has no address")

    def _connect(self, family: int, address: tuple[Any, ...]) -> int:
        self._close()
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            return self._socket.connect_ex(address)
        except OSError as error:
            return error.errno or errno.EINVAL

    def _note(self, number: int) -> None:
        self._error = self._error or os.strerror(number)

    def _writable(self) -> None:
        """The connection is made, or refused."""
        if self._socket is None:
            return
        self._loop.remove_writer(self._socket.fileno())
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._note(error)
            self._next()
        else:
            self._try_connection()

    def _try_connection(self) -> None:
        """There is a connection; but not with ourselves.

        A port of the range that local ends are taken from may be given to our own end: then TCP connects it to itself.
        """
        if self._socket is not None and self._socket.getsockname() == self._socket.getpeername():
            self._note(errno.ECONNREFUSED)
            self._next()
        else:
            self._connected()

    def _connected(self) -> None:
        self._close()
        self._finish("")

    def _finish(self, error: str | ShortageError) -> None:
        done, self._done = self._done, None
        if error:
            self._close()
        if done is not None:
            done(error)

    def _close(self) -> None:
        if self._socket is not None:
            self._loop.remove_writer(self._socket.fileno())
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None


class HttpChecker(TcpChecker):
    """Well when a GET is answered with a status from 200 to 399; redirects are not followed."""

    def __init__(self, loop: WatchLoop, host: str, port: int, path: str) -> None:
        super().__init__(loop, host, port)
        where = f"[{host}]" if ":" in host else host
        where = where if port == 80 else f"{where}:{port}"
        head = f"GET {path} HTTP/1.1\r\nHost: {where}\r\nUser-Agent: pausevisor\r\nAccept: */*\r\n"
        self._request = f"{head}Connection: close\r\n\r\n".encode()
        self._unsent = b""
        self._answer = b""
        self._rest = 0

    def _connected(self) -> None:
        self._unsent = self._request
        self._answer = b""
        self._send()

    def _send(self) -> None:
        if self._socket is None:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._finish(error.strerror or str(error))
            return
        self._unsent = self._unsent[sent:]
        fd = self._socket.fileno()
        if self._unsent:
            self._loop.add_writer(fd, self._send)
        else:
            self._loop.remove_writer(fd)
            self._loop.add_reader(fd, self._receive)

    def _receive(self) -> None:
        """Read up to the end of the status line."""
        chunk = self._read()
        if chunk is None:
            return
        self._answer += chunk
        line, newline, rest = self._answer.partition(b"\n")
        if newline or len(line) > _LONGEST_LINE:
            self._drain(len(rest))
            self._finish(judge(line))
        elif not chunk:
            shown = f" after {_shown(line)}" if line else ""
            self._finish(f"closed without an answer{shown}")

    def _read(self) -> bytes | None:
        """What is there; empty at the end, None when there is nothing to be had, now or (it is told) ever."""
        if self._socket is None:
            return None
        try:
            return self._socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            self._finish(error.strerror or str(error))
            self._close()
            return None

    def _drain(self, already: int) -> None:
        """The result is known; the rest of the answer is taken while nothing else is tried, so nobody is cut short."""
        self._rest = already
        if self._socket is not None:
            self._loop.add_reader(self._socket.fileno(), self._throw_away)

    def _throw_away(self) -> None:
        chunk = self._read()
        if chunk is None:
            return
        self._rest += len(chunk)
        if not chunk or self._rest > _LONGEST_REST:
            self._close()


def judge(line: bytes) -> str:
    """What a status line means: empty when all is well, else the error; RFC 9112, 4."""
    version, _, rest = line.rstrip(b"\r").partition(b" ")
    status, _, reason = rest.partition(b" ")
    if not version.startswith(b"HTTP/1.") or len(status) != 3 or not status.isdigit():
        return f"no answer of HTTP/1: {_shown(line)}"
    if 200 <= int(status) < 400:
        return ""
    words = f" {_shown(reason)}" if reason.strip() else ""
    return f"answered {int(status)}{words}"


def _shown(data: bytes) -> str:
    text = data[:60].decode("latin-1").strip()
    return "".join(char if char.isprintable() else "?" for char in text)


def _numeric(host: str, port: int) -> list[Address]:
    """The addresses of a host that need not be looked up."""
    found: list[Address] = []
    for text in _LOCALHOST if host == "localhost" else (host,):
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        found.append((family, (text, port)))
    return found
