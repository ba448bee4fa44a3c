"""One call of a client: the verb, what went wrong in words, and the exit code."""

from __future__ import annotations

import sys

from supervisor.cli.calls import parse_call
from supervisor.cli.talk import FailedError, explain, say
from supervisor.control.client import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.calls import Call


def run_client(argv: list[str]) -> int:
    """Carry a call out; its exit code. Exits with 2 for what is not understood."""
    call = parse_call(argv)
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # whatever the locale can't show
    try:
        return _carry_out(call)
    except ClientError as error:
        failure = explain(error)
    except FailedError as error:
        failure = error
    if str(failure):
        say(str(failure))
    return failure.code


def _carry_out(call: Call) -> int:
    # ruff: noqa: PLC0415, PLR0911 - each verb imports its own
    match call.command:
        case "status":
            from supervisor.cli.verbs.status import status

            return status(call)
        case "start" | "stop" | "restart" | "kill":
            from supervisor.cli.verbs.orders import order

            return order(call)
        case "scale":
            from supervisor.cli.verbs.scale import scale

            return scale(call)
        case "signal" | "freeze" | "thaw":
            from supervisor.cli.verbs.signalling import freeze, signal

            return (signal if call.command == "signal" else freeze)(call)
        case "reload":
            from supervisor.cli.verbs.reload import reload

            return reload(call)
        case "logs":
            from supervisor.cli.verbs.logs import logs

            return logs(call)
        case "events":
            from supervisor.cli.verbs.events import events

            return events(call)
        case "shutdown":
            from supervisor.cli.verbs.shutdown import shutdown

            return shutdown(call)
        case "completion":
            from supervisor.cli.verbs.completion import completion

            return completion(call)
        case _:
            from supervisor.cli.ping import DEFAULT_TIMEOUT, ping

            return ping(call.probe, call.control, call.timeout or DEFAULT_TIMEOUT, as_json=call.json)
