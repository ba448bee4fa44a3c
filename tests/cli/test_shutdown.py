"""shutdown: the end of the daemon, waited for or not."""

import os

import pytest

from tests.cli.conftest import Talking
from tests.harness import Daemon, How
from tests.helpers import procfs
from tests.helpers.settings import service, table

QUIET = table("supervisor", on_failure="ignore", when_done="pause", shutdown_timeout="5s")
WEB = service("web", "sleep", "1000")
SLOW = service("slow", "sh", "-c", "trap 'sleep 0.5; exit' TERM; echo armed; while :; do sleep 0.05; done")
IGNORES = "trap '' TERM; echo armed; while :; do sleep 1; done"
DEAF = service("deaf", "sh", "-c", IGNORES, stop_timeout="3s")
PATIENT = table("supervisor", on_failure="ignore", when_done="pause", shutdown_timeout="1h")
FOR_EVER = service("deaf", "sh", "-c", IGNORES, stop_timeout="1h")
"""With the table above a shutdown that goes on until its process is killed."""


def test_it_waits_until_the_daemon_is_gone(talk: Talking, place: How) -> None:
    """When it says so the process is gone, and so is the socket; in a PID namespace of its own as well."""
    daemon, say = talk(QUIET, WEB, SLOW, how=place)
    daemon.wait_line("armed")
    done = say("shutdown")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("the daemon has ended with exit code 0 after ")
    assert procfs.state(daemon.pid) in ("", "Z")
    assert not os.path.exists(say.path)
    assert daemon.wait() == 0


def test_who_had_to_be_killed_is_told(talk: Talking) -> None:
    """By name."""
    daemon, say = talk(QUIET, WEB, DEAF)
    daemon.wait_line("armed")
    found = say.json("shutdown")
    assert found == {"ok": True, "ended": True, "exit_code": 0, "killed": ["deaf"]}
    assert daemon.wait() == 0


def test_not_waiting(talk: Talking) -> None:
    """It has begun, and that is all."""
    daemon, say = talk(QUIET, DEAF)
    daemon.wait_line("armed")
    assert say.json("shutdown", "--no-wait") == {"ok": True, "ended": False, "exit_code": None, "killed": []}
    daemon.wait_event("shutdown_started")
    assert daemon.wait() == 0


def test_waiting_for_the_time_given(talk: Talking) -> None:
    """Exit code 1 after it, and the shutdown goes on."""
    daemon, say = talk(PATIENT, FOR_EVER)
    daemon.wait_line("armed")
    done = say("shutdown", "--timeout", "300ms")
    assert (done.code, done.stdout) == (1, "")
    assert "not gone in time; the shutdown goes on" in done.stderr
    end(daemon)


def test_progress(talk: Talking) -> None:
    """On a terminal each service that is still there, until it is not."""
    daemon, say = talk(QUIET, WEB, DEAF)
    daemon.wait_line("armed")
    with say.begin("shutdown", stdout="pipe") as running:
        running.wait_for("deaf  stopping", running.terminal)
        running.wait_for("✓ web   stopped", running.terminal)
        assert running.wait() == 0
        assert running.text.startswith("the daemon has ended")
        assert "had to be killed: deaf" in running.text
    assert daemon.wait() == 0


@pytest.mark.parametrize("stream", ["terminal", "pipe"])
def test_interrupted(talk: Talking, stream: str) -> None:
    """^C ends the client; the shutdown goes on."""
    daemon, say = talk(PATIENT, FOR_EVER)
    daemon.wait_line("armed")
    with say.begin("shutdown", stdout="pipe", stderr=stream) as running:  # type: ignore[arg-type]
        daemon.wait_event("shutdown_started")
        running.press("\x03")
        assert running.wait() == -2
        assert b"the shutdown goes on" in running.err.raw
    end(daemon)


def test_a_second_one_is_no_failure(talk: Talking) -> None:
    """Whoever comes while the daemon is on its way down waits for the same end."""
    daemon, say = talk(PATIENT, FOR_EVER)
    daemon.wait_line("armed")
    assert say("shutdown", "--no-wait").code == 0
    with say.begin("shutdown") as running:
        running.wait_for("stopping")
        end(daemon)
        assert running.wait() == 0


def end(daemon: Daemon) -> None:
    """Kill what the shutdown waits for, and see it end."""
    daemon.kill(daemon.wait_event("child_started", service="deaf")["pid"], "KILL")
    assert daemon.wait() == 0
