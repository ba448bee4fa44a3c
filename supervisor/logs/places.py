"""The places beside the log, made when somebody first needs one: nobody else pays for the code behind them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervisor.core.spec import Destination
    from supervisor.logs.journal import Journal
    from supervisor.logs.sink import Sink
    from supervisor.logs.sinks.registry import Sinks
    from supervisor.logs.sinks.writer import FileLog
    from supervisor.logs.targets import Target


class Places:
    """All targets of the daemon.

    Args:
        journal: told what goes wrong with them; its records go to some of them.
        log: the daemon's own log; a file is opened again with the others.
    """

    def __init__(self, journal: Journal, log: Sink | FileLog) -> None:
        self._journal = journal
        self._log = log
        self._loop: Any = None
        self._sinks: Sinks | None = None

    def attach(self, loop: Any, *, log_is_file: bool) -> None:
        """From now on there is a loop to write with."""
        self._loop = loop
        if log_is_file:
            self._open()
        elif self._sinks is not None:
            self._sinks.attach(loop)

    def mirror(self, places: tuple[Destination, ...], render: Callable[[dict[str, object]], bytes]) -> None:
        """Give all records of the log to these places too."""
        sinks = self._open()
        self._journal.mirror([sinks.acquire(place, "", render=render) for place in places])

    def acquire(self, destination: Destination, service: str) -> Target:
        """The target of a service's lines; the first one brings the code for it."""
        return self._open().acquire(destination, service)

    def release(self, target: Target) -> None:
        """One who acquired it needs it no longer."""
        if self._sinks is not None:
            self._sinks.release(target)

    def reopen(self) -> None:
        """Open the files again, after somebody has renamed them."""
        if self._sinks is not None:
            self._sinks.reopen()

    def end(self, patience: float) -> None:
        """All output is read: give the targets some seconds to take it, and say what is lost."""
        if self._sinks is not None:
            self._sinks.flush(patience)
            self._sinks.tell()

    def flush(self, patience: float) -> None:
        """Give the targets some seconds more, for the last records."""
        if self._sinks is not None:
            self._sinks.flush(patience)

    def _open(self) -> Sinks:
        if self._sinks is None:
            from supervisor.logs.sinks.registry import Sinks  # noqa: PLC0415 - only for who has such targets

            self._sinks = Sinks(self._journal.emit, log=self._log)
            if self._loop is not None:
                self._sinks.attach(self._loop)
        return self._sinks
