"""Importing the HTTP stack: late, a piece a turn, without TLS; and what the daemon is like before and without it."""

import os
import sys
from importlib.util import find_spec
from itertools import pairwise

import pytest

from tests.control.client import raw
from tests.control.conftest import StartControlled
from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import service, table
from tests.runtime.isolated import run_isolated

WEB = service("web", "sleep", "1000")

STEPS = """
from supervisor.runtime.loops import make_loop
make_loop(sys.argv[1]).close()
import supervisor.runtime.driver  # every daemon with services has it by then
from supervisor.control.stack import http_stack
for _ in http_stack():
    assert "ssl" not in sys.modules or sys.argv[1] == "asyncio", "a stand-in is left behind"
    print(len(sys.modules))
from supervisor.control.metrics import Exposition
async def send(_message): pass
answer = Exposition(iter(())).__call__({}, None, send)
try:
    while True:
        answer.send(None)
except StopIteration:
    print("prometheus_client" in sys.modules)
import gc
OTHERS = {"httptools", "websockets", "supervisor.control.server"}
print(sorted(set(sys.modules) & {"ssl", "_ssl", "_hashlib", "click", "multiprocessing", "uvicorn.main", *OTHERS}))
print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def test_the_steps(loop: str) -> None:
    """Many, none of which imports more than a part of the whole; at the end all is there but TLS and command lines."""
    done = run_isolated(STEPS, loop)
    assert (done.stderr, done.returncode) == ("", 0)
    *counts, scraped, modules, state = done.stdout.splitlines()
    assert len(counts) > 15
    grown = [int(after) - int(before) for before, after in pairwise(counts)]
    assert max(grown) < 45
    assert scraped == "True"
    assert modules == "['supervisor.control.server']"
    assert state == "True True"


def test_nothing_is_imported_before_somebody_comes(control: StartControlled) -> None:
    """The daemon that nobody asks is as small as one without a socket; asked once, it has grown by megabytes."""
    daemon, client = control(WEB)
    daemon.wait_event("service_state_changed", to="running")
    procfs.wait_until(lambda: procfs.state(daemon.pid) == "S", "the daemon is up")
    before = resident(daemon.pid)
    client.get("/livez")
    assert resident(daemon.pid) - before > 3 * 2**20


@pytest.mark.namespace
def test_idle_with_the_socket_open(control: StartControlled) -> None:
    """Zero wake-ups: before anybody came, after they have gone, and while somebody follows what does not happen."""
    daemon, client = control(WEB)
    daemon.wait_event("service_state_changed", to="running")
    procfs.wait_until(lambda: procfs.state(daemon.pid) == "S", "the daemon is up")
    procfs.assert_idle(daemon.pid)
    client.get("/v1/services")
    client.get("/metrics")
    with client.follow("/v1/events?follow=true"):
        procfs.assert_idle(daemon.pid)
    procfs.assert_idle(daemon.pid)


def test_without_the_http_stack(start: Launcher, path: str, pid1: How) -> None:
    """It is not installed, or broken: clients are told so by HTTP, the log once, and the daemon does its work."""
    found = find_spec("uvicorn")
    assert found is not None
    assert found.origin is not None
    how = How(pid1=pid1.pid1, hidden=(os.path.dirname(found.origin),))
    daemon = start.services(WEB, options=("--control", path), how=how)
    daemon.wait_event("control_listening")
    for _ in range(2):
        with raw(path) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 503 ")
    (warning,) = daemon.events("supervisor_warning")
    assert "uvicorn" in str(warning["message"])
    assert daemon.stop() == 0


def test_not_for_a_single_command(start: Launcher, path: str) -> None:
    """The single command has no socket unless asked, and with it everything works."""
    quiet = start.single("sleep", "1000")
    quiet.wait_event("child_started")
    assert quiet.events("control_listening") == []
    assert "supervisor_warning" not in {record["event"] for record in quiet.records}
    asked = start.single("sleep", "1000", options=("--control", path))
    asked.wait_event("control_listening", address=path)
    assert quiet.stop() == asked.stop() == 143


def test_pause_with_a_socket(start: Launcher, path: str) -> None:
    """With nothing configured there is a socket if one is asked for."""
    how = How(environment={"PAUSEVISOR_CONFIG": start.write(table("log"))})
    daemon = start.daemon("run", "--control", path, how=how)
    daemon.wait_event("pause_entered")
    assert daemon.events("control_listening", address=path)


def test_a_relative_path(start: Launcher, folder: str) -> None:
    """It starts from where the daemon was started."""
    daemon = start.services(WEB, options=("--control", "relative.sock"), how=How(directory=folder))
    daemon.wait_event("control_listening", address=os.path.join(folder, "relative.sock"))
    assert os.path.exists(os.path.join(folder, "relative.sock"))


def test_already_running(start: Launcher, control: StartControlled, path: str) -> None:
    """A second daemon at the same path does not start; the first one goes on, its socket untouched."""
    daemon, client = control(WEB)
    second = start.services(WEB, options=("--control", path), how=How(pure=False))
    assert second.wait() == 78
    assert f"already running, pid {daemon.pid}" in second.text()
    assert "nothing was started" in second.text()
    assert second.records == []
    assert client.get("/livez").status == 200


def test_taken_over_from_a_killed_daemon(start: Launcher, path: str) -> None:
    """What KILL left behind is replaced by the next daemon."""
    first = start.services(WEB, options=("--control", path))
    first.wait_event("child_started")
    first.remember()
    first.checked = False
    first.signal("KILL")
    first.wait()
    assert os.path.lexists(path)
    second = start.services(WEB, options=("--control", path))
    second.wait_event("control_listening", address=path)


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_mode_under_any_umask(control: StartControlled, path: str, umask: int) -> None:
    """The socket is 0600, and services have the umask that the daemon was given."""
    show = service("show", "sh", "-c", "umask; exec sleep 1000")
    daemon, _ = control(show, how=How(conditions={"umask": umask}))
    assert os.lstat(path).st_mode & 0o777 == 0o600
    daemon.wait_line(f"{umask:04o}")


def test_the_socket_goes_on_without(start: Launcher, folder: str) -> None:
    """A path that can't be had is one warning, and the services run."""
    daemon = start.services(WEB, options=("--control", os.path.join(folder, "x" * 120)))
    warning = daemon.wait_event("supervisor_warning")
    assert "107 bytes" in str(warning["message"])
    daemon.wait_event("child_started")


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(procfs.status(pid)["VmRSS"].split()[0]) * 1024


def test_the_interpreter_of_the_tests_has_all_of_it() -> None:
    """What is measured here is the installed stack, not its absence."""
    assert all(find_spec(name) for name in ("uvicorn", "starlette", "h11", "prometheus_client")), sys.path
