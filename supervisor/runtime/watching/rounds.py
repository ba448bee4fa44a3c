"""Tries of one probe, one after the other: never two at once, none longer than its timeout."""

from __future__ import annotations

import errno
from functools import partial

from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from supervisor.runtime.ports import Handle, WatchLoop

    Done = Callable[["str | ShortageError"], None]
    """Told what came of a try: empty when all is well, else the error in words, or why it could not be made."""

    class Checker(Protocol):
        """One kind of probe, aimed at one target."""

        def start(self, done: Done) -> None:
            """Begin a try. ``done`` is called once, at once or later."""

        def cancel(self) -> None:
            """End what is under way; ``done`` is not called any more."""


SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})
"""Errors that tell of the machine or of us, and not of who is probed."""


class ShortageError(Exception):
    """A probe could not be tried: out of descriptors, memory or processes. That says nothing about the service."""


class Verdicts(Record):
    """Who is told what came of each try.

    Attributes:
        well: it succeeded.
        wrong: it failed, with the error in words.
        unable: it could not be made, with the error in words; it says nothing about the service.
        broken: the same, for a mistake of ours.
    """

    well: Callable[[], None]
    wrong: Callable[[str], None]
    unable: Callable[[str], None]
    broken: Callable[[Exception], None]


class Rounds:
    """Tries a probe until it is stopped.

    Args:
        loop: whose timers wake us.
        checker: the probe.
        timeout: seconds that a try may take.
        wait: seconds before the try of a number, counted from 0 and from the end of the one before.
        verdicts: who is told; by then the next try is planned, so that whoever is told may stop us.
    """

    def __init__(
        self, loop: WatchLoop, checker: Checker, timeout: float, wait: Callable[[int], float], verdicts: Verdicts
    ) -> None:
        self._loop = loop
        self._checker = checker
        self._timeout = timeout
        self._wait = wait
        self._verdicts = verdicts
        self._timer: Handle | None = None
        self._count = 0
        self._trying = False
        self._starting = False
        self._early: Callable[[], None] | None = None

    def start(self) -> None:
        """Plan the first try."""
        self._plan()

    def stop(self) -> None:
        """Try no more; what is under way ends, and nobody hears of it."""
        self._disarm()
        if self._trying:
            self._trying = False
            self._checker.cancel()

    def _plan(self) -> None:
        self._disarm()
        self._timer = self._loop.call_later(self._wait(self._count), self._try)
        self._count += 1

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self) -> None:
        self._timer = self._loop.call_later(self._timeout, self._late)
        self._trying = self._starting = True
        try:
            self._checker.start(self._done)
        except Exception as error:  # noqa: BLE001 - our mistake is neither the service's failure nor the probing's end
            self._checker.cancel()
            self._early = partial(self._verdicts.broken, error)
        self._starting = False
        early, self._early = self._early, None
        if early is not None:
            self._over(early)

    def _late(self) -> None:
        self._timer = None
        self._checker.cancel()
        self._done(f"timed out after {self._timeout:g}s")

    def _done(self, error: str | ShortageError) -> None:
        if isinstance(error, ShortageError):
            tell = partial(self._verdicts.unable, str(error))
        else:
            tell = partial(self._verdicts.wrong, error) if error else partial(self._verdicts.well)
        if self._starting:
            self._early = tell  # whoever is told is not to be called from within the start of the try
        else:
            self._over(tell)

    def _over(self, tell: Callable[[], None]) -> None:
        if not self._trying:
            return
        self._trying = False
        self._plan()
        tell()
