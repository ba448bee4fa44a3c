"""When a file was made: statx(2), which Python does not have; ctypes, so only files with a ``max-age`` pay for it."""

import os
import sys

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_SIZE = 256
_MASK_AT, _BTIME_AT = 0, 80
"""Offsets in ``struct statx``, the same on every architecture."""


def birth_time(fd: int, found: os.stat_result, now: float) -> float:
    """Seconds since the epoch at which the file was made.

    Where neither the kernel nor the file system knows (before Linux 4.11; NFS), that of the last write stands in for
    it: such a file is rotated late, by the time it was old when the daemon opened it.

    Args:
        fd: the file.
        found: what fstat(2) says of it.
        now: no file is younger than this; a clock may have been set back.
    """
    return min(_statx_btime(fd) or found.st_mtime, now)


def _statx_btime(fd: int) -> float:
    import ctypes  # noqa: PLC0415 - see above

    libc = ctypes.CDLL(None, use_errno=True)
    statx = getattr(libc, "statx", None)
    buffer = ctypes.create_string_buffer(_SIZE)
    if statx is None or statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer) != 0:
        return 0.0
    if not int.from_bytes(buffer.raw[_MASK_AT : _MASK_AT + 4], sys.byteorder) & _STATX_BTIME:
        return 0.0
    return int.from_bytes(buffer.raw[_BTIME_AT : _BTIME_AT + 8], sys.byteorder, signed=True)
