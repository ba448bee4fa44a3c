"""``pausevisor start``, ``stop``, ``restart`` and ``kill``."""

from __future__ import annotations

from supervisor.cli import asking, interrupts
from supervisor.cli.progress import Progress
from supervisor.cli.results import report, some
from supervisor.cli.screen import look
from supervisor.cli.talk import say
from supervisor.cli.waiting import AT_ONCE, Outcome, Target, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.calls import Call
    from supervisor.cli.words import Service
    from supervisor.control.client import Client

_UNTOUCHED = "nothing was done"
_REPEATABLE = ("stop", "kill")
"""Orders that change nothing when they are given again: where there are too many to wait for all of them at once, they
are given to all before anybody is waited for."""


_UPWARDS = ("start", "restart")
_MOMENT = 0.25
"""Seconds that a service should have been up before it is called started: most that are wrong have ended by then, and a
service for which no readiness is configured is up as soon as it has a process."""


def order(call: Call) -> int:
    """Give the order, and wait for it; 0 when all is done, 1 when not."""
    client = asking.client_of(call)
    meant = asking.meant(asking.services(client), call.names, _UNTOUCHED)
    if not meant:
        say("there are no services")
    targets = [_target(call.command, one) for one in meant]
    if not call.waits or (len(targets) > AT_ONCE and call.command in _REPEATABLE):
        for target in targets:
            asking.post(client, target.path)
    if call.rolling:
        outcomes = _one_by_one(call, client, targets, meant)
    elif call.waits:
        outcomes = _at_once(call, client, targets, meant)
    else:
        outcomes = {one["name"]: Outcome("accepted") for one in meant}
    ordered = {one["name"]: outcomes[one["name"]] for one in meant if one["name"] in outcomes}
    now = asking.services(client) if meant else []
    if call.waits and call.command in _UPWARDS:
        now = _settled(client, ordered, now)
        ordered |= _fallen(ordered, now)
    return report(call.command, ordered, now, as_json=call.json)


def _settled(client: Client, outcomes: dict[str, Outcome], now: list[Service]) -> list[Service]:
    """The services, when those that came up have been so for a moment."""
    ages = [one["uptime_s"] for one in now if one["name"] in outcomes and one["uptime_s"] is not None]
    youngest = min(ages, default=_MOMENT)
    if youngest >= _MOMENT:
        return now
    interrupts.pause(_MOMENT - youngest)
    return asking.services(client)


def _fallen(outcomes: dict[str, Outcome], now: list[Service]) -> dict[str, Outcome]:
    """Those that came up, as the daemon has told us, and have ended since: nobody would call that started."""
    return {
        one["name"]: Outcome("failed", "it came up, and ended at once")
        for one in now
        if one["state"] in ("backoff", "failed") and outcomes.get(one["name"], Outcome("")).word == "done"
    }


def _at_once(call: Call, client: Client, targets: list[Target], meant: list[Service]) -> dict[str, Outcome]:
    waiting = _waiting(call, client, meant)
    interrupts.catch()
    try:
        waiting.run(targets)
    except interrupts.Interrupted:
        left = [one["name"] for one in meant if one["name"] not in waiting.outcomes]
        say(f"not waiting any longer; {call.command} goes on: {some(left)} (see: pausevisor status)")
        interrupts.die()
    return waiting.outcomes


def _one_by_one(call: Call, client: Client, targets: list[Target], meant: list[Service]) -> dict[str, Outcome]:
    """One after the other; the first that does not get ready is the last that is touched."""
    waiting = _waiting(call, client, meant)
    interrupts.catch()
    begun: list[str] = []
    try:
        for target in targets:
            begun += target.names
            waiting.run([target])
            outcome = {name: waiting.outcomes[name] for name in target.names}
            waiting.outcomes |= _fallen(outcome, _settled(client, outcome, asking.services(client)))
            if waiting.outcomes[target.names[0]].word != "done":
                break
    except interrupts.Interrupted:
        left = [one["name"] for one in meant if one["name"] not in begun]
        say(f"ended by ^C; {call.command} of {begun[-1]} goes on; not begun: {some(left) or 'none'}")
        interrupts.die()
    return {one["name"]: waiting.outcomes.get(one["name"], Outcome("untouched")) for one in meant}


def _waiting(call: Call, client: Client, meant: list[Service]) -> Waiting:
    progress = Progress(look(2), {one["name"]: one["state"] for one in meant})
    return Waiting(client, progress, call.timeout)


def _target(verb: str, service: Service) -> Target:
    return Target(f"/v1/services/{asking.quote(service['name'])}/{verb}", (service["name"],))
