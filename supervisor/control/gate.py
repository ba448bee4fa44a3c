"""Who gets in: accepting connections, and refusing those for whom there is no right or no room.

We accept by ourselves, in small numbers a turn, so that the daemon's own work goes on whatever clients do:

* the descriptors that spawning needs are never given away: a connection whose number comes too near to the limit is
  refused, and where the table is full we stop listening for a second instead of spinning;
* there is room for so many connections, and one that has nothing to say makes room for one that may;
* at the first connection the HTTP stack is imported, a piece a turn; the clients wait in the kernel meanwhile.
"""

import resource
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from supervisor.control.listener import Listener, may_connect
from supervisor.logs.encode import encode

MOST_CONNECTIONS = 256
_ACCEPTS_A_TURN = 16
_RESERVED_DESCRIPTORS = 32
_MOST_REFUSED = 8
_LINGER = 1.0
"""Seconds, and how many at most, that those who were refused get to read why."""

_RETRY_AFTER = 1.0
"""Seconds without accepting after the kernel had no descriptor or no memory for us, or the import failed."""


class Loop(Protocol):
    """What is needed of the event loop."""

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Run the callback in the next turn."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        """Run the callback after ``delay`` seconds."""

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> Any:
        """Run the callback whenever the descriptor is readable."""

    def remove_reader(self, fd: int) -> Any:
        """Do so no more."""


class Connection(Protocol):
    """A connection that was let in."""

    @property
    def idle(self) -> bool:
        """Whether it has no request under way."""

    def abort(self) -> None:
        """Close it at once."""


class Gate:
    """Accepts for all listeners.

    Args:
        loop: drives us.
        listeners: what clients connect to; closed by who opened them.
        prepare: the import of what serves connections, as steps of bounded length; done again after a failure.
        serve: takes over a connection that was let in, and calls :meth:`gone` when it is over.
        warn: told what users have to know.
    """

    def __init__(
        self,
        loop: Loop,
        listeners: tuple[Listener, ...],
        prepare: Callable[[], Iterator[None]],
        serve: Callable[[socket.socket, Listener], Connection],
        warn: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._prepare = prepare
        self._serve = serve
        self._warn = warn
        self._prepared = False
        self._connections: dict[Connection, None] = {}
        self._paused = True
        self._closed = False
        self._warned: set[str] = set()
        self._refused: deque[socket.socket] = deque()
        self._sockets = {
            listener.socket.fileno(): (socket.socket(fileno=listener.socket.fileno()), listener)
            for listener in listeners
        }

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Those that are in, the oldest first."""
        return tuple(self._connections)

    def open(self) -> None:
        """Let clients in from now on."""
        if self._paused and not self._closed:
            self._paused = False
            for fd in self._sockets:
                self._loop.add_reader(fd, self._ready, fd)

    def pause(self) -> None:
        """Let them wait in the kernel."""
        if not self._paused:
            self._paused = True
            for fd in self._sockets:
                self._loop.remove_reader(fd)

    def close(self) -> None:
        """Let nobody in any more; the listening sockets stay their opener's."""
        self.pause()
        self._closed = True
        for sock, _ in self._sockets.values():
            sock.detach()

    def gone(self, connection: Connection) -> None:
        """A connection is over; told twice it is over all the same."""
        self._connections.pop(connection, None)

    # -- the import ----------------------------------------------------------------------------------------------

    def _step(self, steps: Iterator[None]) -> None:
        """One piece of the import; the next one when everybody else had a turn."""
        try:
            next(steps)
        except StopIteration:
            self._prepared = True
            self.open()
        except Exception as error:  # noqa: BLE001 - whatever is broken there must not break the daemon
            message = f"the control socket can't be served: {type(error).__name__}: {error}; clients are turned away"
            self._warn_once(message)
            self._turn_away()
            self._loop.call_later(_RETRY_AFTER, self.open)
        else:
            self._loop.call_soon(self._step, steps)

    def _turn_away(self) -> None:
        for fd in self._sockets:
            for _ in range(_ACCEPTS_A_TURN):
                connection = self._accept(fd)
                if connection is None:
                    break
                self._refuse(connection, 503, "Service Unavailable", "the HTTP stack can't be imported; see the log")

    # -- accepting -----------------------------------------------------------------------------------------------

    def _ready(self, fd: int) -> None:
        if not self._prepared:
            self.pause()
            self._step(self._prepare())
            return
        for _ in range(_ACCEPTS_A_TURN):
            connection = self._accept(fd)
            if connection is None:
                return
            self._admit(connection, self._sockets[fd][1])

    def _accept(self, fd: int) -> socket.socket | None:
        try:
            connection, _ = self._sockets[fd][0].accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        except OSError as error:
            # out of descriptors or of memory: the listener stays readable, and asking again at once would be a spin
            self._warn_once(f"cannot accept connections: {error.strerror}; trying again every second")
            self.pause()
            self._loop.call_later(_RETRY_AFTER, self.open)
            return None
        connection.setblocking(False)
        return connection

    def _admit(self, connection: socket.socket, listener: Listener) -> None:
        try:
            if listener.serves == "control" and not may_connect(listener, connection):
                self._refuse(connection, 403, "Forbidden", "the socket is for its owner, root, and the control-group")
                return
        except OSError:
            connection.close()  # gone already
            return
        if connection.fileno() >= _highest_descriptor() or not self._has_room():
            self._refuse(connection, 503, "Service Unavailable", "too many connections")
            return
        self._connections[self._serve(connection, listener)] = None

    def _has_room(self) -> bool:
        """Whether there is room for one more; the idle one that is here for the longest time makes some."""
        if len(self._connections) < MOST_CONNECTIONS:
            return True
        idle = next((connection for connection in self._connections if connection.idle), None)
        if idle is None:
            return False
        self.gone(idle)
        idle.abort()
        return True

    def _refuse(self, connection: socket.socket, status: int, title: str, detail: str) -> None:
        """Answer somebody who is not let in, and close soon: a client that still sends shall see why, and no error."""
        if not refuse(connection, status, title, detail):
            return
        if len(self._refused) == _MOST_REFUSED:
            self._refused.popleft().close()
        self._refused.append(connection)
        self._loop.call_later(_LINGER, connection.close)

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._warn(message)


def _highest_descriptor() -> int:
    """The first number that a connection may not have: above it are those that spawning and reaping need."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit - min(_RESERVED_DESCRIPTORS, limit // 4) if limit > 0 else 2**31


def refuse(connection: socket.socket, status: int, title: str, detail: str) -> bool:
    """Answer a connection that is not let in; whether that was possible without waiting. If not, it is closed."""
    try:
        connection.send(problem_answer(status, title, detail))
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        connection.close()  # it is gone, or does not read: it is told by the end
        return False
    return True


def problem_answer(status: int, title: str, detail: str) -> bytes:
    """A whole answer with a problem document, for where nothing else can make one; the connection ends with it."""
    body = encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
