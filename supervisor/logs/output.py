"""Children's lines as records: rendered in bulk, and split where they are longer than a record may be.

A logger call per line costs some ten microseconds; a chunk of lines goes through msgspec in one call at a fraction of
one each. Owns the numbering of split messages: all records of one message have its ``id`` (the ``seq`` of its first
record) and count ``part`` from 1; ``parts``, their number, stands in all of them where it is known beforehand, and
always in the last. So a message is complete once a record with ``part`` equal to ``parts`` is there.

May import msgspec: the pause mode has no children whose lines it could write.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType

from supervisor.logs.lines import Fragment, boundary

Origin = tuple[str, int, str]
"""Service, pid and stream a line came from."""

_LEVEL, _EVENT = "info", "output"
_ENVELOPE = 256
"""More bytes than a record has beside its service and its message."""

_LONGEST_ESCAPE = 6
_LEAST_PIECE = 16
_LARGE = 10**12
"""Stands for numbers not known yet where the room they take is reckoned."""

_ENCODER = msgspec.json.Encoder()


class _Output(Struct, gc=False, omit_defaults=True):
    timestamp: str
    level: str
    event: str
    seq: int
    service: str
    pid: int
    stream: str
    message: str | UnsetType = UNSET


class _OutputPart(Struct, gc=False, omit_defaults=True):
    timestamp: str
    level: str
    event: str
    seq: int
    service: str
    pid: int
    stream: str
    id: int
    part: int
    parts: int | UnsetType = UNSET
    message: str | UnsetType = UNSET


class OutputLines:
    """Renders lines, and remembers which streams are in the middle of a split message."""

    __slots__ = ("_max_record", "_open")

    def __init__(self, max_record: int) -> None:
        """Split what would make a record of more than ``max_record`` bytes, newline included."""
        self._max_record = max_record
        self._open: dict[Origin, tuple[int, int]] = {}

    def render(self, stamp: str, seq: int, origin: Origin, messages: Sequence[bytes]) -> tuple[bytes, int]:
        """Render messages as lines of JSON.

        Args:
            stamp: time of all of them.
            seq: number of the latest record before these.
            origin: where they came from.
            messages: one or more, without newlines.

        Returns:
            The lines, and how many they are.
        """
        short = (self._max_record - _ENVELOPE) // _LONGEST_ESCAPE - len(origin[0])
        if max(map(len, messages)) <= short and origin not in self._open:
            return _render_short(stamp, seq, origin, messages), len(messages)
        lines: list[bytes] = []
        for message in messages:
            lines += self._render_long(stamp, seq + len(lines), origin, message)
        return b"".join(lines), len(lines)

    def records(self, stamp: str, seq: int, origin: Origin, messages: Sequence[bytes]) -> Iterator[dict[str, object]]:
        """Give messages as records, for formats other than JSON; there the limit is on the message alone."""
        service, pid, stream = origin
        common: dict[str, object] = {"timestamp": stamp, "level": _LEVEL, "event": _EVENT}
        source: dict[str, object] = {"service": service, "pid": pid, "stream": stream}
        for message in messages:
            if len(message) <= self._max_record and origin not in self._open and type(message) is not Fragment:
                seq += 1
                yield common | {"seq": seq} | source | {"message": message.decode("utf-8", "replace")}
                continue
            pieces = _cut_text(message, self._max_record)
            for (identity, part, parts), piece in zip(
                self._number(origin, seq + 1, message, pieces), pieces, strict=True
            ):
                seq += 1
                marks = {"id": identity, "part": part} | ({} if parts is UNSET else {"parts": parts})
                yield common | {"seq": seq} | source | marks | {"message": piece.decode("utf-8", "replace")}

    def _render_long(self, stamp: str, seq: int, origin: Origin, message: bytes) -> list[bytes]:
        text = message.decode("utf-8", "replace")
        head = (stamp, _LEVEL, _EVENT)
        if origin not in self._open and type(message) is not Fragment:
            line = _ENCODER.encode(_Output(*head, seq + 1, *origin, text)) + b"\n"
            if len(line) <= self._max_record:
                return [line]
        envelope = _envelope(_OutputPart(*head, seq + _LARGE, *origin, seq + _LARGE, _LARGE, _LARGE))
        room = self._max_record - len(envelope) - len(_TAIL)
        pieces = _cut_json(_ENCODER.encode(text)[1:-1], max(room, _LEAST_PIECE))
        numbers = self._number(origin, seq + 1, message, pieces)
        return [
            _envelope(_OutputPart(*head, number, *origin, *marks)) + piece + _TAIL
            for number, (marks, piece) in enumerate(zip(numbers, pieces, strict=True), seq + 1)
        ]

    def _number(
        self, origin: Origin, seq: int, message: bytes, pieces: Sequence[bytes]
    ) -> list[tuple[int, int, int | UnsetType]]:
        """Give ``id``, ``part`` and ``parts`` for the pieces of one message; ``seq`` is the number of the first."""
        identity, done = self._open.pop(origin, (seq, 0))
        total = done + len(pieces)
        parts: int | UnsetType = total
        if type(message) is Fragment:
            self._open[origin] = identity, total
            parts = UNSET
        return [(identity, part, parts) for part in range(done + 1, total + 1)]


_TAIL = b'"}\n'


def _render_short(stamp: str, seq: int, origin: Origin, messages: Sequence[bytes]) -> bytes:
    """Render messages of which each fits into a record: a handful of calls for all of them.

    msgspec encodes the messages as one array, and it is taken apart between them: a quote inside of a message is
    escaped, so that quote, comma, quote stands nowhere else.
    """
    count = len(messages)
    texts = b"\n".join(messages).decode("utf-8", "replace").split("\n")
    values: list[object] = [None] * (2 * count)
    values[::2] = range(seq + 1, seq + count + 1)
    values[1::2] = _ENCODER.encode(texts)[2:-2].split(b'","')
    envelope = _envelope(_Output(stamp, _LEVEL, _EVENT, 0, *origin))
    pattern = envelope.replace(b"%", b"%%").replace(b'"seq":0', b'"seq":%d', 1) + b"%b" + _TAIL
    return pattern * count % tuple(values)


def _envelope(record: _Output | _OutputPart) -> bytes:
    """The record up to its message, which is last and already encoded."""
    return _ENCODER.encode(record)[:-1] + b',"message":"'


def _cut_text(data: bytes, limit: int) -> list[bytes]:
    """Cut UTF-8 into pieces of at most ``limit`` bytes."""
    pieces = []
    while len(data) > limit:
        end = boundary(data, limit)
        pieces.append(data[:end])
        data = data[end:]
    return [*pieces, data]


def _cut_json(data: bytes, limit: int) -> list[bytes]:
    """Cut the inside of a JSON string into pieces of at most ``limit`` bytes, each the inside of a JSON string."""
    pieces = []
    start = 0
    while len(data) - start > limit:
        end = start + boundary(data[start : start + limit + 1], limit)
        end = _before_escape(data, start, end)
        pieces.append(data[start:end])
        start = end
    return [*pieces, data[start:]]


def _before_escape(data: bytes, start: int, end: int) -> int:
    r"""Where the escape sequence begins that a cut at ``end`` would go through; ``end`` if there is none.

    A backslash begins a sequence when an odd number of them stands there in a row: of ``\\\\n`` each is half of a
    pair, but the last of ``\\\n`` begins one.
    """
    backslash = data.rfind(b"\\", max(start, end - _LONGEST_ESCAPE + 1), end)
    if backslash < 0:
        return end
    run = data[start : backslash + 1]
    if (len(run) - len(run.rstrip(b"\\"))) % 2 == 0:
        return end
    length = _LONGEST_ESCAPE if data[backslash + 1] == ord("u") else 2
    return backslash if backslash + length > end else end
