"""``pausevisor signal``: a signal to the processes of services."""

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
    body = {"signal": signal_name(call.signal), **({"scope": call.scope} if call.scope else {})}
    outcomes = {one["name"]: _send(client, one, body, is_named=one["name"] in call.names) for one in meant}
    return report("signal", outcomes, listed, as_json=call.json)


def _send(client: Client, service: Service, body: dict[str, str], *, is_named: bool) -> Outcome:
    if service["pid"] is None:
        return Outcome("failed" if is_named else "skipped", "no process to signal")
    try:
        asking.post(client, f"/v1/services/{asking.quote(service['name'])}/signal", body)
    except FailedError as error:
        return Outcome("failed", str(error))
    return Outcome("done", f"{body['signal']} sent")
