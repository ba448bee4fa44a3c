"""Who finds out how services are: the door to :mod:`supervisor.runtime.watching`.

The start path loads it, so it is a module of its own, and light. Most services ask for nothing of it, and are let pass.
What is behind is imported for the first that does: what it writes to before its program starts, what probes it when the
loop runs.
"""

from __future__ import annotations

from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.events import Event
    from supervisor.core.service import Service
    from supervisor.core.spec import ServiceSpec
    from supervisor.runtime.kernel import Kernel
    from supervisor.runtime.ports import Journal, WatchLoop
    from supervisor.runtime.watching.channels import Channels
    from supervisor.runtime.watching.probing import Probing


class Neighbours(Record):
    """What the watches use and do not own.

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


class ServiceWatches:
    """All services' watches; the ``Watches`` of :mod:`supervisor.runtime.ports`."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._out = neighbours
        self._loop: WatchLoop | None = None
        self._channels: Channels | None = None
        self._probing: Probing | None = None
        self._held: dict[str, tuple[ServiceSpec | None, Service | None]] = {}

    def attach(self, loop: WatchLoop) -> None:
        """From now on the loop drives us; what the services have stepped to before begins with it."""
        self._loop = loop
        if self._channels is not None:
            self._channels.attach(loop)
        held, self._held = self._held, {}
        for name, (spec, service) in held.items():
            self.follow(name, spec, service)

    def prepare(self, spec: ServiceSpec) -> tuple[dict[str, str], dict[int, int]]:
        """Before a start: variables for the process, and descriptors for it, ours by the number it will have.

        Raises:
            OSError: out of descriptors; nothing is left open.
        """
        if spec.ready is None and spec.watchdog is None:
            return {}, {}
        return self._open_channels().open(spec)

    def discard(self, spec: ServiceSpec) -> None:
        """The start has failed: what was prepared is not needed."""
        if self._channels is not None:
            self._channels.close(spec.name)

    def started(self, spec: ServiceSpec, pid: int) -> None:
        """The process runs and has its descriptors."""
        if self._channels is not None:
            self._channels.started(spec.name, pid)

    def follow(self, name: str, spec: ServiceSpec | None, service: Service | None) -> None:
        """Arm and disarm what this state asks for; both None when the service is gone for good."""
        if self._channels is not None:
            self._channels.follow(name, None if service is None else service.pid)
        asks = spec is not None and (spec.ready is not None or spec.health is not None)
        if self._loop is None:
            if asks or name in self._held:
                self._held[name] = (spec, service)
            return
        if self._probing is None:
            if not asks:
                return
            from supervisor.runtime.watching.probing import Probing  # noqa: PLC0415 - where something is probed

            self._probing = Probing(self._out, self._loop)
        self._probing.follow(name, spec, service)

    def hear(self, name: str) -> None:
        """A service's main process is dead, and about to be reaped: what it said last counts first."""
        if self._channels is not None:
            self._channels.hear(name)

    def _open_channels(self) -> Channels:
        if self._channels is None:
            from supervisor.runtime.watching.channels import Channels  # noqa: PLC0415 - where a service tells

            self._channels = Channels(self._out)
            if self._loop is not None:
                self._channels.attach(self._loop)
        return self._channels
