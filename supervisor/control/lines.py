"""Lines of the services, for clients: the last ones that are kept, and those that come.

Nothing is kept here unless somebody follows: then one ring of lines serves all followers, however many and slow.
"""

from collections.abc import Callable
from typing import Protocol

from supervisor.control.records import Ring

LINES_KEPT = 4000
BYTES_KEPT = 2**20

Record = dict[str, object]


class Tails(Protocol):
    """Who has the last lines."""

    def last(self, service: str, count: int | None = None) -> list[Record]:
        """The last lines of a service, as records."""

    def follow(self, follower: Callable[[list[Record]], object]) -> Callable[[], None]:
        """Hand all further lines to ``follower``; returns what ends it."""


class Lines:
    """The lines, as long as somebody follows them."""

    def __init__(self, tails: Tails) -> None:
        self._tails = tails
        self._ring = Ring(LINES_KEPT, BYTES_KEPT)
        self._followers = 0
        self._stop: Callable[[], None] | None = None
        self._closed = False

    def last(self, service: str, count: int) -> list[Record]:
        """The last lines of a service, as records."""
        return self._tails.last(service, count)

    def enter(self) -> Ring:
        """Somebody follows from now on: the ring that lines come into; to be left by :meth:`leave`."""
        self._followers += 1
        if self._stop is None and not self._closed:
            self._stop = self._tails.follow(self._add)
        return self._ring

    def leave(self) -> None:
        """One follower less; without any, nothing is kept."""
        self._followers -= 1
        if self._followers == 0 and self._stop is not None:
            self._stop()
            self._stop = None
            self._ring.clear()

    def close(self) -> None:
        """No more lines will come."""
        self._closed = True
        self._ring.close()

    def _add(self, records: list[Record]) -> None:
        number = self._ring.last
        for record in records:
            number += 1
            self._ring.add(number, record, size=len(str(record.get("message", ""))))
