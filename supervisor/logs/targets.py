"""Where lines of a service go beside, or instead of, the daemon's own log: the shape of it.

Light modules import this for the type checker only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

Tell = Callable[..., object]
"""Writes a record about a target: level, event, and the fields by name."""


class Loop(Protocol):
    """What a target needs of an event loop; asyncio's and uvloop's have it."""

    def add_reader(self, fd: int, callback: Callable[..., Any], /, *args: Any) -> Any:
        """Run the callback whenever the descriptor is readable."""

    def remove_reader(self, fd: int, /) -> Any:
        """Call back no more."""

    def add_writer(self, fd: int, callback: Callable[..., Any], /, *args: Any) -> Any:
        """Run the callback whenever the descriptor is writable."""

    def remove_writer(self, fd: int, /) -> Any:
        """Call back no more."""

    def call_soon(self, callback: Callable[..., Any], /, *args: Any) -> Any:
        """Run the callback in the next turn."""

    def call_later(self, delay: float, callback: Callable[..., Any], /, *args: Any) -> Any:
        """Run the callback after ``delay`` seconds; the result has a method ``cancel``."""


class Target(Protocol):
    """Where lines go. No method blocks, and none raises for what becomes of the lines.

    Attributes:
        name: as records name it: ``file:/var/log/web.log``.
        blocked: asks capture to read no more of services with overflow=block.
        lost: how many lines and records were lost, by reason, and are not yet told.
        structured: wants records rather than lines.
    """

    name: str
    blocked: bool
    lost: dict[str, int]
    structured: bool

    def lines(self, service: str, pid: int, stream: str, messages: Sequence[bytes], *, whole: bool = False) -> None:
        """Take lines, without their newlines; pieces of a long line are :class:`supervisor.logs.lines.Fragment`.

        ``whole`` are those of a service that waits while this is ``blocked``. What was read before, and what is left
        when it has ended, can't be given again: they are taken though there is no room, unless this is down.
        """

    def records(self, records: Sequence[Mapping[str, object]], *, whole: bool = False) -> None:
        """Take records, with the common fields of all records; ``whole`` as for lines."""

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Call back each time the target is no longer ``blocked``."""

    def attach(self, loop: Loop) -> None:
        """Work, from now on; what came before has waited."""

    def idle(self) -> None:
        """Nobody writes for now: hold nothing open that is not needed for what waits. The next line opens it again."""

    def reopen(self) -> None:
        """Open files again by their names; nothing where there is no file."""

    def flush(self, timeout: float) -> bool:
        """Write what waits, for the end of the process: blocks for at most ``timeout`` seconds; whether all is out."""

    def close(self) -> None:
        """Let go of everything; what still waits is lost."""


class Targets(Protocol):
    """Who knows which target a destination is: one for each file, socket and address, whoever shares it."""

    def acquire(self, destination: Any, service: str) -> Target:
        """The target for a service's lines; ``destination`` says which, as the configuration does."""

    def release(self, target: Target) -> None:
        """One who acquired it needs it no longer."""
