"""The one reaper: batches, order, and what it does when its observer fails."""

from resource import struct_rusage

import pytest

from supervisor.core.signals import SIGCONT, SIGSTOP, SIGTERM
from supervisor.runtime.reaper import BATCH, Reaper
from tests.runtime.fakes import FakeClock, FakeKernel

SIGSEGV = 11


class Observer:
    """Remembers what it was told, in the kernel's own trace, and fails on demand."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel
        self.statuses: dict[int, tuple[int, int]] = {}
        self.signals: list[tuple[str, int, int]] = []
        self.fails_before: set[int] = set()
        self.fails_after: set[int] = set()
        self._peeked = 0

    def before_reap(self, pid: int, status: int) -> None:
        """The zombie has to be there still."""
        assert self._kernel.processes[pid].state == "Z"
        self._kernel.trace.append(("before_reap", pid))
        self._peeked = status
        if pid in self.fails_before:
            raise RuntimeError("before")

    def exited(self, pid: int, status: int, usage: struct_rusage) -> None:
        """The zombie has to be gone."""
        assert pid not in self._kernel.processes
        assert usage.ru_maxrss == 2048
        self._kernel.trace.append(("exited", pid))
        self.statuses[pid] = (self._peeked, status)
        if pid in self.fails_after:
            raise RuntimeError("after")

    def stopped(self, pid: int, signal: int) -> None:
        """Remember."""
        self.signals.append(("stopped", pid, signal))

    def continued(self, pid: int, signal: int) -> None:
        """Remember."""
        self.signals.append(("continued", pid, signal))


@pytest.fixture
def kernel() -> FakeKernel:
    """A small world without a process."""
    return FakeKernel(FakeClock())


@pytest.fixture
def observer(kernel: FakeKernel) -> Observer:
    """Whom the reaper tells."""
    return Observer(kernel)


@pytest.fixture
def reaper(kernel: FakeKernel, observer: Observer) -> Reaper:
    """The reaper under test."""
    return Reaper(kernel, observer)


def test_a_zombie_is_shown_before_it_is_consumed(kernel: FakeKernel, observer: Observer, reaper: Reaper) -> None:
    """The observer sees the zombie while its pid is its own, then it is reaped, then its end is told."""
    pid = kernel.add("web").pid
    kernel.exits(pid, 3)
    assert reaper.run() is False
    assert kernel.trace == [("before_reap", pid), ("reap", pid), ("exited", pid)]
    assert observer.statuses == {pid: (3 << 8, 3 << 8)}


@pytest.mark.parametrize(("signal", "core", "status"), [(SIGTERM, False, 15), (SIGSEGV, True, 0x8B)])
def test_a_peeked_status_is_that_of_wait4(
    kernel: FakeKernel, observer: Observer, reaper: Reaper, signal: int, core: bool, status: int
) -> None:
    """What is told before the reaping, put together from siginfo, equals what wait4(2) returns afterwards."""
    pid = kernel.add("web").pid
    kernel.dies(pid, signal, core=core)
    reaper.run()
    assert observer.statuses == {pid: (status, status)}


def test_a_batch_is_bounded(kernel: FakeKernel, observer: Observer, reaper: Reaper) -> None:
    """More children than a batch take several runs, each of which says whether to come again."""
    for _ in range(2 * BATCH + 1):
        kernel.exits(kernel.add("worker").pid)
    assert reaper.run() is True
    assert len(observer.statuses) == BATCH
    assert reaper.run() is True
    assert reaper.run() is False
    assert len(observer.statuses) == 2 * BATCH + 1


def test_nothing_new_is_no_news(kernel: FakeKernel, observer: Observer, reaper: Reaper) -> None:
    """Without children, and with living ones only, nobody is told anything."""
    assert reaper.run() is False
    kernel.add("web")
    assert reaper.run() is False
    assert (observer.statuses, observer.signals, kernel.trace) == ({}, [], [])


def test_stops_and_continues_are_consumed_and_told(kernel: FakeKernel, observer: Observer, reaper: Reaper) -> None:
    """A stop and a continue are told once each, with the signal, and the process stays."""
    pid = kernel.add("web").pid
    kernel.stops(pid, SIGSTOP)
    kernel.continues(pid)
    assert reaper.run() is False
    assert observer.signals == [("stopped", pid, SIGSTOP), ("continued", pid, SIGCONT)]
    assert kernel.alive() == [pid]
    assert reaper.run() is False
    assert len(observer.signals) == 2


def test_a_failing_observer_leaves_the_child_reaped(kernel: FakeKernel, observer: Observer, reaper: Reaper) -> None:
    """What the observer raises reaches the caller, but no zombie stays that would be peeked at for ever."""
    first, second, third = (kernel.add("web").pid for _ in range(3))
    observer.fails_before, observer.fails_after = {first}, {second}
    for pid in (first, second, third):
        kernel.exits(pid)
    for why in ("before", "after"):
        with pytest.raises(RuntimeError, match=why):
            reaper.run()
    assert reaper.run() is False
    assert [pid for word, pid in kernel.trace if word == "reap"] == [first, second, third]
    assert kernel.processes == {}


def test_an_exit_is_told_even_if_the_last_look_failed(kernel: FakeKernel, observer: Observer, reaper: Reaper) -> None:
    """A failure before the reaping costs what would have been read, not the news that the process has gone."""
    pid = kernel.add("web").pid
    observer.fails_before = {pid}
    kernel.exits(pid, 3)
    with pytest.raises(RuntimeError, match="before"):
        reaper.run()
    assert ("exited", pid) in kernel.trace


def test_it_knows_whether_there_are_children(kernel: FakeKernel, reaper: Reaper) -> None:
    """A zombie is a child too; with none at all there is nothing to wait for."""
    assert reaper.has_children() is False
    pid = kernel.add("web").pid
    assert reaper.has_children() is True
    kernel.exits(pid)
    assert reaper.has_children() is True
    reaper.run()
    assert reaper.has_children() is False
