"""The one way into the log: gives each record its time, its level and its number, and says what was lost.

Owns ``seq``: it counts up by one for every record, written or lost, so that a gap in what a reader has is a loss and
the ``log_lines_dropped`` record after it says how many and why. How a record looks is a function handed in (by
default :func:`supervisor.logs.encode.encode_line`; :mod:`supervisor.logs.structured` makes the others), and where it
goes is :class:`supervisor.logs.sink.Sink`.

Imports :mod:`time` and its two neighbours; :mod:`supervisor.logs.output` with the first line of a child.
"""

from __future__ import annotations

import time

from supervisor.logs.encode import encode_line, timestamp
from supervisor.logs.sink import BLOCKED, CLOSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.logs.output import OutputLines
    from supervisor.logs.sink import Sink
    from supervisor.logs.sinks.writer import FileLog
    from supervisor.logs.targets import Target

    Record = dict[str, object]
    Render = Callable[[Record], bytes]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""Names of levels, by increasing weight."""

MAX_RECORD = 16384
"""Longest record in bytes, its newline included, unless configured: what docker and CRI runtimes keep in one piece."""

_HELD_MAX = 10_000


class Journal:
    """Writes events, and the lines of children, as records.

    Attributes:
        seq: number of the latest record; 0 before the first.
    """

    __slots__ = (
        "_early", "_fallback", "_held", "_least", "_max_record", "_mirrors", "_output", "_plain", "_render", "_sink",
        "_wall", "seq",
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
        self._max_record = max_record
        self._held: list[Record] | None = [] if hold else None
        self._fallback = fallback
        self._wall = wall
        self._render: Render = encode_line
        self._plain = hold
        self._output: OutputLines | None = None
        self._early: list[Record] | None = None
        self._mirrors: list[Target] = []
        self.seq = 0
        sink.on_drain(self._tell_losses)

    def wants(self, level: str) -> bool:
        """Whether a record of this level would be written: who has to read much to make one may ask first."""
        return LEVELS[level] >= self._least

    def emit(self, level: str, event: str, /, **fields: object) -> None:
        """Write one event.

        Args:
            level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``; below the least level nothing happens.
            event: its name; :mod:`supervisor.logs.schema` lists all of them, and their fields.
            fields: in the order in which they will stand; values are what JSON has (see ``encode``).
        """
        if LEVELS[level] < self._least:
            return
        if self._sink.lost:
            self._tell_losses()
        self.seq += 1
        self._put([{"timestamp": timestamp(self._wall()), "level": level, "event": event, "seq": self.seq, **fields}])

    def lines(self, service: str, pid: int, stream: str, messages: Sequence[bytes]) -> None:
        """Write lines of a child, at level ``info``, all with the time of this call.

        Args:
            service: whose they are.
            pid: the process that was given the stream; a descendant may have written to it too.
            stream: ``stdout`` or ``stderr``.
            messages: as :class:`supervisor.logs.lines.Splitter` gives them: without newlines, any bytes (what is not
                UTF-8 becomes U+FFFD). A long one is split into several records.
        """
        if not messages or LEVELS["info"] < self._least:
            return
        if self._sink.lost:
            self._tell_losses()
        output = self._output or self._open_output()
        stamp = timestamp(self._wall())
        if self._plain or self._mirrors or self._early is not None:
            records = list(output.records(stamp, self.seq, (service, pid, stream), messages))
            self.seq += len(records)
            self._put(records, output=True)
            return
        data, count = output.render(stamp, self.seq, (service, pid, stream), messages)
        self.seq += count
        self._sink.write(data, output=True)

    def use(self, render: Render, *, plain: bool = False) -> None:
        """Render with ``render`` from now on, beginning with the records held.

        Args:
            render: gives a record as one line, with its newline.
            plain: lines of children go through ``render`` too, one by one; otherwise they are JSON, rendered in bulk.
        """
        held, self._held = self._held or [], None
        self._render, self._plain = render, plain
        for record in held:
            self._sink.write(render(record), output=record["event"] == "output")

    def keep(self) -> None:
        """Keep all records from now on, until there is :meth:`mirror`."""
        self._early = []

    def mirror(self, targets: Sequence[Target]) -> None:
        """Give these all records too: those kept so far, and what comes."""
        self._mirrors += targets
        early, self._early = self._early, None
        if early:
            self._mirror(early)

    def _mirror(self, records: list[Record]) -> None:
        if self._early is not None and len(self._early) < _HELD_MAX:
            self._early += records
        for target in self._mirrors:
            target.records(records)

    def _put(self, records: list[Record], *, output: bool = False) -> None:
        self._mirror(records)
        if self._held is None:
            self._sink.write(b"".join([self._render(record) for record in records]), output=output)
        elif len(self._held) < _HELD_MAX:
            self._held += records
        else:
            self._sink.lose(len(records), BLOCKED)

    def _tell_losses(self) -> None:
        """Write what was lost, before anything else is written, as soon as that can be written itself."""
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
            return True
        if reason == CLOSED and self._fallback is not None:
            self._fallback.offer(line)
            self._fallback = None
        return False

    def _open_output(self) -> OutputLines:
        from supervisor.logs.output import OutputLines  # noqa: PLC0415 (msgspec: 5 MB that the pause mode doesn't pay)

        self._output = OutputLines(self._max_record)
        return self._output
