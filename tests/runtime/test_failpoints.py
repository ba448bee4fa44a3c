"""A failure at every place where the shell meets something outside it: the daemon goes on.

One scenario is run once to count how often each place is passed, then once for each passage, with a failure there.
"""

from collections.abc import Callable

import pytest

from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.signals import SIGHUP, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1
from supervisor.core.spec import Forward, OnFailure, Reload, Restart, Shutdown, StopScope, WhenDone
from supervisor.core.states import HAS_PROCESS
from tests.runtime.rig import Rig, service

PLACES = [
    "children",
    "close_output",
    "consume_stop",
    "descendants",
    "emit",
    "environment",
    "follow",
    "freeze",
    "hear",
    "kill",
    "kill_control_group",
    "kill_group",
    "last_words",
    "launch",
    "left",
    "members",
    "name",
    "oom_counter",
    "owner",
    "peek",
    "reap",
    "reload",
    "signals.read",
    "stat",
    "tell",
    "thaw",
    "tidy",
    "ties",
]
"""Every place of the fakes that can fail: the clock and our own pid can't."""

ERRORS = {
    "mistake": RuntimeError("injected"),
    "refused": PermissionError(1, "injected"),
    "exhausted": OSError(12, "injected"),
}


def make_rig() -> Rig:
    """A rig with one service of each kind that behaves differently."""
    rig = Rig(
        service("web", restart=Restart.ALWAYS, restart_delay=1.0, stop_timeout=2.0, stop_scope=StopScope.TREE),
        service("db", restart=Restart.ALWAYS, restart_delay=0.0, stop_timeout=2.0),
        service("cron", stop_scope=StopScope.PROCESS, stop_timeout=2.0),
        on_failure=OnFailure.IGNORE,
        when_done=WhenDone.PAUSE,
        shutdown_timeout=5.0,
        signals={SIGTERM: Shutdown(), SIGHUP: Reload(), SIGUSR1: Forward()},
    )
    rig.reloaded = replace(rig.fleet.spec, services={**rig.fleet.specs, "new": service("new")})
    return rig


def live(rig: Rig) -> None:
    """Restarts, orphans, stops, signals and a reload: whatever can be met before the end."""
    rig.start()
    web = rig.fleet.services["web"].pid
    if web is not None:
        for comm, session in (("worker", web), ("daemon", None)):
            child = rig.kernel.add(comm, web, environment={"PAUSEVISOR_SERVICE": "web"})
            if session is not None:
                child.session = child.pgrp = session
        rig.kernel.exits(web, 1)
    rig.loop.advance(0.5)
    stray = rig.kernel.add("stray").pid
    rig.kernel.stops(stray, SIGSTOP)
    rig.settle()
    db = rig.fleet.services["db"].pid
    if db in rig.kernel.processes:
        assert db is not None
        rig.kernel.stops(db, SIGSTOP)
        rig.settle()
        rig.kernel.continues(db)
        rig.kernel.dies(db, SIGKILL)
    rig.loop.advance(5)
    rig.signal(SIGUSR1)
    rig.driver.handle(ev.FreezeRequested("web"))
    rig.driver.handle(ev.ThawRequested("web"))
    rig.signal(SIGHUP)
    if stray in rig.kernel.processes:
        rig.kernel.exits(stray)
    rig.loop.advance(5)


def end(rig: Rig) -> None:
    """An order to end, and somebody who does not want to."""
    rig.kernel.add("stubborn", obeys=set())
    rig.signal(SIGTERM)
    rig.loop.advance(30)


def passages() -> dict[str, tuple[int, int]]:
    """How often each place is passed when nothing fails: before the end, and in all."""
    rig = make_rig()
    live(rig)
    before = dict(rig.failpoints.passed)
    end(rig)
    rig.assert_sound()
    assert rig.finished == [0]
    return {where: (before.get(where, 0), count) for where, count in rig.failpoints.passed.items()}


def each_passage(where: str, error: Exception, numbers: range, run: Callable[[Rig], None]) -> list[tuple[int, Rig]]:
    """Rigs in which the place failed at each passage in turn."""
    rigs = []
    for number in numbers:
        rig = make_rig()
        rig.failpoints.arm(where, number, error)
        run(rig)
        assert rig.failpoints.hit
        rigs.append((number, rig))
    return rigs


def live_and_end(rig: Rig) -> None:
    """The whole scenario."""
    live(rig)
    end(rig)


def test_the_scenario_passes_every_place() -> None:
    """The list of places is complete, and nothing in it is left out by the scenario."""
    assert sorted(passages().keys() - {"monotonic", "own_pid"}) == PLACES


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("where", PLACES)
def test_the_daemon_still_obeys(where: str, kind: str) -> None:
    """Whatever fails, once, wherever: a later TERM ends the daemon, and no service is left."""
    _, count = passages()[where]
    for number, rig in each_passage(where, ERRORS[kind], range(1, count + 1), live_and_end):
        assert rig.finished, f"{where} failed at passage {number}: the daemon never ended"
        assert len(rig.finished) == 1
        left = [rig.kernel.processes[pid].comm for pid in rig.kernel.alive()]
        assert set(left) <= {"stubborn"}, f"{where} failed at passage {number}: processes are left"


@pytest.mark.parametrize("where", PLACES)
def test_a_mistake_is_reported(where: str) -> None:
    """What nobody foresaw is an internal error that says where, or is told to the loop's exception handler."""
    _, count = passages()[where]
    for number, rig in each_passage(where, ERRORS["mistake"], range(1, count + 1), live_and_end):
        told = [record for record in rig.events("internal_error") if "injected" in record["error"]]
        assert told or rig.loop.errors, f"{where} failed at passage {number}: nobody was told"
        assert all(record["where"] for record in told)


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("where", PLACES)
def test_no_process_is_lost(where: str, kind: str) -> None:
    """Whatever fails, once: the daemon knows which services have a process, and no zombie stays."""
    count, _ = passages()[where]
    for number, rig in each_passage(where, ERRORS[kind], range(1, count + 1), live):
        rig.settle()  # the next notice of a child, whenever it comes
        found = {name: (item.state in HAS_PROCESS, item.pid) for name, item in rig.fleet.services.items()}
        said = {name for name, (has_process, _) in found.items() if has_process}
        really = {name for name, (_, pid) in found.items() if pid in rig.kernel.alive()}
        assert said == really, f"{where} failed at passage {number}: {found}"
        assert [pid for pid, process in rig.kernel.processes.items() if process.state == "Z"] == []
