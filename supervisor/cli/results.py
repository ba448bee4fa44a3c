"""What came of orders, for people and for programs; all verbs that give orders end here."""

from __future__ import annotations

import json

from supervisor.cli import words
from supervisor.cli.screen import cut, look, write
from supervisor.cli.talk import EX_FAILED, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from supervisor.cli.waiting import Outcome
    from supervisor.cli.words import Service

_MOST_LINES = 30
"""On a terminal more services that are as ordered are counted, and not listed."""

_WORDS = {"late": "not in time", "untouched": "not begun"}
_MARKS = {"done": ("✓", "good"), "accepted": ("·", "busy"), "skipped": ("-", "rest"), "untouched": ("-", "rest")}
_FAILURE = ("✗", "bad")
_UPWARDS = ("start", "restart", "scale", "reload")
"""Orders whose failure the services' own words explain."""

_GOOD = ("done", "accepted", "skipped")


def report(
    verb: str, outcomes: Mapping[str, Outcome], services: Sequence[Service], *, as_json: bool, ok: bool = True
) -> int:
    """Print it; the exit code.

    Args:
        verb: which order.
        outcomes: by service.
        services: how they are now; one that is missing is gone.
        as_json: for programs.
        ok: nothing has failed that is told otherwise.
    """
    known = {**_replicated(services), **{service["name"]: service for service in services}}
    ok = ok and all(outcome.word in _GOOD for outcome in outcomes.values())
    if as_json:
        results = [_result(name, outcome, known.get(name)) for name, outcome in outcomes.items()]
        write(json.dumps({"ok": ok, "verb": verb, "results": results}, indent=2) + "\n")
    else:
        _print(outcomes, known)
    if not ok:
        complain(verb, outcomes)
    return 0 if ok else EX_FAILED


def _replicated(services: Sequence[Service]) -> dict[str, Service]:
    """A service with replicas by its own name, as its instances are together."""
    instances: dict[str, list[Service]] = {}
    for service in services:
        instances.setdefault(service["base"], []).append(service)
    found: dict[str, Service] = {}
    for base, members in instances.items():
        states = {member["state"] for member in members}
        state = states.pop() if len(states) == 1 else "mixed"
        found[base] = {**members[0], "name": base, "state": state, "pid": None, "reason": f"{len(members)} instances"}
    return found


def _result(name: str, outcome: Outcome, service: Service | None) -> dict[str, object]:
    keys = ("state", "reason", "pid", "exit_code", "signal_name")
    state = {key: service[key] if service else None for key in keys}
    return {"service": name, "outcome": outcome.word, "detail": outcome.detail or None, **state}


def _print(outcomes: Mapping[str, Outcome], known: Mapping[str, Service]) -> None:
    screen = look(1)
    shown = list(outcomes)
    if screen.moves and len(shown) > _MOST_LINES:
        shown = [name for name in shown if outcomes[name].word not in _GOOD]
        counts: dict[str, int] = {}
        for name in outcomes.keys() - set(shown):
            state = known[name]["state"] if name in known else "gone"
            counts[state] = counts.get(state, 0) + 1
        summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        write(f"{screen.paint('good', '✓')} {summary}\n")
    name_width = max(map(len, shown), default=0)
    for name in shown:
        service, outcome = known.get(name), outcomes[name]
        state = service["state"] if service else "gone"
        details = [outcome.detail or _WORDS.get(outcome.word, ""), _detail(service)]
        line = f"{name:{name_width}}  {state:9}  {'; '.join(part for part in dict.fromkeys(details) if part)}".rstrip()
        if screen.moves:
            mark, style = _MARKS.get(outcome.word, _FAILURE)
            line = f"{screen.paint(style, mark)} {cut(line, screen.width - 2)}"
        write(line + "\n")


def _detail(service: Service | None) -> str:
    if service is None:
        return ""
    if service["name"] == service["base"] and service["replica"] is not None:
        return str(service["reason"])
    if service["pid"] is not None:
        why = words.why(service)
        return f"pid {service['pid']}" + (f"; {why}" if why else "")
    return words.why(service)


def complain(verb: str, outcomes: Mapping[str, Outcome]) -> None:
    """Say who has failed, who is late, and who was not begun with."""
    failed = [name for name, outcome in outcomes.items() if outcome.word == "failed"]
    late = [name for name, outcome in outcomes.items() if outcome.word == "late"]
    untouched = [name for name, outcome in outcomes.items() if outcome.word == "untouched"]
    if failed:
        wrote = f"; what they wrote: pausevisor logs {' '.join(failed[:3])}" if verb in _UPWARDS else ""
        say(f"{verb} failed: {some(failed)}{wrote}")
    if late:
        say(f"{verb} is not done in time: {some(late)}; the order stands")
    if untouched:
        say(f"{verb} was not begun, because of that: {some(untouched)}")


def some(names: Sequence[str]) -> str:
    """Names, of very many only the first."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
