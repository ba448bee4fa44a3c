"""The last lines of every service, in memory, and whoever wants to see the next ones."""

from __future__ import annotations

import time
from collections import deque

from supervisor.logs.encode import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Record = dict[str, object]
    Follower = Callable[[list[Record]], object]
    Origin = tuple[str, int, str]

_KEPT = 20
_LONGEST = 256


class Tails:
    """The tails of all services, and their followers."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[float, Origin, bytes]]] = {}
        self._followers: list[tuple[Follower, frozenset[str] | None]] = []

    def add(self, origin: Origin, messages: Sequence[bytes]) -> None:
        """Take complete lines of a stream: service, pid and name."""
        kept = self._lines.get(origin[0])
        if kept is None:
            kept = self._lines[origin[0]] = deque(maxlen=_KEPT)
        wall = time.time()
        kept.extend((wall, origin, bytes(message[-_LONGEST:])) for message in messages[-_KEPT:])
        for follower, services in tuple(self._followers):
            if services is None or origin[0] in services:
                follower([_record(wall, origin, message) for message in messages])

    def last(self, service: str, count: int | None = None) -> list[Record]:
        """The last lines of a service as ``output`` records; ``count`` of them at most, all that are kept when None."""
        records = [_record(*line) for line in self._lines.get(service, ())]
        return records if count is None else records[len(records) - count if count < len(records) else 0 :]

    def follow(self, follower: Follower, services: frozenset[str] | None = None) -> Callable[[], None]:
        """Hand all further lines of these services (None: of all) to ``follower``, in batches; returns what ends it."""
        following = (follower, services)
        self._followers.append(following)

        def stop() -> None:
            if following in self._followers:
                self._followers.remove(following)

        return stop


def _record(wall: float, origin: Origin, message: bytes) -> Record:
    service, pid, stream = origin
    text = message.decode("utf-8", "replace")
    common: Record = {"timestamp": timestamp(wall), "level": "info", "event": "output"}
    return common | {"service": service, "pid": pid, "stream": stream, "message": text}
