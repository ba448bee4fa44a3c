"""Deadlines: the only reason to wake up without news. One timer, for the nearest."""

from __future__ import annotations

from heapq import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.runtime.ports import Handle, Loop


class Deadlines:
    """Named deadlines in monotonic seconds; a name has one at most.

    A changed deadline leaves its old entry in the heap, where it is passed over when its time comes: cheaper than
    searching for it.

    Args:
        passed: called with each name whose deadline has come.
        monotonic: the clock.
    """

    def __init__(self, passed: Callable[[str | None], None], monotonic: Callable[[], float]) -> None:
        self._passed = passed
        self._monotonic = monotonic
        self._heap: list[tuple[float, str]] = []
        self._current: dict[str | None, float] = {}
        self._loop: Loop | None = None
        self._timer: Handle | None = None
        self._timer_at = 0.0

    def attach(self, loop: Loop) -> None:
        """From now on the loop wakes us; deadlines set before are kept."""
        self._loop = loop
        self._arm()

    def set(self, name: str | None, deadline: float | None) -> None:
        """Set, move or (None) drop the deadline of a name; the name None is the daemon itself."""
        if self._current.get(name) == deadline:
            return
        if deadline is None:
            self._current.pop(name, None)
            if not self._current:
                self._disarm()
            return
        self._current[name] = deadline
        heappush(self._heap, (deadline, name or ""))
        if self._loop is not None and (self._timer is None or deadline < self._timer_at):
            self._arm()

    def _arm(self) -> None:
        while self._heap and not self._is_current(*self._heap[0]):
            heappop(self._heap)
        self._disarm(keep_heap=True)
        if self._heap and self._loop is not None:
            self._timer_at = self._heap[0][0]
            self._timer = self._loop.call_later(max(0.0, self._timer_at - self._monotonic()), self._fire)

    def _disarm(self, *, keep_heap: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not keep_heap:
            self._heap.clear()

    def _is_current(self, deadline: float, name: str) -> bool:
        return self._current.get(name or None) == deadline

    def _fire(self) -> None:
        self._timer = None
        now = self._monotonic()
        try:
            while self._heap and self._heap[0][0] <= now:
                deadline, name = heappop(self._heap)
                if self._is_current(deadline, name):
                    del self._current[name or None]
                    self._passed(name or None)
        finally:
            # Whatever one of them raised, the others pass. And a loop's clock is coarser than ours and may fire a
            # moment early: then it is armed again.
            self._arm()
