"""``pausevisor start``, ``stop``, ``restart`` and ``kill``.

All services that are meant are told in one order, and the daemon keeps the order of their needs. Only from service to
service of a rolling restart it goes here, in rounds.
"""

from __future__ import annotations

from supervisor.cli import asking, interrupts
from supervisor.cli.progress import Progress
from supervisor.cli.results import report, some
from supervisor.cli.screen import look
from supervisor.cli.talk import say
from supervisor.cli.waiting import Outcome, Target, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.calls import Call
    from supervisor.cli.words import Service
    from supervisor.control.client import Client

_UNTOUCHED = "nothing was done"


def order(call: Call) -> int:
    """Give the order, and wait for it; 0 when all is done, 1 when not."""
    client = asking.client_of(call)
    listed = asking.services(client)
    meant = asking.meant(client, listed, call.names, _UNTOUCHED)
    if not listed:
        say("there are no services")
    rounds = _rounds(call, listed, meant)
    if not call.waits:
        _give(client, [target for targets in rounds for target in targets])
    outcomes = _wait(call, client, rounds, meant) if call.waits else {}
    other = Outcome("untouched" if call.waits else "accepted")
    ordered = {one["name"]: outcomes.get(one["name"], other) for one in meant}
    return report(call.command, ordered, asking.services(client) if meant else [], as_json=call.json)


def _rounds(call: Call, listed: list[Service], meant: list[Service]) -> list[list[Target]]:
    """The orders, in rounds: one begins when all of the one before is done."""
    if not call.rolling:
        everybody = [one["name"] for one in meant]
        order = {"order": call.command, "services": everybody}
        return [[Target("/v1/orders", tuple(everybody), order)]] if meant else []
    rounds: list[list[Target]] = []
    for base in dict.fromkeys(one["base"] for one in meant):
        names = tuple(one["name"] for one in meant if one["base"] == base)
        whole = len(names) == sum(one["base"] == base for one in listed)
        parts = {base: names} if whole else {name: (name,) for name in names}
        rounds += [
            [Target(f"/v1/services/{asking.quote(name)}/rolling-restart", those)] for name, those in parts.items()
        ]
    return rounds


def _give(client: Client, targets: list[Target]) -> None:
    for target in targets:
        asking.post(client, target.path, target.body)


def _wait(call: Call, client: Client, rounds: list[list[Target]], meant: list[Service]) -> dict[str, Outcome]:
    progress = Progress(look(2), {one["name"]: one["state"] for one in meant})
    waiting = Waiting(client, progress, call.timeout)
    begun: dict[str, None] = {}
    interrupts.catch()
    try:
        for targets in rounds:
            begun |= dict.fromkeys(name for target in targets for name in target.names)
            waiting.run(targets)
            if any(outcome.word != "done" for outcome in waiting.outcomes.values()):
                break
    except interrupts.Interrupted:
        left = [name for name in begun if name not in waiting.outcomes and not progress.outcome(name)]
        never = [one["name"] for one in meant if one["name"] not in begun]
        rest = f"; not begun: {some(never)}" if never else ""
        say(f"not waiting any longer; {call.command} goes on: {some(left)} (see: pausevisor status){rest}")
        interrupts.die()
    return waiting.outcomes
