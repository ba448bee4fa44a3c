"""What a dead process has used, as the fields of an event."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage


def usage_fields(usage: struct_rusage) -> dict[str, object]:
    """CPU time and peak memory; getrusage(2) counts ``ru_maxrss`` in KiB."""
    return {
        "user_cpu_s": round(usage.ru_utime, 6),
        "system_cpu_s": round(usage.ru_stime, 6),
        "max_rss_bytes": usage.ru_maxrss * 1024,
    }
