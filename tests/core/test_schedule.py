"""Scheduled services: their runs, what happens when two meet, and what a failed run is."""

import pytest

from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.signals import SIGTERM
from supervisor.core.spec import Kind, Overlap, Restart, Schedule, ServiceSpec
from supervisor.core.states import Desired, Reason, State
from tests.core.stepping import Life

FIRST, SECOND, THIRD = "2026-01-31T12:00:00Z", "2026-01-31T12:05:00Z", "2026-01-31T12:10:00Z"
SPEC = ServiceSpec(
    name="job", command=("job",), kind=Kind.SCHEDULED, schedule=Schedule("*/5 * * * *"), restart=Restart.NEVER
)
EXITED_3 = 3 << 8


def due(at: str, late: float = 0.0) -> ev.RunDue:
    """A run of this time is due."""
    return ev.RunDue("job", at, late)


def overlapping(overlap: Overlap) -> ServiceSpec:
    """With another rule for runs that meet."""
    return replace(SPEC, schedule=Schedule("*/5 * * * *", overlap=overlap))


def waiting(spec: ServiceSpec = SPEC) -> Life:
    """Started, and waiting for its time."""
    life = Life(spec).start().send(ev.RunPlanned("job", FIRST))
    assert (life.state, life.service.next_run, life.service.need) == (State.WAITING, FIRST, "")
    return life


def test_a_run() -> None:
    """It waits, runs when it is due, says how that went, and waits again."""
    life = waiting().send(due(FIRST))
    assert (life.state, life.service.reason, life.service.run_at) == (State.STARTING, Reason.SCHEDULE, FIRST)
    life.now += 1.5
    life.exits(0)
    assert (life.state, life.service.desired, life.service.reason) == (State.WAITING, Desired.UP, Reason.SUCCESS)
    assert life.reports("run_finished") == [
        {
            "service": "job",
            "attempt": 1,
            "succeeded": True,
            "reason": "success",
            "exit_code": 0,
            "duration_s": 1.5,
            "scheduled_for": FIRST,
        }
    ]


def test_failed_run_does_not_fail_the_service() -> None:
    """A run that fails is a record with its status, and the next one comes."""
    life = waiting().send(due(FIRST)).exits(EXITED_3)
    assert (life.state, life.service.exit_code) == (State.WAITING, 3)
    assert life.reports("run_finished")[0]["reason"] == "exit-code"
    assert life.send(due(SECOND)).state is State.STARTING


def test_failed_run_can_be_tried_again() -> None:
    """With a restart policy a failed run is tried again, until the limit, or until the next one takes its place."""
    life = waiting(replace(SPEC, restart=Restart.ON_FAILURE)).send(due(FIRST)).exits(EXITED_3)
    assert life.state is State.BACKOFF
    life.wait().exits(EXITED_3)
    assert life.reports("run_finished")[1]["scheduled_for"] == FIRST
    assert life.send(due(SECOND)).service.run_at == SECOND
    tries = 0
    while life.exits(EXITED_3).service.deadline is not None:
        life.wait()
        tries += 1
    assert tries == 3  # the two before count as well: five in a minute
    assert (life.service.state, life.service.reason) == (State.WAITING, Reason.RESTART_LIMIT)


def test_overlap_skip() -> None:
    """A run that is due while one is under way does not take place."""
    life = waiting().send(due(FIRST), due(SECOND))
    assert life.reports("run_skipped") == [
        {"service": "job", "scheduled_for": SECOND, "reason": "the run before is under way"}
    ]
    assert life.exits(0).state is State.WAITING


def test_overlap_queue() -> None:
    """It waits for the end of the one before; a third one does not."""
    life = waiting(overlapping(Overlap.QUEUE)).send(due(FIRST), due(SECOND), due(THIRD))
    assert [record["scheduled_for"] for record in life.reports("run_skipped")] == [THIRD]
    life.exits(0)
    assert (life.state, life.service.run_at, life.service.queued) == (State.STARTING, SECOND, None)
    assert life.exits(0).state is State.WAITING


def test_overlap_replace() -> None:
    """The run before is told to end, and the new one begins when it has."""
    life = waiting(overlapping(Overlap.REPLACE)).send(due(FIRST), due(SECOND))
    assert (life.state, life.service.reason, life.signals()) == (State.STOPPING, Reason.REPLACED, [SIGTERM])
    life.send(due(THIRD)).exits(SIGTERM)
    assert (life.state, life.service.run_at) == (State.STARTING, THIRD)
    (run,) = life.reports("run_finished")
    assert (run["scheduled_for"], run["reason"], run["succeeded"]) == (FIRST, "replaced", False)


@pytest.mark.parametrize("overlap", list(Overlap))
def test_no_run_follows_a_stop(overlap: Overlap) -> None:
    """What is told to stop runs no more, whatever waits."""
    life = waiting(overlapping(overlap)).send(due(FIRST), due(SECOND), ev.StopRequested("job"), due(THIRD))
    life.exits(SIGTERM)
    assert (life.state, life.service.queued) == (State.STOPPED, None)
    assert life.send(due(THIRD)).state is State.STOPPED


def test_missed_and_hindered_runs() -> None:
    """Too late by its own deadline, or without what it needs, a run does not take place; the next one may."""
    strict = replace(SPEC, schedule=Schedule("*/5 * * * *", start_deadline=60.0))
    assert waiting(strict).send(due(FIRST, late=61.0)).reports("run_skipped")[0]["reason"] == "too late"
    assert waiting(strict).send(due(FIRST, late=59.0)).state is State.STARTING
    life = waiting()
    life.missing = "db"
    assert life.send(due(FIRST)).reports("run_skipped")[0]["reason"] == "db is not there"
    life.missing = ""
    assert life.send(ev.NeedsMet("job")).state is State.WAITING
    assert life.send(due(SECOND)).state is State.STARTING


def test_never_due() -> None:
    """A schedule without any time has failed, and says why; after its last time it has failed as well."""
    life = Life(SPEC).start().send(ev.RunPlanned("job", None))
    assert (life.state, life.service.reason, life.service.exit_code) == (State.FAILED, Reason.NEVER_DUE, 1)
    last = waiting().send(due(FIRST), ev.RunPlanned("job", None))
    assert last.state is State.STARTING
    assert last.exits(0).send(ev.RunPlanned("job", None)).state is State.FAILED


def test_run_by_order() -> None:
    """A restart of what waits for its time is a run now, planned for no time."""
    life = waiting().send(ev.RestartRequested("job"))
    assert (life.state, life.service.run_at) == (State.STARTING, None)
    life.exits(0)
    assert "scheduled_for" not in life.reports("run_finished")[0]


def test_run_bounded_in_time() -> None:
    """A run that takes too long is told to end, and has failed."""
    life = waiting(replace(SPEC, start_timeout=10.0)).send(due(FIRST)).wait().exits(SIGTERM)
    assert (life.state, life.reports("run_finished")[0]["reason"]) == (State.WAITING, "start-timeout")
