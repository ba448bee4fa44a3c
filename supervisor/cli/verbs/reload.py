"""``pausevisor reload``: the configuration as it is in the files now, or what it would change."""

from __future__ import annotations

import json

from supervisor.cli import asking, interrupts
from supervisor.cli.progress import Progress
from supervisor.cli.results import complain
from supervisor.cli.screen import look, write
from supervisor.cli.talk import EX_CONFIG, EX_FAILED, FailedError, say
from supervisor.cli.waiting import Outcome, Target, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.cli.calls import Call
    from supervisor.control.client import Client, Exchange

_ACTIONS = {"restart": "is restarted", "signal": "is told by a signal", "none": "goes on as it is"}
_STYLES = {"added": "good", "removed": "bad", "changed": "busy", "told": "busy", "later": "rest"}


_PATH = "/v1/reload"


def reload(call: Call) -> int:
    """Do it, or plan it; 0, 1 when what has changed does not come up, 78 when the configuration is wrong."""
    client = asking.client_of(call)
    outcomes: dict[str, Outcome] = {}
    if call.dry_run or call.waits:
        exchange = client.ask("GET", "/v1/plan", within=None)
        if not call.dry_run and exchange.status < 400:
            exchange, outcomes = _wait(call, client, asking.answer(exchange))
    else:
        exchange = client.ask("POST", _PATH, within=None)
    document = asking.problem(exchange)
    if exchange.status == 422:
        _reject(call, document.get("errors", []))
    changes = document["changes"] if "changes" in document else asking.answer(exchange)
    ok = all(outcome.word == "done" for outcome in outcomes.values())
    if call.json:
        words = {name: outcome.word for name, outcome in outcomes.items()}
        write(json.dumps({"ok": ok, "applied": not call.dry_run, **changes, "outcomes": words}, indent=2) + "\n")
    else:
        _print(changes, outcomes)
    if call.dry_run and not call.json:
        say("nothing was changed: this is what a reload would do")
    complain("reload", outcomes)
    return 0 if ok else EX_FAILED


def _wait(call: Call, client: Client, plan: dict[str, Any]) -> tuple[Exchange, dict[str, Outcome]]:
    """Reload, and wait; who is drawn as waited for is what was planned a moment ago."""
    restarted = [name for name, change in plan["changed"].items() if change["action"] == "restart"]
    names = (*plan["added"], *restarted, *plan["removed"])
    states = {one["name"]: one["state"] for one in asking.services(client)}
    waiting = Waiting(client, Progress(look(2), {name: states.get(name, "new") for name in names}), call.timeout)
    interrupts.catch()
    try:
        waiting.run([Target(_PATH, names)])
    except interrupts.Interrupted:
        say("not waiting any longer; what the reload has begun goes on (see: pausevisor status)")
        interrupts.die()
    return waiting.answers[_PATH], waiting.outcomes


def _reject(call: Call, errors: list[str]) -> None:
    if call.json:
        write(json.dumps({"ok": False, "applied": False, "errors": errors}, indent=2) + "\n")
    told = "".join(f"\n{error}" for error in errors)
    raise FailedError(f"the configuration is wrong; what is in force stays in force:{told}", EX_CONFIG)


def _print(changes: dict[str, Any], outcomes: dict[str, Outcome]) -> None:
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
        outcome = outcomes.get(name, Outcome("done"))
        ended = f"; {outcome.detail or outcome.word}" if outcome.word != "done" else ""
        write(f"{screen.paint(_STYLES[word], f'{word:7}')}  {name:{width}}  {what}{ended}\n")
    if not rows:
        write("nothing changes\n")
