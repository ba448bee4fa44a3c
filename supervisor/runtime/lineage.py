"""Which service an orphan came from.

An adopted process has lost its parent, and a zombie its environment; what stays is its session and process group.
A service leads a session of its own, so most orphans are known by that. One that made a session for itself is known
if we could look at it alive: its environment still names the service (``PAUSEVISOR_SERVICE``), unless it was cleared.

Sessions are remembered after the service's process is gone, because its orphans outlive it. The kernel reuses a
number only when no process is left in that session; a bounded memory keeps old ones from naming strangers. The commands
of probes have one of their own: they come by the thousand, and would make us forget the services.
"""

from supervisor.runtime.kernel import Kernel, Stat

VARIABLE = "PAUSEVISOR_SERVICE"
"""Set in the environment of every service's program, to its name."""

_REMEMBERED = 4096
_REMEMBERED_HELPERS = 256

_FEW = 64
"""So many living processes are looked at anew each time, as long as their session is known."""


class Lineage:
    """Sessions and processes, and the services they came from."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._living: dict[int, str] = {}
        self._sessions: dict[int, str] = {}
        self._helpers: dict[int, str] = {}
        self._looked_at: set[int] = set()

    def started(self, pid: int, service: str) -> None:
        """A service's process was started; it leads a session, or at least a group, with its own number."""
        self._living[pid] = service

    def helped(self, pid: int, service: str) -> None:
        """A process was started that leads a session for a service, for a moment."""
        self._sessions.pop(pid, None)
        _remember(self._helpers, _REMEMBERED_HELPERS, pid, service)

    def origin(self, stat: Stat) -> str | None:
        """The service that a dead or stopped process came from; None when that can't be known."""
        for number in (stat.session, stat.pgrp):
            for known in (self._living, self._sessions, self._helpers):
                if number in known:
                    return known[number]
        return None

    def reaped(self, pid: int) -> None:
        """The process is gone, and its number may come again."""
        self._looked_at.discard(pid)
        service = self._living.pop(pid, None)
        if service is not None:
            _remember(self._sessions, _REMEMBERED, pid, service)

    def look(self, pids: list[int], services: frozenset[str]) -> None:
        """Learn the sessions of processes that are still alive and whose session nobody knows."""
        few = len(pids) <= _FEW
        for pid in pids:
            if pid in self._looked_at:
                continue
            stat = self._kernel.stat(pid)
            if few and stat is not None and self.origin(stat) is not None:
                continue  # it may be a daemon that has yet to make a session of its own, and then it tells us more
            self._looked_at.add(pid)
            if stat is None or stat.state == "Z" or self.origin(stat) is not None:
                continue
            service = self._kernel.environment(pid, VARIABLE)
            # the variable is the process's own word: it can only ever name a service that there is
            if service in services:
                _remember(self._sessions, _REMEMBERED, stat.session, service)


def _remember(known: dict[int, str], most: int, session: int, service: str) -> None:
    known.pop(session, None)
    known[session] = service
    if len(known) > most:
        del known[next(iter(known))]
