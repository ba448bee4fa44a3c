"""What services are restricted to, seen from outside the daemon: /proc of each process, at each start the same."""

import os
import pwd
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service, table

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
NOBODY = pwd.getpwnam("nobody")
SLEEP = ("sh", "-c", "echo up; sleep 1000 & wait")
"""Says when it is there: before that the loader has files open, and /proc shows no environment."""

UNPRIVILEGED = {"user": 65534}
"""Conditions: the daemon is somebody who may become nobody else."""

_STATUS = "Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Umask Cpus_allowed_list SigIgn SigBlk".split()


def read(pid: int, name: str) -> str:
    """A file of /proc/PID."""
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def seen(daemon: Daemon, pid: int) -> dict[str, Any]:
    """All that /proc shows of a service's process, by a pid from a record."""
    outside = daemon.outside(pid)
    daemon.wait_line("up", pid=pid)
    status = procfs.status(outside)
    return {
        **{field: " ".join(status[field].split()) for field in _STATUS},
        "nice": int(read(outside, "stat").rpartition(")")[2].split()[16]),
        "oom_score_adj": read(outside, "oom_score_adj").strip(),
        "limits": dict(re.findall(r"^(Max .*?)  +(\S+ +\S+)", read(outside, "limits"), re.MULTILINE)),
        "environment": dict(entry.split("=", 1) for entry in read(outside, "environ").split("\0") if entry),
        "directory": os.readlink(f"/proc/{outside}/cwd"),
        "descriptors": set(procfs.descriptors(outside)),
    }


@ROOT
@pytest.mark.namespace
def test_everything_at_every_start(start: Launcher, place: How, loop: str) -> None:
    """User, groups, capabilities, limits, priorities, processors, umask and environment: now and after a restart."""
    last = max(os.sched_getaffinity(0))
    daemon = start.services(
        service(
            "web",
            *SLEEP,
            user="nobody",
            directory="/tmp",
            environment={"LOGNAME": "me"},
            umask="0027",
            nice=5,
            limits={"nofile": 1000, "core": 0, "nproc": {"soft": 500, "hard": 1000}},
            oom_score_adjust=321,
            no_new_privileges=True,
            capabilities=["CAP_NET_BIND_SERVICE"],
            cpu_affinity=[last],
            restart_delay="1ms",
        ),
        options=("--loop", loop),
        how=replace(place, conditions={"umask": 0o002}, environment={"HOME": "/root", "SHELL": "/bin/bash"}),
    )
    first = seen(daemon, daemon.wait_event("child_started")["pid"])
    daemon.kill(daemon.events("child_started")[0]["pid"], "KILL")
    second = seen(daemon, daemon.wait_events(2, "child_started")[1]["pid"])
    assert first == second
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert first["Uid"] == f"{uid} {uid} {uid} {uid}"
    assert first["Gid"] == f"{gid} {gid} {gid} {gid}"
    assert set(first["Groups"].split()) == set(map(str, os.getgrouplist("nobody", gid)))
    assert [int(first[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0, 0, 0, 0]
    assert int(first["CapBnd"], 16) == 1 << 10
    assert (first["NoNewPrivs"], first["Umask"], first["nice"], first["oom_score_adj"]) == ("1", "0027", 5, "321")
    assert first["Cpus_allowed_list"] == str(last)
    assert first["limits"]["Max open files"].split() == ["1000", "1000"]
    assert first["limits"]["Max core file size"].split() == ["0", "0"]
    assert first["limits"]["Max processes"].split() == ["500", "1000"]
    wanted = {"HOME": NOBODY.pw_dir, "USER": "nobody", "LOGNAME": "me", "PAUSEVISOR_SERVICE": "web"}
    assert {name: first["environment"].get(name) for name in wanted} == wanted
    assert "SHELL" not in first["environment"]
    assert (first["directory"], first["descriptors"]) == ("/tmp", {0, 1, 2})
    assert int(first["SigBlk"], 16) == 0
    ours = procfs.status(daemon.pid)
    assert (ours["Umask"], ours["NoNewPrivs"], ours["Uid"].split()[0]) == ("0002", "0", "0")
    assert daemon.stop() == 0


@ROOT
def test_services_do_not_see_each_others_settings(start: Launcher, loop: str) -> None:
    """What one is restricted to, or lent, is nothing to the next one."""
    daemon = start.services(
        service("one", *SLEEP, user="nobody", umask="0777", nice=19, limits={"nofile": 50}, cpu_affinity=[0]),
        service("two", *SLEEP),
        service("three", *SLEEP, umask="0000"),
        service("four", *SLEEP),
        options=("--loop", loop),
        how=How(conditions={"umask": 0o022}),
    )
    daemon.wait_events(4, "child_started")
    two, three, four = (
        seen(daemon, daemon.wait_event("child_started", service=name)["pid"]) for name in "two three four".split()
    )
    assert (two["Umask"], three["Umask"], four["Umask"]) == ("0022", "0000", "0022")
    assert two["Uid"].split() == ["0"] * 4
    assert two["nice"] == four["nice"] == os.nice(0)
    assert two["limits"] == four["limits"]
    assert two["limits"]["Max open files"].split()[0] != "50"
    assert two["Cpus_allowed_list"] == procfs.status(os.getpid())["Cpus_allowed_list"]
    assert daemon.stop() == 0


@ROOT
@pytest.mark.namespace
def test_who_is_not_root_can_become_nobody_else(start: Launcher, place: How, loop: str) -> None:
    """That service fails with words, at each try; one that names the daemon's own user runs, and so do the others."""
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("other", *SLEEP, user="daemon", restart_delay="1ms", restart_limit={"count": 1, "within": "60s"}),
        service("root", *SLEEP, user="root", restart="never"),
        service("same", *SLEEP, user="nobody", restart="never"),
        service("number", *SLEEP, user=65534, no_new_privileges=True),
        service("plain", *SLEEP),
        options=("--loop", loop),
        how=replace(place, conditions=UNPRIVILEGED),
    )
    daemon.wait_event("child_started", service="plain")
    daemon.wait_event("service_state_changed", service="other", to="failed")
    failures = daemon.events("child_spawn_failed")
    assert [(found["service"], found["stage"], found["errno"]) for found in failures] == [
        ("other", "user", "EPERM"),
        ("root", "user", "EPERM"),
        ("other", "user", "EPERM"),
    ]
    assert "'daemon'" in failures[0]["error"]
    assert "uid 65534" in failures[0]["error"]
    for name in ("same", "number"):
        found = seen(daemon, daemon.wait_event("child_started", service=name)["pid"])
        assert found["Uid"].split() == ["65534"] * 4
        assert int(found["CapEff"], 16) == int(found["CapAmb"], 16) == 0  # though the daemon has some
        assert found["environment"]["USER"] == "nobody"
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_in_a_user_namespace(start: Launcher, user_namespace: How) -> None:
    """Who is root there is root for `user = "root"`, and the one who does not exist there is refused by name."""
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("same", *SLEEP, user="root", limits={"core": 0}, capabilities=["kill"], umask="077"),
        service("other", *SLEEP, user="nobody", restart="never"),
        how=user_namespace,
    )
    failed = daemon.wait_event("child_spawn_failed")
    assert (failed["service"], failed["stage"], failed["errno"]) == ("other", "user", "EINVAL")
    assert "not mapped in this user namespace" in failed["error"]
    found = procfs.status(procfs.outer_pid(daemon.pid, daemon.wait_event("child_started", service="same")["pid"]))
    assert (int(found["CapBnd"], 16), found["Umask"]) == (1 << 5, "0077")
    assert daemon.stop() == 0


REFUSED: dict[str, tuple[dict[str, object], str, str]] = {
    "limit": ({"limits": {"core": 0, "nofile": 2**40}}, "limits", "'nofile'"),
    "nice": ({"nice": -1}, "nice", "'-1'"),
    "oom": ({"oom_score_adjust": -1000}, "oom-score-adjust", "'-1000'"),
    "capabilities": ({"capabilities": []}, "capabilities", "capabilities"),
    "group": ({"group": "daemon"}, "group", "'daemon'"),
    "groups": ({"supplementary_groups": ["daemon"]}, "supplementary-groups", "'daemon'"),
    "no such user": ({"user": "no-such-user"}, "user", "'no-such-user'"),
    "no such group": ({"group": "no-such-group"}, "group", "'no-such-group'"),
    "processor": ({"cpu_affinity": [8191]}, "cpu-affinity", "'8191'"),
    "directory": ({"directory": "/nonexistent", "nice": 19}, "chdir", "'/nonexistent'"),
    "file": ({"environment_files": ["/nonexistent.env"]}, "environment", "'/nonexistent.env'"),
    "secret": (
        {"secret_files": {"TOKEN": "/nonexistent"}},
        "secret",
        "'/nonexistent': No such file or directory (for TOKEN)",
    ),
}


@ROOT
def test_each_refusal_names_the_setting(start: Launcher, loop: str) -> None:
    """For who is not root: stage, errno and the value; the others run, and no descriptor and no process is left."""
    tables = [
        service(f"s{index}", *SLEEP, restart_delay="1ms", restart_limit={"count": 3, "within": "60s"}, **settings)
        for index, (settings, _, _) in enumerate(REFUSED.values())
    ]
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        *tables,
        service("plain", *SLEEP),
        options=("--loop", loop),
        how=How(conditions=UNPRIVILEGED),
    )
    daemon.wait_event("child_started", service="plain")
    daemon.wait_events(len(REFUSED), "service_state_changed", to="failed")
    for index, (_, stage, words) in enumerate(REFUSED.values()):
        failures = daemon.events("child_spawn_failed", service=f"s{index}")
        assert [found["stage"] for found in failures] == [stage] * 4
        assert words in failures[0]["error"]
    main = daemon.wait_event("child_started", service="plain")["pid"]
    # a child that has told its failure is about to end, and is no zombie yet
    procfs.wait_until(lambda: procfs.children(daemon.pid) == [main], "those that failed are reaped")
    links = list(procfs.descriptors(daemon.pid).values())
    halves = [link for link in links if link.startswith("pipe:") and links.count(link) == 1]
    assert len(halves) == 4  # its own two streams, and those of the one that runs
    assert daemon.events("orphan_exited") == []
    assert daemon.stop() == 0


@ROOT
@pytest.mark.namespace
def test_a_user_cannot_signal_the_daemon(start: Launcher, place: How) -> None:
    """What runs as somebody else is refused by the kernel when it tries: we lend no right of ours, not for a moment."""
    script = (
        "kill -TERM $PPID || echo refused; kill -KILL $PPID || echo refused; cat /proc/$PPID/environ || echo refused"
    )
    daemon = start.services(
        service("web", "sh", "-c", script, user="nobody", restart="never"),
        table("supervisor", when_done="pause"),
        how=place,
    )
    daemon.wait_line("refused", 3)
    daemon.wait_event("pause_entered")
    assert daemon.events("signal_received") == []
    assert daemon.stop() == 0


# Files that are read at each start

VALUE = "hush-hush-hush"


def write(folder: str, name: str, content: str, mode: int = 0o600) -> str:
    """A file; its path."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    os.chmod(path, mode)
    return path


@pytest.mark.namespace
def test_a_secret_is_in_the_environment_and_nowhere_else(start: Launcher, place: How, loop: str) -> None:
    """Not in a record, an error, an argument of ours or the program's; a changed one is there at the next start."""
    folder = start.folder
    secret = write(folder, "secret", f"{VALUE}-1\n")
    environment = write(folder, "web.env", "PLAIN='one two'\nTOKEN=overridden\n")
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service(
            "web",
            *SLEEP,
            secret_files={"TOKEN": secret},
            environment_files=[environment, f"-{folder}/missing.env"],
            restart_delay="1ms",
        ),
        service("long", "true", secret_files={"TOKEN": write(folder, "long", VALUE * 10_000)}, restart="never"),
        service("nul", "true", secret_files={"TOKEN": write(folder, "nul", f"{VALUE}\0")}, restart="never"),
        service(
            "wrong", "true", environment_files=[write(folder, "wrong.env", f"A={VALUE}\n{VALUE}")], restart="never"
        ),
        service("gone", f"/{VALUE[:4]}", secret_files={"TOKEN": secret}, restart="never"),
        options=("--loop", loop),
        how=place,
    )
    first = seen(daemon, daemon.wait_event("child_started", service="web")["pid"])
    assert (first["environment"]["TOKEN"], first["environment"]["PLAIN"]) == (f"{VALUE}-1", "one two")
    write(folder, "secret", f"{VALUE}-2")
    write(folder, "web.env", "PLAIN=three")
    daemon.kill(daemon.events("child_started", service="web")[0]["pid"], "KILL")
    second = seen(daemon, daemon.wait_events(2, "child_started", service="web")[1]["pid"])
    assert (second["environment"]["TOKEN"], second["environment"]["PLAIN"]) == (f"{VALUE}-2", "three")
    daemon.wait_events(4, "child_spawn_failed")
    stages = {found["service"]: (found["stage"], found["errno"]) for found in daemon.events("child_spawn_failed")}
    assert stages == {
        "long": ("secret", "E2BIG"),
        "nul": ("secret", "EINVAL"),
        "wrong": ("environment", "EINVAL"),
        "gone": ("exec", "ENOENT"),
    }
    everywhere = [
        daemon.text("stdout"),
        daemon.text("stderr"),
        read(daemon.pid, "cmdline"),
        read(daemon.pid, "environ"),
    ]
    everywhere += [
        read(daemon.outside(second_pid), "cmdline") for second_pid in [daemon.events("child_started")[-1]["pid"]]
    ]
    assert [text for text in everywhere if VALUE in text] == []
    assert daemon.stop() == 0
    assert VALUE not in daemon.text("stdout") + daemon.text("stderr")


@pytest.mark.namespace
def test_a_missing_secret_fails_its_service_alone(start: Launcher, place: How) -> None:
    """It is tried again by policy, and starts once the file is there."""
    path = os.path.join(start.folder, "late")
    daemon = start.services(
        service("web", *SLEEP, secret_files={"TOKEN": path}, restart_delay="10ms", restart_limit="none"),
        service("other", *program("actor", "TERM=exit:0")),
        how=place,
    )
    daemon.wait_line("ready", service="other")
    failed = daemon.wait_events(3, "child_spawn_failed", service="web")[0]
    assert (failed["stage"], failed["errno"]) == ("secret", "ENOENT")
    assert path in failed["error"]
    assert "TOKEN" in failed["error"]
    write(start.folder, "late.new", "x")
    os.rename(f"{path}.new", path)
    assert seen(daemon, daemon.wait_event("child_started", service="web")["pid"])["environment"]["TOKEN"] == "x"
    assert daemon.stop() == 0


@ROOT
@pytest.mark.namespace
def test_a_probe_is_what_its_service_is(start: Launcher, place: How, loop: str) -> None:
    """Its command runs as the service's user, with its environment, secrets, limits and umask."""
    folder = start.folder
    secret = write(folder, "secret", f"{VALUE}\n")
    script = (
        'echo $(id -un) $(umask) $(ulimit -n) $HOME $(echo $TOKEN | wc -c) $PAUSEVISOR_SERVICE >&2; test -n "$TOKEN"'
    )
    probe = ["sh", "-c", f"({script}) 2>/dev/shm/{os.path.basename(folder)}"]
    daemon = start.services(
        service(
            "web",
            *SLEEP,
            user="nobody",
            umask="0022",
            limits={"nofile": 77},
            secret_files={"TOKEN": secret},
            ready={"command": probe, "interval": "20ms"},
        ),
        options=("--loop", loop),
        how=place,
    )
    try:
        daemon.wait_event("service_state_changed", service="web", to="running")
        with open(f"/dev/shm/{os.path.basename(folder)}", encoding="utf-8") as file:
            assert file.read() == f"nobody 0022 77 /nonexistent {len(VALUE) + 1} web\n"
    finally:
        os.unlink(f"/dev/shm/{os.path.basename(folder)}")
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_a_secret_that_a_service_prints_is_not_in_the_log(start: Launcher, place: How, loop: str) -> None:
    """From its very first line on, in the last lines of its end too, and at each start with the value of then."""
    secret = write(start.folder, "secret", f"{VALUE}-1\n")
    daemon = start.services(
        service(
            "web",
            *("sh", "-c", 'echo "token=$TOKEN"; echo "$TOKEN" >&2; sleep 0.1; exit 3'),
            secret_files={"TOKEN": secret},
            restart_delay="200ms",
            restart_limit={"count": 1, "within": "60s"},
        ),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_event("restart_scheduled")
    write(start.folder, "secret.new", f"{VALUE}-2")
    os.rename(os.path.join(start.folder, "secret.new"), secret)
    assert daemon.wait() == 3
    assert len(daemon.events("output", stream="stdout")) == 2
    assert VALUE not in daemon.text("stdout")
