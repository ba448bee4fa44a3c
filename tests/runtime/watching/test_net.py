"""Probes that connect, against real servers on both event loops."""

import contextlib
import os
import resource
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from supervisor.runtime.watching.net import HttpChecker, TcpChecker
from supervisor.runtime.watching.rounds import ShortageError
from tests.helpers.patience import PATIENCE
from tests.runtime.watching.support import RunningLoop, serving

if TYPE_CHECKING:
    from supervisor.runtime.watching.rounds import Checker

pytestmark = pytest.mark.usefixtures("no_leak")


def outcome(running: RunningLoop, checker: "Checker") -> "str | ShortageError":
    """Try once, and wait for what comes of it."""
    told: list[str | ShortageError] = []
    checker.start(told.append)
    running.until(lambda: bool(told), "an outcome")
    checker.cancel()
    assert len(told) == 1
    return told[0]


def accept(connection: socket.socket) -> None:
    """Only take the connection, until the other side closes it."""
    assert connection.recv(1) == b""


def answer(data: bytes) -> Callable[[socket.socket], None]:
    """Read a request, and answer it so."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(data)

    return handle


def read_request(connection: socket.socket) -> bytes:
    """A whole request."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        chunk = connection.recv(4096)
        assert chunk, f"cut after {data!r}"
        data += chunk
    return data


class Lookups:
    """A loop on which names are looked up as the test says; all else is the real one's."""

    def __init__(self, running: RunningLoop, lookup: Callable[[], Any]) -> None:
        self._loop = running.loop
        self._lookup = lookup
        self.asked: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def getaddrinfo(self, host: str, port: int, *, type: int) -> Any:  # noqa: A002 - as asyncio has it
        """Remember, and answer."""
        assert type == socket.SOCK_STREAM
        self.asked.append((host, port))
        result = self._lookup()
        return await result if hasattr(result, "__await__") else result


# -- TCP


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_connection_is_enough(real_loop: RunningLoop, host: str) -> None:
    """Somebody listens: that is all that is asked, and the connection is closed again."""
    with serving(accept) as server:
        assert outcome(real_loop, TcpChecker(real_loop.loop, host, server.port)) == ""
        server.wait(1)
        assert (server.connections, server.problems) == (1, [])


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_ipv6(real_loop: RunningLoop, host: str) -> None:
    """An IPv6 address, and localhost where only that is listened on."""
    with serving(accept, "::1") as server:
        assert outcome(real_loop, TcpChecker(real_loop.loop, host, server.port)) == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused(real_loop: RunningLoop, host: str, free_port: int) -> None:
    """Nobody listens, on none of its addresses."""
    assert outcome(real_loop, TcpChecker(real_loop.loop, host, free_port)) == "Connection refused"


def test_the_same_checker_again(real_loop: RunningLoop, free_port: int) -> None:
    """A checker is used for every try: what the last one found says nothing of the next."""
    checker = TcpChecker(real_loop.loop, "127.0.0.1", free_port)
    assert outcome(real_loop, checker) == "Connection refused"
    with serving(accept) as server:
        other = TcpChecker(real_loop.loop, "localhost", server.port)
        assert [outcome(real_loop, other) for _ in range(20)] == [""] * 20


def test_cancelled_on_the_way(real_loop: RunningLoop) -> None:
    """A connection that nobody answers is given up without a trace: its backlog is full, so it hangs."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # more than the backlog takes
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        told: list[object] = []
        checker = TcpChecker(real_loop.loop, "127.0.0.1", listener.getsockname()[1])
        checker.start(told.append)
        real_loop.run(0.05)
        checker.cancel()
        real_loop.run(0.05)
        assert told == []
        checker.cancel()


def test_a_name_is_looked_up(real_loop: RunningLoop, free_port: int) -> None:
    """All addresses of a name are tried; the first that takes a connection is enough."""
    with serving(accept) as server:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", free_port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)),
        ]
        loop = Lookups(real_loop, lambda: found)
        assert outcome(real_loop, TcpChecker(loop, "db.internal", 5432)) == ""
        assert loop.asked == [("db.internal", 5432)]
        found.reverse()
        assert outcome(real_loop, TcpChecker(loop, "db.internal", 5432)) == ""


def test_a_name_for_real(real_loop: RunningLoop) -> None:
    """The loop's own resolver, whose thread holds nobody up: a name from the hosts file, if there is one."""
    with open("/etc/hosts", encoding="utf-8") as file:
        lines = [line.split() for line in file if line.startswith("127.0.0.1")]
    names = [name for line in lines for name in line[1:] if name != "localhost"]
    if not names:
        pytest.skip("no other name of this host")
    with serving(accept) as server:
        assert outcome(real_loop, TcpChecker(real_loop.loop, names[0], server.port)) == ""


def test_a_name_that_there_is_not(real_loop: RunningLoop) -> None:
    """The resolver's words, and no complaint of the loop about an exception that nobody asked for."""

    def fail() -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    found = outcome(real_loop, TcpChecker(Lookups(real_loop, fail), "nowhere", 80))
    assert found == "nowhere can't be looked up: Name or service not known"
    assert outcome(real_loop, TcpChecker(Lookups(real_loop, list), "nowhere", 80)) == "nowhere has no address"


def test_a_lookup_that_is_given_up(real_loop: RunningLoop) -> None:
    """A resolver that hangs is left alone; what it says later is nobody's."""
    futures: list[Any] = []

    def hang() -> Any:
        futures.append(real_loop.loop.create_future())
        return futures[-1]

    told: list[object] = []
    checker = TcpChecker(Lookups(real_loop, hang), "db", 80)
    checker.start(told.append)
    real_loop.run(0.01)
    checker.cancel()
    real_loop.run(0.01)
    assert futures[0].cancelled()
    checker.start(told.append)
    real_loop.run(0.01)
    futures[1].set_exception(socket.gaierror(socket.EAI_AGAIN, "Temporary failure"))
    checker.cancel()
    real_loop.run(0.01)
    assert told == []


def test_out_of_descriptors(real_loop: RunningLoop) -> None:
    """Our own shortage is told as what it is: it says nothing about the service."""
    checker = TcpChecker(real_loop.loop, "127.0.0.1", 80)
    lowest = os.dup(0)
    os.close(lowest)
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, old[1]))
    told: list[object] = []
    try:
        checker.start(told.append)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)
    (found,) = told
    assert isinstance(found, ShortageError)
    assert "Too many open files" in str(found)


# -- HTTP


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("200 OK", ""),
        ("204 No Content", ""),
        ("301 Moved Permanently", ""),
        ("399 Odd", ""),
        ("200", ""),
        ("400 Bad Request", "answered 400 Bad Request"),
        ("404 Not Found", "answered 404 Not Found"),
        ("503 Service Unavailable", "answered 503 Service Unavailable"),
        ("500", "answered 500"),
        ("100 Continue", "answered 100 Continue"),
    ],
)
def test_the_status_decides(real_loop: RunningLoop, status: str, error: str) -> None:
    """From 200 to 399 all is well; else the error is what the server said."""
    with serving(answer(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        assert outcome(real_loop, HttpChecker(real_loop.loop, "127.0.0.1", server.port, "/health")) == error


def test_the_request(real_loop: RunningLoop) -> None:
    """A plain GET that any server of HTTP/1 takes, with the path and query as they are."""
    requests: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with serving(handle, "::1") as server:
        assert outcome(real_loop, HttpChecker(real_loop.loop, "::1", server.port, "/a/b?c=d")) == ""
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a/b?c=d HTTP/1.1"
    assert f"Host: [::1]:{server.port}" in lines
    assert "Connection: close" in lines
    assert lines[-2:] == ["", ""]
    assert b"Host: web\r\n" in HttpChecker(real_loop.loop, "web", 80, "/")._request  # noqa: SLF001 - port 80 can't be had


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200", "closed without an answer after HTTP/1.1 200"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer of HTTP/1: SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/2 200 OK\r\n", "no answer of HTTP/1: HTTP/2 200 OK"),
        (b"HTTP/1.1 2000 OK\r\n", "no answer of HTTP/1: HTTP/1.1 2000 OK"),
        (b"\x1b[31m\x00\xff\n", "no answer of HTTP/1: ?[31m?ÿ"),
        (b"x" * 100_000, "no answer of HTTP/1: " + "x" * 60),
    ],
)
def test_who_speaks_no_http(real_loop: RunningLoop, data: bytes, error: str) -> None:
    """Whatever comes instead is shown, a little of it, and made harmless."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        with contextlib.suppress(OSError):  # who has read enough closes
            connection.sendall(data)

    with serving(handle) as server:
        assert outcome(real_loop, HttpChecker(real_loop.loop, "127.0.0.1", server.port, "/")) == error


def test_an_answer_in_pieces(real_loop: RunningLoop) -> None:
    """A slow server's status line counts when it is complete."""
    gate = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        for byte in b"HTTP/1.1 200 O":
            connection.sendall(bytes([byte]))
        assert gate.wait(PATIENCE)
        connection.sendall(b"K\r\n\r\n")

    with serving(handle) as server:
        told: list[object] = []
        checker = HttpChecker(real_loop.loop, "127.0.0.1", server.port, "/")
        checker.start(told.append)
        real_loop.run(0.05)
        assert told == []
        gate.set()
        real_loop.until(lambda: told == [""], "the answer")
        checker.cancel()


def test_nobody_is_cut_short(real_loop: RunningLoop) -> None:
    """The result is told with the status line; the rest is taken all the same, so no server fails to send it."""
    body = b"x" * 60_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"
    finished = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.sendall(head)
        connection.sendall(body)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
        finished.set()

    with serving(handle) as server:
        told: list[object] = []
        checker = HttpChecker(real_loop.loop, "127.0.0.1", server.port, "/")
        checker.start(told.append)
        real_loop.until(finished.is_set, "the whole answer taken")
        assert told == [""]
        assert server.problems == []


def test_an_answer_without_end(real_loop: RunningLoop) -> None:
    """Of a stream no more than a little is taken; then it is closed."""
    ended = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"data: x\n\n" * 1000)
        ended.set()

    with serving(handle) as server:
        told: list[object] = []
        checker = HttpChecker(real_loop.loop, "127.0.0.1", server.port, "/")
        checker.start(told.append)
        real_loop.until(ended.is_set, "the stream cut")
        assert told == [""]


def test_a_server_that_never_answers(real_loop: RunningLoop) -> None:
    """Given up, the connection is closed: the server sees its end."""
    asked, closed = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        asked.set()
        assert connection.recv(1) == b""
        closed.set()

    with serving(handle) as server:
        told: list[object] = []
        checker = HttpChecker(real_loop.loop, "127.0.0.1", server.port, "/")
        checker.start(told.append)
        real_loop.until(asked.is_set, "the request")
        checker.cancel()
        assert closed.wait(PATIENCE)
        real_loop.run(0.01)
        assert told == []


def test_reset(real_loop: RunningLoop) -> None:
    """A connection that is reset instead of answered."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with serving(handle) as server:
        found = outcome(real_loop, HttpChecker(real_loop.loop, "127.0.0.1", server.port, "/"))
        assert found == "Connection reset by peer"


def test_a_long_request(real_loop: RunningLoop) -> None:
    """The longest path that a file may hold arrives whole."""
    path = "/" + "x" * 2047
    lengths: list[int] = []

    def handle(connection: socket.socket) -> None:
        lengths.append(len(read_request(connection).split()[1]))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with serving(handle) as server:
        assert outcome(real_loop, HttpChecker(real_loop.loop, "127.0.0.1", server.port, path)) == ""
    assert lengths == [2048]
