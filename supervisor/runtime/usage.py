"""What a process has used: of a dead one as the fields of an event, of a living one when somebody asks."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage


_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def usage_fields(usage: struct_rusage) -> dict[str, object]:
    """CPU time and peak memory; getrusage(2) counts ``ru_maxrss`` in KiB."""
    return {
        "user_cpu_s": round(usage.ru_utime, 6),
        "system_cpu_s": round(usage.ru_stime, 6),
        "max_rss_bytes": usage.ru_maxrss * 1024,
    }


def live_usage(pid: int) -> tuple[float, int, bool] | None:
    """CPU seconds and resident bytes of a process, and whether a signal has stopped it.

    None when it is gone or /proc can't be read.

    The CPU time is its own and that of the children it has waited for; the memory its own alone. See proc_pid_stat(5).
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        line = os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)
    # the name may hold anything: it ends at the last parenthesis, and state, the third field, is the first here
    fields = line.rpartition(b")")[2].split()
    if len(fields) < 22:
        return None
    return sum(map(int, fields[11:15])) / _TICKS, int(fields[21]) * _PAGE, fields[0] == b"T"
