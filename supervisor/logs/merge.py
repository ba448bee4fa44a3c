"""A child's own JSON, in its records: checked, its names kept apart from ours, its level understood.

An object is merged as its program wrote it: numbers keep their digits, values their order. What can't be merged stays
text: what is not JSON by RFC 8259 (``NaN`` is not), what is nested deeper than :data:`DEPTH` or has more than
:data:`MEMBERS` members (an index would make a column of each), and what would not fit into a record. Of a name that a
program has written twice the last one counts, as for most readers of JSON; the first may be in the record too. None of
ours is ever there twice, but for a ``level`` that the program itself has written twice.

This is how one object is merged; :mod:`supervisor.logs.bulk` does it for many, and comes back here for each that is out
of the ordinary.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from supervisor.core.spec import JsonLines, ServiceLog
from supervisor.logs.dialects import PREFIX, free_name
from supervisor.logs.levels import guess, is_same_word, of_value

OURS = ("timestamp", "event", "seq", "service", "pid", "stream", "id", "part", "parts")
"""Names that only we give a value; a child's are kept behind :data:`~supervisor.logs.dialects.PREFIX`."""

_OURS = frozenset(OURS)
OTHER_LEVELS = ("severity", "levelname", "log.level", "lvl")
"""Where the level may stand if it is not called ``level``."""

_CONCERNED = frozenset({*OURS, "level", "message", *OTHER_LEVELS})
_LEVELS = ("level", *OTHER_LEVELS)

DEPTH = 64
MEMBERS = 256
"""The deepest and the largest object that is merged."""

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_DICT = msgspec.json.Decoder(dict[str, Raw])
_ANY = msgspec.json.Decoder()

Fields = dict[str, Raw]


def level_of_stream(stream: str, log: ServiceLog) -> str:
    """What a line has that says nothing of its level."""
    return log.level.stderr if stream == "stderr" else log.level.stdout


def understand(
    message: bytes, stream: str, log: ServiceLog, *, objects: bool = True
) -> tuple[str, Mapping[str, Raw] | None]:
    """A message's level, and the members that its record gets instead of a text; None if it is text.

    Args:
        message: without a newline at its end.
        stream: where it was written.
        log: what becomes of it.
        objects: it may be an object; otherwise it is text whatever it looks like.
    """
    level = level_of_stream(stream, log)
    if objects and log.json is not JsonLines.TEXT and message[:1] == b"{" and message[-1:] == b"}":
        fields = parse(message) if type(message) is bytes else None
        if fields is not None:
            if log.json is JsonLines.MERGE:
                return apart(fields, level), fields
            whole = Raw(message.replace(b"\n", b" ").decode("utf-8", "replace").encode())
            return level_of(fields, level), {"json": whole}
    if log.level.guess:
        level = guess(message.decode("utf-8", "replace")) or level
    return level, None


def parse(message: bytes) -> Fields | None:
    """The members of a message that is a JSON object; None if it is to stay text.

    Newlines in it, which joined lines have, become blanks.
    """
    text = message.replace(b"\n", b" ") if b"\n" in message else message
    if not text.isascii():
        text = text.decode("utf-8", "replace").encode()
    try:
        fields = _DICT.decode(text)
    except (ValueError, RecursionError):
        return None
    if len(fields) > MEMBERS or (len(text) > 2 * DEPTH and brackets(text) > DEPTH and _depth(text) > DEPTH):
        return None
    return fields


def apart(fields: Fields, level: str) -> str:
    """Take a child's names apart from ours, in place: the members that would pass for ours get other names.

    ``level`` goes if it says the same as ours, by the same word.

    Args:
        fields: the members.
        level: what it has if it does not say.

    Returns:
        The level that the object says it has.
    """
    if _CONCERNED.isdisjoint(fields):
        return level
    value = fields.pop("level", None)
    if value is not None:
        said = plain(value)
        level = of_value(said) or level
        if not is_same_word(said, level):
            fields[free_name(PREFIX + "level", fields)] = value
    else:
        level = level_of(fields, level)
    for name in _OURS.intersection(fields):
        fields[free_name(PREFIX + name, fields)] = fields.pop(name)
    message = fields.get("message")
    if message is not None and bytes(message)[:1] != b'"':
        fields[free_name(PREFIX + "message", fields)] = fields.pop("message")
    return level


def level_of(fields: Fields, level: str) -> str:
    """The level that the object says it has, or ``level``."""
    name = next((name for name in _LEVELS if name in fields), None)
    return level if name is None else of_value(plain(fields[name])) or level


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


def brackets(text: bytes) -> int:
    """How many objects and lists begin in a text, at the most."""
    return text.count(b"{") + (text.count(b"[") if b"[" in text else 0)
