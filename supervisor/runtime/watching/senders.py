"""Who may speak for a service: its own processes. Whoever else sends is not heard, and told of once a minute.

A process is the service's own when it is the main process, is in its session or process group, or descends from it.
One that has left all of these (a daemon that forked twice, into a session of its own) still descends from us, and its
environment names the service.

A sender may be gone when its message is read: ``systemd-notify READY=1`` without its barrier ends at once, and whoever
started it reaps it. Nothing can be asked of it then but what the kernel wrote down as it sent: its user. That has to
be the service's, or root.
"""

from __future__ import annotations

from supervisor.runtime.lineage import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.runtime.kernel import Kernel, Stat

_ROOT = 0
_GENERATIONS = 64
"""As far up as descent is followed: nobody is a great-grandchild of that degree by honest means."""

_MINUTE = 60.0
_MOST_A_MINUTE = 16


class Senders:
    """Tells a service's processes from others."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def refusal(self, pid: int, uid: int, service: str, own: frozenset[int]) -> str:
        """Why this process may not speak for the service; empty when it may.

        Args:
            pid: the sender, 0 when it is outside our PID namespace.
            uid: its user when it sent.
            service: the name.
            own: main process of the service: that of the start, and the one that has taken its place, if one has.
        """
        if pid <= 0:
            return "it is in another PID namespace"
        if pid in own:
            return ""
        stat = self._kernel.stat(pid)
        if stat is None:
            return "" if self._is_user(uid, own) else f"it has ended, and user {uid} is not the service's"
        top = self._descent(pid, stat, own)
        if top in own or (top and self._names(top, uid, service, own)):
            return ""
        return "it is no process of the service"

    def is_own(self, pid: int, service: str, own: frozenset[int]) -> bool:
        """Whether a living process may become the service's main process."""
        if pid <= 1 or pid == self._kernel.own_pid():
            return False
        stat = self._kernel.stat(pid)
        if stat is None or stat.state == "Z":
            return False
        users = self._kernel.users(pid)
        return self.refusal(pid, min(users, default=-1), service, own) == ""

    def _descent(self, pid: int, stat: Stat | None, own: frozenset[int]) -> int:
        """Follow the parents: one of ``own`` when it is met, else the topmost process below us; 0 for neither."""
        us = self._kernel.own_pid()
        for _ in range(_GENERATIONS):
            if stat is None:
                return 0
            for leader in (pid, stat.session, stat.pgrp):
                if leader in own:
                    return leader
            if stat.parent == us:
                return pid
            pid, stat = stat.parent, self._kernel.stat(stat.parent) if stat.parent > 1 else None
        return 0

    def _names(self, pid: int, uid: int, service: str, own: frozenset[int]) -> bool:
        """Whether an orphan of ours says that it is the service's; its word counts for what its user may say."""
        return self._kernel.environment(pid, VARIABLE) == service and self._is_user(uid, own)

    def _is_user(self, uid: int, own: frozenset[int]) -> bool:
        return uid == _ROOT or any(uid in self._kernel.users(pid) for pid in own)


class Throttle:
    """Lets a warning about each sender pass once a minute, and not many in all: who refuses is not to be flooded."""

    __slots__ = ("_since", "_told")

    def __init__(self) -> None:
        self._since = 0.0
        self._told: set[int] = set()

    def passes(self, pid: int, now: float) -> bool:
        """Whether to tell of this sender now (monotonic seconds)."""
        if now - self._since >= _MINUTE:
            self._since = now
            self._told.clear()
        if pid in self._told or len(self._told) >= _MOST_A_MINUTE:
            return False
        self._told.add(pid)
        return True
