"""Many JSON objects of children at once: checked and searched for the few names that matter, then copied.

A program that logs JSON writes objects that are much alike, by the thousand. Taken apart into dictionaries and put
together again they cost two microseconds each; here it is one. Everything that is out of the ordinary takes the other
way, by :mod:`supervisor.logs.merge`, and both ways lead to the same records.
"""

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress
from operator import attrgetter, itemgetter
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
        self._shapes: dict[tuple[str, ...], Callable[[bytes], Any]] = {}

    def bodies(
        self, messages: Sequence[bytes], origin: Origin, log: ServiceLog, of_text: Callable[[bytes], bytes]
    ) -> Sequence[bytes]:
        """What stands in each message's record behind our fields.

        Args:
            messages: one or more.
            origin: whose they are.
            log: what becomes of them, which is not that all are text.
            of_text: the same for a message that is text.
        """
        if all_of_them := self._ordinary(messages, origin, log):
            return all_of_them
        likely = [message[:2] == b'{"' for message in messages]
        ordinary = list(compress(messages, likely))
        together = self._ordinary(ordinary, origin, log) if 0 < len(ordinary) < len(messages) else None
        if together is None:
            return [_body(message, origin, log) or of_text(message) for message in messages]
        known = iter(together)
        return [
            next(known) if looks else _body(message, origin, log) or of_text(message)
            for message, looks in zip(messages, likely, strict=True)
        ]

    def _ordinary(self, messages: Sequence[bytes], origin: Origin, log: ServiceLog) -> Sequence[bytes] | None:
        """The same for objects of the ordinary kind; None if some are of another, or no objects at all."""
        if messages[0][:1] != b"{" or max(map(len, messages)) >= _MEMBERS_FIT:
            return None
        members = [message[1:] for message in messages]
        text = b"\n".join(members)
        found = self._decode(text, messages, origin)
        if found is None or not _are_bare(messages, text):
            return None
        objects, names = found
        said = list(map(_VALUES[0], objects))
        levels = _distinct(said)
        if levels is None or (UNSET in levels and not _OTHERS.isdisjoint(names)):
            return None
        level = level_of_stream(origin[2], log)
        if log.json is JsonLines.EMBED:
            heads = {value: b'"level":"%b","json":' % (of_value(value) or level).encode() for value in levels}
            return [heads[value] + message + b"}" for value, message in zip(said, messages, strict=True)]
        edited = _renamed(text, names, objects)
        edited = _levelled(edited, said, levels, level) if edited is not None else None
        if edited is None:
            return None
        if edited is not text:
            members = edited.split(b"\n")
        if UNSET in levels:
            own = b'"level":"%b",' % level.encode()
            members = [own + body if value is UNSET else body for body, value in zip(members, said, strict=True)]
        return members

    def _decode(
        self, text: bytes, messages: Sequence[bytes], origin: Origin
    ) -> tuple[list[Any], tuple[str, ...]] | None:
        """The members that matter, of each object, and what they are called; None if something is unusual."""
        if not _is_utf8(text) or _hides_names(text) or _may_be_deep(text, messages):
            return None
        source = origin[0], origin[2]
        names = self._used.get(source, ())
        try:
            return list(map(self._shapes.get(names) or self._shape(names), messages)), names
        except msgspec.ValidationError:
            return self._learn(messages, source, names)
        except (ValueError, RecursionError):
            return None

    def _learn(
        self, messages: Sequence[bytes], source: tuple[str, str], names: tuple[str, ...]
    ) -> tuple[list[Any], tuple[str, ...]] | None:
        """Find which names are used, and decode again; None if that does not help: then it is something else."""
        try:
            found = {name for fields in map(_NAMES.decode, messages) for name in _WATCHED.intersection(fields)}
            if found.issubset(names):
                return None
            names = self._used[source] = tuple(sorted(found.union(names)))
            return list(map(self._shape(names), messages)), names
        except (ValueError, RecursionError):
            return None

    def _shape(self, names: tuple[str, ...]) -> Callable[[bytes], Any]:
        """What decodes an object to its level and the members of these names, as ``f0`` and so on."""
        barred = (_WATCHED | {PREFIX + name for name in ("level", *names)}).difference(names)
        kinds: list[tuple[str, str, Any]] = [(f"f{at}", name, object) for at, name in enumerate(("level", *names))]
        kinds += [("message", "message", str | UnsetType)]
        kinds += [(f"b{at}", name, _Barred) for at, name in enumerate(barred)]
        fields: list[Any] = [(key, kind, msgspec.field(name=name, default=UNSET)) for key, name, kind in kinds]
        decode = self._shapes[names] = msgspec.json.Decoder(msgspec.defstruct("Shape", fields, gc=False)).decode
        return decode


_WATCHED = frozenset({*OURS, *OTHER_LEVELS})
_OTHERS = frozenset(OTHER_LEVELS)
_VALUES = [attrgetter(f"f{at}") for at in range(len(_WATCHED) + 1)]
_LEVEL = b'"level"'
_REGULAR = frozenset({UNSET, *LEVELS})
_SECOND, _LAST = itemgetter(1), itemgetter(-1)
_QUOTE, _BRACE = b'"}'
_Barred: Any = Annotated[int, msgspec.Meta(ge=1, le=0)] | UnsetType
"""No value is one: a member of this type is an error."""


def _body(message: bytes, origin: Origin, log: ServiceLog) -> bytes | None:
    level, fields = understand(message, origin[2], log)
    if fields is None:
        return None
    return b'"level":"%b"%b%b' % (level.encode(), b"," if fields else b"", _ENCODER.encode(fields)[1:])


def _are_bare(messages: Sequence[bytes], members: bytes) -> bool:
    """Whether each object has a member, stands in one line, and has no blanks before, behind or within its braces.

    Args:
        messages: all of them objects.
        members: each without its first byte, a line each.
    """
    count = len(messages)
    if list(map(_SECOND, messages)).count(_QUOTE) < count or list(map(_LAST, messages)).count(_BRACE) < count:
        return False
    return members.count(b"\n") < count


def _distinct(said: Sequence[object]) -> set[object] | None:
    try:
        return set(said)
    except TypeError:  # a level that is a list or an object
        return None


def _hides_names(text: bytes) -> bool:
    """Whether there may be a name with an escape for a letter: a string with one, and a colon behind it."""
    return b"\\" in text and b"\\u" in text and _ESCAPED_NAME.search(text) is not None


def _is_utf8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def _may_be_deep(text: bytes, messages: Sequence[bytes]) -> bool:
    """Whether one of the objects may be too deep; ``text`` lacks the first brace of each."""
    if brackets(text) < DEPTH:
        return False
    return any(brackets(message) > DEPTH for message in messages)


def _renamed(text: bytes, names: Sequence[str], objects: Sequence[Any]) -> bytes | None:
    """The objects with these members' names put behind the prefix, but for levels; None if it isn't that easy.

    It is, if a name stands there as often as there are objects that have it: each of these needs one.
    """
    for name, value in zip(names, _VALUES[1:], strict=False):
        had = len(objects) - list(map(value, objects)).count(UNSET)
        if not had or name in _OTHERS:
            continue
        key = b'"%b"' % name.encode()
        pieces = text.split(key)
        if len(pieces) != had + 1:
            return None
        text = (b'"' + PREFIX.encode() + key[1:]).join(pieces)
    return text


def _levelled(text: bytes, said: Sequence[object], levels: AbstractSet[object], level: str) -> bytes | None:
    """The objects with each ``level`` as we write it, and what it was beside it unless that is the same word."""
    odd = levels - _REGULAR
    if odd and text.count(_LEVEL) != len(said) - said.count(UNSET):
        return None
    for value in odd:
        left = said.count(value)
        for old, new in _spellings(value, of_value(value) or level):
            if left and (count := text.count(old)):
                text, left = text.replace(old, new), left - count
        if left:
            return None
    return text


def _spellings(value: object, ours: str) -> list[tuple[bytes, bytes]]:
    """How a level may stand behind its key, and what is to stand there."""
    if type(value) is not str and type(value) is not int:
        return []
    spelled = _ENCODER.encode(value)
    kept = b"" if is_same_word(value, ours) else b',"%blevel":%b' % (PREFIX.encode(), spelled)
    return [
        (b"%b:%b%b%b" % (_LEVEL, blank, spelled, end), b'%b:"%b"%b%b' % (_LEVEL, ours.encode(), kept, end))
        for end in ((b"",) if type(value) is str else (b",", b"}"))
        for blank in (b"", b" ")
    ]
