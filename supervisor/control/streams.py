"""Following: records as JSON lines or as server-sent events, for as long as the client stays."""

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

from supervisor.control.records import Entry, Ring
from supervisor.control.waiting import disconnected, first_done
from supervisor.logs.encode import encode_line

_BATCH = 100
"""Records written at once."""

_PAUSE = 0.01
"""Seconds between two batches to one follower: in a storm records are written together, and not one by one."""


class Follow:
    """An answer that is made of a ring's records.

    Args:
        ring: where they come from.
        since: number after which they begin.
        wanted: which of them.
        follow: go on with those that come; otherwise the answer ends with those that are there.
        sse: as server-sent events, WHATWG HTML section 9.2, instead of JSON lines.
    """

    def __init__(self, ring: Ring, since: int, wanted: Callable[[Entry], bool], *, follow: bool, sse: bool) -> None:
        self._ring = ring
        self._position = since
        self._wanted = wanted
        self._follow = follow
        self._sse = sse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, by ASGI."""
        media_type = b"text/event-stream" if self._sse else b"application/x-ndjson"
        headers = [(b"content-type", media_type), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        scope["state"]["connection"].patient = self._follow
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await self._run(send, gone)
        finally:
            gone.cancel()

    async def _run(self, send: Send, gone: "asyncio.Future[None]") -> None:
        await send(_body(b""))  # the head goes out now, so that the client knows that we are there
        while not gone.done():
            entries = self._ring.after(self._position, _BATCH)
            body = self._missed() + b"".join([self._shown(entry) for entry in entries if self._wanted(entry)])
            if body:
                await send(_body(body))
            if entries:
                self._position = entries[-1].number
                await asyncio.sleep(0 if len(entries) == _BATCH else _PAUSE)
            elif not self._follow or self._ring.closed:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            else:
                await self._change(gone)

    def _missed(self) -> bytes:
        """What the ring no longer has, as a record."""
        lost = self._ring.lost
        if self._position >= lost:
            return b""
        record: dict[str, object] = {"event": "events_missed", "from": self._position + 1, "to": lost}
        self._position = lost
        line = encode_line(record)
        return b"event: events_missed\ndata: " + line + b"\n" if self._sse else line

    def _shown(self, entry: Entry) -> bytes:
        if not self._sse:
            return entry.line
        head = f"id: {entry.number}\nevent: {entry.record['event']}\ndata: "
        return head.encode() + entry.line + b"\n"

    async def _change(self, gone: "asyncio.Future[None]") -> None:
        """Wait for the next record, or for the client to go."""
        changed = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not changed.done():
                changed.set_result(None)

        self._ring.on_change(wake)
        try:
            await first_done(changed, gone)
        finally:
            self._ring.forget(wake)
            changed.cancel()


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
