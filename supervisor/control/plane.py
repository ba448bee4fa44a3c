"""The control plane as the daemon sees it: sockets from the start, everything else when somebody comes.

Light, since the daemon carries it from its first moment: the ring and the counters fill from the first record on, and
the HTTP application is imported by the first connection (:mod:`supervisor.control.stack`).
"""

from __future__ import annotations

import os
import time

from supervisor.control.records import RecordCounts, Ring
from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervisor.control.gate import Gate
    from supervisor.control.lines import Tails
    from supervisor.control.listener import Listener, Opened
    from supervisor.control.reloading import Reloader
    from supervisor.control.server import Server
    from supervisor.control.subject import Subject
    from supervisor.logs.journal import Journal
    from supervisor.logs.tally import Tally
    from supervisor.runtime.driver import Driver

_LAST_WORDS = 0.2
"""Seconds that clients get at the end to read the last records."""


class About(Record):
    """What does not change while the daemon runs; times in seconds, of the wall clock and of the monotonic one."""

    version: str
    mode: str
    loop: str
    python: str
    pid: int
    started_at: float
    started: float


class Neighbours(Record):
    """What the control plane speaks to.

    Attributes:
        tails: has the last lines of the services.
        tally: knows how much they have written.
        reopen_logs: opens log files again.
    """

    driver: Driver
    reloader: Reloader
    tails: Tails
    tally: Tally
    reopen_logs: Callable[[], None]


class ControlPlane:
    """Everything behind the control sockets.

    Args:
        opened: the sockets.
        journal: what is written goes into the ring, and warnings of ours into the log.

    Attributes:
        ring: the latest events.
        records: how many there were of each.
    """

    def __init__(self, opened: Opened, journal: Journal) -> None:
        self.ring = Ring()
        self.records = RecordCounts()
        self.journal = journal
        self.about: About | None = None
        self._listeners: tuple[Listener, ...] = opened.listeners
        self._warnings = opened.warnings
        self._gate: Gate | None = None
        self._server: Server | None = None
        self._subject: Subject | None = None
        self._parts: tuple[Any, Neighbours] | None = None
        if self._listeners:
            journal.tap(self._record)

    def announce(self, *, version: str, mode: str, loop: str, python: str) -> None:
        """Say where we listen, and where we can't."""
        self.about = About(version, mode, loop, python, os.getpid(), time.time(), time.monotonic())
        for listener in self._listeners:
            self.journal.emit("info", "control_listening", address=listener.address, serves=listener.serves)
        for message in self._warnings:
            self.warn(message)

    def attach(self, loop: Any, daemon: Neighbours) -> None:
        """The loop turns: let clients in."""
        if not self._listeners:
            return
        from supervisor.control.gate import Gate  # noqa: PLC0415 - after the first programs run
        from supervisor.control.stack import http_stack  # noqa: PLC0415

        self._parts = loop, daemon
        self._gate = Gate(loop, self._listeners, http_stack, self._serve, self.warn)
        self._gate.open()

    def finish(self, stop: Callable[[], None]) -> None:
        """The last record is written: followers read it, and then ``stop`` is called, after a moment at most."""
        self.ring.close()
        if self._subject is not None:
            self._subject.lines.close()
        if self._gate is None or self._server is None:
            stop()
            return
        self._gate.pause()
        self._server.finish(stop, _LAST_WORDS)

    def close(self) -> None:
        """Leave nothing behind in the file system."""
        if self._gate is not None:
            self._gate.close()
        for listener in self._listeners:
            listener.close()

    def warn(self, message: str) -> None:
        """Something about the control plane that users have to know."""
        self.journal.emit("warning", "supervisor_warning", message=message)

    def _serve(self, connection: Any, listener: Listener) -> Any:
        if self._server is None:
            self._server = self._make_server()
        return self._server.serve(connection, listener)

    def _make_server(self) -> Server:
        from supervisor.control.server import Server  # noqa: PLC0415 - the HTTP stack, which is imported by now
        from supervisor.control.subject import Subject  # noqa: PLC0415

        if self._parts is None or self._gate is None or self.about is None:
            raise RuntimeError("a connection before the loop")  # can't happen: the gate is opened when all are set
        loop, daemon = self._parts
        self._subject = Subject(daemon, self.ring, self.records, self.about, self.journal)
        return Server(loop, self._subject, self._gate.gone, self.journal)

    def _record(self, record: dict[str, object]) -> None:
        self.records.add(record)
        number = record["seq"]
        if isinstance(number, int):
            self.ring.add(number, record)
