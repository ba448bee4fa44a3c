"""Records of a target with numbers of its own, where they have none: ``seq`` counts what this target gets."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from supervisor.logs.encode import timestamp
from supervisor.logs.journal import MAX_RECORD
from supervisor.logs.output import OutputLines

Origin = tuple[str, int, str]
"""Service, pid and stream of lines."""


_COMMON = ("timestamp", "level", "event")


class Numbered:
    """Numbers records, so that a gap is a loss here too; the daemon's own records keep the number they have."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lines = OutputLines(MAX_RECORD)
        self._seq = 0
        self._ids: dict[object, int] = {}  # of long lines whose end is still to come

    def lines(self, origin: Origin, messages: Sequence[bytes]) -> list[dict[str, object]]:
        """Lines as ``output`` records: one for each line, or several for a long one."""
        records = list(self._lines.records(timestamp(self._wall()), self._seq, origin, messages))
        self._seq += len(records)
        return records

    def records(self, records: Iterable[Mapping[str, object]]) -> Iterator[dict[str, object]]:
        """The records, each with a number; the pieces of a line also have that of the first of them, their ``id``."""
        for record in records:
            if "seq" in record:
                yield dict(record)
                continue
            self._seq += 1
            numbered = {name: record[name] for name in _COMMON if name in record} | {"seq": self._seq} | dict(record)
            if "part" in record:
                numbered["id"] = self._identify(record)
            yield numbered

    def _identify(self, record: Mapping[str, object]) -> int:
        origin = record["service"], record["pid"], record["stream"]
        if record["part"] == 1:
            self._ids[origin] = self._seq
        return self._ids.pop(origin, self._seq) if "parts" in record else self._ids.get(origin, self._seq)
