r"""Secrets taken out of lines and of events, whatever pieces they arrive in.

A secret is looked for as it is, line by line if it has several, as base64 (also in the midst of more that is encoded
with it, such as ``user:password``), and with any of its characters escaped as JSON strings and URLs do it, more than
once even. Anything else that a program may do to it (encryption, compression, ``p.a.s.s``) is not seen.

Lines come by the thousand: what is looked for is first looked for in all of them together. A line so long that it comes
in pieces is searched across them: the end of each piece is kept back until the next is there.
"""

from __future__ import annotations

import re
from binascii import b2a_base64

from supervisor.logs.lines import Fragment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MARK = "[redacted]"
"""What takes the place of a secret."""

SHORTEST = 4
"""Characters of the shortest secret: of a shorter one every log is full."""

_SHORTEST_PART = 8
"""The same of a secret's line, if it has several, and of what is looked for as base64."""

PATTERN_REACH = 1024
"""Characters of the longest match of a pattern that is found for certain across the pieces of a long line."""

_NOT_SECRET = frozenset({"service", "origin", "from", "to", "signal_name", "action", "scope", "mode", "loop", "stage"})
"""Fields of events that hold names and words of ours alone."""

_ESCAPED = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}

_INTRICATE = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[AZ]|[+*?}]\+")
"""What may make a pattern find less in many lines than in one: assertions, and what never gives back."""


class Redactor:
    """Knows the secrets, and replaces them."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """Look for patterns, as :meth:`look_for`; secrets are added one by one."""
        self._secrets: set[str] = set()
        self._literals: list[bytes] = []
        self._escaped: re.Pattern[str] | None = None
        self.look_for(patterns)

    def look_for(self, patterns: Iterable[str]) -> None:
        """Look for these patterns from now on, beside the secrets, and for no others.

        Args:
            patterns: regular expressions that are right; each match, over its whole length, is replaced.
        """
        self._patterns = [re.compile(pattern) for pattern in patterns]
        self._quick = [re.compile(pattern.pattern, pattern.flags | re.MULTILINE) for pattern in self._patterns]
        self._always = any(_INTRICATE.search(pattern.pattern) for pattern in self._patterns)
        self._prepare()

    def add_secret(self, value: str) -> bool:
        """Look for this value from now on.

        Args:
            value: the secret; blanks and newlines around it don't belong to it.

        Returns:
            Whether it is looked for: not if it is shorter than :data:`SHORTEST`. Whoever has given it tells its owner.
        """
        secret = value.strip()
        if len(secret) < SHORTEST:
            return False
        if secret not in self._secrets:
            self._secrets.add(secret)
            self._prepare()
        return True

    def lines(self, messages: list[bytes], carry: bytes, *, final: bool = False) -> tuple[list[bytes], bytes]:
        """Take the next messages of a stream.

        Args:
            messages: lines, or pieces of a long one.
            carry: what the last call kept back; empty at the beginning.
            final: the last message is a line that has no end, and will never have one.

        Returns:
            The messages without secrets, and what is kept back for the next call.
        """
        if not carry and not final and Fragment not in set(map(type, messages)):
            if self._suspects(b"\n".join(messages)):
                messages = [self._clean(message) for message in messages]
            return messages, b""
        found: list[bytes] = []
        for message in messages:
            data = carry + message
            if type(message) is Fragment:
                piece, carry = self._split(data)
                if piece:
                    found.append(Fragment(piece))
            else:
                carry = b""
                found.append(self._clean(data))
        if final:
            found += [self._clean(carry)] if carry else []
            carry = b""
            if found:
                found[-1] = self._without_beginning(found[-1])
        return found, carry

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields of an event without secrets."""
        return {key: value if key in _NOT_SECRET else self._value(value) for key, value in fields.items()}

    def text(self, text: str) -> str:
        """Any text without secrets."""
        for pattern in self._searches:
            text = pattern.sub(_replace, text)
        return text

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {key: self._value(item) for key, item in value.items()}
        return value

    def _prepare(self) -> None:
        """Make anew what is looked for: the longest first, for one secret may be a part of another."""
        texts = sorted({form for secret in self._secrets for form in _forms(secret)}, key=len, reverse=True)
        self._literals = [text.encode("utf-8", "surrogateescape") for text in texts]
        escaped = sorted({part for secret in self._secrets for part in _parts(secret)}, key=len, reverse=True)
        special = [_with_escapes(part) for part in escaped if not (part.isascii() and part.isalnum())]
        self._escaped = re.compile("|".join(special)) if special else None
        self._searches = [] if self._escaped is None else [self._escaped]  # it finds more, and so goes first
        self._searches += [re.compile("|".join(map(re.escape, texts)))] if texts else []
        self._searches += self._patterns
        longest = max((_escaped_length(secret) for secret in self._secrets), default=0)
        self._reach = max(PATTERN_REACH if self._patterns else 0, longest)

    def _suspects(self, data: bytes) -> bool:
        """Whether some of these lines may hold what is looked for."""
        if self._always or any(literal in data for literal in self._literals):
            return True
        searches = list(self._quick)
        if self._escaped is not None and (b"\\" in data or b"%" in data or b"+" in data):
            searches.append(self._escaped)
        text = _decode(data) if searches else ""
        return any(pattern.search(text) for pattern in searches)

    def _clean(self, message: bytes) -> bytes:
        return _encode(self.text(_decode(message)))

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        """What of an unfinished line is certain, without secrets; and its end, in which one may begin."""
        text = _decode(data)
        end = max(len(text) - self._reach, 0)
        kept = text[end:]
        pieces: list[str] = []
        at = 0
        for start, stop in self._spans(text):
            if start >= end:
                break
            if stop == len(text):  # it may go on: begin there again, with as much of it as it takes to see it again
                end, kept = start, text[start : start + self._reach]
                break
            pieces += (text[at:start], MARK)
            at = stop
            if stop > end:
                end, kept = stop, text[stop:]
        pieces.append(text[at:end])
        return _encode("".join(pieces)), _encode(kept)

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where what is looked for is found, in order, without overlaps."""
        spans = sorted(match.span() for pattern in self._searches for match in pattern.finditer(text) if match.group())
        start = stop = -1
        for first, last in spans:
            if first > stop:
                if stop > start:
                    yield start, stop
                start, stop = first, last
            else:
                stop = max(stop, last)
        if stop > start:
            yield start, stop

    def _without_beginning(self, message: bytes) -> bytes:
        """The message without what may be the beginning of a secret at its end."""
        text = _decode(message)
        longest = max(map(len, self._secrets), default=0)
        for length in range(min(len(text), longest - 1), SHORTEST - 1, -1):
            end = text[-length:]
            if any(secret.startswith(end) for secret in self._secrets):
                return _encode(text[:-length] + MARK)
        return message


def _replace(match: re.Match[str]) -> str:
    return MARK if match.group() else ""


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _parts(secret: str) -> list[str]:
    """The secret, and if it has several lines each of them that is not too short."""
    lines = [line.strip() for line in secret.splitlines()]
    return [secret, *(line for line in lines if len(line) >= _SHORTEST_PART and len(lines) > 1)]


def _forms(secret: str) -> Iterator[str]:
    """What the secret may look like, escapes aside."""
    for part in _parts(secret):
        yield part
        data = part.encode("utf-8", "surrogateescape")
        if len(data) >= _SHORTEST_PART:
            for encoded in _base64(data):
                yield encoded
                yield encoded.replace("+", "-").replace("/", "_")


def _base64(data: bytes) -> Iterator[str]:
    """What base64 makes of the data wherever it stands: three bytes are four characters, so there are three ways.

    Characters at the edges that depend on what stands beside are left out.
    """
    for before in range(3):
        encoded = b2a_base64(bytes(before) + data, newline=False).decode()
        first = (0, 2, 3)[before]
        yield encoded[first : (before + len(data)) * 8 // 6]


def _with_escapes(text: str) -> str:
    """A pattern for the text, each character of it escaped or not, by JSON or in a URL."""
    return "".join([re.escape(char) if char.isascii() and char.isalnum() else _character(char) for char in text])


def _character(char: str) -> str:
    code = ord(char)
    utf16 = char.encode("utf-16-be", "surrogatepass").hex()
    units = "".join(rf"\\+u(?i:{utf16[at : at + 4]})" for at in range(0, len(utf16), 4))
    percent = "".join(f"%(?i:{byte:02x})" for byte in _encode(char))
    ways = [units, percent, r"\\+" if char == "\\" else r"\\*" + re.escape(char)]
    if char == " ":
        ways.append(r"\+")
    if char in _ESCAPED:
        ways.append(r"\\+" + _ESCAPED[char])
    elif code == 0x7F or code < 0x20:
        ways.append(rf"\\+x{code:02x}")
    return f"(?:{'|'.join(ways)})"


def _escaped_length(secret: str) -> int:
    """The longest that the secret gets by one round of escapes."""
    return sum(1 if char.isascii() and char.isalnum() else 12 for char in secret)
