"""What the standard library has, in a form that brings nothing along.

On the way to the first program :mod:`enum`, :mod:`typing` and :mod:`collections`, with what they import and build,
take as long as the interpreter's own start (docs/design.md, "The start path"). Type checkers see the originals.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator
    from enum import Enum
    from typing import Any, Generic, Protocol, TypeVar
else:
    from _collections import deque

    class _EnumType(type):
        """Turns the words of a class into its members."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _EnumType:
            words = {key: word for key, word in namespace.items() if type(word) is str and not key.startswith("_")}
            rest = {key: value for key, value in namespace.items() if key not in words}
            made = super().__new__(cls, name, bases, {"__slots__": (), **rest})
            made._members = {}
            for key, word in words.items():
                member = made._members[word] = object.__new__(made)
                member.name, member.value = key, word
                setattr(made, key, member)
            return made

        def __call__(cls, value: str) -> Enum:
            if value not in cls._members:
                raise ValueError(f"{value!r} is no {cls.__name__}")
            return cls._members[value]

        def __iter__(cls) -> Iterator[Enum]:
            return iter(cls._members.values())

        def __len__(cls) -> int:
            return len(cls._members)

        def __bool__(cls) -> bool:
            return True

    class Enum(metaclass=_EnumType):
        """A choice of words, each a member: one object, with ``name`` and ``value``, and equal to nothing else."""

        __slots__ = ("name", "value")

        def __repr__(self) -> str:
            return f"{type(self).__name__}.{self.name}"

        def __reduce__(self) -> tuple[type, tuple[str]]:
            return type(self), (self.value,)

    def TypeVar(name: str, **_: object) -> str:  # noqa: N802 - the name is the original's
        """What a parameter stands for is for type checkers."""
        return name

    class Generic:
        """A base whose parameters are for type checkers."""

        def __class_getitem__(cls, _: object) -> type[Generic]:
            return cls

    class Protocol(Generic):
        """A shape that type checkers look for."""


__all__ = ["Enum", "Generic", "Protocol", "TypeVar", "deque"]
