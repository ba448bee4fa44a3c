"""Programs that can't be started: the stage and the errno are told, the right status is returned, others go on."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.harness import How, Launcher
from tests.helpers.settings import program, service, table

SCRIPT = "#!/bin/sh\nexit 7\n"


def make_file(folder: str, name: str, content: str | bytes, mode: int = 0o755) -> str:
    """Write a file with a mode; returns its path."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)
    return path


@pytest.mark.namespace
def test_a_missing_program(start: Launcher, place: How) -> None:
    """A single command that does not exist gives 127 and a record of stage and errno."""
    daemon = start.single("/nonexistent/program", "argument", how=place)
    assert daemon.wait() == 127
    failed = daemon.wait_event("child_spawn_failed")
    assert (failed["service"], failed["stage"], failed["errno"]) == ("main", "exec", "ENOENT")
    assert "/nonexistent/program" in failed["error"]


@pytest.mark.namespace
def test_a_program_not_in_the_path(start: Launcher, place: How, loop: str) -> None:
    """A name that no folder of PATH has gives 127, in the service form as well."""
    daemon = start.services(
        service("web", "no-such-program-anywhere", restart="never"), options=("--loop", loop), how=place
    )
    assert daemon.wait() == 127
    failed = daemon.wait_event("child_spawn_failed")
    assert (failed["service"], failed["stage"], failed["errno"]) == ("web", "exec", "ENOENT")
    assert daemon.events("service_state_changed")[-1]["to"] == "failed"


@pytest.mark.namespace
@pytest.mark.parametrize("what", ["no-x-bit", "directory"])
def test_a_program_that_may_not_be_executed(start: Launcher, place: How, what: str) -> None:
    """Without x bit, or a directory: 126 and EACCES."""
    path = make_file(start.folder, "plain", SCRIPT, 0o644) if what == "no-x-bit" else start.folder
    daemon = start.single(path, how=place)
    assert daemon.wait() == 126
    assert daemon.wait_event("child_spawn_failed")["errno"] == "EACCES"


def test_a_program_in_the_path_that_may_not_be_executed(start: Launcher) -> None:
    """Found in PATH without x bit: 126, as a shell says."""
    make_file(start.folder, "plainly-not-executable", SCRIPT, 0o644)
    path = f"{start.folder}:{os.environ['PATH']}"
    daemon = start.single("plainly-not-executable", how=How(environment={"PATH": path}))
    assert daemon.wait() == 126


@pytest.mark.namespace
def test_a_script_without_its_first_line_runs_by_the_shell(start: Launcher, place: How) -> None:
    """Text without `#!` is run by /bin/sh with its arguments, as execvp(3) does."""
    path = make_file(start.folder, "script", 'echo "<$1><$2>"; exit 7\n')
    daemon = start.single(path, "one", "two words", how=place)
    assert daemon.wait() == 7
    assert daemon.text("stdout") == "<one><two words>\n"


@pytest.mark.namespace
def test_binary_garbage(start: Launcher, place: How) -> None:
    """What is neither program nor text ends with a status that is no success."""
    path = make_file(start.folder, "garbage", bytes(range(1, 256)) * 4)
    daemon = start.services(service("garbage", path, stderr="null", restart="never"), how=place)
    assert daemon.wait() not in {0, 70}


@pytest.mark.namespace
def test_a_missing_interpreter_is_named(start: Launcher, place: How) -> None:
    """A script whose interpreter does not exist gives 127, and the record names the interpreter."""
    path = make_file(start.folder, "script", "#!/nonexistent/interpreter -x\n")
    daemon = start.single(path, how=place)
    assert daemon.wait() == 127
    failed = daemon.wait_event("child_spawn_failed")
    assert failed["errno"] == "ENOENT"
    assert "/nonexistent/interpreter" in failed["error"]


def busy_file(folder: str) -> tuple[str, int]:
    """A program that is open for writing, and the descriptor that keeps it so."""
    path = os.path.join(folder, "busy")
    shutil.copy("/bin/sh", path)
    return path, os.open(path, os.O_WRONLY)


@pytest.mark.parametrize("what", ["ELOOP", "ENAMETOOLONG", "E2BIG"])
def test_kernel_refusals_are_told_by_name(start: Launcher, loop: str, what: str) -> None:
    """A loop of links, a name too long, an argument list too long: errno in words, and a restart by policy."""
    link = os.path.join(start.folder, "loop")
    os.symlink(link, link)
    command = {"ELOOP": [link], "ENAMETOOLONG": ["/" + "n" * 300], "E2BIG": ["/bin/true", "x" * 200_000]}[what]
    daemon = start.services(
        table("supervisor", when_done="pause"),
        service("web", *command, restart_delay="10ms", restart_limit={"count": 2, "within": "60s"}),
        options=("--loop", loop),
    )
    assert daemon.wait() == 126
    failures = daemon.events("child_spawn_failed")
    assert [(found["stage"], found["errno"]) for found in failures] == [("exec", what)] * 3
    assert len(daemon.events("restart_scheduled")) == 2


def test_a_program_that_is_being_written(start: Launcher) -> None:
    """A program open for writing gives 126 and ETXTBSY, where this kernel refuses to execute one at all."""
    path, descriptor = busy_file(start.folder)
    try:
        subprocess.run([path, "-c", "exit 0"], check=True)
        code, errno = 0, None
    except OSError:
        code, errno = 126, "ETXTBSY"
    daemon = start.single(path, "-c", "exit 0")
    assert daemon.wait() == code
    assert [found["errno"] for found in daemon.events("child_spawn_failed")] == ([errno] if errno else [])
    os.close(descriptor)


@pytest.mark.namespace
def test_a_missing_directory_fails_that_service_only(start: Launcher, place: How, loop: str) -> None:
    """A working directory that does not exist is told as its own stage; the other service runs."""
    missing = os.path.join(start.folder, "missing")
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("lost", "true", directory=missing, restart="never"),
        service("web", *program("actor", "TERM=exit:0")),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready", service="web")
    failed = daemon.wait_event("child_spawn_failed", service="lost")
    assert (failed["stage"], failed["errno"]) == ("chdir", "ENOENT")
    assert missing in failed["error"]
    assert daemon.stop() == 0
    assert [found["service"] for found in daemon.events("child_started")] == ["web"]


@pytest.mark.namespace
def test_a_hundred_services_that_fail_at_once(start: Launcher, pid1: How, loop: str) -> None:
    """Each is tried as often as its limit allows, with growing delays, then has failed; the daemon ends with 0."""
    count = 100
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        *(
            service(f"s{index}", "/nonexistent", restart_delay="20ms", restart_limit={"count": 2, "within": "60s"})
            for index in range(count)
        ),
        options=("--loop", loop),
        how=pid1,
    )
    assert daemon.wait() == 0
    assert len(daemon.events("child_spawn_failed", errno="ENOENT")) == 3 * count
    assert len(daemon.events("service_state_changed", to="failed", reason="restart-limit")) == count
    for index in range(count):
        first, second = daemon.events("restart_scheduled", service=f"s{index}")
        assert first["delay_s"] < second["delay_s"]


@pytest.mark.namespace
def test_a_program_that_vanishes_and_returns(start: Launcher, place: How, loop: str) -> None:
    """A program removed before its restart is tried again with back-off, and runs once it is back."""
    path = make_file(start.folder, "worker", f"#!/bin/sh\nexec {' '.join(program('actor', 'TERM=exit:0'))}\n")
    daemon = start.services(
        service("web", path, restart_delay="20ms", restart_limit="none"), options=("--loop", loop), how=place
    )
    daemon.wait_line("ready")
    os.rename(path, path + ".away")
    daemon.kill(daemon.events("child_started")[0]["pid"], "KILL")
    daemon.wait_events(2, "child_spawn_failed", errno="ENOENT")
    os.rename(path + ".away", path)
    daemon.wait_line("ready", 2)
    assert daemon.stop() == 0


def test_failures_leave_no_descriptor(start: Launcher, loop: str) -> None:
    """After many failed starts the daemon has as many descriptors as before."""
    daemon = start.services(
        service("web", sys.executable, "-c", "import time; time.sleep(1000)"),
        service("lost", "/nonexistent", restart_delay="5ms", restart_max_delay="5ms", restart_limit="none"),
        options=("--loop", loop),
    )
    daemon.wait_events(5, "child_spawn_failed")
    before = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    daemon.wait_events(60, "child_spawn_failed")
    daemon.freeze()
    assert len(os.listdir(f"/proc/{daemon.pid}/fd")) <= before + 4
    daemon.signal("CONT")
