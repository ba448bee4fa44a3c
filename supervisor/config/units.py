"""Kinds of quantities: durations and sizes, always written with a unit.

A number without a unit is refused, for nobody remembers which one was meant. The patterns serve both the reader and
the schema, so the two cannot disagree; they are compiled when first needed, for the start path is short of time.
"""

from supervisor.config.problems import Place, show

_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_DURATION_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = "(?=[0-9])" + "".join(f"(?:({_NUMBER}){unit})?" for unit in _DURATION_UNITS)
_LONGEST = 3650 * 86_400.0
_SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = f"({_NUMBER})({'|'.join(_SIZE_UNITS)})"


class Duration:
    """Seconds, written with units, from the largest to the smallest: ``500ms``, ``1m30s``, ``1.5h``; at most 3650 days.

    Args:
        zero: may be zero.
    """

    allowed = 'a duration such as "10s" or "1m30s" (units: ms, s, m, h, d)'

    def __init__(self, *, zero: bool = True) -> None:
        self.zero = zero

    def parse(self, value: object, at: Place) -> float:
        """Read a duration; see :meth:`Kind.parse`."""
        seconds = _seconds(value) if isinstance(value, str) else None
        if seconds is None:
            raise at.wrong(value, self.allowed, self._hint(value))
        if seconds > _LONGEST:
            raise at.wrong(value, "at most 3650d")
        if not seconds and not self.zero:
            raise at.wrong(value, "a duration longer than 0s")
        return seconds

    @staticmethod
    def _hint(value: object) -> str:
        """What was probably meant: the unit is missing, or there are blanks or capitals."""
        guess = "".join(show(value).strip('"').lower().split())
        if guess[-1:].isdigit():
            guess += "s"
        return "" if _seconds(guess) is None else f'; did you mean "{guess}"?'

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": f"^{_DURATION}$", "examples": ["500ms", "10s", "1m30s"]}


class Size:
    """Bytes, written with a unit: ``16KiB``, ``1.5MB``.

    Args:
        low: least size and how a message writes it.
        high: greatest size and how a message writes it.
    """

    def __init__(self, low: tuple[int, str], high: tuple[int, str]) -> None:
        self.low = low[0]
        self.high = high[0]
        self.allowed = f'a size from "{low[1]}" to "{high[1]}" (units: {", ".join(_SIZE_UNITS)})'

    def parse(self, value: object, at: Place) -> int:
        """Read a size; see :meth:`Kind.parse`."""
        import re  # noqa: PLC0415 - few files have a size

        match = re.fullmatch(_SIZE, value) if isinstance(value, str) else None
        size = int(float(match[1]) * _SIZE_UNITS[match[2]]) if match else -1
        if self.low <= size <= self.high:
            return size
        guess = show(value).strip('"') + "B"
        raise at.wrong(value, self.allowed, f'; did you mean "{guess}"?' if re.fullmatch(_SIZE, guess) else "")

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": f"^{_SIZE}$", "examples": ["16KiB", "1MB"]}


def _seconds(text: str) -> float | None:
    """Length of a duration; None for a text that is none."""
    number = text.rstrip("dhms")
    scale = _DURATION_UNITS.get(text[len(number) :])
    if scale and len(number) <= 12 and number.isascii() and number.isdigit():
        return float(number) * scale / 1000
    import re  # noqa: PLC0415 - most durations are one number and one unit

    match = re.fullmatch(_DURATION, text)
    if match is None:
        return None
    given = zip(match.groups(), _DURATION_UNITS.values(), strict=True)
    return sum(float(number) * scale for number, scale in given if number) / 1000
