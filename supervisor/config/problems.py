"""Problems of a configuration: where they are, what was found, what is allowed.

Owns the gathering of them. Nothing here stops at the first: a value that is wrong is noted at its :class:`Place` and
left out, and reading goes on, because a user wants to mend a file once and not key by key. Every text that ends in a
problem passes through here, so that one problem is one line, and shows no control character that a file holds.
"""

from __future__ import annotations

from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LONGEST_SHOWN = 60
"""Characters of a value that a message repeats."""

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_ALWAYS_ESCAPED = frozenset('"\\')


class Problem(Record):
    """One thing wrong: the file, the key path in it (``services.web.restart``; empty for the whole file), and words."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration is not usable; ``problems`` holds all that is wrong with it, in the order of the files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Invalid(Exception):  # noqa: N818 - not an error of the program: it only unwinds to the enclosing table
    """A value was refused; its problems are noted already."""


class Scope:
    """What all values of one load share.

    Attributes:
        environ: where ``${X}`` is looked up.
        directory: absolute path that relative ones start from.
        homes: for every key, the table it belongs in; to help with one written elsewhere.
        services: names of all services of all files; None when a file could not be read, so nobody knows them all.
        problems: everything noted so far.
        suggestions: how many more may be searched for. Nearness is costly, and a file full of nonsense needs few.
    """

    def __init__(self, environ: Mapping[str, str], directory: str, homes: Mapping[str, str]) -> None:
        self.environ = environ
        self.directory = directory
        self.homes = homes
        self.services: frozenset[str] | None = None
        self.problems: list[Problem] = []
        self.suggestions = 20

    def note(self, file: str, key: str, message: str) -> None:
        """Note one problem."""
        self.problems.append(Problem(printable(file), printable(key), printable(message)))

    def suggest(self, word: str, known: Iterable[str], quote: str = '"') -> str:
        """``; did you mean "always"?`` when a known word is near to ``word``, else nothing."""
        if self.suggestions == 0 or len(word) > LONGEST_SHOWN:
            return ""
        self.suggestions -= 1
        import difflib  # noqa: PLC0415 - needed for errors only, and not small

        by_lower = {name.lower(): name for name in known}
        near = difflib.get_close_matches(word.lower(), by_lower, n=1)
        return f"; did you mean {quote}{by_lower[near[0]]}{quote}?" if near else ""


class Place:
    """A place in a file, where a value is read and its problems are noted; ``key`` is empty for the whole file.

    A plain class, for one is made for every value of every service.
    """

    __slots__ = ("file", "key", "scope")

    def __init__(self, file: str, key: str, scope: Scope) -> None:
        self.file = file
        self.key = key
        self.scope = scope

    def inside(self, key: str) -> Place:
        """The place of ``key`` in the table at this place; quoted as TOML asks where it is no bare key."""
        word = key if key and len(key) <= LONGEST_SHOWN and _BARE.issuperset(key) else show(key)
        return Place(self.file, f"{self.key}.{word}" if self.key else word, self.scope)

    def item(self, index: int) -> Place:
        """The place of an item, counted from 0, in the list at this place."""
        return Place(self.file, f"{self.key}[{index}]", self.scope)

    def refuse(self, message: str) -> Invalid:
        """Note a problem here; returns what the caller is to raise."""
        self.scope.note(self.file, self.key, message)
        return Invalid()

    def wrong(self, value: object, allowed: str, hint: str = "") -> Invalid:
        """Refuse ``value`` by the usual words: what was found, what is allowed, and perhaps what was meant."""
        return self.refuse(f"found {show(value)}; allowed: {allowed}{hint}")


def printable(text: str) -> str:
    """The text with everything that no terminal or log should get (controls, lone surrogates) as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def show(value: object) -> str:
    """A value from a file as a message repeats it: as TOML writes it, shortened; tables, lists and dates by type."""
    match value:
        case str():
            short = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"
            return '"' + "".join("\\" + char if char in _ALWAYS_ESCAPED else printable(char) for char in short) + '"'
        case bool():
            return "true" if value else "false"
        case int():
            # Beyond a few thousand digits the interpreter refuses to convert (hexadecimal gets in unhindered).
            return str(value) if value.bit_length() < 128 else "a number of very many digits"
        case float():
            return str(value)
        case _:
            return type_of(value)


def type_of(value: object) -> str:
    """The type of a value from a file, in the words of TOML."""
    names = {str: "a string", bool: "a boolean", int: "an integer", float: "a float", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
