"""Why the container ended, for Kubernetes: it shows the file's text in ``kubectl describe pod``.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure: at most 4,096 bytes, UTF-8. Owns
what the text says and how it is written: once, at the end, in a thread that nobody waits for longer than a second, and
never over a message that the program itself has left there. :class:`Witness` stands before the journal and remembers
what the text is made of, whatever the log's level.
"""

from __future__ import annotations

import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

    from supervisor.logs.journal import Journal

LONGEST = 4096
"""Bytes that Kubernetes reads."""

_PATIENCE = 1.0
_TICK = 0.02
"""Seconds by which the time of a file may lag behind the clock: the kernel stamps with that of its latest tick."""

_MARK = "[...]\n"
_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Witness:
    """Passes on records to the journal, and remembers those that tell how it ended."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._since = time.time()
        self._reason = ""
        self._ended: dict[str, str] = {}  # how the latest process of each service ended, or why there was none
        self._tails: dict[str, list[str]] = {}
        self._killed: list[str] = []

    def wants(self, level: str) -> bool:
        """See :meth:`supervisor.logs.journal.Journal.wants`."""
        return self._journal.wants(level)

    def emit(self, level: str, event: str, /, **fields: Any) -> None:
        """See :meth:`supervisor.logs.journal.Journal.emit`."""
        self._look(event, fields)
        self._journal.emit(level, event, **fields)

    def batch(self) -> AbstractContextManager[object]:
        """See :meth:`supervisor.logs.journal.Journal.batch`."""
        return self._journal.batch()

    def write(self, path: str, exit_code: int) -> None:
        """Write the message, unless the program has written one since we started; whatever fails, the exit goes on."""
        write_message(path, self.text(exit_code), since=self._since)

    def text(self, exit_code: int) -> str:
        """What is to be said: how it ended, why, and the last lines of the service that is the reason, if one is."""
        guilty = next((name for name in self._ended if f"service {name} has " in self._reason), "")
        lines = [f"exit code {exit_code}: {self._reason or 'the daemon ended'}"]
        if guilty:
            lines.append(f"{guilty} {self._ended[guilty]}")
        if self._killed:
            lines.append(f"not down in time, so killed: {', '.join(self._killed)}")
        if self._tails.get(guilty):
            lines += [f"last lines of {guilty}:", *self._tails[guilty]]
        return "\n".join(lines) + "\n"

    def _look(self, event: str, fields: dict[str, Any]) -> None:
        if event == "child_exited":
            self._ended[fields["service"]] = _how(fields)
            self._tails[fields["service"]] = fields.get("tail") or []
        elif event == "child_spawn_failed":
            self._ended[fields["service"]] = f"could not be started: {fields['error']}"
            self._tails.pop(fields["service"], None)
        elif event == "service_state_changed" and fields["to"] == "failed":
            self._ended.setdefault(fields["service"], f"has failed: {fields['reason']}")
        elif event == "shutdown_started":
            self._reason = fields["reason"]
        elif event == "shutdown_finished":
            self._killed = fields["killed"]


def _how(fields: dict[str, Any]) -> str:
    """How a process ended, in words."""
    how = f"exited with {fields['exit_code']}" if "exit_code" in fields else f"was killed by {fields['signal_name']}"
    if fields.get("core_dumped"):
        how += ", core dumped"
    if fields.get("oom_killed"):
        how += ", out of memory"
    return f"{how}, after {fields['duration_s']:.3f} s"


def shortened(text: str) -> bytes:
    """The text in at most :data:`LONGEST` bytes: the beginning says who, the end says why."""
    data = text.encode("utf-8", "replace").replace(b"\0", b"?")
    if len(data) <= LONGEST:
        return data
    first = data.find(b"\n") + 1
    head = data[: min(first or LONGEST // 4, LONGEST // 2)].decode("utf-8", "ignore")
    room = LONGEST - len(head.encode()) - len(_MARK)
    return (head + _MARK + data[len(data) - room :].decode("utf-8", "ignore")).encode()


def write_message(path: str, text: str, *, since: float | None = None) -> None:
    """Write a message, within a second or not at all; nothing is raised.

    Args:
        path: where; made if it is missing, but not its folder.
        text: what, of any length.
        since: seconds since the epoch; a message that was written later than this is another's, and stays.
    """
    if not path:
        return
    import threading  # noqa: PLC0415 - once, at the end

    writer = threading.Thread(target=_write, args=(path, shortened(text), since), daemon=True)
    try:
        writer.start()
    except RuntimeError:
        return  # no process is left for it, and the exit does not wait
    writer.join(_PATIENCE)


def _write(path: str, data: bytes, since: float | None) -> None:
    try:
        fd = os.open(path, _OPEN_FLAGS, 0o644)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return  # nobody reads it there
            if since is not None and found.st_size and found.st_mtime >= since - _TICK:
                return
            os.ftruncate(fd, 0)
            os.write(fd, data)
        finally:
            os.close(fd)
    except OSError:
        return  # whoever reads it finds nothing, and there is the log; the exit code is what counts
