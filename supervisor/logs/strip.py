r"""Escape sequences taken out of a stream of bytes, the same whatever pieces they arrive in.

Which sequences there are is ECMA-48: control sequences such as colours (``ESC [`` ... letter), strings such as a
window's title (``ESC ]`` ... BEL or ``ESC \``), character sets, and single functions. An ``ESC`` that begins none of
them goes too.
"""

import re

_STRING = 4000
"""Bytes that a string may have and still is one: what is kept back until its end comes."""

_CONTROL = rb"\[[0-?]{0,64}[ -/]{0,8}"
_TEXT = rb"[\]PX^_][^\x07\x1b\n]{0,%d}" % _STRING
_SEQUENCE = re.compile(rb"\x1b(?:%b[@-~]|%b(?:\x07|\x1b\\)|[ -/]{1,8}[0-~]|[0-OQ-WYZ\\`-~])?" % (_CONTROL, _TEXT))
_BEGUN = re.compile(rb"\x1b(?:%b|%b\x1b?|[ -/]{0,8})\Z" % (_CONTROL, _TEXT))
_KEPT = _STRING + 8


class Stripper:
    """Strips one stream."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the stream; return them without sequences, but for one that is not complete yet."""
        if not self._rest and b"\x1b" not in chunk:
            return chunk
        data = self._rest + chunk
        begun = _BEGUN.search(data, max(0, len(data) - _KEPT))
        end = len(data) if begun is None else begun.start()
        self._rest = data[end:]
        return _SEQUENCE.sub(b"", data[:end])

    def flush(self) -> bytes:
        """The stream ends here: return what is left of it."""
        rest, self._rest = self._rest, b""
        return _SEQUENCE.sub(b"", rest)
