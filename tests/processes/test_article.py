"""The experiments every text about PID 1 tells: states of a child, adoption, and what the end of a pause ends."""

import pytest

from tests.harness import How, Launcher
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import program, service, table


@pytest.mark.namespace
def test_a_child_is_reported_stopped_continued_and_terminated(start: Launcher, place: How, loop: str) -> None:
    """STOP, CONT and TERM on a child each become one record that names service, process and signal."""
    daemon = start.services(service("web", "sleep", "infinity", restart="never"), options=("--loop", loop), how=place)
    pid = daemon.wait_event("child_started", service="web")["pid"]
    daemon.kill(pid, "STOP")
    stopped = daemon.wait_event("child_stopped", service="web", pid=pid)
    daemon.kill(pid, "CONT")
    continued = daemon.wait_event("child_continued", service="web", pid=pid)
    daemon.kill(pid, "TERM")
    ended = daemon.wait_event("child_exited", service="web", pid=pid)
    assert (stopped["signal"], stopped["signal_name"]) == (19, "SIGSTOP")
    assert (continued["signal"], continued["signal_name"]) == (18, "SIGCONT")
    assert (ended["signal"], ended["signal_name"], ended["expected"]) == (15, "SIGTERM", False)
    assert "exit_code" not in ended
    assert daemon.wait() == 143


@pytest.mark.namespace
def test_a_child_whose_parent_dies_becomes_ours(start: Launcher, place: How, loop: str) -> None:
    """An orphan is adopted, its stop, continue and end are reported, and no zombie is left of it."""
    daemon = start.services(
        table("supervisor", when_done="pause"),
        service("parent", *program("orphans", "1", "stay", "exit"), restart="never"),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("done")
    line = next(found["message"] for found in daemon.events("output") if found["message"].startswith("orphan "))
    pid = int(line.split()[1])
    daemon.wait_event("child_exited", service="parent", exit_code=0)
    daemon.kill(pid, "STOP")
    assert daemon.wait_event("orphan_stopped", pid=pid)["signal_name"] == "SIGSTOP"
    daemon.kill(pid, "CONT")
    assert daemon.wait_event("orphan_continued", pid=pid)["signal_name"] == "SIGCONT"
    daemon.kill(pid, "TERM")
    ended = daemon.wait_event("orphan_exited", pid=pid)
    assert ended["signal_name"] == "SIGTERM"
    assert ended["comm"].startswith("python")
    assert daemon.stop() == 0


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_int_and_term_end_a_pause(start: Launcher, place: How, name: str) -> None:
    """A pause ends with status 0 at INT as at TERM, and says so."""
    daemon = start.pause(place)
    daemon.wait_event("pause_entered")
    assert daemon.stop(name) == 0
    assert daemon.events("signal_received")[0]["signal_name"] == "SIG" + name
    assert daemon.events("shutdown_finished")[0]["exit_code"] == 0


@pytest.mark.namespace
def test_ending_the_pause_ends_the_pod(start: Launcher, pid1: How) -> None:
    """Processes of another container that share the PID namespace end when its PID 1 does."""
    daemon = start.pause(pid1)
    daemon.wait_event("pause_entered")
    with daemon.join("sh", "-c", "echo ready; exec sleep infinity") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        assert daemon.stop() == 0
        assert other.wait(PATIENCE) in {-9, 137}
