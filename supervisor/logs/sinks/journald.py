"""The journal of systemd, by its native protocol: each record an entry, with its fields.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL: a datagram of ``KEY=value`` lines; a value with a newline in it is written
as key, newline, length and bytes. An entry that is too large for a datagram is passed as a sealed memfd.
"""

import array
import fcntl
import os
import socket
from collections.abc import Mapping

from supervisor.core.spec import JournaldSink
from supervisor.logs.encode import to_json
from supervisor.logs.sinks.severity import severity
from supervisor.logs.sinks.sockets import SocketTarget
from supervisor.logs.targets import Tell

_FACILITY = 3  # daemon
_MOST_FIELDS = 1000
"""journald refuses entries of more than 1,024 fields, its own included."""

_LONGEST_KEY = 64
_COMMON = frozenset({"timestamp", "level", "event", "seq"})
_ORIGIN = frozenset({"service", "pid", "stream"})
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class JournaldTarget(SocketTarget):
    """The socket of systemd-journald(8)."""

    def __init__(self, spec: JournaldSink, tell: Tell) -> None:
        standard = spec.path == JournaldSink().path
        super().__init__("journald" if standard else f"journald:{spec.path}", tell)
        self._path = spec.path

    def _encode(self, record: Mapping[str, object]) -> bytes:
        return encode_entry(record)

    def _find(self) -> None:
        self._found([(socket.AF_UNIX, socket.SOCK_DGRAM, self._path)])

    def _send_too_long(self, connection: socket.socket, message: bytes) -> None:
        fd = os.memfd_create("pausevisor-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            rest = memoryview(message)
            while rest:
                rest = rest[os.write(fd, rest) :]
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            connection.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        finally:
            os.close(fd)


def encode_entry(record: Mapping[str, object]) -> bytes:
    """A record as an entry: ``MESSAGE``, what syslog(3) has, and every field as ``PAUSEVISOR_...``."""
    service = record.get("service")
    fields = [
        ("MESSAGE", _message(record)),
        ("PRIORITY", str(severity(record))),
        ("SYSLOG_FACILITY", str(_FACILITY)),
        ("SYSLOG_IDENTIFIER", str(service) if service is not None else "pausevisor"),
    ]
    if "pid" in record:
        fields.append(("SYSLOG_PID", str(record["pid"])))
    fields += [(_key(name), _text(value)) for name, value in record.items() if name != "message"]
    return b"".join([_field(key, value) for key, value in fields[:_MOST_FIELDS]])


def _field(key: str, text: str) -> bytes:
    value = text.encode("utf-8", "replace")
    if b"\n" not in value:
        return b"%b=%b\n" % (key.encode(), value)
    return b"%b\n%b%b\n" % (key.encode(), len(value).to_bytes(8, "little"), value)


def _key(name: str) -> str:
    """What journald takes for the name of a field: capitals, digits and underscores."""
    upper = name.upper()
    word = "".join([char if char.isascii() and char.isalnum() else "_" for char in upper])
    return f"PAUSEVISOR_{word}"[:_LONGEST_KEY]


def _text(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)


def _message(record: Mapping[str, object]) -> str:
    """For people: what a line or its object says, or all that it holds; an event in one line."""
    is_line = record.get("event") == "output"
    said = record.get("message", record.get("msg") if is_line else None)
    if said is not None:
        return _text(said)
    left_out = _COMMON | _ORIGIN if is_line else _COMMON
    pairs = [f"{name}={_text(value)}" for name, value in record.items() if name not in left_out]
    return " ".join(pairs if is_line else [str(record.get("event", "record")), *pairs])
