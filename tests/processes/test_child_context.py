"""What a child is started with: a service clean and always the same, the single command with what we were given."""

import json
import os
import re
import resource
import signal
from dataclasses import replace
from typing import Any

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service, table

GIVEN = {"ignore": [signal.SIGHUP, signal.SIGUSR2], "block": [signal.SIGUSR1, signal.SIGALRM], "open": [9, 17]}
"""What the daemon finds at its start in these tests: ignored and blocked signals, descriptors left open."""


def numbers(mask: str) -> set[int]:
    """The signals in a set as /proc shows it.

    32 and 33 are left out: glibc keeps them for its threads, and its posix_spawn(3) leaves them ignored.
    """
    bits = int(mask, 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1} - {32, 33}


def described(folder: str, name: str = "report") -> dict[str, Any]:
    """Wait for a report of describe.py and read it."""
    path = os.path.join(folder, name)
    procfs.wait_until(lambda: os.path.exists(path), f"{path} is written")
    with open(path, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def status_of_service(daemon: Daemon) -> dict[str, str]:
    """What `cat /proc/self/status` printed as a service (no interpreter changes its own dispositions there)."""
    assert daemon.wait() == 0
    return {
        key: text.strip()
        for key, _, text in (found["message"].partition(":") for found in daemon.events("output", stream="stdout"))
    }


@pytest.mark.namespace
def test_a_service_has_clean_signals(start: Launcher, place: How, loop: str) -> None:
    """Whatever the daemon was given, a service starts with nothing blocked and nothing ignored."""
    daemon = start.services(
        service("show", "cat", "/proc/self/status", restart="never"),
        options=("--loop", loop),
        how=replace(place, conditions=GIVEN),
    )
    status = status_of_service(daemon)
    assert [numbers(status[field]) for field in ("SigBlk", "SigIgn", "SigCgt")] == [set(), set(), set()]


@pytest.mark.namespace
def test_the_single_command_keeps_signals(start: Launcher, place: How, loop: str) -> None:
    """The single command has the blocked and ignored signals the daemon was given, and no others."""
    how = replace(place, conditions=GIVEN)
    daemon = start.single("cat", "/proc/self/status", options=("--loop", loop), how=how)
    assert daemon.wait() == 0
    status = dict(re.findall(r"^(\w+):\s*(.*)$", daemon.text("stdout"), re.MULTILINE))
    assert numbers(status["SigIgn"]) == {signal.SIGHUP, signal.SIGUSR2}
    assert numbers(status["SigBlk"]) == {signal.SIGUSR1, signal.SIGALRM}


@pytest.mark.namespace
@pytest.mark.parametrize("form", ["services", "single"])
def test_no_descriptor_is_passed_on(start: Launcher, place: How, loop: str, form: str) -> None:
    """A child has 0, 1 and 2 and nothing else: none we were given, none of ours, none of another service."""
    report = os.path.join(start.folder, "report")
    how = replace(place, conditions=GIVEN)
    if form == "services":
        daemon = start.services(
            service("first", *program("actor", "TERM=exit:0")),
            service("web", *program("describe", report)),
            options=("--loop", loop),
            how=how,
        )
    else:
        daemon = start.single(*program("describe", report), options=("--loop", loop), how=how)
    given = described(start.folder)["descriptors"]
    assert set(given) == {"0", "1", "2"}
    if form == "services":
        assert given["0"] == "/dev/null"
        assert given["1"] != given["2"]
    assert daemon.stop() in {0, 143}


@pytest.mark.namespace
def test_a_service_leads_its_own_session_and_group(start: Launcher, place: How) -> None:
    """A service is leader of a session and a group of its own; it starts where the daemon was started."""
    command = program("describe", os.path.join(start.folder, "report"))
    daemon = start.services(service("web", *command), how=replace(place, directory=start.folder))
    found = described(start.folder)
    pid = daemon.wait_event("child_started")["pid"]
    assert (found["pid"], found["group"], found["session"]) == (pid, pid, pid)
    assert found["directory"] == os.path.realpath(start.folder)
    assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/"
    assert found["parent"] == (1 if place.pid1 else daemon.pid)


@pytest.mark.namespace
def test_the_same_at_every_restart(start: Launcher, place: How, loop: str) -> None:
    """Signals, umask, folder, limits, niceness, oom score, environment: alike at the first start and the third."""
    command = program("describe", os.path.join(start.folder, "report-{pid}"), "once")
    daemon = start.services(
        service("web", *command, restart="always", restart_delay="1ms", restart_limit="none", directory=start.folder),
        options=("--loop", loop),
        how=replace(place, conditions={**GIVEN, "umask": 0o027}),
    )
    daemon.wait_events(3, "child_exited", exit_code=0)
    pids = [found["pid"] for found in daemon.events("child_exited")]
    assert daemon.stop() == 0
    reports = [described(start.folder, f"report-{pid}") for pid in pids[:3]]
    for found in reports:
        for own in ("pid", "group", "session"):
            assert found.pop(own) in pids
        found["descriptors"] = {number: target.split(":")[0] for number, target in found["descriptors"].items()}
    assert reports[0] == reports[1] == reports[2]
    assert reports[0]["status"]["Umask"] == "0027"
    assert reports[0]["directory"] == os.path.realpath(start.folder)
    assert reports[0]["limits"]["RLIMIT_NOFILE"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))


HARD_VALUES = {
    "PERCENT": "100%s %(x)s %%",
    "NEWLINE": "one\ntwo\n",
    "EQUALS": "a=b=c=",
    "EMPTY": "",
    "DOLLAR": "${HOME} $$ `id`",
    "BYTES": "\udcff\udcfe",
    "BIG": "x" * (131_072 - len("BIG=") - 1),
}


@pytest.mark.namespace
@pytest.mark.parametrize("form", ["services", "single"])
def test_the_environment_is_passed_on_unharmed(start: Launcher, place: How, form: str) -> None:
    """Values with percent, newline, equals sign, nothing, no text or 128 KiB arrive as they were."""
    report = os.path.join(start.folder, "report")
    how = replace(place, environment=HARD_VALUES)
    command = program("describe", report, "once")
    if form == "services":
        daemon = start.services(service("web", *command, restart="never"), how=how)
    else:
        daemon = start.single(*command, how=how)
    assert daemon.wait() == 0
    environment = described(start.folder)["environment"]
    assert {key: environment.get(key) for key in HARD_VALUES} == HARD_VALUES
    added = {key for key in environment if key.startswith(("PYTHON", "PAUSEVISOR_"))}
    assert added <= {"PAUSEVISOR_SERVICE"}


def test_what_is_meant_for_the_daemon_is_not_passed_on(start: Launcher, loop: str) -> None:
    """The service manager's socket and descriptors are ours: a service sees no variable that speaks of them."""
    ours = {"NOTIFY_SOCKET": os.path.join(start.folder, "no-socket"), "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}
    listen = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x"}
    command = program("describe", os.path.join(start.folder, "report"), "once")
    daemon = start.services(
        service("web", *command, restart="never"), options=("--loop", loop), how=How(environment={**ours, **listen})
    )
    assert daemon.wait() == 0
    assert not {*ours, *listen} & set(described(start.folder)["environment"])


def test_the_environment_of_a_service(start: Launcher) -> None:
    """`environment` adds with expansion, `inherit-environment` takes nothing, or names and globs only."""
    folder = start.folder
    start.services(
        table("supervisor", on_failure="ignore"),
        service(
            "added",
            *program("describe", os.path.join(folder, "added"), "once"),
            environment={"PORT": "${PORT:-8080}", "WHO": "${WHO}!", "PRICE": "$$5"},
            restart="never",
        ),
        service(
            "alone",
            *program("describe", os.path.join(folder, "alone"), "once"),
            environment={"ONLY": "this"},
            inherit_environment=False,
            restart="never",
        ),
        service(
            "some",
            *program("describe", os.path.join(folder, "some"), "once"),
            inherit_environment=["WHO", "APP_*"],
            restart="never",
        ),
        how=How(environment={"WHO": "me", "APP_ONE": "1", "APP_TWO": "2", "OTHER": "3"}),
    ).wait()
    added, alone, some = (described(folder, name)["environment"] for name in ("added", "alone", "some"))
    assert (added["PORT"], added["WHO"], added["PRICE"], added["OTHER"]) == ("8080", "me!", "$5", "3")
    always = {"LC_CTYPE", "PATH", "PAUSEVISOR_SERVICE"}  # the first is set by the small program's interpreter
    assert {key: text for key, text in alone.items() if key not in always} == {"ONLY": "this"}
    assert {key for key in some if key not in always} == {"WHO", "APP_ONE", "APP_TWO"}


@pytest.mark.namespace
def test_the_single_command_keeps_the_working_directory(start: Launcher, place: How) -> None:
    """The single command starts where the daemon was started; the daemon itself stands in the root folder."""
    daemon = start.single(
        *program("describe", os.path.join(start.folder, "report")), how=replace(place, directory=start.folder)
    )
    assert described(start.folder)["directory"] == os.path.realpath(start.folder)
    assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/"
    assert daemon.stop() == 143 or daemon.code == 0


def test_the_single_command_in_the_session_of_the_daemon(start: Launcher) -> None:
    """By default the command gets a session of its own; with `--no-new-session` a group of its own only."""
    first = start.single(*program("describe", os.path.join(start.folder, "own"), "once"))
    second = start.single(
        *program("describe", os.path.join(start.folder, "shared"), "once"), options=("--no-new-session",)
    )
    own, shared = described(start.folder, "own"), described(start.folder, "shared")
    assert own["session"] == own["group"] == own["pid"]
    assert shared["session"] == os.getsid(second.pid) != shared["pid"]
    assert shared["group"] == shared["pid"]
    assert first.wait() == second.wait() == 0
