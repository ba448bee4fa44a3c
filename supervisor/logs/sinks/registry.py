"""All targets of the daemon: one for each file, journal socket and syslog address, whoever shares it."""

import posixpath
import time

from supervisor.core.record import replace
from supervisor.core.spec import Destination, FileSink, JournaldSink, SyslogSink
from supervisor.logs.sink import Sink
from supervisor.logs.sinks.buffered import Buffered
from supervisor.logs.sinks.files import FileTarget, Render, render_json
from supervisor.logs.sinks.workers import Workers
from supervisor.logs.sinks.writer import FileLog, FileWriter
from supervisor.logs.targets import Loop, Target, Tell

_PLACEHOLDER = "{service}"


class Sinks:
    """Makes targets at their first use, and lets go of them after their last.

    Args:
        tell: writes records about them.
        log: the log's own sink; where it is a file, it is opened again with the others.
    """

    def __init__(self, tell: Tell, log: Sink | FileLog | None = None) -> None:
        self._tell = tell
        self._log = log if isinstance(log, FileLog) else None
        self._workers = self._log.workers if self._log is not None else None
        self._loop: Loop | None = None
        self._targets: dict[object, Target] = {}
        self._users: dict[int, int] = {}
        if self._log is not None:
            self._log.tell_by(tell)

    def attach(self, loop: Loop) -> None:
        """Let all targets work, those to come too."""
        self._loop = loop
        if self._workers is not None:
            self._workers.attach(loop)
        for target in self._targets.values():
            target.attach(loop)

    def acquire(self, destination: Destination, service: str, *, render: Render | None = None) -> Target:
        """The target of a destination, for one more user; ``service`` stands in for the placeholder of a path."""
        if isinstance(destination, FileSink):
            destination = replace(destination, path=destination.path.replace(_PLACEHOLDER, service))
        # not told by its spelling: two who rotate one file would lose of each other's lines
        key = posixpath.normpath(destination.path) if isinstance(destination, FileSink) else destination
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = self._make(destination, render or render_json)
            if self._loop is not None:
                target.attach(self._loop)
        elif isinstance(target, FileTarget) and isinstance(destination, FileSink):
            target.configure(destination)  # a reload may have changed its limits
        self._users[id(target)] = self._users.get(id(target), 0) + 1
        return target

    def release(self, target: Target) -> None:
        """One user less; without users it is closed when all is written, until somebody uses it again."""
        self._users[id(target)] -= 1
        if not self._users[id(target)]:
            target.idle()

    def reopen(self) -> None:
        """Open all files again; when all are, a record says so."""
        targets = [target for target in self._targets.values() if isinstance(target, FileTarget)]
        files: list[FileWriter] = [target for target in targets if not target.is_idle]
        if self._log is not None:
            files.append(self._log)
        waiting = {file.name for file in files}

        def reopened(name: str) -> None:
            waiting.discard(name)
            if not waiting:
                self._tell("info", "logs_reopened", sinks=[file.name for file in files])

        for file in files:
            file.reopen(lambda name=file.name: reopened(name))  # type: ignore[misc]  # a string

    def flush(self, timeout: float) -> None:
        """Write what waits, for the end of the process: blocks for at most ``timeout`` seconds in all."""
        deadline = time.monotonic() + timeout
        for target in self._targets.values():
            target.flush(deadline - time.monotonic())

    def tell(self) -> None:
        """Say now what was lost, and what has not gone out by the end of the process will be."""
        for target in self._targets.values():
            if isinstance(target, Buffered):
                target.tell()

    def close(self) -> None:
        """Let go of everything."""
        for target in self._targets.values():
            target.close()
        self._targets.clear()
        if self._workers is not None:
            self._workers.close()

    def _make(self, destination: Destination, render: Render) -> Target:
        match destination:
            case FileSink():
                return FileTarget(destination, self._tell, self._threads(), render=render)
            case JournaldSink():
                from supervisor.logs.sinks.journald import JournaldTarget  # noqa: PLC0415 - who has one pays for it

                return JournaldTarget(destination, self._tell)
            case SyslogSink():
                from supervisor.logs.sinks.syslog import SyslogTarget  # noqa: PLC0415 - likewise

                return SyslogTarget(destination, self._tell, self._threads())

    def _threads(self) -> Workers:
        if self._workers is None:
            self._workers = Workers()
            if self._loop is not None:
                self._workers.attach(self._loop)
        return self._workers
