"""Reloads as real processes see them: files that are watched, and signals that take a reload to the programs."""

import contextlib
import json
import os

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import service, table

WATCHING = table("supervisor", watch_config=True, when_done="pause")
FIRST = WATCHING + service("a", "sleep", "1000")
SECOND = FIRST + service("b", "sleep", "1000")


def read(path: str) -> str:
    """What a file holds."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def replace_file(path: str, text: str) -> None:
    """Put a new file in the place of the old one, as editors do."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def run(start: Launcher, loop: str, path: str) -> Daemon:
    """A daemon that watches the path."""
    daemon = start.daemon("run", "-c", path, "--control", "", "--loop", loop, how=How())
    daemon.wait_event("service_state_changed", service="a", to="running")
    daemon.wait_event("child_started", service="a")
    return daemon


@pytest.fixture
def path(start: Launcher) -> str:
    """A file in a folder of its own."""
    folder = os.path.join(start.folder, "watched")
    os.mkdir(folder)
    return os.path.join(folder, "services.toml")


def test_a_changed_file_is_in_force(start: Launcher, loop: str, path: str) -> None:
    """A file renamed over the old one is read; a broken one changes nothing, and its repair is read again."""
    replace_file(path, FIRST)
    daemon = run(start, loop, path)
    replace_file(path, "broken")
    daemon.wait_event("config_rejected")
    assert len(daemon.events("child_started")) == 1
    replace_file(path, SECOND)
    assert daemon.wait_event("config_reloaded")["added"] == ["b"]
    daemon.wait_event("child_started", service="b")
    assert daemon.events("child_exited") == []


def test_a_config_map_is_followed(start: Launcher, loop: str, path: str) -> None:
    """Kubernetes swaps the link to the folder that all files are in."""
    folder = os.path.dirname(path)
    for name, text in (("..1", FIRST), ("..2", SECOND)):
        os.mkdir(os.path.join(folder, name))
        replace_file(os.path.join(folder, name, "services.toml"), text)
    os.symlink("..1", os.path.join(folder, "..data"))
    os.symlink("..data/services.toml", path)
    daemon = run(start, loop, path)
    os.symlink("..2", os.path.join(folder, "..tmp"))
    os.rename(os.path.join(folder, "..tmp"), os.path.join(folder, "..data"))
    assert daemon.wait_event("config_reloaded")["added"] == ["b"]
    daemon.wait_event("child_started", service="b")


def test_a_reload_reaches_the_program(start: Launcher, loop: str) -> None:
    """HUP to the daemon is the service's reload-signal to its process, which goes on."""
    script = "trap 'echo reloaded' USR1; echo ready; while :; do sleep 0.05; done"
    daemon = start.services(service("a", "sh", "-c", script, reload_signal="SIGUSR1"), options=("--loop", loop))
    daemon.wait_line("ready")
    daemon.signal("HUP")
    daemon.wait_line("reloaded")
    assert daemon.events("child_exited", service="a") == []


def test_a_reload_does_not_kill_who_is_starting(start: Launcher) -> None:
    """One that has set up its handler when it is ready, and not before, is told then."""
    script = "echo born; read _ < gate; trap 'echo reloaded' USR1; echo ready; while :; do sleep 0.05; done"
    settings = {"ready": {"log": "^ready"}, "reload_signal": "SIGUSR1", "directory": start.folder, "restart": "never"}
    os.mkfifo(os.path.join(start.folder, "gate"))
    daemon = start.services(service("a", "sh", "-c", script, **settings))
    daemon.wait_line("born")
    daemon.signal("HUP")
    daemon.wait_event("config_reloaded")
    with open(os.path.join(start.folder, "gate"), "r+b", buffering=0) as gate:  # it opens whether or not it is read
        gate.write(b"go\n")
        daemon.wait_line("reloaded")  # what nobody has read when it is closed is lost
    assert daemon.events("child_exited", service="a") == []


NUMBERS = """
i=0
while :; do echo $i; i=$((i+1)); [ $((i % 100)) = 0 ] && sleep 0.01; done
"""


def test_where_lines_go_changes_while_they_come(start: Launcher, loop: str) -> None:
    """A reload gives a running program's lines another way: none is lost, doubled or out of order, nothing restarts."""
    config, path = os.path.join(start.folder, "services.toml"), os.path.join(start.folder, "a.log")
    file = {"file": path, "max-size": "20KB", "keep": 1000}
    ways: list[dict[str, object]] = [
        {"stdout": file},
        {"stdout": [file, "log"], "log": {"overflow": "drop-oldest", "multiline": "python"}},
        {"stdout": [{**file, "format": "json"}]},
        {"log": {"level": "guess", "ansi": "strip"}},
    ]
    replace_file(config, service("a", "sh", "-c", NUMBERS))
    daemon = start.daemon("run", "-c", config, "--control", "", "--loop", loop, how=How())
    daemon.wait_events(50, "output")
    for turn, way in enumerate(ways, 1):
        replace_file(config, service("a", "sh", "-c", NUMBERS, **way))
        size = size_of_logs(path)
        daemon.signal("HUP")
        daemon.wait_events(turn, "config_reloaded")
        if "stdout" in way:
            procfs.wait_until(lambda: size_of_logs(path) > size + 30_000, "lines")  # noqa: B023
    seen = len(daemon.events("output"))
    daemon.wait_events(seen + 50, "output")
    daemon.stop()
    (ended,) = daemon.events("child_exited")
    assert ended["expected"]
    in_log = [int(record["message"]) for record in daemon.events("output")]
    texts = [line for name in logs_of(path) for line in read(name).splitlines()]
    in_file = [int(json.loads(line)["message"] if line.startswith("{") else line) for line in texts]
    assert in_log == sorted(set(in_log))
    assert in_file == sorted(set(in_file))
    assert set(in_log) | set(in_file) == set(range(max(in_log) + 1)), "nothing is lost"
    assert any(line.startswith("{") for line in texts)
    assert daemon.events("log_lines_dropped") == []


def size_of_logs(path: str) -> int:
    """Bytes in all of them; looked at again where one is renamed meanwhile."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return sum(os.path.getsize(name) for name in logs_of(path))


def logs_of(path: str) -> list[str]:
    """A log file and those it was before, the oldest first."""
    folder, name = os.path.split(path)
    old = [int(other.rpartition(".")[2]) for other in os.listdir(folder) if other.startswith(f"{name}.")]
    return [f"{path}.{number}" for number in sorted(old, reverse=True)] + [path] * os.path.exists(path)
