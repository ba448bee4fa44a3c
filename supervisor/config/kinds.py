"""Kinds of single values: what each key may hold, how it is read, and how the schema says so.

A kind reads one value of a file into what the core works with, or notes why not. Kinds made of others (lists, tables)
are in :mod:`supervisor.config.shapes`; quantities in :mod:`supervisor.config.units`.
"""

from __future__ import annotations

import os

from supervisor.config.expand import expand
from supervisor.config.problems import Place, type_of
from supervisor.core.light import Protocol, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervisor.core.light import Enum

T_co = TypeVar("T_co", covariant=True)

NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
"""A service's name: safe as a file name, as a metrics label, and in a control path."""

NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
"""What names of services and of hosts are made of."""

_NO_NUL = "^[^\\u0000]*$"


class Kind(Protocol[T_co]):
    """What a key may hold."""

    @property
    def allowed(self) -> str:
        """What is allowed, in the words of a message."""

    def parse(self, value: object, at: Place) -> T_co:
        """Read a value.

        Raises:
            Invalid: it was refused; why is noted at ``at``.
        """

    def schema(self) -> dict[str, object]:
        """JSON Schema of what :meth:`parse` takes. Where a rule has no form there, the schema takes more."""


class Choice:
    """One of a few words, each standing for a value.

    Args:
        words: the words, with what each stands for.
        allowed: what is allowed, in the words of a message, where it is more than these words.
    """

    def __init__(self, words: Mapping[str, object], allowed: str = "") -> None:
        self.words = words
        self.allowed = allowed or ", ".join(words)

    @classmethod
    def of(cls, members: type[Enum]) -> Choice:
        """The values of an enumeration, each standing for its member."""
        return cls({str(member.value): member for member in members})

    def parse(self, value: object, at: Place) -> object:
        """Read a word; see :meth:`Kind.parse`."""
        if isinstance(value, str):
            if value in self.words:
                return self.words[value]
            # Three words are read faster than a suggestion.
            hint = at.scope.suggest(value, self.words) if len(self.words) > 3 else ""
            raise at.wrong(value, self.allowed, hint)
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"enum": list(self.words)}


class Flag:
    """A boolean."""

    allowed = "true or false"

    def parse(self, value: object, at: Place) -> bool:
        """Read a boolean; see :meth:`Kind.parse`."""
        if isinstance(value, bool):
            return value
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "boolean"}


class Count:
    """A whole number within bounds, both included."""

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.allowed = f"a whole number from {low} to {high}"

    def parse(self, value: object, at: Place) -> int:
        """Read a number; see :meth:`Kind.parse`."""
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class Text:
    """A string without NUL, which no program could be given.

    Its value is never repeated in a message, for this is what environments and command lines are made of.

    Args:
        expanded: put variables in.
        keep_pairs: leave ``$$`` alone but before ``{``.
        empty: may be empty.
        allowed: what is allowed, in the words of a message.
    """

    def __init__(
        self, *, expanded: bool = False, empty: bool = True, allowed: str = "a string", keep_pairs: bool = False
    ) -> None:
        self.expanded = expanded
        self.keep_pairs = keep_pairs
        self.empty = empty
        self.allowed = allowed

    def parse(self, value: object, at: Place) -> str:
        """Read a string; see :meth:`Kind.parse`."""
        if not isinstance(value, str):
            quotes = "; write it in quotes" if type(value) not in (list, dict) else ""
            raise at.refuse(f"found {type_of(value)}; allowed: {self.allowed}{quotes}")
        text = expand(value, at, keep_pairs=self.keep_pairs) if self.expanded and "$" in value else value
        if "\0" in text:
            raise at.refuse(f"found a NUL character; allowed: {self.allowed} without one")
        if not text and not self.empty:
            cause = " after expansion" if value else ""
            raise at.refuse(f"found an empty string{cause}; allowed: {self.allowed}")
        return text

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": _NO_NUL, **({} if self.empty else {"minLength": 1})}


class Path(Text):
    """A path, made absolute; ``words`` stand for themselves."""

    def __init__(self, *, words: tuple[str, ...] = ()) -> None:
        super().__init__(expanded=True, empty=False, allowed=", ".join((*words, "a path")))
        self.words = words

    def parse(self, value: object, at: Place) -> str:
        """Read a path; see :meth:`Kind.parse`."""
        text = super().parse(value, at)
        return text if text in self.words else absolute(at.scope.directory, text)


class OptionalPath(Text):
    """A path, made absolute, or an empty string for none."""

    def __init__(self) -> None:
        super().__init__(expanded=True, allowed='a path, or "" for none')

    def parse(self, value: object, at: Place) -> str:
        """Read a path; see :meth:`Kind.parse`."""
        text = super().parse(value, at)
        return absolute(at.scope.directory, text) if text else text


class VariableName(Text):
    """The name of an environment variable, which holds no ``=``: environ(7)."""

    def __init__(self) -> None:
        super().__init__(empty=False, allowed='the name of an environment variable, without "="')

    def parse(self, value: object, at: Place) -> str:
        """Read a name; see :meth:`Kind.parse`."""
        name = super().parse(value, at)
        if "=" in name:
            raise at.refuse(f'found a name with "="; allowed: {self.allowed}')
        return name

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": "^[^=\\u0000]+$"}


class ServiceName:
    """The name under which a service is defined."""

    allowed = 'a name of 1 to 64 letters, digits, "_", "-" and ".", that begins with a letter, a digit or "_"'

    def parse(self, value: object, at: Place) -> str:
        """Read a name; see :meth:`Kind.parse`."""
        if isinstance(value, str) and _is_name(value):
            return value
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": f"^{NAME}$"}


class ServiceReference(ServiceName):
    """The name of a service that some file defines."""

    allowed = "the name of a configured service"

    def parse(self, value: object, at: Place) -> str:
        """Read a name; see :meth:`Kind.parse`."""
        known = at.scope.services
        if known is None:
            return super().parse(value, at)
        if isinstance(value, str) and value in known:
            return value
        hint = at.scope.suggest(value, known) if isinstance(value, str) and known else ""
        raise at.wrong(value, self.allowed if known else "no name, for no service is configured", hint)


def _is_name(text: str) -> bool:
    """Whether the text matches :data:`NAME`, without what a regular expression takes to be compiled."""
    return 0 < len(text) <= 64 and text[0] not in ".-" and not text.strip(NAME_CHARACTERS)


def absolute(directory: str, path: str) -> str:
    """The path, absolute: a relative one starts from ``directory``.

    One with ``..`` keeps it, since what it means depends on symbolic links: path_resolution(7).
    """
    joined = os.path.join(directory, path)
    return joined if ".." in joined.split("/") else os.path.normpath(joined)
