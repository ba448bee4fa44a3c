"""Lines as records where a target is given no records: with the common fields, and a number of the target's own."""

import time
from collections.abc import Callable, Sequence

from supervisor.logs.encode import timestamp
from supervisor.logs.journal import MAX_RECORD
from supervisor.logs.output import OutputLines

Origin = tuple[str, int, str]
"""Service, pid and stream of lines."""


class Numbered:
    """Makes ``output`` records; ``seq`` counts those of this target, so that a gap is a loss here too."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lines = OutputLines(MAX_RECORD)
        self._seq = 0

    def records(self, origin: Origin, messages: Sequence[bytes]) -> list[dict[str, object]]:
        """One record for each line, or several for a long one."""
        records = list(self._lines.records(timestamp(self._wall()), self._seq, origin, messages))
        self._seq += len(records)
        return records
