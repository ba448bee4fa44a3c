"""From a spec to a process: the streams of real programs, and what happens to them when a start fails."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from supervisor.core.service import Service
from supervisor.core.spec import FileSink, Isolation, Output, ServiceLog, ServiceSpec, Transparent
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
        self.changed: dict[tuple[str, str], tuple[ServiceLog, tuple[object, ...] | None]] = {}

    def open(
        self,
        service: str,
        stream: str,
        log: ServiceLog,  # noqa: ARG002 - it keeps whole streams
        places: tuple[object, ...] | None = None,
    ) -> Pipe:
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

    def change(self, wanted: Mapping[tuple[str, str], tuple[ServiceLog, tuple[object, ...] | None]]) -> None:
        """Remember what."""
        self.changed |= wanted

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


def test_what_becomes_of_lines_may_change(capture: Capture) -> None:
    """Stream by stream, the log alone where nothing else is said."""
    launcher = ProgramLauncher(capture, None, lambda: None)
    log, places = ServiceLog(tail=5), (Output.LOG, FileSink("/x"))
    launcher.change_output([spec("a", stdout=places, log=log), spec("b", name="db")])
    assert capture.changed == {
        ("web", "stdout"): (log, places),
        ("web", "stderr"): (log, None),
        ("db", "stdout"): (ServiceLog(), None),
        ("db", "stderr"): (ServiceLog(), None),
    }
    close(launcher)


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


class Watches:
    """Hands out a variable and a descriptor, and remembers what it was told."""

    def __init__(self, number: int = 3) -> None:
        self.told: list[str] = []
        self.number = number
        self.error: OSError | None = None
        self.reader, self.writer = os.pipe()

    def prepare(self, spec: ServiceSpec) -> tuple[dict[str, str], dict[int, int]]:
        """A variable and the end of a pipe, as long as there are descriptors."""
        self.told.append(f"prepare {spec.name}")
        if self.error is not None:
            raise self.error
        return {"NOTIFY_FD": str(self.number), "MARK": "watched"}, {self.number: self.writer}

    def discard(self, spec: ServiceSpec) -> None:
        """Remember."""
        self.told.append(f"discard {spec.name}")

    def started(self, spec: ServiceSpec, pid: int) -> None:
        """Remember."""
        self.told.append(f"started {spec.name} {pid}")

    def follow(self, name: str, spec: ServiceSpec | None, service: Service | None) -> None:
        """Nothing is armed here."""

    def hear(self, name: str) -> None:
        """Nothing is said here."""

    def close(self) -> None:
        """Close both ends."""
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def watches() -> Iterator[Watches]:
    """Who finds out how services are."""
    watches = Watches()
    yield watches
    watches.close()


FORKED = Isolation(nice=os.nice(0))
"""Asks for what is so already, and for a fork."""


@pytest.mark.parametrize("isolation", [None, FORKED], ids=["spawn", "fork"])
def test_watches_hand_over_what_they_need(
    capture: Capture, spawner: Spawner, watches: Watches, isolation: Isolation | None
) -> None:
    """Variables win over the service's own, descriptors have their numbers, and nothing else is passed on."""
    launcher = ProgramLauncher(capture, None, lambda: None, watches=watches)
    script = "echo ready $MARK >&$NOTIFY_FD; ls /proc/$$/fd | sort -n | tr '\\n' ' '"
    pid = launcher.launch(spec("sh", "-c", script, isolation=isolation))
    spawner.pids.append(pid)
    assert os.read(watches.reader, 100) == b"ready watched\n"
    assert spawner.wait(pid) == 0
    assert launcher.last_words(pid)[0].split()[1:5] == ["0", "1", "2", "3"]
    assert watches.told == ["prepare web", f"started web {pid}"]
    close(launcher)


def test_what_was_prepared_is_discarded(capture: Capture, spawner: Spawner, watches: Watches) -> None:
    """When the start fails, whatever the reason: and not when the preparation itself did."""
    launcher = ProgramLauncher(capture, None, lambda: None, watches=watches)
    failing = (
        spec("/nonexistent"),
        spec("true", isolation=Isolation(user="no-such-user")),
        spec("true", secret_files={"S": "/nonexistent"}),
    )
    before = sorted(procfs.descriptors(os.getpid()))
    for wanted in failing:
        with pytest.raises(SpawnError):
            launcher.launch(wanted)
    capture.refuses_from = 0
    with pytest.raises(SpawnError, match="pipes"):
        launcher.launch(spec("true"))
    assert watches.told == ["prepare web", "discard web"] * 4
    watches.error = OSError(24, "Too many open files")
    with pytest.raises(SpawnError) as caught:
        launcher.launch(spec("true"))
    assert (caught.value.stage, caught.value.transient) == ("notification", True)
    assert watches.told[8:] == ["prepare web"]
    assert sorted(procfs.descriptors(os.getpid())) == before
    assert spawner.pids == []
    close(launcher)


def test_another_command_of_a_service(capture: Capture, spawner: Spawner, watches: Watches, tmp_path: str) -> None:
    """It is what the service is: environment, secrets, directory, limits; its streams are nowhere, and nobody's."""
    secret, seen = os.path.join(tmp_path, "secret"), os.path.join(tmp_path, "seen")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("hush\n")
    told: list[tuple[str, str]] = []
    launcher = ProgramLauncher(capture, None, lambda: None, watches=watches, redact=lambda *secret: told.append(secret))
    service = spec(
        "/nonexistent",
        directory=os.fspath(tmp_path),
        secret_files={"S": secret},
        isolation=Isolation(umask=0o77, limits={"core": (0, 0)}),
    )
    script = """
links="$(readlink /proc/$$/fd/0 /proc/$$/fd/2) $(readlink /proc/self/fd/1 >&2; echo $?)"
echo "$MARK $S $(pwd) $(umask) $(ulimit -c)" $links > seen
"""
    pid = launcher.launch_command(service, ("sh", "-c", script))
    spawner.pids.append(pid)
    assert os.getsid(pid) == pid
    assert spawner.wait(pid) == 0
    with open(seen, encoding="utf-8") as file:
        found = file.read()
    assert found == f"spawned hush {os.path.realpath(tmp_path)} 0077 0 /dev/null /dev/null 0\n"
    assert told == [("hush", "web")]
    assert (watches.told, capture.pipes) == ([], [])
    with pytest.raises(SpawnError) as caught:
        launcher.launch_command(service, ("no-such-program",))
    assert (caught.value.stage, caught.value.exit_code) == ("exec", 127)
    os.waitpid(caught.value.pid or 0, 0)
    close(launcher)


def test_the_environment_of_a_spec_stays_as_it_was(capture: Capture, spawner: Spawner, watches: Watches) -> None:
    """What is added for one start is not there at the next."""
    wanted = spec("true")
    launcher = ProgramLauncher(capture, None, lambda: None, watches=watches)
    pid = launcher.launch(wanted)
    spawner.pids.append(pid)
    spawner.wait(pid)
    assert wanted.environment == ENVIRONMENT
    close(launcher)
