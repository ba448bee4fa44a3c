"""What becomes of the lines of children: the log, targets, tails, and whoever listens.

Every line goes through here once: joined with others (:mod:`supervisor.logs.multiline`), without secrets
(:mod:`supervisor.logs.redact`), then to each place it belongs. Only the log can make a child wait, and a target that
asks for it; what waits for them is in the pipe (:mod:`supervisor.logs.pipes`).
"""

from __future__ import annotations

import time

from supervisor.logs.journal import Journal
from supervisor.logs.lines import Fragment
from supervisor.logs.pipes import CHUNK, LARGE_CHUNK, Pipe
from supervisor.logs.sink import Sink, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.core.record import Record
    from supervisor.core.spec import ServiceLog
    from supervisor.logs.sinks.writer import FileLog
    from supervisor.logs.tails import Tails
    from supervisor.logs.targets import Target, Targets

    Listener = Callable[[list[bytes]], None]

_SLICE = 1024
"""Lines rendered at once: the sink takes them whole, so this bounds its memory."""

QUEUES = 8 << 20
"""Bytes that all services that are not to wait may have waiting together."""

_STALLED_AFTER = 1.0
"""Seconds without a byte read by whoever reads the log, after which the end waits for it no longer."""


class Dispatcher:
    """Hands lines on.

    Attributes:
        waiting: pipes of which something waits for room, in order.
        taken: lines taken so far.
    """

    def __init__(
        self, journal: Journal, sink: Sink | FileLog, targets: Targets | None, resume: Callable[[], None]
    ) -> None:
        """Hand lines on.

        Args:
            journal: the log.
            sink: where the journal writes.
            targets: knows where lines may go beside the log.
            resume: called when a target is no longer blocked.
        """
        self._journal = journal
        self._targets = targets
        self._resume = resume
        self._known: set[int] = set()  # by their id: targets that say when they have room again
        self._sink = sink
        self._tails: Tails | None = None
        self._listeners: dict[str, Listener] = {}  # by service
        self._queued = 0  # bytes in all bounded queues
        self._stalled = False  # nobody reads the log any more
        self.waiting: dict[Pipe, None] = {}
        self.taken = 0

    @property
    def tails(self) -> Tails:
        """The last lines of all services."""
        if self._tails is None:
            from supervisor.logs.tails import Tails  # noqa: PLC0415 - with the first line

            self._tails = Tails()
        return self._tails

    def listen(self, service: str, listener: Listener | None) -> None:
        """Show every line of a service to a listener from now on; None ends it."""
        if listener is None:
            self._listeners.pop(service, None)
        else:
            self._listeners[service] = listener

    def take_block(self, pipe: Pipe, chunk: bytes) -> int:
        """Take the next bytes of a stream, if its lines can go to the log in one piece; how many lines, or 0."""
        if self._journal.redactor is not None or self._listeners or self._sink.room <= 0 or self.tails.followed:
            return 0
        block = pipe.block(chunk)
        if block is None:
            return 0
        count = self._journal.block(pipe.service, pipe.pid, pipe.stream, block, pipe.log)
        if not count:
            lines = block.split(b"\n")
            self.take(pipe, lines)
            return len(lines)
        if len(chunk) >= CHUNK:
            pipe.chunk = LARGE_CHUNK
        self.taken += count
        lines = block.rsplit(b"\n", pipe.log.tail) if pipe.log.tail else []
        self.tails.add((pipe.service, pipe.pid, pipe.stream), lines, pipe.log, time.time())
        return count

    def take(self, pipe: Pipe, lines: list[bytes], *, final: bool = False, force: bool = False) -> None:
        """Take the next lines of a stream.

        Args:
            pipe: the stream.
            lines: as the splitter gave them, none perhaps.
            final: nothing that was held back can be completed any more.
            force: it is the end: the log takes them, as soon as its reader has made room, or is known to read no more.
        """
        self.taken += len(lines)
        if lines and self._listeners and (listener := self._listeners.get(pipe.service)) is not None:
            listener(lines)
        if pipe.joiner is not None:
            lines = pipe.joiner.feed(lines)
            lines += pipe.joiner.flush() if final else []
        self._pass_on(pipe, lines, final=final, force=force)

    def expire(self, pipe: Pipe) -> None:
        """The record that is held for its next line is complete: none has come."""
        if pipe.joiner is not None:
            self._pass_on(pipe, pipe.joiner.flush())

    def _pass_on(self, pipe: Pipe, lines: list[bytes], *, final: bool = False, force: bool = False) -> None:
        redactor = self._journal.redactor
        if redactor is not None:
            lines, pipe.carry = redactor.lines(lines, pipe.carry, final=final)
        if not lines:
            return
        self.tails.add((pipe.service, pipe.pid, pipe.stream), lines, pipe.log, time.time())
        if pipe.places:
            self._send(pipe, lines)
        if pipe.to_log:
            self.deliver(pipe, lines, force=force)

    def deliver(self, pipe: Pipe, lines: list[bytes], *, force: bool = False) -> None:
        """Pass on lines to the log, behind those that wait, while there is room; the others wait."""
        lines = pipe.admit(lines)
        while pipe.queue and self._has_room(pipe, force=force):
            before = pipe.queued
            if pipe.dropped and pipe.drops_oldest:
                self._tell_dropped(pipe)
            self._write(pipe, pipe.leave(_SLICE))
            self._queued -= before - pipe.queued
        if pipe.dropped and not pipe.queue and self._has_room(pipe, force=force):
            self._tell_dropped(pipe)
        done = 0
        while done < len(lines) and not pipe.queue and self._has_room(pipe, force=force):
            self._write(pipe, pipe.closed(lines[done : done + _SLICE]))
            done += _SLICE
        if done < len(lines):
            before = pipe.queued
            pipe.enqueue(lines[done:] if done else lines, QUEUES - self._queued)
            self._queued += pipe.queued - before
        if pipe.queue or pipe.dropped:
            self.waiting[pipe] = None

    def change(self, pipe: Pipe, log: ServiceLog, places: tuple[Record, ...], *, to_log: bool) -> None:
        """Do something else with the lines of a stream from now on; what waits for the log still goes there.

        Raises:
            OSError: no descriptor is left for another place; nothing has changed.
        """
        if places != pipe.places:
            before = pipe.targets
            # those that stay are acquired before they are released: a connection is not made anew
            pipe.targets = self._acquire(places, pipe.service) if before and places else []
            for target in before:
                self._release(target)
        if not pipe.waits:
            self._queued -= pipe.queued
        pipe.log, pipe.places, pipe.to_log = log, places, to_log
        pipe.chunk = CHUNK  # they may go where so much at once is too much
        pipe.queued = 0 if pipe.waits else sum(map(len, pipe.queue or ()))
        self._queued += pipe.queued

    def report(self, pipes: Sequence[Pipe]) -> list[str]:
        """The last lines of the process that had these pipes."""
        if not pipes or self._tails is None:
            return []
        return self._tails.report(pipes[0].service, pipes[0].pid)

    def release(self, pipe: Pipe) -> None:
        """The stream is over: its targets have a user less."""
        for target in pipe.targets:
            self._release(target)
        pipe.targets = []

    def _release(self, target: Target) -> None:
        if self._targets is not None:
            self._targets.release(target)

    def _acquire(self, places: Sequence[Record], service: str) -> list[Target]:
        """The targets of these places, which say when they have room again.

        Raises:
            OSError: no descriptor is left.
        """
        found: list[Target] = []
        if self._targets is None:
            return found
        try:
            for place in places:
                found.append(self._targets.acquire(place, service))  # noqa: PERF401 - those before a failure count
        except OSError:
            for target in found:
                self._release(target)
            raise
        for target in found:
            if id(target) not in self._known:
                self._known.add(id(target))
                target.on_drain(self._resume)
        return found

    def _has_room(self, pipe: Pipe, *, force: bool) -> bool:
        if force:
            self._wait_for_reader()
            return True
        # Those that don't wait leave the rest of the buffer to those that do.
        return self._sink.room > 0 if pipe.waits else not self._sink.blocked

    def _wait_for_reader(self) -> None:
        """At the end nothing is lost to a reader that is slow: wait for it, as long as it reads."""
        if self._sink.blocked and not self._stalled:
            pending = self._sink.pending
            self._stalled = not self._sink.flush(_STALLED_AFTER) and self._sink.pending >= pending

    def _write(self, pipe: Pipe, lines: list[bytes]) -> None:
        self._journal.lines(pipe.service, pipe.pid, pipe.stream, lines, pipe.log)

    def _tell_dropped(self, pipe: Pipe) -> None:
        count, pipe.dropped = pipe.dropped, 0
        self._journal.dropped(pipe.service, count)

    def _send(self, pipe: Pipe, lines: list[bytes]) -> None:
        """Hand lines to the targets, which keep what they have no room for, or lose it: none of them waits here."""
        if not pipe.targets:
            try:
                pipe.targets = self._acquire(pipe.places, pipe.service)
            except OSError as error:  # no descriptor is left: the next lines try again
                fields = {"service": pipe.service, "count": len(lines), "reason": reason_of(error)}
                self._journal.emit("warning", "log_lines_dropped", sink="all", **fields)
                return
        records = None
        for target in pipe.targets:
            if not target.structured:
                target.lines(pipe.service, pipe.pid, pipe.stream, lines, whole=pipe.waits)
                continue
            if records is None:
                from supervisor.logs.output import mark_pieces, output_records  # noqa: PLC0415 - msgspec, when needed

                records = output_records((pipe.service, pipe.pid, pipe.stream), lines, pipe.log, time.time())
                if pipe.pieces is not None or Fragment in set(map(type, lines)):
                    pipe.pieces = mark_pieces(lines, records, pipe.pieces)
            target.records(records, whole=pipe.waits)
