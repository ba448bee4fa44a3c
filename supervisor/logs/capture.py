"""The children's stdout and stderr: pipes made before the spawn, read as they fill, closed when they end.

Owns every pipe from its creation to its end of file. One epoll instance watches all of them and is itself all that the
loop watches, so that a pipe costs some hundred bytes and not a loop's handle; those whose service is not to wait for
the log (``overflow``) have an instance of their own, which is never put aside. A pipe lives as long as somebody can
write to it: a child's descendants may go on after it.

Reading stops while the sink is blocked, and then it is the child that waits. What has been read is never dropped for
that; what becomes of it is :mod:`supervisor.logs.dispatch`.

:meth:`Capture.drain` is for whoever reports exits: called before ``child_exited`` is written, it makes the child's
last words come before that.
"""

from __future__ import annotations

import fcntl
import os
import select
import time

from supervisor.core.record import Record
from supervisor.core.spec import Ansi, Overflow
from supervisor.logs.dispatch import Dispatcher
from supervisor.logs.journal import MAX_RECORD, Journal
from supervisor.logs.pipes import CHUNK, LARGE_CHUNK, PLAIN, Pipe
from supervisor.logs.sink import Sink
from supervisor.logs.tally import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from enum import Enum
    from typing import Any, Protocol

    from supervisor.core.spec import ServiceLog
    from supervisor.logs.sink import Watcher
    from supervisor.logs.sinks.writer import FileLog
    from supervisor.logs.tails import Tails
    from supervisor.logs.targets import Targets

    class Loop(Watcher, Protocol):
        """What reading needs of an event loop."""

        def call_later(self, delay: float, callback: Callable[[], object], /) -> Any:
            """Run the callback after ``delay`` seconds."""


_PIPE = 65536
"""Bytes that a pipe takes, unless enlarged."""

_KEPT = 3 << 20
"""Half the bytes that the C library keeps in hand once lines come fast; what becomes of a large chunk takes 3 MB."""

_LINES_A_CALL = 8192
_PIPES_A_CALL = 16
"""Bounds of one call back, so that a signal is never behind more than about 10 ms of reading."""

_RECORDS_A_LINE = 4
"""Records of the greatest length that a line is kept together for; a longer one is passed on in pieces."""


class Capture:
    """Reads the output of all children into the journal.

    Attributes:
        tally: how much they have written.
    """

    def __init__(
        self,
        journal: Journal,
        sink: Sink | FileLog,
        *,
        max_record: int = MAX_RECORD,
        targets: Targets | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write lines to ``journal``, as fast as ``sink``, which is the journal's, has room for them.

        Args:
            journal: what becomes of the lines.
            sink: where the journal writes.
            max_record: longest record in bytes; a line is kept together for four times as much.
            targets: knows where lines may go beside the log.
            clock: monotonic seconds.

        Raises:
            OSError: no epoll instance can be made.
        """
        self.tally = Tally()
        self._journal = journal
        self._sink = sink
        self._clock = clock
        self._line_limit = max_record * _RECORDS_A_LINE
        self._dispatcher = Dispatcher(journal, sink, targets, self._resume_paused)
        self._epoll = select.epoll()
        self._restless: select.epoll | None = None  # watches the pipes whose services don't wait for the log
        self._loop: Loop | None = None
        self._reading = False
        self._closing = False
        self._in_haste = False  # lines have come faster than they were read
        self._pipes: dict[int, Pipe] = {}  # by our end
        self._of_pid: dict[int, list[Pipe]] = {}  # of children not drained yet, ended pipes too for their tail
        self._paused: dict[Pipe, None] = {}
        self._holding: dict[Pipe, None] = {}
        self._timer_runs = False
        sink.on_drain(self._resume)

    @property
    def tails(self) -> Tails:
        """The last lines of all services, and their followers."""
        return self._dispatcher.tails

    def attach(self, loop: Loop) -> None:
        """Read whenever ``loop`` says so."""
        self._loop = loop
        self._watch(on=not self._sink.blocked)
        if self._restless is not None:
            loop.add_reader(self._restless.fileno(), self._on_restless)

    def open(
        self,
        service: str,
        stream: str,
        log: ServiceLog = PLAIN,
        places: Sequence[Record | Enum] | None = None,
    ) -> Pipe:
        """Make the pipe for one stream of a child that is about to be spawned.

        Follow with :meth:`bind` or, if the spawn fails, with :meth:`discard`. Both ends are close-on-exec, and only
        ours is non-blocking.

        Args:
            service: whose it will be.
            stream: ``stdout`` or ``stderr``.
            log: what becomes of its lines.
            places: where they go: a record is a destination that ``targets`` knows, anything else is the log. To the
                log only when None.

        Raises:
            OSError: no descriptor or no memory for it (EMFILE, ENFILE, ENOMEM); nothing is left open.
        """
        fds = os.pipe2(os.O_CLOEXEC)
        pipe = Pipe(service, stream, fds, self._line_limit)
        pipe.log = log
        pipe.places, pipe.to_log = _split(places)
        try:
            os.set_blocking(fds[0], False)
            self._prepare(pipe)
            self._epoll_of(pipe).register(fds[0], select.EPOLLIN)
        except OSError:
            os.close(fds[0])
            os.close(fds[1])
            raise
        self._pipes[fds[0]] = pipe
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
        """Show every line of a service to a listener from now on, as it was written; None ends it."""
        self._dispatcher.listen(service, listener)

    def change(self, wanted: Mapping[tuple[str, str], tuple[ServiceLog, Sequence[Record | Enum] | None]]) -> None:
        """Do something else with the lines of these streams, by service and name, from now on.

        What was read before has gone, or goes, by what was said before, but for an unfinished line and for lines that
        are held for the next one. What cannot be changed now is told, and stays.

        Args:
            wanted: what becomes of the lines, and where they go; see :meth:`open`.
        """
        for pipe in list(self._pipes.values()):
            settings = wanted.get((pipe.service, pipe.stream))
            if settings is None:
                continue
            try:
                self._change(pipe, settings[0], *_split(settings[1]))
            except OSError as error:
                message = f"what becomes of {pipe.stream} can't be changed before the next start: {error}"
                self._journal.emit("warning", "supervisor_warning", service=pipe.service, message=message)

    def drain(self, pid: int) -> list[str]:
        """Read what a dead process has left, a last line without newline included.

        Call it once, before the exit is written. What the sink has no room for is read when it has; a descendant may
        go on writing, and is read on.

        Returns:
            The last lines of each stream, as many as the service's ``tail``, those of stderr behind those of stdout:
            for the report of an end that was not expected.
        """
        pipes = self._of_pid.pop(pid, [])
        for pipe in pipes:
            self._drain(pipe)
        return self._dispatcher.report(pipes)

    def close(self) -> None:
        """Read what all pipes hold, and close them.

        Blocks as long as whoever reads the log goes on reading; what it then has no room for is counted by the sink.
        """
        self._closing = True
        for pipe in list(self._dispatcher.waiting):
            self._dispatcher.deliver(pipe, [], force=True)
        for pipe in list(self._pipes.values()):
            self._drain(pipe, force=True)
            self._dispatcher.take(pipe, pipe.flush(), final=True, force=True)
            self.discard(pipe)
        self._watch(on=False)
        if self._restless is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._restless.fileno())
            self._restless.close()
            self._restless = None
        self._loop = None
        self._epoll.close()
        self._of_pid.clear()
        self._holding.clear()
        self._paused.clear()
        self._dispatcher.waiting.clear()

    # -- what is watched -----------------------------------------------------------------------------------------

    def _prepare(self, pipe: Pipe) -> None:
        """Give a pipe what its lines need beside being split, and it does not have."""
        if pipe.log.ansi is Ansi.STRIP and pipe.stripper is None:
            from supervisor.logs.strip import Stripper  # noqa: PLC0415 - only where asked for

            pipe.stripper = Stripper()
        if pipe.log.multiline is not None and pipe.joiner is None:
            from supervisor.logs.multiline import Joiner  # noqa: PLC0415 - only where asked for

            pipe.joiner = Joiner(pipe.log.multiline)

    def _change(self, pipe: Pipe, log: ServiceLog, places: tuple[Record, ...], to_log: bool) -> None:
        if (log, places, to_log) == (pipe.log, pipe.places, pipe.to_log):
            return
        self._complete(pipe, log)
        old, watched_by = pipe.log, self._epoll_of(pipe)
        epoll = self._epoll_for(waits=to_log and log.overflow is Overflow.BLOCK)
        moves = epoll is not watched_by and not pipe.paused
        if moves:
            epoll.register(pipe.read_fd, select.EPOLLIN)
        try:
            self._dispatcher.change(pipe, log, places, to_log=to_log)
        except OSError:
            if moves:
                epoll.unregister(pipe.read_fd)
            raise
        if moves:
            watched_by.unregister(pipe.read_fd)
        if log.ansi is not old.ansi:
            pipe.stripper = None
        if log.multiline != old.multiline:
            pipe.joiner = None
        self._prepare(pipe)
        self._resume_paused()

    def _complete(self, pipe: Pipe, log: ServiceLog) -> None:
        """Pass on what was begun by settings that end now, and can't be gone on with by others."""
        lines: list[bytes] = []
        if pipe.stripper is not None and log.ansi is not pipe.log.ansi:
            lines += pipe.splitter.feed(pipe.stripper.flush())
        if pipe.splitter.within:  # whoever has got its pieces is to get its end
            lines += pipe.splitter.flush()
        self._dispatcher.take(pipe, lines)
        if log.multiline != pipe.log.multiline:
            self._dispatcher.expire(pipe)

    def _epoll_of(self, pipe: Pipe) -> select.epoll:
        return self._epoll_for(waits=pipe.waits and pipe.to_log)

    def _epoll_for(self, *, waits: bool) -> select.epoll:
        if waits:
            return self._epoll
        if self._restless is None:
            self._restless = select.epoll()
            if self._loop is not None:
                self._loop.add_reader(self._restless.fileno(), self._on_restless)
        return self._restless

    def _watch(self, *, on: bool) -> None:
        if self._loop is None or on == self._reading:
            return
        if on:
            self._loop.add_reader(self._epoll.fileno(), self._on_ready)
        else:
            self._loop.remove_reader(self._epoll.fileno())
        self._reading = on

    def _on_ready(self) -> None:
        last = self._dispatcher.taken + _LINES_A_CALL
        for fd, _ in self._epoll.poll(0, _PIPES_A_CALL):
            if self._sink.blocked:
                self._watch(on=False)
                return
            self._read_ready(self._pipes[fd])
            if self._dispatcher.taken > last:
                return  # whoever is still ready is reported again

    def _on_restless(self) -> None:
        last = self._dispatcher.taken + _LINES_A_CALL
        for fd, _ in self._restless.poll(0, _PIPES_A_CALL) if self._restless is not None else ():
            self._read_ready(self._pipes[fd])
            if self._dispatcher.taken > last:
                return

    def _read_ready(self, pipe: Pipe) -> None:
        if pipe.has_to_wait:
            pipe.paused = True
            self._paused[pipe] = None
            self._epoll_of(pipe).unregister(pipe.read_fd)
        else:
            self._read(pipe)

    def _resume_paused(self) -> None:
        """A target has room again: watch those that waited for it."""
        for pipe in list(self._paused):
            if not pipe.has_to_wait:
                del self._paused[pipe]
                pipe.paused = False
                self._epoll_of(pipe).register(pipe.read_fd, select.EPOLLIN)

    def _resume(self) -> None:
        """Pass on what has waited for room, then read again."""
        if self._closing:
            return
        waiting = self._dispatcher.waiting
        for pipe in list(waiting):
            del waiting[pipe]
            self._dispatcher.deliver(pipe, [])
            if pipe.drain_due:
                self._drain(pipe)
        self._watch(on=not self._sink.blocked)

    # -- what is read --------------------------------------------------------------------------------------------

    def _drain(self, pipe: Pipe, *, force: bool = False) -> None:
        """Read until the pipe is empty, or for as much as it can hold; what comes later is not the dead child's."""
        pipe.drain_due = False
        left = fcntl.fcntl(pipe.read_fd, fcntl.F_GETPIPE_SZ) if pipe.read_fd >= 0 else -1
        while left >= 0:  # with 0 left a pipe that was full is read once more, to see that it is empty
            if not force and pipe.waits and pipe.to_log and self._sink.room <= 0:
                pipe.drain_due = True
                self._dispatcher.waiting[pipe] = None
                return
            count = self._read(pipe, force=force)
            if count < 0:
                self._dispatcher.take(pipe, pipe.flush(), final=True, force=force)
            left = left - count if count > 0 else -1

    def _read(self, pipe: Pipe, *, force: bool = False) -> int:
        """Read one chunk; return its length, 0 at the end of file (the pipe is closed then), -1 if nothing is there."""
        try:
            chunk = os.read(pipe.read_fd, pipe.chunk)
        except BlockingIOError:
            return -1
        except OSError as error:
            where = f"reading {pipe.stream} of {pipe.service}"
            self._journal.emit("error", "internal_error", where=where, error=str(error))
            chunk = b""
        if chunk:
            pipe.chunk = CHUNK
            count = 0 if force else self._dispatcher.take_block(pipe, chunk)
            if len(chunk) >= CHUNK and not self._in_haste:
                self._in_haste = True
                _keep_memory()
            if len(chunk) >= _PIPE and not pipe.enlarged:
                _enlarge(pipe)
            if not count:
                lines = pipe.feed(chunk)
                count = len(lines)
                self._dispatcher.take(pipe, lines, force=force)
            self.tally.add(pipe.service, count, len(chunk))
            if pipe.joiner is not None and pipe.joiner.holds:
                self._hold(pipe)
        else:
            self._dispatcher.take(pipe, pipe.flush(), final=True, force=force)
            self._close_read_end(pipe)
        return len(chunk)

    def _close_read_end(self, pipe: Pipe) -> None:
        if pipe.read_fd < 0:
            return
        self._holding.pop(pipe, None)
        self._dispatcher.release(pipe)
        # Unregistered first: a child between fork and exec may hold the same description, and epoll would go on
        # reporting it under a number that is no longer ours.
        if pipe.paused:
            del self._paused[pipe]
        else:
            self._epoll_of(pipe).unregister(pipe.read_fd)
        del self._pipes[pipe.read_fd]
        os.close(pipe.read_fd)
        pipe.read_fd = -1

    # -- what is held for the next line --------------------------------------------------------------------------

    def _hold(self, pipe: Pipe) -> None:
        """Have the record that may go on written when no more of it has come in time."""
        pipe.held_until = self._clock() + pipe.log.multiline_timeout
        self._holding[pipe] = None
        if not self._timer_runs and self._loop is not None:
            self._timer_runs = True
            self._loop.call_later(pipe.log.multiline_timeout, self._time_out)

    def _time_out(self) -> None:
        """One timer for all pipes: it is set again for those that hold something still, and only then."""
        self._timer_runs = False
        now = self._clock()
        next_end: float | None = None
        for pipe in list(self._holding):
            if pipe.joiner is None or not pipe.joiner.holds:
                del self._holding[pipe]
            elif pipe.held_until <= now:
                del self._holding[pipe]
                self._dispatcher.expire(pipe)
            else:
                next_end = pipe.held_until if next_end is None else min(next_end, pipe.held_until)
        if next_end is not None and self._loop is not None:
            self._timer_runs = True
            self._loop.call_later(next_end - now, self._time_out)


def _split(places: Sequence[Record | Enum] | None) -> tuple[tuple[Record, ...], bool]:
    """The places beside the log, and whether lines go to the log."""
    if places is None:
        return (), True
    beside = tuple(place for place in places if isinstance(place, Record))
    return beside, len(beside) < len(places)


def _keep_memory() -> None:
    """Have what a chunk takes stay ours for the next one.

    glibc gives memory back to the kernel as soon as 128 KiB of it are free at the heap's end, and the kernel clears
    every page that it gives again: a third of all a line costs. A large block that is freed, though, makes glibc
    keep twice as much from then on (mallopt(3), M_MMAP_THRESHOLD); this one is never written to, and so costs nothing.
    Other C libraries do as they please.
    """
    bytes(_KEPT)


def _enlarge(pipe: Pipe) -> None:
    """Let a service that fills its pipe write more at once: fewer turns for it and for us.

    Only those that do, since the kernel counts what the pipes of a user who is not root take, and refuses more.
    """
    pipe.enlarged = True
    try:
        fcntl.fcntl(pipe.read_fd, fcntl.F_SETPIPE_SZ, LARGE_CHUNK)
    except OSError:
        return  # it stays as it was made


def _close_write_end(pipe: Pipe) -> None:
    if pipe.write_fd >= 0:
        os.close(pipe.write_fd)
        pipe.write_fd = -1
