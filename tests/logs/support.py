"""What the tests of the logs room share: a loop of one turn, and readers of what a sink wrote."""

import json
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings

patient = settings(deadline=None)
"""For properties: on a busy machine one example may take long."""

STAMP = 1_700_000_000.25
STAMP_TEXT = "2023-11-14T22:13:20.250000Z"


class Turns:
    """A watcher whose turns the test takes itself."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], object]] = {}
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def call_later(self, delay: float, callback: Callable[[], object], /) -> None:
        """Call back once so much time has passed, which is when the test says so."""
        self.timers.append((self.now + delay, callback))

    def clock(self) -> float:
        """The time, which stands still."""
        return self.now

    def pass_time(self, seconds: float) -> int:
        """Let time pass; return how many timers were due."""
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, callback in due:
            callback()
        return len(due)

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> None:
        """Watch."""
        self._callbacks[fd] = callback
        self._epoll.register(fd, select.EPOLLIN)

    def remove_reader(self, fd: int, /) -> None:
        """Watch no more."""
        del self._callbacks[fd]
        self._epoll.unregister(fd)

    def turn(self, timeout: float = 0.0) -> int:
        """Call back for all that is ready within ``timeout`` seconds; return how many that were."""
        ready = self._epoll.poll(timeout)
        for fd, _ in ready:
            if fd in self._callbacks:
                self._callbacks[fd]()
        return len(ready)

    def settle(self) -> None:
        """Take turns until nothing is ready."""
        while self.turn():
            pass

    def close(self) -> None:
        """Give the descriptor back."""
        self._epoll.close()


@contextmanager
def turns() -> Iterator[Turns]:
    """A loop of turns, closed at the end."""
    loop = Turns()
    try:
        yield loop
    finally:
        loop.close()


@contextmanager
def closing(*fds: int) -> Iterator[None]:
    """Close these descriptors at the end, those that still are open."""
    try:
        yield
    finally:
        for fd in fds:
            try:
                os.close(fd)
            except OSError:
                continue  # the test itself closed it


def read_now(fd: int) -> bytes:
    """All that can be read without waiting."""
    os.set_blocking(fd, False)
    chunks = []
    try:
        while chunk := os.read(fd, 1 << 20):
            chunks.append(chunk)
    except BlockingIOError:
        pass
    except OSError:  # EIO: the other end of a terminal is closed
        pass
    return b"".join(chunks)


def parse(data: bytes) -> list[dict[str, Any]]:
    """The records in ``data``, each of which must be one whole line of JSON."""
    assert data == b"" or data.endswith(b"\n"), data[-200:]
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def accounted(records: list[dict[str, Any]]) -> bool:
    """Whether every gap in ``seq`` is what the ``log_lines_dropped`` record after it says."""
    expected, dropped = 1, 0
    for record in records:
        if record["event"] == "log_lines_dropped":
            dropped += record["count"]
            if record["seq"] != expected + record["count"]:
                return False
        elif record["seq"] != expected:
            return False
        expected = record["seq"] + 1
    return True


def open_descriptors() -> set[str]:
    """Numbers and targets of this process's descriptors, without the one that lists them."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink('/proc/self/fd/' + name)}")
        except FileNotFoundError:
            continue  # the listing's own
    return found
