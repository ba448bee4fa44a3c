"""``pausevisor events``: what has happened, in the form in which the daemon's own log is shown to people."""

from __future__ import annotations

import json

from supervisor.cli import asking
from supervisor.cli.following import as_they_are, follow
from supervisor.cli.screen import look
from supervisor.cli.talk import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.cli.calls import Call


def events(call: Call) -> int:
    """Print them; 0."""
    client = asking.client_of(call)
    if call.names:
        asking.meant(client, asking.services(client), call.names)
    selection = asking.query(service=list(call.names), since=call.since, follow=call.follow)
    show = as_they_are if call.json else _renderer()
    return follow(client, "/v1/events" + selection, show, endless=call.follow)


def _renderer() -> Callable[[list[bytes]], bytes]:
    from supervisor.logs.structured import make_renderer  # noqa: PLC0415 - takes longer than all the rest

    render = make_renderer("console", terminal=look(1).colours)

    def show(lines: list[bytes]) -> bytes:
        return b"".join(text(json.loads(line)) for line in lines)

    def text(record: dict[str, object]) -> bytes:
        if record["event"] == "events_missed":
            say(f"events {record['from']} to {record['to']} are not kept any more")
            return b""
        return render(record)

    return show
