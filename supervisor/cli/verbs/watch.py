"""``pausevisor status --watch``: the table, drawn again whenever something happens, and every second."""

from __future__ import annotations

import json
import select
import time

from supervisor.cli import asking, interrupts
from supervisor.cli.screen import look, write
from supervisor.cli.tables import plain
from supervisor.cli.talk import FailedError, explain
from supervisor.cli.verbs import status
from supervisor.control.client import LostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from supervisor.cli.calls import Call
    from supervisor.cli.words import Service
    from supervisor.control.client import Client, Exchange

_TICK = 1.0
"""Seconds between two looks where nothing happens: for uptime, CPU and memory."""

_CALM = 0.2
"""Seconds between two looks in a storm of events."""

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def watch(call: Call, client: Client) -> NoReturn:
    """Show it until ^C, or until the daemon is gone; does not return by itself."""
    interrupts.catch()
    try:
        first = status.fetch(client, call)  # what is wrong with the command line is said before the screen is taken
        if look(1).moves and not call.json:
            write(_ENTER)
            try:
                _go_on(call, client, first)
            finally:
                write(_LEAVE)
        _go_on(call, client, first)
    except interrupts.Interrupted:
        interrupts.die()


def _go_on(call: Call, client: Client, found: dict[str, object]) -> NoReturn:
    events = client.begin("GET", "/v1/events" + asking.query(follow=True))
    before = ""
    while True:
        listed: list[Service] = found["services"]  # type: ignore[assignment]
        now = json.dumps(found) + "\n" if call.json else plain(listed)
        if look(1).moves and not call.json:
            _draw(client, listed)
        elif _steady(listed) != before:
            write(now if call.json or not before else "\n" + now)
        before = _steady(listed)
        _wait(events)
        found = status.fetch(client, call)


def _steady(listed: list[Service]) -> str:
    """What makes a look worth another table where tables are printed one after the other."""
    passing = {"started_at", "uptime_s", "restart_in_s", "cpu_s", "rss_bytes"}  # a new start has another number, too
    return json.dumps([{key: value for key, value in one.items() if key not in passing} for one in listed])


def _draw(client: Client, listed: list[Service]) -> None:
    screen = look(1)
    lines = status.shown(client, listed, screen).splitlines()
    if len(lines) > screen.height:
        hidden = len(lines) - screen.height + 1
        lines = [*lines[: screen.height - 2], screen.paint("dim", f"… {hidden} more"), lines[-1]]
    write(_HOME + (_REST_OF_LINE + "\r\n").join(lines) + _REST_OF_LINE + _REST_OF_SCREEN)


def _wait(events: Exchange) -> None:
    """Wait for an event, or for a second to pass."""
    until = time.monotonic() + _TICK
    ready, _, _ = select.select([events], [], [], _TICK)
    if not ready:
        return
    try:
        events.pump(0)
    except LostError as error:
        raise explain(error) from None
    if events.complete:
        raise FailedError("the daemon has ended", 69)
    events.lines()
    interrupts.pause(min(_CALM, max(0.0, until - time.monotonic())))
