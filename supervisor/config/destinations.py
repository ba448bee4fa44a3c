"""Kinds of where lines go: a word, a table that names a file, the journal or a syslog daemon, or a list of these."""

from __future__ import annotations

import posixpath

from supervisor.config.kinds import Choice, Count, Flag, Path, Text
from supervisor.config.problems import Place, show
from supervisor.config.shapes import ByType, Field, ListOf, Table
from supervisor.config.units import Duration, Size
from supervisor.core.spec import Destination, FileSink, JournaldSink, Output, SyslogSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PLACEHOLDER = "{service}"
"""In a path: the name of the service, or of its instance (``web#1``)."""

_FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron "
    "local0 local1 local2 local3 local4 local5 local6 local7"
).split()
"""By number, RFC 5424, section 6.2.1; in the words of rsyslog.conf(5)."""

_SYSLOG_PORT = 514


class FilePath(Path):
    """The path of a log file.

    Args:
        of_service: it may hold ``{service}``, and nothing else in braces.
    """

    def __init__(self, *, of_service: bool) -> None:
        super().__init__()
        self.of_service = of_service

    def parse(self, value: object, at: Place) -> str:
        """Read a path; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        path = super().parse(value, at)
        if str(value).endswith("/"):
            raise at.refuse(f"found {show(path)}, a folder; allowed: the path of a file")
        if path.startswith(("/dev/std", "/dev/fd/", "/dev/tty", "/proc/")):
            raise at.refuse(f'found {show(path)}, which is no file of its own; allowed: a file, or "log" or "inherit"')
        braces = path.replace(PLACEHOLDER, "") if self.of_service else path
        if "{" in braces or "}" in braces:
            allowed = f"{PLACEHOLDER} and nothing else in braces" if self.of_service else "a path without braces"
            raise at.refuse(f"found {show(path)}; allowed: {allowed}")
        return path


class SyslogAddress(Text):
    """Where a syslog daemon listens."""

    def __init__(self) -> None:
        allowed = 'an address such as "udp://127.0.0.1:514", "tcp://loghost:601" or "unix:/dev/log"'
        super().__init__(expanded=True, empty=False, allowed=allowed)

    def parse(self, value: object, at: Place) -> Any:
        """Read an address into transport, host or path, and port; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        text = super().parse(value, at)
        transport, _, rest = text.partition(":")
        if transport == "unix" and rest.removeprefix("//").startswith("/"):
            return transport, rest.removeprefix("//"), 0
        if transport in ("udp", "tcp") and rest.startswith("//"):
            host, port = _host_and_port(rest[2:].removesuffix("/"))
            if host and port:
                return transport, host, port
        raise at.wrong(text, self.allowed)


def _host_and_port(text: str) -> tuple[str, int]:
    """Both parts; an empty host or port 0 where they are none."""
    host, number = text, str(_SYSLOG_PORT)
    if ":" in text[text.rfind("]") + 1 :]:
        host, _, number = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return "", 0  # an IPv6 address without its brackets
    known = number.isdecimal() and len(number) <= 5 and int(number) < 65536
    return ("" if set(host) & set("/@?#[] ") else host), int(number) if known else 0


class _Unlimited:
    """A quantity, or the word ``none``; the kind is its own, and names both in its messages."""

    def __init__(self, kind: Size | Duration) -> None:
        self.kind = kind
        self.allowed = kind.allowed = f'"none", or {kind.allowed}'

    def parse(self, value: object, at: Place) -> object:
        """Read a quantity, None for no limit; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        return None if value == "none" else self.kind.parse(value, at)

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"anyOf": [{"const": "none"}, self.kind.schema()]}


class _JournalSocket:
    """``true``, or the path of a socket."""

    allowed = "true, or the path of the journal's socket"
    _path = Path()

    def parse(self, value: object, at: Place) -> str:
        """Read which socket; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if value is True:
            return JournaldSink().path
        if isinstance(value, str):
            return self._path.parse(value, at)
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"anyOf": [{"const": True}, self._path.schema()]}


def _syslog(address: tuple[str, str, int], **options: Any) -> SyslogSink:
    return SyslogSink(*address, **options)


def _file_table(*, of_service: bool) -> Table[FileSink]:
    fields = (
        Field(
            "file",
            FilePath(of_service=of_service),
            "The path of the file; its folder has to be there. Variables are put in.",
            required=True,
            attribute="path",
        ),
        Field("max-size", _Unlimited(Size((1, "1B"), (2**40, "1024GiB"))), "The size at which it is rotated.", "50MB"),
        Field("max-age", _Unlimited(Duration(zero=False)), "The age at which the next line has it rotated.", "none"),
        Field("keep", Count(0, 1000), "How many rotated files are kept.", 5),
        Field("compress", Flag(), "Whether rotated files are compressed, with gzip.", default=False),
    )
    form = Field(
        "format",
        Choice({"text": False, "json": True}),
        "The lines as they were written, or one record a line, as in the log.",
        "text",
        attribute="json",
    )
    return Table((*fields, form) if of_service else fields, FileSink)


_JOURNALD = Table(
    (
        Field(
            "journald",
            _JournalSocket(),
            "The journal of systemd: true, or the path of its socket.",
            required=True,
            attribute="path",
        ),
    ),
    JournaldSink,
)

_SYSLOG = Table(
    (
        Field(
            "syslog",
            SyslogAddress(),
            "Where a syslog daemon listens. Variables are put in.",
            required=True,
            attribute="address",
        ),
        Field(
            "facility",
            Choice({name: number for number, name in enumerate(_FACILITIES)}),
            "The part of the system that messages come from.",
            "daemon",
        ),
        Field(
            "format",
            Choice({"rfc5424": False, "rfc3164": True}),
            "RFC 5424, or the older format that most daemons expect of their local socket.",
            "rfc5424",
            attribute="legacy",
        ),
    ),
    _syslog,
)


class Sink:
    """A table that says by its first key what it is: a file, the journal, or a syslog daemon.

    Args:
        of_service: it gets the lines of one service, and not the daemon's records.
    """

    allowed = "a table with one of the keys file, journald and syslog"

    def __init__(self, *, of_service: bool) -> None:
        self.tables: dict[str, Table[Any]] = {
            "file": _file_table(of_service=of_service),
            "journald": _JOURNALD,
            "syslog": _SYSLOG,
        }

    def parse(self, value: object, at: Place) -> Destination:
        """Read a table; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if not isinstance(value, dict):
            raise at.wrong(value, self.allowed)
        named = [key for key in self.tables if key in value]
        if len(named) != 1:
            found = "all of " + ", ".join(named) if named else f"none, but {', '.join(value) or 'nothing'}"
            raise at.refuse(f"found {found}; allowed: {self.allowed}")
        destination: Destination = self.tables[named[0]].parse(value, at)
        return destination

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"anyOf": [table.schema() for table in self.tables.values()]}


class _Several(ListOf[object]):
    """A list in which nothing stands twice."""

    def parse(self, value: object, at: Place) -> tuple[Any, ...]:
        """Read a list; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        items = super().parse(value, at)
        for index, item in enumerate(items):
            if any(_place(item) == _place(earlier) for earlier in items[:index]):
                raise at.item(index).refuse("stands in the list already; every place gets each line once")
        return items


def _place(item: object) -> object:
    return item.path if isinstance(item, FileSink) else item


class ServiceOutput:
    """Where a stream of a service goes: a word, a table, or a list of tables and ``log``."""

    _words = Choice.of(Output)
    _sink = Sink(of_service=True)
    allowed = f"{_words.allowed}, {_sink.allowed}, or a list of these"
    _item = ByType(
        {str: Choice({"log": Output.LOG}, allowed='"log", for others stand alone, or a table'), dict: _sink},
        '"log", or a table',
    )
    _list = _Several(_item, 'a list of "log" and tables', empty=False)

    def parse(self, value: object, at: Place) -> Output | tuple[Output | Destination, ...]:
        """Read one place or several; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if isinstance(value, dict):
            return (self._sink.parse(value, at),)
        if isinstance(value, list):
            return self._list.parse(value, at)
        if isinstance(value, str):
            word: Any = self._words.parse(value, at)
            return word  # type: ignore[no-any-return]  # one of Output
        raise at.wrong(value, self.allowed)

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"anyOf": [self._words.schema(), self._sink.schema(), self._list.schema()]}


_STANDARD = ("stdout", "stderr")


class LogOutput:
    """Where the daemon's records go: a word or a path, which is the result; or a table, or a list of all these.

    The result of a table or a list is a pair: the word, empty for none, and the rest.
    """

    _path = Path(words=_STANDARD)
    _sink = Sink(of_service=False)
    allowed = f"{_path.allowed}, {_sink.allowed}, or a list of these"
    _list = _Several(ByType({str: _path, dict: _sink}, "stdout, stderr, a path, or a table"), allowed, empty=False)

    def parse(self, value: object, at: Place) -> str | tuple[str, tuple[Destination, ...]]:
        """Read one place or several; see :meth:`~supervisor.config.kinds.Kind.parse`."""
        if isinstance(value, str):
            return self._path.parse(value, at)
        if isinstance(value, dict):
            return "", (self._sink.parse(value, at),)
        if not isinstance(value, list):
            raise at.wrong(value, self.allowed)
        items = self._list.parse(value, at)
        words = [item for item in items if item in _STANDARD]
        if len(words) > 1:
            raise at.refuse("both stdout and stderr; allowed: one of them, and any number of others")
        files = (FileSink(item, max_size=None) if isinstance(item, str) else item for item in items)
        return "".join(words), tuple(item for item in files if not _is_standard(item))

    def schema(self) -> dict[str, object]:
        """See :meth:`~supervisor.config.kinds.Kind.schema`."""
        return {"anyOf": [self._path.schema(), self._sink.schema(), self._list.schema()]}


def _is_standard(item: Destination) -> bool:
    return isinstance(item, FileSink) and item.path in _STANDARD


def check_replicas(values: Mapping[str, Any], at: Place) -> None:
    """Instances of one service would mix their lines in a file that is not named after them."""
    if values.get("replicas") is None:
        return
    for stream in ("stdout", "stderr"):
        for sink in sinks_of(values.get(stream)):
            if isinstance(sink, FileSink) and PLACEHOLDER not in sink.path:
                at.inside(stream).refuse(
                    f"all instances would write to {show(sink.path)}; allowed: a path with {PLACEHOLDER}, "
                    "which stands for the name of the instance"
                )


def sinks_of(output: object) -> tuple[Output | Destination, ...]:
    """The places of a stream, as a list."""
    return output if isinstance(output, tuple) else ()


class SharedFiles:
    """Files that several streams go to: their settings have to agree, for one file is rotated in one way.

    The log's own files are nobody else's: its records would stand between lines, and their numbers twice.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[FileSink, str]] = {}
        self._log: dict[str, str] = {}

    def note(self, file: Mapping[str, Any], path: str, at: Place) -> None:
        """Note what does not agree with an earlier one.

        Args:
            file: the sections of one file.
            path: of that file.
            at: its place.
        """
        for name in _files_of_log(file.get("log", {}).get("to")):
            here = f"log.to in {path}"
            if name in self._first:
                self._refuse_log(name, at.inside("log").inside("to"), self._first[name][1])
            self._log[name] = here
        for service, values in file.get("services", {}).items():
            for stream in ("stdout", "stderr"):
                place = at.inside("services").inside(service).inside(stream)
                for sink in sinks_of(values.get(stream)):
                    if isinstance(sink, FileSink):
                        self._compare(service, sink, f"services.{service}.{stream} in {path}", place)

    def _compare(self, service: str, sink: FileSink, here: str, at: Place) -> None:
        name = posixpath.normpath(sink.path.replace(PLACEHOLDER, service))
        if name in self._log:
            self._refuse_log(name, at, self._log[name])
        first, where = self._first.setdefault(name, (sink, here))
        if _settings(first) != _settings(sink):
            at.refuse(
                f"{show(name)} is written with other settings by {where}; allowed: the same settings, or two files"
            )

    @staticmethod
    def _refuse_log(name: str, at: Place, where: str) -> None:
        at.refuse(f'{show(name)} is written by {where} as well; allowed: another file, or "log" for lines to the log')


def _files_of_log(to: object) -> list[str]:
    """The paths of the log's files; ``to`` is what :class:`LogOutput` has made of it."""
    word, places = to if isinstance(to, tuple) else (to, ())
    paths = [sink.path for sink in places if isinstance(sink, FileSink)]
    if isinstance(word, str) and word not in ("", *_STANDARD):
        paths.append(word)
    return [posixpath.normpath(path) for path in paths if not path.startswith("/dev/")]


def _settings(sink: FileSink) -> tuple[object, ...]:
    return sink.max_size, sink.max_age, sink.keep, sink.compress, sink.json
