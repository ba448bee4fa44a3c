"""``pausevisor logs``: what services have written, each line behind the name of its service."""

from __future__ import annotations

import json

from supervisor.cli import asking
from supervisor.cli.following import as_they_are, follow
from supervisor.cli.screen import NAMES, STYLES, harmless, look
from supervisor.cli.talk import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.cli.calls import Call
    from supervisor.cli.screen import Screen

_OWN = frozenset("timestamp level event seq service pid stream message part parts id".split())
"""What a record has by itself; everything else is the service's own."""

_WIDEST = 24
_LEVELS = {"warning": "busy", "error": "bad", "critical": "bad"}


def logs(call: Call) -> int:
    """Print them; 0."""
    client = asking.client_of(call)
    listed = asking.services(client)
    meant = asking.meant(client, listed, call.names)
    show = as_they_are if call.json else Lines([one["name"] for one in meant], look(1)).show
    selection = asking.query(service=list(call.names), tail=call.lines, follow=call.follow, stream=call.stream)
    return follow(client, "/v1/logs" + selection, show, endless=call.follow)


class Lines:
    """Renders lines of services.

    Args:
        names: the services that are known now; others may join.
        screen: where the lines go.
    """

    def __init__(self, names: list[str], screen: Screen) -> None:
        self._screen = screen
        self._width = min(_WIDEST, max(map(len, names), default=0))
        self._colours: dict[str, str] = {}
        for name in names:
            self._colour(name)

    def show(self, lines: list[bytes]) -> str:
        """The text of some records."""
        return "".join(self._line(json.loads(line)) for line in lines)

    def _line(self, record: dict[str, Any]) -> str:
        if record["event"] == "lines_missed":
            say(f"{record['count']} lines were missed here: they came faster than they could be read")
            return ""
        name, is_error = str(record["service"]), record["stream"] == "stderr"
        self._width = min(_WIDEST, max(self._width, len(name)))
        prefix = self._screen.paint(self._colour(name), f"{name:{self._width}} ")
        bar = self._screen.paint("busy", "!") if is_error else self._screen.paint(self._colour(name), "|")
        return f"{prefix}{bar} {self._message(record)}\n"

    def _message(self, record: dict[str, Any]) -> str:
        message = str(record.get("message", ""))
        if self._screen.moves:
            message = harmless(message, colours=self._screen.colours)
        message = self._screen.paint(_LEVELS.get(record.get("level", ""), ""), message)
        fields = {key: value for key, value in record.items() if key not in _OWN}
        more = " ".join(f"{key}={_text(value)}" for key, value in fields.items())
        return f"{message} {self._screen.paint(STYLES['dim'], more)}" if more else message

    def _colour(self, name: str) -> str:
        return self._colours.setdefault(name, NAMES[len(self._colours) % len(NAMES)])


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and " " not in value else json.dumps(value)
