"""Job control for the single command: the part that a shell plays for its jobs; setpgid(2), tcsetpgrp(3).

The command leads a process group of its own and has the terminal's foreground, so that ^C and ^Z reach it and not
the daemon. When it is stopped and the daemon was itself started from a shell, the daemon stops too and gives the
terminal back: the shell sees its job stopped, and ``fg`` continues both.
"""

import os

from supervisor.core.signals import SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU
from supervisor.runtime.kernel import Kernel

_STOPPED_BY_TERMINAL = frozenset({SIGTSTP, SIGTTIN, SIGTTOU})


def controlling_terminal() -> int | None:
    """Standard input, when it is our controlling terminal and we have its foreground; otherwise None."""
    try:
        return 0 if os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp() else None
    except OSError:
        return None  # a terminal, but not ours


class JobControl:
    """The terminal, between a shell above and the command below.

    Args:
        kernel: the seam.
        terminal: the descriptor of the controlling terminal.
    """

    def __init__(self, kernel: Kernel, terminal: int) -> None:
        self._kernel = kernel
        self._terminal = terminal

    def command_stopped(self, pgrp: int, signal: int) -> None:
        """The command was stopped: stop as well, and when continued, continue it.

        As PID 1 there is no shell above that could continue us: the command stays stopped until it gets a CONT.
        """
        if signal not in _STOPPED_BY_TERMINAL or os.getpid() == 1 or os.getsid(0) == os.getpid():
            return
        self.take_back()
        self._kernel.kill(os.getpid(), SIGSTOP)
        # here we are again: after fg the shell has put our own group into the foreground, after bg it has not
        try:
            if os.tcgetpgrp(self._terminal) == os.getpgrp():
                os.tcsetpgrp(self._terminal, pgrp)
            self._kernel.kill_group(pgrp, SIGCONT)
        except OSError:
            return  # the terminal was hung up, or the command killed, while we were stopped: both are seen elsewhere

    def take_back(self) -> None:
        """Put our own group into the foreground; SIGTTOU is blocked, so it does not stop us."""
        try:
            os.tcsetpgrp(self._terminal, os.getpgrp())
        except OSError:
            return  # hung up: there is nothing to take back
