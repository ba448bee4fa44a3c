"""The pause mode's event loop: poll(2), a few descriptors, a few timers. Importing asyncio costs eleven megabytes."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class PollLoop:
    """Calls back when a descriptor is ready. Level-triggered; wakes up for nothing else but timers.

    Attributes:
        on_error: told of what a callback raised; the loop goes on.
    """

    def __init__(self) -> None:
        self.on_error: Callable[[Exception], object] = _raise
        self._poll = select.poll()
        self._callbacks: dict[int, dict[int, Callable[[], object]]] = {}
        self._timers: list[tuple[float, Callable[[], object]]] = []
        self._soon: list[Callable[[], object]] = []
        self._stopped = False

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call back after the descriptors that are ready now had their turn."""
        self._soon.append(callback)

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        """Call back whenever the descriptor is readable."""
        self._set(fd, select.POLLIN, callback)

    def remove_reader(self, fd: int) -> bool:
        """Stop watching for input; whether it was watched."""
        return self._unset(fd, select.POLLIN)

    def add_writer(self, fd: int, callback: Callable[[], object]) -> None:
        """Call back whenever the descriptor is writable."""
        self._set(fd, select.POLLOUT, callback)

    def remove_writer(self, fd: int) -> bool:
        """Stop watching for room; whether it was watched."""
        return self._unset(fd, select.POLLOUT)

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        """Call back once, after ``delay`` seconds."""
        self._timers.append((time.monotonic() + delay, callback))
        self._timers.sort(key=_due_at)

    def stop(self) -> None:
        """Leave :meth:`run` after the present callback."""
        self._stopped = True

    def run(self) -> None:
        """Wait and call back until stopped. Signals have to be blocked: nothing interrupts the waiting."""
        self._stopped = False
        while not self._stopped:
            for fd, ready in self._poll.poll(self._timeout_ms()):
                # an error or a hang-up goes to whoever watches: reading or writing tells what it is
                for interest, callback in list(self._callbacks.get(fd, {}).items()):
                    if ready & (interest | select.POLLERR | select.POLLHUP | select.POLLNVAL):
                        self._call(callback)
            soon, self._soon = self._soon, []
            for callback in soon:
                self._call(callback)
            while self._timers and time.monotonic() >= self._timers[0][0]:
                self._call(self._timers.pop(0)[1])

    def _call(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - PID 1 dies of nothing but its orders
            self.on_error(error)

    def _timeout_ms(self) -> int | None:
        if self._soon:
            return 0
        if not self._timers:
            return None
        return max(0, int((self._timers[0][0] - time.monotonic()) * 1000) + 1)

    def _set(self, fd: int, interest: int, callback: Callable[[], object]) -> None:
        watched = self._callbacks.setdefault(fd, {})
        watched[interest] = callback
        self._poll.register(fd, sum(watched))

    def _unset(self, fd: int, interest: int) -> bool:
        watched = self._callbacks.get(fd, {})
        if watched.pop(interest, None) is None:
            return False
        if watched:
            self._poll.register(fd, sum(watched))
        else:
            del self._callbacks[fd]
            self._poll.unregister(fd)
        return True


def _due_at(timer: tuple[float, object]) -> float:
    return timer[0]


def _raise(error: Exception) -> None:
    raise error
