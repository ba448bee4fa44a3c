"""What is reported of each child and orphan, and where orphans came from."""

from typing import Any

import pytest

from supervisor.core import events as ev
from supervisor.core.signals import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP
from supervisor.core.spec import OnFailure, Restart, StopScope, Transparent, WhenDone
from supervisor.runtime.lineage import VARIABLE
from tests.runtime.rig import Rig, service

NAMED = {VARIABLE: "web"}


def make(**changes: Any) -> Rig:
    """A rig with the service ``web``, which outlives it."""
    rig = Rig(service("web", **changes), service("db"), when_done=WhenDone.PAUSE, on_failure=OnFailure.IGNORE)
    return rig.start()


def orphan_record(rig: Rig, pid: int) -> dict[str, Any]:
    """The one record of an orphan's exit."""
    (record,) = rig.events("orphan_exited", pid=pid)
    return record


def test_an_exit_is_reported_with_all_that_is_known() -> None:
    """Status, duration, CPU time and memory in the units that the names say."""
    rig = make()
    pid = rig.pid("web")
    rig.clock.now += 2.5
    rig.exits("web", 3)
    (record,) = rig.events("child_exited")
    assert record == {
        "level": "warning",
        "event": "child_exited",
        "service": "web",
        "pid": pid,
        "exit_code": 3,
        "expected": False,
        "duration_s": 2.5,
        "user_cpu_s": 0.25,
        "system_cpu_s": 0.125,
        "max_rss_bytes": 2048 * 1024,
        "oom_killed": False,
    }
    rig.assert_sound()


def test_an_expected_exit_is_no_warning() -> None:
    """Success, and an end that was ordered, surprise nobody."""
    rig = make(success_codes=frozenset({0, 4}))
    rig.exits("web", 4)
    assert rig.events("child_exited", service="web", level="info", expected=True)
    rig.signal(SIGTERM)
    assert rig.events("child_exited", service="db", level="info", expected=True, signal=SIGTERM)


def test_a_death_by_signal_names_it() -> None:
    """The number, the name, and whether there is a core file; no exit code beside them."""
    rig = make()
    rig.kernel.dies(rig.pid("web"), 11, core=True)
    rig.loop.settle()
    (record,) = rig.events("child_exited")
    assert (record["signal"], record["signal_name"], record["core_dumped"]) == (11, "SIGSEGV", True)
    assert "exit_code" not in record


def test_last_words_are_written_before_the_end_is_told() -> None:
    """Output is drained while the process is a zombie, and its last lines go with an unexpected exit only."""
    rig = make()
    web, db = rig.pid("web"), rig.pid("db")
    rig.launcher.tails = {web: ["going down"], db: ["fine"]}
    rig.exits("web", 1)
    rig.exits("db", 0)
    assert rig.kernel.trace == [("last_words", web), ("reap", web), ("last_words", db), ("reap", db)]
    assert rig.events("child_exited", service="web")[0]["tail"] == ["going down"]
    assert "tail" not in rig.events("child_exited", service="db")[0]


def test_a_single_commands_failure_is_its_own_affair() -> None:
    """The command's status is handed on by ours, so its unexpected end is no warning."""
    rig = make(transparent=Transparent())
    rig.exits("web", 3)
    assert rig.events("child_exited", service="web", level="info", expected=False)


@pytest.mark.parametrize("scope", [StopScope.GROUP, StopScope.TREE])
def test_workers_go_before_their_leaders_successor_comes(scope: StopScope) -> None:
    """A restarted service's old process group is told to end while its zombie still holds the number."""
    rig = make(restart=Restart.ALWAYS, restart_delay=0.0, stop_scope=scope, stop_signal=2)
    main = rig.pid("web")
    worker = rig.kernel.add("worker", main, pgrp=main, session=main, obeys=set()).pid
    rig.exits("web", 1)
    assert [signal for pid, signal in rig.kernel.sent if pid == worker] == [2, SIGCONT]
    assert rig.pid("web") not in {main, worker}
    rig.assert_sound()


def test_workers_stay_where_the_scope_is_the_process() -> None:
    """With that scope the group is not the service's to signal."""
    rig = make(restart=Restart.ALWAYS, restart_delay=0.0, stop_scope=StopScope.PROCESS)
    main = rig.pid("web")
    rig.kernel.add("worker", main, pgrp=main, session=main)
    rig.exits("web", 1)
    assert rig.kernel.sent == []


def test_stops_and_continues_are_told_with_service_or_name() -> None:
    """Of a service with its name, of an orphan with its program's and its origin; no state changes."""
    rig = make()
    web = rig.pid("web")
    orphan = rig.kernel.add("worker", session=web, pgrp=web).pid
    for pid in (web, orphan):
        rig.kernel.stops(pid, SIGTSTP)
        rig.settle()
        rig.kernel.continues(pid)
        rig.settle()
    assert rig.events("child_stopped", service="web", pid=web, signal=SIGTSTP, signal_name="SIGTSTP")
    assert rig.events("child_continued", service="web", pid=web, signal=SIGCONT, signal_name="SIGCONT")
    assert rig.events("orphan_stopped", pid=orphan, comm="worker", origin="web", signal=SIGTSTP)
    assert rig.events("orphan_continued", pid=orphan, comm="worker", origin="web", signal=SIGCONT)
    assert rig.state("web") == "running"
    rig.assert_sound()


def test_a_process_that_is_stopped_and_killed_is_told_as_both() -> None:
    """The stop first, then the end by KILL."""
    rig = make()
    pid = rig.pid("web")
    rig.kernel.stops(pid, SIGSTOP)
    rig.settle()
    rig.kernel.dies(pid, SIGKILL)
    rig.loop.settle()
    told = [record["event"] for record in rig.journal.records if record.get("pid") == pid]
    assert told == ["child_started", "child_stopped", "child_exited"]


# Orphans


def test_an_orphan_of_a_services_session_is_known_by_it() -> None:
    """Its session, or its group, is the service's, also after the service's process is gone."""
    rig = make()
    web = rig.pid("web")
    by_session = rig.kernel.add("worker", session=web).pid
    by_group = rig.kernel.add("worker", session=0, pgrp=web).pid
    rig.exits("web")
    for pid in (by_session, by_group):
        rig.kernel.exits(pid, 7)
        rig.loop.settle()
        assert orphan_record(rig, pid)["origin"] == "web"
        assert orphan_record(rig, pid)["exit_code"] == 7
    rig.assert_sound()


def test_an_orphan_with_a_session_of_its_own_is_known_by_its_environment() -> None:
    """It was looked at when it was handed to us, alive, because a zombie has no environment any more."""
    rig = make()
    web = rig.pid("web")
    daemon = rig.kernel.add("daemon", web, environment=NAMED).pid
    stranger = rig.kernel.add("stranger", web).pid
    rig.exits("web")
    for pid in (daemon, stranger):
        rig.kernel.exits(pid)
        rig.loop.settle()
    assert orphan_record(rig, daemon)["origin"] == "web"
    assert "origin" not in orphan_record(rig, stranger)
    assert orphan_record(rig, stranger)["comm"] == "stranger"
    rig.assert_sound()


def test_the_environments_word_names_only_services_that_exist() -> None:
    """The variable is the process's own claim: a name nobody configured is not repeated."""
    rig = make()
    liar = rig.kernel.add("liar", rig.pid("web"), environment={VARIABLE: "../etc"}).pid
    rig.exits("web")
    rig.kernel.exits(liar)
    rig.loop.settle()
    assert "origin" not in orphan_record(rig, liar)


def test_an_orphan_nobody_could_look_at_is_told_without_a_name() -> None:
    """Where /proc is not to be read, the exit is reported all the same, and by its session with its origin."""
    rig = make()
    pid = rig.kernel.add("ghost", session=rig.pid("web")).pid
    rig.kernel.name = lambda pid: ""  # type: ignore[method-assign] # noqa: ARG005
    rig.kernel.exits(pid)
    rig.loop.settle()
    assert orphan_record(rig, pid)["comm"] == ""
    assert orphan_record(rig, pid)["origin"] == "web"
    rig.assert_sound()


def test_a_reused_number_is_the_new_owners() -> None:
    """An orphan's number that a service gets next is the service's, and one after the service is a stranger's."""
    rig = make(restart=Restart.ALWAYS, restart_delay=0.0, stop_scope=StopScope.PROCESS)
    number = rig.pid("web") + 50
    rig.kernel.exits(rig.kernel.add("stranger", pid=number).pid)
    rig.loop.settle()
    assert rig.events("orphan_exited", pid=number, comm="stranger")
    rig.kernel._next_pid = number - 1  # noqa: SLF001 - the kernel is free to give any number
    rig.exits("web")
    assert rig.pid("web") == number
    rig.exits("web", 3)
    assert rig.events("child_exited", service="web", pid=number, exit_code=3)
    assert len(rig.events("orphan_exited", pid=number)) == 1
    rig.assert_sound()


def test_adopted_processes_are_looked_at_once() -> None:
    """However many orphans live below us, each is read once, not at every exit."""
    rig = make(restart=Restart.ALWAYS, restart_delay=0.0, stop_scope=StopScope.PROCESS)
    web = rig.pid("web")
    for _ in range(20):
        rig.kernel.add("daemon", web)
    rig.exits("web")
    before = rig.failpoints.passed["environment"]
    for _ in range(5):
        rig.exits("web")
    assert rig.failpoints.passed["environment"] == before == 20


# -- helpers, and other main processes


def test_a_helper_is_nobodys_news() -> None:
    """Its wait status goes to who asked for it; there is no record, whatever it does, and its group ends with it."""
    rig = make()
    told: list[int] = []
    helper = rig.kernel.add("check")
    left = rig.kernel.add("sleep", helper.pid, pgrp=helper.pid, obeys=set())
    rig.driver.helper(helper.pid, "web", told.append)
    rig.kernel.stops(helper.pid, SIGSTOP)
    rig.settle()
    rig.kernel.continues(helper.pid)
    rig.settle()
    before = len(rig.journal.records)
    rig.kernel.exits(helper.pid, 3)
    rig.loop.settle()
    assert told == [3 << 8]
    assert (left.pid, SIGKILL) in rig.kernel.sent
    assert [(record["pid"], record["origin"]) for record in rig.journal.records[before:]] == [(left.pid, "web")]
    rig.assert_sound()


def test_a_helper_that_never_led_a_group() -> None:
    """One whose start failed before it had a group of its own: nobody else's is signalled."""
    rig = make()
    told: list[int] = []
    helper = rig.kernel.add("pausevisor", pgrp=1)
    rig.driver.helper(helper.pid, "web", told.append)
    rig.kernel.exits(helper.pid, 127)
    rig.loop.settle()
    assert told == [127 << 8]
    assert rig.kernel.sent == []
    assert rig.events("supervisor_warning") == []
    rig.assert_sound()


def test_heard_out_before_the_end_is_news() -> None:
    """A main process that names another one with its last words has not ended the service."""
    rig = make()
    first = rig.pid("web")
    heir = rig.kernel.add("web", first)
    rig.ears.on_hear["web"] = lambda: rig.driver.handle(ev.Notified("web", first, main_pid=heir.pid))
    rig.exits("web", 0)
    assert (rig.state("web"), rig.pid("web")) == ("running", heir.pid)
    assert rig.events("child_exited") == []
    assert orphan_record(rig, first)["exit_code"] == 0
    rig.exits("web", 3)
    assert rig.events("child_exited", service="web", pid=heir.pid, exit_code=3)
    rig.assert_sound()


def test_hearing_that_fails_keeps_no_end_back() -> None:
    """A mistake of ours while a service is heard out is told of, and its end is too."""
    rig = make()
    rig.failpoints.arm("hear", 1, RuntimeError("injected"))
    rig.exits("web", 3)
    assert rig.events("internal_error", where="hearing web")
    assert rig.state("web") == "failed"
    assert rig.events("child_exited", service="web", exit_code=3)
