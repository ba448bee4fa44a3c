"""A service that names another of its processes as the main one: whose end is whose."""

from typing import Any

import pytest

from supervisor.core import events as ev
from supervisor.core.signals import SIGTERM
from supervisor.core.spec import OnFailure, WhenDone
from tests.runtime.rig import Rig, service


def handed_over(**changes: Any) -> tuple[Rig, int, int]:
    """A service whose first process has named a second one; both pids."""
    rig = Rig(service("web", **changes), when_done=WhenDone.PAUSE, on_failure=OnFailure.IGNORE).start()
    first = rig.pid("web")
    second = rig.kernel.add("web-main", parent=first).pid
    rig.driver.post(ev.Notified("web", first, main_pid=second))
    rig.loop.settle()
    assert rig.pid("web") == second
    return rig, first, second


def test_the_former_ones_end_is_not_the_services() -> None:
    """The parent of a daemon ends, the daemon is adopted, and its end is the service's."""
    rig, first, second = handed_over()
    rig.kernel.exits(first, 0)
    rig.loop.settle()
    assert rig.state("web") == "running"
    assert rig.events("child_exited") == []
    assert rig.events("orphan_exited", pid=first, origin="web")
    rig.kernel.exits(second, 3)
    rig.loop.settle()
    (ended,) = rig.events("child_exited")
    assert (ended["pid"], ended["exit_code"]) == (second, 3)
    assert rig.state("web") == "failed"
    rig.assert_sound()


def test_signals_go_to_the_new_one() -> None:
    """A stop reaches the process that was named, and the group that it leads."""
    rig, first, second = handed_over()
    rig.driver.post(ev.StopRequested("web"))
    rig.loop.settle()
    assert (second, SIGTERM) in rig.kernel.sent
    assert (first, SIGTERM) not in rig.kernel.sent
    rig.assert_sound()


def test_one_without_a_group_of_its_own_gets_it_alone() -> None:
    """A process that leads no group is signalled by itself: its group's number is somebody else's."""
    rig = Rig(service("web"), when_done=WhenDone.PAUSE).start()
    first = rig.pid("web")
    second = rig.kernel.add("worker", parent=first, pgrp=first, session=first).pid
    rig.driver.post(ev.Notified("web", first, main_pid=second))
    rig.driver.post(ev.StopRequested("web"))
    rig.loop.settle()
    assert [pid for pid, signal in rig.kernel.sent if signal == SIGTERM] == [second]
    rig.assert_sound()


def test_who_was_reaped_by_its_parent_is_missed_with_the_parent() -> None:
    """The named process died and its own parent took the news: the parent's end is then the service's."""
    rig, first, second = handed_over()
    del rig.kernel.processes[second]
    rig.kernel.exits(first, 5)
    rig.loop.settle()
    (ended,) = rig.events("child_exited")
    assert ended["exit_code"] == 5
    assert rig.state("web") == "failed"
    rig.assert_sound()


@pytest.mark.parametrize("named", ["itself", "another service's"])
def test_no_other_service_is_taken_over(named: str) -> None:
    """Naming itself changes nothing; the main process of another service stays that one's."""
    rig = Rig(service("web"), service("db"), when_done=WhenDone.PAUSE, on_failure=OnFailure.IGNORE).start()
    first, other = rig.pid("web"), rig.pid("db")
    rig.driver.post(ev.Notified("web", first, main_pid=first if named == "itself" else other))
    rig.loop.settle()
    rig.kernel.exits(other, 3)
    rig.loop.settle()
    assert [record["service"] for record in rig.events("child_exited")] == ["db"]
    assert rig.state("db") == "failed"
    assert rig.pid("web") == first
