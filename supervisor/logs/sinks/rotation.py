"""A file that lines are appended to, and that is rotated: ``web.log`` becomes ``web.log.1``, that one ``web.log.2``.

Everything here blocks, and runs in a thread (:mod:`supervisor.logs.sinks.workers`); one object is in the hands of one
thread at a time, but for :meth:`RotatingFile.compress`, which may run beside the others.

What holds, whatever happens in between:

* a line is in one file, whole; a file grows above ``max_size`` only by a line that is longer than that;
* the files, from the oldest to the newest, hold what was written, in order, nothing lost and nothing doubled, but for
  what ``keep`` removed;
* a file that is there is continued: its size and its age count. A last line that an earlier daemon left unfinished is
  ended first;
* somebody else may rename the file (logrotate's ``create``), truncate it (``copytruncate``) or remove it at any time.
"""

from __future__ import annotations

import _thread
import os
import stat
import time

from supervisor.logs.sinks.birth import birth_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.spec import FileSink

_OPEN_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MODE = 0o640
_NEWLINE = 10
_CHUNK = 1 << 18
_GZIP = 31
"""Bits of the window, and 16 for the format of gzip; zlib's ``deflateInit2``."""

_HOLD_OFF = 60.0
"""Seconds until a rotation that failed is tried again; the file grows meanwhile."""


class NotAFileError(OSError):
    """The path is a FIFO, a socket, a terminal or a block device."""


class Outcome:
    """What became of a write.

    Attributes:
        written: bytes that are in the file; the rest is to be given again.
        error: why not all are.
        warnings: what else did not work, in words.
        rotated: a file was rotated, so there may be something to compress.
    """

    __slots__ = ("error", "rotated", "warnings", "written")

    def __init__(self) -> None:
        self.written = 0
        self.error: OSError | None = None
        self.warnings: list[str] = []
        self.rotated = False


class RotatingFile:
    """One file by its path, opened with the first write.

    Args:
        spec: its path, without placeholder, and its limits.
        wall: seconds since the epoch.
    """

    def __init__(self, spec: FileSink, *, wall: Callable[[], float] = time.time) -> None:
        self.spec = spec
        self._wall = wall
        self._fd = -1
        self._path = spec.path  # where symbolic links lead
        self._identity = (0, 0)
        self._regular = True
        self._size = 0
        self._born = 0.0
        self._whole = True  # what is in the file ends with a newline
        self._hold_off = 0.0
        self._names = _thread.allocate_lock()  # held while files are renamed: compress() looks for its file by number

    def write(self, data: bytes) -> Outcome:
        """Append whole lines, or a piece of a line whose rest will follow.

        A line that the disk has room for the half of only is taken back: the file can then be renamed, and the line
        goes whole into the next one.
        """
        outcome = Outcome()
        began_whole = self._whole
        try:
            self._look()
            while outcome.written < len(data):
                self._step(data, outcome)
        except OSError as error:
            outcome.error = error
            self._take_back(data, outcome, began_whole=began_whole)
        return outcome

    def open(self) -> Outcome:
        """Open it now, so that what is wrong with it is known."""
        return self.write(b"")

    def reopen(self) -> Outcome:
        """Open what the path names now; a line that is half written is finished there first, by the next write."""
        self.close()
        return self.open()

    def close(self) -> None:
        """Close it; the next write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def whole(self) -> bool:
        """Whether the last line written is finished."""
        return self._whole

    # -- writing -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Open the file where it is not; see what others have done to it."""
        if self._fd >= 0:
            found = os.fstat(self._fd)
            if found.st_nlink:
                if self._regular and found.st_size < self._size:
                    self._born, self._whole = self._wall(), True  # truncated
                self._size = found.st_size if self._regular else 0
                return
            self.close()  # removed: what we write would be nobody's
        self._open()

    def _open(self) -> None:
        self._path = os.path.realpath(self.spec.path)
        fd = os.open(self.spec.path, _OPEN_FLAGS, _MODE)
        try:
            found = os.fstat(fd)
            self._regular = stat.S_ISREG(found.st_mode)
            if not self._regular:
                self._refuse_unless_device(fd, found)
            self._identity = (found.st_dev, found.st_ino)
            self._size = found.st_size if self._regular else 0
            self._born = birth_time(fd, found, self._wall()) if self._size and self.spec.max_age else self._wall()
            if self._size and not self._ends_whole():
                self._size += os.write(fd, b"\n")
            self._whole = True
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _refuse_unless_device(self, fd: int, found: os.stat_result) -> None:
        """A write to /dev/null or /dev/full returns at once; to a FIFO or a terminal it may never."""
        if not stat.S_ISCHR(found.st_mode) or os.isatty(fd):
            raise NotAFileError(0, "not a regular file", self.spec.path)

    def _ends_whole(self) -> bool:
        """Whether the file's last byte is a newline; where it can't be read nobody knows, and it passes for one."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            return os.pread(fd, 1, self._size - 1) in (b"\n", b"")
        finally:
            os.close(fd)

    def _step(self, data: bytes, outcome: Outcome) -> None:
        """Write as much as belongs into the file as it is, or rotate it."""
        start = outcome.written
        if self._size and self._whole and self._is_due(data, start):
            self._rotate(outcome)
            return
        end = self._end(data, start)
        count = os.write(self._fd, memoryview(data)[start:end])
        outcome.written += count
        self._size += count if self._regular else 0
        self._whole = data[start + count - 1] == _NEWLINE

    def _take_back(self, data: bytes, outcome: Outcome, *, began_whole: bool) -> None:
        """Remove from the file's end the piece of a line of which this write has put down the beginning."""
        kept = data.rfind(b"\n", 0, outcome.written) + 1
        if self._whole or not self._regular or self._fd < 0 or not (kept or began_whole):
            return
        size = self._size - (outcome.written - kept)
        try:
            if os.fstat(self._fd).st_size == self._size:  # nobody else has written behind it
                os.ftruncate(self._fd, size)
                outcome.written, self._size, self._whole = kept, size, True
        except OSError:
            return  # the rest follows where it was cut off

    def _may_rotate(self) -> bool:
        return self._regular and self._wall() >= self._hold_off

    def _is_due(self, data: bytes, start: int) -> bool:
        """Whether the line that begins at ``start`` belongs into a new file."""
        if not self._may_rotate():
            return False
        spec = self.spec
        if spec.max_age is not None and self._wall() - self._born >= spec.max_age:
            return True
        return spec.max_size is not None and self._size + _line_length(data, start) > spec.max_size

    def _end(self, data: bytes, start: int) -> int:
        """Where the part of the data ends that belongs into the file as it is; at least one line of it does."""
        limit = self.spec.max_size
        if limit is None or not self._may_rotate() or self._size + len(data) - start <= limit:
            return len(data)
        fits = data.rfind(b"\n", start, start + max(limit - self._size, 0)) + 1
        return fits or start + _line_length(data, start)

    # -- rotation ------------------------------------------------------------------------------------------------

    def _rotate(self, outcome: Outcome) -> None:
        """Rename the file and those before it, and open a new one."""
        mode = os.fstat(self._fd)
        try:
            with self._names:
                if self._is_ours():
                    self._shift()
                    outcome.rotated = True
        except OSError as error:
            self._hold_off = self._wall() + _HOLD_OFF
            outcome.warnings.append(f"{self._path} cannot be rotated and grows on: {error.strerror or error}")
            return
        self.close()
        self._open()
        if outcome.rotated:
            _make_alike(self._fd, mode)

    def _is_ours(self) -> bool:
        """Whether the path still names the file that we write to: somebody else may have rotated it."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _shift(self) -> None:
        """Count every number up by one; what goes past ``keep`` is removed, and what an earlier setting has left."""
        for number, name in sorted(self._rotated(), reverse=True):
            if number >= self.spec.keep:
                os.unlink(name)
            else:
                os.rename(name, self._numbered(number + 1, name))
        if self.spec.keep:
            os.rename(self._path, f"{self._path}.1")
        else:
            os.unlink(self._path)

    def _numbered(self, number: int, like: str) -> str:
        return f"{self._path}.{number}" + (".gz" if like.endswith(".gz") else "")

    def _rotated(self) -> list[tuple[int, str]]:
        """Number and path of every rotated file."""
        folder, base = os.path.split(self._path)
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(base + "."):
                    text = entry.name[len(base) + 1 :].removesuffix(".gz")
                    if text.isdecimal() and text.isascii() and len(text) <= 4 and text[0] != "0":
                        found.append((int(text), entry.path))
        return found

    # -- compression ---------------------------------------------------------------------------------------------

    def compress(self) -> list[str]:
        """Compress what is rotated and not compressed yet; what did not work, in words.

        Takes as long as it takes, beside writes and rotations. The compressed file takes the name of the other one
        when it is complete and on the disk; a daemon that is killed meanwhile leaves a ``.gz.partial``, which the
        next compression overwrites.
        """
        while (source := self._next_to_compress()) is not None:
            try:
                self._compress(source)
            except OSError as error:
                return [
                    f"{self._path}: a rotated file stays as it is, it cannot be compressed: {error.strerror or error}"
                ]
            finally:
                os.close(source)
        return []

    def _next_to_compress(self) -> int | None:
        """The oldest one, open; None when there is none, or it can't be opened."""
        with self._names:
            try:
                plain = [entry for entry in sorted(self._rotated(), reverse=True) if not entry[1].endswith(".gz")]
                return os.open(plain[0][1], os.O_RDONLY | os.O_CLOEXEC) if plain else None
            except OSError:
                return None

    def _compress(self, source: int) -> None:
        found = os.fstat(source)
        partial = f"{self._path}.gz.partial"
        target = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _gzip(source, target)
            _make_alike(target, found)
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
            os.fsync(target)
            self._put_in_place(partial, (found.st_dev, found.st_ino))
        except BaseException:
            _remove(partial)
            raise
        finally:
            os.close(target)

    def _put_in_place(self, partial: str, identity: tuple[int, int]) -> None:
        """Replace the file by its compressed form; it may have another number by now, or be gone."""
        with self._names:
            for _, name in self._rotated():
                found = os.stat(name)
                if (found.st_dev, found.st_ino) == identity:
                    os.rename(partial, name + ".gz")
                    os.unlink(name)
                    return
            os.unlink(partial)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return  # it has its name already


def _gzip(source: int, target: int) -> None:
    import zlib  # noqa: PLC0415 - who compresses pays for it

    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    while chunk := os.read(source, _CHUNK):
        _write_all(target, packer.compress(chunk))
    _write_all(target, packer.flush())


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _make_alike(fd: int, other: os.stat_result) -> None:
    """Give the file the mode and the owner of another one, as far as we may."""
    os.fchmod(fd, stat.S_IMODE(other.st_mode))
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) != (other.st_uid, other.st_gid):
        try:
            os.fchown(fd, other.st_uid, other.st_gid)
        except PermissionError:
            return  # not root: it stays ours


def _line_length(data: bytes, start: int) -> int:
    """Bytes of the line that begins, or goes on, at ``start``."""
    newline = data.find(b"\n", start)
    return (newline + 1 if newline >= 0 else len(data)) - start
