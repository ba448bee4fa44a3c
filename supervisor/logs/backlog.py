"""Bytes that wait to be written, in the pieces in which they came: large ones are never copied.

Imports nothing.
"""

from __future__ import annotations

_WORTH_A_WRITE = 65536
"""Bytes up to which pieces are put together for one write(2): the capacity of a pipe."""


class Backlog:
    """First in, first out.

    Attributes:
        size: bytes that wait.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes | memoryview] = []
        self.size = 0

    def add(self, data: bytes | memoryview) -> None:
        """Put data behind all that waits."""
        if data:
            self._pieces.append(data)
            self.size += len(data)

    def front(self) -> bytes | memoryview:
        """What is first, as much of it as makes a write worth while; to be called while something waits."""
        first = self._pieces[0]
        if len(first) < _WORTH_A_WRITE and len(self._pieces) > 1:
            count, length = 0, 0
            while count < len(self._pieces) and length < _WORTH_A_WRITE:
                length += len(self._pieces[count])
                count += 1
            first = b"".join(self._pieces[:count])
            self._pieces[:count] = [first]
        return first

    def skip(self, count: int) -> None:
        """Take so many bytes off what :meth:`front` gave."""
        self.size -= count
        if count == len(self._pieces[0]):
            del self._pieces[0]
        elif count:
            self._pieces[0] = memoryview(self._pieces[0])[count:]

    def take(self) -> bytes:
        """Take all."""
        pieces, self._pieces = self._pieces, []
        self.size = 0
        return b"".join(pieces)
