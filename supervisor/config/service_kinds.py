"""Kinds that only a service has: its command, what it needs, and how it may end."""

from __future__ import annotations

from supervisor.config.kinds import Choice, Count, Flag, ServiceReference, Text
from supervisor.config.problems import Place
from supervisor.config.shapes import ByType, Field, ListOf, Map, Table
from supervisor.config.signal_names import Signal
from supervisor.core.record import Record
from supervisor.core.signals import CATCHABLE, SIGKILL, SIGSTOP
from supervisor.core.spec import Need, Until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_COMMAND_LINE = 128 * 1024 - 1
"""Characters of a command written as one string: what Linux takes as one argument, MAX_ARG_STRLEN of execve(2)."""


class SuccessStatus(Record):
    """How a service may end and count as well ended."""

    codes: frozenset[int]
    signals: frozenset[int]


class Command:
    """A program and its arguments: a list, or one string split into words as a shell does it, without a shell.

    Variables are put in after the splitting, so that a value with blanks stays one argument.
    """

    allowed = 'a list of strings such as ["nginx", "-g", "daemon off;"], or one string'
    _word = Text(expanded=True, keep_pairs=True)

    def parse(self, value: object, at: Place) -> tuple[str, ...]:
        """Read a command; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if isinstance(value, str):
            words = tuple(self._word.parse(word, at) for word in self._split(value, at))
        elif isinstance(value, list):
            words = ListOf(self._word, self.allowed).parse(value, at)
        else:
            raise at.wrong(value, self.allowed)
        if not words or not words[0]:
            raise at.refuse(f"no program: the {'first word' if words else 'command'} is empty; allowed: {self.allowed}")
        return words

    @staticmethod
    def _split(line: str, at: Place) -> list[str]:
        if len(line) > LONGEST_COMMAND_LINE:
            raise at.refuse(f"longer than {LONGEST_COMMAND_LINE} characters; write it as a list")
        import shlex  # noqa: PLC0415 - only this form of the command needs it

        try:
            return shlex.split(line)
        except ValueError as error:
            reason = str(error)
            raise at.refuse(f"cannot be split into words: {reason[:1].lower()}{reason[1:]}") from error

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        word = self._word.schema()
        as_list = {"type": "array", "prefixItems": [{**word, "minLength": 1}], "items": word, "minItems": 1}
        return {
            "anyOf": [
                as_list,
                {
                    "type": "string",
                    "pattern": "^[^\\u0000]*[^ \\t\\r\\n\\u0000][^\\u0000]*$",
                    "maxLength": LONGEST_COMMAND_LINE,
                },
            ]
        }


class SuccessStatuses:
    """A list of exit codes and names of signals."""

    allowed = 'a list of exit codes (0 to 255) and names of signals, such as [0, 143, "SIGTERM"]'
    _signal = Signal(CATCHABLE | {SIGKILL}, {SIGSTOP: "ends no process"})
    _item = ByType({int: Count(0, 255), str: _signal}, 'an exit code from 0 to 255, or a name such as "SIGTERM"')

    def parse(self, value: object, at: Place) -> SuccessStatus:
        """Read a list; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if not isinstance(value, list):
            raise at.wrong(value, self.allowed)
        ListOf(self._item, self.allowed).parse(value, at)
        return SuccessStatus(
            frozenset(code for code in value if isinstance(code, int)),
            frozenset(self._signal.parse(name, at) for name in value if isinstance(name, str)),
        )

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"type": "array", "items": self._item.schema()}


class Needs:
    """The services that have to be there before this one: a list of names, or a table of how far each has to be."""

    allowed = 'a list of names of services, or a table such as { db = "ready", migrate = "completed" }'
    _names = ListOf(ServiceReference(), "a list of names of services")
    _until = Choice.of(Until)
    _table = Map(
        ServiceReference(),
        ByType(
            {
                str: _until,
                dict: Table(
                    (
                        Field("until", _until, "How far it has to be.", "ready"),
                        Field("restart-with", Flag(), "Start again whenever it does.", default=False),
                    ),
                    Need,
                ),
            },
            f'{_until.allowed}, or a table such as {{ until = "ready", restart-with = true }}',
        ),
    )

    def parse(self, value: object, at: Place) -> dict[str, Need]:
        """Read needs; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if isinstance(value, list):
            return {name: Need() for name in self._names.parse(value, at)}
        if not isinstance(value, dict):
            raise at.wrong(value, self.allowed)
        given: dict[str, Any] = self._table.parse(value, at)
        return {name: need if isinstance(need, Need) else Need(need) for name, need in given.items()}

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"anyOf": [self._names.schema(), self._table.schema()]}
