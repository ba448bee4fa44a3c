"""``pausevisor scale``: more or fewer instances of replicated services."""

from __future__ import annotations

from supervisor.cli import asking, interrupts
from supervisor.cli.progress import Progress
from supervisor.cli.results import report, some
from supervisor.cli.screen import look
from supervisor.cli.talk import EX_USAGE, FailedError, say
from supervisor.cli.waiting import Outcome, Target, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.calls import Call


def scale(call: Call) -> int:
    """Give the orders, and wait for them; 0 when all is done, 1 when not."""
    client = asking.client_of(call)
    wanted = dict(call.replicas)
    if len(wanted) < len(call.replicas):
        raise FailedError("scale: a service is named twice; nothing was done", EX_USAGE)
    listed = asking.services(client)
    asking.meant(listed, wanted, "nothing was done")
    targets = [_target(name, count) for name, count in wanted.items()]
    if call.waits:
        waiting = Waiting(
            client, Progress(look(2), {name: f"to {count}" for name, count in wanted.items()}), call.timeout
        )
        interrupts.catch()
        try:
            waiting.run(targets)
        except interrupts.Interrupted:
            left = [name for name in wanted if name not in waiting.outcomes]
            say(f"not waiting any longer; scale goes on: {some(left)} (see: pausevisor status)")
            interrupts.die()
        outcomes = waiting.outcomes
    else:
        for target in targets:
            asking.post(client, target.path, target.body)
        outcomes = dict.fromkeys(wanted, Outcome("accepted"))
    return report("scale", outcomes, asking.services(client), as_json=call.json)


def _target(name: str, count: int) -> Target:
    return Target(f"/v1/services/{asking.quote(name)}/scale", (name,), {"replicas": count})
