"""Readiness, timeouts, health, the watchdog, and what a service says: their transitions on a fake clock."""

import pytest

from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.service import is_expected
from supervisor.core.signals import SIGABRT, SIGTERM
from supervisor.core.spec import (
    Health,
    HealthAction,
    Kind,
    NotifyProbe,
    Ready,
    Restart,
    ServiceSpec,
    TcpProbe,
)
from supervisor.core.states import Desired, Reason, State
from tests.core.stepping import NOW, Life

TCP = TcpProbe("127.0.0.1", 80)
SPEC = ServiceSpec(name="web", command=("web",), restart_delay=1.0, stop_timeout=8.0)
PROBED = replace(SPEC, ready=Ready(TCP), start_timeout=60.0)
NOTIFYING = replace(SPEC, ready=Ready(NotifyProbe()), start_timeout=60.0)
WATCHED = replace(SPEC, watchdog=30.0)
HEALTHY = replace(SPEC, health=Health(TCP, failures=3))
EXITED_3, TERMED = 3 << 8, SIGTERM

BAD = ev.ProbeFailed("web", 7, "tcp 127.0.0.1:80", "refused")
WELL = ev.ProbeSucceeded("web", 7)


def test_ready_when_the_probe_says_so() -> None:
    """With a readiness probe a service is starting until it has answered, and the record says how long that took."""
    life = Life(PROBED).start()
    assert (life.state, life.service.deadline) == (State.STARTING, NOW + 60)
    life.now += 2.5
    life.send(ev.BecameReady("web", 7))
    assert (life.state, life.service.reason, life.service.deadline) == (State.RUNNING, Reason.READY, None)
    assert life.reports("service_ready") == [
        {"service": "web", "pid": 7, "probe": "tcp 127.0.0.1:80", "duration_s": 2.5}
    ]


def test_answers_about_another_process_are_nothing() -> None:
    """What was found out of a process that has been replaced says nothing of its successor."""
    life = Life(replace(PROBED, health=HEALTHY.health)).start()
    life.send(ev.BecameReady("web", 6))
    assert life.state is State.STARTING
    life.send(ev.Notified("web", 6, stopping=True))
    assert life.state is State.STARTING
    life.send(ev.BecameReady("web", 7), ev.ProbeFailed("web", 6, "x", "y"))
    assert (life.state, life.service.failures) == (State.RUNNING, 0)


def test_too_late_to_be_ready() -> None:
    """At its start-timeout it is told to end, and its policy takes it for a failure whatever its exit code."""
    life = Life(PROBED).start().wait()
    assert (life.state, life.service.reason, life.signals()) == (State.STOPPING, Reason.START_TIMEOUT, [SIGTERM])
    assert life.service.deadline == life.now + 8
    life.exits(0)
    assert (life.state, life.service.reason, life.service.exit_code) == (State.BACKOFF, Reason.START_TIMEOUT, 1)
    never = Life(replace(PROBED, restart=Restart.NEVER)).start().wait().exits(TERMED)
    assert (never.state, never.service.reason, never.service.exit_code) == (State.FAILED, Reason.START_TIMEOUT, 143)


def test_late_and_deaf() -> None:
    """Told to end because it was late, and late again: KILL."""
    life = Life(PROBED).start().wait().wait()
    assert life.signals() == [SIGTERM, 9]
    assert life.exits(9).state is State.BACKOFF


def test_end_before_readiness_is_a_failure() -> None:
    """A service that was to tell that it is ready, and exits with 0 instead, has failed."""
    life = Life(PROBED).start().exits(0)
    assert (life.state, life.service.reason) == (State.BACKOFF, Reason.NOT_READY)
    assert not is_expected(PROBED, Life(PROBED).start().service, 0)
    assert Life(replace(PROBED, restart=Restart.NEVER)).start().exits(0).service.exit_code == 1


def test_task_is_starting_while_it_runs() -> None:
    """A task is ready when it has done its work; its start-timeout bounds that."""
    task = replace(SPEC, kind=Kind.TASK)
    life = Life(task).start()
    assert (life.state, life.service.deadline) == (State.STARTING, None)
    assert life.exits(0).state is State.COMPLETED
    late = Life(replace(task, start_timeout=5.0, restart=Restart.NEVER)).start().wait().exits(TERMED)
    assert (late.state, late.service.reason) == (State.FAILED, Reason.START_TIMEOUT)


def test_watchdog() -> None:
    """Each WATCHDOG=1 moves the deadline; silence is answered with ABRT, and the policy restarts."""
    life = Life(WATCHED).start()
    assert life.service.deadline == NOW + 30
    life.now += 20
    assert life.says(watchdog=True).service.deadline == NOW + 50
    life.wait()
    assert (life.state, life.service.ending, life.signals()) == (State.STOPPING, Reason.WATCHDOG, [SIGABRT])
    assert life.reports("watchdog_expired") == [{"service": "web", "pid": 7, "watchdog_s": 30.0}]
    assert not is_expected(WATCHED, life.service, SIGABRT)
    assert life.exits(SIGABRT | 128).state is State.BACKOFF


def test_watchdog_can_be_triggered() -> None:
    """WATCHDOG=trigger is a watchdog that has expired, configured or not; it was not silent for that long, though."""
    for spec in (WATCHED, SPEC, NOTIFYING):
        life = Life(spec).start().says(trigger=True)
        assert (life.state, life.signals()) == (State.STOPPING, [SIGABRT])
        assert life.reports("watchdog_expired") == [{"service": "web", "pid": 7}]


def test_unhealthy_service_is_restarted() -> None:
    """So many failures in a row, and it is ended as a failure; a success in between begins the count anew."""
    life = Life(HEALTHY).start().send(BAD, BAD, WELL, BAD, BAD)
    assert (life.state, life.service.failures, life.signals()) == (State.RUNNING, 2, [])
    life.send(BAD)
    assert (life.state, life.service.ending, life.signals()) == (State.STOPPING, Reason.UNHEALTHY, [SIGTERM])
    assert [record["failures"] for record in life.reports("probe_failed")] == [1, 2, 1, 2, 3]
    assert [record["healthy"] for record in life.reports("health_changed")] == [False]
    assert life.exits(TERMED).state is State.BACKOFF
    assert (life.wait().service.failures, life.service.healthy) == (0, True)


def test_unhealthy_service_can_be_left_alone() -> None:
    """With action report it runs on; that it is unwell, and well again, are records."""
    assert HEALTHY.health is not None
    life = Life(replace(HEALTHY, health=replace(HEALTHY.health, action=HealthAction.REPORT))).start()
    life.send(BAD, BAD, BAD, BAD)
    assert (life.state, life.service.healthy, life.signals()) == (State.RUNNING, False, [])
    assert life.send(WELL, WELL).service.healthy
    assert [record["healthy"] for record in life.reports("health_changed")] == [False, True]


def test_ready_by_notification() -> None:
    """READY=1 counts where it was asked for, and only there."""
    assert Life(NOTIFYING).start().says(ready=True).state is State.RUNNING
    assert Life(PROBED).start().says(ready=True).state is State.STARTING


def test_what_it_says_of_itself() -> None:
    """STATUS and ERRNO are kept and reported; RELOADING lasts until READY."""
    life = Life(NOTIFYING).start().says(ready=True, status="up")
    assert life.service.status_text == "up"
    assert life.reports("service_status") == [{"service": "web", "pid": 7, "status": "up"}]
    assert life.says(reloading=True).service.reloading
    assert not life.says(ready=True).service.reloading
    life.says(error=5)
    assert life.reports("service_status")[-1]["error_number"] == 5
    assert life.exits(EXITED_3).wait().service.status_text == ""


def test_it_asks_for_more_time() -> None:
    """EXTEND_TIMEOUT_USEC moves what is timed now, never shortens it, and not past the daemon's own deadline."""
    life = Life(NOTIFYING).start()
    life.now += 50
    assert life.says(extend=100.0).service.deadline == NOW + 150
    assert life.says(extend=1.0).service.deadline == NOW + 150
    life.says(ready=True)
    assert life.says(extend=9.0).service.deadline is None
    life.send(ev.StopRequested("web", by=life.now + 9))
    assert life.service.deadline == life.now + 8
    assert life.says(extend=60.0).service.deadline == life.now + 9
    again = Life(NOTIFYING).start().says(ready=True).send(ev.StopRequested("web"))
    assert again.says(extend=60.0).service.deadline == NOW + 60


def test_it_says_that_it_is_ending() -> None:
    """STOPPING=1 gives it its stop-timeout; how it ended is judged as if nobody had asked."""
    life = Life(SPEC).start().says(stopping=True)
    assert (life.state, life.service.desired, life.signals()) == (State.STOPPING, Desired.UP, [])
    assert life.service.deadline == NOW + 8
    assert is_expected(SPEC, life.service, 0)
    assert not is_expected(SPEC, life.service, EXITED_3)
    assert Life(SPEC, life.service).exits(0).state is State.COMPLETED
    assert Life(SPEC, life.service).exits(EXITED_3).state is State.BACKOFF
    assert Life(SPEC, life.service).wait().signals() == [9]
    stopped = Life(SPEC, life.service).send(ev.StopRequested("web"))
    assert stopped.signals() == [SIGTERM]
    assert stopped.exits(EXITED_3).state is State.STOPPED


def test_main_process_can_change() -> None:
    """MAINPID names the process that signals go to from now on."""
    life = Life(SPEC).start().says(main_pid=99)
    assert (life.state, life.service.pid) == (State.RUNNING, 99)
    assert life.says(status="x").service.status_text == "x"


@pytest.mark.parametrize("why", [Reason.START_TIMEOUT, Reason.UNHEALTHY, Reason.WATCHDOG])
def test_orders_go_before_faults(why: Reason) -> None:
    """An order that comes while a faulty process ends decides what follows: down, or up again at once."""
    ending = Life(SPEC).start().send(ev.StopRequested("web")).service
    faulty = replace(ending, ending=why, desired=Desired.UP)
    assert Life(SPEC, faulty).send(ev.StopRequested("web")).exits(TERMED).state is State.STOPPED
    assert Life(SPEC, faulty).send(ev.RestartRequested("web")).exits(TERMED).state is State.RUNNING
    killed = Life(SPEC, faulty).send(ev.KillRequested("web"))
    assert (killed.signals(), killed.exits(9).state) == ([9], State.STOPPED)
    closing = Life(SPEC, faulty)
    closing.closing = True
    assert closing.exits(TERMED).state is State.FAILED
