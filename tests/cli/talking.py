"""Run clients of a running daemon: as any script does, and on a terminal as people do."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from tests.cli.running import COMMAND, Outcome, environment, run
from tests.helpers.patience import PATIENCE
from tests.helpers.streams import Stream

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Where = Literal["terminal", "pipe"]


@dataclass
class Talker:
    """Talks to the daemon at one socket.

    Attributes:
        path: the socket's.
        variables: added to the environment of each client.
    """

    path: str
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Outcome:
        """Run a client to its end, with pipes for output."""
        return run(*arguments, variables={**self.variables, **self.told, **(variables or {})})

    @property
    def told(self) -> dict[str, str]:
        """The variable by which clients find the daemon."""
        return {"PAUSEVISOR_CONTROL": self.path}

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What a client prints with ``--json``, with this exit code."""
        done = self(*arguments, "--json")
        assert done.code == code, done
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def begin(
        self,
        *arguments: str,
        stdout: Where = "terminal",
        stderr: Where = "terminal",
        size: tuple[int, int] = (110, 30),
        variables: Mapping[str, str] | None = None,
    ) -> Iterator["Running"]:
        """A client that runs beside the test, on a terminal of its own or on pipes."""
        running = Running(
            [*COMMAND, *arguments],
            {"TERM": "xterm-256color", **self.told, **(variables or {})},
            (stdout, stderr),
            size,
        )
        try:
            yield running
        finally:
            running.end()


class Running:
    """A program that runs on a terminal of its own, or on pipes.

    It has its keys from one terminal, the one that controls it, and writes to another: when the leader of a session
    ends, as which the program runs here, the kernel throws away what its terminal has not handed over yet.

    Attributes:
        keyboard: what the terminal of its keys shows: their echo, and what a shell draws there.
        terminal: what it writes to the other one.
        out: what it writes to standard output.
        err: what it writes to standard error; the same where both are the terminal.
    """

    def __init__(
        self, command: list[str], variables: Mapping[str, str], where: tuple[Where, Where], size: tuple[int, int]
    ) -> None:
        self._keys, keyboard = pty.openpty()
        self._shown, theirs = pty.openpty()
        self.resize(*size)
        kept = {key: text for key, text in environment().items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=keyboard,
            stdout=theirs if where[0] == "terminal" else subprocess.PIPE,
            stderr=theirs if where[1] == "terminal" else subprocess.PIPE,
            env={**kept, **variables},
        )
        os.close(keyboard)
        os.close(theirs)
        self.keyboard = Stream(self._keys)
        self.terminal = Stream(self._shown)
        self.out = self.terminal if self.process.stdout is None else Stream(os.dup(self.process.stdout.fileno()))
        self.err = self.terminal if self.process.stderr is None else Stream(os.dup(self.process.stderr.fileno()))

    def press(self, keys: str) -> None:
        """Type on the terminal."""
        os.write(self._keys, keys.encode())

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size; who is controlled by it is sent WINCH."""
        for terminal in (self._shown, self._keys):
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def wait_for(self, text: str, stream: Stream | None = None) -> None:
        """Wait until it has written the text, whatever colours are in it where it has none itself."""
        found = stream or self.out

        def has_come() -> bool:
            written = found.raw.decode(errors="replace")
            return text in written or text in plain(written)

        if not found.wait(has_come, PATIENCE):
            pytest.fail(f"no {text!r} at the end of {plain(found.raw.decode(errors='replace'))[-500:]!r}")

    def wait(self) -> int:
        """Wait for its end: the exit code, negative for a signal as subprocess has it."""
        code = self.process.wait(PATIENCE)
        for stream in {id(one): one for one in (self.terminal, self.out, self.err)}.values():
            stream.finish(2)
        return code

    @property
    def text(self) -> str:
        """All it has written to standard output."""
        return self.out.raw.decode(errors="replace")

    @property
    def shown(self) -> str:
        """The same, without colours and movements of the cursor."""
        return plain(self.text)

    def end(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
        for stream in {id(one): one for one in (self.keyboard, self.terminal, self.out, self.err)}.values():
            stream.close()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def plain(text: str) -> str:
    """Text of a terminal without colours and movements."""
    return _SEQUENCE.sub("", text).replace("\r\n", "\n")
