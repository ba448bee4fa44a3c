"""Children's lines as records: rendered in bulk, and split where they are longer than a record may be.

A logger call per line costs some ten microseconds; a chunk of lines goes through msgspec in one call at a fraction of
one each. Owns the numbering of split messages: all records of one message have its ``id`` (the ``seq`` of its first
record) and count ``part`` from 1; ``parts``, their number, stands in all of them where it is known beforehand, and
always in the last. So a message is complete once a record with ``part`` equal to ``parts`` is there.

May import msgspec: the pause mode has no children whose lines it could write.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw

from supervisor.core.spec import JsonLines, ServiceLog
from supervisor.logs.bulk import Bulk, Origin
from supervisor.logs.dialects import DIALECTS
from supervisor.logs.encode import timestamp
from supervisor.logs.journal import LEVELS
from supervisor.logs.levels import guess
from supervisor.logs.lines import Fragment, boundary, no_longer
from supervisor.logs.merge import level_of_stream, plain, understand
from supervisor.logs.pipes import PLAIN
from supervisor.logs.weave import Pattern, alike, different

Record = dict[str, object]
Mark = tuple[int, int, int | None]
"""``id``, ``part`` and, where it is known, ``parts``."""

Before = tuple[int, str] | None
"""Of a line whose end is still to come: how many pieces there were, and their level."""

_EVENT = "output"
_ENVELOPE = 256
"""More bytes than a record has beside its service and its message, in the native schema."""

_MOST_LINES = 8192
"""Lines of a block: their records take a megabyte, and what they are made in three more."""

_LONGEST_ESCAPE = 6
_LEAST_PIECE = 16
_LARGE = 10**12
"""Stands for numbers not known yet where the room they take is reckoned."""

_NUMBER = 987_654_321_987_654_321
"""Stands for a record's number in a pattern; no time ends like it."""

_SLOT = "\ue000\ue001"
"""Stands for a message; of the private use area, and not in any name."""

_SEPARATOR = b"\x7f"
"""Joins messages that are encoded together: JSON leaves it as it is, it is rare, and a split by one byte is fast."""

_OBJECT = _SEPARATOR + b"{"

_ENCODER = msgspec.json.Encoder()


def output_records(origin: Origin, messages: Sequence[bytes], log: ServiceLog, wall: float) -> list[Record]:
    """Messages as ``output`` records of the native schema, for those who take no lines: without ``seq``, not split.

    Args:
        origin: where they came from.
        messages: without newlines at their ends.
        log: what becomes of lines of this service.
        wall: seconds since the epoch, when they were read.
    """
    stamp = timestamp(wall)
    records: list[Record] = []
    for message in messages:
        level, fields = understand(message, origin[2], log)
        record = _head(stamp, level, None, origin)
        if fields is None:
            record["message"] = message.decode("utf-8", "replace")
        else:
            record |= {name: plain(value) for name, value in fields.items()}
        records.append(record)
    return records


def mark_pieces(messages: Sequence[bytes], records: Sequence[Record], before: Before) -> Before:
    """Say of the pieces of long lines, in place, how they belong together: text of one level, numbered from 1.

    Args:
        messages: what the records were made of.
        records: as :func:`output_records` gives them.
        before: what this returned for the messages before these; None for the first.

    Returns:
        How many pieces the unfinished line has by now, and their level; None when the last message ends its line.
    """
    for message, record in zip(messages, records, strict=True):
        goes_on = type(message) is Fragment
        if before is None and not goes_on:
            continue
        count, level = before or (0, str(record["level"]))
        head = {name: record[name] for name in ("timestamp", "event", "service", "pid", "stream")}
        record.clear()
        record |= {**head, "level": level, "part": count + 1}
        if not goes_on:
            record["parts"] = count + 1
        record["message"] = message.decode("utf-8", "replace")
        before = (count + 1, level) if goes_on else None
    return before


class OutputLines:
    """Renders lines, and remembers which streams are in the middle of a split message.

    Attributes:
        invalid: some of the lines rendered held bytes that are not UTF-8; whoever tells of it sets it back.
    """

    __slots__ = ("_bulk", "_dialect", "_least", "_max_record", "_open", "invalid")

    def __init__(self, max_record: int, *, schema: str = "native", least: str = "info") -> None:
        """Render for a log.

        Args:
            max_record: what would make a record of more bytes, newline included, is split.
            schema: the names of fields: ``native``, or one of :data:`~supervisor.logs.dialects.DIALECTS`.
            least: least level of what is rendered; see :meth:`write_from`.
        """
        self._max_record = max_record
        self._dialect = DIALECTS.get(schema)
        self.write_from(least)
        self._open: dict[Origin, tuple[int, int, str]] = {}
        self._bulk = Bulk()
        self.invalid = False

    def write_from(self, least: str) -> None:
        """Render what is of this level or above from now on.

        ``debug`` does not count as less than ``info``: what a program writes at all is for the program to decide.
        """
        self._least = max(LEVELS[least], LEVELS["info"])

    def render(
        self, stamp: str, seq: int, origin: Origin, messages: Sequence[bytes], log: ServiceLog = PLAIN
    ) -> tuple[bytes, int]:
        """Render messages as lines of JSON.

        Args:
            stamp: time of all of them.
            seq: number of the latest record before these.
            origin: where they came from.
            messages: one or more, without newlines at their ends.
            log: what becomes of lines of this service.

        Returns:
            The lines, and how many they are.
        """
        # a piece of a long line, which is not a line of its own, is short when most of it was a secret
        if origin not in self._open and Fragment not in set(map(type, messages)):
            short = self._short(origin)
            joined = _SEPARATOR.join(messages)
            if log.json is JsonLines.TEXT or not (joined[:1] == b"{" or _OBJECT in joined):
                texts = self._escaped(joined, messages, short)
                if texts is not None:
                    return self._text(stamp, seq, origin, messages, texts, log)
            elif self._dialect is None and self._least == LEVELS["info"] and max(map(len, messages)) <= short:
                return self._objects(stamp, seq, origin, messages, log)
        lines: list[bytes] = []
        for message in messages:
            lines += self._one(stamp, seq + len(lines), origin, message, log)
        return b"".join(lines), len(lines)

    def block(self, stamp: str, seq: int, origin: Origin, block: bytes, log: ServiceLog) -> tuple[bytes, int] | None:
        """Render lines as :meth:`render` does, given in one piece.

        None if they are not all short, valid and heard, or if they are so many that their records take too much.
        """
        level = level_of_stream(origin[2], log)
        if origin in self._open or _SEPARATOR in block or not self._is_heard(level):
            return None
        if not no_longer(block, b"\n", self._short(origin)):
            return None
        try:
            text = block.replace(b"\n", _SEPARATOR).decode()
        except UnicodeDecodeError:
            return None
        texts = _ENCODER.encode(text)[1:-1].split(_SEPARATOR)
        if len(texts) > _MOST_LINES:
            return None
        return alike(self._pattern(stamp, level, origin), seq + 1, texts), len(texts)

    def records(
        self,
        stamp: str,
        seq: int,
        origin: Origin,
        messages: Sequence[bytes],
        log: ServiceLog = PLAIN,
        *,
        as_json: bool = False,
    ) -> Iterator[Record]:
        """Give messages as records, for formats other than JSON, and for more places than the log.

        Args:
            stamp: time of all of them.
            seq: number of the latest record before these.
            origin: where they came from.
            messages: without newlines at their ends.
            log: what becomes of lines of this service.
            as_json: records will be JSON, and are split as such; in other formats the limit is on the message alone.
        """
        for message in messages:
            level, fields = self._understand(message, origin, log)
            if not self._is_heard(level):
                self._pass_over(origin, message, level)
                continue
            head = _head(stamp, level, seq + 1, origin)
            if fields is not None:
                values = {name: plain(value) for name, value in fields.items()}
                if not as_json or self._fits(message, head, values):
                    seq += 1
                    yield head | values
                    continue
            if origin not in self._open and type(message) is not Fragment:
                whole = head | {"message": self._decode(message)}
                if self._fits(message, whole, {}) if as_json else len(message) <= self._max_record:
                    seq += 1
                    yield whole
                    continue
            if as_json:
                pieces = self._cut(stamp, seq, origin, level, self._decode(message))
                texts = [msgspec.json.decode(b'"%b"' % piece) for piece in pieces]
            else:
                texts = [self._decode(piece) for piece in _cut_text(message, self._max_record)]
            marks = self._number(origin, seq + 1, message, len(texts), level)
            for mark, text in zip(marks, texts, strict=True):
                seq += 1
                yield _head(stamp, level, seq, origin, mark) | {"message": text}

    def _pass_over(self, origin: Origin, message: bytes, level: str) -> None:
        """Remember of a piece that is left out that the rest of its line is left out too."""
        if type(message) is Fragment:
            self._open[origin] = 0, 0, level
        else:
            self._open.pop(origin, None)

    def _fits(self, message: bytes, record: Record, values: Record) -> bool:
        """Whether a record is short enough as JSON, of what the message has become."""
        if len(message) <= self._short((str(record["service"]), 0, "")):
            return True
        whole = record | values if self._dialect is None else self._dialect(record, values)
        return len(_ENCODER.encode(whole)) < self._max_record

    def _is_heard(self, level: str) -> bool:
        return max(LEVELS[level], LEVELS["info"]) >= self._least

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.invalid = True
            return data.decode("utf-8", "replace")

    def _short(self, origin: Origin) -> int:
        """Bytes of a message that fits into a record for certain, whatever has to be escaped in it."""
        envelope = _ENVELOPE if self._dialect is None else 4 * _ENVELOPE
        return (self._max_record - envelope) // _LONGEST_ESCAPE - len(origin[0])

    # -- in bulk -------------------------------------------------------------------------------------------------

    def _escaped(self, joined: bytes, messages: Sequence[bytes], short: int) -> list[bytes] | None:
        """Messages as the insides of JSON strings, by one call for all; None if one is longer than ``short`` bytes."""
        if no_longer(joined, _SEPARATOR, short):
            texts = _ENCODER.encode(self._decode(joined))[1:-1].split(_SEPARATOR)
            if len(texts) == len(messages):
                return texts
        if max(map(len, messages)) > short:
            return None
        return [_ENCODER.encode(self._decode(message))[1:-1] for message in messages]

    def _text(
        self, stamp: str, seq: int, origin: Origin, messages: Sequence[bytes], texts: list[bytes], log: ServiceLog
    ) -> tuple[bytes, int]:
        """Render messages that are text, of which each fits into a record.

        Args:
            stamp: time of all of them.
            seq: number of the latest record before these.
            origin: where they came from.
            messages: as they were written.
            texts: the same as the insides of JSON strings.
            log: what becomes of lines of this service.
        """
        level = level_of_stream(origin[2], log)
        if not log.level.guess:
            if not self._is_heard(level):
                return b"", 0
            return alike(self._pattern(stamp, level, origin), seq + 1, texts), len(texts)
        levels = [guess(text) or level for text in _decoded(messages)]
        if self._least > LEVELS["info"]:
            texts = [text for text, found in zip(texts, levels, strict=True) if self._is_heard(found)]
            levels = list(filter(self._is_heard, levels))
        patterns = {found: self._pattern(stamp, found, origin) for found in set(levels)}
        return different([patterns[found] for found in levels], seq + 1, texts), len(texts)

    def _objects(
        self, stamp: str, seq: int, origin: Origin, messages: Sequence[bytes], log: ServiceLog
    ) -> tuple[bytes, int]:
        """Render messages of which some are objects; in the best case all, of the ordinary kind."""
        default = level_of_stream(origin[2], log)

        def of_text(message: bytes) -> bytes:
            text = self._decode(message)
            level = (guess(text) if log.level.guess else None) or default
            return b'"level":"%b","message":%b}' % (level.encode(), _ENCODER.encode(text))

        bodies = self._bulk.bodies(messages, origin, log, of_text)
        return alike(self._object_pattern(stamp, origin), seq + 1, bodies), len(bodies)

    def _object_pattern(self, stamp: str, origin: Origin) -> Pattern:
        """The record of an object, whose value is all that stands behind our fields."""
        service, pid, stream = origin
        return Pattern(
            b'{"timestamp":"%b","event":"output","seq":' % stamp.encode(),
            b',"service":%b,"pid":%d,"stream":"%b",' % (_ENCODER.encode(service), pid, stream.encode()),
            b"\n",
        )

    def _pattern(self, stamp: str, level: str, origin: Origin) -> Pattern:
        """The record of a message, which is encoded already."""
        line = self._encode(_head(stamp, level, _NUMBER, origin) | {"message": _SLOT}, {})
        before, _, rest = line.partition(str(_NUMBER).encode())
        return Pattern(before, *rest.split(_SLOT.encode(), 1))

    # -- one by one ----------------------------------------------------------------------------------------------

    def _understand(self, message: bytes, origin: Origin, log: ServiceLog) -> tuple[str, Mapping[str, Raw] | None]:
        going_on = self._open.get(origin)
        if going_on is not None:
            return going_on[2], None
        return understand(message, origin[2], log, objects=len(message) <= self._max_record)

    def _one(self, stamp: str, seq: int, origin: Origin, message: bytes, log: ServiceLog) -> list[bytes]:
        level, fields = self._understand(message, origin, log)
        if not self._is_heard(level):
            self._pass_over(origin, message, level)
            return []
        if fields is not None:
            line = self._encode(_head(stamp, level, seq + 1, origin), fields)
            if len(line) <= self._max_record:
                return [line]
        text = self._decode(message)
        if origin not in self._open and type(message) is not Fragment:
            line = self._encode(_head(stamp, level, seq + 1, origin) | {"message": text}, {})
            if len(line) <= self._max_record:
                return [line]
        pieces = self._cut(stamp, seq, origin, level, text)
        lines = []
        for number, mark in enumerate(self._number(origin, seq + 1, message, len(pieces), level), 1):
            before, after = self._envelope(stamp, level, seq + number, origin, mark)
            lines.append(before + pieces[number - 1] + after)
        return lines

    def _cut(self, stamp: str, seq: int, origin: Origin, level: str, text: str) -> list[bytes]:
        """The pieces of a text, as the insides of JSON strings, each of which fits into a record."""
        envelope = self._envelope(stamp, level, seq + _LARGE, origin, (seq + _LARGE, _LARGE, _LARGE))
        room = self._max_record - len(envelope[0]) - len(envelope[1])
        return _cut_json(_ENCODER.encode(text)[1:-1], max(room, _LEAST_PIECE))

    def _encode(self, record: Record, fields: Mapping[str, Raw]) -> bytes:
        if self._dialect is None:
            return _ENCODER.encode({**record, **fields}) + b"\n"
        return _ENCODER.encode(self._dialect(record, {name: plain(value) for name, value in fields.items()})) + b"\n"

    def _envelope(self, stamp: str, level: str, seq: int, origin: Origin, mark: Mark) -> tuple[bytes, bytes]:
        """What stands before and behind a message that is encoded already."""
        before, _, after = self._encode(_head(stamp, level, seq, origin, mark) | {"message": _SLOT}, {}).partition(
            _SLOT.encode()
        )
        return before, after

    def _number(self, origin: Origin, seq: int, message: bytes, pieces: int, level: str) -> list[Mark]:
        """Give ``id``, ``part`` and ``parts`` for the pieces of one message; ``seq`` is the number of the first."""
        identity, done, _ = self._open.pop(origin, (seq, 0, level))
        total = done + pieces
        parts: int | None = total
        if type(message) is Fragment:
            self._open[origin] = identity, total, level
            parts = None
        return [(identity, part, parts) for part in range(done + 1, total + 1)]


def _head(stamp: str, level: str, seq: int | None, origin: Origin, mark: Mark | None = None) -> Record:
    """The fields before the message."""
    service, pid, stream = origin
    record: Record = {"timestamp": stamp, "level": level, "event": _EVENT}
    if seq is not None:
        record["seq"] = seq
    record |= {"service": service, "pid": pid, "stream": stream}
    if mark is not None:
        identity, part, parts = mark
        record |= {"id": identity, "part": part} if parts is None else {"id": identity, "part": part, "parts": parts}
    return record


def _decoded(messages: Sequence[bytes]) -> list[str]:
    texts = _SEPARATOR.join(messages).decode("utf-8", "replace").split(_SEPARATOR.decode())
    return texts if len(texts) == len(messages) else [message.decode("utf-8", "replace") for message in messages]


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
