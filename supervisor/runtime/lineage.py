"""Which service an orphan came from.

An adopted process has lost its parent, and a zombie its environment; what stays is its session and process group.
A service leads a session of its own, so most orphans are known by that. One that made a session for itself is known
if we could look at it alive: its environment still names the service (``PAUSEVISOR_SERVICE``), unless it was cleared.

Sessions are remembered after the service's process is gone, because its orphans outlive it. The kernel reuses a
number only when no process is left in that session; a bounded memory keeps old ones from naming strangers. The commands
of probes have one of their own: they come by the thousand, and would make us forget the services.

Ten thousand may be handed to us at one instant, and die at the next. Listing them takes 10 ms, or 200 while they die,
and looking at one 30 microseconds, so both are done in pieces, and take a tenth of the time at most.
"""

from __future__ import annotations

from supervisor.runtime.kernel import Kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "PAUSEVISOR_SERVICE"
"""Set in the environment of every service's program, to its name."""

_REMEMBERED = 4096
_REMEMBERED_HELPERS = 256

_REST = 9
"""So many times as long as it took to list our children and to look at them, they are not listed again."""


class Lineage:
    """Sessions and processes, and the services they came from."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._living: dict[int, str] = {}
        self._sessions: dict[int, str] = {}
        self._helpers: dict[int, str] = {}
        self._looked_at: set[int] = set()
        self._adopted = False
        self._listing: Iterator[list[int]] | None = None
        self._list_again_at = 0.0

    def started(self, pid: int, service: str) -> None:
        """A service's process was started; it leads a session, or at least a group, with its own number."""
        self._living[pid] = service

    def helped(self, pid: int, service: str) -> None:
        """A process was started that leads a session for a service, for a moment."""
        self._sessions.pop(pid, None)
        _remember(self._helpers, _REMEMBERED_HELPERS, pid, service)

    def origin(self, session: int, pgrp: int) -> str | None:
        """The service that a process of this session and group came from; None when that can't be known."""
        for number in (session, pgrp):
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

    def parent_ended(self) -> None:
        """Somebody has ended whose children may be ours now."""
        self._adopted = True

    def curious(self) -> bool:
        """Whether there may be children to :meth:`look_on` at."""
        return self._adopted or self._listing is not None

    def look_on(self, services: frozenset[str]) -> float:
        """Look at some of the children that we do not know yet; how many seconds to wait before more."""
        began = self._kernel.monotonic()
        listing, self._listing = self._listing, None
        if listing is None:
            if began < self._list_again_at:
                return self._list_again_at - began
            self._adopted = False
            listing = self._kernel.walk_children(self._kernel.own_pid())
        some = next(listing, None)
        if some is not None:
            self._listing = listing
            self.look(some, services)
        now = self._kernel.monotonic()
        self._list_again_at = max(self._list_again_at, now) + _REST * (now - began)
        return 0.0

    def look(self, pids: list[int], services: frozenset[str]) -> None:
        """Learn the sessions of processes that are still alive and whose session nobody knows."""
        for pid in pids:
            ties = self._kernel.ties(pid) if pid not in self._looked_at else None
            if ties is None or self.origin(*ties) is not None:
                continue  # it may be a daemon that has yet to make a session of its own, and then it tells us more
            self._looked_at.add(pid)
            service = self._kernel.environment(pid, VARIABLE)  # None of a zombie
            # the variable is the process's own word: it can only ever name a service that there is
            if service in services:
                _remember(self._sessions, _REMEMBERED, ties[0], service)


def _remember(known: dict[int, str], most: int, session: int, service: str) -> None:
    known.pop(session, None)
    known[session] = service
    if len(known) > most:
        del known[next(iter(known))]
