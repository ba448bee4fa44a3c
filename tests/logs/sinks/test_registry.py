"""Who shares a target with whom."""

import os
import select
import socket

import pytest

from supervisor.core.spec import FileSink, SyslogSink
from supervisor.logs.sinks import sockets
from supervisor.logs.sinks.registry import Sinks
from tests.logs.sinks.support import Bench


def test_a_file_has_one_writer_however_it_is_spelled(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """Of two who rotate one file, each would move what the other is writing, or compress it away."""
    os.mkdir(os.path.join(tmp_path, "sub"))
    sinks = Sinks(on.tell)
    sinks.attach(on.loop)
    spellings = ("web.log", "{service}.log", "sub/../web.log")
    first, *others = [sinks.acquire(FileSink(os.path.join(tmp_path, name)), "web") for name in spellings]
    other = sinks.acquire(FileSink(os.path.join(tmp_path, "{service}.log")), "db")
    assert all(target is first for target in others)
    assert other is not first
    sinks.close()


def test_a_connection_that_nobody_uses_is_closed(on: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written has arrived before; it is no failure, and the next line connects again."""
    monkeypatch.setattr(sockets, "_LINGER", 0.01)
    sinks = Sinks(on.tell)
    sinks.attach(on.loop)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        spec = SyslogSink("tcp", "127.0.0.1", server.getsockname()[1])
        for text in (b"one", b"two"):
            target = sinks.acquire(spec, "web")
            sinks.release(sinks.acquire(spec, "db"))
            target.lines("web", 7, "stdout", [text])
            with accepted(on, server) as connection:
                assert text in received(on, connection)
                sinks.release(target)
                assert received(on, connection) == b"", "the end of the stream"
    assert on.told == []
    sinks.close()


def accepted(on: Bench, server: socket.socket) -> socket.socket:
    """The next connection, as soon as there is one."""
    on.until(lambda: select.select([server], [], [], 0)[0], "a connection")
    connection, _ = server.accept()
    return connection


def received(on: Bench, connection: socket.socket) -> bytes:
    """What has arrived, as soon as there is something; nothing at the end of the stream."""
    on.until(lambda: select.select([connection], [], [], 0)[0], "bytes, or the end")
    return connection.recv(65536)
