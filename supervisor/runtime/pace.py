"""How often we look for dead orphans while they come without end.

To be woken for each costs more than to reap it: the loop's turn, the signal, a look that finds one and a look that
finds none. So when looks follow one another without end, and what they find is orphans only, they are made every few
milliseconds, and each finds more of them, as a network driver polls under load. The first of them cost nothing that is
noticed, so they are made at once.
"""

from __future__ import annotations

INTERVAL = 0.005
"""Seconds from one look to the next, at full rate: at ten thousand orphans a second, fifty of them wait at most."""

_AT_ONCE = 16
"""Looks that may follow each other without delay before that."""


class Pace:
    """Meters looks: a bucket of :data:`_AT_ONCE`, filled by one each :data:`INTERVAL` (GCRA)."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = 0.0

    def looked(self, now: float) -> bool:
        """Orphans were found, and nothing else; whether the next look is to wait for :data:`INTERVAL`."""
        self._full_at = max(self._full_at, now) + INTERVAL
        return self._full_at - now > _AT_ONCE * INTERVAL
