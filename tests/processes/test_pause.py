"""Pause mode: holds the namespace, reaps, ends at TERM and INT, and needs nothing."""

from dataclasses import replace

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.ends import Kind
from tests.helpers.patience import PATIENCE
from tests.helpers.records import check_foretold
from tests.helpers.settings import program


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_nothing_configured_is_a_pause(start: Launcher, place: How, name: str) -> None:
    """`run` with neither configuration nor command pauses, and ends with 0 at TERM and INT."""
    daemon = start.daemon(
        "run", "--control", "", how=replace(place, environment={"PAUSEVISOR_CONFIG": start.write("")})
    )
    daemon.wait_event("pause_entered")
    assert daemon.stop(name) == 0
    assert daemon.wait_event("shutdown_finished")["exit_code"] == 0


@pytest.mark.namespace
def test_mode_is_said(start: Launcher, pid1: How) -> None:
    """As PID 1 the first record says so; elsewhere it says subreaper, and the pause warns but runs."""
    first = start.pause(pid1)
    other = start.pause()
    assert first.wait_event("supervisor_started")["mode"] == "pid1"
    assert other.wait_event("supervisor_started")["mode"] == "subreaper"
    other.wait_event("pause_entered")
    first.wait_event("pause_entered")
    assert [found for found in first.records if found["level"] == "warning"] == []
    assert [found for found in other.records if found["level"] == "warning"] != []


@pytest.mark.namespace
def test_orphans_of_the_pod_are_reaped_and_reported(start: Launcher, pid1: How) -> None:
    """The orphans another container leaves in the namespace come to the pause, which reports each by name."""
    daemon = start.pause(pid1)
    daemon.wait_event("pause_entered")
    with daemon.join(*program("orphans", "20", "quick", "exit")) as other:
        assert other.communicate(timeout=PATIENCE)[0] == "done\n"
    ended = daemon.wait_events(20, "orphan_exited", exit_code=7)
    assert all(found["comm"].startswith("python") for found in ended)
    assert len({found["pid"] for found in ended}) == 20
    daemon.assert_no_zombie()


@pytest.mark.namespace
def test_orphan_states_are_reported(start: Launcher, pid1: How) -> None:
    """Stop, continue and death by a signal of an orphan are reported by the pause as well."""
    daemon = start.pause(pid1)
    daemon.wait_event("pause_entered")
    with daemon.join(*program("orphans", "1", "stay", "exit")) as other:
        text = other.communicate(timeout=PATIENCE)[0]
    pid = int(text.split()[1])
    for name, event in (("STOP", "orphan_stopped"), ("CONT", "orphan_continued"), ("KILL", "orphan_exited")):
        daemon.kill(pid, name)
        assert daemon.wait_event(event, pid=pid)["signal_name"] == "SIG" + name


@pytest.mark.namespace
def test_many_orphans_dying_at_one_instant_and_term_meanwhile(start: Launcher, pid1: How) -> None:
    """Three hundred orphans die together: each is reported with its own status, no zombie is left."""
    daemon = start.pause(pid1)
    daemon.wait_event("pause_entered")
    with daemon.join(*program("orphans", "300", "together", "exit")) as other:
        assert other.communicate(timeout=PATIENCE)[0] == "done\n"
    ended = daemon.wait_events(300, "orphan_exited")
    check_foretold(ended)
    daemon.assert_no_zombie()


@pytest.mark.namespace
def test_an_idle_pause_does_not_wake(start: Launcher, place: How) -> None:
    """A pause sleeps until something happens."""
    daemon = start.pause(place)
    daemon.wait_event("pause_entered")
    procfs.assert_idle(daemon.pid)


@pytest.mark.namespace
@pytest.mark.parametrize("kind", ["closed", "null"])
def test_a_pause_needs_no_descriptor(start: Launcher, place: How, kind: Kind) -> None:
    """With stdin, stdout and stderr closed, or all /dev/null, a pause runs and ends with 0."""
    how = replace(place, stdin=kind, stdout=kind, stderr=kind)
    daemon = start.pause(how)
    procfs.wait_until(lambda: procfs.keeps_term(daemon.pid), "TERM is kept or handled")
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_a_pause_runs_without_optional_imports(start: Launcher, pid1: How) -> None:
    """Pause mode keeps its memory small: no shared object of an event loop is mapped."""
    daemon = start.pause(pid1)
    daemon.wait_event("pause_entered")
    with open(f"/proc/{daemon.pid}/maps", encoding="utf-8") as file:
        mapped = file.read()
    assert "python" in mapped
    assert "uvloop" not in mapped
    assert "_asyncio" not in mapped


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_version(start: Launcher, option: str) -> None:
    """`-v` prints name and version on stdout, and nothing on stderr."""
    daemon = start.daemon(option, how=How(pure=False))
    assert daemon.wait() == 0
    assert daemon.text("stdout").split()[0] == "pausevisor"
    assert daemon.text("stderr") == ""
