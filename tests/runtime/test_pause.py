"""The pause mode's decisions in the small world: signals, orphans, and the end."""

from collections.abc import Callable
from typing import cast

import pytest

from supervisor.core.signals import SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGUSR1
from supervisor.logs.journal import Journal
from supervisor.pause import LAST_GRACE, SHUTDOWN_TIMEOUT, Pause
from supervisor.runtime.pace import INTERVAL, Pace
from supervisor.runtime.poll import PollLoop
from supervisor.runtime.reaper import BATCH
from tests.runtime.fakes import Failpoints, FakeClock, FakeKernel, FakeSignals, Recorder


class Turns(PollLoop):
    """The pause mode's own loop, turn by turn, with timers on the fake clock.

    Attributes:
        ended: how often it was told to end.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.ended = 0
        self._due: list[tuple[float, Callable[[], object]]] = []

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        """Keep."""
        self._due.append((self.clock.now + delay, callback))

    def stop(self) -> None:
        """Count."""
        self.ended += 1

    def settle(self, turns: int = 10) -> None:
        """Take some turns."""
        for _ in range(turns):
            self.call_soon(super().stop)
            self.run()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds
        for timer in [timer for timer in self._due if timer[0] <= self.clock.now]:
            self._due.remove(timer)
            self.call_soon(timer[1])
        self.settle()


class World:
    """A pause in the small world."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.failpoints = Failpoints()
        self.kernel = FakeKernel(self.clock, self.failpoints)
        self.journal = Recorder(self.failpoints)
        self.loop = Turns(self.clock)
        self.signals = FakeSignals(self.failpoints)
        self.reloads: list[str] = []
        self.pause = Pause(
            self.kernel,
            cast("Journal", self.journal),
            self.loop,
            Pace(self.loop, self.signals),
            lambda: self.reloads.append("reload"),
        )

    def signal(self, *signals: int) -> None:
        """The daemon reads these signals."""
        self.loop.call_soon(lambda: self.pause.signals([(signal, 4711) for signal in signals]))
        self.loop.settle()

    def orphan_ends(self) -> None:
        """An orphan has ended, and the signal of it is read, unless it is held back."""
        self.kernel.exits(self.kernel.add("worker").pid)
        if SIGCHLD not in self.signals.held_back:
            self.signal(SIGCHLD)


@pytest.fixture
def world() -> World:
    """A pause that has just begun."""
    return World()


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT, SIGQUIT, 37])
def test_an_order_ends_it(world: World, signal: int) -> None:
    """With nobody below us at once, with status 0 and no warning."""
    world.signal(signal)
    assert world.loop.ended == 1
    assert world.journal.events("signal_received", signal=signal, action="shutdown", sender_pid=4711)
    assert world.journal.events("shutdown_finished", level="info", exit_code=0, killed=[])


def test_other_signals_do_nothing(world: World) -> None:
    """They are reported, and it goes on."""
    world.signal(SIGUSR1)
    assert world.journal.events("signal_received", signal=SIGUSR1, action="ignore")
    assert world.loop.ended == 0


def test_hup_looks_whether_there_is_something_to_run(world: World) -> None:
    """Not during the end any more."""
    world.signal(SIGHUP)
    assert world.reloads == ["reload"]
    world.kernel.add("stubborn", obeys=set())
    world.signal(SIGTERM)
    world.signal(SIGHUP)
    assert world.reloads == ["reload"]


def test_orphans_are_reported(world: World) -> None:
    """Their stops, continues and ends, with the name of the program."""
    pid = world.kernel.add("worker").pid
    world.kernel.stops(pid, SIGSTOP)
    world.kernel.continues(pid)
    world.signal(SIGCHLD)
    world.kernel.exits(pid, 3)
    world.signal(SIGCHLD)
    assert world.journal.events("orphan_stopped", pid=pid, comm="worker", signal=SIGSTOP)
    assert world.journal.events("orphan_continued", pid=pid, comm="worker", signal=SIGCONT)
    assert world.journal.events("orphan_exited", pid=pid, comm="worker", exit_code=3, max_rss_bytes=2048 * 1024)
    assert world.kernel.unexpected == []


def test_a_mass_of_orphans_is_reaped_in_batches(world: World) -> None:
    """Others get a turn between the batches, and in the end none is left."""
    for _ in range(3 * BATCH):
        world.kernel.exits(world.kernel.add("worker").pid)
    world.loop.call_soon(lambda: world.pause.signals([(SIGCHLD, 0)]))
    world.loop.settle(1)
    assert len(world.journal.events("orphan_exited")) == BATCH
    world.loop.settle()
    assert len(world.journal.events("orphan_exited")) == 3 * BATCH


def test_what_is_left_is_asked_and_then_killed(world: World) -> None:
    """TERM and CONT for all below us, KILL at the deadline, and the late ones are named."""
    polite = world.kernel.add("polite").pid
    stubborn = world.kernel.add("stubborn", obeys=set()).pid
    world.signal(SIGTERM)
    world.signal(SIGCHLD)
    assert polite not in world.kernel.processes
    assert world.loop.ended == 0
    world.loop.advance(SHUTDOWN_TIMEOUT)
    assert (stubborn, SIGKILL) in world.kernel.sent
    world.signal(SIGCHLD)
    assert world.loop.ended == 1
    assert world.journal.events("shutdown_finished", level="warning", killed=[f"stubborn[{stubborn}]"])


def test_a_second_order_kills_at_once(world: World) -> None:
    """Whoever orders twice does not want to wait."""
    pid = world.kernel.add("stubborn", obeys=set()).pid
    world.signal(SIGTERM)
    world.signal(SIGTERM)
    assert (pid, SIGKILL) in world.kernel.sent
    world.signal(SIGCHLD)
    assert world.loop.ended == 1


def test_what_even_kill_cant_end_does_not_hold_us_up(world: World) -> None:
    """The last grace is a second; then it ends whatever is left, once."""
    world.kernel.add("hung", obeys=set())
    world.kernel.kill = lambda _pid, _signal: None  # type: ignore[method-assign,assignment]
    world.signal(SIGTERM)
    world.loop.advance(SHUTDOWN_TIMEOUT)
    assert world.loop.ended == 0
    world.loop.advance(LAST_GRACE)
    assert world.loop.ended == 1
    assert len(world.journal.events("shutdown_finished")) == 1


def test_who_is_killed_twice_is_told_once(world: World) -> None:
    """By a second order, and again when the time is over."""
    hung = world.kernel.add("hung", obeys=set()).pid
    world.kernel.kill = lambda _pid, _signal: None  # type: ignore[method-assign,assignment]
    world.signal(SIGTERM)
    world.loop.advance(SHUTDOWN_TIMEOUT - LAST_GRACE / 2)
    world.signal(SIGTERM)
    world.loop.advance(LAST_GRACE / 2)
    world.loop.advance(LAST_GRACE / 2)
    assert world.journal.events("shutdown_finished", killed=[f"hung[{hung}]"])


PLACES = ["emit", "peek", "reap", "consume_stop", "name", "stat", "children", "descendants", "kill"]


def live(world: World) -> None:
    """Orphans stop, continue and end; then orders, two in case one failed, and somebody who ignores them."""
    pid = world.kernel.add("worker").pid
    world.kernel.stops(pid, SIGSTOP)
    world.signal(SIGCHLD)
    world.kernel.continues(pid)
    world.signal(SIGCHLD)
    world.kernel.exits(pid)
    world.signal(SIGCHLD)
    world.kernel.add("stubborn", obeys=set())
    world.signal(SIGUSR1)
    for _ in range(2):
        world.signal(SIGTERM)
        for _ in range(3):
            world.loop.advance(SHUTDOWN_TIMEOUT)
            world.signal(SIGCHLD)


@pytest.mark.parametrize("where", PLACES)
def test_no_mistake_ends_it(where: str) -> None:
    """Whatever fails, once, wherever: as PID 1 it must not die of it, and a later TERM still ends it in order.

    What a callback raises ends the loop, and with it the whole container.
    """
    sound = World()
    live(sound)
    assert sound.loop.ended >= 1
    for number in range(1, sound.failpoints.passed[where] + 1):
        world = World()
        world.failpoints.arm(where, number, OSError(12, "injected"))
        live(world)
        assert world.failpoints.hit
        assert world.loop.ended >= 1, f"{where} failed at passage {number}"


def test_a_storm_is_looked_at_now_and_then(world: World) -> None:
    """While orphans end one by one without end, they are looked for every few milliseconds; a TERM is heard at once."""
    while SIGCHLD not in world.signals.held_back:
        world.orphan_ends()
    told = len(world.journal.events("orphan_exited"))
    assert 10 <= told < 100
    world.orphan_ends()
    world.orphan_ends()
    assert world.signals.held_back == {SIGCHLD}
    world.loop.advance(INTERVAL)
    assert world.signals.held_back == set()
    world.signal(SIGCHLD)
    assert len(world.journal.events("orphan_exited")) == told + 2
