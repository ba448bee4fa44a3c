"""``pausevisor signal``, ``freeze`` and ``thaw``: what is done to processes at once, so that nobody waits for it."""

from __future__ import annotations

from supervisor.cli import asking
from supervisor.cli.results import report
from supervisor.cli.talk import FailedError
from supervisor.cli.waiting import Outcome
from supervisor.core.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.calls import Call
    from supervisor.cli.words import Service
    from supervisor.control.client import Client


def signal(call: Call) -> int:
    """Send it to each; 0 when it was sent to all that were named, 1 when not.

    A service without a process is passed over where a pattern or the name of many means it, and a failure where it is
    named itself.
    """
    client = asking.client_of(call)
    listed = asking.services(client)
    meant = asking.meant(client, listed, call.names, "nothing was sent")
    name = signal_name(call.signal)
    body = {"signal": name, **({"scope": call.scope} if call.scope else {})}
    outcomes = {one["name"]: _send(client, call, one, body, f"{name} sent") for one in meant}
    return report("signal", outcomes, listed, as_json=call.json)


def freeze(call: Call) -> int:
    """Let each stand still, or go on; 0 when all that were named do, 1 when not.

    A service without a process is treated as by :func:`signal`.
    """
    client = asking.client_of(call)
    meant = asking.meant(client, asking.services(client), call.names, "nothing was done")
    outcomes = {one["name"]: _send(client, call, one, None, "") for one in meant}
    return report(call.command, outcomes, asking.services(client), as_json=call.json)


def _send(client: Client, call: Call, service: Service, body: dict[str, str] | None, done: str) -> Outcome:
    if service["pid"] is None:
        is_named = service["name"] in call.names
        return Outcome("failed" if is_named else "skipped", f"no process to {call.command}")
    try:
        asking.post(client, f"/v1/services/{asking.quote(service['name'])}/{call.command}", body)
    except FailedError as error:
        return Outcome("failed", str(error))
    return Outcome("done", done)
