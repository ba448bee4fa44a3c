"""What the log has written and lost so far; an addition for each record."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Record = dict[str, object]


class RecordCounts:
    """Numbers of records, but for the children's lines.

    Attributes:
        events: by the name of the event.
        lost: records and lines that were lost, by reason.
    """

    __slots__ = ("events", "lost")

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.lost: dict[str, int] = {}

    def add(self, record: Record) -> None:
        """Count one record."""
        event = str(record["event"])
        self.events[event] = self.events.get(event, 0) + 1
        if event == "log_lines_dropped":
            reason = str(record["reason"])
            self.lost[reason] = self.lost.get(reason, 0) + int(str(record["count"]))
