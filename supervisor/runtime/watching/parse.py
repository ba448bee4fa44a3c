"""Messages of sd_notify(3): bytes in, an event of the core out. Pure, and nothing in a message makes it raise.

A message is lines of ``KEY=value``. What is unknown, or has a value that means nothing, is passed over, so that a
program written for a newer manager works with us too. Of a key that comes twice the first one counts, as with systemd.

Not obeyed, on purpose: ``WATCHDOG_USEC`` (who is watched does not choose how closely) and ``NOTIFYACCESS``.
"""

from __future__ import annotations

from supervisor.core.events import Notified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST_NUMBER = 18
"""Digits: what fits a 64-bit number of microseconds, some thirty thousand years."""

_YEAR = 366 * 86400.0


class MalformedError(ValueError):
    """The datagram is no message at all."""


def parse(data: bytes, service: str, pid: int) -> Notified:
    """The event that a message is.

    Args:
        data: the datagram.
        service: whose socket it came to.
        pid: its main process.

    Raises:
        MalformedError: it holds a NUL character, other than one at its end, which some send along with their string.
    """
    text = data.removesuffix(b"\0").decode("utf-8", "replace")
    if "\0" in text:
        raise MalformedError("it holds a NUL character")
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals:
            values.setdefault(key, value)
    return Notified(service, pid, **_fields(values))


def says_nothing(event: Notified) -> bool:
    """Whether the message has nothing to tell the core, such as ``BARRIER=1``, which is answered by its reception."""
    return event == Notified(event.service, event.pid)


def _fields(values: dict[str, str]) -> dict[str, Any]:
    extend = _number(values.get("EXTEND_TIMEOUT_USEC", ""))
    return {
        "ready": values.get("READY") == "1",
        "reloading": values.get("RELOADING") == "1",
        "stopping": values.get("STOPPING") == "1",
        "watchdog": values.get("WATCHDOG") == "1",
        "trigger": values.get("WATCHDOG") == "trigger",
        "extend": None if extend is None else min(extend / 1e6, _YEAR),
        "status": values.get("STATUS"),
        "error": _number(values.get("ERRNO", "")),
        "main_pid": _number(values.get("MAINPID", "")),
    }


def _number(text: str) -> int | None:
    """A number that is not negative; None for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_NUMBER:
        return None
    return int(text)
