"""Kubernetes' termination message, as real daemons leave it."""

import os

import pytest

from tests.harness import How, Launcher
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import service, table


def message(start: Launcher) -> str:
    """What is there when the daemon has ended."""
    with open(os.path.join(start.folder, "message"), encoding="utf-8") as file:
        return file.read()


def settings(start: Launcher, **others: object) -> str:
    """The `[supervisor]` table with the path of the message."""
    return table("supervisor", termination_message_path=os.path.join(start.folder, "message"), **others)


@pytest.mark.namespace
def test_a_main_service_that_fails(start: Launcher, place: How, loop: str) -> None:
    """Who, why, with which status, and its last lines."""
    script = "echo connecting; echo no database >&2; exit 3"
    daemon = start.services(
        settings(start, main="web"), service("web", "sh", "-c", script), options=("--loop", loop), how=place
    )
    assert daemon.wait() == 3
    lines = message(start).splitlines()
    assert lines[0] == "exit code 3: main service web has ended"
    assert lines[1].startswith("web exited with 3, after ")
    assert lines[2:] == ["last lines of web:", "connecting", "no database"]


def test_an_order(start: Launcher) -> None:
    """A daemon that was told to end says by whom, and that is all."""
    daemon = start.services(settings(start), service("web", "sleep", "infinity"))
    daemon.wait_event("child_started")
    assert daemon.stop() == 0
    assert message(start) == "exit code 0: signal SIGTERM\n"


def test_no_records_are_needed(start: Launcher) -> None:
    """Whatever the level of the log, the message is whole."""
    daemon = start.services(
        settings(start),
        table("log", level="critical"),
        service("web", "sh", "-c", "echo sorry; kill -9 $$", restart="never"),
    )
    assert daemon.wait() == 137
    assert "web was killed by SIGKILL" in message(start)
    assert message(start).endswith("last lines of web:\nsorry\n")


def test_a_program_that_says_it_itself(start: Launcher) -> None:
    """What the program has left there stays; what an earlier run has left does not."""
    path = os.path.join(start.folder, "message")
    with open(path, "w", encoding="utf-8") as file:
        file.write("an earlier run's")
    os.utime(path, (1, 1))
    own = start.services(
        settings(start), service("web", "sh", "-c", f"echo own words > {path}; exit 1", restart="never")
    )
    assert own.wait() == 1
    assert message(start) == "own words\n"
    os.utime(path, (1, 1))
    other = start.services(settings(start), service("web", "sh", "-c", "exit 1", restart="never"))
    assert other.wait() == 1
    assert message(start).startswith("exit code 1: service web has failed\nweb exited with 1")


@pytest.mark.parametrize("kind", ["fifo", "missing"])
def test_a_message_nobody_can_take(start: Launcher, kind: str) -> None:
    """The end is neither late nor another one for it."""
    path = os.path.join(start.folder, "none/message")
    if kind == "fifo":
        path = os.path.join(start.folder, "message")
        os.mkfifo(path)
    daemon = start.services(
        table("supervisor", termination_message_path=path), service("web", "sh", "-c", "exit 4", restart="never")
    )
    assert daemon.wait(PATIENCE) == 4
