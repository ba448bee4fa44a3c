"""Files for the lines of services, and for the log's records beside another place."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from supervisor.core.spec import FileSink
from supervisor.logs.encode import encode_line
from supervisor.logs.lines import Fragment
from supervisor.logs.sink import BLOCKED
from supervisor.logs.sinks.numbered import Numbered, Origin
from supervisor.logs.sinks.workers import Workers
from supervisor.logs.sinks.writer import FileWriter
from supervisor.logs.targets import Tell

Render = Callable[[dict[str, object]], bytes]
"""Gives a record as one line, with its newline."""

_encoder = msgspec.json.Encoder()


def render_json(record: dict[str, object]) -> bytes:
    """The record as a line of JSON: by msgspec, or where that is too strict by our own encoder."""
    try:
        return _encoder.encode(record) + b"\n"
    except (TypeError, ValueError):
        return encode_line(record)


class FileTarget(FileWriter):
    """A file for the lines of services, as they were written, or for records.

    Args:
        spec: the file, its path without placeholder.
        tell: writes records about it.
        workers: whose threads write.
        render: gives a record as one line, with its newline.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        spec: FileSink,
        tell: Tell,
        workers: Workers,
        *,
        render: Render,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(spec, tell, workers)
        self.structured = spec.json
        self._render = render
        self._numbered = Numbered(wall)
        self._open_line: Origin | None = None  # whose line is in the middle

    def configure(self, spec: FileSink) -> None:
        """Go by these limits from the next batch on, and write in this form from the next line on."""
        super().configure(spec)
        self.structured = spec.json

    def lines(self, service: str, pid: int, stream: str, messages: Sequence[bytes], *, whole: bool = False) -> None:
        """Take lines; see :class:`~supervisor.logs.targets.Target`."""
        if not messages:
            return
        origin = (service, pid, stream)
        if self.structured:
            self.records(self._numbered.lines(origin, messages), whole=whole)
        else:
            self._take(self._as_text(origin, messages), whole=whole)

    def records(self, records: Iterable[Mapping[str, object]], *, whole: bool = False) -> None:
        """Take records; see :class:`~supervisor.logs.targets.Target`."""
        self._take(b"".join([self._render(record) for record in self._numbered.records(records)]), whole=whole)

    def _take(self, data: bytes, *, whole: bool) -> None:
        self._idle = self._close_due = False
        lost = self._accept(data, self._limit(len(data), whole=whole))
        if lost:
            self._open_line = None
            self._lose(lost, self.down or BLOCKED)
        self._pump()

    def _as_text(self, origin: Origin, messages: Sequence[bytes]) -> bytes:
        """Lines as they came. A long line comes in pieces: one of another stream meanwhile would end up inside it."""
        head = b"\n" if not self._tail_whole and self._open_line != origin else b""
        self._open_line = origin if type(messages[-1]) is Fragment else None
        if not any(type(message) is Fragment for message in messages):
            return head + b"\n".join(messages) + b"\n"
        return head + b"".join([bytes(m) if type(m) is Fragment else m + b"\n" for m in messages])
