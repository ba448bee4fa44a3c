"""The latest events, kept for whoever asks later and for those who follow.

Followers have no queue: each remembers the number of the last record it was given, and reads on from there. Who is
too slow finds that the ring has gone on, and is told which records it has missed. So however many there are, and
however slow, they cost the daemon nothing but the ring.

On the start path where a control socket is wanted, since what happens first is asked for most.
"""

from __future__ import annotations

from collections import deque

from supervisor.logs.encode import encode_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Record = dict[str, object]

EVENTS_KEPT = 1000


class Entry:
    """A record in the ring; ``line`` is its JSON with a newline, once somebody has asked for it."""

    __slots__ = ("_line", "number", "record")

    def __init__(self, number: int, record: Record) -> None:
        self.number = number
        self.record = record
        self._line: bytes | None = None

    @property
    def line(self) -> bytes:
        """The record as it stands in the log: made once, for however many followers."""
        if self._line is None:
            self._line = encode_line(self.record)
        return self._line


class Ring:
    """A bounded sequence of numbered records, oldest first.

    Attributes:
        closed: nothing will be added any more.
        lost: number of the latest record that is kept no longer; 0 before there is one.
    """

    __slots__ = ("_records", "_wakers", "closed", "lost")

    def __init__(self, size: int = EVENTS_KEPT) -> None:
        self._records: deque[Entry] = deque(maxlen=size)
        self._wakers: list[Callable[[], object]] = []
        self.closed = False
        self.lost = 0

    @property
    def last(self) -> int:
        """Number of the latest record; 0 before there is one."""
        return self._records[-1].number if self._records else self.lost

    def add(self, number: int, record: Record) -> None:
        """Keep a record, whose number is greater than all before; the oldest makes room."""
        records = self._records
        if len(records) == records.maxlen:
            self.lost = records[0].number
        records.append(Entry(number, record))
        if self._wakers:
            self._wake()

    def after(self, number: int, most: int) -> list[Entry]:
        """Records with greater numbers than this one, the oldest first, ``most`` of them at most."""
        found: list[Entry] = []
        if self.last <= number:
            return found
        for entry in reversed(self._records):
            if entry.number <= number:
                break
            found.append(entry)
        return found[: -most - 1 : -1]

    def on_change(self, waker: Callable[[], object]) -> None:
        """Call ``waker`` once, when the next record is there or the ring is closed."""
        self._wakers.append(waker)

    def forget(self, waker: Callable[[], object]) -> None:
        """Don't call it after all."""
        if waker in self._wakers:
            self._wakers.remove(waker)

    def close(self) -> None:
        """Nothing more will come: followers read what is left, and end."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        wakers, self._wakers = self._wakers, []
        for waker in wakers:
            waker()
