"""Immutable records: the shape of every spec, state, event and effect.

The standard library's dataclasses import :mod:`inspect` and compile source for each class, and msgspec's Structs
import uuid, decimal, datetime and typing: either costs more than the whole of the daemon's own code on the way to the
first program (docs/design.md, "The start path"). What is needed of them is here: named fields with defaults, no
assignment, equality, and a copy with changes. Type checkers see a frozen dataclass (PEP 681).

::

    class ProcessExited(Record):
        service: str
        status: int = 0
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, TypeVar, dataclass_transform

    _R = TypeVar("_R", bound="Record")
else:

    def dataclass_transform(**_: object) -> object:
        """For type checkers only."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class _RecordType(type):
    """Turns the annotations of a class into slots, and their values into defaults."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _RecordType:
        own = tuple(_annotations(namespace))
        inherited: tuple[str, ...] = getattr(bases[0], "_fields", ()) if bases else ()
        defaults: dict[str, Any] = dict(getattr(bases[0], "_defaults", {})) if bases else {}
        defaults |= {field: namespace.pop(field) for field in own if field in namespace}
        namespace |= {
            "__slots__": own,
            "__match_args__": inherited + own,
            "_fields": inherited + own,
            "_defaults": defaults,
        }
        return super().__new__(cls, name, bases, namespace)


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    annotations: dict[str, Any] | None = namespace.get("__annotations__")
    if annotations is None and "__annotate_func__" in namespace:  # Python 3.14 keeps a function that makes them
        annotations = namespace["__annotate_func__"](1)
    return annotations or {}


class Record(metaclass=_RecordType):
    """A record; subclasses annotate their fields. A default that is a dict is copied for each record."""

    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, Any]]

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self._fields
        given = dict(zip(fields, values, strict=False))
        if len(values) > len(fields) or not given.keys().isdisjoint(named):
            raise TypeError(f"{type(self).__name__}: more values than fields")
        given |= named
        assign = object.__setattr__
        for field in fields:
            if field in given:
                assign(self, field, given.pop(field))
            elif field in self._defaults:
                default = self._defaults[field]
                assign(self, field, dict(default) if type(default) is dict else default)
            else:
                raise TypeError(f"{type(self).__name__}: {field} is missing")
        if given:
            raise TypeError(f"{type(self).__name__}: there is no field {', '.join(given)}")

    def __setattr__(self, name: str, _: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: records don't change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: records don't change")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((type(self), *_values(self)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{field}={getattr(self, field)!r}" for field in self._fields)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), _values(self)


def _values(record: Any) -> tuple[Any, ...]:
    return tuple([getattr(record, field) for field in record._fields])


def replace(record: _R, **changes: Any) -> _R:
    """A copy with some fields changed.

    Raises:
        TypeError: there is no such field.
    """
    return type(record)(**(dict(zip(record._fields, _values(record), strict=True)) | changes))
