"""Following: records as JSON lines or as server-sent events, for as long as the client stays."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.types import Message, Receive, Scope, Send

from supervisor.control.records import Entry, Ring
from supervisor.control.waiting import disconnected, first_done
from supervisor.logs.encode import encode_line

_BATCH = 100
"""Records written at once."""

_PAUSE = 0.01
"""Seconds between two batches to one follower: in a storm records are written together, and not one by one."""

Record = dict[str, object]


class Source:
    """Where the records of a stream come from.

    Args:
        ring: has them.
        since: number after which they begin.
        wanted: which of them.
        missed: the record that says which ones the ring has no longer, from the first to the last number.
    """

    def __init__(
        self, ring: Ring, since: int, wanted: Callable[[Record], bool], missed: Callable[[int, int], Record]
    ) -> None:
        self.ring = ring
        self.since = since
        self.wanted = wanted
        self.missed = missed


class Stream:
    """An answer that is made of records: some that are there, and then those of a source.

    Args:
        source: where they come from; None for nowhere.
        first: what comes before them.
        follow: go on with those that come; otherwise the answer ends with those that are there.
        sse: as server-sent events, WHATWG HTML section 9.2, instead of JSON lines.
        ended: called once when the answer is over, however it ends.
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        first: Sequence[Record] = (),
        follow: bool = False,
        sse: bool = False,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._first = first
        self._follow = follow
        self._sse = sse
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, by ASGI."""
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            media_type = b"text/event-stream" if self._sse else b"application/x-ndjson"
            headers = [(b"content-type", media_type), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            scope["state"]["connection"].patient = self._follow
            # the head goes out now, so that a client that waits for the first record knows that we are there
            await send(_body(b"".join([self._shown(record) for record in self._first])))
            if self._source is not None:
                await self._run(self._source, send, gone)
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._ended()

    async def _run(self, source: Source, send: Send, gone: "asyncio.Future[None]") -> None:
        ring, position = source.ring, source.since
        while not gone.done():
            body = b""
            if position < ring.lost:
                body = self._shown(source.missed(position + 1, ring.lost))
                position = ring.lost
            entries = ring.after(position, _BATCH)
            body += b"".join([self._entry(entry) for entry in entries if source.wanted(entry.record)])
            if body:
                await send(_body(body))
            if entries:
                position = entries[-1].number
                await asyncio.sleep(0 if len(entries) == _BATCH else _PAUSE)
            elif not self._follow or ring.closed:
                return
            else:
                await _change(ring, gone)

    def _entry(self, entry: Entry) -> bytes:
        if not self._sse:
            return entry.line
        return f"id: {entry.number}\nevent: {entry.record['event']}\ndata: ".encode() + entry.line + b"\n"

    def _shown(self, record: Record) -> bytes:
        line = encode_line(record)
        return f"event: {record['event']}\ndata: ".encode() + line + b"\n" if self._sse else line


async def _change(ring: Ring, gone: "asyncio.Future[None]") -> None:
    """Wait for the ring's next record, or for the client to go."""
    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not changed.done():
            changed.set_result(None)

    ring.on_change(wake)
    try:
        await first_done(changed, gone)
    finally:
        ring.forget(wake)
        changed.cancel()


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
