"""How much the services have written, from the daemon's start; one addition for each chunk that is read."""

from __future__ import annotations


class Tally:
    """Lines and bytes read so far, by service."""

    __slots__ = ("bytes", "lines")

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.bytes: dict[str, int] = {}

    def add(self, service: str, lines: int, size: int) -> None:
        """A chunk of ``size`` bytes has completed so many lines."""
        self.lines[service] = self.lines.get(service, 0) + lines
        self.bytes[service] = self.bytes.get(service, 0) + size
