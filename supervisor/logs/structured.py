"""The set-up of structlog: how a record becomes a line of json, logfmt or console text.

Every event of the daemon is rendered by structlog, and the journal hands the line to its sink: structlog never writes.
For ``logfmt`` and ``console`` it is a logger with a chain of processors, 50 microseconds an event; for ``json`` its
renderer alone, on records that are complete and in order already, 2 microseconds. Imported once the first programs
run, because it takes 25 ms of processor time; beside an event loop, which brings most of what structlog imports, it
costs 1.5 MB.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from supervisor.logs.encode import encode, encode_line, to_json

Record = dict[str, object]
Render = Callable[[Record], bytes]
_Processor = Callable[[Any, str, Any], Any]

FORMATS = ("json", "logfmt", "console")
"""Names of the formats."""

_COMMON = ("timestamp", "level", "event", "seq")

_UNWANTED = ("rich", "better_exceptions", "twisted")
"""What structlog imports for itself where it is installed: rich alone costs 8 MB, for tracebacks that no event has."""

_CONTROL = re.compile("\x1b\\[[0-9;:]*m|[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What would do something to a terminal or end a line; the first alternative only sets colours."""

_NOT_A_KEY = re.compile(r"[^\w.@/#-]|^$")
"""What a name may not hold in logfmt; a child's own may hold anything."""

_SHOWN = frozenset({*_COMMON, "service", "pid", "stream", "id", "part", "parts"})
"""Fields of a line that the console has a place for, or leaves out."""

_SHORT = {"\t": "\\t", "\r": "\\r", "\n": "\\n"}


def make_renderer(form: str, *, terminal: bool, schema: str = "native") -> Render:
    """Make the function that renders records, for :meth:`supervisor.logs.journal.Journal.use`.

    A record that structlog can't render comes out as JSON: it is not lost, and nobody dies of it.

    Args:
        form: one of :data:`FORMATS`.
        terminal: a terminal will show it. Then console text is in colour, unless the environment sets ``NO_COLOR``;
            ``FORCE_COLOR`` asks for colour elsewhere.
        schema: names of fields in ``json``: ``native``, or one of :data:`supervisor.logs.dialects.DIALECTS`.

    Raises:
        ValueError: no such format.
    """
    structlog = _import_structlog()
    if form == "json":
        return _json_renderer(structlog, schema)
    if form == "logfmt":
        renderer: _Processor = _Logfmt(structlog)
    elif form == "console":
        renderer = _Console(structlog, colors=_wants_colors(terminal=terminal))
    else:
        raise ValueError(f"no such format: {form!r}; there are {', '.join(FORMATS)}")
    logger = structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[_common_first, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(0),  # levels are the journal's
        context_class=dict,
    ).bind()

    def render(record: Record) -> bytes:
        fields = record.copy()
        try:
            if record["event"] == "output":  # its fields may have any names, which no logger's method could be given
                line: str = renderer(None, "", fields)
            else:
                line = getattr(logger, str(record["level"]))(fields.pop("event"), **fields)
            return line.encode("utf-8", "replace") + b"\n"
        except Exception:  # noqa: BLE001 (of a value that some version of structlog can't render, PID 1 doesn't die)
            return encode_line(record)

    return render


def _json_renderer(structlog: Any, schema: str) -> Render:
    serialize = _encode
    if schema != "native":
        from supervisor.logs.dialects import translate  # noqa: PLC0415 (only where asked for)

        def serialize(record: Record, **_: object) -> bytes:
            return _encode(translate(record, schema))

    renderer = structlog.processors.JSONRenderer(serializer=serialize)

    def render(record: Record) -> bytes:
        line: bytes = renderer(None, "", record)
        return line + b"\n"

    return render


def _import_structlog() -> ModuleType:
    with _not_installed(*_UNWANTED):
        import structlog  # noqa: PLC0415 (when the first programs run, and under the conditions set up here)
    return structlog


@contextmanager
def _not_installed(*names: str) -> Iterator[None]:
    """While something is imported, these can't be; what was imported before stays."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: "not installed", as importlib defines
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _not_installed("typing_extensions"):  # half a megabyte, for what the interpreter has as well
    import msgspec


def _wants_colors(*, terminal: bool) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") != "0":
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _common_first(_logger: object, _method: str, fields: Record) -> Record:
    """Put the common fields in front, in their order; structlog has put the event last."""
    common = {name: fields.pop(name) for name in _COMMON if name in fields}
    return common | fields


_encoder = msgspec.json.Encoder()


def _encode(record: Record, **_: object) -> bytes:
    """By msgspec, ten times as fast as :func:`encode` and the same to the byte; it is stricter with odd values."""
    try:
        return _encoder.encode(record)
    except (TypeError, ValueError):  # a lone surrogate, or a type that JSON has no word for
        return encode(record)


class _Logfmt:
    """``key=value`` pairs; lists as JSON, control characters escaped."""

    def __init__(self, structlog: Any) -> None:
        self._render = structlog.processors.LogfmtRenderer(bool_as_flag=False)

    def __call__(self, logger: object, method: str, record: Record) -> str:
        shown = {
            _NOT_A_KEY.sub("_", key): _escape(_text(value)) if _is_text(value) else value
            for key, value in record.items()
        }
        text: str = self._render(logger, method, shown)
        return text


class _Console:
    """For people: events in columns, children's lines behind the name of their service.

    Lines of stdout stand behind ``|``, of stderr behind ``!``. Times are UTC, without the date; ``seq`` is left out.
    Each service has a colour of its own, given out in the order in which they appear. Joined lines stand one below the
    other, a child's own fields behind its message.
    """

    _WIDTH_MAX = 24

    def __init__(self, structlog: Any, *, colors: bool) -> None:
        column = structlog.dev.Column
        self._styles = _STYLES if colors else dict.fromkeys(_STYLES, "")
        self._colors = colors
        self._width = 0
        self._hues: dict[str, str] = {}
        self._render = structlog.dev.ConsoleRenderer(
            columns=[
                column("timestamp", lambda _, value: self._style("dim", value[11:23])),
                column("level", lambda _, value: self._style(value, f"{value:8}")),
                column("event", lambda _, value: self._style("bold", f"{value:22}")),
                column("service", lambda _, value: self._style(self._hue(value), value)),
                column("", self._pair),
            ],
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        )

    def __call__(self, logger: object, method: str, record: Record) -> str:
        if record["event"] == "output":
            return self._line(record)
        del record["seq"]
        text: str = self._render(logger, method, record)
        return text

    def _line(self, record: Record) -> str:
        service, said = str(record["service"]), "message" if "message" in record else "msg"
        message = record.get(said)
        self._width = max(self._width, min(len(service), self._WIDTH_MAX))
        first, *more = ("" if message is None else _text(message)).split("\n")
        part = f" [{record['part']}/{record.get('parts', '?')}]" if "part" in record else ""
        bar = self._style("stderr", "!") if record["stream"] == "stderr" else self._style("dim", "|")
        name = self._style(self._hue(service), f"{service:>{self._width}}") + f" {bar} "
        level = "" if record["level"] == "info" else self._style(str(record["level"]), f"{record['level']} ")
        pairs = [self._pair(_escape(key), value) for key, value in record.items() if key not in _SHOWN and key != said]
        text = " ".join([self._printable(first), *pairs] if first else pairs)
        time = self._style("dim", str(record["timestamp"])[11:23])
        line = f"{time} {name}{level}{text}{self._style('dim', part)}"
        return "\n".join([line, *(f"{'':12} {name}{self._printable(other)}" for other in more)])

    def _printable(self, text: str) -> str:
        if text.isprintable():
            return text
        text = _escape(text, colors=self._colors)
        return text + (self._styles["reset"] if "\x1b" in text else "")

    def _pair(self, key: str, value: object) -> str:
        text = _text(value)
        if isinstance(value, str) and (not text.isprintable() or not text or set(text) & set(" \"'=")):
            text = _escape(to_json(text))
        return self._style("dim", f"{key}=") + text

    def _hue(self, service: object) -> str:
        return self._hues.setdefault(str(service), _HUES[len(self._hues) % len(_HUES)])

    def _style(self, name: str, text: str) -> str:
        style = self._styles.get(name, "")
        return f"{style}{text}{self._styles['reset']}" if style and text else text


_STYLES = {
    "reset": "\x1b[0m",
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
    "cyan": "\x1b[36m",
    "magenta": "\x1b[35m",
    "blue": "\x1b[34m",
    "light green": "\x1b[92m",
    "light magenta": "\x1b[95m",
    "light cyan": "\x1b[96m",
    "light blue": "\x1b[94m",
    "stderr": "\x1b[33m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}

_HUES = ("cyan", "magenta", "blue", "light green", "light cyan", "light magenta", "light blue")
"""Colours of services: none of those that mean a level or stderr."""


def _is_text(value: object) -> bool:
    return value is not None and not isinstance(value, bool | int | float)


def _text(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)


def _escape(text: str, *, colors: bool = False) -> str:
    r"""Show control characters as ``\x1b`` and the like; with ``colors`` leave sequences that only set colours."""

    def show(match: re.Match[str]) -> str:
        found = match.group()
        if len(found) > 1:
            return found if colors else _escape(found[0]) + found[1:]
        if "\ud800" <= found <= "\udfff":
            return "\ufffd"
        return _SHORT.get(found) or (f"\\x{ord(found):02x}" if found < "\u0100" else f"\\u{ord(found):04x}")

    return text if text.isprintable() else _CONTROL.sub(show, text)
