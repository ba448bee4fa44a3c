"""Reading what a process writes, as it comes: a thread for each stream, so that no pipe ever fills by our fault."""

import array
import contextlib
import fcntl
import json
import os
import select
import termios
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.helpers.patience import PATIENCE

Record = dict[str, Any]


class Stream:
    """The lines of one descriptor, split into event records and other text.

    A line that is a JSON object with an ``event`` is a record; the rest is text. On a terminal the line discipline
    turns newline into carriage return and newline; both ends are stripped.
    """

    def __init__(self, descriptor: int) -> None:
        self.records: list[Record] = []
        self.text: list[str] = []
        self.raw = bytearray()
        self.ended = False
        self._changed = threading.Condition()
        self._descriptor = descriptor
        self._rest = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not self.ended:
            poll.poll()
            with self._changed:  # so that what can't be read any more has been taken
                try:
                    chunk = os.read(self._descriptor, 65536)
                except OSError:  # a terminal whose other side is closed answers EIO
                    chunk = b""
                self._take(chunk)
                self._changed.notify_all()

    def _take(self, chunk: bytes) -> None:
        self.raw += chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk:
            self.ended = True
            lines += [self._rest] if self._rest else []
            self._rest = b""
        for line in lines:
            self._sort(line.rstrip(b"\r"))

    def _sort(self, line: bytes) -> None:
        if line.startswith(b"{"):
            try:
                found = json.loads(line)
            except ValueError:
                found = None
            if isinstance(found, dict) and "event" in found:
                self.records.append(found)
                return
        self.text.append(line.decode(errors="replace"))

    def wait(self, condition: Callable[[], object], timeout: float) -> bool:
        """Wait until the condition holds (checked at each chunk), the stream ends, or ``timeout`` seconds are over."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                if self.ended or not self._changed.wait(deadline - time.monotonic()):
                    return bool(condition())
            return True

    def finish(self, timeout: float) -> None:
        """Wait, once who wrote it is gone, for its end; that may never come, for others may have it as well.

        After ``timeout`` seconds only what had been written before is awaited, however long this machine stands still.
        """
        self.wait(lambda: False, timeout)
        self.catch_up()

    def catch_up(self) -> None:
        """Wait until all that has been written by now is read: the thread that reads may be late."""
        with self._changed:
            unread = array.array("i", [0])
            if not self.ended:
                with contextlib.suppress(OSError):
                    fcntl.ioctl(self._descriptor, termios.FIONREAD, unread)
            wanted = len(self.raw) + unread[0]
        self.wait(lambda: len(self.raw) >= wanted, PATIENCE)

    def contains(self, text: str) -> bool:
        """Whether the text has been written, complete line or not."""
        return text.encode() in self.raw

    def close(self) -> None:
        """Wait for the end of the stream, then close the descriptor."""
        self._thread.join(5)
        if not self._thread.is_alive():
            os.close(self._descriptor)
