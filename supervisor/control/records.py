"""What the log has written: the latest events, kept for whoever asks later and for those who follow.

Followers have no queue: each remembers the number of the last record it was given, and reads on from there. Who is
too slow finds that the ring has gone on, and is told which records it has missed. So however many there are, and
however slow, they cost the daemon nothing but the ring.

Beside it counters, for the metrics. On the start path where a control socket is wanted: what happens first is asked
for most, and counters count from the beginning.
"""

from __future__ import annotations

from supervisor.core.light import deque
from supervisor.logs.encode import encode_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

Record = dict[str, object]


EVENTS_KEPT = 1000


class Entry:
    """A record in the ring, and the bytes that it counts for."""

    __slots__ = ("_line", "number", "record", "size")

    def __init__(self, number: int, record: Record, size: int) -> None:
        self.number = number
        self.record = record
        self.size = size
        self._line: bytes | None = None

    @property
    def line(self) -> bytes:
        """The record as it stands in the log: made once, for however many followers."""
        if self._line is None:
            self._line = encode_line(self.record)
        return self._line


class Ring:
    """A bounded sequence of numbered records, oldest first.

    Args:
        most: how many are kept.
        most_bytes: how large they may be together, by what :meth:`add` was told; None for no bound.

    Attributes:
        closed: nothing will be added any more.
        lost: number of the latest record that is kept no longer; 0 before there is one.
    """

    __slots__ = ("_most_bytes", "_records", "_size", "_wakers", "closed", "lost")

    def __init__(self, most: int = EVENTS_KEPT, most_bytes: int | None = None) -> None:
        self._records: deque[Entry] = deque(maxlen=most)
        self._most_bytes = most_bytes
        self._size = 0
        self._wakers: list[Callable[[], object]] = []
        self.closed = False
        self.lost = 0

    @property
    def last(self) -> int:
        """Number of the latest record; 0 before there is one."""
        return self._records[-1].number if self._records else self.lost

    def add(self, number: int, record: Record, *, size: int = 0) -> None:
        """Keep a record, whose number is greater than all before; the oldest make room."""
        records = self._records
        if len(records) == records.maxlen:
            self._drop()
        records.append(Entry(number, record, size))
        self._size += size
        while self._most_bytes is not None and self._size > self._most_bytes and len(records) > 1:
            self._drop()
        if self._wakers:
            self._wake()

    def clear(self) -> None:
        """Keep none of them any longer."""
        while self._records:
            self._drop()

    def _drop(self) -> None:
        entry = self._records.popleft()
        self.lost = entry.number
        self._size -= entry.size

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


class RecordCounts:
    """Numbers of records, but for the children's lines.

    Attributes:
        events: by the name of the event.
        lost: records and lines that were lost, by service (empty for the log as a whole) and reason.
    """

    __slots__ = ("events", "lost")

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.lost: dict[tuple[str, str], int] = {}

    def add(self, record: Record) -> None:
        """Count one record."""
        event = str(record["event"])
        self.events[event] = self.events.get(event, 0) + 1
        if event == "log_lines_dropped":
            key = (str(record.get("service", "")), str(record["reason"]))
            self.lost[key] = self.lost.get(key, 0) + int(str(record["count"]))
