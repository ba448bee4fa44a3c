"""A child's own JSON, in its records: checked, its names kept apart from ours, its level understood.

An object is merged as its program wrote it: numbers keep their digits, values their order. What can't be merged stays
text: what is not JSON by RFC 8259 (``NaN`` is not), what is nested deeper than :data:`DEPTH` or has more than
:data:`MEMBERS` members (an index would make a column of each), and what would not fit into a record. Of a name that a
program has written twice the last one counts, as for most readers of JSON; the first may be in the record too, but
never one of ours.

Two ways lead to the same records. In bulk each line is only checked and searched for the few names that matter, and
then copied; everything that is out of the ordinary takes the other way, line by line, through a dictionary.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from supervisor.core.spec import JsonLines
from supervisor.logs.dialects import PREFIX, free_name
from supervisor.logs.levels import of_value

OURS = ("timestamp", "event", "seq", "service", "pid", "stream", "id", "part", "parts")
"""Names that only we give a value; a child's are kept behind :data:`~supervisor.logs.dialects.PREFIX`."""

_TAKEN = frozenset({*OURS, "level"})
_OTHER_LEVELS = ("severity", "levelname", "log.level", "lvl")
"""Where the level may stand if it is not called ``level``."""

DEPTH = 64
MEMBERS = 256
"""The deepest and the largest object that is merged."""

_MEMBERS_FIT = 1024
"""An object shorter than this has no more than :data:`MEMBERS` members."""

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_ENCODER = msgspec.json.Encoder()
_DICT = msgspec.json.Decoder(dict[str, Raw])
_ANY = msgspec.json.Decoder()

Fields = dict[str, Raw]


def is_candidate(message: bytes) -> bool:
    """Whether a message looks like a JSON object."""
    return message[:1] == b"{" and message[-1:] == b"}"


def parse(message: bytes) -> Fields | None:
    """The members of a message that is a JSON object; None if it is to stay text.

    Newlines in it, which joined lines have, become blanks.
    """
    text = message.replace(b"\n", b" ")
    if not text.isascii():
        text = text.decode("utf-8", "replace").encode()
    try:
        fields = _DICT.decode(text)
    except (ValueError, RecursionError):
        return None
    if len(fields) > MEMBERS or (text.count(b"{") + text.count(b"[") > DEPTH and _depth(text) > DEPTH):
        return None
    return fields


def level_of(fields: Fields) -> str | None:
    """The level that the object itself says it has."""
    for name in ("level", *_OTHER_LEVELS):
        value = fields.get(name)
        if value is not None:
            return of_value(plain(value))
    return None


def apart(fields: Fields, level: str) -> dict[str, Raw]:
    """The members by names that are not ours; ``level`` is gone if it says the same as ours, in whatever case."""
    if _TAKEN.isdisjoint(fields) and "message" not in fields:
        return fields
    made: dict[str, Raw] = {}
    for name, value in fields.items():
        if name == "level" and bytes(value).lower() == b'"%b"' % level.encode():
            continue
        ours = name in _TAKEN or (name == "message" and bytes(value)[:1] != b'"')
        made[free_name(PREFIX + name, fields) if ours else name] = value
    return made


def plain(value: Raw) -> Any:
    """The value as Python has it; as text if it has no such thing, a number that is too large above all."""
    try:
        return _ANY.decode(value)
    except (ValueError, RecursionError):
        return bytes(value).decode("utf-8", "replace")


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for match in _BRACKETS.finditer(text):
        if match.group() in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
        elif match.group() in (b"}", b"]"):
            depth -= 1
    return deepest


class Bulk:
    """Many objects at once, as what stands in their records behind the fields of ours.

    The shape that is decoded holds the names that occur; how often each occurs in the text of all lines tells whether
    it occurs anywhere else than as a member of its own line's object.
    """

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], Any] = {}

    def bodies(self, messages: Sequence[bytes], way: JsonLines, level: str) -> list[bytes] | None:
        """The objects, each from its first member to its end, with a ``level``; None if one is out of the ordinary.

        Args:
            messages: candidates, none of them long.
            way: merge or embed.
            level: of those that say none.
        """
        text = b"\n".join(messages)
        lines = len(messages)
        if text.count(b'\n{"') + text.startswith(b'{"') != lines or text.count(b"\n") != lines - 1:
            return None  # joined of several lines, empty, or with blanks in front
        if b"\\u" in text or b'"' + PREFIX.encode() in text or not _is_utf8(text) or _may_be_large(text, messages):
            return None  # a name may be hidden in escapes, or taken already
        if way is JsonLines.EMBED:
            return self._embedded(text, messages, level)
        return self._merged(text, messages, level)

    def _decode(self, messages: Sequence[bytes], names: tuple[str, ...]) -> list[Any] | None:
        decode = self._shapes.get(names)
        if decode is None:
            fields = [
                (f"f{number}", object, msgspec.field(name=name, default=UNSET)) for number, name in enumerate(names)
            ]
            shape = msgspec.defstruct("Shape", fields, gc=False)
            decode = self._shapes[names] = msgspec.json.Decoder(shape).decode
        try:
            return list(map(decode, messages))
        except (ValueError, RecursionError):
            return None

    def _merged(self, text: bytes, messages: Sequence[bytes], level: str) -> list[bytes] | None:
        names = tuple(name for name in _WATCHED if b'"%b"' % name.encode() in text)
        if not _ODD.isdisjoint(names):
            return None
        found = self._decode(messages, ("level", *names))
        if found is None:
            return None
        for number, name in enumerate(names, 1):
            values = [getattr(shape, f"f{number}") for shape in found]
            edited = _renamed(text, name, values)
            if edited is None:
                return None
            text = edited
        levels = [shape.f0 for shape in found]
        edited = _levelled(text, levels, level)
        if edited is None:
            return None
        bodies = edited[1:].replace(b"\n{", b"\n").split(b"\n")
        if UNSET in levels:
            own = b'"level":"%b",' % level.encode()
            bodies = [own + body if said is UNSET else body for body, said in zip(bodies, levels, strict=True)]
        return bodies

    def _embedded(self, text: bytes, messages: Sequence[bytes], level: str) -> list[bytes] | None:
        if any(b'"%b"' % name.encode() in text for name in _OTHER_LEVELS):
            return None
        found = self._decode(messages, ("level",))
        if found is None:
            return None
        said = [shape.f0 for shape in found]
        try:
            heads = {value: b'"level":"%b","json":' % (of_value(value) or level).encode() for value in said}
        except TypeError:  # a level that is a list or an object
            return None
        return [heads[value] + message + b"}" for value, message in zip(said, messages, strict=True)]


_ODD = frozenset(_OTHER_LEVELS)
_WATCHED = (*OURS, "message", *_OTHER_LEVELS)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_be_large(text: bytes, messages: Sequence[bytes]) -> bool:
    """Whether one of the objects may be too deep or have too many members."""
    if max(map(len, messages)) >= _MEMBERS_FIT:
        return True
    if text.count(b"{") + text.count(b"[") - len(messages) < DEPTH:
        return False
    return any(message.count(b"{") + message.count(b"[") > DEPTH for message in messages)


def _renamed(text: bytes, name: str, values: list[object]) -> bytes | None:
    """The lines with a member's name put behind the prefix in all objects that have it; None if it isn't that easy."""
    had = len(values) - values.count(UNSET)
    if not had:
        return text  # it stands deeper, which is nobody's concern
    if name == "message":
        return text if all(value is UNSET or isinstance(value, str) for value in values) else None
    key = b'"%b":' % name.encode()
    if text.count(key[:-1]) != had or text.count(key) != had:
        return None
    return text.replace(key, b'"' + PREFIX.encode() + key[1:])


def _levelled(text: bytes, said: list[Any], level: str) -> bytes | None:
    """The lines with each ``level`` as we write it, and what it was beside it unless that is the same word."""
    had = len(said) - said.count(UNSET)
    if not had:
        return text
    if text.count(b'"level"') != had:
        return None
    try:
        values = set(said) - {UNSET}
    except TypeError:
        return None
    edits: list[tuple[bytes, bytes]] = []
    for value in values:
        if type(value) is not str and type(value) is not int:
            return None
        for old, new in _spellings(value, of_value(value) or level):
            found = text.count(old)
            had -= found
            if found and old != new:
                edits.append((old, new))
    if had:
        return None
    for old, new in edits:
        text = text.replace(old, new)
    return text


def _spellings(value: str | int, ours: str) -> Iterator[tuple[bytes, bytes]]:
    """How a level may stand in the text of an object, and how it is to stand there."""
    spelled = _ENCODER.encode(value)
    kept = b"" if str(value).lower() == ours else b',"%blevel":%b' % (PREFIX.encode(), spelled)
    for end in (b"",) if type(value) is str else (b",", b"}"):
        for blank in (b"", b" "):
            new = b'"level":%b"%b"%b%b' % (blank, ours.encode(), kept, end)
            yield b'"level":%b%b%b' % (blank, spelled, end), new
