"""Watching the configuration: a reload when its files are other ones than before.

Folders are watched, not files: editors rename a new file over the old one, and Kubernetes swaps a symbolic link in a
folder. Every folder on the way to a file is, through all links; where one is missing, the nearest above it that is
there, so that it is seen to come back. An event only says that it is time to look; what decides is whether the files
are the same, so other files in these folders may change as they like.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable, Iterator

_QUIET = 0.2
"""Seconds without an event until we look: who writes several files is done by then."""

_PATIENCE = 2.0
"""Seconds until we look where it never gets quiet."""

_MOST_LINKS = 40
"""Symbolic links on the way to one file; path_resolution(7)."""

# CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF, MOVE_SELF, and folders only; inotify(7)
_MASK = 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x0100_0000


class ConfigWatch:
    """Orders a reload when the configuration changed. Nothing wakes the daemon up in between.

    Args:
        loop: where we wait.
        paths: the absolute paths, of files or folders, that make up the configuration now.
        reload: called when they changed.
        warn: told what can't be watched, and why.
        known: the :func:`identities` of what is in force, where it was read earlier; None for what is there now.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        paths: Callable[[], tuple[str, ...]],
        reload: Callable[[], None],
        warn: Callable[[str], None],
        known: list[object] | None = None,
    ) -> None:
        self._loop = loop
        self._paths = paths
        self._reload = reload
        self._warn = warn
        self._fd = -1
        self._timer: TimerHandle | None = None
        self._latest = 0.0
        self._known = self._watch()
        if known is not None and known != self._known:
            loop.call_soon(reload)

    def close(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _watch(self) -> list[object]:
        """Watch what is there now, and say what it is; in this order, so that no change is lost in between."""
        from supervisor.runtime.libc import inotify, inotify_add_watch  # noqa: PLC0415 - ctypes, off the start path

        self.close()
        files = [file for path in self._paths() for file in _files(path)]
        try:
            self._fd = inotify()
        except OSError as error:
            self._warn(f"the configuration can't be watched: {error.strerror}; it is read again when that is ordered")
            return identities(self._paths())
        for folder in dict.fromkeys(folder for file in files for folder in folders(file)):
            try:
                inotify_add_watch(self._fd, folder, _MASK)
            except OSError as error:
                self._warn(f"{folder} can't be watched: {error.strerror}; changes in it count from the next reload on")
        self._loop.add_reader(self._fd, self._readable)
        return identities(self._paths())

    def _readable(self) -> None:
        try:
            os.read(self._fd, 65536)  # what exactly happened is nothing to us
        except BlockingIOError:
            return
        now = self._loop.time()
        if self._timer is None:
            self._latest = now + _PATIENCE
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + _QUIET, self._latest), self._look)

    def _look(self) -> None:
        self._timer = None
        before, self._known = self._known, self._watch()
        if self._known != before:
            self._reload()


def identities(paths: tuple[str, ...]) -> list[object]:
    """What differs when one of the files that these paths stand for was changed or replaced, comes or goes."""
    return [_identity(file) for path in paths for file in _files(path)]


def folders(path: str) -> Iterator[str]:
    """The folders in which a change can make another file of this absolute path, or none."""
    left = [part for part in reversed(path.split("/")) if part]
    folder, links = "/", 0
    while left:
        part = left.pop()
        whole = os.path.normpath(os.path.join(folder, part))
        try:
            target = os.readlink(whole)
        except FileNotFoundError:
            break
        except OSError:  # no link, or nothing that we may look at
            folder = whole if left else folder
            continue
        links += 1
        if links > _MOST_LINKS:
            break
        yield folder
        folder = "/" if target.startswith("/") else folder
        left += [step for step in reversed(target.split("/")) if step]
    yield folder


def _files(path: str) -> list[str]:
    """A file, or the files of a folder, after a path in it that stands for the folder."""
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return [path]
    files = [name for name in names if name.endswith(".toml") and not name.startswith(".")]
    return [os.path.join(path, name) for name in (".", *files)]


def _identity(file: str) -> tuple[object, ...]:
    """What differs when a file was changed or replaced."""
    try:
        status = os.stat(file)
    except OSError as error:
        return file, error.errno
    if file.endswith("/."):
        return (file,)  # of a folder only its files count
    return file, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
