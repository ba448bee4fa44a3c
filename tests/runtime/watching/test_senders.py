"""Who may speak for a service, in a small world of processes."""

from typing import Any

import pytest

from supervisor.runtime.lineage import VARIABLE
from supervisor.runtime.watching.senders import Senders, Throttle
from tests.runtime.fakes import OWN, FakeClock, FakeKernel

MAIN, USER = 50, 1000
SERVICE_USERS = frozenset({USER})


@pytest.fixture
def kernel() -> FakeKernel:
    """A world with one service, whose main process is the user's."""
    kernel = FakeKernel(FakeClock())
    kernel.add("web", pid=MAIN, users=SERVICE_USERS, environment={VARIABLE: "web"})
    return kernel


def refusal(kernel: FakeKernel, pid: int, uid: int = USER, own: frozenset[int] = frozenset({MAIN})) -> str:
    """What keeps a process from speaking for the service."""
    return Senders(kernel).refusal(pid, uid, "web", own)


def test_its_own_processes(kernel: FakeKernel) -> None:
    """The main process, whoever is in its session or group, and whatever descends from it, whoever its user is."""
    worker = kernel.add("worker", MAIN)
    grandchild = kernel.add("helper", worker.pid, users=frozenset({33}))
    in_session = kernel.add("orphan", OWN, session=MAIN)
    in_group = kernel.add("orphan", OWN, pgrp=MAIN)
    for pid in (MAIN, worker.pid, grandchild.pid, in_session.pid, in_group.pid):
        assert refusal(kernel, pid) == ""
        assert refusal(kernel, pid, uid=33) == ""


def test_a_zombie_can_still_be_known(kernel: FakeKernel) -> None:
    """A sender that ended at once and is not reaped yet still has its place among the processes."""
    worker = kernel.add("systemd-notify", MAIN, state="Z")
    assert refusal(kernel, worker.pid, uid=33) == ""


def test_strangers(kernel: FakeKernel) -> None:
    """Another service's process, one that was put here from outside, and ourselves speak for nobody here."""
    other = kernel.add("db", environment={VARIABLE: "db"})
    child_of_other = kernel.add("db-worker", other.pid)
    from_outside = kernel.add("sh", 0)
    child_of_outside = kernel.add("systemd-notify", from_outside.pid)
    ours = kernel.add("pausevisor", 0, pid=OWN)
    for pid in (other.pid, child_of_other.pid, from_outside.pid, child_of_outside.pid, ours.pid):
        assert refusal(kernel, pid, uid=0) == "it is no process of the service"


def test_another_namespace(kernel: FakeKernel) -> None:
    """A sender that our namespace has no number for is none of ours, not even as root."""
    assert "another PID namespace" in refusal(kernel, 0, uid=0)


def test_a_sender_that_is_gone_is_known_by_its_user(kernel: FakeKernel) -> None:
    """Nothing else can be known of it: the service's own user and root are heard, others are not."""
    assert refusal(kernel, 999, uid=USER) == ""
    assert refusal(kernel, 999, uid=0) == ""
    assert refusal(kernel, 999, uid=33) == "it has ended, and user 33 is not the service's"


@pytest.mark.parametrize(
    ("environment", "uid", "heard"),
    [
        ({VARIABLE: "web"}, USER, True),
        ({VARIABLE: "web"}, 0, True),
        ({VARIABLE: "web"}, 33, False),
        ({VARIABLE: "db"}, USER, False),
        ({}, USER, False),
    ],
)
def test_a_daemon_that_left_its_session(kernel: FakeKernel, environment: dict[str, str], uid: int, heard: bool) -> None:
    """One that forked twice is known by the name in its environment, which counts for what its user may say."""
    daemon = kernel.add("daemon", OWN, environment=environment)
    worker = kernel.add("worker", daemon.pid)
    for pid in (daemon.pid, worker.pid):
        assert (refusal(kernel, pid, uid=uid) == "") is heard


def test_the_process_that_named_another_still_belongs(kernel: FakeKernel) -> None:
    """After a change of the main process, those of either are the service's."""
    heir = kernel.add("heir", OWN)
    child = kernel.add("worker", heir.pid)
    old = kernel.add("worker", MAIN)
    own = frozenset({MAIN, heir.pid})
    assert refusal(kernel, heir.pid) != ""
    for pid in (heir.pid, child.pid, old.pid, MAIN):
        assert refusal(kernel, pid, own=own) == ""


def test_parents_that_go_in_circles_are_not_followed_for_ever(kernel: FakeKernel) -> None:
    """What /proc says while processes move is not always a tree."""
    first = kernel.add("a")
    second = kernel.add("b", first.pid)
    first.parent = second.pid
    assert refusal(kernel, first.pid) != ""


def test_who_may_become_the_main_process(kernel: FakeKernel) -> None:
    """A living process of the service; not init, not ourselves, not a dead one, not a stranger's."""
    senders = Senders(kernel)
    own = frozenset({MAIN})
    worker: Any = kernel.add("worker", MAIN, users=frozenset({33}))
    dead = kernel.add("worker", MAIN, state="Z")
    stranger = kernel.add("db")
    daemon = kernel.add("daemon", OWN, users=SERVICE_USERS, environment={VARIABLE: "web"})
    assert [pid for pid in (worker.pid, daemon.pid, MAIN) if not senders.is_own(pid, "web", own)] == []
    for pid in (0, 1, OWN, dead.pid, stranger.pid, 999, 2**31):
        assert not senders.is_own(pid, "web", own)


def test_warnings_are_few() -> None:
    """One a minute for each sender, and not many in all, however many senders there are."""
    throttle = Throttle()
    assert [throttle.passes(7, now) for now in (1000.0, 1001.0, 1059.0, 1060.5, 1061.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert sum(throttle.passes(pid, 1062.0) for pid in range(100, 10_000)) == 15
    assert throttle.passes(7, 1121.0)
