"""One stream of one child: its descriptors, its unfinished line, and what of it waits for room in the log.

What waits is bounded. With ``overflow = "block"`` it is the lines of one chunk, for no other is read before they are
gone. With the other two it is a queue of :data:`QUEUE` bytes, from which whole lines are dropped, and counted.
"""

from __future__ import annotations

from supervisor.core.spec import JsonLines, Overflow, ServiceLog
from supervisor.logs.lines import Fragment, Splitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.core.record import Record
    from supervisor.logs.multiline import Joiner
    from supervisor.logs.strip import Stripper
    from supervisor.logs.targets import Target

QUEUE = 128 << 10
"""Bytes that a stream whose service is not to wait may have waiting; twice as many are a service's."""

CHUNK = 32768
"""Bytes a read(2), unless lines come fast: at two bytes a line, as ``yes`` writes them, some milliseconds of work."""

LARGE_CHUNK = 262144
"""The same where lines come fast and go to the log in one piece: a millisecond of work."""

PLAIN = ServiceLog()
"""What becomes of lines unless configured."""


class Pipe:
    """One stream of one child.

    Attributes:
        service: whose it is.
        stream: ``stdout`` or ``stderr``.
        pid: the process it was given to; 0 before it was bound.
        write_fd: the child's end, to be duplicated to its descriptor; -1 once bound.
        read_fd: our end; -1 once closed.
        log: what becomes of its lines.
        chunk: bytes to be read at once.
        enlarged: it takes more than others do.
        places: destinations of its lines beside the log.
        targets: what these are, once the first line has come.
        pieces: of an unfinished long line, what the targets that take records have of it.
        to_log: whether they go to the log.
        queue: lines that wait for room in the log; None for none.
        dropped: lines dropped and not told yet.
        drain_due: the child is gone, and there was no room for what it left.
        paused: not watched, for a target has no room.
        held_until: monotonic time at which the record that the joiner holds is complete.
    """

    __slots__ = (
        "_cut", "_open", "_torn", "carry", "chunk", "drain_due", "dropped", "enlarged", "held_until", "joiner", "log",
        "paused", "pid", "pieces", "places", "queue", "queued", "read_fd", "service", "splitter", "stream", "stripper",
        "targets", "to_log", "write_fd",
    )  # fmt: skip

    def __init__(self, service: str, stream: str, fds: tuple[int, int], line_limit: int) -> None:
        self.service = service
        self.stream = stream
        self.pid = 0
        self.read_fd, self.write_fd = fds
        self.splitter = Splitter(line_limit)
        self.chunk = CHUNK
        self.enlarged = False
        self.log = PLAIN
        self.places: tuple[Record, ...] = ()
        self.targets: list[Target] = []
        self.pieces: tuple[int, str] | None = None
        self.to_log = True
        self.stripper: Stripper | None = None
        self.joiner: Joiner | None = None
        self.carry = b""  # of a long line: the end of its last piece, in which a secret may begin
        self.queue: list[bytes] | None = None
        self.queued = 0  # bytes in the queue, where it is bounded
        self.dropped = 0
        self.drain_due = False
        self.paused = False
        self.held_until = 0.0
        self._open = False  # the last piece that went to the log goes on in the next
        self._torn = False  # that one will never come
        self._cut = False  # the rest of the line whose pieces come now is dropped

    @property
    def waits(self) -> bool:
        """Whether the child waits when there is no room."""
        return self.log.overflow is Overflow.BLOCK

    @property
    def has_to_wait(self) -> bool:
        """Whether it is not to be read, for a target has no room."""
        return self.waits and any(target.blocked for target in self.targets)

    @property
    def drops_oldest(self) -> bool:
        """Whether what is lost is older than what waits."""
        return self.log.overflow is Overflow.DROP_OLDEST

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the lines, and pieces of a long line, that are complete."""
        return self.splitter.feed(chunk if self.stripper is None else self.stripper.feed(chunk))

    def block(self, chunk: bytes) -> bytes | None:
        """Take the next bytes; give the lines in one piece, if they are for the log alone and nothing is done to them.

        None, and nothing taken, otherwise.
        """
        log = self.log
        if self.places or not self.to_log or self.queue or self.stripper is not None or self.joiner is not None:
            return None
        if (
            self._cut
            or self._torn
            or self.dropped
            or not self.waits
            or log.json is not JsonLines.TEXT
            or log.level.guess
        ):
            return None
        return self.splitter.block(chunk)

    def flush(self) -> list[bytes]:
        """Nothing more will come, or not from the same process: the line that has no end, if there is one."""
        lines = self.splitter.feed(self.stripper.flush()) if self.stripper is not None else []
        return lines + self.splitter.flush()

    def admit(self, messages: list[bytes]) -> list[bytes]:
        """Those that are not the rest of a line of which pieces were dropped."""
        if self._cut:
            for index, message in enumerate(messages):
                if type(message) is not Fragment:
                    self._cut = False
                    return messages[index + 1 :]
            return []
        return messages

    def enqueue(self, messages: Sequence[bytes], room: int) -> None:
        """Let messages wait, behind those that do.

        Args:
            messages: in their order.
            room: bytes that all queues together may still take; what may not wait for lack of it is dropped.
        """
        queue = self.queue = self.queue or []
        if self.waits:
            queue += messages
            return
        most = min(QUEUE, self.queued + max(room, 0))
        if self.log.overflow is Overflow.DROP_NEWEST:
            self._take_while_room(queue, messages, most)
        else:
            queue += messages
            self.queued += sum(map(len, messages))
            self._drop_oldest(queue, most)
        self.queue = queue or None

    def leave(self, count: int) -> list[bytes]:
        """Take so many messages, at most, out of the front of the queue, for the log."""
        queue = self.queue or []
        messages = queue[:count]
        self.queue = queue[count:] or None
        if not self.waits:
            self.queued -= sum(map(len, messages))
        return self.closed(messages)

    def closed(self, messages: list[bytes]) -> list[bytes]:
        """The messages as the log is to get them: behind the end of a line whose rest was dropped, if there is one."""
        if self._torn:
            self._torn = False
            messages = [b"", *messages]
        if messages:
            self._open = type(messages[-1]) is Fragment
        return messages

    def _take_while_room(self, queue: list[bytes], messages: Sequence[bytes], most: int) -> None:
        for message in messages:
            goes_on = type(message) is Fragment
            if self._cut:
                self._cut = goes_on
            elif self.queued + len(message) <= most:
                queue.append(message)
                self.queued += len(message)
            else:
                self.dropped += 1
                self._cut = goes_on
                if queue and type(queue[-1]) is Fragment:
                    queue.append(b"")  # the line that was begun ends here
                elif not queue:
                    self._tear()

    def _drop_oldest(self, queue: list[bytes], most: int) -> None:
        gone, within = 0, False
        while gone < len(queue) and (within or self.queued > most):
            self.queued -= len(queue[gone])
            self.dropped += not within
            within = type(queue[gone]) is Fragment
            gone += 1
        if gone:
            del queue[:gone]
            self._cut = within
            self._tear()

    def _tear(self) -> None:
        """What would have come next is dropped; if it was the rest of a line, the log has to be told of its end."""
        self._torn = self._torn or self._open
        self._open = False
