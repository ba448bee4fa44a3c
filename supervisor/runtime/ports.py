"""What the shell needs and is handed: the shapes of its neighbours, of event loops, and of what tests put there.

Light modules import this for the type checker only.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from supervisor.core.service import Service
from supervisor.core.spec import Destination, Output, ServiceLog, ServiceSpec


class Journal(Protocol):
    """Where records go."""

    def wants(self, level: str) -> bool:
        """Whether a record of this level would be written."""

    def emit(self, level: str, event: str, /, **fields: object) -> None:
        """Write one record."""

    def batch(self) -> AbstractContextManager[object]:
        """Write the records of a block in one piece, at its end."""


class Handle(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Call it off."""


class Loop(Protocol):
    """What the shell needs of an event loop; asyncio's and uvloop's have it."""

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Run the callback in the next turn."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Handle:
        """Run the callback after ``delay`` seconds."""

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> Any:
        """Run the callback whenever the descriptor is readable."""


class WatchLoop(Loop, Protocol):
    """What watching services needs of an event loop beyond the rest of the shell."""

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


class Launcher(Protocol):
    """Who starts the programs and listens to their output."""

    def launch(self, spec: ServiceSpec) -> int:
        """Start the service's program; its pid.

        Raises:
            SpawnError: it could not be started, and nothing is left behind.
        """

    def last_words(self, pid: int) -> list[str]:
        """The process is dead: write out what it had written; its last lines."""

    def change_output(self, specs: Sequence[ServiceSpec]) -> None:
        """Do with the lines of these services from now on what the specs say; their processes go on."""

    def close_output(self) -> None:
        """Write out all that is left, and read no more."""


class Watches(Protocol):
    """Who finds out how services are: readiness, notifications, health.

    What is armed follows from the state: the driver shows each service after each of its steps, and whoever watches
    compares with what is armed already.
    """

    def prepare(self, spec: ServiceSpec) -> "tuple[dict[str, str], dict[int, int]]":
        """Before a start: variables for the process, and descriptors for it, ours by the number it will have.

        Raises:
            OSError: out of descriptors; nothing is left open.
        """

    def discard(self, spec: ServiceSpec) -> None:
        """The start has failed: what was prepared is not needed."""

    def started(self, spec: ServiceSpec, pid: int) -> None:
        """The process runs and has its descriptors."""

    def follow(self, name: str, spec: ServiceSpec | None, service: Service | None) -> None:
        """Arm and disarm what this state asks for; both None when the service is gone for good."""

    def hear(self, name: str) -> None:
        """A service's main process is dead and not reaped yet: handle what it said last, before its end is news."""


class Groups(Protocol):
    """The control groups of services."""

    def enter(self, spec: ServiceSpec) -> int | None:
        """A descriptor of the ``cgroup.procs`` of the service's group, which is made; None where there can be none."""

    def members(self, name: str) -> list[int]:
        """Processes in the service's group, zombies excepted; none where it has no group."""

    def owner(self, pid: int) -> str | None:
        """The service in whose group a process is, or a zombie was; None where that is none of ours."""

    def kill(self, name: str) -> bool:
        """KILL all that is in the service's group, at once; False where it has no group."""

    def freeze(self, name: str) -> None:
        """Let nothing in the service's group run.

        Raises:
            LookupError: it has no group.
            OSError: as the kernel says.
        """

    def thaw(self, name: str) -> None:
        """Let a frozen group run again; nothing where it is not frozen."""

    def oom_counter(self, name: str) -> str | None:
        """The file in which the kernel counts kills for memory in the service's group; None where it has none."""

    def left(self, name: str) -> None:
        """The service's main process has ended: its group is removed as soon as nobody is in it."""

    def tidy(self) -> None:
        """Processes have ended: remove the groups that are empty now."""

    def close(self) -> None:
        """The daemon ends: leave the hierarchy as it was found."""


class Signals(Protocol):
    """Where signals to the daemon come from."""

    @property
    def fd(self) -> int:
        """Readable when there are some."""

    def read(self) -> list[tuple[int, int]]:
        """Those that are pending, as (signal, sender)."""

    def hold_back(self, *signals: int) -> None:
        """Leave these pending from now on, and report all others; all, if none is named."""


Pipe = Any
"""The capture's own; all that the launcher looks at is ``write_fd``, the end for the program."""


class Capture(Protocol):
    """Who reads what the services write."""

    def open(
        self, service: str, stream: str, log: ServiceLog, places: tuple[Output | Destination, ...] | None = None
    ) -> Pipe:
        """A new pipe for ``stdout`` or ``stderr`` of a service.

        Its lines are treated as ``log`` says and go to these places; to the log only when None.

        Raises:
            OSError: out of descriptors.
        """

    def bind(self, pipe: Pipe, pid: int) -> None:
        """The program has its end: close ours and begin to read."""

    def discard(self, pipe: Pipe) -> None:
        """There is no program: close both ends."""

    def change(
        self, wanted: Mapping[tuple[str, str], tuple[ServiceLog, tuple[Output | Destination, ...] | None]]
    ) -> None:
        """Treat the lines of these streams, by service and name, in this way from now on; see :meth:`open`."""

    def drain(self, pid: int) -> list[str]:
        """Write out all that this process has written, the last partial line too; its last lines."""

    def listen(self, service: str, listener: Callable[[list[bytes]], None] | None) -> None:
        """Show every line of a service to a listener from now on; None ends it."""

    def close(self) -> None:
        """Write out all that is left, and close all pipes."""
