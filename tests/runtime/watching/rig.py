"""A driver with watches, in the small world: readiness and health by files, on a fake clock and a real core."""

import os
from collections.abc import Callable
from typing import Any

from supervisor.core.record import replace
from supervisor.core.spec import FileProbe, Restart, ServiceSpec
from supervisor.runtime.watches import Neighbours, ServiceWatches
from tests.runtime.rig import Rig, service
from tests.runtime.watching.support import health, ready


class WatchRig(Rig):
    """A rig whose services are watched.

    Attributes:
        watches: the real ones.
        listeners: by service, who listens to its lines.
        commands: ends of the commands that run, by pid.
    """

    def __init__(self, *services: ServiceSpec, **settings: Any) -> None:
        super().__init__(*services, **settings)
        self.listeners: dict[str, Callable[[list[bytes]], None]] = {}
        self.watches = ServiceWatches(
            Neighbours(
                kernel=self.kernel,
                journal=self.journal,
                handle=self.driver.handle,
                listen=self._listen,
                run=self._run,
            )
        )
        self.driver.follow(self.watches.follow)

    def start(self) -> "WatchRig":
        """Start the services, attach the loop, and let it settle."""
        self.driver.start()
        self.watches.attach(self.loop)  # type: ignore[arg-type]  # files need no more of a loop than it has
        self.driver.attach(self.loop, self.signals)
        self.loop.settle()
        return self

    def _listen(self, name: str, listener: Callable[[list[bytes]], None] | None) -> None:
        if listener is None:
            self.listeners.pop(name)
        else:
            self.listeners[name] = listener

    def _run(self, spec: ServiceSpec, command: tuple[str, ...], done: Callable[[int], None]) -> int:
        process = self.kernel.add(command[0])
        self.driver.helper(process.pid, spec.name, done)
        return process.pid


def path_in(folder: "str | os.PathLike[str]", name: str = "flag") -> str:
    """Path of a file that the tests make and remove."""
    return os.path.join(folder, name)


def touch(path: str) -> None:
    """Make a file."""
    with open(path, "w", encoding="utf-8"):
        pass


def ready_by(path: str, name: str = "web", **changes: Any) -> ServiceSpec:
    """A service that is ready when a file exists."""
    return service(name, ready=ready(FileProbe(path)), start_timeout=60.0, **changes)


def healthy_by(path: str, name: str = "web", restart: Restart = Restart.NEVER, **settings: Any) -> ServiceSpec:
    """A service that is well as long as a file exists."""
    return replace(service(name, restart=restart), health=health(FileProbe(path), **settings))
