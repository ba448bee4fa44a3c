"""The quick way through a TOML file that holds nothing unusual, as nearly all do.

:mod:`tomllib`, with what it imports and compiles, takes twice as long as the interpreter's own start, and the first
program waits for it. Here are tables, strings, whole numbers, booleans, arrays and inline tables, by hand. Whatever
else there is (a date, a float, a dotted key, ``[[...]]``), and every mistake, is left to
tomllib, which reads the file from its beginning and alone has words for errors; a test holds both to the same results.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEEPEST = 4
"""Parts of the name of a table; the format itself needs no more."""

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_ENDS_WORD = frozenset(" \t\n,]}#\0")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_LINES = ('"""', "'''")
_WORDS = {"true": True, "false": False}
_NEVER = frozenset(map(chr, (*range(9), *range(11, 32), 127)))
"""Characters that a file may hold nowhere; NUL among them, which marks the end here."""


class _UnusualError(Exception):
    """Something that is tomllib's."""


def read_quickly(text: str) -> dict[str, Any] | None:
    """The document; None when tomllib has to be asked."""
    text = text.replace("\r\n", "\n")
    if not _NEVER.isdisjoint(text):
        return None
    try:
        return _Reader(text).document()
    except (_UnusualError, RecursionError):
        return None


class _Reader:
    """Reads from a position, and moves it."""

    def __init__(self, text: str) -> None:
        self._text = text + "\0"
        self._at = 0
        self._tables: dict[tuple[str, ...], dict[str, Any]] = {(): {}}
        self._headed: set[tuple[str, ...]] = set()

    def document(self) -> dict[str, Any]:
        """All of it."""
        table = document = self._tables[()]
        while self._next(lines=True) != "\0":
            if self._take("["):
                table = self._header()
            else:
                self._pair(table)
            if self._next() not in "\n\0":
                raise _UnusualError
        return document

    def _header(self) -> dict[str, Any]:
        name: tuple[str, ...] = ()
        while not name or self._take("."):
            table = self._tables[name]
            self._next()
            name = (*name, self._key())
            self._next()
            if len(name) > DEEPEST:
                raise _UnusualError
            if name not in self._tables:
                self._tables[name] = self._put(table, name[-1], {})
        if name in self._headed or not self._take("]"):
            raise _UnusualError
        self._headed.add(name)
        return self._tables[name]

    def _pair(self, table: dict[str, Any]) -> None:
        key = self._key()
        self._next()
        if not self._take("="):
            raise _UnusualError
        self._next()
        self._put(table, key, self._value())

    @staticmethod
    def _put(table: dict[str, Any], key: str, value: Any) -> Any:
        if key in table:
            raise _UnusualError
        table[key] = value
        return value

    def _key(self) -> str:
        text, start = self._text, self._at
        if text[start] in "\"'":
            return self._string()
        while text[self._at] in _BARE:
            self._at += 1
        if self._at == start:
            raise _UnusualError
        return text[start : self._at]

    def _value(self) -> Any:
        if self._text[self._at] in "\"'":
            return self._lines() if self._text.startswith(_LINES, self._at) else self._string()
        if self._take("["):
            return self._array()
        if self._take("{"):
            return self._inline_table()
        return self._word()

    def _word(self) -> int:
        text, start = self._text, self._at
        while text[self._at] not in _ENDS_WORD:
            self._at += 1
        word = text[start : self._at]
        if word in _WORDS:
            return _WORDS[word]
        digits = word[1:] if word[:1] in ("+", "-") else word
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19) or (digits[0] == "0" and len(digits) > 1):
            raise _UnusualError
        return int(word)

    def _string(self) -> str:
        text, start = self._text, self._at + 1
        quote = text[self._at]
        if text.startswith(quote * 2, start):
            raise _UnusualError
        end = self._closing(quote, start)
        parts: list[str] = []
        while quote == '"' and (slash := text.find("\\", start, end)) >= 0:
            parts += (text[start:slash], self._escaped(text[slash + 1]))
            start = slash + 2
            if end < start:
                end = self._closing(quote, start)
        if text.find("\n", self._at, end) >= 0:
            raise _UnusualError
        self._at = end + 1
        return "".join((*parts, text[start:end]))

    def _lines(self) -> str:
        text, start = self._text, self._at + 3
        quotes = text[self._at : start]
        end = self._closing(quotes, start)
        lines = text[start:end]
        if quotes[0] == '"' and "\\" in lines:
            raise _UnusualError
        self._at = end + 3
        return lines.removeprefix("\n")

    def _closing(self, quote: str, start: int) -> int:
        end = self._text.find(quote, start)
        if end < 0:
            raise _UnusualError
        return end

    @staticmethod
    def _escaped(character: str) -> str:
        if character not in _ESCAPES:
            raise _UnusualError
        return _ESCAPES[character]

    def _array(self) -> list[Any]:
        items: list[Any] = []
        while self._next(lines=True) != "]":
            items.append(self._value())
            if self._next(lines=True) != "]" and not self._take(","):
                raise _UnusualError
        self._at += 1
        return items

    def _inline_table(self) -> dict[str, Any]:
        table: dict[str, Any] = {}
        if self._next() != "}":
            self._pair(table)
            while self._next() != "}":
                if not self._take(","):
                    raise _UnusualError
                self._next()
                self._pair(table)
        self._at += 1
        return table

    def _take(self, character: str) -> bool:
        if self._text[self._at] != character:
            return False
        self._at += 1
        return True

    def _next(self, *, lines: bool = False) -> str:
        """The next character that is neither blank nor comment, nor, where ``lines`` may end, a line's end."""
        text, skipped = self._text, " \t\n" if lines else " \t"
        while True:
            while text[self._at] in skipped:
                self._at += 1
            if text[self._at] != "#":
                return text[self._at]
            end = text.find("\n", self._at)
            self._at = end if end >= 0 else len(text) - 1
