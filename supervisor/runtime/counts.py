"""Plain counters of what became of processes, from the daemon's start: metrics are made of them when somebody asks.

They count what happens, whatever the log's level is, and cost an addition each.
"""

from __future__ import annotations

from supervisor.core.wait_status import exit_code, term_signal


class Counts:
    """Numbers of ends so far.

    Attributes:
        exits: ends of main processes by service, exit code and signal, of which one is None.
        oom_kills: main processes that the kernel killed for want of memory, by service.
        spawn_failures: programs that could not be started, by service.
        orphans: ends of processes that were handed to us.
        reaped: zombies of all kinds.
    """

    __slots__ = ("exits", "oom_kills", "orphans", "reaped", "spawn_failures")

    def __init__(self) -> None:
        self.exits: dict[tuple[str, int | None, int | None], int] = {}
        self.oom_kills: dict[str, int] = {}
        self.spawn_failures: dict[str, int] = {}
        self.orphans = 0
        self.reaped = 0

    def exited(self, service: str, status: int, *, oom_killed: bool) -> None:
        """The main process of a service has ended with this wait status."""
        signal = term_signal(status)
        key = (service, None, signal) if signal else (service, exit_code(status), None)
        self.exits[key] = self.exits.get(key, 0) + 1
        if oom_killed:
            self.oom_kills[service] = self.oom_kills.get(service, 0) + 1

    def spawn_failed(self, service: str) -> None:
        """The program of a service could not be started."""
        self.spawn_failures[service] = self.spawn_failures.get(service, 0) + 1
