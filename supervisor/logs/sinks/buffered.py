"""What all sinks share: a bounded buffer, news of failures and losses, and trying again less and less often.

A sink is *up* or *down*. Up and slow, it is ``blocked`` once a quarter of its buffer is full, and it is the children
that wait (those whose overflow is to block); when half of that is left the ``on_drain`` callbacks run. Down, nobody
waits for it: the buffer takes what it can hold, the rest is lost, with the failure for its reason. Nothing is lost
silently: ``sink_failed`` once for each time down, ``log_lines_dropped`` at the first loss, when the sink is up again,
and in between every ten seconds at most, so that the losses of a sink that gets the log itself make no flood;
``sink_recovered``. It costs a timer only while something waits.
"""

from __future__ import annotations

import os
import time

from supervisor.core.light import deque
from supervisor.logs.sink import BLOCKED, IO_ERROR, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.logs.targets import Loop, Tell

CAPACITY = 1 << 20
"""Bytes buffered for each sink."""

_SPILL = 16
"""So many times its capacity a sink that is up takes for a service that waits: what was read while there was room, and
what is left in the pipe of one that has ended. A pipe of 64 KiB can hold as many empty lines, of 12 MB as records."""

_TELL_EVERY = 10.0
"""Seconds between two records of losses of one sink."""

_JITTER = 0.1


class Buffered:
    """The buffer and the state of one sink.

    Attributes:
        name: as records name it.
        blocked: so much waits that nobody should read more from children.
        lost: lines and records lost and not yet told, by reason.
        down: the reason of losses while it does not work; empty while it does.
    """

    first_delay = 0.25
    """Seconds after the first failure until the next try; doubles each time, up to ``longest_delay``."""

    longest_delay = 30.0

    def __init__(self, name: str, tell: Tell, *, capacity: int = CAPACITY) -> None:
        """Hold up to ``capacity`` bytes; ``tell`` writes records about the sink."""
        self.name = name
        self.blocked = False
        self.lost: dict[str, int] = {}
        self.down = ""
        self._tell = tell
        self._capacity = capacity
        self._queue: deque[bytes] = deque()
        self._size = 0  # bytes that are not out: in the queue, and those in a thread's hands
        self._callbacks: list[Callable[[], object]] = []
        self._loop: Loop | None = None
        self._failures = 0
        self._down_since = 0.0
        self._next_try = 0.0
        self._retrying = False  # a timer will try again
        self._news: list[Callable[[], object]] = []  # records to be written in the loop's next turn
        self._telling = False  # a timer will tell of losses
        self._told_at = -_TELL_EVERY

    # -- for others ----------------------------------------------------------------------------------------------

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Call back each time the sink is no longer ``blocked``."""
        self._callbacks.append(callback)

    def attach(self, loop: Loop) -> None:
        """Work, from now on; what came before has waited."""
        self._loop = loop
        self._pump()

    def reopen(self) -> None:
        """Nothing is to be opened again where there is no file."""

    @property
    def pending(self) -> int:
        """Bytes that are not out yet."""
        return self._size

    def tell(self) -> None:
        """At the end: say what was lost, and count what still waits as lost; it is not sent any more."""
        self._loop = None
        self._tell_news()
        self._lose(self._waiting(), self.down or BLOCKED)
        self._queue.clear()
        self._size = self._under_way()
        self._tell_losses()

    # -- for subclasses ------------------------------------------------------------------------------------------

    def _push(self) -> None:
        """Send what waits, as far as it can be sent now."""
        raise NotImplementedError

    def _waiting(self) -> int:
        """Lines and records that are not out yet."""
        return len(self._queue)

    def _under_way(self) -> int:
        """Bytes that can't be called back any more."""
        return 0

    def _pump(self) -> None:
        """Send what waits, unless it is too early to try again."""
        if self._loop is None:
            return
        left = self._next_try - time.monotonic() if self.down else 0
        if left <= 0:
            self._push()
        elif self._size and not self._retrying:
            self._retrying = True
            self._loop.call_later(left, self._retry)
        self._mark()

    def _retry(self) -> None:
        self._retrying = False
        self._pump()

    def _limit(self, size: int, *, whole: bool) -> int:
        """Bytes that may wait when ``size`` come at once; ``whole`` are lines that can't be given again."""
        if not whole or self.down:
            return self._capacity
        return min(max(self._capacity, self._size + size), _SPILL * self._capacity)

    def _put(self, message: bytes, limit: int) -> None:
        """Queue one message if it fits below ``limit``, or lose it."""
        if self._size + len(message) > limit:
            self._lose(1, self.down or BLOCKED)
            return
        self._queue.append(message)
        self._size += len(message)

    def _mark(self) -> None:
        """Keep ``blocked`` up to date."""
        was = self.blocked
        if self.down or self._size <= self._capacity // 8:
            self.blocked = False
        elif self._size > self._capacity // 4:
            self.blocked = True
        if was and not self.blocked:
            for callback in self._callbacks:
                callback()

    # -- up and down ---------------------------------------------------------------------------------------------

    def _failed(self, error: Exception | str) -> None:
        """It does not work: say so if it is news, and try again later."""
        delay = min(self.longest_delay, self.first_delay * 2 ** min(self._failures, 30))
        delay *= 1 + _JITTER * (int.from_bytes(os.urandom(2)) / 32768 - 1)
        self._failures += 1
        now = time.monotonic()
        self._next_try = now + delay
        was, self.down = self.down, self._reason(error)
        if not was:
            self._down_since = now
            self._say("warning", "sink_failed", error=in_words(error), retry_s=round(delay, 3))
        self._pump()

    def _reason(self, error: Exception | str) -> str:
        """Why lines are lost while it does not work."""
        return reason_of(error) if isinstance(error, OSError) else IO_ERROR

    def _worked(self) -> None:
        """It works: say so if it is news, with what was lost meanwhile."""
        self._failures = 0
        if not self.down:
            return
        self.down = ""
        self._told_at = -_TELL_EVERY
        if self.lost:
            self._tell_soon()
        self._say("info", "sink_recovered", down_s=round(time.monotonic() - self._down_since, 3))

    def _say(self, level: str, event: str, **fields: object) -> None:
        """Write a record about the sink in the loop's next turn: it may come back to this very sink."""
        self._later(lambda: self._tell(level, event, sink=self.name, **fields))

    def _later(self, news: Callable[[], object]) -> None:
        if self._loop is not None:
            self._news.append(news)
            if len(self._news) == 1:
                self._loop.call_soon(self._tell_news)

    def _tell_news(self) -> None:
        news, self._news = self._news, []
        for write in news:
            write()

    # -- losses --------------------------------------------------------------------------------------------------

    def _lose(self, count: int, reason: str) -> None:
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count
            self._tell_soon()

    def _tell_soon(self) -> None:
        left = self._told_at + _TELL_EVERY - time.monotonic()
        if self._loop is None or (self._telling and left > 0):
            return
        if left > 0:
            self._telling = True
            self._loop.call_later(left, self._tell_losses)
        else:
            self._told_at = time.monotonic()
            self._later(self._tell_losses)

    def _tell_losses(self) -> None:
        self._telling = False
        self._told_at = time.monotonic()
        lost, self.lost = self.lost, {}
        for reason, count in lost.items():
            self._tell("warning", "log_lines_dropped", sink=self.name, count=count, reason=reason)


def in_words(error: Exception | str) -> str:
    """An error for people, with the path where it has one."""
    if not isinstance(error, OSError):
        return str(error)
    words = error.strerror or str(error)
    return f"{error.filename}: {words}" if error.filename else words
