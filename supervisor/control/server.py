"""uvicorn inside our loop: its protocol and its configuration, without its server.

Its server would take over signals, poll ten times a second and accept as much as there is. We accept by ourselves
(:mod:`supervisor.control.gate`) and hand each socket over.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from supervisor.control.connection import ClientConnection
from supervisor.control.listener import Listener
from supervisor.control.routes import application
from supervisor.control.subject import Subject
from supervisor.logs.journal import Journal

KEEP_ALIVE = 5
"""Seconds that a connection may be silent between two requests."""

_HEAD_LIMIT = 16384
"""Bytes of a request's head."""


class Server:
    """Serves the connections that were let in.

    Args:
        loop: the daemon's own.
        subject: what is spoken of.
        gone: told of each connection that is over.
        journal: where mistakes of ours go.
    """

    def __init__(self, loop: Any, subject: Subject, gone: Callable[[ClientConnection], None], journal: Journal) -> None:
        self._loop = loop
        self._subject = subject
        self._gone = gone
        self._state = ServerState()
        self._configs: dict[Listener, Config] = {}
        self._handing_over: set[asyncio.Task[None]] = set()
        self._stop: Callable[[], None] | None = None
        _report_by(journal)

    def serve(self, connection: socket.socket, listener: Listener) -> ClientConnection:
        """Serve a connection; it is ours to close from now on."""
        config = self._configs.get(listener) or self._configure(listener)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client = ClientConnection(config, self._state, self._loop, self._over)
        task = self._loop.create_task(self._hand_over(connection, client))
        self._handing_over.add(task)
        task.add_done_callback(self._handing_over.discard)
        return client

    def finish(self, stop: Callable[[], None], patience: float) -> None:
        """Call ``stop`` when the last answer is out, or after so many seconds."""
        self._stop = stop
        for connection in list(self._state.connections):
            connection.shutdown()
        self._loop.call_later(patience, self._stop_once)
        self._stop_if_over()

    def _configure(self, listener: Listener) -> Config:
        config = Config(
            application(self._subject, listener),
            http=ClientConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            h11_max_incomplete_event_size=_HEAD_LIMIT,
        )
        config.load()
        self._configs[listener] = config
        return config

    async def _hand_over(self, connection: socket.socket, client: ClientConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: client, connection)
        except OSError:
            connection.close()
            self._over(client)

    def _over(self, client: ClientConnection) -> None:
        self._gone(client)
        self._loop.call_soon(self._stop_if_over)

    def _stop_if_over(self) -> None:
        if not self._state.connections:
            self._stop_once()

    def _stop_once(self) -> None:
        if self._stop is not None:
            stop, self._stop = self._stop, None
            stop()


class _Reports(logging.Handler):
    """What uvicorn has to say: our mistakes become records, those of clients are theirs."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.ERROR)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = f"{type(error).__name__}: {error}" if error is not None else record.getMessage()
        self._journal.emit("error", "internal_error", where="control", error=text)


def _report_by(journal: Journal) -> None:
    logger = logging.getLogger("uvicorn")
    logger.handlers = [_Reports(journal)]
    logger.propagate = False
    logger.setLevel(logging.ERROR)
