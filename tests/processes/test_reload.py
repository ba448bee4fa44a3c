"""Reloads as real processes see them: files that are watched, and signals that take a reload to the programs."""

import os

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers.settings import service, table

WATCHING = table("supervisor", watch_config=True, when_done="pause")
FIRST = WATCHING + service("a", "sleep", "1000")
SECOND = FIRST + service("b", "sleep", "1000")


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
    daemon.wait_line("reloaded")
    assert daemon.events("child_exited", service="a") == []
