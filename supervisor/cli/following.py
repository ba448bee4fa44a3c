"""Reading a stream of records to its end, or until ^C."""

from __future__ import annotations

from supervisor.cli import asking, interrupts
from supervisor.cli.screen import write
from supervisor.cli.talk import say
from supervisor.control.client import PATIENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.control.client import Client


def follow(client: Client, target: str, show: Callable[[list[bytes]], bytes | str], *, endless: bool) -> int:
    """Print what comes, as ``show`` renders it; 0 when the daemon has ended the stream.

    Args:
        client: asks the daemon.
        target: what is read.
        show: makes text of lines, each of which is a record in JSON.
        endless: the stream ends with the daemon.

    Raises:
        ClientError: the daemon was lost in the middle.
        FailedError: it refuses.
    """
    interrupts.catch()
    try:
        exchange = client.begin("GET", target)
        while not exchange.status:
            exchange.pump(PATIENCE)
        if exchange.status >= 400:
            exchange.finish()
            raise asking.refused(exchange)
        while True:
            lines = exchange.lines()
            if lines:
                write(show(lines))
            if exchange.complete:
                break
            exchange.pump(None if endless else PATIENCE)
    except interrupts.Interrupted:
        interrupts.die()
    if endless:
        say("the daemon has ended")
    return 0


def as_they_are(lines: list[bytes]) -> bytes:
    """JSON lines, unchanged."""
    return b"".join(line + b"\n" for line in lines)
