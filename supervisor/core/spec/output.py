"""Where a service's lines go and what becomes of them on the way; and the log itself."""

from supervisor.core.light import Enum
from supervisor.core.record import Record


class Output(Enum):
    """Where a stream of a child goes."""

    LOG = "log"
    INHERIT = "inherit"
    NULL = "null"


class JsonLines(Enum):
    """What becomes of a line that is a JSON object."""

    TEXT = "text"
    """It is a message like any other."""
    MERGE = "merge"
    """Its members become fields of the record."""
    EMBED = "embed"
    """It becomes one field of the record, ``json``."""


class Ansi(Enum):
    """What becomes of escape sequences, such as colours, in a line."""

    KEEP = "keep"
    STRIP = "strip"


class Overflow(Enum):
    """What happens to the lines of a service for which the log has no room."""

    BLOCK = "block"
    """Nothing is read until there is room: the service waits, and nothing is lost."""
    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"


class LineLevels(Record):
    """Which level the lines of a service have.

    Attributes:
        stdout: of what it writes there.
        stderr: of what it writes there.
        guess: look for the level in the line itself, and take these where there is none.
    """

    stdout: str = "info"
    stderr: str = "info"
    guess: bool = False


class ServiceLog(Record):
    """What becomes of the lines that a service writes.

    Attributes:
        multiline: a regular expression for the first line of a record, or the name of a set of rules; None for a record
            a line.
        multiline_timeout: seconds without another line after which a record is complete.
        tail: how many lines of each stream are kept in memory.
    """

    json: JsonLines = JsonLines.TEXT
    level: LineLevels = LineLevels()
    ansi: Ansi = Ansi.KEEP
    multiline: str | None = None
    multiline_timeout: float = 0.2
    overflow: Overflow = Overflow.BLOCK
    tail: int = 20


class FileSink(Record):
    """A file that lines are appended to, and that is rotated: ``web.log`` becomes ``web.log.1``.

    Attributes:
        path: absolute; ``{service}`` stands for the name of the service, or of its instance.
        max_size: bytes to which it grows before it is rotated; None for no limit.
        max_age: seconds from its creation after which it is rotated; None for no limit.
        keep: how many rotated files are kept.
        compress: rotated files are gzipped.
        json: one record a line, as in the log; otherwise the lines as they were written.
    """

    path: str
    max_size: int | None = 50_000_000
    max_age: float | None = None
    keep: int = 5
    compress: bool = False
    json: bool = False


class JournaldSink(Record):
    """The journal of systemd, by its native protocol; ``path`` is its socket."""

    path: str = "/run/systemd/journal/socket"


class SyslogSink(Record):
    """A syslog daemon.

    Attributes:
        transport: ``udp``, ``tcp`` or ``unix``.
        host: name or address; for ``unix`` the path of the socket.
        facility: number, from 0 to 23; RFC 5424, section 6.2.1.
        legacy: the older format that daemons expect on ``/dev/log``, RFC 3164 without the host's name.
    """

    transport: str
    host: str
    port: int = 514
    facility: int = 3
    legacy: bool = False


Destination = FileSink | JournaldSink | SyslogSink
"""Where lines may go beside the log, or instead of it."""


class LogSpec(Record):
    """Where records go and how they look.

    Attributes:
        format: ``json``, ``logfmt`` or ``console``; None for console on a terminal and json elsewhere.
        level: least level written: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        to: ``stdout``, ``stderr`` or an absolute path; empty for nowhere but ``targets``.
        targets: where records go as well; a file is given them in the log's format.
        max_record: longest record in bytes; a longer message is split into several.
        schema: the names of fields in json: ``native``, ``ecs``, ``otel`` or ``gcp``.
        redact: regular expressions; what they match is written nowhere.
    """

    format: str | None = None
    level: str = "info"
    to: str = "stdout"
    targets: tuple[Destination, ...] = ()
    max_record: int = 16384
    schema: str = "native"
    redact: tuple[str, ...] = ()
