"""The one reaper: nobody else waits for a child, ours or adopted.

SIGCHLD coalesces, so one notice means "look", not "one". The reaper looks in bounded batches: a fork storm must not
keep the loop from a TERM. Every child is peeked at first (WNOWAIT): while the zombie is there its pid belongs to
nobody else, /proc still knows its name, and its process group can still be signalled; only then is it consumed.
See wait(2), NOTES.

The pause mode imports this module, so it stays light.
"""

from __future__ import annotations

from supervisor.core.signals import SIGCONT
from supervisor.runtime.kernel import CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_STOPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage
    from typing import Protocol

    from supervisor.runtime.kernel import Kernel

    class Observer(Protocol):
        """Whom the reaper tells."""

        def before_reap(self, pid: int, status: int) -> None:
            """The process is a zombie: the last moment at which its pid is still its own."""

        def exited(self, pid: int, status: int, usage: struct_rusage) -> None:
            """The process is gone; ``status`` is that of wait4(2)."""

        def stopped(self, pid: int, signal: int) -> None:
            """The process was stopped by this signal."""

        def continued(self, pid: int, signal: int) -> None:
            """The process was continued."""


_CORE = 0x80

BATCH = 24
"""Children handled before anybody else gets a turn: about a millisecond's worth."""


class Reaper:
    """Takes what the children have to tell.

    Args:
        kernel: the seam.
        observer: who is told of each; whatever it raises, the child is reaped, and its exit told.
    """

    def __init__(self, kernel: Kernel, observer: Observer) -> None:
        self._kernel = kernel
        self._observer = observer

    def run(self) -> bool:
        """Handle one batch; whether more may be waiting."""
        for _ in range(BATCH):
            try:
                news = self._kernel.peek()
            except ChildProcessError:
                return False
            if news is None:
                return False
            self._handle(*news)
        return True

    def has_children(self) -> bool:
        """Whether there is any child, alive or zombie."""
        try:
            self._kernel.peek()
        except ChildProcessError:
            return False
        return True

    def _handle(self, pid: int, code: int, signal: int) -> None:
        if code == CLD_STOPPED:
            self._kernel.consume_stop(pid)
            self._observer.stopped(pid, signal)
        elif code == CLD_CONTINUED:
            self._kernel.consume_stop(pid)
            self._observer.continued(pid, SIGCONT)
        else:
            # siginfo tells the exit code or the signal; as wait4(2) would put it:
            core = _CORE if code == CLD_DUMPED else 0
            self._exit(pid, signal << 8 if code == CLD_EXITED else signal | core)

    def _exit(self, pid: int, status: int) -> None:
        try:
            self._observer.before_reap(pid, status)
        finally:
            # whatever went wrong before: a zombie that stays is peeked at for ever, and that it is gone is news
            status, usage = self._kernel.reap(pid)
            self._observer.exited(pid, status, usage)
