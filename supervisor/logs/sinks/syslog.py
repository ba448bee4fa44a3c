"""A syslog daemon: RFC 5424 messages in datagrams (RFC 5426, unix(7)) or counted on a stream (RFC 6587, 3.4.1).

A line is the message as it was, and who wrote it stands in the header and in the structured data. What is more than a
line, which is every event and every line that was JSON, is one object of JSON. ``sequenceId`` counts what was sent to
this daemon: a gap is a loss, which UDP does not tell.
"""

import errno
import os
import socket
import time
from collections.abc import Mapping

from supervisor.core.spec import SyslogSink
from supervisor.logs.encode import encode
from supervisor.logs.lines import boundary
from supervisor.logs.sinks.severity import severity
from supervisor.logs.sinks.sockets import SocketTarget, is_numeric, resolve
from supervisor.logs.sinks.workers import Workers
from supervisor.logs.targets import Tell

_SD_ID = "pausevisor@32473"
"""Who is not in IANA's list has a private enterprise number; 32473 is the one that RFC 5612 keeps for all."""

_LINE = frozenset({"timestamp", "level", "event", "seq", "service", "pid", "stream", "message", "id", "part", "parts"})
_PARAMETERS = ("event", "service", "pid", "stream", "id", "part", "parts")
_LAST_SEQUENCE = 2**31 - 1
_LEAST = 480
"""Bytes that every receiver takes; RFC 5426, section 3.2."""

_LONGEST_DATAGRAM = 65507
"""Bytes of the longest message by UDP over IPv4."""


class SyslogTarget(SocketTarget):
    """One syslog daemon."""

    def __init__(self, spec: SyslogSink, tell: Tell, workers: Workers) -> None:
        super().__init__(f"syslog:{address_of(spec)}", tell)
        self._spec = spec
        self._workers = workers
        self._hostname = socket.gethostname()
        self._sequence = 0

    def _encode(self, record: Mapping[str, object]) -> bytes:
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        if self._spec.legacy:
            message = legacy_message(record, self._spec.facility)
        else:
            message = syslog_message(record, self._spec.facility, self._hostname, self._sequence)
        return b"%d %b" % (len(message), message) if self._spec.transport == "tcp" else message

    # -- connecting ----------------------------------------------------------------------------------------------

    def _find(self) -> None:
        spec = self._spec
        if spec.transport == "unix":
            self._found([(socket.AF_UNIX, socket.SOCK_DGRAM, spec.host)])
            return
        kind = socket.SOCK_DGRAM if spec.transport == "udp" else socket.SOCK_STREAM
        if is_numeric(spec.host):
            try:
                self._found(resolve(spec.host, spec.port, kind))
            except OSError as error:
                self._found(error)
        else:
            self._workers.submit(lambda: resolve(spec.host, spec.port, kind), self._found)

    def _wait_for_address(self, timeout: float) -> None:
        self._workers.next_result(timeout)

    # -- what is too long ----------------------------------------------------------------------------------------

    def _send_too_long(self, connection: socket.socket, message: bytes) -> None:
        """Send as much of it as the kernel takes, with its real length as the parameter ``cut``."""
        limit = min(len(message) - 1, _LONGEST_DATAGRAM)
        while True:
            try:
                connection.send(shortened(message, limit))
            except OSError as error:
                if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS) or limit <= _LEAST:
                    raise
                limit //= 2
            else:
                return


def address_of(spec: SyslogSink) -> str:
    """The address as the configuration writes it."""
    if spec.transport == "unix":
        return f"unix:{spec.host}"
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return f"{spec.transport}://{host}:{spec.port}"


def syslog_message(record: Mapping[str, object], facility: int, hostname: str, sequence: int) -> bytes:
    """A record in the format of RFC 5424, section 6."""
    header = " ".join(
        (
            f"<{facility * 8 + severity(record)}>1",
            str(record.get("timestamp") or "-"),
            _word(hostname, 255),
            _word(record.get("service", "pausevisor"), 48),
            _word(record.get("pid", os.getpid()), 128),
            _word(record.get("stream") or record.get("event"), 32),
        )
    )
    pairs = "".join([f' {name}="{_escape(str(record[name]))}"' for name in _PARAMETERS if name in record])
    head = f'{header} [meta sequenceId="{sequence}"][{_SD_ID}{pairs}] '
    return head.encode("ascii", "replace") + _text(record)


def legacy_message(record: Mapping[str, object], facility: int) -> bytes:
    """A record in the form that syslog(3) writes to ``/dev/log``: RFC 3164 without the name of the host."""
    clock = time.strftime("%e %H:%M:%S", now := time.localtime())
    tag = f"{_word(record.get('service', 'pausevisor'), 48)}[{record.get('pid', os.getpid())}]"
    head = f"<{facility * 8 + severity(record)}>{_MONTHS[now.tm_mon - 1]} {clock} {tag}: "
    return head.encode("ascii", "replace") + _text(record)


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def shortened(message: bytes, limit: int) -> bytes:
    """The message cut to ``limit`` bytes, not within a character; what it says of itself includes its real length."""
    mark = f'[{_SD_ID} cut="{len(message)}"'.encode()
    marked = message.replace(f"[{_SD_ID}".encode(), mark, 1)
    return marked[: boundary(marked, limit)] if len(marked) > limit else marked


def _text(record: Mapping[str, object]) -> bytes:
    """What is said: the line itself, or all fields as JSON where there is more than a line."""
    if "message" in record and _LINE.issuperset(record):
        return str(record["message"]).encode("utf-8", "replace")
    return encode(record)


def _word(value: object, longest: int) -> str:
    """A field of the header: printable ASCII without blanks, or ``-`` for none."""
    text = "" if value is None else str(value)
    return "".join([char if "!" <= char <= "~" else "?" for char in text])[:longest] or "-"


def _escape(text: str) -> str:
    """The value of a parameter; RFC 5424, section 6.3.3."""
    return "".join([f"\\{char}" if char in _SPECIAL else char for char in text])


_SPECIAL = frozenset('"\\]')
