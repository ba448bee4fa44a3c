"""Many JSON objects of children at once: checked and searched for the few names that matter, then copied.

A program that logs JSON writes objects that are much alike, by the thousand. Taken apart into dictionaries and put
together again they cost two microseconds each; here it is one. Everything that is out of the ordinary takes the other
way, by :mod:`supervisor.logs.merge`, and both ways lead to the same records.
"""

import re
from collections.abc import Callable, Sequence
from itertools import compress
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from supervisor.core.spec import JsonLines, ServiceLog
from supervisor.logs.dialects import PREFIX
from supervisor.logs.journal import LEVELS
from supervisor.logs.levels import is_same_word, of_value
from supervisor.logs.merge import DEPTH, OTHER_LEVELS, OURS, brackets, level_of_stream, understand

Origin = tuple[str, int, str]
"""Service, pid and stream a line came from."""

_MEMBERS_FIT = 1024
"""An object shorter than this has no more members than are merged."""

_ESCAPED_NAME = re.compile(rb'\\u[^"]*"\s*:')
_ENCODER = msgspec.json.Encoder()
_NAMES = msgspec.json.Decoder(dict[str, Raw])


class Bulk:
    """Many objects at once, as what stands in their records behind the fields of ours.

    The decoder checks each object and gives those members that matter here; all others are skipped, and copied as
    text. It knows which of our names a program uses, and stumbles over any other: so what costs time is the program's
    own names alone. A name that has to be changed is changed in the text of all objects, if it stands there exactly as
    often as there are objects that have it as a member.
    """

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], tuple[str, ...]] = {}  # by service and stream: names of ours that it uses
        self._shapes: dict[tuple[str, ...], tuple[Callable[[bytes], Any], Callable[[Any], Any]]] = {}

    def bodies(
        self, messages: Sequence[bytes], origin: Origin, log: ServiceLog
    ) -> Sequence[bytes] | Sequence[bytes | None]:
        """What stands in each message's record behind our fields; None for a message that is text.

        Args:
            messages: one or more.
            origin: whose they are.
            log: what becomes of them, which is not that all are text.
        """
        if messages[0][:1] == messages[-1][:1] == b"{" and (all_of_them := self._ordinary(messages, origin, log)):
            return all_of_them
        likely = [message[:2] == b'{"' for message in messages]
        ordinary = list(compress(messages, likely))
        together = self._ordinary(ordinary, origin, log) if ordinary else None
        if together is None:
            return [_body(message, origin, log) for message in messages]
        known = iter(together)
        return [
            next(known) if looks else _body(message, origin, log)
            for message, looks in zip(messages, likely, strict=True)
        ]

    def _ordinary(self, messages: Sequence[bytes], origin: Origin, log: ServiceLog) -> Sequence[bytes] | None:
        """The same for objects of the ordinary kind; None if some are of another, or no objects at all."""
        if max(map(len, messages)) >= _MEMBERS_FIT:
            return None
        level = level_of_stream(origin[2], log)
        if log.json is JsonLines.EMBED:
            return self._embedded(messages, origin, level)
        merged = self._merged(messages, origin, level)
        if merged is None:
            return None
        text, said = merged
        bodies = [line[1:] for line in (text.split(b"\n") if text else messages)]
        if [body[:1] for body in bodies].count(b'"') < len(messages):
            return None  # an empty object, one with blanks in front, or one of several lines
        if UNSET not in said:
            return bodies
        own = b'"level":"%b",' % level.encode()
        return [own + body if value is UNSET else body for body, value in zip(bodies, said, strict=True)]

    def _merged(self, messages: Sequence[bytes], origin: Origin, level: str) -> tuple[bytes, tuple[object, ...]] | None:
        """All objects as one text, a line each, their names apart from ours and their levels as we write them.

        The text is empty where nothing had to be changed. With it comes what each said of its level; ``level`` is what
        a level stands for that is none.
        """
        text = b"\n".join(messages)
        columns = self._decode(text, messages, origin)
        if columns is None:
            return None
        said = columns.pop("level")
        if UNSET in said and not _OTHERS.isdisjoint(columns):
            return None
        edited: bytes | None = text
        for name, values in columns.items():
            edited = text if name in _OTHERS else _renamed(text, name, values)
            if edited is None:
                return None
            text = edited
        edited = _levelled(text, said, level)
        if edited is None:
            return None
        return edited if edited is not text or columns else b"", said

    def _embedded(self, messages: Sequence[bytes], origin: Origin, level: str) -> list[bytes] | None:
        columns = self._decode(b"\n".join(messages), messages, origin)
        if columns is None or not _OTHERS.isdisjoint(columns):
            return None
        try:
            heads = {
                said: b'"level":"%b","json":' % (of_value(said) or level).encode() for said in set(columns["level"])
            }
        except TypeError:  # a level that is a list or an object
            return None
        return [heads[said] + message + b"}" for said, message in zip(columns["level"], messages, strict=True)]

    def _decode(self, text: bytes, messages: Sequence[bytes], origin: Origin) -> dict[str, tuple[Any, ...]] | None:
        """The members that matter, by name and in the order of the messages; None if one is no object, or unusual."""
        if not _is_utf8(text) or _hides_names(text) or _may_be_deep(text, messages):
            return None
        source = origin[0], origin[2]
        names = self._used.get(source, ())
        decode, columns = self._shapes.get(names) or self._shape(names)
        try:
            found = list(map(decode, messages))
        except msgspec.ValidationError:
            learnt = self._learn(messages, source, names)
            if learnt is None:
                return None
            found, names = learnt, self._used[source]
            columns = self._shapes[names][1]
        except (ValueError, RecursionError):
            return None
        return dict(zip(("level", *names), zip(*map(columns, found), strict=True), strict=True))

    def _learn(self, messages: Sequence[bytes], source: tuple[str, str], names: tuple[str, ...]) -> list[Any] | None:
        """Find which names are used, and decode again; None if that does not help: then it is something else."""
        try:
            found = {name for fields in map(_NAMES.decode, messages) for name in _WATCHED.intersection(fields)}
        except (ValueError, RecursionError):
            return None
        if found.issubset(names):
            return None
        names = self._used[source] = tuple(sorted(found.union(names)))
        try:
            return list(map(self._shape(names)[0], messages))
        except (ValueError, RecursionError):
            return None

    def _shape(self, names: tuple[str, ...]) -> tuple[Callable[[bytes], Any], Callable[[Any], Any]]:
        """Decode, and what takes the level and these names out of what was decoded, as a tuple."""
        barred = (_WATCHED | {PREFIX + name for name in ("level", *names)}).difference(names)
        kinds: list[tuple[str, str, Any]] = [(f"f{at}", name, object) for at, name in enumerate(("level", *names))]
        kinds += [("message", "message", str | UnsetType)]
        kinds += [(f"b{at}", name, _Barred) for at, name in enumerate(barred)]
        fields: list[Any] = [(key, kind, msgspec.field(name=name, default=UNSET)) for key, name, kind in kinds]
        decode = msgspec.json.Decoder(msgspec.defstruct("Shape", fields, gc=False)).decode
        columns = attrgetter(*[f"f{at}" for at in range(len(names) + 1)]) if names else _only_level
        self._shapes[names] = decode, columns
        return decode, columns


_WATCHED = frozenset({*OURS, *OTHER_LEVELS})
_OTHERS = frozenset(OTHER_LEVELS)
_Barred: Any = Annotated[int, msgspec.Meta(ge=1, le=0)] | UnsetType
"""No value is one: a member of this type is an error."""


def _only_level(shape: Any) -> tuple[Any, ...]:
    return (shape.f0,)


def _body(message: bytes, origin: Origin, log: ServiceLog) -> bytes | None:
    level, fields = understand(message, origin[2], log)
    if fields is None:
        return None
    return b'"level":"%b"%b%b' % (level.encode(), b"," if fields else b"", _ENCODER.encode(fields)[1:])


def _hides_names(text: bytes) -> bool:
    """Whether there may be a name with an escape for a letter: a string with one, and a colon behind it."""
    return b"\\" in text and b"\\u" in text and _ESCAPED_NAME.search(text) is not None


def _is_utf8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def _may_be_deep(text: bytes, messages: Sequence[bytes]) -> bool:
    """Whether one of the objects may be too deep."""
    if brackets(text) - len(messages) < DEPTH:
        return False
    return any(brackets(message) > DEPTH for message in messages)


def _renamed(text: bytes, name: str, values: tuple[Any, ...]) -> bytes | None:
    """The objects with a member's name put behind the prefix in all that have it; None if it isn't that easy."""
    key = b'"%b"' % name.encode()
    pieces = text.split(key)
    had = len(values) - values.count(UNSET)
    colons = [piece[:1] for piece in pieces].count(b":") - (pieces[0][:1] == b":")
    if had and (len(pieces) != had + 1 or colons != had):
        return None
    return (b'"' + PREFIX.encode() + key[1:]).join(pieces) if had else text


def _levelled(text: bytes, said: tuple[Any, ...], level: str) -> bytes | None:
    """The objects with each ``level`` as we write it, and what it was beside it unless that is the same word."""
    try:
        values = set(said) - {UNSET}
    except TypeError:
        return None
    if LEVELS.keys() >= values:
        return text
    given = [value for value in said if value is not UNSET]
    pieces = text.split(b'"level"')
    if len(pieces) != len(given) + 1:
        return None
    edits = {value: _spellings(value, of_value(value) or level) for value in values}
    for number, value in enumerate(given, 1):
        piece = pieces[number]
        for old, new in edits[value]:
            if piece.startswith(old):
                pieces[number] = new + piece[len(old) :]
                break
        else:
            return None
    return b'"level"'.join(pieces)


def _spellings(value: object, ours: str) -> list[tuple[bytes, bytes]]:
    """How a level may stand behind its key, and what is to stand there."""
    if type(value) is not str and type(value) is not int:
        return []
    spelled = _ENCODER.encode(value)
    kept = b"" if is_same_word(value, ours) else b',"%blevel":%b' % (PREFIX.encode(), spelled)
    return [
        (b":%b%b%b" % (blank, spelled, end), b':%b"%b"%b%b' % (blank, ours.encode(), kept, end))
        for end in ((b"",) if type(value) is str else (b",", b"}"))
        for blank in (b"", b" ")
    ]
