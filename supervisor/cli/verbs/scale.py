"""``pausevisor scale``: more or fewer instances of replicated services."""

from __future__ import annotations

from supervisor.cli import asking, interrupts
from supervisor.cli.progress import Progress
from supervisor.cli.results import report, some
from supervisor.cli.screen import look
from supervisor.cli.talk import EX_FAILED, EX_USAGE, FailedError, say
from supervisor.cli.waiting import Outcome, Target, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.calls import Call
    from supervisor.cli.words import Service
    from supervisor.control.client import Client


def scale(call: Call) -> int:
    """Give the orders, and wait for them; 0 when all is done, 1 when not.

    Whether there is such a service the daemon knows alone: one that was scaled to nothing has no instance to show.
    """
    client = asking.client_of(call)
    wanted = dict(call.replicas)
    if len(wanted) < len(call.replicas):
        raise FailedError("scale: a service is named twice; nothing was done", EX_USAGE)
    listed = asking.services(client)
    targets = [_target(listed, name, count) for name, count in wanted.items()]
    outcomes, refusals = _wait(call, client, listed, targets) if call.waits else _give(client, targets)
    for target in targets:
        if target.path in refusals:
            say(f"the daemon refuses: {refusals[target.path]}")
            outcomes = {name: outcome for name, outcome in outcomes.items() if name not in target.names}
    code = report("scale", outcomes, asking.services(client), as_json=call.json, ok=not refusals)
    return EX_FAILED if refusals else code


def _target(listed: list[Service], base: str, count: int) -> Target:
    """The order for one service; about the instances that there are, and those that there will be."""
    present = [one["name"] for one in listed if one["base"] == base]
    future = [f"{base}#{number}" for number in range(1, count + 1)] if present != [base] else []
    names = tuple(dict.fromkeys([*present, *future]))
    return Target(f"/v1/services/{asking.quote(base)}/scale", names, {"replicas": count})


def _give(client: Client, targets: list[Target]) -> tuple[dict[str, Outcome], dict[str, str]]:
    outcomes: dict[str, Outcome] = {}
    refusals: dict[str, str] = {}
    for target in targets:
        exchange = client.ask("POST", target.path, asking.encoded(target.body))
        if exchange.status >= 400:
            refusals[target.path] = str(asking.problem(exchange).get("detail", exchange.status))
        else:
            outcomes |= dict.fromkeys(target.names, Outcome("accepted"))
    return outcomes, refusals


def _wait(
    call: Call, client: Client, listed: list[Service], targets: list[Target]
) -> tuple[dict[str, Outcome], dict[str, str]]:
    states = {one["name"]: one["state"] for one in listed}
    progress = Progress(look(2), {name: states.get(name, "new") for target in targets for name in target.names})
    waiting = Waiting(client, progress, call.timeout)
    interrupts.catch()
    try:
        waiting.run(targets)
    except interrupts.Interrupted:
        left = [name for target in targets for name in target.names if name not in waiting.outcomes]
        say(f"not waiting any longer; scale goes on: {some(left)} (see: pausevisor status)")
        interrupts.die()
    return waiting.outcomes, waiting.refusals
