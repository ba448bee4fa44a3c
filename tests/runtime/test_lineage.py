"""Sessions and services: what is remembered, and for how long."""

import pytest

from supervisor.runtime.lineage import VARIABLE, Lineage
from tests.runtime.fakes import FakeClock, FakeKernel

SERVICES = frozenset({"web", "db"})


@pytest.fixture
def kernel() -> FakeKernel:
    """A small world without a process."""
    return FakeKernel(FakeClock())


@pytest.fixture
def lineage(kernel: FakeKernel) -> Lineage:
    """A memory without a session."""
    return Lineage(kernel)


def test_a_services_session_is_its_own(lineage: Lineage) -> None:
    """By session first, by group where the session is another's, and unknown otherwise."""
    lineage.started(10, "web")
    lineage.started(20, "db")
    assert lineage.origin(10, 0) == "web"
    assert lineage.origin(5, 20) == "db"
    assert lineage.origin(10, 20) == "web"
    assert lineage.origin(5, 5) is None


def test_a_number_that_comes_again_is_the_later_owners(lineage: Lineage) -> None:
    """A session's number is reused only when its last process is gone."""
    lineage.started(10, "web")
    lineage.started(10, "db")
    assert lineage.origin(10, 0) == "db"


def test_the_memory_is_bounded(lineage: Lineage) -> None:
    """After many thousand ends the oldest are forgotten; one that was started again counts as new."""
    for pid in (1, 2, *range(3, 4098)):
        lineage.started(pid, "web" if pid < 3 else "db")
        lineage.reaped(pid)
    assert lineage.origin(1, 0) is None
    for pid, service in ((2, "web"), (5000, "db")):
        lineage.started(pid, service)
        lineage.reaped(pid)
    assert lineage.origin(2, 0) == "web"
    assert lineage.origin(3, 0) is None


def test_who_lives_is_not_forgotten(lineage: Lineage) -> None:
    """A service that has been up since before thousands of others' restarts is known all the same."""
    lineage.started(1, "web")
    for pid in range(2, 5000):
        lineage.started(pid, "db")
        lineage.reaped(pid)
    assert lineage.origin(1, 0) == "web"
    lineage.reaped(1)
    assert lineage.origin(1, 0) == "web"


def test_helpers_push_out_no_service(lineage: Lineage) -> None:
    """What a probe's command leaves behind is its service's; thousands of them make us forget each other only."""
    lineage.started(1, "web")
    lineage.reaped(1)
    for pid in range(2, 5000):
        lineage.helped(pid, "db")
        lineage.reaped(pid)
    assert lineage.origin(4999, 0) == "db"
    assert lineage.origin(2, 0) is None
    assert lineage.origin(1, 0) == "web"
    lineage.helped(1, "db")
    assert lineage.origin(1, 0) == "db"


def test_a_session_learned_from_one_process_holds_for_others(kernel: FakeKernel, lineage: Lineage) -> None:
    """The environment of one member names the whole session."""
    leader = kernel.add("daemon", environment={VARIABLE: "web"}).pid
    lineage.look([leader], SERVICES)
    assert lineage.origin(leader, 0) == "web"


def test_one_that_leaves_its_session_late_is_looked_at_again(kernel: FakeKernel, lineage: Lineage) -> None:
    """A daemon is seen while it is still in its service's session: what it makes for itself afterwards is known."""
    lineage.started(10, "web")
    daemon = kernel.add("daemon", session=10, pgrp=10, environment={VARIABLE: "web"})
    lineage.look([daemon.pid], SERVICES)
    daemon.session = daemon.pgrp = daemon.pid
    lineage.look([daemon.pid], SERVICES)
    assert lineage.origin(daemon.pid, 0) == "web"


def test_the_dead_and_the_gone_teach_nothing(kernel: FakeKernel, lineage: Lineage) -> None:
    """A zombie has no environment, and a process that has gone has nothing."""
    zombie = kernel.add("daemon", environment={VARIABLE: "web"}).pid
    kernel.exits(zombie)
    lineage.look([zombie, 4711], SERVICES)
    assert lineage.origin(zombie, 0) is None


def test_a_number_is_looked_at_again_after_its_owner_was_reaped(kernel: FakeKernel, lineage: Lineage) -> None:
    """A process is read once; the next one with its number is another process."""
    pid = kernel.add("first").pid
    lineage.look([pid], SERVICES)
    lineage.look([pid], SERVICES)
    assert kernel.failpoints.passed["environment"] == 1
    kernel.exits(pid)
    lineage.reaped(pid)
    kernel.add("second", pid=pid, environment={VARIABLE: "db"})
    lineage.look([pid], SERVICES)
    assert lineage.origin(pid, 0) == "db"


class SlowKernel(FakeKernel):
    """One in which listing children takes a second."""

    def children(self, pid: int) -> list[int]:
        """It takes its time."""
        self.clock.now += 1.0
        return super().children(pid)


def test_a_mass_of_adopted_is_looked_at_in_pieces() -> None:
    """However many there are, others have their turn after a few; all are looked at, and each only once."""
    kernel = FakeKernel(FakeClock())
    lineage = Lineage(kernel)
    assert not lineage.curious()
    pids = [kernel.add("daemon", environment={VARIABLE: "web"}).pid for _ in range(100)]
    lineage.parent_ended()
    turns: list[int] = []
    while lineage.curious():
        before = kernel.failpoints.passed["environment"]
        assert lineage.look_on(SERVICES) == 0.0
        turns.append(kernel.failpoints.passed["environment"] - before)
    assert turns == [*[10] * 10, 0]
    assert {lineage.origin(pid, 0) for pid in pids} == {"web"}
    lineage.parent_ended()
    while lineage.curious():
        lineage.look_on(SERVICES)
    assert kernel.failpoints.passed["environment"] == 100


def test_listing_rests_nine_times_as_long_as_it_takes() -> None:
    """Among ten thousand children one end after the other would otherwise be nothing but listing them."""
    kernel = SlowKernel(FakeClock())
    lineage = Lineage(kernel)
    kernel.add("daemon")
    lineage.parent_ended()
    while lineage.curious():
        assert lineage.look_on(SERVICES) == 0.0
    lineage.parent_ended()
    kernel.clock.now += 2.0
    assert lineage.look_on(SERVICES) == 7.0
    assert lineage.curious()
    assert kernel.failpoints.passed["children"] == 1
    kernel.clock.now += 7.0
    late = kernel.add("daemon", environment={VARIABLE: "db"}).pid
    lineage.look_on(SERVICES)
    assert lineage.origin(late, 0) == "db"
