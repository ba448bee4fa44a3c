"""Kinds that only probes have: where to connect, what to get, what to search for, and exactly one probe in a table.

What may stand there is one pattern each, for the reader and for the schema, so the two cannot disagree. A value with
variables is judged by the reader when they are put in; the schema lets it pass.
"""

from __future__ import annotations

from supervisor.config.kinds import NAME_CHARACTERS, Count, Text
from supervisor.config.problems import Invalid, Place, show
from supervisor.config.shapes import Field, Table
from supervisor.config.units import Duration
from supervisor.core.light import TypeVar
from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

T = TypeVar("T")

_LABELS = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})"
_IPV6 = r"\[[0-9A-Fa-f:.]{2,45}\]"
_HOST = rf"(?:{_LABELS}|{_IPV6})"
_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_TARGET = r"(?:/[!\"$-~]{0,2047})"
_HOST_PORT = rf"({_HOST}):({_PORT})"
_URL = rf"http://({_HOST})(?::({_PORT}))?({_TARGET}?)"
_WITH_VARIABLES = r"[^\u0000]*\$\{[^\u0000]*"


class Address(Record):
    """Where to connect; an IPv6 address without its brackets."""

    host: str
    port: int


class HostPort(Text):
    """A host and a port: ``127.0.0.1:80``, ``[::1]:80``, ``db:5432``."""

    def __init__(self) -> None:
        super().__init__(
            expanded=True, empty=False, allowed='a host and a port (1 to 65535), such as "127.0.0.1:80" or "[::1]:80"'
        )

    def parse(self, value: object, at: Place) -> Address:  # type: ignore[override]  # a text made into more
        """Read an address; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        text = super().parse(value, at)
        usual, port, target = _parts(text)
        if usual and port and not target:
            return Address(usual, int(port))
        import re  # noqa: PLC0415 - most addresses are of the usual kind

        match = re.fullmatch(_HOST_PORT, text)
        host = _host(match[1]) if match is not None else ""
        if match is None or not host:
            raise at.wrong(value, self.allowed, _expanded(value))
        return Address(host, int(match[2]))

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"type": "string", "pattern": f"^(?:{_HOST_PORT}|{_WITH_VARIABLES})$", "examples": ["127.0.0.1:80"]}


class Target(Record):
    """What to GET; ``path`` with its query."""

    host: str
    port: int
    path: str


class Url(Text):
    """A URL of plain HTTP."""

    def __init__(self) -> None:
        super().__init__(expanded=True, empty=False, allowed='a URL such as "http://127.0.0.1:80/health"')

    def parse(self, value: object, at: Place) -> Target:  # type: ignore[override]  # a text made into more
        """Read a URL; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        text = super().parse(value, at)
        usual, port, target = _parts(text.removeprefix("http://"))
        if usual and text.startswith("http://"):
            return Target(usual, int(port or 80), target or "/")
        if text.lower().startswith("https:"):
            raise at.refuse(
                f"found {show(value)}; allowed: {self.allowed}; the daemon speaks no TLS: probe a plain port, or use "
                'command = ["curl", "-fsS", "https://..."]'
            )
        import re  # noqa: PLC0415 - most URLs are of the usual kind

        match = re.fullmatch(_URL, text)
        host = _host(match[1]) if match is not None else ""
        if match is None or not host:
            raise at.wrong(value, f"{self.allowed}, without user, blanks or fragment", _expanded(value))
        return Target(host, int(match[2] or 80), match[3] or "/")

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"type": "string", "pattern": f"^(?:{_URL}|{_WITH_VARIABLES})$", "examples": ["http://127.0.0.1:80/"]}


def _parts(text: str) -> tuple[str, str, str]:
    """Host, port and target, as far as there are any, of what matches the patterns and has no IPv6 address.

    All empty for what has to be looked at more closely: compiling the patterns takes half of the interpreter's start.
    """
    authority, slash, rest = text.partition("/")
    host, colon, port = authority.partition(":")
    if not host or len(host) > 253 or host[0] in ".-" or host.strip(NAME_CHARACTERS):
        return "", "", ""
    if colon and not (port.isascii() and port.isdigit() and port[0] != "0" and len(port) < 6 and int(port) < 65536):
        return "", "", ""
    if not (rest.isascii() and rest.isprintable() and len(rest) < 2048) or " " in rest or "#" in rest:
        return "", "", ""
    return host, port, slash + rest


def _expanded(value: object) -> str:
    """What a variable held is not repeated: it may be a secret."""
    return ", when its variables are put in" if isinstance(value, str) and "${" in value else ""


def _host(found: str) -> str:
    """A host as it is connected to; empty when what is in brackets is no IPv6 address."""
    if not found.startswith("["):
        return found
    import _socket  # noqa: PLC0415 - few addresses are of that kind

    try:
        _socket.inet_pton(_socket.AF_INET6, found[1:-1])
    except OSError:
        return ""
    return found[1:-1]


class Pattern(Text):
    """A regular expression, as Python has them."""

    def __init__(self) -> None:
        super().__init__(empty=False, allowed='a regular expression such as "ready to accept"')

    def parse(self, value: object, at: Place) -> str:
        """Read a pattern; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        text = super().parse(value, at)
        import re  # noqa: PLC0415 - only with such a probe
        import warnings  # noqa: PLC0415

        try:
            with warnings.catch_warnings(action="ignore"):
                re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            raise at.refuse(f"found {show(text)}, which is no regular expression: {reason}") from None
        return text


class Descriptor(Count):
    """The number of a descriptor that is the service's to write to."""

    def __init__(self) -> None:
        super().__init__(3, 1023)

    def parse(self, value: object, at: Place) -> int:
        """Read a number; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if type(value) is int and 0 <= value < 3:
            stream = ("stdin", "stdout", "stderr")[value]
            raise at.refuse(f"found {value}, which is its {stream}; allowed: {self.allowed}")
        return super().parse(value, at)


class Yes:
    """Only ``true``: the key says something by being there."""

    allowed = "true"

    def parse(self, value: object, at: Place) -> bool:
        """Read it; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if value is True:
            return True
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"const": True}


class Limit(Duration):
    """A duration, or ``none`` for no limit."""

    def __init__(self) -> None:
        super().__init__(zero=False)
        self.allowed = f'{Duration.allowed}, or "none"'

    def parse(self, value: object, at: Place) -> float | None:  # type: ignore[override]  # more than a duration
        """Read it; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        return None if value == "none" else super().parse(value, at)

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"anyOf": [{"const": "none"}, super().schema()]}


class ProbeTable(Table[T]):
    """A table with exactly one probe in it.

    Args:
        probes: the keys of which there is one, each with what it means.
        told: those of them that are not asked for: the service tells by itself.
        others: further keys.
        build: makes the result, of what was given, with ``probe`` for the value of the probe's key and its name.
    """

    def __init__(
        self, probes: tuple[Field, ...], others: tuple[Field, ...], build: Callable[..., T], *, told: frozenset[str]
    ) -> None:
        self.probes = tuple(field.key for field in probes)
        self.told = told
        super().__init__((*probes, *others), build, allowed=f"a table with one of {', '.join(self.probes)}")
        self._reader: Table[dict[str, Any]] = Table((*probes, *others), dict, allowed=self.allowed)

    def parse(self, value: object, at: Place) -> T:
        """Read a table; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        noted = len(at.scope.problems)
        if isinstance(value, dict):
            self._count(value, at)
        values = self._reader.parse(value, at)
        if len(at.scope.problems) > noted:
            raise Invalid
        return self.build(**values)

    def _count(self, value: Mapping[str, Any], at: Place) -> None:
        found = [key for key in self.probes if key in value]
        if len(found) != 1:
            what = f"found {' and '.join(found)}" if found else "no probe"
            at.refuse(f"{what}; allowed: exactly one of {', '.join(self.probes)}")
        for key in ("interval", "timeout"):
            if key in value and len(found) == 1 and found[0] in self.told:
                at.inside(key).refuse(
                    f"has no meaning with {found[0]}, for nothing is asked; how long it may take is start-timeout"
                )

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        found: dict[str, object] = {**super().schema(), "oneOf": [{"required": [key]} for key in self.probes]}
        if self.told:
            # Beside the choice, and not in it: what refuses one of two probes would leave the other as the only one.
            absent = (dict.fromkeys(sorted(self.told), False), {"interval": False, "timeout": False})
            found["anyOf"] = [{"properties": properties} for properties in absent]
        return found
