"""The files of a configuration: which they are, and their content as TOML documents.

A path may name anything, a device or a pipe included, and a file may hold anything. Whatever it is, reading ends soon,
takes bounded memory, and yields a document or a problem: never a traceback, never a daemon that waits. The bounds are
chosen for tomllib, which takes some hundred times a file's size in memory in the worst case, and time by the square
of the length of a dotted key.
"""

from __future__ import annotations

import os
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK

from supervisor.config.kinds import absolute
from supervisor.config.problems import Scope
from supervisor.config.quick import read_quickly
from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

LONGEST_FILE = 2**20
"""Bytes of one file: enough for some 3,000 services, and the worst that fits is parsed within seconds."""

DEEPEST_KEY = 8
"""Parts of one dotted key; the format itself needs four."""

_SPECIAL = ((S_ISFIFO, "a FIFO"), (S_ISCHR, "a character device"), (S_ISBLK, "a block device"), (S_ISSOCK, "a socket"))


class Source(Record):
    """A file that was read: its absolute path, and what it holds."""

    path: str
    document: dict[str, Any]


class Unusable(Exception):  # noqa: N818 - its text is the problem, told to the user as it stands
    """A file cannot be taken as configuration; the text says why."""


def read_sources(paths: Sequence[str], scope: Scope) -> list[Source]:
    """Read all files that the paths name, each once, noting what cannot be read.

    Args:
        paths: files, or folders, of which the ``*.toml`` are read by name, without hidden ones.
        scope: where problems are noted; relative paths start from its directory.
    """
    files: dict[str, None] = {}
    for path in paths:
        try:
            files.update(dict.fromkeys(_files(absolute(scope.directory, path))))
        except (OSError, ValueError) as error:
            scope.note(absolute(scope.directory, path), "", _words(error))
    sources = []
    for file in files:
        try:
            sources.append(Source(file, _parse(_decode(_read(file)))))
        except (OSError, Unusable) as error:
            scope.note(file, "", _words(error))
    return sources


def _words(error: Exception) -> str:
    """Why a file cannot be used, for a message."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    if isinstance(error, ValueError):
        return "cannot be read: a path holds no NUL character"  # all that os.stat refuses by itself
    return str(error)


def _files(path: str) -> list[str]:
    """The files that a path stands for."""
    if not S_ISDIR(os.stat(path).st_mode):
        return [path]
    names = (name for name in os.listdir(path) if name.endswith(".toml") and not name.startswith("."))
    return [os.path.join(path, name) for name in sorted(names)]


def _read(path: str) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: it cannot be read.
        Unusable: it is no regular file, or too long.
    """
    # Looked at before it is opened, since opening a device can act on it (watchdogs, tapes), and after it, since it
    # may have been replaced in between.
    _require_regular(os.stat(path).st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _require_regular(os.fstat(descriptor).st_mode)
        chunks = []
        left = LONGEST_FILE + 1
        while left > 0 and (chunk := os.read(descriptor, min(left, 65536))):
            chunks.append(chunk)
            left -= len(chunk)
    finally:
        os.close(descriptor)
    if left <= 0:
        raise Unusable(f"longer than {LONGEST_FILE} bytes; split it into several files")
    return b"".join(chunks)


def _require_regular(mode: int) -> None:
    if S_ISREG(mode):
        return
    if S_ISDIR(mode):
        raise Unusable("is a folder inside a folder; allowed: a regular file")
    found = next((words for is_it, words in _SPECIAL if is_it(mode)), "no regular file")
    raise Unusable(f"is {found}; allowed: a regular file, or a folder of *.toml files")


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unusable("is encoded as UTF-16; allowed: UTF-8")
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        raise Unusable(
            f"is not encoded as UTF-8: found byte 0x{error.object[error.start]:02x} (at line {line}, column {column})"
        ) from error


def _parse(text: str) -> dict[str, Any]:
    document = read_quickly(text)
    if document is not None:
        return document
    import tomllib  # noqa: PLC0415 - only for what is unusual: it compiles its patterns at import

    _require_shallow_keys(text)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise Unusable("is nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError is one; so is what int() says of too many digits
        raise Unusable(f"is not valid TOML: {error}") from error


def _require_shallow_keys(text: str) -> None:
    """Refuse a dotted key of very many parts: 5,000 of them cost tomllib 100 MB, 50,000 the whole machine.

    Raises:
        Unusable: there is one.
    """
    suspects = (number for number, line in enumerate(text.split("\n"), 1) if line.count(".") >= DEEPEST_KEY)
    first = next(suspects, None)
    if first is None:
        return
    import re  # noqa: PLC0415 - few files have a line of so many dots, and most of these are in strings

    # Strings and comments go, their line ends stay; what has no end runs to the end, so that this takes linear time.
    opaque = (
        r'"""(?:[^\\]|\\.)*?(?:"""|\Z)'
        r"|'''.*?(?:'''|\Z)"
        r'|"(?:[^"\\\n]|\\[^\n])*"?'
        r"|'[^'\n]*'?"
        r"|#[^\n]*"
    )
    bare = re.sub(opaque, lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(bare.split("\n"), 1):
        if any(part.count(".") >= DEEPEST_KEY for part in re.split(r"[=,{}\[\]]", line)):
            raise Unusable(f"has a key of more than {DEEPEST_KEY} parts (at line {number})")
