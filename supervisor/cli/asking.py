"""Asking the daemon on behalf of a command: answers as values, and what went wrong as words and an exit code."""

from __future__ import annotations

import json
import os
from fnmatch import fnmatchcase

from supervisor.cli.parser import nearest
from supervisor.cli.talk import EX_CONFIG, EX_FAILED, EX_NOPERM, FailedError, say
from supervisor.control.client import PATIENCE, Client, Exchange
from supervisor.control.places import client_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from supervisor.cli.calls import Call

    Service = dict[str, Any]

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_GLOB = frozenset("*?[")
_CODES = {403: EX_NOPERM, 401: EX_NOPERM}


def client_of(call: Call) -> Client:
    """A client of the daemon that the command line means."""
    return Client(client_paths(os.environ, call.control))


def get(client: Client, target: str) -> Any:
    """What the daemon answers to a question."""
    return answer(client.ask("GET", target))


def post(client: Client, target: str, body: object = None, within: float | None = PATIENCE) -> Any:
    """What the daemon answers to an order."""
    return answer(client.ask("POST", target, encoded(body), within))


def encoded(body: object) -> bytes:
    """A body as the daemon wants it; none for None."""
    return b"" if body is None else json.dumps(body).encode()


def answer(exchange: Exchange) -> Any:
    """The value of an answer.

    Raises:
        FailedError: the daemon has refused.
    """
    if exchange.status >= 400:
        raise refused(exchange)
    try:
        return json.loads(exchange.body)
    except ValueError:
        raise FailedError(f"what answers at {exchange.path} is no pausevisor") from None


def problem(exchange: Exchange) -> dict[str, Any]:
    """The problem document of a refusal; one without a word where there is none."""
    try:
        document = json.loads(exchange.body)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {}


def refused(exchange: Exchange) -> FailedError:
    """The failure that a refusal is."""
    document = problem(exchange)
    detail = document.get("detail", f"it answers with {exchange.status}, and no reason")
    errors = "".join(f"\n  {error}" for error in document.get("errors", ()))
    code = EX_CONFIG if errors else _CODES.get(exchange.status, EX_FAILED)
    return FailedError(f"the daemon refuses: {detail}{errors}", code)


def quote(name: str) -> str:
    """A name as a part of a path or a query, RFC 3986."""
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in name.encode("utf-8", "replace"))


def query(**parameters: object) -> str:
    """A query string, with its question mark; a list is a parameter that repeats, None and false are left out."""
    pairs = []
    for name, value in parameters.items():
        values = value if isinstance(value, list) else [] if value is None or value is False else [value]
        pairs += [f"{name}={quote('true' if one is True else str(one))}" for one in values]
    return "?" + "&".join(pairs) if pairs else ""


def services(client: Client) -> list[Service]:
    """All services there are."""
    return list(get(client, "/v1/services")["services"])


def matches(service: Service, pattern: str) -> bool:
    """Whether a name or pattern of the command line means this service; that of a replicated one means all of it."""
    return any(fnmatchcase(name, pattern) for name in (service["name"], service["base"]))


def is_pattern(name: str) -> bool:
    """Whether it may mean several services."""
    return not _GLOB.isdisjoint(name)


def meant(client: Client, listed: Sequence[Service], names: Iterable[str], untouched: str = "") -> list[Service]:
    """The services that are meant by names and patterns; all of them when there are none.

    Args:
        client: asked for names that mean nothing: one that was scaled to nothing has no instance to show.
        listed: all there are.
        names: from the command line.
        untouched: what is added to the complaint, such as that nothing was done.

    Raises:
        FailedError: a name or pattern means no service; all of those are named.
    """
    patterns = tuple(dict.fromkeys(names))
    wrong = [pattern for pattern in patterns if not any(matches(service, pattern) for service in listed)]
    for name in [name for name in wrong if client.ask("GET", f"/v1/services/{quote(name)}").status < 400]:
        say(f"{name} has no instances at present; for more of them: pausevisor scale {name}=1")
        wrong.remove(name)
    if wrong:
        raise FailedError("\n".join([*(_unknown(name, listed) for name in wrong), *([untouched] if untouched else [])]))
    return [one for one in listed if not patterns or any(matches(one, pattern) for pattern in patterns)]


def _unknown(name: str, listed: Sequence[Service]) -> str:
    if is_pattern(name):
        return f"no service matches {name!r}"
    known = sorted({one[key] for one in listed for key in ("name", "base")})
    there = f"; there are {', '.join(known[:20])}" if known else ""
    return f"there is no service {name!r}{nearest(name, known) or there}"
