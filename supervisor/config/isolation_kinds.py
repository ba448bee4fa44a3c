"""Kinds that only the restrictions of a service have: users, masks, limits, capabilities, processors, groups."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from supervisor.config.kinds import Count, Flag, Path, Text
from supervisor.config.problems import Place
from supervisor.config.shapes import Field, Table
from supervisor.config.units import Size

INFINITY = -1
"""No limit; RLIM_INFINITY of setrlimit(2), as the core writes it."""

_MOST = 2**63 - 1
_LAST_ID = 2**32 - 2  # -1 means "leave alone" to setresuid(2)
_LAST_PROCESSOR = 8191
_WORDS = ("infinity", "unlimited")

BYTES = ("as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack")
COUNTS = ("cpu", "nice", "nofile", "nproc", "rtprio", "rttime", "sigpending")
"""The resources of setrlimit(2), in small letters without ``RLIMIT_``: those in bytes, and the others."""


class Account:
    """A user or a group: a name, or a number.

    Args:
        what: ``user`` or ``group``.
    """

    def __init__(self, what: str) -> None:
        self.allowed = f"the name of a {what}, or a number from 0 to {_LAST_ID}"
        self._number = Count(0, _LAST_ID)
        self._name = Text(expanded=True, empty=False, allowed=self.allowed)

    def parse(self, value: object, at: Place) -> str:
        """Read a name or number; see :meth:`Kind.parse`."""
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value <= _LAST_ID:
                raise at.wrong(value, self.allowed)
            return str(value)
        name = self._name.parse(value, at)
        too_high = re.fullmatch("[0-9]+", name) is not None and (len(name) > 10 or int(name) > _LAST_ID)
        if too_high or re.search("[:/\\s]", name):
            if name != value:  # what a variable holds is not repeated
                raise at.refuse(f"no such thing after expansion; allowed: {self.allowed}")
            raise at.wrong(name, self.allowed)
        return name

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        # what a variable stands for is not known here
        pattern = "^(?:[^:/\\s\\u0000]+|[^\\u0000]*[$][^\\u0000]*)$"
        return {"anyOf": [self._number.schema(), {"type": "string", "pattern": pattern}]}


class Umask:
    """A mask of file modes, in octal digits as umask(1) takes it.

    A string, for a number without ``0o`` would be taken for decimal.
    """

    allowed = 'octal digits in quotes, from "0" to "0777", such as "0027"'
    _PATTERN = "0?[0-7]{1,3}"

    def parse(self, value: object, at: Place) -> int:
        """Read a mask; see :meth:`Kind.parse`."""
        if isinstance(value, str) and re.fullmatch(self._PATTERN, value):
            return int(value, 8)
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": f"^{self._PATTERN}$"}


class Amount:
    """One value of a limit: a number, a word for no limit or, of a resource counted in bytes, a size."""

    def __init__(self, *, in_bytes: bool) -> None:
        size = ', a size such as "64MiB"' if in_bytes else ""
        self.allowed = f'a whole number{size}, or "infinity"'
        self._size = Size((0, "0B"), (_MOST, "8589934591GiB")) if in_bytes else None
        if self._size is not None:
            self._size.allowed = self.allowed

    def parse(self, value: object, at: Place) -> int:
        """Read an amount; see :meth:`Kind.parse`."""
        if isinstance(value, str):
            if value in _WORDS:
                return INFINITY
            if self._size is not None:
                return self._size.parse(value, at)
        elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
            return value
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        kinds: list[object] = [{"type": "integer", "minimum": 0, "maximum": _MOST}, {"enum": list(_WORDS)}]
        if self._size is not None:
            kinds.append(self._size.schema())
        return {"anyOf": kinds}


def _soft_fits(values: Mapping[str, int], at: Place) -> None:
    """The kernel refuses a soft limit above the hard one."""
    soft, hard = values.get("soft"), values.get("hard")
    if soft is None or hard is None or hard == INFINITY:
        return
    if soft == INFINITY or soft > hard:
        at.inside("soft").refuse("above hard; allowed: as much, or less")


class Limit:
    """A limit: one amount for soft and hard, or a table of both."""

    def __init__(self, *, in_bytes: bool) -> None:
        self._amount = Amount(in_bytes=in_bytes)
        self.allowed = f"{self._amount.allowed}, or a table such as {{ soft = 1024, hard = 4096 }}"
        self._both: Table[tuple[int, int]] = Table(
            (
                Field("soft", self._amount, "What the process is held to.", required=True),
                Field("hard", self._amount, "How far it may raise that itself.", required=True),
            ),
            lambda soft, hard: (soft, hard),
            check=_soft_fits,
        )

    def parse(self, value: object, at: Place) -> tuple[int, int]:
        """Read a limit; see :meth:`Kind.parse`."""
        if isinstance(value, dict):
            return self._both.parse(value, at)
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise at.wrong(value, self.allowed)
        amount = self._amount.parse(value, at)
        return amount, amount

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"anyOf": [self._amount.schema(), self._both.schema()]}


class Capability:
    """The name of a capability, all small or all in capitals, with or without ``CAP_``."""

    allowed = 'the name of a capability such as "net_bind_service", see capabilities(7)'

    def parse(self, value: object, at: Place) -> str:
        """Read a name; see :meth:`Kind.parse`."""
        from supervisor.core.capabilities import CAPABILITIES  # noqa: PLC0415 - few files name any

        if not isinstance(value, str):
            raise at.wrong(value, self.allowed)
        name = value.lower() if value.isupper() else value
        name = name.removeprefix("cap_")
        if name not in CAPABILITIES:
            raise at.wrong(value, self.allowed, at.scope.suggest(name, CAPABILITIES))
        return name

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        from supervisor.core.capabilities import CAPABILITIES  # noqa: PLC0415 - the schema is made on demand

        small = "|".join(CAPABILITIES)
        return {"type": "string", "pattern": f"^(?:(?:cap_)?(?:{small})|(?:CAP_)?(?:{small.upper()}))$"}


class Processors:
    """A list of numbers of processors, and of ranges of them: ``[0, "2-3"]``."""

    allowed = 'a list of numbers of processors and ranges of them, such as [0, "2-3"]'
    _number = Count(0, _LAST_PROCESSOR)
    _RANGE = "([0-9]{1,4})-([0-9]{1,4})"

    def parse(self, value: object, at: Place) -> tuple[int, ...]:
        """Read a list; see :meth:`Kind.parse`."""
        if not isinstance(value, list):
            raise at.wrong(value, self.allowed)
        if not value:
            raise at.refuse(f"found an empty list; allowed: {self.allowed}")
        numbers: set[int] = set()
        for index, item in enumerate(value):
            place = at.item(index)
            if isinstance(item, str):
                numbers.update(self._range(item, place))
            else:
                numbers.add(self._number.parse(item, place))
        return tuple(sorted(numbers))

    def _range(self, text: str, at: Place) -> range:
        match = re.fullmatch(self._RANGE, text)
        first, last = (int(match[1]), int(match[2])) if match else (1, 0)
        if first > last or last > _LAST_PROCESSOR:
            raise at.wrong(text, f'a range from 0 to {_LAST_PROCESSOR} such as "2-3"')
        return range(first, last + 1)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        items = {"anyOf": [self._number.schema(), {"type": "string", "pattern": f"^{self._RANGE}$"}]}
        return {"type": "array", "items": items, "minItems": 1}


class EnvironmentFile(Path):
    """A path, made absolute; a ``-`` before it says that the file may be missing, and stays."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = 'a path, with "-" before it for a file that may be missing'

    def parse(self, value: object, at: Place) -> str:
        """Read a path; see :meth:`Kind.parse`."""
        if not isinstance(value, str) or not value.startswith("-"):
            return super().parse(value, at)
        return "-" + super().parse(value[1:], at)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": "^(?!-$)[^\\u0000]+$"}


class Switch(Flag):
    """A boolean, for something that is there or not.

    Args:
        on: makes it, for true; false stands for None.
    """

    def __init__(self, on: Callable[[], object]) -> None:
        self.on = on

    def parse(self, value: object, at: Place) -> Any:  # not a boolean: what it stands for
        """Read a boolean; see :meth:`Kind.parse`."""
        return self.on() if super().parse(value, at) else None


class Fraction:
    """A number within bounds, both included, with or without a fraction."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high
        self.allowed = f"a number from {low} to {high}"

    def parse(self, value: object, at: Place) -> float:
        """Read a number; see :meth:`Kind.parse`."""
        if isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high:
            return float(value)
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


def limits() -> Table[dict[str, tuple[int, int]]]:
    """The table of limits, one key a resource."""
    in_bytes, counted = Limit(in_bytes=True), Limit(in_bytes=False)
    rows = {**dict.fromkeys(BYTES, in_bytes), **dict.fromkeys(COUNTS, counted)}
    return Table(tuple(Field(name, rows[name], f"RLIMIT_{name.upper()}.") for name in sorted(rows)), dict)
