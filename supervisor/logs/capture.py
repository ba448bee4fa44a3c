"""The children's stdout and stderr: pipes made before the spawn, read as they fill, closed when they end.

Owns every pipe from its creation to its end of file. One epoll instance watches all of them and is itself all that the
loop watches, so that a pipe costs some hundred bytes and not a loop's handle. A pipe lives as long as somebody can
write to it: a child's descendants may go on after it.

Reading stops while the sink is blocked, and then it is the child that waits. What has been read is never dropped for
that; the lines of the last chunk that the sink has no room for wait here for it to drain.

:meth:`Capture.drain` is for whoever reports exits: called before ``child_exited`` is written, it makes the child's
last words come before that.
"""

from __future__ import annotations

import fcntl
import os
import select

from supervisor.core.record import Record
from supervisor.logs.journal import MAX_RECORD, Journal
from supervisor.logs.lines import Splitter
from supervisor.logs.sink import reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.spec import Destination, Output
    from supervisor.logs.sink import Sink, Watcher
    from supervisor.logs.sinks.writer import FileLog
    from supervisor.logs.targets import Target, Targets

_CHUNK = 32768
"""Bytes a read(2): at two bytes a line, as ``yes`` writes them, 10 ms of work."""

_LINES_A_CALL = 8192
_PIPES_A_CALL = 16
"""Bounds of one call back, so that a signal is never behind more than about 10 ms of reading."""

_SLICE = 1024
"""Lines rendered at once: the sink takes them whole, so this bounds its memory."""

_TAIL_LINES, _TAIL_BYTES = 10, 1024
"""What is kept of each stream for the report of the child's end."""

_RECORDS_A_LINE = 4
"""Records of the greatest length that a line is kept together for; a longer one is passed on in pieces."""


class Pipe:
    """One stream of one child.

    Attributes:
        service: whose it is.
        stream: ``stdout`` or ``stderr``.
        pid: the process it was given to; 0 before :meth:`Capture.bind`.
        write_fd: the child's end, to be duplicated to its descriptor; -1 once bound.
    """

    __slots__ = (
        "backlog", "destinations", "drain_due", "held", "pid", "read_fd", "service", "splitter", "stream", "tail",
        "targets", "to_log", "write_fd",
    )  # fmt: skip

    def __init__(self, service: str, stream: str, fds: tuple[int, int], line_limit: int) -> None:
        self.service = service
        self.stream = stream
        self.pid = 0
        self.read_fd, self.write_fd = fds
        self.splitter = Splitter(line_limit)
        self.drain_due = False  # the child is gone and there was no room for what it left
        self.backlog: list[bytes] | None = None  # lines that wait for room
        self.to_log = True
        self.destinations: tuple[Destination, ...] = ()  # where its lines go beside the log
        self.targets: list[Target] | None = None  # the same, once there are lines
        self.held = False  # not read until a target has room
        self.tail: bytes | None = None  # the last lines, in one piece: a thousand idle children keep theirs


class Capture:
    """Reads the output of all children into the journal."""

    def __init__(
        self, journal: Journal, sink: Sink | FileLog, *, max_record: int = MAX_RECORD, targets: Targets | None = None
    ) -> None:
        """Write lines to ``journal``, as fast as ``sink``, which is the journal's, has room for them.

        Args:
            journal: what becomes of the lines.
            sink: where the journal writes.
            max_record: longest record in bytes; a line is kept together for four times as much.
            targets: who knows the targets of lines that go elsewhere.

        Raises:
            OSError: no epoll instance can be made.
        """
        self._journal = journal
        self._sink = sink
        self._line_limit = max_record * _RECORDS_A_LINE
        self._epoll = select.epoll()
        self._watcher: Watcher | None = None
        self._reading = False
        self._pipes: dict[int, Pipe] = {}  # by our end
        self._of_pid: dict[int, list[Pipe]] = {}  # of children not drained yet, ended pipes too for their tail
        self._targets = targets
        self._resumes: set[int] = set()  # targets that say when they have room again
        self._waiting: dict[Pipe, None] = {}  # with a backlog or a drain due, in order
        self._listeners: dict[str, Callable[[list[bytes]], None]] = {}  # by service
        sink.on_drain(self._resume)

    def attach(self, watcher: Watcher) -> None:
        """Read whenever ``watcher`` says so."""
        self._watcher = watcher
        self._watch(on=not self._sink.blocked)

    def open(self, service: str, stream: str, places: tuple[Output | Destination, ...] | None = None) -> Pipe:
        """Make the pipe for one stream of a child that is about to be spawned.

        Follow with :meth:`bind` or, if the spawn fails, with :meth:`discard`. Both ends are close-on-exec, and only
        ours is non-blocking.

        Args:
            service: whose it is.
            stream: ``stdout`` or ``stderr``.
            places: where the lines go; to the log only when None.

        Raises:
            OSError: no descriptor or no memory for it (EMFILE, ENFILE, ENOMEM); nothing is left open.
        """
        fds = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(fds[0], False)
            self._epoll.register(fds[0], select.EPOLLIN)
        except OSError:
            os.close(fds[0])
            os.close(fds[1])
            raise
        pipe = self._pipes[fds[0]] = Pipe(service, stream, fds, self._line_limit)
        if places is not None:
            pipe.destinations = tuple(place for place in places if isinstance(place, Record))
            pipe.to_log = len(pipe.destinations) < len(places)
        return pipe

    def bind(self, pipe: Pipe, pid: int) -> None:
        """Say which process has the write end now; ours is closed."""
        _close_write_end(pipe)
        pipe.pid = pid
        self._of_pid.setdefault(pid, []).append(pipe)

    def discard(self, pipe: Pipe) -> None:
        """Close a pipe that nobody got, because the spawn failed. Done again it does nothing."""
        _close_write_end(pipe)
        self._close_read_end(pipe)

    def listen(self, service: str, listener: Callable[[list[bytes]], None] | None) -> None:
        """Show every line of a service to a listener from now on; None ends it."""
        if listener is None:
            self._listeners.pop(service, None)
        else:
            self._listeners[service] = listener

    def drain(self, pid: int) -> list[str]:
        """Read what a dead process has left, a last line without newline included.

        Call it once, before the exit is written. What the sink has no room for is read when it has; a descendant may
        go on writing, and is read on.

        Returns:
            The last lines, at most ten and 1 KiB of each stream, those of stderr behind those of stdout: for the
            report of an end that was not expected.
        """
        tail: list[str] = []
        for pipe in self._of_pid.pop(pid, ()):
            self._drain(pipe)
            if pipe.tail is not None:
                tail += pipe.tail.decode("utf-8", "replace").split("\n")
        return tail

    def close(self) -> None:
        """Read what all pipes hold, room or not (the sink counts what it loses), and close them."""
        for pipe in list(self._waiting):
            self._deliver(pipe, [], force=True)
        for pipe in list(self._pipes.values()):
            self._drain(pipe, force=True)
            self._take(pipe, pipe.splitter.flush(), force=True)
            self.discard(pipe)
        self._watch(on=False)
        self._watcher = None
        self._epoll.close()
        self._of_pid.clear()
        self._waiting.clear()

    def _watch(self, *, on: bool) -> None:
        if self._watcher is None or on == self._reading:
            return
        if on:
            self._watcher.add_reader(self._epoll.fileno(), self._on_ready)
        else:
            self._watcher.remove_reader(self._epoll.fileno())
        self._reading = on

    def _on_ready(self) -> None:
        last = self._journal.seq + _LINES_A_CALL
        for fd, _ in self._epoll.poll(0, _PIPES_A_CALL):
            if self._sink.blocked:
                self._watch(on=False)
                return
            self._read(self._pipes[fd])
            if self._journal.seq > last:
                return  # whoever is still ready is reported again

    def _resume(self) -> None:
        """Pass on what has waited for room, then read again."""
        for pipe in list(self._waiting):
            del self._waiting[pipe]
            self._deliver(pipe, [])
            if pipe.drain_due:
                self._drain(pipe)
        self._watch(on=not self._sink.blocked)

    def _drain(self, pipe: Pipe, *, force: bool = False) -> None:
        """Read until the pipe is empty, or for as much as it can hold; what comes later is not the dead child's."""
        pipe.drain_due = False
        left = fcntl.fcntl(pipe.read_fd, fcntl.F_GETPIPE_SZ) if pipe.read_fd >= 0 else -1
        while left >= 0:  # with 0 left a pipe that was full is read once more, to see that it is empty
            if not force and self._sink.room <= 0:
                pipe.drain_due = True
                self._waiting[pipe] = None
                return
            count = self._read(pipe, force=force)
            if count < 0:
                self._take(pipe, pipe.splitter.flush(), force=force)
            left = left - count if count > 0 else -1

    def _read(self, pipe: Pipe, *, force: bool = False) -> int:
        """Read one chunk; return its length, 0 at the end of file (the pipe is closed then), -1 if nothing is there."""
        try:
            chunk = os.read(pipe.read_fd, _CHUNK)
        except BlockingIOError:
            return -1
        except OSError as error:
            where = f"reading {pipe.stream} of {pipe.service}"
            self._journal.emit("error", "internal_error", where=where, error=str(error))
            chunk = b""
        if chunk:
            self._take(pipe, pipe.splitter.feed(chunk), force=force)
        else:
            self._take(pipe, pipe.splitter.flush(), force=force)
            self._close_read_end(pipe)
        return len(chunk)

    def _take(self, pipe: Pipe, lines: list[bytes], *, force: bool = False) -> None:
        if lines:
            last = lines[-_TAIL_LINES:]
            if pipe.tail is not None:
                last = [*pipe.tail.split(b"\n"), *last][-_TAIL_LINES:]
            pipe.tail = b"\n".join(last)[-_TAIL_BYTES:]
            if pipe.to_log:
                self._deliver(pipe, lines, force=force)
            if pipe.destinations:
                self._send(pipe, lines)
            if self._listeners and (listener := self._listeners.get(pipe.service)) is not None:
                listener(lines)

    def _deliver(self, pipe: Pipe, lines: list[bytes], *, force: bool = False) -> None:
        """Pass on lines, behind those that wait, while there is room; the others wait."""
        if pipe.backlog:
            lines = pipe.backlog + lines
            pipe.backlog = None
        done = 0
        while done < len(lines) and (force or self._sink.room > 0):
            self._journal.lines(pipe.service, pipe.pid, pipe.stream, lines[done : done + _SLICE])
            done += _SLICE
        if done < len(lines):
            pipe.backlog = lines[done:]
            self._waiting[pipe] = None

    def _send(self, pipe: Pipe, lines: list[bytes]) -> None:
        """Pass on lines to the targets, and read no more while one of them is blocked."""
        if self._targets is None:
            return
        if pipe.targets is None:
            try:
                pipe.targets = [self._targets.acquire(place, pipe.service) for place in pipe.destinations]
            except OSError as error:  # no descriptor is left: the next lines try again
                fields = {"service": pipe.service, "count": len(lines), "reason": reason_of(error)}
                self._journal.emit("warning", "log_lines_dropped", sink="all", **fields)
                return
        for target in pipe.targets:
            target.lines(pipe.service, pipe.pid, pipe.stream, lines)
            if target.blocked and pipe.read_fd >= 0 and not pipe.held:
                pipe.held = True
                self._epoll.unregister(pipe.read_fd)
            if id(target) not in self._resumes:
                self._resumes.add(id(target))
                target.on_drain(self._release_held)

    def _release_held(self) -> None:
        for pipe in self._pipes.values():
            if pipe.held and not any(target.blocked for target in pipe.targets or ()):
                pipe.held = False
                self._epoll.register(pipe.read_fd, select.EPOLLIN)

    def _close_read_end(self, pipe: Pipe) -> None:
        if pipe.read_fd < 0:
            return
        for target in pipe.targets or ():
            if self._targets is not None:
                self._targets.release(target)
        # Unregistered first: a child between fork and exec may hold the same description, and epoll would go on
        # reporting it under a number that is no longer ours.
        if not pipe.held:
            self._epoll.unregister(pipe.read_fd)
        del self._pipes[pipe.read_fd]
        os.close(pipe.read_fd)
        pipe.read_fd = -1


def _close_write_end(pipe: Pipe) -> None:
    if pipe.write_fd >= 0:
        os.close(pipe.write_fd)
        pipe.write_fd = -1
