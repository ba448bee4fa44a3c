"""Signals to the daemon, read from one descriptor: signalfd(2).

Weighed and refused: handlers. uvloop refuses one for SIGCHLD; a Python handler for SIGSEGV turns a crash into an
endless loop; the wake-up pipe drops bytes when it is full; and none of them tells who sent the signal. With signalfd
every signal stays blocked from the first instruction to the last, what comes in between is kept by the kernel, a
real fault of ours still kills us (the kernel forces those past the mask), and uvloop, asyncio and the pause mode's
poll(2) all watch it the same way.
"""

from __future__ import annotations

import os
import sys

from supervisor.core.signals import CATCHABLE, SIGPIPE, SIGXFSZ
from supervisor.runtime.libc import signalfd

_RECORD = 128
_BATCH = 64

_OF_WRITES = frozenset({SIGPIPE, SIGXFSZ})
"""Sent by the kernel in the writer's own name when a write fails; the write's errno has told it already. Blocked, they
are not ignored: to report one to a reader that is gone would bring the next."""


class SignalSource:
    """The pending signals of this process. All of them have to be blocked."""

    def __init__(self) -> None:
        self.fd = signalfd(CATCHABLE)

    def read(self) -> list[tuple[int, int]]:
        """Signals that were pending, as (number, pid of the sender), in the kernel's order; empty when none is.

        A sender outside our PID namespace, and the kernel itself, are 0. Never blocks; at most 64 at once.
        """
        try:
            data = os.read(self.fd, _RECORD * _BATCH)
        except BlockingIOError:
            return []
        # struct signalfd_siginfo: ssi_signo, ssi_errno, ssi_code, ssi_pid, ...; four bytes each
        news = [
            (int.from_bytes(data[at : at + 4], sys.byteorder), int.from_bytes(data[at + 12 : at + 16], sys.byteorder))
            for at in range(0, len(data), _RECORD)
        ]
        return [(signal, sender) for signal, sender in news if signal not in _OF_WRITES or sender != os.getpid()]

    def hold_back(self, *signals: int) -> None:
        """Leave these pending, and report all others; without any, report all again."""
        signalfd(CATCHABLE.difference(signals), self.fd)

    def close(self) -> None:
        """Give the descriptor back; the signals stay blocked."""
        os.close(self.fd)
