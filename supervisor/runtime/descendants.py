"""Signalling what descends from us: never kill(-1), which in a shared PID namespace reaches other containers.

The pause mode imports this module, so it stays light.
"""

from __future__ import annotations

from supervisor.core.signals import SIGCONT, SIGKILL, signal_name
from supervisor.runtime.kernel import Stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.runtime.kernel import Kernel
    from supervisor.runtime.ports import Journal


_REST = 4
"""So many times as long as it took to look for all of them, they are not looked for again without need."""


class Descendants:
    """Everything below us, found by walking /proc from ourselves."""

    def __init__(self, kernel: Kernel, journal: Journal) -> None:
        self._kernel = kernel
        self._journal = journal
        self._rest_until = 0.0

    @property
    def rested(self) -> bool:
        """Whether :meth:`kill` may be called at every occasion: of a dying mass it takes half a second."""
        return self._kernel.monotonic() >= self._rest_until

    def terminate(self, pids: list[int], signal: int) -> None:
        """Ask these processes to end: the signal, and CONT, because a stopped process would never see it."""
        for pid in pids:
            self.send(pid, signal)
            self.send(pid, SIGCONT)

    def kill(self) -> dict[int, str]:
        """KILL all of them, parents first, so that nobody is left to start another; the names of those alive."""
        killed: dict[int, str] = {}
        began = self._kernel.monotonic()
        for pid in self._kernel.descendants():
            try:
                stat = self._kernel.stat(pid)
            except OSError:
                stat = Stat("?", "?", 0, 0, 0)  # it can't be looked at: then it is killed without a name
            if stat is not None and stat.state != "Z":
                self.send(pid, SIGKILL)
                killed[pid] = f"{stat.comm}[{pid}]"
        now = self._kernel.monotonic()
        self._rest_until = now + _REST * (now - began)
        return killed

    def send(self, pid: int, signal: int) -> None:
        """Signal one process; that it has gone by itself is no news, that it is not ours to signal is."""
        try:
            self._kernel.kill(pid, signal)
        except ProcessLookupError:
            return
        except OSError as error:
            message = f"cannot send {signal_name(signal)} to pid {pid}: {error}"
            self._journal.emit("warning", "supervisor_warning", message=message)
