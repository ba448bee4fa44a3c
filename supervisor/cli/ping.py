"""``pausevisor ping``: is the daemon there, and is it ready? Made for health checks, which start it every few seconds.

So it is as light as a Python program can be: for the usual options there is no parser of arguments and no parser of
JSON, and nothing is imported that is not built in. What it does not understand is left to the full command line.
"""

from __future__ import annotations

import os
import time

from supervisor.cli.talk import EX_FAILED, EX_NOPERM, explain, leave, say
from supervisor.control.client import Client, ClientError
from supervisor.control.places import client_paths

PROBES = {"live": "/livez", "ready": "/readyz", "startup": "/startupz"}
DEFAULT_TIMEOUT = 5.0
"""Seconds until the daemon counts as hung."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_WORDS = {"live": "alive", "ready": "ready", "startup": "started"}


def ping_quickly(argv: list[str], inherited_mask: frozenset[int]) -> None:
    """Exits with the answer; returns when a word is not one of the usual ones.

    Args:
        argv: what follows ``ping``.
        inherited_mask: the signals that were blocked before we blocked all.
    """
    probe, control, timeout = "", None, DEFAULT_TIMEOUT
    words = iter(argv)
    for word in words:
        name, is_joined, value = word.partition("=")
        if word[2:] in PROBES and word[:2] == "--" and not probe:
            probe = word[2:]
        elif name in ("--control", "--timeout"):
            text = value if is_joined else next(words, "")
            seconds = _seconds(text) if name == "--timeout" else 1.0
            if not text or not seconds:
                return
            if name == "--control":
                control = text
            else:
                timeout = seconds
        else:
            return
    _end_by_signals(inherited_mask)
    leave(ping(probe or "live", control, timeout))


def ping(probe: str, control: str | None, timeout: float, *, as_json: bool = False) -> int:
    """Ask one of the :data:`PROBES`; the exit code: 0 for yes, 1 for no, 69 or 77 where nobody could be asked."""
    began = time.monotonic()
    try:
        exchange = Client(client_paths(os.environ, control)).ask("GET", PROBES[probe], within=timeout)
    except ClientError as error:
        failure = explain(error)
        if as_json:
            _print_json({"ok": False, "probe": probe, "error": str(error)})
        say(str(failure))
        return failure.code
    took = time.monotonic() - began
    yes = exchange.status == 200
    if as_json:
        answer = {"ok": yes, "probe": probe, "socket": exchange.path, "round_trip_s": round(took, 6)}
        _print_json(answer, bytes(exchange.body))
    elif yes:
        _print(f"{_WORDS[probe]}: {exchange.path} answered in {took * 1000:.1f} ms\n")
    if not yes:
        _say_no(probe, exchange.status, bytes(exchange.body))
    return 0 if yes else EX_NOPERM if exchange.status == 403 else EX_FAILED


def _end_by_signals(inherited_mask: frozenset[int]) -> None:
    import _signal  # type: ignore[import-not-found]  # noqa: PLC0415 - builtin, unlike `signal`, which builds enumerations

    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, inherited_mask)


def _seconds(text: str) -> float:
    """A duration of one number and one unit; 0 for any other, which the full command line understands or refuses."""
    number = text.rstrip("ms")
    unit = _UNITS.get(text[len(number) :])
    return int(number) * unit if unit and number.isascii() and number.isdigit() and len(number) < 6 else 0.0


def _print(text: str) -> None:
    try:
        os.write(1, text.encode("utf-8", "replace"))
    except OSError as error:
        say(f"cannot write the output: {error.strerror}")
        leave(EX_FAILED)


def _print_json(answer: dict[str, object], body: bytes = b"{}") -> None:
    import json  # noqa: PLC0415 - only for who asked

    try:
        known = json.loads(body)
    except ValueError:
        known = {}
    _print(json.dumps({**answer, **(known if isinstance(known, dict) else {})}, indent=2) + "\n")


def _say_no(probe: str, status: int, body: bytes) -> None:
    """Say why the answer is no."""
    import json  # noqa: PLC0415 - only where something is wrong

    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    if status != 503 or "detail" in answer:
        say(f"the daemon answers with {status}: {answer.get('detail', 'no reason is given')}")
        return
    waiting = ", ".join(f"{name} is {state}" for name, state in answer.get("not_ready", {}).items())
    why = "it is shutting down" if answer.get("draining") else waiting
    say(f"not {_WORDS[probe]}: {why or 'the daemon does not say why'}")
