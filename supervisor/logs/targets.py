"""Where lines of a service go beside, or instead of, the daemon's own log: the shape that every such place has."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from supervisor.logs.sink import Watcher

    class Target(Protocol):
        """Where lines of a service go beside, or instead of, the daemon's own log.

        A target that is down or slow keeps what it can within bounds of its own, and counts the rest: no method
        blocks, and none raises for what its file or its peer does.

        Attributes:
            blocked: asks capture to read no more of services with ``overflow = "block"``.
            structured: takes records rather than lines.
            lost: records lost and not yet told, by reason; whoever tells of them takes them out.
        """

        blocked: bool
        structured: bool
        lost: dict[str, int]

        def lines(self, service: str, pid: int, stream: str, messages: Sequence[bytes]) -> None:
            """Take raw messages, without newlines; :class:`~supervisor.logs.lines.Fragment` for a piece of a line."""

        def records(self, records: Sequence[Mapping[str, object]]) -> None:
            """Take ``output`` records; called instead of :meth:`lines` when ``structured`` is true."""

        def on_drain(self, callback: Callable[[], object]) -> None:
            """Call back each time ``blocked`` is no longer true."""

        def attach(self, watcher: Watcher) -> None:
            """Have ``watcher`` say when there is room."""

        def reopen(self) -> None:
            """Open what is written to again, after somebody has moved it."""

        def close(self) -> None:
            """Write what can be written now, and let go of everything."""
