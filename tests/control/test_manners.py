"""Clients without manners: the daemon refuses them or cuts them off, answers the others, and does its work."""

import contextlib
import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from random import Random

import pytest

from tests.control.client import Client, raw
from tests.control.conftest import StartControlled
from tests.harness import Daemon, How
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import program, service, table

WEB = service("web", "sleep", "1000")
IGNORE = table("supervisor", on_failure="ignore", when_done="pause")


@pytest.fixture
def served(control: StartControlled) -> tuple[Daemon, Client]:
    """A daemon that has been asked once, so that what serves HTTP is imported, and has no client now."""
    daemon, client = control(WEB)
    assert client.get("/livez").status == 200
    procfs.wait_until(lambda: connections(daemon, client) == 0, "the first connection is closed")
    return daemon, client


@pytest.fixture
def many() -> Iterator[None]:
    """Room for thousands of descriptors in the tests' own process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("too few descriptors may be opened here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connections(daemon: Daemon, client: Client) -> int:
    """How many connections through the path the daemon has open, whether or not somebody is at the other end."""
    with open("/proc/net/unix", encoding="utf-8") as file:
        entries = [line.split() for line in file]
    inodes = {f"socket:[{entry[6]}]" for entry in entries if entry[-1] == client.at}
    return len(inodes.intersection(procfs.descriptors(daemon.pid).values())) - 1  # one of them listens


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(procfs.status(pid)["VmRSS"].split()[0]) * 1024


def say(client: Client, *pieces: bytes) -> bytes:
    """Say anything, piece by piece, as far as the daemon listens; all that it answers."""
    with raw(str(client.at)) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        answer = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                answer += data
        return bytes(answer)


def status_of(answer: bytes) -> int:
    """Status of the first answer."""
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer.split()[1])


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\xff" * 10 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"POST /v1/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
    ],
)
def test_what_is_no_http(served: tuple[Daemon, Client], data: bytes) -> None:
    """It is answered by a problem document, and the connection is closed."""
    _, client = served
    answer = say(client, data)
    assert status_of(answer) in (400, 501)
    assert b"application/problem+json" in answer
    assert client.service("web")["state"] == "running"


def test_a_long_head(served: tuple[Daemon, Client]) -> None:
    """A head that never ends, one long header or a million short ones: cut off early, and memory stays as it was."""
    daemon, client = served
    before = resident(daemon.pid)
    for piece in (b"X: " + b"y" * 100_000, b"X: y\r\n" * 20_000):
        answer = say(client, b"GET /livez HTTP/1.1\r\nHost: x\r\n", *[piece] * 100)
        assert not answer or status_of(answer) == 400
    assert resident(daemon.pid) - before < 5 * 2**20
    assert client.get("/livez").status == 200


@pytest.mark.parametrize("where", ["/v1/services/web/signal", "/v1/services/web/start", "/livez"])
def test_a_long_body(served: tuple[Daemon, Client], where: str) -> None:
    """A hundred megabytes: refused, and cut off after two; memory stays as it was."""
    daemon, client = served
    before = resident(daemon.pid)
    method = b"GET" if where == "/livez" else b"POST"
    head = method + b" " + where.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n"
    sent, answer = 0, bytearray()
    with raw(str(client.at)) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head)
            while sent < 100 * 2**20:
                sent += connection.send(b"x" * 65536)
        with contextlib.suppress(ConnectionResetError):
            answer += connection.recv(65536)
    assert sent < 10 * 2**20
    assert status_of(bytes(answer)) in ({413} if where.endswith("signal") else {200, 202})
    assert resident(daemon.pid) - before < 5 * 2**20


def test_chunks_for_ever(served: tuple[Daemon, Client]) -> None:
    """A body without a length ends at the same bound."""
    daemon, client = served
    before = resident(daemon.pid)
    head = b"POST /v1/services/web/signal HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = say(client, head, *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 1000)
    assert not answer or status_of(answer) == 413
    tiny = say(client, head, *[b"1\r\nx\r\n" * 10_000] * 100)
    assert not tiny or status_of(tiny) in (413, 422)
    assert resident(daemon.pid) - before < 5 * 2**20


def test_pipelined_requests(served: tuple[Daemon, Client]) -> None:
    """Several requests in one piece are answered in their order."""
    _, client = served
    request = b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
    requests = [
        request % (b"/livez", b""),
        request % (b"/nothing", b""),
        request % (b"/v1/version", b"Connection: close\r\n"),
    ]
    answer = say(client, b"".join(requests))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"404", b"200"]
    assert b'"uptime_s"' in answer


def test_slow_clients(served: tuple[Daemon, Client], many: None) -> None:
    """Five hundred that say a byte now and then: others are answered at once, and a TERM is not behind them."""
    del many
    daemon, client = served
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(raw(str(client.at))) for _ in range(500)]
        for byte in b"GET /":
            for connection in slow:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(bytes([byte]))
            assert client.get("/livez").status == 200
        assert 0 < connections(daemon, client) <= 257  # it was not their end that let the others through
        assert daemon.stop() == 0


def test_a_request_that_never_ends(control: StartControlled) -> None:
    """It is cut off when its time is over, and so is a connection that never says anything."""
    daemon, client = control(WEB)
    silent, slow, body = (raw(str(client.at)) for _ in range(3))
    slow.sendall(b"GET /livez HTTP/1.1\r\nHost:")
    body.sendall(b"POST /v1/services/web/signal HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12")
    for connection in (silent, slow, body):
        with connection:
            connection.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionResetError):
                connection.recv(65536)
    assert client.get("/livez").status == 200
    assert daemon.events("internal_error") == []


def test_a_thousand_connections(served: tuple[Daemon, Client], many: None) -> None:
    """More than there is room for: those that have nothing to say make room, and the daemon never has more."""
    del many
    daemon, client = served
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(raw(str(client.at)))
        assert client.get("/livez").status == 200
        assert connections(daemon, client) <= 257
    procfs.wait_until(lambda: connections(daemon, client) == 0, "their end is noticed")


def test_room_is_not_made_by_those_who_are_served(served: tuple[Daemon, Client], many: None) -> None:
    """With all places taken by followers a new client is told so, and gets in when one of them goes."""
    del many
    daemon, client = served
    followers = []
    for _ in range(256):
        follower = raw(str(client.at))
        follower.sendall(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
        assert follower.recv(1)
        followers.append(follower)
    answer = client.get("/livez")
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    followers.pop().close()
    procfs.wait_until(lambda: client.get("/livez").status == 200, "there is room again")
    for follower in followers:
        follower.close()
    assert daemon.events("internal_error") == []


def test_coming_and_going(served: tuple[Daemon, Client]) -> None:
    """Thousands of connections that are closed, half closed or reset leave no descriptor and no memory behind."""
    daemon, client = served

    def come_and_go(count: int) -> None:
        for number in range(count):
            with raw(str(client.at)) as connection:
                if number % 4 == 1:
                    connection.sendall(b"GET /v1/services HTTP/1.1\r\nHost: x\r\n\r\n")
                elif number % 4 == 2:
                    connection.sendall(b"GET /v1/ser")
                    connection.shutdown(socket.SHUT_WR)
                elif number % 4 == 3:
                    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                    connection.recv(16)

    come_and_go(500)
    procfs.wait_until(lambda: connections(daemon, client) == 0, "all are closed")
    before, descriptors = resident(daemon.pid), len(procfs.descriptors(daemon.pid))
    come_and_go(3000)
    procfs.wait_until(lambda: len(procfs.descriptors(daemon.pid)) == descriptors, "all are closed")
    assert resident(daemon.pid) - before < 2 * 2**20
    assert daemon.events("internal_error") == []


def test_an_answer_that_nobody_takes(control: StartControlled) -> None:
    """Who asks for much and reads nothing is cut off after a while, and costs little until then."""
    settings = [service(f"s{n}", "sleep", "1000", stdout="null", stderr="null") for n in range(500)]
    daemon, client = control(*settings)
    assert client.get("/livez").status == 200
    before = resident(daemon.pid)
    lazy = [raw(str(client.at)) for _ in range(50)]
    for connection in lazy:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /v1/services HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    assert client.get("/livez").status == 200
    assert resident(daemon.pid) - before < 10 * 2**20
    procfs.wait_until(lambda: connections(daemon, client) == 0, "they are cut off")
    for connection in lazy:
        connection.close()


def test_too_few_descriptors(control: StartControlled) -> None:
    """Clients take what descriptors there are, but for those that the daemon needs: spawning and stopping go on."""
    how = How(conditions={"descriptors": 64})
    restarted = service("web", *program("actor", "USR1=exit:1", "any=die"), restart_delay="0s")
    daemon, client = control(IGNORE, restarted, how=how)
    daemon.wait_line("ready")
    assert client.get("/livez").status == 200
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(raw(str(client.at)))
        child = daemon.events("child_started", service="web")[-1]["pid"]
        daemon.kill(child, "USR1")
        daemon.wait_event("child_started", service="web", attempt=2)
        daemon.wait_line("ready", count=2)
        before, began = procfs.cpu_ticks(daemon.pid), time.monotonic()
        procfs.wait_until(lambda: time.monotonic() - began > 2, "time to spin in")
        assert procfs.cpu_ticks(daemon.pid) - before < 20
        assert daemon.stop() == 0
    assert daemon.events("child_spawn_failed") == []


def test_no_descriptor_at_all(served: tuple[Daemon, Client]) -> None:
    """Where not even a connection can be accepted the daemon does not spin, says so once, and goes on when it can."""
    daemon, client = served
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (4, limits[1]))
    with raw(str(client.at)) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        warning = daemon.wait_event("supervisor_warning")
        assert "cannot accept connections: Too many open files" in str(warning["message"])
        before, began = procfs.cpu_ticks(daemon.pid), time.monotonic()
        procfs.wait_until(lambda: time.monotonic() - began > 2.5, "time to spin in")
        assert procfs.cpu_ticks(daemon.pid) - before < 20
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert len(daemon.events("supervisor_warning")) == 1


def test_another_user(control: StartControlled, path: str) -> None:
    """Whoever else the mode lets in is told that it is not for them."""
    if os.geteuid() != 0:
        pytest.skip("becomes another user")
    daemon, client = control(WEB)
    source = (
        "import http.client, os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "client = socket.socket(socket.AF_UNIX)\n"
        f"try:\n    client.connect({path!r})\nexcept PermissionError:\n    sys.exit('EACCES')\n"
        "client.sendall(b'POST /v1/shutdown HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "answer = http.client.HTTPResponse(client); answer.begin(); print(answer.status, answer.read().decode())\n"
    )

    def attempt() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)

    assert attempt().stderr.strip() == "EACCES"
    assert client.get("/livez").status == 200
    os.chmod(path, 0o666)
    refused = attempt()
    assert refused.stdout.startswith("403 ")
    assert '"status":403' in refused.stdout
    assert daemon.events("shutdown_started") == []


def test_term_is_not_behind_the_import(control: StartControlled) -> None:
    """A signal that comes while the first client waits for the import is read between two of its steps."""
    daemon, client = control(service("web", *program("actor", "any=stay", "TERM=die")))
    daemon.wait_line("ready")
    with raw(str(client.at)) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        daemon.signal("USR1")
        daemon.wait_event("signal_received", signal_name="SIGUSR1")
        told = time.monotonic() - began
        assert connection.recv(16).startswith(b"HTTP/1.1 200")
        served = time.monotonic() - began
    assert told < max(0.5, served)
    assert daemon.stop() == 0


def test_a_terminated_daemon_during_the_import(control: StartControlled) -> None:
    """TERM in the middle of the import ends the daemon in order, and the client is not left hanging."""
    daemon, client = control(WEB)
    with raw(str(client.at)) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        daemon.signal("TERM")
        assert daemon.wait() == 0
        with contextlib.suppress(ConnectionResetError):
            connection.recv(100)


def test_a_frozen_daemon(served: tuple[Daemon, Client]) -> None:
    """Clients of a stopped daemon wait, and are answered when it goes on."""
    daemon, client = served
    daemon.freeze()
    connection = client.connection()
    connection.request("GET", "/livez")
    daemon.signal(signal.SIGCONT)
    assert connection.getresponse().status == 200
    connection.close()


def test_expect_continue(served: tuple[Daemon, Client]) -> None:
    """A client that asks first whether it may send is told to, as RFC 9110 has it."""
    _, client = served
    with raw(str(client.at)) as connection:
        connection.sendall(
            b"POST /v1/services/web/signal HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 17\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b'{"signal":"CONT"}')
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 200


@pytest.mark.parametrize("method", [b"POST", b"GET", b"HEAD"])
@pytest.mark.parametrize("where", [b"/v1/services/web/signal", b"/v1/services/web/start", b"/v1/events?follow=true"])
def test_a_body_that_is_no_http(served: tuple[Daemon, Client], method: bytes, where: bytes) -> None:
    """A request whose rest is nonsense ends the connection, in the middle of its answer too; no mistake is ours."""
    daemon, client = served
    head = method + b" " + where + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = say(client, head + b"nonsense\r\n")
    assert answer == b"" or status_of(answer) in (200, 202, 400, 405)
    assert client.get("/livez").status == 200
    assert daemon.events("internal_error") == []


def test_what_comes_behind_a_request(served: tuple[Daemon, Client]) -> None:
    """A client that goes on talking to a stream without end: a little is kept, more cuts it off, its end is seen."""
    daemon, client = served
    head = b"GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n"
    with raw(str(client.at)) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.get("/livez").status == 200  # by now that is read
    procfs.wait_until(lambda: connections(daemon, client) == 0, "its end is seen")
    before = resident(daemon.pid)
    say(client, head, *[b"x" * 65536] * 1000)
    assert resident(daemon.pid) - before < 2 * 2**20
    procfs.wait_until(lambda: connections(daemon, client) == 0, "it is cut off")
    assert daemon.events("internal_error") == []


def test_requests_at_random(served: tuple[Daemon, Client]) -> None:
    """Thousands of requests that are nearly right: no mistake of ours, no descriptor and no memory left behind."""
    daemon, client = served
    random = Random(0)
    descriptors = len(procfs.descriptors(daemon.pid))
    nearly_right(client, random, 500)
    before = resident(daemon.pid)
    nearly_right(client, random, 3000)
    procfs.wait_until(lambda: len(procfs.descriptors(daemon.pid)) == descriptors, "all are closed")
    assert resident(daemon.pid) - before < 6 * 2**20  # the ring of events fills
    assert daemon.events("internal_error") == []
    assert client.get("/livez").status == 200


METHODS = (b"GET", b"GET", b"GET", b"POST", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT")
TARGETS = (
    *(b"/v1/version", b"/v1/services", b"/v1/services/web/signal", b"/v1/services/web/restart?wait=true"),
    *(b"/v1/events?follow=true&since=0", b"/v1/logs", b"/metrics", b"/readyz", b"*", b"http://x/livez"),
)
HEADERS = (
    *(b"Content-Length: 3", b"Content-Length: 17", b"Transfer-Encoding: chunked", b"Connection: close", b"Cookie: a=b"),
    *(b"Connection: upgrade\r\nUpgrade: websocket", b"Expect: 100-continue", b"Accept: text/event-stream"),
)
BODIES = (b"", b'{"signal":"CONT"}', b"[1", b"5\r\nhello\r\n0\r\n\r\n", b"\xff" * 20)


def nearly_right(client: Client, random: Random, count: int) -> None:
    """So many connections, with some requests each, of which some are damaged."""
    for _ in range(count):
        with raw(str(client.at)) as connection, contextlib.suppress(OSError):
            for _ in range(random.randint(1, 4)):
                headers = [b"Host: x", *random.sample(HEADERS, random.randint(0, 3))]
                line = random.choice(METHODS) + b" " + random.choice(TARGETS) + b" HTTP/1.1"
                request = bytearray(b"\r\n".join([line, *headers, b"", random.choice(BODIES)]))
                for _ in range(random.randint(1, 6) if random.random() < 0.4 else 0):
                    request[random.randrange(len(request))] = random.randrange(256)
                connection.sendall(request)
            connection.settimeout(0.002)
            connection.recv(65536)
