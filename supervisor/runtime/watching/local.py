"""Probes that look here: a command's exit status, a file, and the service's own lines."""

from __future__ import annotations

import os

from supervisor.core.signals import SIGKILL, signal_name
from supervisor.core.wait_status import exit_code, term_signal
from supervisor.runtime.spawn import SpawnError
from supervisor.runtime.watching.rounds import SHORTAGES, ShortageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.spec import ServiceSpec
    from supervisor.runtime.ports import WatchLoop
    from supervisor.runtime.watches import Neighbours
    from supervisor.runtime.watching.rounds import Done

LONGEST_SEARCHED = 4096
"""Bytes of a line that are searched: a pattern that goes back and forth over a line is to meet no long one."""


class CommandChecker:
    """Well when a command exits with 0. It is our child as a service is, and goes with its whole process group."""

    def __init__(self, neighbours: Neighbours, spec: ServiceSpec, command: tuple[str, ...]) -> None:
        self._out = neighbours
        self._spec = spec
        self._command = command
        self._pid = 0
        self._again = False
        self._done: Done | None = None

    def start(self, done: Done) -> None:
        """Start the command, when the one before is gone; see :class:`~supervisor.runtime.watching.rounds.Checker`."""
        self._done = done
        if self._pid:
            self._again = True  # it was killed, and the kernel takes its time; or it can't be killed
        else:
            self._run()

    def _run(self) -> None:
        try:
            self._pid = self._out.run(self._spec, self._command, self._ended)
        except SpawnError as error:
            self._finish(ShortageError(str(error)) if error.transient else str(error))

    def cancel(self) -> None:
        """KILL the command, if it runs."""
        self._done = None
        self._again = False
        if not self._pid:
            return
        try:
            self._out.kernel.kill_group(self._pid, SIGKILL)
        except ProcessLookupError:
            return  # can't be: it is not reaped
        except OSError as error:
            message = f"cannot kill the probe {self._command[0]!r} (pid {self._pid}): {error.strerror}"
            self._out.journal.emit("warning", "supervisor_warning", service=self._spec.name, message=message)

    def _ended(self, status: int) -> None:
        """It is reaped; its group went with it."""
        self._pid = 0
        if self._again:
            self._again = False
            self._run()
        else:
            self._finish(_words(status))

    def _finish(self, error: str | ShortageError) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(error)


def _words(status: int) -> str:
    signal = term_signal(status)
    if signal:
        return f"killed by {signal_name(signal)}"
    code = exit_code(status)
    return f"exited with {code}" if code else ""


class FileChecker:
    """Well when a file exists.

    It is looked for at intervals, while somebody waits for it. inotify(7) would have to be told of every folder on the
    way that is made later, and is not told at all by network and some overlay file systems.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def start(self, done: Done) -> None:
        """Look for it; see :class:`~supervisor.runtime.watching.rounds.Checker`."""
        try:
            os.stat(self._path)
        except OSError as error:
            text = error.strerror or str(error)
            done(ShortageError(text) if error.errno in SHORTAGES else text)
        else:
            done("")

    def cancel(self) -> None:
        """Nothing is ever under way."""


class LineListener:
    """Well when a line of the service's output matches. It is not a try: it listens."""

    def __init__(self, neighbours: Neighbours, loop: WatchLoop, service: str, pattern: str) -> None:
        import re  # noqa: PLC0415 - only where a pattern is configured
        import warnings  # noqa: PLC0415 - the same

        self._out = neighbours
        self._loop = loop
        self._service = service
        with warnings.catch_warnings(action="ignore"):
            self._pattern = re.compile(pattern)
        self._found: Callable[[], None] | None = None
        self._listening = False

    def start(self, found: Callable[[], None]) -> None:
        """Listen until a line matches; ``found`` is called then, in a turn of its own."""
        self._found = found
        self._listening = True
        self._out.listen(self._service, self._lines)

    def stop(self) -> None:
        """Listen no more."""
        self._found = None
        if self._listening:
            self._listening = False
            self._out.listen(self._service, None)

    def _lines(self, lines: list[bytes]) -> None:
        search = self._pattern.search
        if not any(search(line[:LONGEST_SEARCHED].decode("utf-8", "replace")) for line in lines):
            return
        self._listening = False
        self._out.listen(self._service, None)
        # whoever is told may start and stop services, which is not to happen while their output is being read
        self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        found, self._found = self._found, None
        if found is not None:
            found()
