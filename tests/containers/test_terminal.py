"""`podman run -it IMAGE run -- bash`: job control and the keys work as they do without us."""

import contextlib
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Iterator

import pytest

from tests.containers.image import IMAGE
from tests.containers.podman import Podman
from tests.helpers.patience import PATIENCE
from tests.helpers.streams import Stream

pytestmark = [pytest.mark.container, pytest.mark.timeout(120, func_only=True)]

BASH = ("bash", "--norc", "--noprofile", "-i")


class Terminal:
    """A container on a terminal of ours."""

    def __init__(self, podman: Podman, *command: str) -> None:
        self._master, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 200))
        self._process = subprocess.Popen(
            [*podman.command, "run", "--rm", "--interactive", "--tty", IMAGE, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **podman.environment},
            start_new_session=True,
        )
        os.close(theirs)
        self._screen = Stream(self._master)
        self._read = 0

    def type(self, keys: str) -> None:
        """Type on the terminal."""
        os.write(self._master, keys.encode())

    def expect(self, text: str) -> str:
        """Wait until the text appears, beyond what was expected before; returns what came up to it."""
        wanted = text.encode()
        if not self._screen.wait(lambda: self._screen.raw.find(wanted, self._read) >= 0, PATIENCE):
            pytest.fail(f"no {text!r} on the terminal: {bytes(self._screen.raw)!r}")
        found = self._screen.raw.find(wanted, self._read)
        passed = bytes(self._screen.raw[self._read : found]).decode(errors="replace")
        self._read = found + len(wanted)
        return passed

    def wait(self) -> int:
        """Wait for the container's end; returns its status."""
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(PATIENCE)
        self._screen.close()


@pytest.fixture
def shell(podman: Podman) -> Iterator[Terminal]:
    """A bash whose prompt has been seen."""
    terminal = Terminal(podman, "run", "--", *BASH)
    try:
        terminal.type("PS1='prom''pt '\r")
        terminal.expect("prompt ")
        yield terminal
    finally:
        terminal.close()


def test_job_control_of_a_shell(shell: Terminal) -> None:
    """The shell has job control: ^Z stops a job, `jobs` lists it, `fg` continues it, ^C interrupts it."""
    shell.type('echo "fl""ags:$-:"\r')
    shell.expect("flags:")
    assert "m" in shell.expect(":")
    shell.expect("prompt ")
    shell.type("sh -c 'echo asl''eep; exec sleep 100'\r")
    shell.expect("asleep")
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.type("jobs\r")
    shell.expect("Stopped")
    shell.expect("prompt ")
    shell.type("fg\r")
    shell.expect("exec sleep 100'\r\n")
    shell.type("\x03")
    shell.expect("prompt ")
    shell.type("echo status:$?:\r")
    shell.expect("status:130:")


def test_shells_status_is_the_containers(shell: Terminal) -> None:
    """`exit 5` in the shell ends the container with 5."""
    shell.type("exit 5\r")
    assert shell.wait() == 5


@pytest.mark.parametrize(("key", "status"), [("\x03", 130), ("\x1c", 131)], ids=["interrupt", "quit"])
def test_key_ends_a_command(podman: Podman, key: str, status: int) -> None:
    """The interrupt and quit keys reach the command, and the container ends as it did."""
    with contextlib.closing(Terminal(podman, "run", "--", "sh", "-c", "echo ready; exec sleep 100")) as terminal:
        terminal.expect("ready")
        terminal.type(key)
        assert terminal.wait() == status


def test_end_of_input_ends_cat(podman: Podman) -> None:
    """What is typed reaches the command, and ^D is the end of its input."""
    with contextlib.closing(Terminal(podman, "run", "--", "cat")) as terminal:
        terminal.type("hello\r")
        terminal.expect("hello\r\nhello")
        terminal.type("\x04")
        assert terminal.wait() == 0
