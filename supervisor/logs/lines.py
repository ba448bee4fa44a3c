r"""Bytes into lines: pure, in bounded memory, and the same whatever pieces the bytes arrive in.

``\n`` ends a line, and one ``\r`` before it is dropped with it. A line longer than the limit comes as several messages:
:class:`Fragment` for all but the last of them, which is plain ``bytes``.
"""

_LOOK, _SHORT = 1024, 32
"""Lines of less than the latter on average, in so many bytes, make no block: their records are far larger."""


class Fragment(bytes):
    """A piece of a line that goes on in the next message."""

    __slots__ = ()


class Splitter:
    """Splits one stream.

    Memory: at most ``limit`` bytes and one chunk.

    Attributes:
        within: pieces of the unfinished line are out already.
    """

    __slots__ = ("_limit", "_rest", "within")

    def __init__(self, limit: int) -> None:
        """Cut lines longer than ``limit`` bytes (4 or more)."""
        self._limit = limit
        self._rest = b""
        self.within = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the lines, and pieces of a long line, that are complete."""
        data = self._rest + chunk if self._rest else chunk
        lines = data.split(b"\n")
        self._rest = lines.pop()
        if lines:
            self.within = False
        if b"\r" in data:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if len(data) > self._limit:
            lines = self._cut_all(lines)
            self._cut_rest(lines)
        return lines

    def block(self, chunk: bytes) -> bytes | None:
        r"""Take the next bytes, as :meth:`feed`, but give the complete lines in one piece, without the last newline.

        None, and nothing taken, if there are none, if that is not all there is to it (for ``\r``, or a long line), or
        if the first are so short that there are a great many.
        """
        data = self._rest + chunk if self._rest else chunk
        end = data.rfind(b"\n") if not self.within and no_longer(data, b"\n", self._limit) else -1
        if end < 0 or b"\r" in data or data.count(b"\n", 0, _LOOK) > _LOOK // _SHORT:
            return None
        self._rest = data[end + 1 :]
        return data[:end]

    def flush(self) -> list[bytes]:
        """End the stream here; return its last line if that had no newline."""
        rest, self._rest = self._rest, b""
        self.within = False
        return self._cut_all([rest] if rest else [])

    def _cut_all(self, lines: list[bytes]) -> list[bytes]:
        limit = self._limit
        if not lines or max(map(len, lines)) <= limit:
            return lines
        messages: list[bytes] = []
        for line in lines:
            rest = line
            while len(rest) > limit:
                end = boundary(rest, limit)
                messages.append(Fragment(rest[:end]))
                rest = rest[end:]
            messages.append(rest)
        return messages

    def _cut_rest(self, messages: list[bytes]) -> None:
        r"""Take from the unfinished line what is certain to be a piece of a long one.

        That is when more than the limit is there, not counting a ``\r`` that may turn out to be part of the line's
        end: so the same bytes are cut in the same places however they arrive.
        """
        while len(self._rest) - self._rest.endswith(b"\r", self._limit) > self._limit:
            end = boundary(self._rest, self._limit)
            messages.append(Fragment(self._rest[:end]))
            self._rest = self._rest[end:]
            self.within = True


def boundary(data: bytes, limit: int) -> int:
    """Largest length, at most ``limit``, of a front piece of ``data`` that doesn't end within a UTF-8 character.

    Args:
        data: longer than ``limit``; where it is not UTF-8 it is cut at the limit.
        limit: bytes, 4 or more.
    """
    for end in range(limit, limit - 4, -1):
        if data[end] & 0xC0 != 0x80:  # not a continuation byte, so a character begins here
            return end
    return limit


def no_longer(joined: bytes, separator: bytes, limit: int) -> bool:
    """Whether no line in ``joined`` is longer than ``limit`` bytes, found out in steps of about that many."""
    at = 0
    while len(joined) - at > limit:
        at = joined.rfind(separator, at, at + limit + 1) + 1
        if at == 0:
            return False
    return True
