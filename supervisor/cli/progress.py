"""Progress on a terminal: a line for each service that is waited for, drawn again in place."""

from __future__ import annotations

import time

from supervisor.cli.screen import cut, write_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.cli.screen import Screen

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REFRESH = 0.1
"""Seconds between two drawings."""

_ARRIVED = {"running": "done", "completed": "done", "stopped": "done", "failed": "failed", "backoff": "failed"}
"""States in which a service is as it will be, as far as its events tell; the daemon's answer goes before."""

_PATIENCE = 0.15
"""Seconds until the first drawing: what is done by then needs no progress."""


class Progress:
    """Draws on standard error; does nothing where that is no terminal.

    Args:
        screen: what standard error is.
        names: who is waited for.
        states: what each is at the beginning.
    """

    def __init__(self, screen: Screen, states: dict[str, str]) -> None:
        self._screen = screen
        self._states = dict(states)
        self._notes: dict[str, str] = {}
        self._done: dict[str, str] = {}
        self._arrived: dict[str, str] = {}
        self._began = time.monotonic()
        self._drawn = 0
        self._frame = 0

    @property
    def is_shown(self) -> bool:
        """Whether there is anybody to see it."""
        return self._screen.moves

    def event(self, record: dict[str, Any]) -> None:
        """Something has happened to a service."""
        name = record.get("service")
        if name not in self._states:
            return
        if record["event"] == "service_state_changed":
            self._states[name] = record["to"]
            self._arrived[name] = _ARRIVED.get(record["to"], "")
        elif record["event"] == "child_started":
            self._notes[name] = f"pid {record['pid']}"
        elif record["event"] == "child_exited":
            how = record.get("signal_name") or f"exit code {record.get('exit_code')}"
            self._notes[name] = f"pid {record['pid']} ended: {how}"
        elif record["event"] in ("probe_failed", "child_spawn_failed"):
            probe = f"{record['probe']}: " if "probe" in record else ""
            self._notes[name] = f"{probe}{record.get('error', '')}"

    def done(self, name: str, outcome: str, state: str = "") -> None:
        """It is not waited for any more; in this state, where it is known."""
        self._done[name] = outcome
        self._states[name] = state or self._states.get(name, "")
        if outcome == "done":
            self._notes.pop(name, None)  # how its last process ended is news no longer

    def outcome(self, name: str) -> str:
        """What has come of it, as far as that is known; empty while it is under way."""
        return self._done.get(name) or self._arrived.get(name, "")

    def draw(self) -> None:
        """Draw how it is now."""
        took = time.monotonic() - self._began
        if not self.is_shown or (took < _PATIENCE and not self._drawn):
            return
        self._frame += 1
        lines = self._lines(took)
        self._replace("".join(line + "\n" for line in lines), len(lines))

    def clear(self) -> None:
        """Take it away again."""
        if self._drawn:
            self._replace("", 0)

    def _replace(self, text: str, lines: int) -> None:
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        write_error(f"{up}\r\x1b[J{text}")
        self._drawn = lines

    def _lines(self, took: float) -> list[str]:
        """All in their order; where there is no room for all, those first that are under way."""
        names = list(self._states)
        room = max(1, self._screen.height - 2)
        arrived = [name for name in names if self.outcome(name)]
        shown = names if len(names) <= room else sorted(names, key=lambda name: bool(self.outcome(name)))[: room - 1]
        width = max(map(len, shown), default=0)
        lines = [self._line(name, width, took) for name in shown]
        if len(shown) < len(names):
            lines.append(self._screen.paint("dim", f"  {len(arrived)} of {len(names)} done"))
        return lines

    def _line(self, name: str, width: int, took: float) -> str:
        state, note = self._states[name], self._notes.get(name, "")
        outcome = self.outcome(name)
        mark = {"done": "✓", "failed": "✗", "late": "✗"}.get(outcome, _FRAMES[self._frame % len(_FRAMES)])
        style = {"done": "good", "failed": "bad", "late": "bad"}.get(outcome, "busy")
        time_taken = "" if outcome else f"{took:5.1f}s"
        rest = cut(f"{name:{width}}  {state:9} {time_taken:6}  {note}", self._screen.width - 3).rstrip()
        head, tail = rest[: width + 2], rest[width + 2 :]
        return f"{self._screen.paint(style, mark)} {head}{self._screen.paint('dim', tail)}"
