"""The one way into the log: gives each record its time, its level and its number, and says what was lost.

Owns ``seq``: it counts up by one for every record, written or lost, so that a gap in what a reader has is a loss and
the ``log_lines_dropped`` record after it says how many and why. How a record looks is a function handed in (by
default :func:`supervisor.logs.encode.encode_line`; :mod:`supervisor.logs.structured` makes the others), and where it
goes is :class:`supervisor.logs.sink.Sink`.

Imports :mod:`time` and its two neighbours; :mod:`supervisor.logs.output` with the first line of a child, and
:mod:`supervisor.logs.redact` with the first secret or pattern.
"""

from __future__ import annotations

import time

from supervisor.logs.encode import encode_line, timestamp
from supervisor.logs.sink import BLOCKED, CLOSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.core.spec import ServiceLog
    from supervisor.logs.output import OutputLines
    from supervisor.logs.redact import Redactor
    from supervisor.logs.sink import Sink
    from supervisor.logs.sinks.writer import FileLog
    from supervisor.logs.targets import Target

    Record = dict[str, object]
    Render = Callable[[Record], bytes]
    Tap = Callable[[Record], object]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""Names of levels, by increasing weight."""

MAX_RECORD = 16384
"""Longest record in bytes, its newline included, unless configured: what docker and CRI runtimes keep in one piece."""

OVERFLOW = "overflow"
"""Why lines were dropped: their service is not to wait (``overflow``), and the log was not read fast enough."""

_HELD_MAX = 10_000

_BATCH_MAX = 65536
"""Bytes after which a batch is written before its end."""


class Journal:
    """Writes events, and the lines of children, as records.

    Attributes:
        seq: number of the latest record; 0 before the first.
        redactor: takes secrets out of every event; None as long as there are none. Lines come without them.
    """

    __slots__ = (
        "_batch", "_corked", "_early", "_fallback", "_held", "_invalid", "_least", "_level", "_max_record", "_mirrors",
        "_output", "_plain", "_render", "_schema", "_short", "_sink", "_taps", "_wall", "redactor", "seq",
    )  # fmt: skip

    def __init__(
        self,
        sink: Sink | FileLog,
        *,
        level: str = "info",
        max_record: int = MAX_RECORD,
        hold: bool = False,
        fallback: Sink | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Write records to ``sink``, as JSON until :meth:`use` says otherwise.

        Args:
            sink: where records go.
            level: least level written.
            max_record: longest record of output in bytes.
            hold: keep all records until :meth:`use`, for a format whose renderer is not imported yet.
            fallback: told, once, that the reader of ``sink`` is gone.
            wall: seconds since the epoch.

        Raises:
            KeyError: no such level.
        """
        self._sink = sink
        self._least = LEVELS[level]
        self._level = level
        self._schema = "native"
        self._max_record = max_record
        self._held: list[Record] | None = [] if hold else None
        self._fallback = fallback
        self._wall = wall
        self._render: Render = encode_line
        self._plain = hold
        self._output: OutputLines | None = None
        self._taps: list[Tap] = []
        self._batch = _Batch(self)
        self._corked: bytearray | None = None
        self._early: list[Record] | None = None
        self._mirrors: list[Target] = []
        self._invalid: set[tuple[str, str]] = set()  # streams whose odd bytes were told of
        self._short: set[tuple[str, str]] = set()
        self.redactor: Redactor | None = None
        self.seq = 0
        sink.on_drain(self._tell_losses)

    def wants(self, level: str) -> bool:
        """Whether a record of this level would be written: who has to read much to make one may ask first."""
        return LEVELS[level] >= self._least

    def emit(self, level: str, event: str, /, **fields: object) -> None:
        """Write one event.

        Args:
            level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``; below the least level nothing happens.
            event: its name; :mod:`supervisor.logs.catalogue` lists all of them, and their fields.
            fields: in the order in which they will stand; values are what JSON has (see ``encode``).
        """
        if LEVELS[level] < self._least:
            return
        if self._sink.lost:
            self._tell_losses()
        if self.redactor is not None:
            fields = self.redactor.fields(fields)
        self.seq += 1
        record = {"timestamp": timestamp(self._wall()), "level": level, "event": event, "seq": self.seq, **fields}
        if self._held is None and self._early is None and not self._mirrors:
            self._write(self._render(record))
        else:
            self._put([record])
        if self._taps:
            self._show(record)

    def lines(
        self, service: str, pid: int, stream: str, messages: Sequence[bytes], log: ServiceLog | None = None
    ) -> None:
        """Write lines of a child, all with the time of this call; of a level that is not written, none.

        Args:
            service: whose they are.
            pid: the process that was given the stream; a descendant may have written to it too.
            stream: ``stdout`` or ``stderr``.
            messages: as :class:`supervisor.logs.lines.Splitter` gives them: without newlines, any bytes (what is not
                UTF-8 becomes U+FFFD). A long one is split into several records.
            log: what becomes of them; None for messages of level ``info``.
        """
        if not messages:
            return
        if self._sink.lost:
            self._tell_losses()
        output = self._output or self._open_output()
        stamp = timestamp(self._wall())
        given = (log,) if log is not None else ()
        if self._plain or self._mirrors or self._early is not None:
            origin = service, pid, stream
            records = list(output.records(stamp, self.seq, origin, messages, *given, as_json=not self._plain))
            self.seq += len(records)
            self._put(records, output=True)
        else:
            data, count = output.render(stamp, self.seq, (service, pid, stream), messages, *given)
            self.seq += count
            if data:
                self._uncork()
                self._sink.write(data, output=True)
        if output.invalid:
            output.invalid = False
            self._tell_invalid(service, stream)

    def block(self, service: str, pid: int, stream: str, block: bytes, log: ServiceLog) -> int:
        r"""Write lines as :meth:`lines` does, given in one piece; none if they can't be written in one piece.

        Args:
            service: whose they are.
            pid: the process that was given the stream.
            stream: ``stdout`` or ``stderr``.
            block: lines without ``\r`` at their ends, with ``\n`` between them.
            log: what becomes of them: they stay text, and their level is not guessed.

        Returns:
            How many they were.
        """
        if self._plain or self._mirrors or self._early is not None:
            return 0
        if self._sink.lost:
            self._tell_losses()
        output = self._output or self._open_output()
        made = output.block(timestamp(self._wall()), self.seq, (service, pid, stream), block, log)
        if made is None:
            return 0
        data, count = made
        self.seq += count
        self._uncork()
        self._sink.write(data, output=True)
        return count

    def dropped(self, service: str, count: int) -> None:
        """Say that lines of a service were dropped before they became records; they take numbers all the same."""
        self.seq += count
        self.emit("warning", "log_lines_dropped", service=service, count=count, reason=OVERFLOW)

    def add_secret(self, value: str, service: str) -> None:
        """Take this value, which is a secret of ``service``, out of all that is written from now on.

        One of less than four characters would be found everywhere: it stays, and a warning says so, once a service.
        """
        if not self._redact().add_secret(value) and (service, value) not in self._short:
            self._short.add((service, value))
            message = "a secret has less than 4 characters: it is not taken out of the log; choose a longer one"
            self.emit("warning", "supervisor_warning", service=service, message=message)

    def redact(self, patterns: Sequence[str]) -> None:
        """Take what matches one of these regular expressions out of all that is written from now on, and no others."""
        if patterns or self.redactor is not None:
            self._redact().look_for(patterns)

    def write_from(self, level: str) -> None:
        """Write records of this level and above from now on.

        Raises:
            KeyError: no such level.
        """
        self._least, self._level = LEVELS[level], level
        if self._output is not None:
            self._output.write_from(level)

    def _redact(self) -> Redactor:
        if self.redactor is None:
            from supervisor.logs.redact import Redactor  # noqa: PLC0415 (only where there is something to hide)

            self.redactor = Redactor()
        return self.redactor

    def batch(self) -> _Batch:
        """Write all events of a ``with`` block in one piece, at its end: for who has many at a time.

        They are numbered, stamped and shown to taps at once; lines of children keep their place among them.
        """
        return self._batch

    def tap(self, tap: Tap) -> None:
        """Show every event to ``tap`` from now on, as it was written; one that raises is shown no more."""
        self._taps.append(tap)

    def untap(self, tap: Tap) -> None:
        """Show no more events to ``tap``; nothing happens if none were."""
        if tap in self._taps:
            self._taps.remove(tap)

    def keep(self) -> None:
        """Keep all records from now on, until :meth:`mirror` tells who gets them."""
        self._early = []

    def mirror(self, targets: Sequence[Target]) -> None:
        """Give these targets every record too, those of lines included: what was kept so far, and what comes.

        Lines are no longer rendered in bulk then.
        """
        early, self._early = self._early, None
        self._mirrors += targets
        if early:
            self._mirror(early)

    def use(self, render: Render, *, plain: bool = False, schema: str = "native") -> None:
        """Render with ``render`` from now on, beginning with the records held.

        Args:
            render: gives a record as one line, with its newline.
            plain: lines of children go through ``render`` too, one by one; otherwise they are JSON, rendered in bulk.
            schema: the names of fields in these; see :func:`supervisor.logs.structured.make_renderer`.
        """
        held, self._held = self._held or [], None
        self._render, self._plain = render, plain
        if schema != self._schema:
            self._schema, self._output = schema, None
        for record in held:
            self._write(render(record), output=record["event"] == "output")

    def _put(self, records: list[Record], *, output: bool = False) -> None:
        self._mirror(records)
        if self._held is None:
            self._write(b"".join([self._render(record) for record in records]), output=output)
        elif len(self._held) < _HELD_MAX:
            self._held += records
        else:
            self._sink.lose(len(records), BLOCKED)

    def _mirror(self, records: list[Record]) -> None:
        if self._early is not None and len(self._early) < _HELD_MAX:
            self._early += records
        for target in self._mirrors:
            target.records(records)

    def _write(self, line: bytes, *, output: bool = False) -> None:
        if self._corked is None:
            self._sink.write(line, output=output)
            return
        if output:
            self._uncork()
            self._sink.write(line, output=True)
            return
        self._corked += line
        if len(self._corked) > _BATCH_MAX:
            self._uncork()

    def _cork(self) -> None:
        self._corked = bytearray()

    def _uncork(self) -> None:
        """Write what the batch has so far; it goes on."""
        if self._corked:
            corked, self._corked = self._corked, bytearray()
            self._sink.write(bytes(corked))

    def _end_batch(self) -> None:
        self._uncork()
        self._corked = None

    def _show(self, record: Record) -> None:
        for tap in tuple(self._taps):
            try:
                tap(record)
            except Exception as error:  # noqa: BLE001 - the record is written; who looks on can't undo that
                self.untap(tap)
                self.emit("error", "internal_error", where="event tap", error=f"{type(error).__name__}: {error}")

    def _tell_losses(self) -> None:
        """Write what was lost, before anything else is written, as soon as that can be written itself."""
        self._uncork()
        for reason in list(self._sink.lost):
            count = self._sink.lost.pop(reason)
            if LEVELS["warning"] >= self._least and not self._tell_loss(reason, count):
                self._sink.lose(count, reason)
                return

    def _tell_loss(self, reason: str, count: int) -> bool:
        record: Record = {"timestamp": timestamp(self._wall()), "level": "warning", "event": "log_lines_dropped"}
        record |= {"seq": self.seq + 1, "count": count, "reason": reason}
        if self._held is not None:
            return False
        line = self._render(record)
        if self._sink.offer(line):
            self.seq += 1
            self._mirror([record])
            if self._taps:
                self._show(record)
            return True
        if reason == CLOSED and self._fallback is not None:
            self._fallback.offer(line)
            self._fallback = None
        return False

    def _tell_invalid(self, service: str, stream: str) -> None:
        if (service, stream) not in self._invalid:
            self._invalid.add((service, stream))
            message = f"{stream} holds bytes that are not UTF-8: they become U+FFFD; this is said once"
            self.emit("warning", "supervisor_warning", service=service, message=message)

    def _open_output(self) -> OutputLines:
        from supervisor.logs.output import OutputLines  # noqa: PLC0415 (msgspec: 5 MB that the pause mode doesn't pay)

        self._output = OutputLines(self._max_record, schema=self._schema, least=self._level)
        return self._output


class _Batch:
    """The ``with`` block of :meth:`Journal.batch`; blocks may stand inside one another."""

    __slots__ = ("_depth", "_journal")

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._depth = 0

    def __enter__(self) -> None:
        if self._depth == 0:
            self._journal._cork()  # noqa: SLF001 - the two are one
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._journal._end_batch()  # noqa: SLF001 - the two are one
