"""Levels as syslog(3) counts them."""

from collections.abc import Mapping

_SEVERITIES = {"debug": 7, "info": 6, "notice": 5, "warning": 4, "error": 3, "critical": 2, "alert": 1, "emergency": 0}
_INFO = 6


def severity(record: Mapping[str, object]) -> int:
    """Severity of a record, from 0 (the system is unusable) to 7 (debugging); RFC 5424, section 6.2.1."""
    return _SEVERITIES.get(str(record.get("level")), _INFO)
