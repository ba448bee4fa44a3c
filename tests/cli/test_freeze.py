"""freeze and thaw: services that stand still, and what is made of them meanwhile."""

import os

from supervisor.runtime.cgroups import read_lines
from supervisor.runtime.hierarchy import own_group
from tests.cli.conftest import Talking
from tests.harness import Daemon
from tests.helpers import procfs
from tests.helpers.cgroups import WRITABLE
from tests.helpers.settings import program, service, table

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
BEATING = service("beat", "sh", "-c", "while :; do echo beat; sleep 0.01; done & wait", cgroup=True, stop_scope="tree")


def group_of(daemon: Daemon, name: str) -> str:
    """Folder of the control group of a service."""
    pid = daemon.events("child_started", service=name)[-1]["pid"]
    group = next(line[3:] for line in read_lines(f"/proc/{pid}/cgroup") if line.startswith("0::"))
    return f"{own_group().rstrip('/')}/pausevisor-{group.partition('/pausevisor-')[2]}"


def is_still(group: str) -> bool:
    """Whether the kernel says that nothing in the group runs."""
    return "frozen 1" in read_lines(f"{group}/cgroup.events")


def stands_still(daemon: Daemon, name: str) -> None:
    """Wait until nothing of the service runs any more."""
    group = group_of(daemon, name)
    procfs.wait_until(lambda: is_still(group), "it stands still")


@WRITABLE
def test_all_of_a_service_stands_still(talk: Talking) -> None:
    """What it has started does as well; it goes on where it stood, the same process, and TERM finds it awake."""
    daemon, say = talk(QUIET, BEATING)
    daemon.wait_event("output", service="beat")
    found = say.json("freeze", "b*")
    assert [(one["service"], one["outcome"]) for one in found["results"]] == [("beat", "done")]
    stands_still(daemon, "beat")
    (seen,) = say.json("status", code=1)["services"]
    assert (seen["state"], seen["frozen"]) == ("running", True)
    assert "frozen by order" in say("status").stdout
    assert say("freeze", "beat").code == 0  # it is already
    assert len(daemon.events("service_frozen")) == 1
    assert say("thaw", "--all").code == 0
    daemon.wait_event("service_thawed")
    written = len(daemon.events("output"))
    daemon.wait_events(written + 20, "output")
    assert say("freeze", "beat").code == 0
    stands_still(daemon, "beat")
    assert say("stop", "beat").code == 0
    daemon.wait_events(2, "service_thawed")
    assert daemon.wait_event("child_exited")["signal_name"] == "SIGTERM"
    assert len(daemon.events("child_started")) == 1


@WRITABLE
def test_nobody_is_late_who_cannot_move(talk: Talking, folder: str) -> None:
    """The watchdog waits, and nobody probes: a command would run among the frozen. When it goes on both do as well."""
    well = os.path.join(folder, "well")
    os.close(os.open(well, os.O_CREAT | os.O_WRONLY))
    health = {"command": ["test", "-e", well], "interval": "50ms", "timeout": "60s", "failures": 1}
    daemon, say = talk(
        QUIET,
        service("web", *program("speaker", "every:WATCHDOG=1"), cgroup=True, watchdog="4s", health=health),
    )
    daemon.wait_line("ready")
    assert say("freeze", "web").code == 0
    stands_still(daemon, "web")
    os.unlink(well)

    def judged() -> bool:
        return bool(daemon.events("watchdog_expired") or daemon.events("health_changed"))

    assert not daemon.streams["stdout"].wait(judged, 5)
    assert is_still(group_of(daemon, "web"))
    assert say("thaw", "web").code == 0
    assert daemon.wait_event("health_changed")["healthy"] is False
    assert daemon.events("watchdog_expired") == []


@WRITABLE
def test_dead_while_frozen(talk: Talking) -> None:
    """KILL needs nobody's help; the next process is awake, and shutting down thaws whoever is not."""
    daemon, say = talk(QUIET, service("web", "sleep", "1000", cgroup=True, restart_delay="10ms"), BEATING)
    for name in ("web", "beat"):
        daemon.wait_event("child_started", service=name)
    assert say("freeze", "web", "beat").code == 0
    daemon.kill(daemon.events("child_started", service="web")[0]["pid"], "KILL")
    daemon.wait_events(2, "child_started", service="web")
    assert [one["frozen"] for one in say.json("status", code=1)["services"]] == [False, True]
    assert daemon.stop() == 0
    assert daemon.wait_event("shutdown_finished")["killed"] == []


def test_what_cannot_be_frozen(talk: Talking) -> None:
    """Without a control group of its own it is said what is needed; without a process, that there is none."""
    daemon, say = talk(QUIET, service("web", "sleep", "1000"), service("done", "true", restart="never"))
    daemon.wait_event("service_state_changed", to="completed")
    done = say("freeze", "web")
    assert done.code == 1
    assert "web can't be frozen: it needs a control group of its own (cgroup = true in its configuration" in done.stdout
    assert daemon.events("service_frozen") == []
    assert say("freeze", "done").code == 1
    assert say("freeze", "d*").code == 0
    assert say("thaw", "--all").code == 0
