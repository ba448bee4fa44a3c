"""Control groups of services through the daemon: where cgroup v2 can be written, and where it can't."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from supervisor.runtime.cgroups import read_lines
from supervisor.runtime.hierarchy import own_group
from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.cgroups import WRITABLE
from tests.helpers.settings import program, service, table

V1_MEMORY = "/sys/fs/cgroup/memory"


def group_of(pid: int) -> str:
    """Folder of the v2 group of a process, by a pid seen from here."""
    (line,) = [line for line in read_lines(f"/proc/{pid}/cgroup") if line.startswith("0::")]
    return f"{own_group().rstrip('/')}/pausevisor-{line.partition('/pausevisor-')[2]}"


def service_group(daemon: Daemon, name: str, start: int = 1) -> str:
    """Folder of the group of a service, by its n-th process."""
    pid = daemon.wait_events(start, "child_started", service=name)[start - 1]["pid"]
    return group_of(daemon.outside(pid))


def members(group: str) -> list[int]:
    """Processes in a group, as seen from here; none when it is gone."""
    with contextlib.suppress(FileNotFoundError, OSError):
        return list(map(int, read_lines(f"{group}/cgroup.procs")))
    return []


STUBBORN = "setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & wait' &"
FAMILY = ("sh", "-c", f"{STUBBORN} {STUBBORN} {STUBBORN} exec sleep 1000")
"""Leaves processes in sessions of their own that ignore TERM."""


@WRITABLE
@pytest.mark.namespace
def test_nothing_of_it_is_left(start: Launcher, place: How, loop: str) -> None:
    """Stopped with the tree as its scope, a service leaves nobody behind, and no group; nor does the daemon."""
    daemon = start.services(
        table("supervisor", when_done="pause", shutdown_timeout="1h"),
        # nobody waits for the stubborn ones
        service("web", *FAMILY, cgroup=True, stop_scope="tree", stop_timeout="1h"),
        service("plain", *program("actor", "TERM=exit:0")),
        options=("--loop", loop),
        how=place,
    )
    group = service_group(daemon, "web")
    procfs.wait_until(lambda: len(members(group)) >= 7, "the family is complete")
    family = members(group)
    assert daemon.outside(daemon.wait_event("child_started", service="plain")["pid"]) not in family
    daemon.remember()
    assert daemon.stop() == 0
    assert not any(procfs.alive(pid) for pid in family)
    assert not os.path.exists(os.path.dirname(group))
    assert daemon.events("supervisor_warning") == []


@WRITABLE
@pytest.mark.namespace
def test_a_restart_begins_alone(start: Launcher, place: How, loop: str) -> None:
    """What a service leaves when it dies is asked to end; the successor has a group of the same name."""
    script = "setsid sleep 1000 & setsid sh -c 'sleep 1000 & exec sleep 1000' & exec sleep 1000"
    daemon = start.services(
        service("web", "sh", "-c", script, cgroup=True, stop_scope="tree", restart_delay="10ms"),
        options=("--loop", loop),
        how=place,
    )
    group = service_group(daemon, "web")
    procfs.wait_until(lambda: len(members(group)) == 4, "the family is complete")
    before = set(members(group))
    daemon.kill(daemon.events("child_started")[0]["pid"], "KILL")
    assert service_group(daemon, "web", 2) == group
    procfs.wait_until(lambda: not any(procfs.alive(pid) for pid in before), "the old family has ended")
    procfs.wait_until(lambda: len(members(group)) == 4, "the new family is complete")
    assert daemon.stop() == 0
    assert not os.path.exists(os.path.dirname(group))


@WRITABLE
def test_what_is_left_by_intent_stays(start: Launcher) -> None:
    """With another scope the group outlives the service as long as somebody is in it, and is removed then.

    By the group it is known whose the orphan was, though it left the session.
    """
    left = os.path.join(start.folder, "left")
    script = f"setsid sh -c ': > {left}; exec sleep 1000' & until [ -e {left} ]; do sleep 0.01; done"
    daemon = start.services(
        table("supervisor", when_done="pause"),
        service("web", "sh", "-c", script, cgroup=True, restart="never"),
    )
    group = service_group(daemon, "web")
    daemon.wait_event("pause_entered")
    (orphan,) = members(group)
    os.kill(orphan, signal.SIGKILL)
    assert daemon.wait_event("orphan_exited")["origin"] == "web"
    procfs.wait_until(lambda: not os.path.exists(group), "the group is removed when its last process is reaped")
    assert os.path.exists(os.path.dirname(group))
    assert daemon.stop() == 0
    assert not os.path.exists(os.path.dirname(group))


@WRITABLE
def test_a_frozen_service_can_be_stopped(start: Launcher) -> None:
    """Whoever froze it: an order to stop thaws it, so that it can end by itself."""
    daemon = start.services(service("web", *program("actor", "TERM=exit:0"), cgroup=True))
    daemon.wait_line("ready")
    group = service_group(daemon, "web")
    with open(f"{group}/cgroup.freeze", "w", encoding="ascii") as file:
        file.write("1")
    procfs.wait_until(lambda: "frozen 1" in read_lines(f"{group}/cgroup.events"), "it is frozen")
    assert daemon.stop() == 0
    assert daemon.wait_event("child_exited")["exit_code"] == 0


@WRITABLE
def test_another_user_in_a_group(start: Launcher) -> None:
    """The group is joined with the daemon's rights, before the process becomes somebody else."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    daemon = start.services(service("web", "sleep", "1000", cgroup=True, user="nobody"))
    pid = daemon.wait_event("child_started")["pid"]
    assert members(service_group(daemon, "web")) == [pid]
    assert procfs.status(pid)["Uid"].split()[0] == "65534"
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_where_there_can_be_none(start: Launcher, pid1: How, loop: str) -> None:
    """It is said once, with the reason, and all services run."""
    daemon = start.services(
        *(service(name, *program("actor", "TERM=exit:0"), cgroup={"pids-max": 10}) for name in ("one", "two")),
        options=("--loop", loop),
        how=replace(pid1, hidden=("/sys/fs/cgroup",)),
    )
    for name in ("one", "two"):
        daemon.wait_line("ready", service=name)
    (warning,) = daemon.events("supervisor_warning")
    assert "control groups" in warning["message"]
    assert "No such file or directory (" in warning["message"]
    assert daemon.stop() == 0


# Kills for lack of memory

EATER = ("python3", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))")


@pytest.fixture
def tight() -> Iterator[str]:
    """A group of 60 MB in the memory hierarchy of cgroup v1."""
    path = f"{V1_MEMORY}/pausevisor-test-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as error:
        pytest.skip(f"no memory cgroup v1 to write: {error}")
    with open(f"{path}/memory.limit_in_bytes", "w", encoding="ascii") as file:
        file.write("60M")
    yield path

    def removed() -> bool:
        with contextlib.suppress(OSError):  # somebody is in it for a moment still
            os.rmdir(path)
        return not os.path.exists(path)

    procfs.wait_until(removed, "the group is empty")


def test_a_kill_for_memory_is_told_from_another(start: Launcher, loop: str, tight: str) -> None:
    """The kernel's KILL is `oom_killed`, for a service and at each restart; somebody else's is not."""
    daemon = start.services(
        table("supervisor", on_failure="ignore", when_done="pause"),
        service(
            "eater", *EATER, oom_score_adjust=1000, restart_delay="1ms", restart_limit={"count": 1, "within": "60s"}
        ),
        service("other", *program("actor")),
        options=("--loop", loop),
        how=How(conditions={"joins": [f"{tight}/cgroup.procs"]}),
    )
    ends = daemon.wait_events(2, "child_exited", service="eater")
    assert [(end.get("signal"), end["oom_killed"]) for end in ends] == [(9, True), (9, True)]
    daemon.kill(daemon.wait_event("child_started", service="other")["pid"], "KILL")
    end = daemon.wait_event("child_exited", service="other")
    assert (end["signal"], end["oom_killed"]) == (9, False)
    assert daemon.stop() == 0
