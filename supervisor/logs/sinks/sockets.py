"""Sinks behind a socket: connecting without blocking, sending, and starting again when the other side is gone.

One connection at a time. A subclass says how a record becomes a message, where to connect, and what becomes of a
message that is too long. Datagrams are messages; on a stream, messages follow each other, framed by the subclass, and
one that was sent in part when the connection broke is sent again whole on the next.
"""

import errno
import itertools
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supervisor.logs.sink import CLOSED
from supervisor.logs.sinks.buffered import Buffered
from supervisor.logs.sinks.numbered import Numbered
from supervisor.logs.targets import Tell

Address = tuple[int, int, Any]
"""Family, type, and what connect(2) takes."""

_CONNECT_TIMEOUT = 10.0
_SILENCE = 30_000
"""Milliseconds for which the other side of a stream may leave data unacknowledged; tcp(7), TCP_USER_TIMEOUT."""

_CONFIRM = 0.5
"""Seconds without an error after which a connection, or a datagram that was sent while down, is a sign of life.

A load balancer that has nobody behind it accepts, and hangs up.
"""

_LINGER = 1.0
"""Seconds without a user after which a connection is closed: a service that is started again finds it."""

_CHUNK = 1 << 16


class SocketTarget(Buffered):
    """One connection, and the messages that wait for it."""

    structured = True

    def __init__(self, name: str, tell: Tell) -> None:
        super().__init__(name, tell)
        self._numbered = Numbered()
        self._socket: socket.socket | None = None
        self._stream = False
        self._addresses: Iterator[Address] = iter(())
        self._busy = False  # a connection is being made
        self._attempt = 0
        self._waiting_for_room = False
        self._offset = 0  # bytes of the first message that a stream has taken
        self._probing = False  # a datagram is out and nobody has complained yet
        self._idle = False  # nobody writes for now
        self._hanging_up = False  # a timer will see whether it is so still

    # -- for others ----------------------------------------------------------------------------------------------

    def lines(self, service: str, pid: int, stream: str, messages: Sequence[bytes], *, whole: bool = False) -> None:
        """Take lines; see :class:`~supervisor.logs.targets.Target`."""
        if messages:
            self.records(self._numbered.lines((service, pid, stream), messages), whole=whole)

    def records(self, records: Sequence[Mapping[str, object]], *, whole: bool = False) -> None:
        """Take records; see :class:`~supervisor.logs.targets.Target`."""
        self._idle = False
        messages = [self._encode(record) for record in self._numbered.records(records)]
        limit = self._limit(sum(map(len, messages)), whole=whole)
        for message in messages:
            self._put(message, limit)
        self._pump()

    def idle(self) -> None:
        """Nobody will write for now: hang up when all is sent. The next record connects again."""
        self._idle = True
        if self._loop is not None and not self._hanging_up:
            self._hanging_up = True
            self._loop.call_later(_LINGER, self._hang_up)

    def _hang_up(self) -> None:
        self._hanging_up = False
        if self._idle and not self._size and not self._busy:
            self._disconnect()
        elif self._idle:
            self.idle()

    def flush(self, timeout: float) -> bool:
        """Send what waits, for the end of the process: blocks for at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self._size and not self.down and (left := deadline - time.monotonic()) > 0:
            if self._socket is None and self._busy:
                self._wait_for_address(left)
            elif self._socket is not None and (self._busy or self._waiting_for_room):
                poller = select.poll()
                poller.register(self._socket, select.POLLOUT)
                if poller.poll(left * 1000):
                    self._on_writable()
            else:
                self._push()
        return not self._size

    def close(self) -> None:
        """Let go of it; what still waits is lost, and told."""
        self.tell()
        self._disconnect()

    # -- for subclasses ------------------------------------------------------------------------------------------

    def _encode(self, record: Mapping[str, object]) -> bytes:
        """A record as one message."""
        raise NotImplementedError

    def _find(self) -> None:
        """Find the addresses to connect to, and give them to :meth:`_found`."""
        raise NotImplementedError

    def _send_too_long(self, connection: socket.socket, message: bytes) -> None:
        """Send, some other way, a datagram that the kernel has refused for its size.

        Raises:
            OSError: it can't be sent.
        """
        raise NotImplementedError

    def _wait_for_address(self, timeout: float) -> None:
        """Block until :meth:`_find` has an answer, for at most ``timeout`` seconds."""

    # -- connecting ----------------------------------------------------------------------------------------------

    def _found(self, addresses: Sequence[Address] | Exception) -> None:
        """Try these addresses, one after the other."""
        if isinstance(addresses, Exception):
            self._busy = False
            self._failed(addresses)
            return
        self._addresses = iter(addresses)
        self._connect_next(OSError(errno.EADDRNOTAVAIL, "there is no address"))

    def _connect_next(self, error: OSError) -> None:
        """Connect to the next address; ``error`` is why not to the one before."""
        for family, kind, address in self._addresses:
            self._attempt += 1
            try:
                self._socket = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
                self._stream = kind == socket.SOCK_STREAM
                if self._stream and family != socket.AF_UNIX:
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                    self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE)
                self._socket.connect(address)
            except BlockingIOError as pending:
                if pending.errno == errno.EINPROGRESS:
                    self._wait_for_connection()
                    return
                error = pending  # the queue of a unix socket's listener is full
            except OSError as failure:
                error = failure
            else:
                self._connected()
                return
            self._disconnect()
        self._busy = False
        self._failed(error)

    def _wait_for_connection(self) -> None:
        if self._loop is not None and self._socket is not None:
            self._loop.add_writer(self._socket.fileno(), self._on_writable)
            self._waiting_for_room = True
            self._loop.call_later(_CONNECT_TIMEOUT, self._connect_timed_out, self._attempt)

    def _connect_timed_out(self, attempt: int) -> None:
        if self._busy and attempt == self._attempt:
            self._disconnect()
            self._connect_next(TimeoutError(errno.ETIMEDOUT, "the connection was not made in time"))

    def _on_writable(self) -> None:
        self._wait_for_room(wanted=False)
        if self._busy and self._socket is not None:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._disconnect()
                self._connect_next(OSError(code, os.strerror(code)))
            else:
                self._connected()
        else:
            self._pump()

    def _connected(self) -> None:
        self._busy = False
        self._offset = 0
        if self._loop is not None and self._socket is not None:
            self._loop.add_reader(self._socket.fileno(), self._on_readable)
        if self.down and self._stream:
            self._confirm_later()
        self._pump()

    def _disconnect(self) -> None:
        connection, self._socket = self._socket, None
        if connection is None:
            return
        self._attempt += 1  # timers of this connection are of no use any more
        if self._loop is not None:
            self._loop.remove_reader(connection.fileno())
            self._loop.remove_writer(connection.fileno())
        self._waiting_for_room = self._probing = False
        self._offset = 0
        connection.close()

    def _on_readable(self) -> None:
        """The other side is gone, has refused a datagram, or talks, which nobody listens to."""
        if self._socket is None:
            return
        try:
            if not self._socket.recv(4096) and self._stream:
                self._broken(ConnectionResetError(errno.ECONNRESET, "the other side has closed the connection"))
        except BlockingIOError:
            return
        except OSError as error:
            if not self._stream and not self._probing:
                self._lose(1, CLOSED)  # what the error is about was sent, and has not arrived
            self._broken(error)

    def _reason(self, error: Exception | str) -> str:  # noqa: ARG002 - whatever it is: there is nobody to send to
        return CLOSED

    def _broken(self, error: OSError) -> None:
        self._disconnect()
        self._failed(error)

    # -- sending -------------------------------------------------------------------------------------------------

    def _push(self) -> None:
        if self._busy or self._waiting_for_room or self._probing:
            return
        if self._socket is None:
            self._busy = True
            self._find()
            return
        try:
            while self._queue and not self._probing:
                if self._stream:
                    self._send_stream(self._socket)
                else:
                    self._send_datagram(self._socket)
        except BlockingIOError:
            self._wait_for_room(wanted=True)
        except OSError as error:
            self._broken(error)

    def _send_stream(self, connection: socket.socket) -> None:
        sizes = itertools.accumulate(map(len, self._queue))
        count = 1 + sum(1 for _ in itertools.takewhile(lambda size: size < _CHUNK, sizes))
        chunk = b"".join(itertools.islice(self._queue, count))
        done = self._offset + connection.send(memoryview(chunk)[self._offset :])
        while self._queue and done >= len(self._queue[0]):
            done -= len(self._queue[0])
            self._pop()
        self._offset = done

    def _send_datagram(self, connection: socket.socket) -> None:
        try:
            connection.send(self._queue[0])
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_too_long(connection, self._queue[0])
        if self.down and self._loop is not None:
            self._probing = True  # it is kept until nobody has complained about it
            self._confirm_later()
        else:
            self._pop()

    def _confirm_later(self) -> None:
        if self._loop is not None:
            self._loop.call_later(_CONFIRM, self._confirm, self._attempt)

    def _confirm(self, attempt: int) -> None:
        """Nobody has hung up or complained for a while: that is all the sign of life there is."""
        if attempt != self._attempt:
            return
        if self._probing:
            self._probing = False
            self._pop()
        self._worked()
        self._pump()

    def _pop(self) -> None:
        self._size -= len(self._queue.popleft())

    def _wait_for_room(self, *, wanted: bool) -> None:
        if self._loop is None or self._socket is None:
            self._waiting_for_room = wanted
        elif wanted != self._waiting_for_room:
            self._waiting_for_room = wanted
            if wanted:
                self._loop.add_writer(self._socket.fileno(), self._on_writable)
            else:
                self._loop.remove_writer(self._socket.fileno())


def resolve(host: str, port: int, kind: int) -> list[Address]:
    """Addresses of a host; may block for as long as name servers take.

    Raises:
        OSError: there are none.
    """
    return [(family, kind, address) for family, _, _, _, address in socket.getaddrinfo(host, port, type=kind)]


def is_numeric(host: str) -> bool:
    """Whether the host is an address, which nobody has to be asked for."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False
