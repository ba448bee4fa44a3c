"""The client's half of HTTP: an answer is the same however it arrives, and an end is told from a loss."""

import itertools
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.control.client import Client, ClientError, Exchange, LostError, SilentError, UnreachableError
from supervisor.control.places import client_paths

LENGTH = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 11\r\n\r\n{"a": true}'  # fmt: skip
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none\nt\r\n5;x=1\r\nwo\nth\r\n4\r\nree\n\r\n0\r\n\r\n"
)
EMPTY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
ANSWERS = [(LENGTH, 200, b'{"a": true}'), (CHUNKED, 200, b"one\ntwo\nthree\n"), (EMPTY, 503, b"")]


def exchange() -> tuple[Exchange, socket.socket]:
    """An exchange, and the daemon's end of it."""
    ours, theirs = socket.socketpair()
    return Exchange(ours, "/x", b"GET / HTTP/1.1\r\n\r\n"), theirs


@given(answer=st.sampled_from(ANSWERS), cuts=st.lists(st.integers(1, 120), max_size=12))
def test_any_pieces(answer: tuple[bytes, int, bytes], cuts: list[int]) -> None:
    """However the kernel cuts it."""
    data, status, body = answer
    found, theirs = exchange()
    edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    for start, end in itertools.pairwise(edges):
        theirs.sendall(data[start:end])
        if not found.complete:  # the line end behind the last chunk says nothing any more
            found.pump(5)
    assert found.complete
    assert (found.status, bytes(found.body)) == (status, body)
    found.close()
    theirs.close()


@given(answer=st.sampled_from(ANSWERS[:2]), at=st.integers(0, 200))
def test_cut_anywhere(answer: tuple[bytes, int, bytes], at: int) -> None:
    """An answer that is not there to its end is a loss, wherever it ends."""
    data = answer[0][: min(at, len(answer[0]) - 5)]
    found, theirs = exchange()
    theirs.sendall(data)
    theirs.close()
    with pytest.raises(LostError):
        found.finish(5)
    found.close()


@given(st.binary(max_size=300))
def test_rubbish(data: bytes) -> None:
    """What is no HTTP ends in an error for users, and never in a wait or in another."""
    found, theirs = exchange()
    theirs.sendall(data)
    theirs.close()
    with pytest.raises(ClientError):
        found.finish(5)
    found.close()


def test_lines_as_they_come() -> None:
    """Complete ones are taken, half of one waits for its other half."""
    found, theirs = exchange()
    theirs.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\na\nb\ncd\r\n")
    found.pump(5)
    assert found.lines() == [b"a", b"b"]
    theirs.sendall(b"2\r\ne\n\r\n")
    found.pump(5)
    assert found.lines() == [b"cde"]
    assert found.lines() == []
    found.close()
    theirs.close()


def test_silence() -> None:
    """No answer in time is said to be one, for what is there and not there alike."""
    found, theirs = exchange()
    for data in (b"", b"HTTP/1.1 200 OK\r\n"):
        theirs.sendall(data)
        with pytest.raises(SilentError):
            found.finish(0.05)
    found.close()
    theirs.close()


def test_the_request(path: str) -> None:
    """One request a connection, with a body by its length."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        seen: list[bytes] = []

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(LENGTH)

        thread = threading.Thread(target=answer)
        thread.start()
        found = Client([path]).ask("POST", "/v1/x?y=1", b'{"z":1}')
        thread.join()
    assert found.status == 200
    head, body = seen[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/x?y=1 HTTP/1.1\r\nHost: ")
    assert b"\r\nConnection: close" in head
    assert b"\r\nContent-Length: 7" in head
    assert body == b'{"z":1}'


def test_the_first_that_is_there(path: str, folder: str) -> None:
    """Paths are tried in turn; all of them are named when nobody is there."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        connection, found = Client([f"{folder}/none", path]).connect()
        assert found == path
        connection.close()
    with pytest.raises(UnreachableError) as caught:
        Client([f"{folder}/none", path]).connect()
    assert [tried for tried, _ in caught.value.tried] == [f"{folder}/none", path]


@pytest.mark.parametrize(
    ("named", "environ", "expected"),
    [
        ("/a", {"PAUSEVISOR_CONTROL": "/b"}, ("/a",)),
        (None, {"PAUSEVISOR_CONTROL": "/b", "XDG_RUNTIME_DIR": "/c"}, ("/b",)),
        (None, {"XDG_RUNTIME_DIR": "/c"}, ("/run/pausevisor.sock", "/c/pausevisor.sock")),
        (None, {"XDG_RUNTIME_DIR": "/c/"}, ("/run/pausevisor.sock", "/c/pausevisor.sock")),
        (None, {"XDG_RUNTIME_DIR": "c"}, ("/run/pausevisor.sock",)),
        (None, {"PAUSEVISOR_CONTROL": ""}, ("/run/pausevisor.sock",)),
        ("", {}, ("/run/pausevisor.sock",)),
    ],
)
def test_where_a_daemon_may_be(named: str | None, environ: dict[str, str], expected: tuple[str, ...]) -> None:
    """The option, else the variable, else the usual places; what is empty counts as not given."""
    assert client_paths(environ, named) == expected
