"""Services that fall ill, and services that fall silent, from outside."""

import os
import sys

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service, table

HTTP = """
import http.server, os, signal, sys
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
status = 200
def change(*_):
    global status
    status = 503 if status == 200 else 200
signal.signal(signal.SIGUSR1, change)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(status)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
port = server.server_address[1]
os.write(1, f"port {port}\\n".encode())
server.serve_forever()
"""
"""A server whose health changes with each USR1."""


def server(port: int, **settings: object) -> str:
    """The server, and how it is watched."""
    url = f"http://127.0.0.1:{port}/health"
    health = {"http": url, "interval": "20ms", "timeout": "5s", **settings}
    return service("web", sys.executable, "-I", "-S", "-c", HTTP, str(port), health=health, ready={"http": url})


def test_unhealthy_is_restarted(start: Launcher, loop: str, free_port: int) -> None:
    """After as many failures in a row as it may have, its process is ended and another one started."""
    daemon = start.services(server(free_port, failures=3), table("log", level="debug"), options=("--loop", loop))
    daemon.wait_event("service_ready")
    first = daemon.wait_event("child_started")["pid"]
    daemon.kill(first, "USR1")
    changed = daemon.wait_event("health_changed")
    assert (changed["healthy"], changed["pid"]) == (False, first)
    daemon.wait_events(2, "service_ready")
    change = daemon.wait_event("service_state_changed", to="stopping")
    told = daemon.events("probe_failed", kind="health", pid=first)[-1]
    assert told["seq"] < changed["seq"] < change["seq"] < daemon.wait_event("signal_forwarded")["seq"]
    failures = [record["failures"] for record in daemon.events("probe_failed", kind="health", pid=first)]
    assert failures == [1, 2, 3]
    assert daemon.events("probe_failed", kind="health")[0]["error"] == "answered 503 Service Unavailable"
    assert daemon.wait_event("service_state_changed", to="stopping")["reason"] == "unhealthy"
    second = daemon.wait_events(2, "child_started")[1]["pid"]
    assert second != first
    assert daemon.stop() == 0


def test_well_again(start: Launcher, loop: str, free_port: int) -> None:
    """With the action report it is told of and left alone, and told of again when it is well."""
    daemon = start.services(server(free_port, failures=2, action="report"), options=("--loop", loop))
    daemon.wait_event("service_ready")
    pid = daemon.wait_event("child_started")["pid"]
    for turn in range(3):
        daemon.kill(pid, "USR1")
        daemon.wait_events(2 * turn + 1, "health_changed")
        daemon.kill(pid, "USR1")
        daemon.wait_events(2 * turn + 2, "health_changed")
    assert [record["healthy"] for record in daemon.events("health_changed")] == [False, True] * 3
    assert daemon.stop() == 0
    assert len(daemon.events("child_started")) == 1


def test_a_server_that_is_stopped_answers_nothing(start: Launcher, loop: str, free_port: int) -> None:
    """One that hangs, here because it was stopped, is ended at last by KILL, and replaced."""
    daemon = start.services(server(free_port, timeout="50ms", failures=2), options=("--loop", loop))
    daemon.wait_event("service_ready")
    daemon.kill(daemon.wait_event("child_started")["pid"], "STOP")
    daemon.wait_events(2, "service_ready")
    assert daemon.events("probe_failed", kind="health")[0]["error"] == "timed out after 0.05s"
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_a_command_asks(start: Launcher, place: How, loop: str) -> None:
    """A command as the probe: what it is run with is the service's, and its failure is the service's."""
    path = os.path.join(start.folder, "ill")
    daemon = start.services(
        service(
            "web",
            *program("actor"),
            health={"command": f"test ! -e {path}", "interval": "10ms", "failures": 2},
            restart="never",
        ),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready")
    with open(path, "w", encoding="utf-8"):
        pass
    assert daemon.wait() == 143
    assert daemon.wait_event("service_state_changed", to="failed")["reason"] == "unhealthy"
    assert daemon.wait_event("probe_failed")["error"] == "exited with 1"
    assert daemon.events("orphan_exited") == []


@pytest.mark.namespace
def test_term_while_the_probe_hangs(start: Launcher, place: How) -> None:
    """Nobody waits for a probe at the end, and nothing of it is left."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="1h"),
        service(
            "web",
            *program("actor", "TERM=exit:0"),
            health={
                "command": ["sh", "-c", "touch running; sleep 1000 & sleep 1000"],
                "interval": "1ms",
                "timeout": "1h",
            },
            directory=start.folder,
        ),
        how=place,
    )
    procfs.wait_until(lambda: os.path.exists(f"{start.folder}/running"), "the probe runs")
    assert daemon.stop() == 0
    assert daemon.wait_event("shutdown_finished")["killed"] == []


def test_nothing_is_asked_nobody_wakes(start: Launcher, loop: str) -> None:
    """A service that has told that it is ready, and is not asked for its health, costs no wake-up."""
    daemon = start.services(
        service("web", *program("speaker", "send:READY=1"), ready={"notify": True}),
        service("db", "sh", "-c", "echo >&3; exec sleep 1000", ready={"fd": 3}),
        service("log", "sh", "-c", "echo up; exec sleep 1000", ready={"log": "up"}),
        service("file", "sleep", "1000", ready={"file": "/"}),
        options=("--loop", loop),
    )
    daemon.wait_events(4, "service_ready")
    procfs.assert_idle(daemon.pid)
    assert daemon.stop() == 0


# -- the watchdog


@pytest.mark.namespace
def test_silent_for_too_long(start: Launcher, place: How, loop: str) -> None:
    """A service that stops saying that it is alive gets ABRT, and another one takes its place."""
    daemon = start.services(
        service(
            "web",
            *program("speaker", "show:WATCHDOG_USEC", "send:WATCHDOG=1"),
            watchdog="2s",
            stop_timeout="500ms",
            restart_delay="1ms",
        ),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("WATCHDOG_USEC=2000000")
    expired = daemon.wait_event("watchdog_expired")
    assert expired["watchdog_s"] == 2
    assert daemon.wait_event("signal_forwarded", signal_name="SIGABRT")["pid"] == expired["pid"]
    daemon.wait_events(2, "child_started")
    daemon.stop()


@pytest.mark.namespace
def test_alive(start: Launcher, place: How, loop: str) -> None:
    """One that goes on saying so goes on; one that asks for the end itself gets it at once."""
    daemon = start.services(
        service(
            "web",
            *program("speaker", "send:READY=1", "every:WATCHDOG=1", "USR1=send:WATCHDOG=trigger", "ABRT=exit:3"),
            ready={"notify": True},
            watchdog="4s",
            restart="never",
        ),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_event("service_ready")
    assert not daemon.streams["stdout"].wait(lambda: bool(daemon.events("watchdog_expired")), 5)
    daemon.kill(daemon.wait_event("child_started")["pid"], "USR1")
    daemon.wait_event("watchdog_expired")
    assert daemon.wait() == 3
    assert daemon.wait_event("service_state_changed", to="failed")["reason"] == "watchdog"
