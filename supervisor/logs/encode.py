"""One JSON object from a record, in pure Python.

Owned here because the pause mode and the start path may not pay for :mod:`json` or msgspec (5 MB): a record costs a
few microseconds, an import tens of milliseconds. The bulk path for children's output uses msgspec instead
(:mod:`supervisor.logs.output`). Imports :mod:`time` only.

The format is RFC 8259, encoded as UTF-8, without insignificant whitespace.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x20)} | _SHORT

_INFINITY = float("inf")
_DIGITS = 6
"""Decimals kept of a float: microseconds, below the resolution of anything we measure."""

_second, _prefix = -1, "1969-12-31T23:59:59."


def encode(record: Mapping[str, object]) -> bytes:
    """Encode one record, without a newline.

    A record is never lost for what is in it: a lone surrogate (``os.fsdecode`` makes them of names that are not
    UTF-8) becomes U+FFFD, a float that JSON has no word for becomes null, and an object of any other type its
    ``str()``. Floats are rounded to six decimals.
    """
    text = _mapping(record)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def encode_line(record: Mapping[str, object]) -> bytes:
    r"""Encode one record as a line: :func:`encode` and ``\n``."""
    return encode(record) + b"\n"


def to_json(value: object) -> str:
    """Any value as the text of JSON, by the rules of :func:`encode`; lone surrogates are still in it."""
    write = _WRITERS.get(type(value))
    return write(value) if write is not None else _other(value)


def timestamp(wall: float) -> str:
    """RFC 3339 form, in UTC with microseconds, of seconds since the epoch: ``2026-01-31T12:00:00.000001Z``.

    The text of the current second is kept, since records come in bursts.
    """
    global _second, _prefix  # noqa: PLW0603 (a cache of one)
    second = int(wall // 1)
    if second != _second:
        _prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        _second = second
    return f"{_prefix}{int((wall - second) * 1_000_000):06d}Z"


def _mapping(record: Mapping[str, object]) -> str:
    return "{" + ",".join([f"{_key(key)}:{to_json(value)}" for key, value in record.items()]) + "}"


def _key(key: object) -> str:
    return _string(key if type(key) is str else str(key))


def _string(text: str) -> str:
    # Nearly every text has nothing to escape, and finding that out costs a tenth of translating it.
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{text.translate(_ESCAPES)}"'


def _float(value: float) -> str:
    if value != value or value in (_INFINITY, -_INFINITY):  # noqa: PLR0124 (the one test for NaN that imports nothing)
        return "null"
    return repr(round(value, _DIGITS))


def _sequence(items: Iterable[object]) -> str:
    return "[" + ",".join([to_json(item) for item in items]) + "]"


def _other(value: object) -> str:
    """Subclasses as what they are derived from (an ``IntEnum`` is a number); bytes as text; all else as ``str()``."""
    if isinstance(value, str):
        return _string(str.__str__(value))
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    if isinstance(value, bytes):
        return _string(value.decode("utf-8", "replace"))
    return _string(str(value))


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _string,
    bool: {True: "true", False: "false"}.__getitem__,
    int: int.__repr__,
    float: _float,
    type(None): lambda _: "null",
    list: _sequence,
    tuple: _sequence,
    dict: _mapping,
}
