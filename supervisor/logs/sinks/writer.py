"""One file and its buffer: the loop's side of :mod:`supervisor.logs.sinks.rotation`.

Lines gather here while a thread writes what has gathered before; the two exchange whole batches, so nothing is
shared. :class:`FileLog` stands where the log's :class:`~supervisor.logs.sink.Sink` stands, for ``[log] to`` a file;
files for the lines of services are in :mod:`supervisor.logs.sinks.files`. Imported on the start path when the log is in
a file, so it imports nothing heavy; threads come with the first need of one.
"""

from __future__ import annotations

import time

from supervisor.logs.sink import BLOCKED
from supervisor.logs.sink import CAPACITY as LOG_CAPACITY
from supervisor.logs.sinks.buffered import CAPACITY, Buffered
from supervisor.logs.sinks.rotation import Outcome, RotatingFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.spec import FileSink
    from supervisor.logs.sinks.workers import Workers
    from supervisor.logs.targets import Loop, Tell

_BATCH = 1 << 18
"""Bytes given to a thread at once: what a disk takes in a few milliseconds."""

_NEWLINE = 10


class FileWriter(Buffered):
    """Writes bytes to one file, in a thread, a batch at a time.

    Args:
        spec: the file, its path without placeholder.
        tell: writes records about it.
        workers: whose threads write; made at the first need when None.
        capacity: bytes buffered.
    """

    longest_delay = 10.0

    def __init__(self, spec: FileSink, tell: Tell, workers: Workers | None = None, *, capacity: int = CAPACITY) -> None:
        super().__init__(f"file:{spec.path}", tell, capacity=capacity)
        self._file = RotatingFile(spec)
        self._workers = workers
        self._busy = False  # a thread has the file
        self._batch = b""  # what it writes
        self._compressing = False
        self._compress_again = False
        self._reopen_due = False
        self._reopened: list[Callable[[], object]] = []
        self._idle = False  # nobody writes for now
        self._close_due = False
        self._new_spec: FileSink | None = None
        self._tail_whole = True  # the last byte taken ends a line

    def attach(self, loop: Loop) -> None:
        """Work, from now on; the file is opened at once, so that what is wrong with it is told."""
        self._loop = loop
        self._reopen_due = True
        self._pump()
        if self._file.spec.compress:
            self._compress()  # what an earlier daemon has left

    def configure(self, spec: FileSink) -> None:
        """Go by these limits from the next batch on; the path is the same."""
        self._new_spec = spec

    def reopen(self, done: Callable[[], object] | None = None) -> None:
        """Open what the path names now, once the line under way is finished; then call ``done``."""
        self._reopen_due = True
        if done is not None:
            self._reopened.append(done)
        self._next_try = 0.0
        self._pump()

    @property
    def workers(self) -> Workers:
        """Whose threads write."""
        if self._workers is None:
            from supervisor.logs.sinks.workers import Workers  # noqa: PLC0415 - off the start path

            self._workers = Workers()
        return self._workers

    @property
    def is_idle(self) -> bool:
        """Whether nobody writes for now."""
        return self._idle

    def idle(self) -> None:
        """Nobody will write for now: close the file when all is written. The next line opens it again."""
        self._idle = self._close_due = True
        self._pump()

    def flush(self, timeout: float) -> bool:
        """Write what waits, for the end of the process: blocks for at most ``timeout`` seconds.

        Returns:
            Whether nothing waits any more.
        """
        deadline = time.monotonic() + timeout
        tried = False
        # A thread that is at it is waited for though the file fails: it takes half a line back out of the file.
        while self._busy or (self._size and not (self.down and tried)):
            if not self._busy:
                tried = True
                self._push()
                if not self._busy:
                    break
            elif not self.workers.next_result(deadline - time.monotonic()):
                break
        return not self._size

    def close(self) -> None:
        """Let go of it; what still waits is lost, and told."""
        self.tell()
        self.workers.submit(self._file.close, lambda _: None)  # in a thread: it may wait for the disk as well

    # -- the buffer ----------------------------------------------------------------------------------------------

    def _waiting(self) -> int:
        return sum(_lines(chunk) for chunk in self._queue) + _lines(self._batch)

    def _under_way(self) -> int:
        return len(self._batch)

    def _accept(self, data: bytes, limit: int) -> int:
        """Queue lines as far as there is room below ``limit``; return how many were not."""
        room = limit - self._size
        kept = len(data) if len(data) <= room else data.rfind(b"\n", 0, max(room, 0)) + 1
        if kept:
            self._queue.append(data[:kept])
            self._size += kept
            self._tail_whole = data[kept - 1] == _NEWLINE
        return _lines(data[kept:])

    def _push(self) -> None:
        """Give a thread something to do, if it has nothing and there is something."""
        if self._busy:
            return
        if self._new_spec is not None:
            self._file.spec, self._new_spec = self._new_spec, None
        if self._reopen_due and (self._file.whole or self.down):
            self._reopen_due = False
            self._submit(self._file.reopen)
        elif self._queue:
            self._batch = self._next_batch()
            self._submit(lambda data=self._batch: self._file.write(data))  # type: ignore[misc]  # bytes
        elif self._close_due:
            self._close_due = False
            self._submit(self._file.close)

    def _next_batch(self) -> bytes:
        parts, size = [], 0
        while self._queue and size < _BATCH:
            parts.append(self._queue.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _submit(self, job: Callable[[], Outcome | None]) -> None:
        self._busy = True
        self.workers.submit(job, self._done)

    def _done(self, outcome: Outcome | Exception | None) -> None:
        """A thread has given the file back."""
        self._busy = False
        error: Exception | None = outcome if isinstance(outcome, Exception) else None
        if isinstance(outcome, Outcome):
            error = outcome.error
            self._settle(outcome)
        if self._batch:
            self._queue.appendleft(self._batch)
            self._batch = b""
        if error is not None:
            self._failed(error)
        else:
            self._worked()
            self._pump()
        if not self._reopen_due:
            reopened, self._reopened = self._reopened, []
            for callback in reopened:
                callback()

    def _settle(self, outcome: Outcome) -> None:
        if outcome.written:
            self._failures = 0  # a disk that fills up again and again is no worse than before
        self._batch = self._batch[outcome.written :]
        self._size -= outcome.written
        for warning in outcome.warnings:
            self._warn(warning)
        if outcome.rotated and self._file.spec.compress:
            self._compress()

    def _warn(self, message: str) -> None:
        self._later(lambda: self._tell("warning", "supervisor_warning", message=message))

    def _compress(self) -> None:
        if self._compressing:
            self._compress_again = True
            return
        self._compressing = True
        self.workers.submit(self._file.compress, self._compressed)

    def _compressed(self, warnings: list[str] | Exception) -> None:
        self._compressing = False
        for warning in [str(warnings)] if isinstance(warnings, Exception) else warnings:
            self._warn(warning)
        if self._compress_again:
            self._compress_again = False
            self._compress()


class FileLog(FileWriter):
    """A file in the place of the log's :class:`~supervisor.logs.sink.Sink`.

    What is written before there is a loop waits. Its losses are told by the journal, in the file itself.

    Args:
        spec: the file.
        workers: whose threads write; made at the first need when None.
        capacity: bytes buffered before events are lost; output stops at half of it.

    Raises:
        OSError: the file can't be opened now.
    """

    is_terminal = False

    def __init__(self, spec: FileSink, workers: Workers | None = None, *, capacity: int = LOG_CAPACITY) -> None:
        super().__init__(spec, lambda *_, **__: None, workers, capacity=capacity)
        error = self._file.open().error
        if error is not None:
            raise error

    def attach(self, loop: Loop) -> None:
        """Write, from now on."""
        self._loop = loop
        self.workers.attach(loop)
        self._pump()

    def tell_by(self, tell: Tell) -> None:
        """Have what goes wrong with the rotation written by ``tell``."""
        self._tell = tell

    @property
    def room(self) -> int:
        """Bytes that may be queued before output is refused; above 0 while the file fails: nobody waits for it."""
        return 1 if self.down else self._capacity // 2 - self._size

    def write(self, data: bytes, *, output: bool = False) -> bool:
        """Queue whole records; see :meth:`supervisor.logs.sink.Sink.write`."""
        lost = self._accept(data, self._capacity // 2 if output else self._capacity)
        self.lose(lost, self.down or BLOCKED)
        self._pump()
        return not lost

    def _accept(self, data: bytes, limit: int) -> int:
        """Queue all of it, or nothing: nobody can give the rest again, and who asked for room was told of some."""
        return super()._accept(data, self._size + (len(data) if self._size < limit else 0))

    def offer(self, data: bytes) -> bool:
        """Queue one record if there is room, but don't count it as lost if there is not."""
        if self._size + len(data) > self._capacity:
            return False
        return self.write(data)

    def lose(self, count: int, reason: str) -> None:
        """Count records as lost."""
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count

    def _say(self, level: str, event: str, **fields: object) -> None:
        """It would have to be written to this very file: the journal's ``log_lines_dropped`` says it."""

    def _worked(self) -> None:
        was, self.down = self.down, ""
        self._failures = 0
        if was:
            for callback in self._callbacks:
                callback()  # the journal tells what was lost


def _lines(data: bytes) -> int:
    """Lines in the data, one without its newline included."""
    return data.count(b"\n") + (bool(data) and data[-1] != _NEWLINE)
