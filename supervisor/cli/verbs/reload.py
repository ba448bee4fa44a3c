"""``pausevisor reload``: the configuration as it is in the files now, or what it would change."""

from __future__ import annotations

import json

from supervisor.cli import asking
from supervisor.cli.screen import look, write
from supervisor.cli.talk import EX_CONFIG, FailedError, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.cli.calls import Call

_ACTIONS = {"restart": "is restarted", "signal": "is told by a signal", "none": "goes on as it is"}
_STYLES = {"added": "good", "removed": "bad", "changed": "busy", "told": "busy", "later": "rest"}


def reload(call: Call) -> int:
    """Do it, or plan it; 0, or 78 when the configuration is wrong."""
    client = asking.client_of(call)
    path = ("GET", "/v1/plan") if call.dry_run else ("POST", "/v1/reload")
    exchange = client.ask(*path, within=None)
    if exchange.status == 422:
        _reject(call, asking.problem(exchange).get("errors", []))
    changes = asking.answer(exchange)
    if call.json:
        write(json.dumps({"ok": True, "applied": not call.dry_run, **changes}, indent=2) + "\n")
    else:
        _print(changes)
        if call.dry_run:
            say("nothing was changed: this is what a reload would do")
    return 0


def _reject(call: Call, errors: list[str]) -> None:
    if call.json:
        write(json.dumps({"ok": False, "applied": False, "errors": errors}, indent=2) + "\n")
    told = "".join(f"\n{error}" for error in errors)
    raise FailedError(f"the configuration is wrong; what is in force stays in force:{told}", EX_CONFIG)


def _print(changes: dict[str, Any]) -> None:
    rows = [("added", name, "is started") for name in changes["added"]]
    rows += [("removed", name, "is stopped") for name in changes["removed"]]
    for name, change in changes["changed"].items():
        rows.append(
            ("changed", name, f"{', '.join(change['keys'])}: {_ACTIONS.get(change['action'], change['action'])}")
        )
    rows += [("told", name, "does not change; gets its reload-signal") for name in changes.get("signalled", ())]
    if changes["supervisor"]["keys"]:
        rows.append(("changed", "[supervisor]", f"{', '.join(changes['supervisor']['keys'])}: in force at once"))
    if changes["supervisor"]["at_start"]:
        keys = ", ".join(changes["supervisor"]["at_start"])
        rows.append(("later", "[supervisor]", f"{keys}: not before the daemon is started again"))
    screen = look(1)
    width = max((len(name) for _, name, _ in rows), default=0)
    for word, name, what in rows:
        write(f"{screen.paint(_STYLES[word], f'{word:7}')}  {name:{width}}  {what}\n")
    if not rows:
        write("nothing changes\n")
