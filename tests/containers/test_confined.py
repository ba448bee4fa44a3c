"""Everything a cluster's policy takes away: a writable root, privileges, descriptors of system calls, processes."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import Start
from tests.containers.image import IMAGE
from tests.containers.podman import Podman
from tests.containers.programs import program
from tests.helpers.settings import service

pytestmark = [pytest.mark.container, pytest.mark.timeout(120, func_only=True)]

Services = Callable[..., tuple[str, ...]]

NEWER_CALLS = ["pidfd_open", "pidfd_send_signal", "clone3", "pwritev2", "close_range", "epoll_pwait2"]

READ_ONLY = ("--read-only", "--read-only-tmpfs=false")
UNPRIVILEGED = ("--user", "65534:65534", "--cap-drop=all", "--security-opt", "no-new-privileges")

CONFINED = pytest.mark.parametrize(
    "options",
    [READ_ONLY, UNPRIVILEGED, (*READ_ONLY, *UNPRIVILEGED)],
    ids=["read-only", "unprivileged", "both"],
)


def without_newer_calls() -> dict[str, Any]:
    """The engine's default profile, but for calls that a kernel or profile of some years ago has not: ENOSYS."""
    with open("/usr/share/containers/seccomp.json", encoding="utf-8") as file:
        profile: dict[str, Any] = json.load(file)
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in NEWER_CALLS]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    profile["syscalls"].append({"names": NEWER_CALLS, "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS, "args": []})
    return profile


@CONFINED
def test_pause_needs_nothing(start: Start, options: tuple[str, ...]) -> None:
    """The pause works without a writable path and without any privilege."""
    container = start("pause", options=options)
    container.wait_event("pause_entered")
    container.stop()
    assert container.wait() == 0
    container.check()


@CONFINED
def test_single_command_needs_nothing(podman: Podman, options: tuple[str, ...]) -> None:
    """The single-command form passes output and status on without a writable path and without any privilege."""
    done = podman.attempt("run", "--rm", *options, IMAGE, "run", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


@CONFINED
def test_services_need_nothing(start: Start, services: Services, options: tuple[str, ...]) -> None:
    """Services run, are restarted and stopped without a writable path and without any privilege."""
    tables = (
        service("steady", *program("actor", "TERM=exit:0")),
        service("flaky", *program("actor", "any=exit:1"), restart="always", restart_delay="10ms"),
    )
    container = start(options=(*services(*tables), *options))
    container.wait_event("output", service="steady", message="ready")
    first = container.wait_event("output", service="flaky", message="ready")
    container.exec("kill", "-USR1", str(first["pid"]))
    container.wait_event("child_started", service="flaky", attempt=2)
    container.stop()
    assert container.wait() == 0
    container.check()


def test_default_seccomp_profile_is_in_force(start: Start, services: Services) -> None:
    """The engine's default filter of system calls applies to us, and everything above works under it."""
    options = services(service("steady", *program("actor", "TERM=exit:0")))
    container = start(options=options)
    container.wait_event("output", service="steady", message="ready")
    assert "Seccomp:\t2" in container.exec("cat", "/proc/1/status").splitlines()
    container.stop()
    assert container.wait() == 0
    container.check()


def test_older_kernels_and_stricter_profiles_are_coped_with(start: Start, services: Services, tmp_path: Path) -> None:
    """Where newer system calls are not there, older ones do: nothing a user sees is different."""
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps(without_newer_calls()))
    tables = (
        service("steady", *program("actor", "TERM=exit:0")),
        service("flaky", *program("actor", "any=exit:1"), restart="always", restart_delay="10ms"),
    )
    container = start(options=(*services(*tables), "--security-opt", f"seccomp={profile}"))
    first = container.wait_event("output", service="flaky", message="ready")
    container.wait_event("output", service="steady", message="ready")
    container.exec("kill", "-USR1", str(first["pid"]))
    container.wait_event("child_started", service="flaky", attempt=2)
    container.stop()
    assert container.wait() == 0
    container.check()


def test_nothing_planted_is_loaded(start: Start, tmp_path: Path) -> None:
    """Modules in the working directory and in PYTHONPATH, and a start-up file, are none of ours."""
    for name in ("argparse", "msgspec", "os", "sitecustomize", "usercustomize", "supervisor"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')\n")
    environment = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONUSERBASE")
    variables = [word for name in environment for word in ("--env", f"{name}=/planted")]
    container = start(options=("--volume", f"{tmp_path}:/planted:ro", "--workdir", "/planted", *variables))
    container.wait_event("pause_entered")
    container.stop()
    assert container.wait() == 0
    container.check()


def test_process_limit_is_survived(start: Start, services: Services) -> None:
    """With room for a few processes only, those that fit run; the others are tried again, and all is stopped."""
    tables = [
        service(f"sleeper{number}", "sleep", "infinity", restart_limit={"count": 1000, "within": "60s"})
        for number in range(12)
    ]
    container = start(options=(*services(*tables), "--pids-limit", "8"))
    failed = container.wait_event("child_spawn_failed", errno="EAGAIN")
    assert failed["level"] in {"warning", "error"}
    assert container.events("child_started")
    container.stop()
    assert container.wait() == 0
    container.check()


def test_single_command_under_a_process_limit_runs_or_says_why(podman: Podman, start: Start) -> None:
    """With room for one more process the command runs; with none the daemon says so and ends."""
    assert podman.attempt("run", "--rm", "--pids-limit", "4", IMAGE, "run", "--", "true").returncode == 0
    none = start("run", "--", "true", options=("--pids-limit", "1"))
    none.wait_text("Resource temporarily unavailable")
    assert none.wait() != 0


def test_out_of_memory_kill_is_told_from_others(start: Start, services: Services) -> None:
    """A service that the kernel kills for its memory is reported as such, and restarted by its policy."""
    hungry = "b = bytearray(256 << 20); b[::4096] = bytes(len(b) >> 12)"
    tables = (
        service("hungry", "python3", "-I", "-S", "-c", hungry, restart_delay="10ms"),
        service("steady", *program("actor", "TERM=exit:0")),
    )
    container = start(options=(*services(*tables), "--memory", "96m", "--memory-swap", "96m"))
    died = container.wait_event("child_exited", service="hungry")
    assert (died["signal_name"], died["oom_killed"]) == ("SIGKILL", True)
    container.wait_event("child_started", service="hungry", attempt=2)
    assert container.events("child_exited", service="steady") == []
    container.stop()
    container.check()
