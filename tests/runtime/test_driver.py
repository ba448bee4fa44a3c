"""The driver: order of events, spawning, signalling, timers, and the way down."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.service import Service
from supervisor.core.signals import (
    SIGCONT,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
)
from supervisor.core.spec import (
    FleetSpec,
    Forward,
    OnFailure,
    Orphans,
    ReopenLogs,
    Restart,
    RestartLimit,
    ServiceLog,
    ServiceSpec,
    Shutdown,
    StopScope,
    WhenDone,
)
from supervisor.runtime.orphans import PIECE
from supervisor.runtime.pace import INTERVAL
from supervisor.runtime.reaper import BATCH
from supervisor.runtime.spawn import SpawnError
from tests.runtime.rig import Rig, service


def down(rig: Rig) -> int:
    """Let all the time pass that a shutdown may take; the exit code."""
    rig.loop.advance(60)
    assert len(rig.finished) == 1
    return rig.finished[0]


# Starting


def test_services_start_without_a_loop() -> None:
    """The first programs run before there is a loop, in the order of their definition; then the manager is told."""
    rig = Rig(service("db"), service("web"))
    rig.driver.start()
    assert rig.launcher.launched == ["db", "web"]
    assert [record["service"] for record in rig.events("child_started")] == ["db", "web"]
    assert rig.events("child_started", service="web", pid=rig.pid("web"), command=["web"], attempt=1)
    assert rig.manager.told == ["READY=1"]
    rig.assert_sound()


def test_what_happened_before_the_loop_is_handled_by_it() -> None:
    """A child that died and an event that was posted before the loop came are not lost."""
    rig = Rig(service("web"), when_done=WhenDone.PAUSE)
    rig.driver.start()
    rig.kernel.exits(rig.pid("web"))
    rig.driver.post(ev.StartRequested("web"))
    rig.driver.attach(rig.loop, rig.signals)
    rig.loop.settle()
    assert rig.events("child_exited", service="web", exit_code=0)
    rig.assert_sound()


@pytest.mark.parametrize(
    ("error", "symbol", "code"),
    [
        (SpawnError("exec", errno.ENOENT, "web"), "ENOENT", 127),
        (SpawnError("exec", errno.EACCES, "web"), "EACCES", 126),
        (SpawnError("chdir", errno.ENOENT, "/srv"), "ENOENT", 1),
    ],
)
def test_a_spawn_that_fails_is_reported_and_decides(error: SpawnError, symbol: str, code: int) -> None:
    """The stage, the errno and the words are reported; a service that is not restarted has failed with that code."""
    rig = Rig(service("web"))
    rig.launcher.fails("web", [error])
    rig.start()
    (record,) = rig.events("child_spawn_failed")
    assert (record["level"], record["service"], record["stage"]) == ("error", "web", error.stage)
    assert (record["errno"], record["error"]) == (symbol, str(error))
    assert rig.events("child_started") == []
    assert down(rig) == code
    rig.assert_sound()


def test_an_errno_without_a_name_is_told_by_number() -> None:
    """A number that the C library has no name for is reported as it is."""
    rig = Rig(service("web"))
    rig.launcher.fails("web", [SpawnError("exec", 9999, "web")])
    rig.start()
    assert rig.events("child_spawn_failed", errno="9999")
    rig.assert_sound()


def test_a_transient_failure_is_tried_again_for_ever() -> None:
    """While the machine is out of processes, a service neither fails nor uses up its restarts."""
    rig = Rig(service("web", restart_limit=RestartLimit(2, 60.0)))
    rig.launcher.fails("web", [SpawnError("fork", errno.EAGAIN)] * 20)
    rig.start()
    rig.loop.advance(120)
    assert len(rig.events("child_spawn_failed")) == 20
    assert rig.state("web") == "running"
    assert rig.finished == []
    rig.assert_sound()


def test_a_mistake_in_the_launcher_fails_that_service_only() -> None:
    """What nobody foresaw while starting is an internal error; that service has failed, the others run."""
    rig = Rig(service("db"), service("web"), service("mail"), on_failure=OnFailure.IGNORE)
    rig.launcher.fails("web", [RuntimeError("injected")])
    rig.start()
    assert [rig.state(name) for name in ("db", "web", "mail")] == ["running", "failed", "running"]
    (record,) = rig.events("internal_error")
    assert "web" in record["where"]
    assert "injected" in record["error"]


def test_the_process_of_a_failed_spawn_is_nobodys() -> None:
    """A forked child that could not execute its program is reaped without being reported a second time."""
    rig = Rig(service("web"), service("db"), on_failure=OnFailure.IGNORE)
    error = SpawnError("terminal", errno.EIO)
    error.pid = rig.kernel.add("pausevisor").pid
    rig.launcher.fails("web", [error])
    rig.start()
    rig.kernel.exits(error.pid, 127)
    rig.loop.settle()
    assert error.pid not in rig.kernel.processes
    assert len(rig.events("child_spawn_failed")) == 1
    assert rig.events("orphan_exited") == rig.events("child_exited") == []
    # the number comes again, and this time it is a stranger's
    rig.kernel.add("stranger", pid=error.pid)
    rig.kernel.exits(error.pid)
    rig.loop.settle()
    assert rig.events("orphan_exited", pid=error.pid, comm="stranger")
    rig.assert_sound()


def test_a_failure_during_the_start_stops_the_rest_of_it() -> None:
    """A service that fails for good before others were started ends the daemon, and those never start."""
    rig = Rig(service("first"), service("second"), service("third"))
    rig.launcher.fails("first", [SpawnError("exec", errno.ENOENT, "first")])
    rig.start()
    assert down(rig) == 127
    started = {record["service"] for record in rig.events("child_started")}
    exited = {record["service"] for record in rig.events("child_exited")}
    assert started == exited
    assert rig.kernel.alive() == []
    rig.assert_sound()


# Order


def test_events_are_handled_in_the_order_in_which_they_came() -> None:
    """Stop, start and stop again: the mailbox keeps their order."""
    rig = Rig(service("web"), service("db"))
    rig.start()
    first = rig.pid("web")
    for event in (ev.StopRequested("web"), ev.StartRequested("web"), ev.StopRequested("web")):
        rig.driver.post(event)
    rig.loop.settle()
    assert first not in rig.kernel.processes
    assert rig.state("web") == "stopped"
    rig.driver.post(ev.StopRequested("db"))
    rig.driver.post(ev.StartRequested("db"))
    rig.loop.settle()
    assert rig.state("db") == "running"
    rig.assert_sound()


def test_a_flood_of_events_leaves_others_a_turn() -> None:
    """A mailbox with thousands of events is worked off in parts; a TERM comes in between."""
    rig = Rig(service("web"))
    rig.start()
    pid = rig.pid("web")
    for _ in range(5000):
        rig.driver.post(ev.StartRequested("web"))
    rig.loop.turn()
    rig.driver.post(ev.StopRequested("web"))
    rig.signals.pending.append((SIGTERM, 0))
    rig.loop.turn()
    assert rig.kernel.sent == [(pid, SIGTERM), (pid, SIGCONT)]
    assert rig.events("signal_received", signal=SIGTERM)
    assert down(rig) == 0


def test_an_event_that_cant_happen_is_an_internal_error() -> None:
    """The table's "impossible" is a mistake of ours: it is reported, nothing changes, and the daemon goes on."""
    rig = Rig(service("web"))
    rig.start()
    rig.driver.post(ev.ProcessSpawned("web", 4711))
    rig.loop.settle()
    (record,) = rig.events("internal_error")
    assert record["where"] == "ProcessSpawned"
    assert rig.state("web") == "running"
    rig.signal(SIGTERM)
    assert down(rig) == 0


# Reaping


def test_a_mass_of_exits_leaves_others_a_turn() -> None:
    """Orphans that die at one instant are reaped in batches, with a TERM in between, and then they are told."""
    rig = Rig(service("web"))
    rig.start()
    for _ in range(20 * BATCH):
        rig.kernel.exits(rig.kernel.add("worker").pid)
    rig.loop.turn()
    assert rig.driver.counts.reaped == BATCH
    assert rig.events("orphan_exited") == []
    rig.signals.pending.append((SIGTERM, 0))
    rig.loop.turn()
    assert rig.events("signal_received", signal=SIGTERM)
    assert rig.driver.counts.reaped <= 3 * BATCH
    assert down(rig) == 0
    assert len(rig.events("orphan_exited")) == 20 * BATCH
    rig.assert_sound()


def test_so_many_may_be_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the dead never end, what is kept of them does."""
    monkeypatch.setattr("supervisor.runtime.orphans._MOST", 2 * BATCH)
    rig = Rig(service("web"))
    rig.start()
    for _ in range(20 * BATCH):
        rig.kernel.exits(rig.kernel.add("worker").pid)
    while rig.driver.counts.reaped < 20 * BATCH:
        rig.loop.turn()
        assert rig.driver.counts.reaped - len(rig.events("orphan_exited")) <= 2 * BATCH


def test_a_record_that_fails_keeps_back_no_other() -> None:
    """Of orphans that ended together, all but that one are told."""
    rig = Rig(service("web"))
    rig.start()
    for _ in range(10):
        rig.kernel.exits(rig.kernel.add("worker").pid)
    rig.failpoints.arm("emit", rig.failpoints.passed["emit"] + 3, OSError(errno.ENOSPC, "injected"))
    rig.loop.advance(1)
    assert rig.events("internal_error", where="orphans")
    assert len(rig.events("orphan_exited")) == 9


def with_untold_orphans() -> Rig:
    """A daemon that waits for none of them at its end, and has just reaped four pieces of them."""
    rig = Rig(service("web"), main="web", orphans=Orphans.LEAVE)
    rig.start()
    for _ in range(4 * PIECE):
        rig.kernel.exits(rig.kernel.add("worker").pid)
    while rig.driver.counts.orphans < 4 * PIECE:
        rig.loop.turn()
    assert len(rig.events("orphan_exited")) <= PIECE
    return rig


def test_all_are_told_before_the_end() -> None:
    """Orphans that nobody waits for have ended before their service: the end is told last, and they are told."""
    rig = with_untold_orphans()
    for _ in range(4):
        rig.kernel.exits(rig.kernel.add("late").pid)
    rig.exits("web")
    assert rig.finished == [0]
    assert len(rig.events("orphan_exited", comm="worker")) == 4 * PIECE
    assert rig.journal.records[-1]["event"] == "shutdown_finished"


def test_a_record_that_fails_at_the_end_keeps_back_no_other() -> None:
    """All but that one are told, and the end."""
    rig = with_untold_orphans()
    rig.failpoints.arm("emit", rig.failpoints.passed["emit"] + 2 * PIECE, OSError(errno.ENOSPC, "injected"))
    rig.exits("web")
    assert rig.finished == [0]
    assert len(rig.events("orphan_exited", comm="worker")) == 4 * PIECE - 1
    assert rig.journal.records[-1]["event"] == "shutdown_finished"


def test_all_are_told_before_an_end_that_an_answer_brings() -> None:
    """A spawn that fails ends the daemon at once where it waits for nobody: those that are untold are told first."""
    rig = with_untold_orphans()
    rig.launcher.fails("web", [SpawnError("exec", errno.ENOENT, "web")])
    rig.driver.post(ev.RestartRequested("web"))
    rig.loop.settle()
    assert rig.finished == [127]
    assert len(rig.events("orphan_exited", comm="worker")) == 4 * PIECE
    assert rig.journal.records[-1]["event"] == "shutdown_finished"


def test_nothing_is_told_after_the_end() -> None:
    """Who is stopped, or ends, at the same time as the last service is nobody's any more."""
    rig = Rig(service("web"), main="web", orphans=Orphans.LEAVE)
    rig.start()
    stopped, continued, ended = (rig.kernel.add("left").pid for _ in range(3))
    rig.kernel.exits(rig.pid("web"))
    rig.kernel.stops(stopped, SIGSTOP)
    rig.kernel.continues(continued)
    rig.kernel.exits(ended)
    rig.loop.settle()
    assert rig.finished == [0]
    assert rig.journal.records[-1]["event"] == "shutdown_finished"
    rig.assert_sound()


def test_an_orphan_whose_record_fails_keeps_back_no_service() -> None:
    """It is told before a service that ended with it; that the service has ended is known all the same."""
    rig = Rig(service("web"), service("db"))
    worker = rig.kernel.add("worker").pid
    rig.start()
    rig.kernel.exits(worker)
    rig.failpoints.arm("emit", rig.failpoints.passed["emit"] + 1, OSError(errno.ENOSPC, "injected"))
    rig.exits("web")
    rig.loop.advance(1)
    assert rig.events("internal_error")
    assert rig.events("child_exited", service="web")
    assert rig.state("web") == "completed"


def test_an_orphan_is_told_before_the_parent_that_it_outlived() -> None:
    """Records stand in the order of what happened, as long as there are few."""
    rig = Rig(service("web"), service("db"))
    worker = rig.kernel.add("worker").pid
    rig.start()
    rig.kernel.exits(worker)
    rig.exits("web")
    told = [record["event"] for record in rig.journal.records if record["event"].endswith("_exited")]
    assert told == ["orphan_exited", "child_exited"]


def test_a_storm_is_looked_at_now_and_then() -> None:
    """While orphans come one by one without end we are not woken for each; for a TERM we are, at once."""
    rig = Rig(service("web"))
    rig.start()

    def orphan_ends() -> bool:
        """Whether it is reaped at once."""
        before = rig.driver.counts.reaped
        rig.kernel.exits(rig.kernel.add("worker").pid)
        rig.loop.settle()
        return rig.driver.counts.reaped > before

    at_once = 0
    while orphan_ends():
        at_once += 1
        assert at_once < 100
    assert at_once >= 10
    orphan_ends()
    rig.loop.advance(INTERVAL)
    rig.loop.settle()
    assert rig.driver.counts.reaped == at_once + 2
    assert not orphan_ends()
    rig.signal(SIGTERM)
    assert rig.events("signal_received", signal=SIGTERM)
    rig.loop.advance(INTERVAL)
    assert down(rig) == 0
    rig.assert_sound()


def test_a_service_is_never_slowed_down() -> None:
    """One that ends again and again is started again each time without a wait."""
    rig = Rig(service("web", restart=Restart.ALWAYS, restart_delay=0.0, restart_limit=None))
    rig.start()
    for _ in range(200):
        rig.exits("web")
    assert len(rig.events("child_exited")) == 200
    assert rig.signals.held_back == frozenset()


def test_the_dead_go_before_the_adopted() -> None:
    """Where the living came from is looked for when nobody waits to be reaped, a few at a time."""
    rig = Rig(service("web"))
    rig.start()
    adopted = [rig.kernel.add("daemon", environment={"PAUSEVISOR_SERVICE": "web"}).pid for _ in range(40)]
    rig.kernel.exits(rig.kernel.add("leader").pid)
    rig.loop.turn()
    rig.loop.turn()
    looked = rig.failpoints.passed["environment"]
    assert 0 < looked < 40
    for _ in range(3 * BATCH):
        rig.kernel.exits(rig.kernel.add("leader").pid)
    for _ in range(3):
        rig.loop.turn()
    assert rig.driver.counts.orphans == 1 + 3 * BATCH
    assert rig.failpoints.passed["environment"] == looked
    rig.loop.settle()
    assert rig.failpoints.passed["environment"] == 40
    for pid in adopted:
        rig.kernel.exits(pid)
    rig.loop.settle()
    assert len(rig.events("orphan_exited", comm="daemon", origin="web")) == 40
    rig.assert_sound()


def test_a_dying_mass_is_not_walked_at_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """After KILL whoever was forked meanwhile is looked for when the dead are reaped, and rarely before."""
    rig = Rig(service("web"))
    rig.start()
    for _ in range(10 * BATCH):
        rig.kernel.add("stubborn", obeys=set())
    walk = rig.kernel.descendants

    def slow_walk() -> list[int]:
        rig.clock.now += 0.01
        return walk()

    monkeypatch.setattr(rig.kernel, "descendants", slow_walk)
    rig.signals.pending += [(SIGTERM, 0), (SIGTERM, 0)]
    rig.loop.settle()
    assert rig.finished == [0]
    assert len(rig.events("orphan_exited")) == 10 * BATCH
    assert rig.failpoints.passed["descendants"] <= 4
    rig.assert_sound()


def test_forged_notices_of_children_mean_nothing() -> None:
    """SIGCHLD without a child, as often as one likes, is no event and leaves nothing to do."""
    rig = Rig()
    rig.start()
    before = len(rig.journal.records)
    for _ in range(100):
        rig.settle()
    assert len(rig.journal.records) == before
    assert rig.loop.pending_timers() == []
    rig.assert_sound()


def test_a_failing_reaper_comes_again() -> None:
    """When a look at the children fails, it is reported and tried again, without a spin."""
    rig = Rig(service("web"), when_done=WhenDone.PAUSE)
    rig.start()
    rig.failpoints.arm("peek", rig.failpoints.passed["peek"] + 1, OSError(errno.EIO, "injected"))
    rig.exits("web")
    assert rig.events("internal_error", where="reaper")
    assert len(rig.loop.pending_timers()) == 1
    rig.loop.advance(1)
    assert rig.events("child_exited", service="web")
    assert len(rig.events("internal_error")) == 1


def test_a_restart_without_delay_is_immediate() -> None:
    """A dead child's successor runs in the same turn when no delay is configured."""
    rig = Rig(service("web", restart=Restart.ALWAYS, restart_delay=0.0))
    rig.start()
    first = rig.pid("web")
    rig.exits("web")
    assert rig.pid("web") != first
    assert [record["attempt"] for record in rig.events("child_started")] == [1, 2]
    rig.assert_sound()


def test_a_restart_waits_for_its_delay() -> None:
    """After the announced delay, and not before, the service starts again; then nothing wakes us any more."""
    rig = Rig(service("web", restart=Restart.ALWAYS, restart_delay=1.0))
    rig.start()
    rig.exits("web", 1)
    (record,) = rig.events("restart_scheduled")
    rig.loop.advance(record["delay_s"] - 0.001)
    assert rig.state("web") == "backoff"
    rig.loop.advance(0.002)
    assert rig.state("web") == "running"
    assert rig.loop.pending_timers() == []
    rig.assert_sound()


# Signalling


@pytest.mark.parametrize("scope", list(StopScope))
def test_who_gets_the_stop_signal(scope: StopScope) -> None:
    """The process alone, its group, or its whole tree; each then gets CONT, in case it was stopped."""
    rig = Rig(service("web", stop_scope=scope), service("db"))
    rig.start()
    main = rig.pid("web")
    in_group = rig.kernel.add("worker", main, pgrp=main, session=main).pid
    elsewhere = rig.kernel.add("helper", in_group).pid
    rig.driver.post(ev.StopRequested("web"))
    rig.loop.turn()
    told = {pid for pid, signal in rig.kernel.sent if signal == SIGTERM}
    expected = {
        StopScope.PROCESS: {main},
        StopScope.GROUP: {main, in_group},
        StopScope.TREE: {main, in_group, elsewhere},
    }
    assert told == expected[scope]
    assert {pid for pid, signal in rig.kernel.sent if signal == SIGCONT} <= told
    assert (main, SIGCONT) in rig.kernel.sent
    assert rig.events("signal_forwarded", service="web", pid=main, signal=SIGTERM, scope=scope.value)
    rig.assert_sound()


def test_a_control_group_is_more_than_a_tree() -> None:
    """With the tree as its scope a service's signals reach all that is in its group; orphans of it, and once each."""
    rig = Rig(service("web", stop_scope=StopScope.TREE, stop_timeout=1.0), service("db"))
    rig.start()
    main = rig.pid("web")
    in_group = rig.kernel.add("worker", main, pgrp=main, session=main).pid
    elsewhere = rig.kernel.add("helper", in_group).pid
    orphan = rig.kernel.add("daemon").pid
    rig.groups.inside["web"] = [main, in_group, elsewhere, orphan]
    rig.kernel.processes[main].obeys = set()
    rig.driver.post(ev.StopRequested("web"))
    rig.loop.turn()
    assert sorted(pid for pid, signal in rig.kernel.sent if signal == SIGTERM) == sorted(rig.groups.inside["web"])
    assert rig.groups.calls == ["thaw web"]  # a frozen process would not see it
    rig.loop.advance(1.1)
    rig.loop.settle()
    assert rig.groups.calls[:2] == ["thaw web", "kill web"]
    assert not set(rig.groups.inside["web"]) & set(rig.kernel.alive())
    rig.assert_sound()


@pytest.mark.parametrize("scope", list(StopScope))
def test_what_a_stopped_service_leaves_in_its_control_group(scope: StopScope) -> None:
    """It is killed where the tree is the scope, and stays else; the group is left in any case."""
    rig = Rig(service("web", stop_scope=scope), service("db"))
    rig.start()
    orphan = rig.kernel.add("daemon", obeys=set()).pid
    rig.groups.inside["web"] = [orphan]
    rig.kernel.processes[rig.pid("web")].obeys = {SIGTERM}
    rig.driver.post(ev.StopRequested("web"))
    rig.loop.settle()
    assert rig.state("web") == "stopped"
    killed = ["kill web"] if scope is StopScope.TREE else []
    assert rig.groups.calls == ["thaw web", *killed, "left web"]
    assert (orphan in rig.kernel.alive()) is (scope is not StopScope.TREE)
    rig.assert_sound()


def test_what_a_service_that_died_leaves_in_its_control_group() -> None:
    """Before its successor comes it is asked to end, by the stop signal; not when there is to be none."""
    settings: dict[str, Any] = {"stop_scope": StopScope.TREE, "stop_signal": SIGTERM}
    rig = Rig(
        service("web", restart=Restart.ALWAYS, **settings), service("job", **settings), on_failure=OnFailure.IGNORE
    )
    rig.start()
    left = {name: rig.kernel.add("daemon", obeys={SIGTERM}).pid for name in ("web", "job")}
    rig.groups.inside = {name: [pid] for name, pid in left.items()}
    rig.kernel.sent.clear()
    rig.exits("web", 1)
    rig.exits("job", 1)
    assert (left["web"] in rig.kernel.alive(), left["job"] in rig.kernel.alive()) == (False, True)
    assert (left["web"], SIGTERM) in rig.kernel.sent
    assert left["job"] not in {pid for pid, _ in rig.kernel.sent}
    assert [call for call in rig.groups.calls if call.startswith("left")] == ["left web", "left job"]
    rig.settle()
    assert rig.events("orphan_exited")[0]["origin"] == "web"  # though its session tells nothing
    rig.assert_sound()


def test_a_kill_that_was_not_ours_is_looked_up_in_the_services_own_group() -> None:
    """Its counter is asked for, and only then."""
    rig = Rig(service("web"), service("job"), on_failure=OnFailure.IGNORE)
    rig.start()
    rig.kernel.dies(rig.pid("web"), SIGKILL)
    rig.kernel.dies(rig.pid("job"), SIGTERM)
    rig.loop.settle()
    assert rig.groups.calls == ["counter web", "left web", "left job"]
    rig.assert_sound()


def test_a_process_that_is_gone_already_is_only_warned_of() -> None:
    """A signal that finds nobody is a warning that names service, pid and reason; the daemon goes on."""
    rig = Rig(service("web", stop_timeout=1.0), service("db"))
    rig.start()
    pid = rig.pid("web")
    del rig.kernel.processes[pid]
    rig.driver.post(ev.StopRequested("web"))
    rig.loop.settle()
    (record,) = rig.events("supervisor_warning", service="web")
    assert all(word in record["message"] for word in ("SIGTERM", "web", str(pid), "No such process"))
    assert rig.events("internal_error") == []


@pytest.mark.parametrize(
    ("action", "received", "sent"),
    [
        (Forward(), SIGUSR1, {"web": SIGUSR1, "db": SIGUSR1}),
        (Forward(SIGUSR2), SIGUSR1, {"web": SIGUSR2, "db": SIGUSR2}),
        (Forward(None, ("db",)), SIGUSR1, {"db": SIGUSR1}),
        (Forward(SIGQUIT, ("web", "gone")), SIGHUP, {"web": SIGQUIT}),
    ],
)
def test_a_signal_is_forwarded_as_configured(action: Forward, received: int, sent: dict[str, int]) -> None:
    """As it came or as another, to all services or to those named; without CONT, which would wake the stopped."""
    rig = Rig(service("web"), service("db"), signals={received: action})
    rig.start()
    pids = {name: rig.pid(name) for name in sent}
    rig.signal(received, sender=4711)
    assert rig.kernel.sent == [(pids[name], signal) for name, signal in sent.items()]
    assert rig.events("signal_received", signal=received, action="forward", sender_pid=4711)
    assert len(rig.events("signal_forwarded")) == len(sent)
    rig.assert_sound()


def test_a_signal_nobody_configured_is_reported_and_ignored() -> None:
    """It reaches no service and changes nothing."""
    rig = Rig(service("web"))
    rig.start()
    rig.signal(SIGUSR2)
    assert rig.events("signal_received", signal=SIGUSR2, action="ignore")
    assert rig.kernel.sent == []
    rig.assert_sound()


def test_what_becomes_of_lines_changes_with_a_reload() -> None:
    """Whoever has the pipes is told, once the new settings are in force; no process is."""
    rig = Rig(service("web"), service("db"))
    rig.start()
    changed = replace(service("web"), log=ServiceLog(tail=5))
    rig.reloaded = FleetSpec(services={"web": changed, "db": service("db")})
    rig.signal(SIGHUP)
    assert rig.launcher.changed == [changed]
    assert rig.kernel.sent == []
    rig.assert_sound()


def test_log_files_are_opened_again() -> None:
    """By the signal that is configured to do it."""
    rig = Rig(service("web"), signals={SIGUSR1: ReopenLogs()})
    rig.start()
    rig.signal(SIGUSR1)
    assert rig.reopened == 1
    rig.assert_sound()


def test_hup_reads_the_configuration_again() -> None:
    """The reading's result comes through the mailbox: what is new starts, what is gone stops."""
    rig = Rig(service("old"), service("same"))
    rig.start()
    same = rig.pid("same")
    rig.reloaded = FleetSpec(services={"same": service("same"), "new": service("new")})
    rig.signal(SIGHUP)
    assert rig.reloads == 1
    assert set(rig.fleet.services) == {"same", "new"}
    assert rig.pid("same") == same
    assert rig.events("config_reloaded", added=["new"], changed=[], removed=["old"])
    rig.assert_sound()


# The way down


def test_term_stops_what_runs_and_ends_with_0() -> None:
    """TERM, then CONT, for every service; when they are gone, and no descendant is left, the daemon ends."""
    rig = Rig(service("web"), service("db"))
    rig.start()
    rig.signal(SIGTERM)
    assert rig.finished == [0]
    assert rig.manager.told == ["READY=1", "STOPPING=1"]
    assert rig.kernel.processes == {}
    (record,) = rig.events("shutdown_finished")
    assert (record["exit_code"], record["killed"]) == (0, [])
    rig.assert_sound()


def test_a_service_that_ignores_term_is_killed_at_its_deadline() -> None:
    """Not before its stop-timeout, and at once then; it is named as late."""
    rig = Rig(service("web", stop_timeout=2.0))
    rig.launcher.obeys["web"] = set()
    rig.start()
    rig.signal(SIGTERM)
    rig.loop.advance(1.99)
    assert rig.finished == []
    rig.loop.advance(0.02)
    assert rig.finished == [0]
    assert rig.events("shutdown_finished", killed=["web"])
    assert rig.events("child_exited", signal=SIGKILL, expected=True, oom_killed=False)
    rig.assert_sound()


@pytest.mark.parametrize("second", [SIGTERM, SIGINT])
def test_a_second_order_kills_at_once(second: int) -> None:
    """Whoever orders twice does not want to wait: everything gets KILL, services and the rest."""
    rig = Rig(service("web"))
    rig.launcher.obeys["web"] = set()
    rig.start()
    stray = rig.kernel.add("stray", rig.pid("web"), obeys=set()).pid
    rig.signal(SIGTERM)
    assert rig.finished == []
    rig.signal(second)
    assert rig.events("signal_received", signal=second, action="kill")
    assert (stray, SIGKILL) in rig.kernel.sent
    assert rig.finished == [0]
    assert rig.kernel.processes == {}
    rig.assert_sound()


def test_a_stopped_service_is_woken_to_hear_the_order() -> None:
    """CONT follows TERM, so that a stopped process ends by itself and need not be killed."""
    rig = Rig(service("web"))
    rig.start()
    pid = rig.pid("web")
    rig.kernel.stops(pid, SIGSTOP)
    rig.settle()
    rig.signal(SIGTERM)
    assert rig.kernel.sent == [(pid, SIGTERM), (pid, SIGCONT)]
    assert rig.events("child_exited", service="web", signal=SIGTERM)
    assert rig.finished == [0]
    rig.assert_sound()


def test_descendants_get_term_and_then_kill() -> None:
    """What is left when the services are down is asked to end, and killed at the deadline, with its name told."""
    rig = Rig(service("web"), shutdown_timeout=5.0)
    rig.start()
    polite = rig.kernel.add("polite").pid
    stubborn = rig.kernel.add("stubborn", obeys=set()).pid
    below = rig.kernel.add("below", stubborn, obeys=set()).pid
    rig.signal(SIGTERM)
    assert polite not in rig.kernel.processes
    assert {(stubborn, SIGTERM), (stubborn, SIGCONT), (below, SIGTERM)} <= set(rig.kernel.sent)
    rig.loop.advance(4.9)
    assert rig.finished == []
    rig.loop.advance(0.2)
    assert rig.finished == [0]
    (record,) = rig.events("shutdown_finished")
    assert set(record["killed"]) == {f"stubborn[{stubborn}]", f"below[{below}]"}
    assert rig.kernel.processes == {}
    rig.assert_sound()


def test_who_forks_while_it_is_killed_is_killed_again() -> None:
    """A process that starts a successor in the moment of its death does not outrun the KILL."""
    rig = Rig(service("web"), shutdown_timeout=1.0)
    rig.start()
    generations = [rig.kernel.add("racer", obeys=set()).pid]
    notice: Callable[[int], None] = rig.kernel.on_death

    def fork_at_death(pid: int) -> None:
        if pid == generations[-1] and len(generations) < 30:
            generations.append(rig.kernel.add("racer", obeys=set()).pid)
        notice(pid)

    rig.kernel.on_death = fork_at_death
    rig.signal(SIGTERM)
    rig.loop.advance(1.1)
    assert rig.finished == [0]
    assert len(generations) == 30
    assert rig.kernel.processes == {}
    rig.assert_sound()


def test_trouble_with_one_descendant_spares_no_other() -> None:
    """When one process can't be looked at for a reason nobody foresaw, the others are killed all the same."""
    rig = Rig(service("web"), shutdown_timeout=1.0)
    rig.start()
    strays = [rig.kernel.add("stray", obeys=set()).pid for _ in range(5)]
    rig.signal(SIGTERM)
    # the next look is the last sweep's at the first of them
    rig.failpoints.arm("stat", rig.failpoints.passed["stat"] + 1, OSError(errno.ENOMEM, "injected"))
    rig.loop.advance(10)
    assert rig.failpoints.hit
    assert rig.finished == [0]
    assert set(rig.kernel.alive()) <= {strays[0]}


def test_what_even_kill_cant_end_does_not_hold_us_up() -> None:
    """A process that the kernel can't kill (it hangs in a system call) is given up after the last grace."""
    rig = Rig(service("web"), shutdown_timeout=1.0)
    rig.start()
    hung = rig.kernel.add("hung", obeys=set())
    hung.pgrp = hung.session = 1  # as far as we can see it, it is just not reached
    rig.kernel.kill = lambda pid, signal: rig.kernel.sent.append((pid, signal))  # type: ignore[method-assign]
    rig.signal(SIGTERM)
    rig.loop.advance(1.9)
    assert rig.finished == []
    rig.loop.advance(0.2)
    assert rig.finished == [0]


def test_orphans_may_finish_where_asked_for() -> None:
    """With orphans to wait for, the end comes when the last one has gone by itself; nobody is signalled."""
    rig = Rig(service("web"), main="web", orphans=Orphans.WAIT)
    rig.start()
    orphan = rig.kernel.add("orphan").pid
    rig.exits("web", 3)
    rig.loop.advance(3600)
    assert rig.finished == []
    rig.kernel.exits(orphan)
    rig.loop.settle()
    assert rig.finished == [3]
    assert rig.kernel.sent == []
    rig.assert_sound()


def test_an_order_ends_the_waiting_for_orphans() -> None:
    """TERM while orphans may finish: they get TERM, and the deadline counts from then."""
    rig = Rig(service("web"), main="web", orphans=Orphans.WAIT, shutdown_timeout=5.0)
    rig.start()
    rig.kernel.add("orphan", obeys=set())
    rig.exits("web", 3)
    rig.loop.advance(3600)
    rig.signal(SIGTERM)
    rig.loop.advance(4.9)
    assert rig.finished == []
    rig.loop.advance(0.2)
    assert rig.finished == [3]
    rig.assert_sound()


def test_orphans_may_be_left() -> None:
    """Where nobody waits for them, the end comes with the service, and they are not signalled."""
    rig = Rig(service("web"), main="web", orphans=Orphans.LEAVE)
    rig.start()
    orphan = rig.kernel.add("orphan").pid
    rig.exits("web")
    assert rig.finished == [0]
    assert rig.kernel.alive() == [orphan]
    assert rig.kernel.sent == []


def test_no_restart_in_a_shutdown() -> None:
    """A service that is always restarted, and dies in the moment of TERM, stays down."""
    rig = Rig(service("web", restart=Restart.ALWAYS, restart_delay=0.0))
    rig.start()
    rig.signals.pending.append((SIGTERM, 0))
    rig.kernel.exits(rig.pid("web"), 1)
    rig.loop.settle()
    assert len(rig.events("child_started")) == 1
    assert down(rig) == 0
    rig.assert_sound()


@pytest.mark.parametrize("moment", ["backoff", "drain"])
def test_term_waits_for_nothing_it_need_not(moment: str) -> None:
    """A service in back-off holds up no shutdown; a drain delay does, and a second order ends that too."""
    drain = 3.0 if moment == "drain" else 0.0
    rig = Rig(service("web", restart=Restart.ALWAYS, restart_delay=60.0, restart_max_delay=60.0), drain_delay=drain)
    rig.start()
    if moment == "backoff":
        rig.exits("web", 1)
        rig.signal(SIGTERM)
        assert rig.finished == [0]
        return
    rig.signal(SIGTERM)
    rig.loop.advance(2.9)
    assert rig.kernel.sent == []
    rig.signal(SIGTERM)
    assert rig.finished == [0]


def test_a_rewritten_order_stops_with_the_other_signal() -> None:
    """TERM that means "stop them by QUIT": the services get QUIT, and the manager above us sees an orderly end."""
    rig = Rig(service("web", stop_signal=SIGQUIT), signals={SIGTERM: Shutdown(SIGQUIT)})
    rig.launcher.obeys["web"] = {SIGQUIT}
    rig.start()
    pid = rig.pid("web")
    rig.signal(SIGTERM)
    assert rig.kernel.sent[0] == (pid, SIGQUIT)
    assert rig.finished == [0]


def test_a_manager_that_does_not_listen_is_only_warned_of() -> None:
    """The service manager's socket may be gone: that is a warning, and nothing else changes."""
    rig = Rig(service("web"))
    rig.manager.refuses = FileNotFoundError(errno.ENOENT, "No such file or directory")
    rig.start()
    assert "READY=1" in rig.events("supervisor_warning")[0]["message"]
    rig.signal(SIGTERM)
    assert rig.finished == [0]
    rig.assert_sound()


def test_nothing_wakes_an_idle_daemon() -> None:
    """With everything up there is no timer, however long it runs."""
    rig = Rig(*(service(f"web{number}") for number in range(50)))
    rig.start()
    rig.loop.advance(86400)
    assert rig.loop.pending_timers() == []
    assert not rig.loop.turn()
    rig.assert_sound()


def test_followers_see_each_step() -> None:
    """Whoever follows is shown each service that has stepped, when its spawn is done; one that fails harms nobody."""
    rig = Rig(service("web"), service("worker"), on_failure=OnFailure.IGNORE, when_done=WhenDone.PAUSE)
    seen: list[tuple[str, str]] = []

    def fails(*_: object) -> None:
        raise ValueError("oops")

    def looks(name: str, spec: ServiceSpec | None, state: Service | None) -> None:
        assert spec is not None
        assert state is not None
        seen.append((name, state.state.value))

    rig.driver.follow(fails)
    rig.driver.follow(looks)
    rig.start()
    assert seen == [("web", "running"), ("worker", "running")]
    seen.clear()
    rig.exits("web")
    assert seen == [("web", "completed")]
    assert {record["where"] for record in rig.events("internal_error")} == {"following web", "following worker"}


def test_what_has_ended_is_counted() -> None:
    """Main processes by code and signal, orphans, and starts that failed."""
    rig = Rig(service("web"), service("bad"), service("none"), on_failure=OnFailure.IGNORE, when_done=WhenDone.PAUSE)
    rig.launcher.fails("none", [SpawnError("exec", errno.ENOENT, "none")])
    rig.start()
    rig.exits("web", 3)
    rig.kernel.dies(rig.pid("bad"), SIGKILL)
    orphan = rig.kernel.add("orphan")
    rig.kernel.exits(orphan.pid)
    rig.settle()
    counts = rig.driver.counts
    assert counts.exits == {("web", 3, None): 1, ("bad", None, SIGKILL): 1}
    assert counts.spawn_failures == {"none": 1}
    assert (counts.reaped, counts.orphans, counts.oom_kills) == (3, 1, {})
    rig.assert_sound()
