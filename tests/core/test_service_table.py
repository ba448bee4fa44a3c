"""The transition table: every pair of state and event, and what each way through it means."""

from typing import get_args

import pytest

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.service import Context, ImpossibleTransitionError, Service, clears_group, is_expected
from supervisor.core.spec import Ready, Restart, RestartLimit, ServiceSpec, StopScope, TcpProbe, Transparent
from supervisor.core.states import AT_REST, HAS_DEADLINE, HAS_PROCESS, Desired, Reason, State
from supervisor.core.table import IGNORED, IMPOSSIBLE, TABLE, step
from tests.core.stepping import service_in

SPEC = ServiceSpec(name="web", command=("web",), restart_delay=1.0, restart_max_delay=60.0, stop_timeout=8.0)
EXITED_3, KILLED, TERMED = 3 << 8, 9, 15

EVENTS: dict[type, ev.ServiceEvent] = {
    ev.StartRequested: ev.StartRequested("web"),
    ev.NeedsMet: ev.NeedsMet("web"),
    ev.StopRequested: ev.StopRequested("web"),
    ev.RestartRequested: ev.RestartRequested("web"),
    ev.ReloadRequested: ev.ReloadRequested("web", 7),
    ev.KillRequested: ev.KillRequested("web"),
    ev.FreezeRequested: ev.FreezeRequested("web"),
    ev.Frozen: ev.Frozen("web"),
    ev.ThawRequested: ev.ThawRequested("web"),
    ev.ProcessSpawned: ev.ProcessSpawned("web", 7),
    ev.SpawnFailed: ev.SpawnFailed("web", 127),
    ev.ProcessExited: ev.ProcessExited("web", EXITED_3),
    ev.BecameReady: ev.BecameReady("web", 7),
    ev.NeedFailed: ev.NeedFailed("web", "db"),
    ev.ProbeFailed: ev.ProbeFailed("web", 7, "tcp 127.0.0.1:80", "refused"),
    ev.ProbeSucceeded: ev.ProbeSucceeded("web", 7),
    ev.Notified: ev.Notified("web", 7, ready=True),
    ev.RunPlanned: ev.RunPlanned("web", "2026-01-31T12:00:00Z"),
    ev.RunDue: ev.RunDue("web", "2026-01-31T12:00:00Z"),
    ev.DeadlinePassed: ev.DeadlinePassed("web"),
}


def after(service: Service, *events: ev.ServiceEvent, spec: ServiceSpec = SPEC, now: float = 100.0) -> Service:
    """The service after these events."""
    for event in events:
        service, _ = step(Context(spec, now), service, event)
    return service


def test_every_pair_is_in_the_table() -> None:
    """No state lacks a cell for an event, and no cell is for an event that there is not."""
    assert set(EVENTS) == set(get_args(ev.ServiceEvent))
    for state in State:
        assert set(TABLE[state]) == set(EVENTS), state


@pytest.mark.parametrize("kind", list(EVENTS))
@pytest.mark.parametrize("state", list(State))
def test_every_pair_keeps_the_invariants(state: State, kind: type) -> None:
    """Each pair is a transition, is ignored and changes nothing, or is impossible and says so."""
    before = service_in(state)
    if kind in (ev.ProcessSpawned, ev.SpawnFailed):
        before = replace(before, pid=None)  # these two answer a spawn that has no process yet
    cell = TABLE[state][kind]
    if cell is IMPOSSIBLE:
        with pytest.raises(ImpossibleTransitionError, match=f"{kind.__name__} while {state.value}"):
            step(Context(SPEC, 100.0), before, EVENTS[kind])
        return
    result, effects = step(Context(SPEC, 100.0), before, EVENTS[kind])
    if cell is IGNORED:
        assert (result, effects) == (before, ())
    spawning = any(isinstance(effect, fx.Spawn) for effect in effects)
    assert (result.pid is not None) == (result.state in HAS_PROCESS and not spawning)
    assert result.deadline is None or result.state in HAS_DEADLINE
    assert result.state is not State.BACKOFF or result.deadline is not None
    assert result.state not in AT_REST or result.desired is Desired.DOWN
    assert result.state not in (State.STARTING, State.RUNNING, State.BACKOFF, State.WAITING) or (
        result.desired is Desired.UP
    )


def test_start_spawns_and_runs() -> None:
    """Without needs and readiness a start is: starting, spawned, running."""
    starting, effects = step(Context(SPEC, 100.0), Service(), ev.StartRequested("web"))
    assert starting.state is State.STARTING
    assert effects == (fx.Spawn("web", 1),)
    running = after(starting, ev.ProcessSpawned("web", 7))
    assert (running.state, running.pid, running.reason) == (State.RUNNING, 7, Reason.SPAWNED)


def test_start_waits_for_its_needs() -> None:
    """A start whose needs are not met waits, and spawns when they are."""
    waiting, _ = step(Context(SPEC, 100.0, missing="db"), Service(), ev.StartRequested("web"))
    assert waiting.state is State.WAITING
    assert after(waiting, ev.NeedsMet("web")).state is State.STARTING


@pytest.mark.parametrize(
    ("restart", "status", "state", "reason"),
    [
        (Restart.NEVER, 0, State.COMPLETED, Reason.SUCCESS),
        (Restart.NEVER, EXITED_3, State.FAILED, Reason.EXIT_CODE),
        (Restart.NEVER, KILLED, State.FAILED, Reason.SIGNAL),
        (Restart.NEVER, 11 | 128, State.FAILED, Reason.CORE_DUMP),
        (Restart.ON_FAILURE, 0, State.COMPLETED, Reason.SUCCESS),
        (Restart.ON_FAILURE, EXITED_3, State.BACKOFF, Reason.EXIT_CODE),
        (Restart.ON_FAILURE, KILLED, State.BACKOFF, Reason.SIGNAL),
        (Restart.ALWAYS, 0, State.BACKOFF, Reason.SUCCESS),
    ],
)
def test_end_by_itself(restart: Restart, status: int, state: State, reason: Reason) -> None:
    """What becomes of a service that ended, by policy and status, and why it says it did."""
    ended = after(service_in(State.RUNNING), ev.ProcessExited("web", status), spec=replace(SPEC, restart=restart))
    assert (ended.state, ended.reason, ended.pid) == (state, reason, None)


def test_delays_double_and_start_over() -> None:
    """Each restart in a row waits twice as long; after long enough up, the first delay again."""
    service = service_in(State.RUNNING)
    now, delays = 100.0, []
    for _ in range(4):
        service = after(service, ev.ProcessExited("web", EXITED_3), now=now)
        assert service.deadline is not None
        delays.append(service.deadline - now)
        now = service.deadline
        service = after(service, ev.DeadlinePassed("web"), ev.ProcessSpawned("web", 8), now=now)
    for delay, expected in zip(delays, (1, 2, 4, 8), strict=True):
        assert expected * 0.9 <= delay <= expected * 1.1
    now += SPEC.restart_reset_after
    service = after(service, ev.ProcessExited("web", EXITED_3), now=now)
    assert service.deadline is not None
    assert 0.9 <= service.deadline - now <= 1.1


def test_restart_limit_fails_the_service() -> None:
    """One restart more than allowed in the window, and the service has failed; with status 0 that is code 1."""
    spec = replace(SPEC, restart=Restart.ALWAYS, restart_delay=0.0, restart_limit=RestartLimit(2, 60.0))
    service = service_in(State.RUNNING)
    for _ in range(2):
        service = after(service, ev.ProcessExited("web", 0), ev.ProcessSpawned("web", 8), spec=spec)
        assert service.state is State.RUNNING
    failed = after(service, ev.ProcessExited("web", 0), spec=spec)
    assert (failed.state, failed.reason, failed.exit_code) == (State.FAILED, Reason.RESTART_LIMIT, 1)


def test_order_to_start_forgets_the_past() -> None:
    """A failed service that is started again by order has all its restarts again."""
    failed = replace(service_in(State.FAILED), restarts=(1.0, 2.0), streak=9)
    again = after(failed, ev.StartRequested("web"))
    assert (again.restarts, again.streak, again.desired) == ((), 0, Desired.UP)


def test_without_delay_the_successor_is_spawned_at_once() -> None:
    """No timer stands between a death and its successor when no delay is configured."""
    spec = replace(SPEC, restart_delay=0.0)
    service, effects = step(Context(spec, 100.0), service_in(State.RUNNING), ev.ProcessExited("web", EXITED_3))
    assert service.state is State.STARTING
    assert isinstance(effects[0], fx.Report)
    assert effects[1:] == (fx.Spawn("web", 2),)


def test_spawn_failures() -> None:
    """A missing program counts as a failure; a machine out of processes does not, and is tried for ever."""
    starting = replace(service_in(State.STARTING), pid=None)
    never = replace(SPEC, restart=Restart.NEVER)
    failed = after(starting, ev.SpawnFailed("web", 127), spec=never)
    assert (failed.state, failed.reason, failed.exit_code) == (State.FAILED, Reason.SPAWN_FAILED, 127)
    assert after(starting, ev.SpawnFailed("web", 127)).state is State.BACKOFF
    for _ in range(20):
        waiting = after(starting, ev.SpawnFailed("web", 1, transient=True), spec=never)
        assert waiting.state is State.BACKOFF
        starting = after(waiting, ev.DeadlinePassed("web"), spec=never)


def test_single_command_is_not_tried_again() -> None:
    """With no process to be had it has failed with 1: whoever started it waits for an exit code, not for us."""
    single = replace(SPEC, restart=Restart.NEVER, transparent=Transparent())
    starting = replace(service_in(State.STARTING), pid=None)
    failed = after(starting, ev.SpawnFailed("web", 1, transient=True), spec=single)
    assert (failed.state, failed.exit_code) == (State.FAILED, 1)


@pytest.mark.parametrize(("configured", "received", "sent"), [(None, None, 15), (None, 2, 2), (3, 2, 3), (3, None, 3)])
def test_stop_signal(configured: int | None, received: int | None, sent: int) -> None:
    """Its own stop signal, else the one the daemon was sent, else TERM; always followed by CONT."""
    spec = replace(SPEC, stop_signal=configured, stop_scope=StopScope.TREE)
    stopping, effects = step(Context(spec, 100.0), service_in(State.RUNNING), ev.StopRequested("web", signal=received))
    assert effects == (fx.SendSignal("web", 7, sent, StopScope.TREE, wake=True),)
    assert (stopping.state, stopping.deadline) == (State.STOPPING, 108.0)


def test_stop_deadline_is_the_nearer_one() -> None:
    """The service's own timeout or the shared deadline, whichever comes first, at the first order and at later ones."""
    running = service_in(State.RUNNING)
    assert after(running, ev.StopRequested("web", by=103.0)).deadline == 103.0
    assert after(running, ev.StopRequested("web", by=200.0)).deadline == 108.0
    stopping = after(running, ev.StopRequested("web"))
    assert after(stopping, ev.StopRequested("web", by=103.0)).deadline == 103.0


def test_late_service_is_killed() -> None:
    """At the deadline comes KILL, once, and after it there is nothing to wait for but the exit."""
    stopping = after(service_in(State.RUNNING), ev.StopRequested("web"))
    killed, effects = step(Context(SPEC, 108.0), stopping, ev.DeadlinePassed("web"))
    assert effects == (fx.SendSignal("web", 7, 9, StopScope.GROUP),)
    assert (killed.killed, killed.deadline) == (True, None)
    assert after(killed, ev.ProcessExited("web", KILLED)).state is State.STOPPED


def test_no_timeout_kills_at_once() -> None:
    """A stop-timeout of zero, or a deadline that has passed, needs no TERM first."""
    _, effects = step(
        Context(replace(SPEC, stop_timeout=0.0), 100.0), service_in(State.RUNNING), ev.StopRequested("web")
    )
    assert effects == (fx.SendSignal("web", 7, 9, StopScope.GROUP),)


def test_stop_during_backoff_and_waiting() -> None:
    """What has no process is stopped by saying so, and does not come back."""
    for state in (State.BACKOFF, State.WAITING):
        stopped = after(service_in(state), ev.StopRequested("web"))
        assert (stopped.state, stopped.deadline, stopped.desired) == (State.STOPPED, None, Desired.DOWN)


def test_restart_starts_again_when_down() -> None:
    """A restart is a stop after which the service is wanted up; a stop in between calls it off."""
    stopping = after(service_in(State.RUNNING), ev.RestartRequested("web"))
    assert stopping.state is State.STOPPING
    again, effects = step(Context(SPEC, 101.0), stopping, ev.ProcessExited("web", TERMED))
    assert again.state is State.STARTING
    assert effects == (fx.Spawn("web", 2),)
    called_off = after(stopping, ev.StopRequested("web"), ev.ProcessExited("web", TERMED))
    assert called_off.state is State.STOPPED


def test_nothing_starts_while_the_daemon_closes() -> None:
    """On the way down no policy restarts anything: not after a death, not after a failed spawn, not after a stop."""
    spec = replace(SPEC, restart=Restart.ALWAYS, restart_delay=0.0)
    closing = Context(spec, 100.0, closing=True)
    for service, event in (
        (service_in(State.RUNNING), ev.ProcessExited("web", EXITED_3)),
        (replace(service_in(State.STARTING), pid=None), ev.SpawnFailed("web", 1, transient=True)),
        (replace(service_in(State.STOPPING), desired=Desired.UP), ev.ProcessExited("web", TERMED)),
    ):
        ended, effects = step(closing, service, event)
        assert ended.state in AT_REST
        assert effects == ()


def test_stop_between_the_order_to_spawn_and_its_answer() -> None:
    """A stop that meets a service about to be spawned needs no signal: the spawn is called off."""
    starting = replace(service_in(State.STARTING), pid=None)
    for event in (ev.StopRequested("web"), ev.KillRequested("web")):
        stopped, effects = step(Context(SPEC, 100.0), starting, event)
        assert stopped.state is State.STOPPED
        assert effects == ()


def test_expected_ends() -> None:
    """An end is expected when it is a success or when the service was told to end."""
    assert is_expected(SPEC, service_in(State.STOPPING), KILLED)
    assert is_expected(SPEC, service_in(State.RUNNING), 0)
    assert not is_expected(SPEC, service_in(State.RUNNING), KILLED)


def test_whose_group_is_cleared() -> None:
    """The rest of the group goes only where a successor is to take its place."""
    running = service_in(State.RUNNING)
    assert clears_group(SPEC, running, EXITED_3)
    assert not clears_group(SPEC, running, 0)
    assert not clears_group(SPEC, service_in(State.STOPPING), EXITED_3)
    assert not clears_group(replace(SPEC, restart=Restart.NEVER), running, EXITED_3)
    assert not clears_group(replace(SPEC, stop_scope=StopScope.PROCESS), running, EXITED_3)


# -- frozen ----------------------------------------------------------------------------------------------------------


def test_the_time_of_a_frozen_service_stands_still() -> None:
    """What was left of its deadline when it was frozen is left when it goes on; nothing moves it meanwhile."""
    spec = replace(SPEC, watchdog=30.0)
    running = after(service_in(State.STARTING), ev.ProcessSpawned("web", 7), spec=spec, now=100.0)
    assert step(Context(spec, 110.0), running, ev.FreezeRequested("web")) == (running, (fx.Freeze("web"),))
    frozen, (report,) = step(Context(spec, 110.0), running, ev.Frozen("web"))
    assert isinstance(report, fx.Report)
    assert (report.event, frozen.frozen, frozen.deadline) == ("service_frozen", True, None)
    told = after(frozen, ev.Notified("web", 7, watchdog=True), ev.FreezeRequested("web"), spec=spec, now=120.0)
    assert told == frozen
    assert step(Context(spec, 120.0), frozen, ev.FreezeRequested("web")) == (frozen, ())
    moving, effects = step(Context(spec, 500.0), frozen, ev.ThawRequested("web"))
    assert (moving.frozen, moving.deadline) == (False, 520.0)
    assert effects[0] == fx.Thaw("web")
    assert step(Context(spec, 500.0), moving, ev.ThawRequested("web")) == (moving, ())


def test_ready_though_frozen() -> None:
    """A port answers for a process that stands still: it is ready, and its watchdog begins when it goes on."""
    spec = replace(SPEC, watchdog=30.0, ready=Ready(TcpProbe("127.0.0.1", 80)), start_timeout=60.0)
    starting = after(service_in(State.STARTING), ev.ProcessSpawned("web", 7), ev.Frozen("web"), spec=spec, now=100.0)
    assert (starting.deadline, starting.held) == (None, 60.0)
    ready = after(starting, ev.BecameReady("web", 7), spec=spec, now=200.0)
    assert (ready.state, ready.deadline) == (State.RUNNING, None)
    assert after(ready, ev.ThawRequested("web"), spec=spec, now=300.0).deadline == 330.0


@pytest.mark.parametrize("event", [ev.StopRequested("web"), ev.RestartRequested("web")])
def test_whoever_is_to_end_is_thawed(event: ev.ServiceEvent) -> None:
    """It has to be awake for TERM, and has the whole of its time to obey."""
    frozen = after(service_in(State.RUNNING), ev.Frozen("web"))
    stopping, effects = step(Context(SPEC, 100.0), frozen, event)
    assert (stopping.frozen, stopping.deadline) == (False, 108.0)
    thaw, report, signal = effects
    assert thaw == fx.Thaw("web")
    assert isinstance(report, fx.Report)
    assert report.event == "service_thawed"
    assert isinstance(signal, fx.SendSignal)
    assert signal.wake


def test_whoever_had_said_that_it_ends_is_thawed() -> None:
    """The message was on its way when the order came; it has the time to end that it would have had."""
    frozen = after(service_in(State.RUNNING), ev.Frozen("web"))
    ending, effects = step(Context(SPEC, 100.0), frozen, ev.Notified("web", 7, stopping=True))
    assert (ending.state, ending.frozen, ending.deadline) == (State.STOPPING, False, 108.0)
    assert effects[0] == fx.Thaw("web")


def test_nothing_of_being_frozen_outlives_the_process() -> None:
    """Killed from outside, it starts again as if nothing had been."""
    frozen = after(service_in(State.RUNNING), ev.Frozen("web"))
    again = after(frozen, ev.ProcessExited("web", KILLED), ev.StartRequested("web"), ev.ProcessSpawned("web", 8))
    assert (again.state, again.frozen, again.held) == (State.RUNNING, False, None)
