"""One connection: uvicorn's HTTP/1.1 protocol on h11, with deadlines and bounds for clients that misbehave.

uvicorn parses, keeps connections alive and applies back pressure. What it leaves to a proxy in front of it is added
here, for there is none: a request has to arrive within a time and a size, an answer has to be taken within a time, and
what is wrong is answered by a problem document.
"""

from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from supervisor.control.gate import problem_answer

REQUEST_TIMEOUT = 10.0
"""Seconds from a request's first byte, or from the connection's start, to its last byte."""

STALL_TIMEOUT = 10.0
"""Seconds that an answer may wait for its client to read; followers may take their time."""

LONGEST_REQUEST = 2 * 2**20
"""Bytes of one request, after which the connection is cut: twice the longest body that is accepted, so that a client
that sends too much is told so first, and not drained for ever."""

LONGEST_AHEAD = 65536
"""Bytes that may come behind a request before it is answered."""

_WRITE_BUFFER = 32768
"""Bytes that wait in the daemon for a client to read, at most, beside the piece that is being written."""

_INCOMPLETE = (h11.IDLE, h11.SEND_BODY)


class ClientConnection(H11Protocol):
    """A client; of one kind of listener, which ``config`` belongs to.

    Attributes:
        patient: the client may take its time to read: it follows something.
    """

    def __init__(
        self, config: Config, state: ServerState, loop: Any, gone: Callable[["ClientConnection"], None]
    ) -> None:
        super().__init__(config, state, {"connection": self}, loop)
        self.patient = False
        self._gone = gone
        self._received = 0
        self._request_timer: Any = None
        self._stall_timer: Any = None

    @property
    def idle(self) -> bool:
        """Whether no request is under way, but at most the beginning of one."""
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is None or cycle.response_complete

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self.transport is not None:
            self.transport.abort()

    # -- what the transport tells ---------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        self._arm_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._disarm_request()
        self._disarm_stall()
        self._unset_keepalive_if_required()
        self._gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._received += len(data)
        if self._received > LONGEST_REQUEST:
            self.abort()
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state in _INCOMPLETE:
            self._arm_request()
        else:
            self._disarm_request()
            self._read_ahead()

    def _read_ahead(self) -> None:
        """Go on reading while the answer is made: who does not read never learns that the client has gone.

        What comes is the next request, or nonsense; it waits, and there is room for a little of it.
        """
        self._received = len(self.conn.trailing_data[0])
        if self._received > LONGEST_AHEAD:
            self.abort()
        else:
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        super().pause_writing()
        if not self.patient and self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALL_TIMEOUT, self.abort)

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        super().resume_writing()
        self._disarm_stall()

    # -- what uvicorn calls --------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too long a head of it, and close.

        Not by way of h11: where the rest of a request is wrong, an answer to it is being made already, and nobody waits
        for that one any more.
        """
        if self.idle or not self.cycle.response_started:
            self.transport.write(problem_answer(400, "Bad Request", msg))
        self.transport.close()

    # -- deadlines -----------------------------------------------------------------------------------------------

    def _arm_request(self) -> None:
        if self._request_timer is None:
            self._request_timer = self.loop.call_later(REQUEST_TIMEOUT, self._request_is_late)

    def _disarm_request(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _disarm_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _request_is_late(self) -> None:
        self._request_timer = None
        self.abort()
