"""Places the daemon runs in: bare environments, missing folders, user namespaces, other subreapers above it."""

import os
import sys
from dataclasses import replace

import pytest

from tests.harness import How, Launcher
from tests.helpers.settings import program, service, table

BARE: dict[str, dict[str, str]] = {
    "empty": {},
    "no-home": {"PATH": "/usr/bin:/bin"},
    "no-path": {"HOME": "/", "LANG": "C"},
    "odd-locale": {"PATH": "/usr/bin:/bin", "LANG": "xx_YY", "LC_ALL": "xx_YY.nonsense", "TZ": "nonsense/nowhere"},
}


@pytest.mark.namespace
@pytest.mark.parametrize("name", BARE)
def test_bare_environments(start: Launcher, place: How, loop: str, name: str) -> None:
    """Without HOME, PATH or anything at all, in a locale and a zone that do not exist: commands are found and run."""
    how = replace(place, conditions={"environment": BARE[name]})
    daemon = start.single("sh", "-c", "exit 5", options=("--loop", loop), how=how)
    assert daemon.wait() == 5


@pytest.mark.namespace
def test_services_in_an_empty_environment(start: Launcher, place: How, loop: str) -> None:
    """Services too are found without PATH, and records keep to UTC and UTF-8."""
    how = replace(place, conditions={"environment": {"TZ": "nonsense/nowhere", "LANG": "xx_YY"}})
    daemon = start.services(
        service("talk", "sh", "-c", "printf '\\303\\251\\n'", restart="never"), options=("--loop", loop), how=how
    )
    assert daemon.wait() == 0
    assert daemon.events("output")[0]["message"] == "\u00e9"


def hideable(*folders: str) -> tuple[str, ...]:
    """Those of the folders in which neither the interpreter nor the project stands."""
    needed = [os.path.realpath(path) for path in (sys.executable, sys.prefix, sys.base_prefix, __file__)]
    return tuple(
        folder
        for folder in folders
        if os.path.isdir(folder) and not any(path.startswith(folder + "/") for path in [*needed, sys.prefix])
    )


@pytest.mark.namespace
@pytest.mark.parametrize("form", ["pause", "single"])
def test_missing_folders(start: Launcher, pid1: How, form: str) -> None:
    """With nothing in /dev, /tmp, /run and /sys/fs/cgroup, pause and single form work."""
    how = replace(pid1, hidden=hideable("/dev", "/tmp", "/run", "/sys/fs/cgroup"))
    assert "/dev" in how.hidden
    if form == "pause":
        daemon = start.pause(how)
        daemon.wait_event("pause_entered")
        assert daemon.stop() == 0
    else:
        assert start.single("sh", "-c", "exit 5", how=how).wait() == 5


@pytest.mark.namespace
def test_services_without_dev(start: Launcher, pid1: How, loop: str) -> None:
    """With nothing in /dev a service runs all the same."""
    how = replace(pid1, hidden=hideable("/dev", "/sys/fs/cgroup"))
    daemon = start.services(
        service("talk", "sh", "-c", "echo runs", restart="never"), options=("--loop", loop), how=how
    )
    assert daemon.wait() == 0
    assert daemon.events("output")[0]["message"] == "runs"


@pytest.mark.namespace
def test_a_user_namespace(start: Launcher, user_namespace: How, loop: str) -> None:
    """As root of a user namespace, which may do little outside it, the daemon works."""
    daemon = start.services(
        service("maker", *program("orphans", "3", "quick")), options=("--loop", loop), how=user_namespace
    )
    assert daemon.wait_event("supervisor_started")["mode"] == "pid1"
    daemon.wait_events(3, "orphan_exited")
    assert daemon.stop() == 0


LAUNCHERS: dict[str, tuple[str, ...]] = {
    "subreaper": tuple(program("subreaper")),
    "shell": ("sh", "-c", '"$@"; exit $?', "sh"),
}


@pytest.mark.namespace
@pytest.mark.parametrize("above", LAUNCHERS)
def test_under_another_parent(start: Launcher, place: How, loop: str, above: str) -> None:
    """Under another subreaper, or under a shell, the daemon reaps its own orphans and says that it is no PID 1."""
    how = replace(place, launcher=LAUNCHERS[above])
    daemon = start.services(service("maker", *program("orphans", "5", "quick")), options=("--loop", loop), how=how)
    assert daemon.wait_event("supervisor_started")["mode"] == "subreaper"
    daemon.wait_events(5, "orphan_exited", exit_code=7)
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_a_daemon_below_a_daemon(start: Launcher, pid1: How) -> None:
    """One daemon as a service of another: each reaps its own, statuses come up the line."""
    inner = start.write(
        table("log", format="json"),
        service("maker", *program("orphans", "3", "quick", "exit"), restart="never"),
    )
    daemon = start.services(
        service(
            "inner", sys.executable, "-I", "-m", "supervisor", "run", "-c", inner, "--control", "", restart="never"
        ),
        how=pid1,
    )
    assert daemon.wait() == 0
    said = [found["message"] for found in daemon.events("output", service="inner")]
    assert sum('"orphan_exited"' in line for line in said) == 3
    assert daemon.events("orphan_exited") == []
