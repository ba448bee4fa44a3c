"""How often we look for dead orphans while they come without end.

To be woken for each costs more than to reap it: the loop's turn, the signal, a look that finds one and a look that
finds none. So when looks follow one another without end, and what they find is orphans only, they are made every few
milliseconds, and each finds more of them, as a network driver polls under load. The first of them cost nothing that is
noticed, so they are made at once.
"""

from __future__ import annotations

from supervisor.core.signals import SIGCHLD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from supervisor.runtime.ports import Signals

    class Later(Protocol):
        """An event loop."""

        def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
            """Call back after so many seconds."""


INTERVAL = 0.005
"""Seconds from one look to the next, at full rate: at ten thousand orphans a second, fifty of them wait at most."""

_AT_ONCE = 16
"""Looks that may follow each other without delay before that."""

_AGAIN = 0.1


class Pace:
    """Meters looks: a bucket of :data:`_AT_ONCE`, filled by one each :data:`INTERVAL` (GCRA)."""

    __slots__ = ("_full_at", "_loop", "_signals")

    def __init__(self, loop: Later, signals: Signals) -> None:
        self._loop = loop
        self._signals = signals
        self._full_at = 0.0

    def looked(self, now: float) -> None:
        """Orphans were found, and nothing else: hear of the next at once, or after :data:`INTERVAL`."""
        self._full_at = max(self._full_at, now) + INTERVAL
        if self._full_at - now > _AT_ONCE * INTERVAL:
            self._loop.call_later(INTERVAL, self._hear_again)
            self._signals.hold_back(SIGCHLD)

    def _hear_again(self) -> None:
        try:
            self._signals.hold_back()
        except Exception:
            self._loop.call_later(_AGAIN, self._hear_again)  # who never hears of the dead is no PID 1
            raise
