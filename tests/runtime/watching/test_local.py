"""Probes that look here: real commands, real files, and lines."""

import errno
import os
import signal
from collections.abc import Callable

import pytest

from supervisor.core.spec import ServiceSpec
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.spawn import SpawnError
from supervisor.runtime.watches import Neighbours
from supervisor.runtime.watching.local import LONGEST_SEARCHED, CommandChecker, FileChecker, LineListener
from supervisor.runtime.watching.rounds import ShortageError
from tests.helpers import procfs
from tests.runtime.fakes import FakeClock, FakeKernel, FakeLoop
from tests.runtime.spawning import Spawner
from tests.runtime.watching.support import World, spec

# -- commands


class Commands:
    """Runs real commands; their ends are told when the test reaps them."""

    def __init__(self, spawner: Spawner, kernel: Kernel | None = None) -> None:
        self.spawner = spawner
        self.world = World()
        self.error: SpawnError | None = None
        self.running: dict[int, Callable[[int], None]] = {}
        self.neighbours = Neighbours(
            kernel=kernel or Kernel(),
            journal=self.world.journal,
            handle=self.world.events.append,
            listen=self.world.neighbours.listen,
            run=self._run,
        )

    def checker(self, *command: str) -> CommandChecker:
        """A checker of this command."""
        return CommandChecker(self.neighbours, spec(), command)

    def _run(self, _spec: ServiceSpec, command: tuple[str, ...], done: Callable[[int], None]) -> int:
        if self.error is not None:
            raise self.error
        pid = self.spawner.start(self.spawner.launch(*command))
        self.running[pid] = done
        return pid

    def reap(self) -> None:
        """Wait for the one command that runs, as the reaper would, and tell of its end."""
        ((pid, done),) = self.running.items()
        self.running.clear()
        self.spawner.pids.remove(pid)
        _, status = os.waitpid(pid, 0)
        done(status)


@pytest.fixture
def commands(spawner: Spawner) -> Commands:
    """Real commands."""
    return Commands(spawner)


@pytest.mark.parametrize(
    ("script", "error"),
    [("exit 0", ""), ("exit 3", "exited with 3"), ("kill -SEGV $$", "killed by SIGSEGV")],
)
def test_the_exit_status_decides(commands: Commands, script: str, error: str) -> None:
    """Zero is well; else the error says how it ended."""
    told: list[object] = []
    checker = commands.checker("sh", "-c", script)
    for count in (1, 2):
        checker.start(told.append)
        commands.reap()
        assert told == [error] * count


def test_a_command_that_can_not_be_started(commands: Commands) -> None:
    """That is how the probe has failed, in the words of any start."""
    told: list[object] = []
    commands.checker("/no/such/program").start(told.append)
    assert told == ["cannot execute its program '/no/such/program': No such file or directory"]


def test_out_of_processes(commands: Commands) -> None:
    """A start for which the machine had no room says nothing about the service."""
    commands.error = SpawnError("fork", errno.EAGAIN)
    told: list[object] = []
    commands.checker("true").start(told.append)
    (found,) = told
    assert isinstance(found, ShortageError)


def test_given_up_it_is_killed_with_its_group(commands: Commands) -> None:
    """Whatever it started goes with it, and its end is told to nobody."""
    told: list[object] = []
    checker = commands.checker("sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000; true")
    checker.start(told.append)
    (pid,) = commands.running
    procfs.wait_until(lambda: len(procfs.children(pid)) == 2, "both sleep")
    family = procfs.identities([pid, *procfs.children(pid)])
    checker.cancel()
    commands.reap()
    procfs.wait_until(lambda: not procfs.survivors(family), "all are gone")
    assert told == []
    checker.cancel()


def test_never_two_at_once(commands: Commands) -> None:
    """While a command that was killed is not gone no other is started; then the next one is, unless that is off too."""
    told: list[object] = []
    checker = commands.checker("sleep", "1000")
    checker.start(told.append)
    (pid,) = commands.running
    checker.cancel()
    checker.start(told.append)
    assert list(commands.running) == [pid]
    commands.reap()
    (second,) = commands.running
    assert second != pid
    checker.cancel()
    checker.start(told.append)
    checker.cancel()
    commands.reap()
    assert commands.running == {}
    checker.start(told.append)
    os.kill(next(iter(commands.running)), signal.SIGTERM)
    commands.reap()
    assert told == ["killed by SIGTERM"]


def test_a_command_that_is_not_ours_to_kill(spawner: Spawner) -> None:
    """A program that became somebody else is told of; nothing raises."""

    class Refusing(FakeKernel):
        def kill_group(self, pgrp: int, signal: int) -> None:
            raise PermissionError(errno.EPERM, f"no {signal} for {pgrp}")

    commands = Commands(spawner, Refusing(FakeClock()))
    checker = commands.checker("sleep", "1000")
    checker.start(lambda _: None)
    (pid,) = commands.running
    checker.cancel()
    (warning,) = commands.world.warnings()
    assert f"pid {pid}" in warning
    os.kill(pid, signal.SIGKILL)
    commands.reap()


# -- files


def look(path: str) -> object:
    """Look for a file once."""
    told: list[object] = []
    checker = FileChecker(path)
    checker.start(told.append)
    checker.cancel()
    (found,) = told
    return found


def test_a_file(tmp_path: os.PathLike[str]) -> None:
    """It exists or not; a folder, a socket or a pipe is a file too."""
    path = os.path.join(tmp_path, "ready")
    assert look(path) == "No such file or directory"
    with open(path, "w", encoding="utf-8"):
        pass
    assert look(path) == ""
    assert look(os.path.join(path, "x")) == "Not a directory"
    assert look(os.fspath(tmp_path)) == ""
    os.mkfifo(path + ".fifo")
    assert look(path + ".fifo") == ""


def test_links(tmp_path: os.PathLike[str]) -> None:
    """What a link points to is what has to be there."""
    link = os.path.join(tmp_path, "link")
    os.symlink(os.path.join(tmp_path, "target"), link)
    assert look(link) == "No such file or directory"
    os.mkdir(os.path.join(tmp_path, "target"))
    assert look(link) == ""


# -- lines


class Lines:
    """A listener, and the lines it is shown."""

    def __init__(self, pattern: str) -> None:
        self.world = World()
        self.loop = FakeLoop(FakeClock())
        self.found = 0
        self.listener = LineListener(self.world.neighbours, self.loop, "web", pattern)  # type: ignore[arg-type]
        self.listener.start(self._count)

    def _count(self) -> None:
        self.found += 1

    def show(self, *lines: bytes) -> bool:
        """Show lines, if anybody listens; whether one was found."""
        listener = self.world.listeners.get("web")
        if listener is not None:
            listener(list(lines))
        self.loop.settle()
        return self.found > 0


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        ("ready", b"server is ready.", True),
        ("^ready$", b"server is ready.", False),
        ("^ready$", b"ready", True),
        ("port [0-9]+", b"listening on port 8080", True),
        ("é", "déjà".encode(), True),
        ("\ufffd", b"\xff", True),
        ("x", b"", False),
        ("^$", b"", True),
    ],
)
def test_a_line_is_searched(pattern: str, line: bytes, found: bool) -> None:
    """The pattern may be anywhere in it; what is no UTF-8 is U+FFFD, as in the record of the line."""
    assert Lines(pattern).show(b"starting", line, b"other") is found


def test_found_once() -> None:
    """After the line nobody listens, so the rest of the output costs nothing."""
    lines = Lines("ready")
    assert lines.show(b"ready", b"ready")
    assert lines.show(b"ready")
    assert lines.found == 1
    assert lines.world.listeners == {}
    lines.listener.stop()


def test_told_in_a_turn_of_its_own() -> None:
    """Whoever reads the service's output is not interrupted by what follows from it."""
    lines = Lines("ready")
    lines.world.listeners["web"]([b"ready"])
    assert lines.found == 0
    lines.loop.settle()
    assert lines.found == 1


def test_stopped_listening() -> None:
    """A service that is no longer starting is not ready by what it says later, nor by what was just found."""
    lines = Lines("ready")
    lines.listener.stop()
    assert lines.world.listeners == {}
    assert not lines.show(b"ready")
    lines = Lines("ready")
    lines.world.listeners["web"]([b"ready"])
    lines.listener.stop()
    lines.loop.settle()
    assert lines.found == 0


def test_of_a_long_line_the_front_is_searched() -> None:
    """A pattern that takes its time with every character meets no more than so many."""
    assert not Lines("ready").show(b"x" * LONGEST_SEARCHED + b"ready")
    assert Lines("ready").show(b"x" * (LONGEST_SEARCHED - 5) + b"ready")


def test_a_pattern_with_a_warning_is_quiet() -> None:
    """What Python may warn of (a set within a set, in a later version) is written nowhere."""
    assert Lines("[[a-z]]").show(b"[a]")
