"""Kinds made of other kinds: lists, tables with known keys, tables with free keys, and choices by type.

A shape reads all it holds before it gives up, so that every problem inside it is noted. A table is a tuple of
:class:`Field`: a new key of the format is one more row.
"""

from __future__ import annotations

from supervisor.config.kinds import Kind
from supervisor.config.problems import Invalid, Place
from supervisor.core.light import Generic, TypeVar
from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

T = TypeVar("T")
K = TypeVar("K")


class Field(Record):
    """One key of a table.

    Attributes:
        key: as the file writes it.
        kind: what it may hold.
        doc: what it means, for the schema.
        default: what holds when it is absent, as a file would write it; None where that is no constant.
        required: must be there.
        attribute: name of the value in Python; the key with underscores when empty.
    """

    key: str
    kind: Kind[object]
    doc: str
    default: object = None
    required: bool = False
    attribute: str = ""

    @property
    def name(self) -> str:
        """Name of the value in Python."""
        return self.attribute or self.key.replace("-", "_")


class Table(Generic[T]):
    """A table with known keys; others are refused.

    Args:
        fields: its keys.
        build: makes the result; called with the values that were given, by name. What is absent is its matter.
        check: looks at the values together, and notes what does not fit; not called with those refused already.
        allowed: what is allowed, in the words of a message.
    """

    def __init__(
        self,
        fields: tuple[Field, ...],
        build: Callable[..., T],
        *,
        check: Callable[[Mapping[str, Any], Place], None] | None = None,
        allowed: str = "a table",
    ) -> None:
        self.fields = {field.key: field for field in fields}
        self.build = build
        self.check = check
        self.allowed = allowed

    def parse(self, value: object, at: Place) -> T:
        """Read a table; see :meth:`Kind.parse`."""
        if not isinstance(value, dict):
            raise at.wrong(value, self.allowed)
        noted = len(at.scope.problems)
        values: dict[str, object] = {}
        for key, item in value.items():
            field = self.fields.get(key)
            if field is None:
                self._unknown(key, at)
                continue
            try:
                values[field.name] = field.kind.parse(item, at.inside(key))
            except Invalid:
                continue  # noted already; the rest of the table may hold more
        for field in self.fields.values():
            if field.required and field.key not in value:
                at.inside(field.key).refuse(f"missing; allowed: {field.kind.allowed}")
        if self.check is not None:
            self.check(values, at)
        if len(at.scope.problems) > noted:
            raise Invalid
        return self.build(**values)

    def _unknown(self, key: str, at: Place) -> None:
        """Note a key that this table does not have, with what may help."""
        home = at.scope.homes.get(key)
        if home is not None:
            help_text = f"; it belongs in {home}"
        else:
            help_text = at.scope.suggest(key, self.fields, "'") or f"; known keys: {', '.join(self.fields)}"
        at.inside(key).refuse(f"unknown key{help_text}")

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        properties: dict[str, object] = {}
        for field in self.fields.values():
            default = {} if field.default is None else {"default": field.default}
            properties[field.key] = {"description": field.doc, **default, **field.kind.schema()}
        required = [field.key for field in self.fields.values() if field.required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }


class Map(Generic[K, T]):
    """A table with free keys, all of one kind, and values of one kind."""

    allowed = "a table"

    def __init__(self, key: Kind[K], value: Kind[T]) -> None:
        self.key = key
        self.value = value

    def parse(self, value: object, at: Place) -> dict[K, T]:
        """Read a table; see :meth:`Kind.parse`."""
        if not isinstance(value, dict):
            raise at.wrong(value, self.allowed)
        places = [(key, item, at.inside(key)) for key, item in value.items()]
        keys = parse_all(self.key, ((key, place) for key, _, place in places), partial=True)
        values = parse_all(self.value, ((item, place) for _, item, place in places), partial=True)
        if len(keys) < len(places) or len(values) < len(places):
            raise Invalid
        return dict(zip(keys, values, strict=True))

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "object", "propertyNames": self.key.schema(), "additionalProperties": self.value.schema()}


class ListOf(Generic[T]):
    """A list of values of one kind.

    Args:
        kind: of each item.
        allowed: what is allowed, in the words of a message.
        empty: may be empty.
    """

    def __init__(self, kind: Kind[T], allowed: str, *, empty: bool = True) -> None:
        self.kind = kind
        self.allowed = allowed
        self.empty = empty

    def parse(self, value: object, at: Place) -> tuple[T, ...]:
        """Read a list; see :meth:`Kind.parse`."""
        if not isinstance(value, list):
            raise at.wrong(value, self.allowed)
        if not value and not self.empty:
            raise at.refuse(f"found an empty list; allowed: {self.allowed}")
        return tuple(parse_all(self.kind, ((item, at.item(index)) for index, item in enumerate(value))))

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "array", "items": self.kind.schema(), **({} if self.empty else {"minItems": 1})}


class ByType:
    """One kind for each type that a value may have.

    Args:
        kinds: by the type a value has in Python.
        allowed: what is allowed, in the words of a message.
    """

    def __init__(self, kinds: Mapping[type, Kind[object]], allowed: str) -> None:
        self.kinds = kinds
        self.allowed = allowed

    def parse(self, value: object, at: Place) -> object:
        """Read a value by the kind for its type; see :meth:`Kind.parse`."""
        kind = self.kinds.get(type(value))
        if kind is None:
            raise at.wrong(value, self.allowed)
        return kind.parse(value, at)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"anyOf": [kind.schema() for kind in self.kinds.values()]}


def parse_all(kind: Kind[T], items: Iterable[tuple[object, Place]], *, partial: bool = False) -> list[T]:
    """Read all values, noting the problems of every one; ``partial`` returns those that were right.

    Raises:
        Invalid: some were refused, and ``partial`` was not asked for.
    """
    results: list[T] = []
    refused = None
    for value, place in items:
        try:
            results.append(kind.parse(value, place))
        except Invalid as invalid:
            refused = invalid
    if refused is not None and not partial:
        raise refused
    return results
