"""What is told of orphans: processes whose parent has ended, and that were handed to us.

What they were is learnt while they are zombies, and told when nobody waits to be reaped any more: ten thousand may end
at one instant, and to reap them all takes half as long as to reap and tell them one by one, since the kernel's code and
ours drive each other out of the processor's caches. Until then a few hundred bytes are kept of each.
"""

from __future__ import annotations

from supervisor.core.light import deque
from supervisor.core.wait_status import status_fields
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.lineage import Lineage
from supervisor.runtime.usage import usage_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage

    from supervisor.runtime.ports import Groups, Journal

_NAMELESS: dict[str, object] = {"comm": ""}

PIECE = 256
"""Records that are written at once, before anybody else gets a turn: about three milliseconds' worth."""

_MOST = 16_384
"""Ends that are kept untold: five megabytes."""


class Orphans:
    """Orphans that are zombies, and those whose end is not told yet.

    Args:
        kernel: the seam.
        journal: where records go.
        lineage: knows which service a process came from.

    Attributes:
        groups: the services' control groups, where there may be some.
        closed: whether the last record is about to be written, so that nothing more is told.
    """

    def __init__(self, kernel: Kernel, journal: Journal, lineage: Lineage) -> None:
        self.groups: Groups | None = None
        self.closed = False
        self._kernel = kernel
        self._journal = journal
        self._lineage = lineage
        self._untold: deque[tuple[int, dict[str, object], int, struct_rusage]] = deque()
        self._zombie: dict[str, object] = {}

    def before_reap(self, pid: int) -> None:
        """It is a zombie: learn what it was, and where it came from."""
        self._zombie = {}
        if not self._journal.wants("info"):
            return
        ties = self._kernel.ties(pid)
        if ties is not None and ties[0] == pid:
            # It led a session, so it was a daemon: what it leaves may have sessions of its own. The orphans of
            # others are known by their session, and looking each time would cost more than all the rest.
            self._lineage.parent_ended()
        self._zombie = self._identity(pid, ties)

    def exited(self, pid: int, status: int, usage: struct_rusage) -> None:
        """It is gone; told later."""
        zombie, self._zombie = self._zombie, {}
        if not self.closed and self._journal.wants("info"):
            self._untold.append((pid, zombie, status, usage))

    def moved(self, event: str, pid: int, fields: dict[str, object]) -> None:
        """It was stopped or continued, and is told at once."""
        if self.closed:
            return
        self._journal.emit("info", event, pid=pid, **self._identity(pid, self._kernel.ties(pid)), **fields)

    @property
    def many(self) -> bool:
        """Whether so many are untold that it can't wait until nobody is to be reaped."""
        return len(self._untold) >= _MOST

    def tell(self, most: int | None = PIECE) -> bool:
        """Write records of those that ended first, all when ``most`` is None; whether there are more."""
        untold = self._untold
        with self._journal.batch():
            for _ in range(len(untold) if most is None else min(most, len(untold))):
                pid, zombie, status, usage = untold.popleft()
                fields = {**(zombie or _NAMELESS), **status_fields(status), **usage_fields(usage)}
                self._journal.emit("info", "orphan_exited", pid=pid, **fields)
        return bool(untold)

    def _identity(self, pid: int, ties: tuple[int, int] | None) -> dict[str, object]:
        """What is told of it beside its pid: its name, and the service it came from if that is known."""
        if ties is None:
            return _NAMELESS
        # a session can be left by anybody, a control group needs rights
        origin = (self.groups.owner(pid) if self.groups is not None else None) or self._lineage.origin(*ties)
        comm = self._kernel.name(pid)
        return {"comm": comm} if origin is None else {"comm": comm, "origin": origin}
