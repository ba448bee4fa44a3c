"""One run of one program as PID 1 of a namespace of its own, watched from outside.

The observer reads /proc, sends signals, and takes the helper's words from a FIFO: no program under test is asked
anything, and none of them is slowed by being watched.
"""

import contextlib
import functools
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Self

from tests.harness import namespace_command
from tests.helpers import procfs

PATIENCE = 20.0
"""Seconds until a word that did not come is missing."""

SOURCE = os.path.join(os.path.dirname(__file__), "helper.c")


class MissingError(Exception):
    """Something awaited did not happen; the measure fails for this program and goes on with the next."""


@functools.cache
def compile_helper(folder: str) -> str:
    """Compile the helper into a folder; returns its path."""
    path = os.path.join(folder, "helper")
    subprocess.run(["cc", "-O2", "-o", path, SOURCE], check=True)
    return path


class Run:
    """One start of a program; ended with its whole namespace.

    Args:
        helper: path of the helper.
        command: what becomes PID 1.
        folder: the FIFO is made here.
        stdout: where PID 1 writes; None for nowhere.
    """

    def __init__(self, helper: str, command: list[str], folder: str, stdout: int | None = None) -> None:
        fifo = os.path.join(folder, f"fifo-{time.monotonic_ns()}")
        os.mkfifo(fifo)
        self._fifo = fifo
        self._words = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""
        self._pid1 = 0
        self._process = subprocess.Popen(
            [*namespace_command(), helper, "exec", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "BENCH_FIFO": fifo},
        )

    def word(self, wanted: str, timeout: float = PATIENCE) -> int:
        """Wait for the next such word; returns its time in nanoseconds of the monotonic clock."""
        deadline = time.monotonic() + timeout
        while True:
            line, found, rest = self._rest.partition(b"\n")
            if found:
                self._rest = rest
                word, stamp = line.decode().split()
                if word == wanted:
                    return int(stamp)
            elif not self._more(deadline):
                raise MissingError(f"no {wanted!r} within {timeout} s")

    def _more(self, deadline: float) -> bool:
        if not select.select([self._words], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        self._rest += os.read(self._words, 65536)
        return True

    @property
    def pid1(self) -> int:
        """PID 1 of the namespace, as seen from here; to be asked for after its word "exec"."""
        if not self._pid1:
            self._pid1 = procfs.children(self._process.pid)[0]
        return self._pid1

    def signal(self, number: int) -> int:
        """Send PID 1 a signal; returns the time just before."""
        now = time.monotonic_ns()
        os.kill(self.pid1, number)
        return now

    def helpers(self) -> list[int]:
        """The helper's processes, as seen from here."""
        return [pid for pid in self._processes() if procfs.status(pid).get("Name") in _NAMES]

    def supervisors(self) -> list[int]:
        """PID 1 and everything below it that is not the helper: what the supervision costs."""
        return [pid for pid in self._processes() if procfs.status(pid).get("Name") not in _NAMES]

    def _processes(self) -> list[int]:
        return [self.pid1, *procfs.descendants(self.pid1)]

    def unreaped(self) -> int:
        """Children of PID 1 beyond those that supervise and the helper's main process: zombies, or about to be."""
        return len(procfs.children(self.pid1))

    def settle(self) -> None:
        """Wait until PID 1 has gone to sleep: three looks in a row see it asleep, without a wake-up in between."""
        quiet, last = 0, -1
        deadline = time.monotonic() + 3  # some never sleep
        while quiet < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
            now = procfs.switches(self.pid1) if procfs.state(self.pid1) == "S" else -1
            quiet = quiet + 1 if now == last >= 0 else 0
            last = now

    def ends(self, timeout: float) -> bool:
        """Whether the program ends within so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        return self._process.returncode is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)  # unshare takes the namespace along
            self._process.wait()
        os.close(self._words)
        os.unlink(self._fifo)


_NAMES = {"helper", "run"}  # the second is what it is called in the service folders of s6 and runit


def cpu_ns(pids: list[int]) -> int:
    """CPU time of the main threads of processes, in nanoseconds; /proc/PID/schedstat."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def resident_kib(pids: list[int]) -> int:
    """Resident memory of processes, added up."""
    return sum(int(procfs.status(pid)["VmRSS"].split()[0]) for pid in pids)


def poll_until(condition: Callable[[], object], timeout: float = PATIENCE, interval: float = 0.001) -> None:
    """Look again and again, for what only /proc can tell."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise MissingError(f"not within {timeout} s")
        time.sleep(interval)
