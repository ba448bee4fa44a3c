"""All services together: the end of all, who decides the exit code, and the way down."""

from collections.abc import Iterable

import pytest

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.descent import LAST_GRACE, Phase
from supervisor.core.fleet import Fleet
from supervisor.core.record import replace
from supervisor.core.reload import compare
from supervisor.core.signals import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2
from supervisor.core.spec import (
    FileProbe,
    FileSink,
    FleetSpec,
    Forward,
    Health,
    Kind,
    Need,
    OnFailure,
    Orphans,
    Ready,
    ReopenLogs,
    Restart,
    ServiceLog,
    ServiceSpec,
    Shutdown,
    StopScope,
    TcpProbe,
    Transparent,
    Until,
    WhenDone,
)
from supervisor.core.states import Reason, State

EXITED = {code: code << 8 for code in (0, 3, 5)}
PORT = TcpProbe("127.0.0.1", 80)


def spec(name: str, restart: Restart = Restart.NEVER, **changes: object) -> ServiceSpec:
    """A service that is not restarted, unless said otherwise."""
    return replace(ServiceSpec(name=name, command=(name,), restart=restart), **changes)


class World:
    """A fleet, its clock, and a shell that spawns at once and remembers what it was told to do."""

    def __init__(self, *services: ServiceSpec, **settings: object) -> None:
        self.spec = replace(FleetSpec(services={service.name: service for service in services}), **settings)
        self.fleet = Fleet(self.spec)
        self.now = 100.0
        self.pids: dict[str, int] = {}
        self.effects: list[fx.Effect] = []
        self._next_pid = 7
        self._do(self.fleet.start(self.now))

    def send(self, event: ev.Event) -> "World":
        """Let the fleet handle an event, and carry out what follows."""
        self._do(self.fleet.handle(event, self.now))
        return self

    def advance_to_deadline(self) -> "World":
        """Let the time come that the daemon waits for."""
        assert self.fleet.deadline is not None
        self.now = self.fleet.deadline
        return self.send(ev.FleetDeadlinePassed())

    def exits(self, name: str, status: int) -> "World":
        """The main process of a service ends."""
        del self.pids[name]
        return self.send(ev.ProcessExited(name, status))

    def states(self) -> dict[str, State]:
        """What every service is."""
        return {name: service.state for name, service in self.fleet.services.items()}

    def signals(self) -> list[tuple[str, int]]:
        """Signals sent to services."""
        return [(effect.service, effect.signal) for effect in self.effects if isinstance(effect, fx.SendSignal)]

    def swept(self) -> list[int]:
        """Signals sent to all descendants."""
        return [effect.signal for effect in self.effects if isinstance(effect, fx.SignalDescendants)]

    def exit_code(self) -> int | None:
        """The exit code, once the daemon has one."""
        return next((effect.exit_code for effect in self.effects if isinstance(effect, fx.Finish)), None)

    def reports(self, event: str) -> list[dict[str, object]]:
        """Fields of the records of one kind."""
        return [r.fields for r in self.effects if isinstance(r, fx.Report) and r.event == event]

    def told(self) -> list[str]:
        """What the manager above was told."""
        return [effect.message for effect in self.effects if isinstance(effect, fx.NotifyManager)]

    def end(self) -> int:
        """Let whatever is left end; the exit code."""
        if self.exit_code() is None:
            self.send(ev.ChildrenGone())
        code = self.exit_code()
        assert code is not None
        assert self.fleet.phase is Phase.OVER
        return code

    def _do(self, effects: Iterable[fx.Effect]) -> None:
        todo = list(effects)
        while todo:
            effect = todo.pop(0)
            self.effects.append(effect)
            if isinstance(effect, fx.Spawn) and self.fleet.awaits_spawn(effect.service, effect.attempt):
                self.pids[effect.service] = self._next_pid
                self._next_pid += 1
                spawned = ev.ProcessSpawned(effect.service, self.pids[effect.service])
                todo[:0] = self.fleet.handle(spawned, self.now)


TERM = ev.SignalReceived(SIGTERM)
INT = ev.SignalReceived(SIGINT)


def test_no_service_pauses() -> None:
    """With nothing configured the daemon pauses, says so once, and ends with 0 when told to."""
    world = World()
    assert world.reports("pause_entered") == [{"reason": "no service is configured"}]
    assert world.told() == ["READY=1"]
    assert world.send(TERM).end() == 0


def test_ready_is_told_once_when_all_are_up() -> None:
    """READY=1 goes up when the last service runs or has ended, and only once."""
    world = World(spec("a"), spec("b", Restart.ALWAYS))
    assert world.told() == ["READY=1"]
    world.exits("b", EXITED[3])
    assert world.told() == ["READY=1"]


@pytest.mark.parametrize(("when_done", "ends"), [(WhenDone.EXIT, True), (WhenDone.PAUSE, False)], ids=["exit", "pause"])
def test_all_services_finished(when_done: WhenDone, *, ends: bool) -> None:
    """When the last service is completed the daemon exits with 0, or pauses, as configured."""
    world = World(spec("a"), spec("b"), when_done=when_done).exits("a", 0)
    assert world.fleet.phase is Phase.UP
    world.exits("b", 0)
    if ends:
        assert world.end() == 0
    else:
        assert world.reports("pause_entered") == [{"reason": "every service has finished"}]


def test_stopped_by_order_is_not_finished() -> None:
    """Who stops the last service by hand keeps the daemon."""
    world = World(spec("a")).send(ev.StopRequested("a")).exits("a", SIGTERM)
    assert world.fleet.phase is Phase.UP
    assert world.states() == {"a": State.STOPPED}


@pytest.mark.parametrize(("status", "code"), [(EXITED[3], 3), (SIGKILL, 137), (11 | 128, 139)])
def test_failure_for_good_ends_the_daemon(status: int, code: int) -> None:
    """A service that failed for good takes the others down in order, and its status becomes ours."""
    world = World(spec("a"), spec("b")).exits("a", status)
    assert world.signals() == [("b", SIGTERM)]
    assert world.exits("b", SIGTERM).end() == code


def test_failure_can_be_ignored() -> None:
    """With on-failure = "ignore" the others go on, and the end of all is a clean one."""
    world = World(spec("a"), spec("b"), on_failure=OnFailure.IGNORE).exits("a", EXITED[3])
    assert world.states() == {"a": State.FAILED, "b": State.RUNNING}
    assert world.exits("b", 0).end() == 0


def test_failed_spawn_gives_the_shells_code() -> None:
    """A program that was not found ends the daemon with 127."""
    world = World(spec("a", Restart.ON_FAILURE), spec("b"))
    world.exits("a", EXITED[3])
    world.now = 101.0
    effects = world.fleet.handle(ev.DeadlinePassed("a"), world.now)
    assert any(isinstance(effect, fx.Spawn) for effect in effects)
    world.fleet.specs["a"] = spec("a")  # a policy without restarts, so that this failure is for good
    world.send(ev.SpawnFailed("a", 127))
    assert world.exits("b", SIGTERM).end() == 127


@pytest.mark.parametrize(("status", "code"), [(0, 0), (EXITED[3], 3), (SIGTERM, 143)])
def test_main_service_ends_the_daemon(status: int, code: int) -> None:
    """The exit of the main service begins the orderly shutdown, and its status is returned at the end of it."""
    world = World(spec("web"), spec("log", Restart.ALWAYS), main="web").exits("web", status)
    assert world.signals() == [("log", SIGTERM)]
    assert world.exits("log", SIGTERM).end() == code


def test_main_service_that_is_restarted_goes_on() -> None:
    """A main service with a restart policy ends the daemon only when the policy gives it up."""
    world = World(spec("web", Restart.ON_FAILURE), main="web").exits("web", EXITED[3])
    assert world.states() == {"web": State.BACKOFF}
    assert world.fleet.phase is Phase.UP


@pytest.mark.parametrize(
    ("status", "code"),
    [(0, 0), (EXITED[5], 5), (SIGTERM, 0), (SIGKILL, 0)],
    ids=["exits 0", "exits 5", "by TERM", "by KILL"],
)
def test_ordered_shutdown_returns_what_main_chose(status: int, code: int) -> None:
    """After TERM: 0, or the exit code that the main service chose; a death by our own signal counts as 0."""
    world = World(spec("web"), main="web").send(TERM).exits("web", status)
    assert world.end() == code


def test_success_status_counts_as_zero() -> None:
    """An exit code that the user calls a success is one for us too."""
    world = World(spec("web", success_codes=frozenset({0, 143})), main="web").send(TERM)
    assert world.exits("web", 143 << 8).end() == 0


def test_ordered_shutdown_ignores_a_crash_before_it() -> None:
    """The status of a main service that waits for its restart is history, not an answer."""
    world = World(spec("web", Restart.ALWAYS), main="web").exits("web", EXITED[5]).send(TERM)
    assert world.end() == 0


def single(**changes: object) -> World:
    """The single-command form: transparent, every signal forwarded."""
    actions = dict.fromkeys((SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2), Forward()) | {
        SIGTERM: Shutdown(),
        SIGINT: Shutdown(),
    }
    service = spec("main", transparent=Transparent())
    return World(service, **{"main": "main", "signals": actions, **changes})


@pytest.mark.parametrize(("status", "code"), [(0, 0), (EXITED[5], 5), (SIGTERM, 143), (SIGKILL, 137)])
def test_single_command_returns_its_status_whatever_it_is(status: int, code: int) -> None:
    """As under tini: 143 after TERM too."""
    assert single().exits("main", status).end() == code
    assert single().send(TERM).exits("main", status).end() == code


def test_single_command_gets_every_signal_as_it_came() -> None:
    """INT, then TERM, then others: each is passed on; only the same order twice becomes KILL."""
    world = single()
    for signal in (SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1):
        world.send(ev.SignalReceived(signal))
    assert world.signals() == [("main", s) for s in (SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1)]
    world.send(INT)
    assert world.signals()[-1] == ("main", SIGKILL)


def test_rewritten_stop_signal() -> None:
    """TERM rewritten to QUIT is an order to end that arrives as QUIT."""
    world = single(signals={SIGTERM: Shutdown(SIGQUIT)}).send(TERM)
    assert world.signals() == [("main", SIGQUIT)]
    assert world.fleet.deadline is not None


def test_stop_signal_is_the_one_received() -> None:
    """INT is forwarded as INT, TERM as TERM; QUIT, which is ours to be stopped by, becomes TERM."""
    for received, sent in ((SIGTERM, SIGTERM), (SIGINT, SIGINT), (SIGQUIT, SIGTERM), (37, SIGTERM)):
        world = World(spec("a"), spec("b", stop_signal=SIGUSR1)).send(ev.SignalReceived(received))
        assert world.signals() == [("a", sent), ("b", SIGUSR1)]


def test_second_term_kills_at_once() -> None:
    """A second TERM or INT does not wait any longer: KILL for services and everything below us."""
    world = World(spec("a"), spec("b")).send(TERM).send(INT)
    assert world.signals()[-2:] == [("a", SIGKILL), ("b", SIGKILL)]
    assert world.swept() == [SIGKILL]
    world.exits("a", SIGKILL).exits("b", SIGKILL)
    assert world.end() == 0
    assert world.reports("shutdown_finished")[0]["killed"] == ["a", "b"]


def test_first_term_after_an_end_that_nobody_ordered_is_the_first() -> None:
    """TERM while the daemon already goes down by itself is the first order, not the second."""
    world = World(spec("a"), spec("b")).exits("a", EXITED[3]).send(TERM)
    assert world.swept() == []
    world.send(TERM)
    assert world.swept() == [SIGKILL]


def test_late_service_is_killed_by_its_own_timeout() -> None:
    """The service's stop-timeout comes before the shared deadline; who was late is named."""
    world = World(spec("a", stop_timeout=2.0)).send(TERM)
    assert world.fleet.services["a"].deadline == world.now + 2.0
    world.now += 2.0
    world.send(ev.DeadlinePassed("a"))
    assert world.signals()[-1] == ("a", SIGKILL)
    world.exits("a", SIGKILL)
    world.end()
    assert world.reports("shutdown_finished")[0]["killed"] == ["a"]


def test_shared_deadline_bounds_every_timeout() -> None:
    """A service with a longer timeout is killed by the shutdown's deadline, and so is everything else."""
    world = World(spec("a", stop_timeout=3600.0), shutdown_timeout=9.0).send(TERM)
    assert world.fleet.services["a"].deadline == world.fleet.deadline == world.now + 9.0


def test_descendants_are_swept_after_the_services() -> None:
    """When the services are down, what is left gets TERM, at the deadline KILL, and then a last grace."""
    world = World(spec("a")).send(TERM)
    assert world.swept() == []
    world.exits("a", SIGTERM)
    assert world.swept() == [SIGTERM]
    assert world.fleet.wants_children_gone()
    world.advance_to_deadline()
    assert world.swept() == [SIGTERM, SIGKILL]
    world.send(ev.DescendantsKilled(("cron[12]",)))
    assert world.fleet.deadline == world.now + LAST_GRACE
    world.advance_to_deadline()
    assert world.exit_code() == 0
    assert world.reports("shutdown_finished")[0]["killed"] == ["cron[12]"]


def test_unkillable_service_does_not_hold_the_end() -> None:
    """A process that the kernel can't kill (uninterruptible sleep) keeps nobody: after the last grace we end."""
    world = World(spec("a")).send(TERM).advance_to_deadline()
    assert world.swept() == [SIGKILL]
    world.advance_to_deadline()
    assert world.exit_code() == 0


def test_early_deadline_is_none() -> None:
    """A timer that fires too early changes nothing."""
    world = World(spec("a")).send(TERM).send(ev.FleetDeadlinePassed())
    assert world.swept() == []
    assert world.signals() == [("a", SIGTERM)]


@pytest.mark.parametrize("orphans", list(Orphans))
def test_what_becomes_of_orphans(orphans: Orphans) -> None:
    """After the command: TERM for what it left, or waiting for it, or nothing at all."""
    world = single(orphans=orphans).exits("main", EXITED[3])
    assert world.swept() == ([SIGTERM] if orphans is Orphans.TERMINATE else [])
    assert world.exit_code() == (3 if orphans is Orphans.LEAVE else None)
    if orphans is Orphans.WAIT:
        assert world.fleet.deadline is None
        world.send(TERM)
        assert world.swept() == [SIGTERM]
        assert world.fleet.deadline is not None
    assert world.end() == 3


def test_drain_tells_first_and_stops_later() -> None:
    """With a drain delay STOPPING=1 goes up at once, and the stop signals come when the delay is over."""
    world = World(spec("a"), drain_delay=3.0, shutdown_timeout=9.0).send(TERM)
    assert world.told()[-1] == "STOPPING=1"
    assert world.signals() == []
    began = world.now
    world.advance_to_deadline()
    assert world.signals() == [("a", SIGTERM)]
    assert world.fleet.deadline == began + 9.0


def test_nothing_restarts_while_draining() -> None:
    """A service that dies while the daemon drains stays down."""
    world = World(spec("a", Restart.ALWAYS, restart_delay=0.0), spec("b"), drain_delay=3.0).send(TERM)
    world.exits("a", EXITED[3])
    assert world.states()["a"] in (State.FAILED, State.COMPLETED)
    assert "a" not in world.pids


def test_backoff_ends_with_the_daemon() -> None:
    """A service that waits for its restart does not hold up the shutdown, nor start in it."""
    world = World(spec("a", Restart.ALWAYS)).exits("a", EXITED[3]).send(TERM)
    assert world.states() == {"a": State.STOPPED}
    assert world.end() == 0
    world.now += 1000.0
    world.send(ev.DeadlinePassed("a"))
    assert world.pids == {}


def test_failure_during_start_calls_off_the_other_spawns() -> None:
    """When the first service can't start at all, those after it in line are not started only to be stopped."""
    fleet = Fleet(FleetSpec(services={"a": spec("a"), "b": spec("b")}))
    spawns = [effect for effect in fleet.start(0.0) if isinstance(effect, fx.Spawn)]
    assert [effect.service for effect in spawns] == ["a", "b"]
    fleet.handle(ev.SpawnFailed("a", 127), 0.0)
    assert not fleet.awaits_spawn("b", 1)
    assert fleet.exit_code() == 127


def test_signals_are_forwarded_where_they_are_configured_to() -> None:
    """As they came or rewritten, to all or to some; a service that is not running gets none."""
    actions = {SIGUSR1: Forward(), SIGUSR2: Forward(signal=SIGHUP, services=("b", "gone"))}
    world = World(spec("a"), spec("b", stop_scope=StopScope.PROCESS), signals=actions)
    world.send(ev.SignalReceived(SIGUSR1)).send(ev.SignalReceived(SIGUSR2))
    assert world.signals() == [("a", SIGUSR1), ("b", SIGUSR1), ("b", SIGHUP)]


def test_unlisted_signal_is_reported_and_ignored() -> None:
    """A signal that nobody configured does nothing, visibly; the sender is told where it is known."""
    world = World(spec("a")).send(ev.SignalReceived(SIGUSR2, sender=42))
    assert world.reports("signal_received") == [
        {"signal": 12, "signal_name": "SIGUSR2", "action": "ignore", "sender_pid": 42}
    ]
    assert world.signals() == []


def test_a_signal_may_have_log_files_opened_again() -> None:
    """It does nothing else, and nothing on the way down, where they are about to be closed."""
    world = World(spec("a"), signals={SIGUSR1: ReopenLogs(), SIGTERM: Shutdown()})
    world.send(ev.SignalReceived(SIGUSR1))
    assert [type(effect) for effect in world.effects[-2:]] == [fx.Report, fx.ReopenLogs]
    assert world.reports("signal_received")[0]["action"] == "reopen-logs"
    world.send(TERM).send(ev.SignalReceived(SIGUSR1))
    assert sum(isinstance(effect, fx.ReopenLogs) for effect in world.effects) == 1


def test_one_shutdown_whoever_orders_it() -> None:
    """An order by command while TERM arrives is one shutdown."""
    world = World(spec("a")).send(ev.ShutdownRequested("command")).send(ev.ShutdownRequested("command"))
    assert len(world.reports("shutdown_started")) == 1


# -- reload --------------------------------------------------------------------------------------------------------


def test_compare() -> None:
    """A service is added, changed or removed; the same is none of them."""
    old = {name: spec(name) for name in "abc"}
    new = {"b": spec("b"), "c": spec("c", stop_timeout=1.0), "d": spec("d")}
    assert compare(old, new) == (["d"], ["c"], ["a"])


def test_hup_reads_the_configuration_again() -> None:
    """HUP is answered by an order to the shell; on the way down it is not."""
    world = World(spec("a")).send(ev.SignalReceived(SIGHUP))
    assert fx.ReloadConfiguration() in world.effects
    world.effects.clear()
    world.send(TERM).send(ev.SignalReceived(SIGHUP))
    assert fx.ReloadConfiguration() not in world.effects


def test_reload_touches_only_what_changed() -> None:
    """The unchanged keep their process; the changed are restarted by the old stop signal, the removed go."""
    world = World(spec("same"), spec("changed", stop_signal=SIGUSR1), spec("removed"))
    pids = dict(world.pids)
    changed = spec("changed", stop_signal=SIGUSR2, directory="/srv")
    new = {"same": spec("same", stop_timeout=1.0), "changed": changed, "added": spec("added")}
    world.send(ev.Reconfigured(replace(world.spec, services=new)))
    assert world.reports("config_reloaded") == [
        {"added": ["added"], "changed": ["same", "changed"], "removed": ["removed"]}
    ]
    assert world.signals() == [("removed", SIGTERM), ("changed", SIGUSR1)]
    assert world.fleet.specs["same"].stop_timeout == 1.0
    world.exits("changed", SIGUSR1).exits("removed", SIGTERM)
    assert set(world.states()) == {"same", "changed", "added"}
    assert world.pids["same"] == pids["same"]
    assert world.pids["changed"] != pids["changed"]


def test_reload_changes_what_becomes_of_lines() -> None:
    """The process goes on; one order for all such services, not for those that are restarted anyhow."""
    world = World(*map(spec, "abcd"))
    pids = dict(world.pids)
    log = ServiceLog(tail=5)
    new = {
        "a": spec("a", log=log),
        "b": spec("b", log=log, directory="/srv"),
        "c": spec("c", stderr=(FileSink("/x"),)),
        "d": spec("d", stop_timeout=1.0),
    }
    world.send(ev.Reconfigured(replace(world.spec, services=new)))
    assert [effect.services for effect in world.effects if isinstance(effect, fx.ChangeOutput)] == [("a", "c")]
    assert [name for name, _ in world.signals()] == ["b"]
    assert {name: world.pids[name] for name in "acd"} == {name: pids[name] for name in "acd"}
    assert world.fleet.specs["a"].log == log


def test_reload_leaves_pause_and_returns_to_it() -> None:
    """Adding services ends the pause; removing all of them brings it back."""
    world = World()
    world.send(ev.Reconfigured(replace(world.spec, services={"a": spec("a")})))
    assert world.states() == {"a": State.RUNNING}
    world.send(ev.Reconfigured(replace(world.spec, services={}))).exits("a", SIGTERM)
    assert world.reports("pause_entered") == [{"reason": "no service is configured"}] * 2
    assert world.fleet.phase is Phase.UP


def test_reload_brings_back_what_it_was_about_to_remove() -> None:
    """Removed by one reload and back by the next, before it was down: it starts again when it is."""
    world = World(spec("a"), spec("b"))
    world.send(ev.Reconfigured(replace(world.spec, services={"b": spec("b")})))
    world.send(ev.Reconfigured(world.spec)).exits("a", SIGTERM)
    assert world.states() == {"a": State.RUNNING, "b": State.RUNNING}


def stack() -> list[ServiceSpec]:
    """A database, its migration, who needs both, and somebody else."""
    return [
        spec("db", reload_signal=SIGHUP),
        spec("migrate", kind=Kind.TASK, needs={"db": Need()}),
        spec("app", needs={"migrate": Need(Until.COMPLETED), "other": Need(restart_with=True)}),
        spec("other", restart=Restart.ALWAYS),
    ]


def test_what_a_reload_removes_stops_against_the_order_of_needs() -> None:
    """Nobody is told to stop while somebody is left that needs it, be it by way of a task that has done its work."""
    world = World(*stack()).exits("migrate", 0)
    world.send(ev.Reconfigured(replace(world.spec, services={"other": world.spec.services["other"]})))
    assert world.send(ev.SignalReceived(SIGUSR1)).signals() == [("app", SIGTERM)]
    assert world.exits("app", SIGTERM).signals() == [("app", SIGTERM), ("db", SIGTERM)]
    assert world.exits("db", SIGTERM).states() == {"other": State.RUNNING}


def test_what_waits_to_be_removed_does_not_come_back() -> None:
    """It ends by itself meanwhile, or something restarts that it restarts with: it is not started again."""
    world = World(*stack()).exits("migrate", 0)
    world.send(ev.Reconfigured(replace(world.spec, services={"other": world.spec.services["other"]})))
    world.exits("db", EXITED[3])
    world.exits("other", EXITED[3])
    assert world.states()["db"] is State.FAILED
    assert world.exits("app", SIGTERM).states() == {"other": State.BACKOFF}
    assert world.fleet.phase is Phase.UP


def test_what_waits_to_be_removed_may_be_brought_back() -> None:
    """The next reload has it again: it keeps its process."""
    world = World(*stack()).exits("migrate", 0)
    pid = world.pids["db"]
    kept = {name: world.spec.services[name] for name in ("db", "other")}
    world.send(ev.Reconfigured(replace(world.spec, services={"other": kept["other"]})))
    world.send(ev.Reconfigured(replace(world.spec, services=kept))).exits("app", SIGTERM)
    assert world.states() == {"db": State.RUNNING, "other": State.RUNNING}
    assert world.pids["db"] == pid
    assert world.signals() == [("app", SIGTERM), ("db", SIGHUP)]
    assert [report["removed"] for report in world.reports("config_reloaded")] == [["db", "migrate", "app"], []]


def test_a_shutdown_keeps_the_order_of_what_is_removed() -> None:
    """TERM while a reload's way down is half gone."""
    world = World(*stack()).exits("migrate", 0)
    world.send(ev.Reconfigured(replace(world.spec, services={}))).send(TERM)
    assert world.signals() == [("app", SIGTERM)]
    world.exits("app", SIGTERM)
    assert world.signals()[1:] == [("db", SIGTERM), ("other", SIGTERM)]
    assert world.exits("db", SIGTERM).exits("other", SIGTERM).swept() == [SIGTERM]


def test_reload_during_shutdown_is_too_late() -> None:
    """Nothing is added to what is going down."""
    world = World(spec("a")).send(TERM)
    world.send(ev.Reconfigured(replace(world.spec, services={"b": spec("b")})))
    assert set(world.states()) == {"a"}


def test_late_timer_of_a_removed_service_is_nothing() -> None:
    """An event about a service that is gone changes nothing."""
    world = World(spec("a")).send(ev.DeadlinePassed("gone"))
    assert world.states() == {"a": State.RUNNING}


def test_reason_of_a_reload() -> None:
    """The state change says that it was a reload."""
    world = World(spec("a"))
    world.send(ev.Reconfigured(replace(world.spec, services={})))
    assert world.fleet.services["a"].reason is Reason.RELOAD


def test_a_reload_signals_who_goes_on() -> None:
    """A reload-signal goes to processes that stay, of unchanged services too; not to the new, restarted or removed."""
    world = World(
        spec("same", reload_signal=SIGHUP),
        spec("other", reload_signal=SIGHUP),
        spec("again", reload_signal=SIGHUP),
        spec("gone", reload_signal=SIGHUP),
        spec("mute"),
    )
    new = [
        spec("same", reload_signal=SIGHUP),
        spec("other", stop_timeout=1.0, reload_signal=SIGUSR1),
        spec("mute"),
        spec("new", reload_signal=SIGHUP),
    ]
    new.append(spec("again", directory="/srv", reload_signal=SIGHUP))
    world.send(ev.Reconfigured(replace(world.spec, services={one.name: one for one in new})))
    assert world.signals() == [("gone", SIGTERM), ("again", SIGTERM), ("same", SIGHUP), ("other", SIGUSR1)]
    assert [effect.scope for effect in world.effects if isinstance(effect, fx.SendSignal)][2:] == [
        StopScope.PROCESS
    ] * 2


def test_a_reload_signal_waits_for_readiness() -> None:
    """A program that is starting may have no handler yet; a task is never ready, and is told at once."""
    web = spec("web", ready=Ready(FileProbe("/x")), reload_signal=SIGHUP)
    world = World(web, spec("job", kind=Kind.TASK, reload_signal=SIGHUP), replace(web, name="again"))
    for _ in range(2):
        world.send(ev.Reconfigured(world.spec))
    assert world.signals() == [("job", SIGHUP)] * 2
    world.send(ev.BecameReady("web", world.pids["web"]))
    assert world.signals()[2:] == [("web", SIGHUP)]
    world.send(ev.StopRequested("again"))
    world.exits("again", 0)  # what comes in its place reads what is there now
    world.send(ev.StartRequested("again"))
    world.send(ev.BecameReady("again", world.pids["again"]))
    assert world.fleet.services["again"].state is State.RUNNING
    assert world.signals()[3:] == [("again", SIGTERM)]
    world.send(ev.Reconfigured(world.spec))
    assert world.signals()[4:] == [("web", SIGHUP), ("job", SIGHUP), ("again", SIGHUP)]


def order_of(effects: list[fx.Effect]) -> list[str]:
    """The records in their order, and the signals among them, which are records as well when they are sent."""
    words = {fx.SendSignal: "signal", fx.Spawn: "spawn"}
    named = [effect.event if isinstance(effect, fx.Report) else words.get(type(effect), "") for effect in effects]
    return [name for name in named if name]


@pytest.mark.parametrize(
    ("changes", "event", "found"),
    [
        (
            {"health": Health(PORT, failures=1)},
            ev.ProbeFailed("web", 7, "tcp", "refused"),
            ["probe_failed", "health_changed"],
        ),
        ({"watchdog": 5.0}, ev.DeadlinePassed("web"), ["watchdog_expired"]),
        ({}, ev.Notified("web", 7, trigger=True, status="stuck"), ["service_status", "watchdog_expired"]),
    ],
)
def test_the_cause_is_told_before_the_change(
    changes: dict[str, object], event: ev.ServiceEvent, found: list[str]
) -> None:
    """What was found wrong with a service stands before the change that it leads to, and that before the signal."""
    world = World(spec("web", Restart.ALWAYS, **changes))
    world.effects.clear()
    world.send(event)
    assert order_of(world.effects) == [*found, "service_state_changed", "signal"]


def test_the_decision_is_told_before_the_change() -> None:
    """That there will be a restart, that a run is over, that it is ready: each before the state that follows."""
    backing_off = World(spec("web", Restart.ALWAYS, restart_delay=1.0))
    backing_off.effects.clear()
    backing_off.exits("web", 0)
    assert order_of(backing_off.effects) == ["restart_scheduled", "service_state_changed"]
    at_once = World(spec("web", Restart.ALWAYS, restart_delay=0.0))
    at_once.effects.clear()
    at_once.exits("web", 0)
    assert order_of(at_once.effects)[:3] == ["restart_scheduled", "service_state_changed", "spawn"]
    ready = World(spec("web", ready=Ready(PORT)))
    ready.effects.clear()
    ready.send(ev.BecameReady("web", 7))
    assert order_of(ready.effects) == ["service_ready", "service_state_changed"]


def test_who_is_thawed_to_end_is_told_to_end_first() -> None:
    """Thawing is what the stop does: it stands behind the change."""
    world = World(spec("web"))
    world.send(ev.Frozen("web"))
    world.effects.clear()
    world.send(ev.StopRequested("web"))
    assert order_of(world.effects) == ["service_state_changed", "service_thawed", "signal"]
