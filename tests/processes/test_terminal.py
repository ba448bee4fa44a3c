"""The single command on a terminal: job control, the terminal's own signals, hang-up and size, as under no init."""

import fcntl
import os
import shutil
import struct
import sys
import termios
from dataclasses import replace

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program

SHELL = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
PROMPT = "prompt> "


def on_terminal(how: How) -> How:
    """The same place, with stdin and stdout on a terminal that is the daemon's own, as with `docker run -it`."""
    return replace(how, stdin="terminal", stdout="stdin", environment={"PS1": PROMPT}, conditions={"terminal": True})


def foreground(daemon: Daemon) -> int:
    """The group in the terminal's foreground."""
    return os.tcgetpgrp(daemon.ends.ours["stdin"])


def command(daemon: Daemon) -> int:
    """The single command's pid as seen from here, once it has the foreground."""
    daemon.wait_event("child_started")
    pid = procfs.children(daemon.pid)[0]
    procfs.wait_until(lambda: foreground(daemon) == pid, "the command has the foreground")
    return pid


def named(root: int, name: str) -> int:
    """The descendant with this name, once there is one."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [pid for pid in procfs.descendants(root) if procfs.status(pid).get("Name") == name]
        return bool(found)

    procfs.wait_until(look, f"a descendant called {name}")
    return found[0]


@pytest.mark.namespace
def test_typing_to_the_command(start: Launcher, place: How, loop: str) -> None:
    """What is typed is echoed and reaches the command; ^D ends it with 0."""
    daemon = start.single("cat", options=("--loop", loop), how=on_terminal(place))
    command(daemon)
    daemon.write(b"hello\n")
    daemon.wait_text("hello\r\nhello\r\n", "stdin")
    daemon.write(b"\x04")
    assert daemon.wait() == 0


@pytest.mark.namespace
@pytest.mark.parametrize(("key", "code"), [(b"\x03", 130), (b"\x1c", 131)])
def test_the_keys_that_end(start: Launcher, place: How, loop: str, key: bytes, code: int) -> None:
    """^C ends the command with 130, ^backslash with 131."""
    how = replace(on_terminal(place), directory=start.folder)
    daemon = start.single("sleep", "infinity", options=("--loop", loop), how=how)
    command(daemon)
    daemon.write(key)
    assert daemon.wait() == code
    assert daemon.events("signal_received") == []


@pytest.mark.namespace
def test_a_shell_has_job_control(start: Launcher, place: How, loop: str) -> None:
    """An interactive shell as the command: its jobs stop at ^Z, come back with `fg`, end at ^C."""
    assert shutil.which("bash"), "bash is needed"
    on_it = f"exec {' '.join(SHELL)} 2>&0"  # prompts would stand between the records otherwise
    daemon = start.single("sh", "-c", on_it, options=("--loop", loop), how=on_terminal(place))
    shell = command(daemon)
    daemon.wait_text(PROMPT, "stdin")  # what is typed while it sets up the terminal may be thrown away
    daemon.write(b"echo flags=$-.\n")
    procfs.wait_until(lambda: any(line.startswith("flags=") for line in lines(daemon)), "the shell answers")
    assert any("m" in line for line in lines(daemon) if line.startswith("flags="))
    daemon.write(b"sleep 1000\n")
    job = named(shell, "sleep")
    procfs.wait_until(lambda: foreground(daemon) == job, "the job has the foreground")
    daemon.write(b"\x1a")
    procfs.wait_until(lambda: procfs.state(job) == "T" and foreground(daemon) == shell, "the job is stopped")
    daemon.write(b"fg\n")
    procfs.wait_until(lambda: procfs.state(job) == "S" and foreground(daemon) == job, "the job goes on")
    daemon.write(b"\x03")
    procfs.wait_until(lambda: not procfs.alive(job) and foreground(daemon) == shell, "the job has ended")
    daemon.write(b"exit 4\n")
    assert daemon.wait() == 4


def lines(daemon: Daemon) -> list[str]:
    """Lines on the terminal so far."""
    return [line.strip() for line in daemon.text("stdin").splitlines()]


def test_stopping_the_daemon_from_a_shell(start: Launcher, loop: str) -> None:
    """Started from a shell and not PID 1: ^Z stops command and daemon, `fg` continues both, twice; ^C gives 130."""
    how = replace(on_terminal(How()), stderr="stdin", pure=False)
    shell = start.program(SHELL, how)
    shell.wait_text(PROMPT, "stdin")
    run = f"{sys.executable} -I -m supervisor run --loop {loop} -- sleep 1000\n"
    shell.write(run.encode())
    sleeper = named(shell.pid, "sleep")
    daemon = int(procfs.status(sleeper)["PPid"])
    procfs.wait_until(lambda: foreground(shell) == sleeper, "the command has the foreground")
    for _ in range(2):
        shell.write(b"\x1a")
        procfs.wait_until(
            lambda: procfs.state(sleeper) == procfs.state(daemon) == "T" and foreground(shell) == shell.pid,
            "both are stopped, and the shell has the terminal",
        )
        shell.write(b"fg\n")
        procfs.wait_until(
            lambda: procfs.state(sleeper) == procfs.state(daemon) == "S" and foreground(shell) == sleeper,
            "both go on, and the command has the terminal",
        )
    shell.write(b"\x03")
    procfs.wait_until(lambda: not procfs.alive(daemon) and foreground(shell) == shell.pid, "the daemon has ended")
    shell.write(b"echo code=$?.\n")
    shell.wait_text("code=130.", "stdin")
    shell.write(b"exit 0\n")
    assert shell.wait() == 0


@pytest.mark.namespace
def test_stop_key_as_pid1(start: Launcher, pid1: How, loop: str) -> None:
    """As PID 1 no shell stands above: ^Z stops the command and is reported, the daemon runs on, CONT continues it."""
    daemon = start.single("sleep", "infinity", options=("--loop", loop), how=on_terminal(pid1))
    sleeper = command(daemon)
    daemon.write(b"\x1a")
    daemon.wait_event("child_stopped", signal_name="SIGTSTP")
    assert procfs.state(daemon.pid) in {"R", "S"}
    os.kill(sleeper, 18)
    daemon.wait_event("child_continued")
    assert daemon.stop() == 143


@pytest.mark.namespace
def test_a_hang_up(start: Launcher, place: How, loop: str) -> None:
    """When the terminal goes away the command gets HUP once; the daemon does not spin on the dead descriptor."""
    how = replace(on_terminal(place), stdout="pipe")
    daemon = start.single(*program("actor", "any=stay", "TERM=exit:0"), options=("--loop", loop), how=how)
    daemon.wait_lines(1)
    command(daemon)
    os.close(daemon.ends.ours.pop("stdin"))
    daemon.wait_text("HUP\n")
    procfs.assert_idle(daemon.pid)
    assert daemon.stop() == 0
    assert daemon.wait_lines(2).count("HUP") == 1


@pytest.mark.namespace
def test_a_new_size(start: Launcher, place: How, loop: str) -> None:
    """A change of the window's size reaches the command, as WINCH and as numbers."""
    how = replace(on_terminal(place), stdout="pipe")
    daemon = start.single(*program("actor", "WINCH=size", "TERM=exit:0", "any=stay"), options=("--loop", loop), how=how)
    daemon.wait_lines(1)
    command(daemon)
    fcntl.ioctl(daemon.ends.ours["stdin"], termios.TIOCSWINSZ, struct.pack("HHHH", 41, 133, 0, 0))
    daemon.wait_text("size 133x41\n")
    assert daemon.stop() == 0
