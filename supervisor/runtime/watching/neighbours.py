"""What the watches use and do not own, and what they need of an event loop."""

from __future__ import annotations

from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from supervisor.core.events import Event
    from supervisor.core.spec import ServiceSpec
    from supervisor.runtime.kernel import Kernel
    from supervisor.runtime.ports import Journal, Loop

    class WatchLoop(Loop, Protocol):
        """What watching needs of an event loop beyond the rest of the shell; asyncio's and uvloop's have it."""

        def remove_reader(self, fd: int) -> Any:
            """Watch it no longer."""

        def add_writer(self, fd: int, callback: Callable[..., Any], *args: Any) -> Any:
            """Run the callback whenever the descriptor is writable."""

        def remove_writer(self, fd: int) -> Any:
            """Watch it no longer."""

        def create_task(self, coroutine: Any) -> Any:
            """Run a coroutine."""

        def getaddrinfo(self, host: str, port: int, *, type: int) -> Any:  # noqa: A002 - as asyncio has it
            """Look up a name, in a thread of the loop's own."""


class Neighbours(Record):
    """All that is round the watches.

    Attributes:
        handle: lets the core decide about an event, at once; called from the loop's callbacks only.
        listen: shows every line of a service to a listener; None ends it.
        run: starts a command as the service's program would be, and hands the wait status of its end to a callback;
            its pid, which leads its process group. Raises SpawnError.
    """

    kernel: Kernel
    journal: Journal
    handle: Callable[[Event], None]
    listen: Callable[[str, Callable[[list[bytes]], None] | None], None]
    run: Callable[[ServiceSpec, tuple[str, ...], Callable[[int], None]], int]
