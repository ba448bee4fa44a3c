"""A driver in the small world: everything round it is a fake, and everything in it is real."""

from typing import Any, cast

from supervisor.core import events as ev
from supervisor.core.fleet import Fleet
from supervisor.core.record import replace
from supervisor.core.signals import SIGCHLD
from supervisor.core.spec import FleetSpec, Restart, ServiceSpec
from supervisor.runtime.driver import Driver, Outside
from supervisor.runtime.notify import Manager
from tests.runtime.fakes import (
    Failpoints,
    FakeClock,
    FakeGroups,
    FakeKernel,
    FakeLauncher,
    FakeLoop,
    FakeManager,
    FakeSignals,
    FakeWatches,
    Recorder,
)


def service(name: str, **changes: Any) -> ServiceSpec:
    """A service that is never restarted, unless the changes say otherwise."""
    return replace(ServiceSpec(name=name, command=(name,), restart=Restart.NEVER), **changes)


class Rig:
    """The driver and its small world.

    Attributes:
        ears: watches that are shown all and hear what a test wants.
        finished: exit codes that the driver has ended with.
        reopened: how often it was told to open the log files again.
        reloads: how often it was told to read the configuration again.
        reloaded: what such a reading brings; None for nothing.
    """

    def __init__(self, *services: ServiceSpec, **settings: Any) -> None:
        self.clock = FakeClock()
        self.failpoints = Failpoints()
        self.kernel = FakeKernel(self.clock, self.failpoints)
        self.journal = Recorder(self.failpoints)
        self.loop = FakeLoop(self.clock)
        self.signals = FakeSignals(self.failpoints)
        self.launcher = FakeLauncher(self.kernel, self.failpoints)
        self.groups = FakeGroups(self.kernel, self.failpoints)
        self.manager = FakeManager(self.failpoints)
        self.ears = FakeWatches(self.failpoints)
        self.finished: list[int] = []
        self.reloads = 0
        self.reopened = 0
        self.reloaded: FleetSpec | None = None
        self.fleet = Fleet(replace(FleetSpec(services={spec.name: spec for spec in services}), **settings))
        outside = Outside(
            kernel=self.kernel,
            journal=self.journal,
            launcher=self.launcher,
            manager=cast("Manager", self.manager),
            reload=self._reload,
            finished=self.finished.append,
            groups=self.groups,
            watches=self.ears,
            reopen_logs=self._reopen_logs,
        )
        self.driver = Driver(self.fleet, outside)
        self.loop.readable_when(lambda fd: fd == self.signals.fd and self.signals.readable)
        self.kernel.on_death = self._child_died

    def _child_died(self, _pid: int) -> None:
        if (SIGCHLD, 0) not in self.signals.pending:  # it coalesces
            self.signals.pending.append((SIGCHLD, 0))

    def _reopen_logs(self) -> None:
        self.failpoints.pass_by("reopen_logs")
        self.reopened += 1

    def _reload(self) -> None:
        self.failpoints.pass_by("reload")
        self.reloads += 1
        if self.reloaded is not None:
            self.driver.post(ev.Reconfigured(self.reloaded))

    def start(self) -> "Rig":
        """Start the services, attach the loop, and let it settle."""
        self.driver.start()
        self.driver.attach(self.loop, self.signals)
        self.loop.settle()
        return self

    def signal(self, number: int, sender: int = 0) -> None:
        """Send the daemon a signal, and let it settle."""
        self.signals.pending.append((number, sender))
        self.loop.settle()

    def settle(self) -> None:
        """Tell the daemon that a child has news, and let it settle."""
        self.signal(SIGCHLD)

    def exits(self, name: str, code: int = 0) -> None:
        """The main process of a service exits by itself."""
        self.kernel.exits(self.pid(name), code)
        self.loop.settle()

    def pid(self, name: str) -> int:
        """Main process of a service."""
        pid = self.fleet.services[name].pid
        assert pid is not None, f"{name} has no process"
        return pid

    def state(self, name: str) -> str:
        """State of a service, as users see it."""
        return self.fleet.services[name].state.value

    def events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Records of one kind with these fields."""
        return self.journal.events(event, **fields)

    def assert_sound(self) -> None:
        """Nothing went wrong that only a mistake of ours explains."""
        assert self.kernel.unexpected == []
        assert self.loop.errors == []
        assert self.events("internal_error") == []
