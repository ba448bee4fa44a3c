"""The daemon's log as a whole: where it goes, who writes it, and what of it waits for the event loop.

Records can be made from the start. Whatever needs the loop or structlog comes with :meth:`DaemonLog.attach`.
"""

from __future__ import annotations

import os

from supervisor.core.record import replace
from supervisor.core.spec import FileSink
from supervisor.logs.capture import Capture
from supervisor.logs.journal import Journal
from supervisor.logs.places import Places
from supervisor.logs.sink import Sink, is_file, open_sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.core.spec import Destination, LogSpec
    from supervisor.logs.sinks.writer import FileLog

_STALLED_AFTER = 1.0
"""Seconds without a byte read by whoever reads our output, after which the end waits for it no longer."""


class DaemonLog:
    """The log.

    Attributes:
        spec: the settings that are in force.
        journal: makes the records.
        capture: makes records of what services write.
        places: where it goes as well.

    Raises:
        OSError: it can't be written to.
    """

    def __init__(self, spec: LogSpec) -> None:
        self.spec = spec
        self._sink, self._targets = _open(spec)
        self._format = spec.format or ("console" if self._sink.is_terminal else "json")
        self.journal = Journal(
            self._sink,
            level=spec.level,
            max_record=spec.max_record,
            hold=self._format != "json" or spec.schema != "native",
            fallback=Sink(2) if spec.to == "stdout" else None,
        )
        self.journal.redact(spec.redact)
        if self._targets:
            self.journal.keep()
        self.places = Places(self.journal, self._sink)
        self.capture = Capture(self.journal, self._sink, max_record=spec.max_record, targets=self.places)

    def attach(self, loop: Any) -> None:
        """The loop turns: render what was kept, and write without waiting."""
        from supervisor.logs.structured import make_renderer  # noqa: PLC0415 - structlog, after the first programs run

        schema = self.spec.schema
        renderer = make_renderer(self._format, terminal=self._sink.is_terminal, schema=schema)
        self.journal.use(renderer, plain=self._format != "json", schema=schema)
        self._sink.attach(loop)
        self.places.attach(loop, log_is_file=not isinstance(self._sink, Sink))
        if self._targets:
            self.places.mirror(self._targets, make_renderer(self.spec.format or "json", terminal=False, schema=schema))
        self.capture.attach(loop)

    def change(self, spec: LogSpec) -> None:
        """Take over what can be changed while it is open: the level, and what is taken out of all that is written."""
        self.spec = replace(self.spec, level=spec.level, redact=spec.redact)
        self.journal.write_from(spec.level)
        self.journal.redact(spec.redact)

    def output_closed(self) -> None:
        """No service will write any more: give the targets what there is."""
        self.places.end(_STALLED_AFTER)

    def finish(self) -> None:
        """Give the reader of our output the rest, unless it has stopped reading."""
        pending = self._sink.pending
        while pending and not self._sink.flush(_STALLED_AFTER) and self._sink.pending < pending:
            pending = self._sink.pending
        self.places.flush(_STALLED_AFTER)


def _open(spec: LogSpec) -> tuple[Sink | FileLog, tuple[Destination, ...]]:
    """The log, and the targets that are left. A file is written by a thread: disks may stall."""
    rest = spec.targets
    if spec.to:
        file = FileSink(spec.to, max_size=None) if is_file(spec.to) else None
    else:
        file = next((target for target in rest if isinstance(target, FileSink)), None)
        rest = tuple(target for target in rest if target is not file)
    if file is None:
        return open_sink(spec.to or os.devnull), rest
    from supervisor.logs.sinks.writer import FileLog  # noqa: PLC0415 - only for who has the log in a file

    return FileLog(file), rest
