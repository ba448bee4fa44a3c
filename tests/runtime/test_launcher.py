"""From a spec to a process: the streams of real programs, and what happens to them when a start fails."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from supervisor.core.spec import FileSink, Output, ServiceSpec, Transparent
from supervisor.runtime.launcher import ProgramLauncher
from supervisor.runtime.spawn import SpawnError
from tests.helpers import procfs
from tests.runtime.spawning import ENVIRONMENT, Spawner


class Pipe:
    """One stream on its way to the test."""

    def __init__(self, service: str, stream: str) -> None:
        self.service = service
        self.stream = stream
        self.read_fd, self.write_fd = os.pipe()


class Capture:
    """Collects whole streams, and remembers what became of each pipe."""

    def __init__(self) -> None:
        self.pipes: list[Pipe] = []
        self.places: dict[str, tuple[object, ...] | None] = {}
        self.bound: list[tuple[str, str, int]] = []
        self.discarded: list[str] = []
        self.refuses_from: int | None = None

    def open(self, service: str, stream: str, places: tuple[object, ...] | None = None) -> Pipe:
        """A pipe, as long as there are descriptors."""
        if self.refuses_from is not None and len(self.pipes) >= self.refuses_from:
            raise OSError(24, "Too many open files")
        self.pipes.append(Pipe(service, stream))
        self.places[stream] = places
        return self.pipes[-1]

    def bind(self, pipe: Pipe, pid: int) -> None:
        """Remember, and close our copy of the program's end."""
        os.close(pipe.write_fd)
        self.bound.append((pipe.service, pipe.stream, pid))

    def discard(self, pipe: Pipe) -> None:
        """Remember, and close both."""
        os.close(pipe.write_fd)
        os.close(pipe.read_fd)
        self.discarded.append(pipe.stream)

    def close(self) -> None:
        """No more is read."""

    def listen(self, service: str, listener: Callable[[list[bytes]], None] | None) -> None:
        """Nobody listens here."""

    def drain(self, pid: int) -> list[str]:
        """What the program wrote, stream by stream."""
        found = []
        for pipe in self.pipes:
            if (pipe.service, pipe.stream, pid) in self.bound:
                with open(pipe.read_fd, encoding="utf-8") as file:
                    found.append(f"{pipe.stream}: {file.read()}")
        return found


def close(launcher: ProgramLauncher) -> None:
    """Give back the descriptor that a launcher keeps as long as the daemon runs."""
    os.close(launcher._null)  # noqa: SLF001


@pytest.fixture
def capture() -> Capture:
    """Reads what the programs write."""
    return Capture()


def spec(*command: str, **changes: Any) -> ServiceSpec:
    """A service with an environment."""
    return ServiceSpec(**{"name": "web", "command": command, "environment": ENVIRONMENT, **changes})


def launch(capture: Capture, spawner: Spawner, wanted: ServiceSpec) -> tuple[int, list[str]]:
    """Start the program, wait for its end; exit code and what it wrote."""
    launcher = ProgramLauncher(capture, None, lambda: None)
    try:
        pid = launcher.launch(wanted)
        spawner.pids.append(pid)
        code = spawner.wait(pid)
        return code, launcher.last_words(pid)
    finally:
        close(launcher)


def test_both_streams_go_to_the_log(capture: Capture, spawner: Spawner) -> None:
    """Each through a pipe of its own, which the program alone holds; standard input is empty."""
    wanted = spec("sh", "-c", "cat; echo out; echo err >&2; ls /proc/$$/fd | sort -n | tail -1 >&2; exit 3")
    code, words = launch(capture, spawner, wanted)
    assert code == 3
    assert words[0] == "stdout: out\n"
    assert words[1].startswith("stderr: err\n")
    assert capture.discarded == []


def test_streams_may_go_elsewhere(capture: Capture, spawner: Spawner) -> None:
    """Whoever captures is told where the lines go; to the log alone where nothing is said."""
    places = (Output.LOG, FileSink("/x"))
    code, words = launch(capture, spawner, spec("sh", "-c", "echo out", stdout=places))
    assert (code, words) == (0, ["stdout: out\n", "stderr: "])
    assert capture.places == {"stdout": places, "stderr": None}


def test_streams_may_go_nowhere(capture: Capture, spawner: Spawner) -> None:
    """Null needs no pipe, and the program may write as much as it likes."""
    wanted = spec("sh", "-c", "echo out; echo err >&2; exec true", stdout=Output.NULL, stderr=Output.NULL)
    assert launch(capture, spawner, wanted) == (0, [])
    assert capture.pipes == []


def test_a_stream_may_be_ours(capture: Capture, spawner: Spawner) -> None:
    """An inherited stream is the daemon's own, beside one that goes to the log."""
    path = os.path.join(spawner.folder, "links")
    wanted = spec("sh", "-c", f"readlink /proc/$$/fd/1 > {path}; echo err >&2", stdout=Output.INHERIT)
    code, words = launch(capture, spawner, wanted)
    assert (code, words) == (0, ["stderr: err\n"])


def test_a_failed_start_gives_the_pipes_back(capture: Capture, spawner: Spawner) -> None:
    """No descriptor is left, and the error is the spawn's."""
    before = sorted(procfs.descriptors(os.getpid()))
    with pytest.raises(SpawnError, match="cannot execute"):
        launch(capture, spawner, spec("/nonexistent"))
    assert capture.discarded == ["stdout", "stderr"]
    assert sorted(procfs.descriptors(os.getpid())) == before


@pytest.mark.parametrize("refuses_from", [0, 1])
def test_out_of_descriptors_is_a_stage_of_its_own(capture: Capture, spawner: Spawner, refuses_from: int) -> None:
    """When there is no pipe to be had nothing is started, and it may go through later."""
    capture.refuses_from = refuses_from
    before = sorted(procfs.descriptors(os.getpid()))
    with pytest.raises(SpawnError) as caught:
        launch(capture, spawner, spec("true"))
    assert (caught.value.stage, caught.value.transient) == ("output", True)
    assert sorted(procfs.descriptors(os.getpid())) == before


def test_the_single_command_is_told_once_it_runs(capture: Capture, spawner: Spawner) -> None:
    """What was kept open for it can be closed then, and not when its start failed."""
    told: list[str] = []
    launcher = ProgramLauncher(capture, None, lambda: told.append("launched"))
    single: dict[str, Any] = {"transparent": Transparent(), "stdout": Output.INHERIT, "stderr": Output.INHERIT}
    with pytest.raises(SpawnError):
        launcher.launch(spec("/nonexistent", **single))
    assert told == []
    pid = launcher.launch(spec("true", **single))
    spawner.pids.append(pid)
    assert told == ["launched"]
    assert spawner.wait(pid) == 0
    close(launcher)
