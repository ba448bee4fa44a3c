"""``pausevisor status``: a look at the services, once or again and again."""

from __future__ import annotations

import json
import sys

from supervisor.cli import asking, words
from supervisor.cli.screen import look, write
from supervisor.cli.tables import plain, pretty
from supervisor.cli.talk import EX_FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.cli.calls import Call
    from supervisor.cli.screen import Screen
    from supervisor.cli.words import Service
    from supervisor.control.client import Client


_MOST_PATTERNS = 64
"""In one question; the daemon allows no more."""


def status(call: Call) -> int:
    """Show it; 0 when all is well, 1 when not."""
    client = asking.client_of(call)
    if call.watch:
        from supervisor.cli.verbs.watch import watch  # noqa: PLC0415 - only for who asked

        return watch(call, client)
    found = fetch(client, call)
    if call.json:
        write(json.dumps(found, indent=2) + "\n")
    else:
        write(shown(client, found["services"], look(1)))
    return 0 if found["ok"] else EX_FAILED


def fetch(client: Client, call: Call) -> dict[str, Any]:
    """The services that are meant, and whether all is well with them.

    Raises:
        FailedError: a name or a pattern means none.
    """
    found: dict[str, Service] = {}
    ok = True
    for start in range(0, len(call.names) or 1, _MOST_PATTERNS):
        part = list(call.names[start : start + _MOST_PATTERNS])
        answer = asking.get(client, "/v1/services" + asking.query(name=part))
        found |= {service["name"]: service for service in answer["services"]}
        ok = ok and answer["ok"]
    listed = list(found.values())
    if any(not any(asking.matches(one, name) for one in listed) for name in call.names):
        asking.meant(client, asking.services(client), call.names)  # complains, with what there is
    return {"ok": ok, "services": listed}


def shown(client: Client, listed: list[Service], screen: Screen) -> str:
    """The table; on a terminal with a line about the daemon and one that counts."""
    if not screen.moves or sys.stdout is None:
        return plain(listed)
    about = asking.get(client, "/v1/version")
    head = f"pausevisor {about['version']}, pid {about['pid']}, up {words.duration(about['uptime_s'])}"
    foot = words.counted(listed) if listed else "no service is configured: pause mode"
    table = pretty(listed, screen) if listed else []
    return "".join(f"{line}\n" for line in [screen.paint("dim", head), *table, screen.paint("dim", foot)])
