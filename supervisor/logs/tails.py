"""The last lines of every service, in memory, and whoever wants to see the next ones.

What is kept are the lines as bytes; an ``output`` record is made of them only when somebody asks. Memory: of each
stream ``tail`` lines (:class:`supervisor.core.spec.ServiceLog`), and no more than :data:`LINE_BYTES` for each of these.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from supervisor.core.spec import ServiceLog

    Record = dict[str, object]
    Follower = Callable[[list[Record]], object]

LINE_BYTES = 256
"""Bytes kept of a stream for each line of its tail: a long line is kept at the cost of others."""

REPORT_BYTES = 4096
"""Bytes of each stream, at most, in the report of a process's end."""

_STREAMS = ("stdout", "stderr")


class Tails:
    """The tails of all services, and their followers."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], _Tail] = {}
        self._followers: list[_Following] = []
        self._arrived = 0

    @property
    def followed(self) -> bool:
        """Whether somebody wants to see all lines."""
        return bool(self._followers)

    def add(self, origin: tuple[str, int, str], messages: Sequence[bytes], log: ServiceLog, wall: float) -> None:
        """Take what a stream wrote.

        Args:
            origin: service, pid and stream.
            messages: complete, redacted, in their order.
            log: what becomes of lines of this service.
            wall: seconds since the epoch.
        """
        service, pid, stream = origin
        if log.tail:
            tail = self._streams.get((service, stream))
            if tail is None or tail.log != log:
                tail = self._streams[service, stream] = _Tail(log, tail)
            self._arrived += 1
            tail.add(_Piece(self._arrived, wall, pid, list(messages[-log.tail :])))
        else:
            self._streams.pop((service, stream), None)
        if self._followers:
            self._tell(origin, messages, log, wall)

    def last(self, service: str, count: int | None = None) -> list[Record]:
        """The last lines of a service as ``output`` records, in the order in which they were read.

        They are what the log has of them in the ``native`` schema, but for ``seq``, which numbers what is in the log,
        and for long lines, which are in one piece, or without their beginning.

        Args:
            service: its name; without lines, and of an unknown one, there are none.
            count: how many at most, over both streams; all that are kept when None.
        """
        records: list[Record] = []
        for piece, stream, log in sorted(self._pieces(service), key=_arrival):
            records += _records((service, piece.pid, stream), piece.messages, log, piece.wall)
        return records if count is None else records[len(records) - count if count < len(records) else 0 :]

    def follow(self, follower: Follower, services: frozenset[str] | None = None) -> Callable[[], None]:
        """Hand all further lines to ``follower``, in batches of ``output`` records as :meth:`last` gives them.

        Args:
            follower: is not to block; one that raises is called no more.
            services: whose lines; None for those of all.

        Returns:
            What ends it; may be called more than once.
        """
        following = _Following(follower, services)
        self._followers.append(following)

        def stop() -> None:
            if following in self._followers:
                self._followers.remove(following)

        return stop

    def report(self, service: str, pid: int) -> list[str]:
        """The last lines of one process, those of stderr behind those of stdout, for the report of its end."""
        found: list[str] = []
        for stream in _STREAMS:
            tail = self._streams.get((service, stream))
            if tail is not None:
                found += tail.report(pid)
        return found

    def forget(self, service: str) -> None:
        """The service is gone for good."""
        for stream in _STREAMS:
            self._streams.pop((service, stream), None)

    def _pieces(self, service: str) -> Iterator[tuple[_Piece, str, ServiceLog]]:
        for stream in _STREAMS:
            tail = self._streams.get((service, stream))
            if tail is not None:
                for piece in tail.last():
                    yield piece, stream, tail.log

    def _tell(self, origin: tuple[str, int, str], messages: Sequence[bytes], log: ServiceLog, wall: float) -> None:
        records: list[Record] | None = None
        for following in tuple(self._followers):
            if following.services is not None and origin[0] not in following.services:
                continue
            if records is None:
                records = _records(origin, messages, log, wall)
            try:
                following.follower(records)
            except Exception:  # noqa: BLE001 - a reader of copies must not disturb the log itself
                self._followers.remove(following)


class _Following:
    __slots__ = ("follower", "services")

    def __init__(self, follower: Follower, services: frozenset[str] | None) -> None:
        self.follower = follower
        self.services = services


class _Piece:
    """Lines that were read at one time."""

    __slots__ = ("arrival", "messages", "pid", "wall")

    def __init__(self, arrival: int, wall: float, pid: int, messages: list[bytes]) -> None:
        self.arrival = arrival
        self.wall = wall
        self.pid = pid
        self.messages = messages

    def cut(self, room: int) -> int:
        """Leave the last lines that fit into ``room`` bytes, and at least the end of the last; how many bytes."""
        size = sum(map(len, self.messages))
        first = 0
        while size > room and first < len(self.messages) - 1:
            size -= len(self.messages[first])
            first += 1
        self.messages = self.messages[first:] if size <= room else [bytes(self.messages[-1][-room:])]
        return min(size, room)


class _Tail:
    """The last lines of one stream, in the pieces in which they were read; whole pieces are dropped."""

    __slots__ = ("_bytes", "_count", "_kept", "log")

    def __init__(self, log: ServiceLog, before: _Tail | None) -> None:
        self.log = log
        self._kept: list[_Piece] = []
        self._count = self._bytes = 0
        for piece in before.last() if before is not None else ():
            self.add(piece)

    def add(self, piece: _Piece) -> None:
        room = self.log.tail * LINE_BYTES
        self._bytes += piece.cut(room)
        self._count += len(piece.messages)
        self._kept.append(piece)
        while self._bytes > room or self._count - len(self._kept[0].messages) >= self.log.tail:
            first = self._kept.pop(0).messages
            self._count -= len(first)
            self._bytes -= sum(map(len, first))

    def last(self) -> list[_Piece]:
        """The pieces, without what is more than the tail's lines."""
        kept = list(self._kept)
        more = self._count - self.log.tail
        if more > 0:
            first = kept[0]
            kept[0] = _Piece(first.arrival, first.wall, first.pid, first.messages[more:])
        return kept

    def report(self, pid: int) -> list[str]:
        messages = [message for piece in self.last() if piece.pid == pid for message in piece.messages]
        if not messages:
            return []
        text = b"\n".join(messages)[-REPORT_BYTES:]
        return text.decode("utf-8", "replace").split("\n")[-self.log.tail :]


def _records(origin: tuple[str, int, str], messages: Sequence[bytes], log: ServiceLog, wall: float) -> list[Record]:
    from supervisor.logs.output import output_records  # noqa: PLC0415 - msgspec, when somebody asks

    return output_records(origin, messages, log, wall)


def _arrival(found: tuple[_Piece, str, ServiceLog]) -> int:
    return found[0].arrival
