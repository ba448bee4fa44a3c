r"""Environment files: the grammar, and reading a file that may be anything.

A file is lines of ``NAME=VALUE``, as systemd.exec(5) has them in ``EnvironmentFile=``, but strict: what is no line of
this grammar is an error with its number, because a variable that is silently not set is found late. ::

    file     = *line
    line     = blanks [comment / setting] end
    comment  = ("#" / ";") anything
    setting  = ["export" blanks] name "=" blanks value
    name     = letter or "_", then letters, digits and "_"
    value    = "'" anything but "'" "'" blanks          ; verbatim, newlines too
             / '"' anything but unescaped '"' '"' blanks  ; \" \\ \` \$ are the second character; \ newline is nothing
             / anything                                 ; blanks at its end are dropped; \x is x; \ newline is nothing

Nothing is expanded: ``$X`` stays as it is. ``#`` begins a comment only as the first thing of a line. Lines end in LF
or CR LF; a byte order mark is passed over. Of two settings of a name the later one counts.

No message repeats anything of a file but its line numbers: it may hold secrets.
"""

from __future__ import annotations

import errno
import os
import stat

LARGEST = 2**20
"""Bytes of one file."""

_BLANKS = " \t"
_NAME_START = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_NAME = _NAME_START | frozenset("0123456789")
_ESCAPED_IN_QUOTES = frozenset('"\\`$')


class MalformedError(Exception):
    """A file does not hold what it should; the text says why, and where, but not what it holds."""


def read_file(path: str) -> bytes:
    """The content of a regular file of at most :data:`LARGEST` bytes.

    Raises:
        OSError: it can't be read; EFBIG when it is longer, EISDIR or EINVAL when it is no regular file.
    """
    # NONBLOCK, for opening a FIFO would wait for a writer, and we with it
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        chunks = []
        left = LARGEST + 1
        while left > 0 and (chunk := os.read(fd, min(left, 65536))):
            chunks.append(chunk)
            left -= len(chunk)
    finally:
        os.close(fd)
    if left <= 0:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    return b"".join(chunks)


def parse(content: bytes) -> dict[str, str]:
    """The variables that a file sets; bytes that are no UTF-8 are passed on as they are.

    Raises:
        MalformedError: some line is none of the grammar.
    """
    return _Reader(os.fsdecode(content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n"))).read()


class _Reader:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if "\0" in self._text:
            raise MalformedError(f"line {self._text.count(chr(10), 0, self._text.index(chr(0))) + 1}: a NUL character")
        while self._at < len(self._text):
            self._skip(_BLANKS + "\n")
            if self._peek() in ("#", ";"):
                self._rest_of_line()
            elif self._peek():
                name = self._name()
                found[name] = self._value()
        return found

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, characters: str) -> None:
        while self._peek() and self._peek() in characters:
            self._at += 1

    def _rest_of_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _name(self) -> str:
        name = self._word()
        if name == "export" and self._peek() in tuple(_BLANKS):
            self._skip(_BLANKS)
            name = self._word()
        if not name:
            raise self._error("no name of a variable at its beginning")
        if self._peek() != "=":
            raise self._error('no "=" after the name of the variable')
        self._at += 1
        return name

    def _word(self) -> str:
        start = self._at
        if self._peek() in _NAME_START:
            while self._peek() in _NAME:
                self._at += 1
        return self._text[start : self._at]

    def _value(self) -> str:
        self._skip(_BLANKS)
        if self._peek() == "'":
            value = self._single_quoted()
        elif self._peek() == '"':
            value = self._double_quoted()
        else:
            return self._unquoted()
        self._skip(_BLANKS)
        if self._peek() not in ("", "\n"):
            raise self._error("something stands after the closing quote")
        return value

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise self._error("a quote that is never closed")
        value = self._text[self._at + 1 : end]
        self._at = end + 1
        return value

    def _double_quoted(self) -> str:
        opened = self._at
        self._at += 1
        parts: list[str] = []
        while (character := self._peek()) != '"':
            if not character:
                self._at = opened
                raise self._error("a quote that is never closed")
            self._at += 1
            if character == "\\":
                following = self._peek()
                if following == "\n" or following in _ESCAPED_IN_QUOTES:
                    self._at += 1
                    character = "" if following == "\n" else following
            parts.append(character)
        self._at += 1
        return "".join(parts)

    def _unquoted(self) -> str:
        parts: list[str] = []
        kept = 0  # parts up to here are no blanks at the end
        while (character := self._peek()) and character != "\n":
            self._at += 1
            if character == "\\":
                character = self._escaped()
                kept = len(parts) + 1 if character else kept
            elif character not in _BLANKS:
                kept = len(parts) + 1
            parts.append(character)
        return "".join(parts[:kept])

    def _escaped(self) -> str:
        """What follows a backslash outside of quotes: itself, or nothing where that is the end of the line."""
        character = self._peek()
        self._at += len(character)
        return "" if character == "\n" else character

    def _error(self, why: str) -> MalformedError:
        return MalformedError(f"line {self._text.count(chr(10), 0, self._at) + 1}: {why}")
