"""^C for clients that wait: what is on the screen is put in order, something is said, and the process dies of it.

Dying by the signal, and not by an exit code, is what tells a shell's loop to end as well.
"""

from __future__ import annotations

import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


class Interrupted(BaseException):
    """^C; no error, so that nobody takes it for one."""


def catch() -> None:
    """From now on ^C raises."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one ends us at once
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)


def pause(seconds: float) -> None:
    """Let a moment pass; ^C ends it."""
    select.select([], [], [], seconds)


def die() -> NoReturn:
    """End by the signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    os._exit(128 + signal.SIGINT)  # it was blocked when we were started
