"""The kind of signals: a number, written by its name."""

from __future__ import annotations

from supervisor.config.problems import Place, show
from supervisor.core.signals import NUMBERS, parse_signal, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Signal:
    """The number of a signal, written by its name: ``SIGTERM``, ``TERM``, ``SIGRTMIN+3``.

    Args:
        numbers: the signals that are allowed.
        refusals: why others are not, by number.
    """

    allowed = 'the name of a signal, such as "SIGTERM" or "SIGRTMIN+3"'

    def __init__(self, numbers: frozenset[int], refusals: Mapping[int, str]) -> None:
        self.numbers = numbers
        self.refusals = refusals

    def parse(self, value: object, at: Place) -> int:
        """Read a signal; see :meth:`Kind.parse`."""
        number = _written_by_name(value)
        if number is None:
            raise at.wrong(value, self.allowed, self._hint(value, at))
        if number not in self.numbers:
            raise at.refuse(f"{signal_name(number)} {self.refusals[number]}")
        return number

    def _hint(self, value: object, at: Place) -> str:
        """The signal that was probably meant: by number, in small letters, or nearly."""
        text = show(value).strip('"')
        number = signal_number(text)
        if number is not None:
            return f'; did you mean "{signal_name(number)}"?'
        return at.scope.suggest(text, (*NUMBERS, "SIGRTMIN", "SIGRTMAX"))

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        names = [name for name in (*NUMBERS, "SIGIOT", "SIGCLD", "SIGPOLL") if parse_signal(name) in self.numbers]
        standard = "|".join(name.removeprefix("SIG") for name in names)
        offset = "0*(?:[12]?[0-9]|30)"
        return {
            "type": "string",
            "pattern": f"^(?:SIG)?(?:{standard}|RTMIN(?:\\+{offset})?|RTMAX(?:-{offset})?)$",
            "examples": ["SIGTERM", "SIGUSR1", "SIGRTMIN+3"],
        }


def signal_number(text: str) -> int | None:
    """Number of a signal by whatever name; None for a text that names none."""
    try:
        return parse_signal(text)
    except ValueError:
        return None


def _written_by_name(value: object) -> int | None:
    """Number of a signal written in the one way a file may write it; None for anything else."""
    if not isinstance(value, str) or value.isdigit() or value != value.strip().upper():
        return None
    return signal_number(value)
