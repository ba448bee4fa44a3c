"""Every child and orphan is reaped and reported once, with its own status, and nothing that is not ours is touched."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.records import check_foretold
from tests.helpers.settings import program, service, table


@pytest.mark.namespace
def test_a_thousand_orphans_in_a_row(start: Launcher, place: How, loop: str) -> None:
    """A service that forks twice a thousand times leaves no zombie; each orphan is reported with its origin."""
    daemon = start.services(service("maker", *program("orphans", "1000", "quick")), options=("--loop", loop), how=place)
    daemon.wait_line("done")
    ended = daemon.wait_events(1000, "orphan_exited", exit_code=7)
    daemon.assert_no_zombie()
    assert {found.get("origin") for found in ended} == {"maker"}
    assert daemon.stop() == 0
    assert len(daemon.events("orphan_exited")) == 1000


@pytest.mark.namespace
def test_a_thousand_orphans_at_one_instant(start: Launcher, pid1: How, loop: str) -> None:
    """Orphans that end in one instant are each reported once, with the status that each one's pid foretells."""
    daemon = start.services(
        service("maker", *program("orphans", "1000", "together")), options=("--loop", loop), how=pid1
    )
    pid = daemon.wait_event("child_started")["pid"]
    daemon.wait_line("done")
    daemon.kill(pid, "USR1")
    ended = daemon.wait_events(1000, "orphan_exited")
    check_foretold(ended)
    assert len({found["pid"] for found in ended}) == 1000
    assert daemon.stop() == 0
    assert len(daemon.events("orphan_exited")) == 1000


@pytest.mark.namespace
def test_term_while_orphans_die(start: Launcher, pid1: How, loop: str) -> None:
    """TERM is obeyed while hundreds of orphans die, and all of them are still reported."""
    daemon = start.services(
        service("maker", *program("orphans", "400", "together")), options=("--loop", loop), how=pid1
    )
    pid = daemon.wait_event("child_started")["pid"]
    daemon.wait_line("done")
    daemon.kill(pid, "USR1")
    daemon.signal("TERM")
    assert daemon.wait() == 0
    assert len(daemon.events("orphan_exited")) == 400


@pytest.mark.namespace
def test_a_daemon_of_the_old_kind_is_told_from_its_origin(start: Launcher, place: How) -> None:
    """A process that forked twice, left session and descriptors behind is ours: it is ended with us, origin known."""
    daemon = start.services(service("maker", *program("orphans", "2", "stay")), how=place)
    daemon.wait_line("done")
    assert daemon.stop() == 0
    ended = daemon.events("orphan_exited")
    assert [(found["origin"], found["signal_name"]) for found in ended] == [("maker", "SIGTERM")] * 2


@pytest.mark.namespace
def test_a_stubborn_orphan_is_killed_at_the_deadline(start: Launcher, place: How) -> None:
    """An orphan that ignores TERM and HUP gets KILL at the shared deadline and is listed as killed."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="2s"), service("maker", *program("orphans", "1", "stubborn")), how=place
    )
    daemon.wait_line("done")
    assert daemon.stop() == 0
    assert daemon.wait_event("orphan_exited")["signal_name"] == "SIGKILL"
    assert len(daemon.wait_event("shutdown_finished")["killed"]) == 1


@pytest.mark.namespace
@pytest.mark.parametrize("count", [256])
def test_children_that_end_in_one_tick(start: Launcher, place: How, loop: str, count: int) -> None:
    """Services that all end at once, each with another status, are each reported with their own."""
    gate = os.path.join(start.folder, "gate")
    os.mkfifo(gate)
    script = 'read line < "$0"; exit "$1"'
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        *(service(f"s{code}", "sh", "-c", script, gate, str(code), restart="never") for code in range(count)),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_events(count, "child_started")
    writer = os.open(gate, os.O_WRONLY)
    procfs.wait_until(lambda: readers(daemon.pid) == count, "all have opened the gate")
    os.close(writer)
    ended = daemon.wait_events(count, "child_exited")
    assert {found["service"]: found["exit_code"] for found in ended} == {f"s{code}": code for code in range(count)}
    assert daemon.wait() == 0


def readers(pid: int) -> int:
    """How many children sleep in a read of a FIFO they have open, and not in opening it."""
    return sum(
        any(link.endswith("/gate") for link in procfs.descriptors(child).values()) for child in procfs.children(pid)
    )


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["TSTP", "TTIN", "TTOU", "STOP"])
def test_each_way_to_stop(start: Launcher, pid1: How, name: str) -> None:
    """Every stopping signal is reported by name, so are going on, and death while stopped.

    The kernel does not let TSTP, TTIN and TTOU stop a group that has no parent in its session: hence one session.
    """
    daemon = start.single("sleep", "infinity", options=("--no-new-session",), how=pid1)
    pid = daemon.wait_event("child_started")["pid"]
    for turn in range(2):
        daemon.kill(pid, name)
        assert daemon.wait_events(turn + 1, "child_stopped", pid=pid)[turn]["signal_name"] == "SIG" + name
        if turn == 0:
            daemon.kill(pid, "CONT")
            daemon.wait_event("child_continued", pid=pid)
    daemon.kill(pid, "KILL")
    assert daemon.wait_event("child_exited", pid=pid)["signal"] == 9
    assert daemon.wait() == 137


@pytest.mark.namespace
def test_a_stopped_service_that_is_killed_is_restarted(start: Launcher, place: How, loop: str) -> None:
    """Death while stopped is a death as any other: the service does not stay behind as stopped."""
    daemon = start.services(
        service("web", "sleep", "infinity", restart_delay="1ms"), options=("--loop", loop), how=place
    )
    pid = daemon.wait_event("child_started")["pid"]
    daemon.kill(pid, "STOP")
    daemon.wait_event("child_stopped", pid=pid)
    daemon.kill(pid, "KILL")
    assert daemon.wait_event("child_exited", pid=pid)["signal_name"] == "SIGKILL"
    daemon.wait_events(2, "child_started", service="web")
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_a_zombie_of_another_parent_is_left_alone(start: Launcher, place: How) -> None:
    """A zombie whose parent lives is that parent's: we neither wait for it nor report it."""
    script = "import os, signal, sys; pid = os.fork() or os._exit(4); print('zombie', pid, flush=True); signal.pause()"
    daemon = start.services(service("parent", sys.executable, "-ISc", script), how=place)
    message = daemon.wait_event("output")["message"]
    pid = int(message.split()[1])
    procfs.wait_until(lambda: procfs.state(daemon.outside(pid)) == "Z", "the zombie is one")
    parent = daemon.events("child_started")[0]["pid"]
    daemon.kill(parent, "STOP")
    daemon.wait_event("child_stopped", pid=parent)
    assert procfs.state(daemon.outside(pid)) == "Z"
    assert daemon.events("orphan_exited") == []
    daemon.kill(parent, "CONT")
    daemon.wait_event("child_continued", pid=parent)


@pytest.mark.namespace
def test_a_core_dump_is_told(start: Launcher, place: How) -> None:
    """Death by SEGV gives 139, and `core_dumped` says what the kernel says about a core file here."""
    folder = os.path.join(start.folder, "cores")
    os.mkdir(folder, 0o777)
    script = f"ulimit -c unlimited; exec {sys.executable} -ISc 'import os; os.kill(os.getpid(), 11)'"
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    control = subprocess.Popen(["sh", "-c", script], cwd=folder)
    _, status = os.waitpid(control.pid, 0)
    control.returncode = -signal.SIGSEGV
    daemon = start.services(service("crash", "sh", "-c", script, directory=folder, restart="never"), how=place)
    ended = daemon.wait_event("child_exited")
    assert (ended["signal"], ended["signal_name"]) == (11, "SIGSEGV")
    assert ended["core_dumped"] is os.WCOREDUMP(status), f"core limit {soft}, {hard}"
    assert daemon.wait() == 139


@pytest.mark.namespace
def test_a_pid_used_again_is_attributed_to_its_present_owner(start: Launcher, pid1: How, loop: str) -> None:
    """An orphan ends, a service's next process gets the very same pid: each record is about the right one."""
    reuse = "import os, signal, sys; signal.pthread_sigmask(0, {10}); os.write(1, b'ready\\n'); signal.sigwait({10}); "
    reuse += "open('/proc/sys/kernel/ns_last_pid', 'w').write(str(int(open(sys.argv[1]).read()) - 1)); "
    reuse += "os.write(1, b'set\\n'); signal.pause()"
    target = os.path.join(start.folder, "pid")
    daemon = start.services(
        service("maker", *program("orphans", "1", "stay")),
        service("web", "sleep", "infinity", restart_delay="100ms"),
        service("last-pid", sys.executable, "-ISc", reuse, target),
        options=("--loop", loop),
        how=pid1,
    )
    daemon.wait_line("done")
    daemon.wait_line("ready", service="last-pid")
    said = [found["message"] for found in daemon.events("output", service="maker")]
    orphan = int(next(text for text in said if text.startswith("orphan")).split()[1])
    with open(target, "w", encoding="ascii") as file:
        file.write(str(orphan))
    pids = {found["service"]: found["pid"] for found in daemon.wait_events(3, "child_started")}
    daemon.kill(orphan, "KILL")
    daemon.wait_event("orphan_exited", pid=orphan, signal=9)
    daemon.kill(pids["last-pid"], "USR1")
    daemon.wait_line("set", service="last-pid")
    daemon.kill(pids["web"], "KILL")
    daemon.wait_event("child_started", service="web", pid=orphan)
    daemon.kill(orphan, "TERM")
    ended = daemon.wait_event("child_exited", service="web", pid=orphan)
    assert ended["signal_name"] == "SIGTERM"
    assert len(daemon.events("orphan_exited", pid=orphan)) == 1


@pytest.mark.namespace
def test_only_children_are_reported(start: Launcher, place: How, loop: str) -> None:
    """The daemon's own threads and helpers are no children: the only process reported is the service's."""
    daemon = start.services(service("web", "sleep", "infinity"), options=("--loop", loop), how=place)
    pid = daemon.wait_event("child_started")["pid"]
    procfs.assert_idle(daemon.pid)
    assert procfs.children(daemon.pid) == [daemon.outside(pid)]
    assert daemon.stop() == 0
    assert {found["pid"] for found in daemon.records if "pid" in found and found["event"] != "supervisor_started"} == {
        pid
    }


@pytest.mark.namespace
def test_usage_of_a_child_is_told(start: Launcher, place: How) -> None:
    """CPU time, peak memory and duration of a child that ended are those of that child."""
    script = "import time; data = b'x' * 40_000_000\nwhile time.process_time() < 0.2: pass"
    daemon = start.services(service("busy", sys.executable, "-ISc", script, restart="never"), how=place)
    ended = daemon.wait_event("child_exited")
    assert ended["expected"] is True
    assert ended["user_cpu_s"] + ended["system_cpu_s"] >= 0.19
    assert ended["duration_s"] >= 0.19
    assert 40_000_000 <= ended["max_rss_bytes"] < 200_000_000
    assert daemon.wait() == 0


@pytest.mark.namespace
def test_the_zombie_check_can_fail(start: Launcher, pid1: How, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PID 1 that does not reap leaves zombies where these tests look for them."""
    script = "import signal, subprocess, sys; subprocess.call(sys.argv[1:]); print('left', flush=True); signal.pause()"
    broken = start.program(
        [sys.executable, "-ISc", script, *program("orphans", "5", "quick", "exit")], replace(pid1, pure=False)
    )
    broken.checked = False
    broken.wait_text("left")
    procfs.wait_until(lambda: len(procfs.zombies(broken.pid)) == 5, "five zombies")
    monkeypatch.setattr(procfs, "PATIENCE", 0.1)
    with pytest.raises(pytest.fail.Exception, match="zombies"):
        broken.assert_no_zombie()
