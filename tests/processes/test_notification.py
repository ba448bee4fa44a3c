"""The notification socket from outside: what it understands, who is heard, and that nobody does harm by it."""

import array
import os
import socket

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import program, service, table

NOTIFY = {"notify": True}
DEBUG = table("log", level="debug")


def address_of(daemon: Daemon, name: str = "web") -> str:
    """The socket's address, as the service has found it in its environment."""
    daemon.wait_line("ready", service=name)
    lines = [record["message"] for record in daemon.events("output", service=name)]
    line: str = next(line for line in lines if line.startswith("NOTIFY_SOCKET="))
    return line.partition("=")[2]


def send(address: str, *messages: bytes, fds: tuple[int, ...] = ()) -> None:
    """Send messages from this process, which is none of the service's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        for message in messages:
            sender.sendmsg([message], attached, 0, "\0" + address[1:])


@pytest.mark.namespace
def test_what_a_service_says_of_itself(start: Launcher, place: How, loop: str) -> None:
    """Its status and its error are records; that it stops is a state."""
    daemon = start.services(
        service(
            "web",
            *program("speaker", "send:STATUS=warming up", "USR1=send:STATUS=oops\nERRNO=5", "USR2=send:STOPPING=1"),
            ready=NOTIFY,
            restart="never",
        ),
        DEBUG,
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_event("service_status", status="warming up")
    pid = daemon.wait_event("child_started")["pid"]
    daemon.wait_line("ready")
    daemon.kill(pid, "USR1")
    assert daemon.wait_event("service_status", status="oops")["error_number"] == 5
    daemon.kill(pid, "USR2")
    daemon.wait_event("service_state_changed", to="stopping", reason="announced")
    daemon.stop()


@pytest.mark.namespace
def test_more_time(start: Launcher, place: How) -> None:
    """A service that asks for more time is given it: it becomes ready long after its start-timeout."""
    daemon = start.services(
        service(
            "web",
            *program("speaker", "send:EXTEND_TIMEOUT_USEC=60000000", "USR1=send:READY=1"),
            ready=NOTIFY,
            start_timeout="5s",
        ),
        how=place,
    )
    daemon.wait_line("ready")
    assert not daemon.streams["stdout"].wait(lambda: bool(daemon.events("service_state_changed", to="stopping")), 5.5)
    daemon.kill(daemon.wait_event("child_started")["pid"], "USR1")
    assert daemon.wait_event("service_ready")["duration_s"] > 5.1
    assert daemon.stop() == 0


def test_strangers_are_not_heard(start: Launcher, loop: str) -> None:
    """Whoever is no process of the service, be it root, changes nothing; one warning says who it was."""
    daemon = start.services(
        service("web", *program("speaker", "show:NOTIFY_SOCKET"), ready=NOTIFY),
        options=("--loop", loop),
    )
    address = address_of(daemon)
    for _ in range(5):
        send(address, b"READY=1", b"STOPPING=1", b"MAINPID=1")
    warning = daemon.wait_event("supervisor_warning", service="web")
    assert f"pid {os.getpid()} " in warning["message"]
    assert daemon.stop() == 0
    assert daemon.events("service_ready") == []
    assert len(daemon.events("supervisor_warning")) == 1
    assert [record["to"] for record in daemon.events("service_state_changed")] == ["starting", "stopping", "stopped"]


@pytest.mark.namespace
def test_another_namespace_is_not_heard(start: Launcher, pid1: How) -> None:
    """Who shares the network but not the processes with us, another container of a pod, is not heard."""
    daemon = start.services(service("web", *program("speaker", "show:NOTIFY_SOCKET"), ready=NOTIFY), how=pid1)
    send(address_of(daemon), b"READY=1")
    assert "another PID namespace" in daemon.wait_event("supervisor_warning")["message"]
    assert daemon.events("service_ready") == []
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_another_container_of_the_namespace_is_not_heard(start: Launcher, pid1: How) -> None:
    """Nor who shares the processes too but is none of ours, however soon it has gone: a user that is not root."""
    daemon = start.services(service("web", *program("speaker", "show:NOTIFY_SOCKET"), ready=NOTIFY), how=pid1)
    address = address_of(daemon)
    source = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', '\\0' + sys.argv[1][1:])\n"
    )
    for _ in range(3):
        with daemon.join("python3", "-I", "-S", "-c", source, address) as stranger:
            assert stranger.wait(PATIENCE) == 0
    warning = daemon.wait_event("supervisor_warning", service="web")
    assert "user 65534" in warning["message"]
    assert daemon.events("service_ready") == []
    assert daemon.stop() == 0


def test_services_do_not_speak_for_each_other(start: Launcher) -> None:
    """Each has a socket of its own; one that finds out another's is a stranger there."""
    daemon = start.services(
        service("web", *program("speaker", "show:NOTIFY_SOCKET"), ready=NOTIFY),
        service("db", *program("speaker", "show:NOTIFY_SOCKET", "USR1=send:READY=1"), ready=NOTIFY),
    )
    assert address_of(daemon) != address_of(daemon, "db")
    daemon.kill(daemon.wait_event("child_started", service="db")["pid"], "USR1")
    daemon.wait_event("service_ready", service="db")
    assert daemon.stop() == 0
    assert daemon.events("service_ready", service="web") == []


@pytest.mark.namespace
def test_harm_is_done_by_nothing(start: Launcher, place: How) -> None:
    """Giants, nonsense, NUL characters and descriptors: the daemon has what it had, and hears what comes after."""
    source = (
        "import os, signal, socket, array\n"
        "address = '\\0' + os.environ['NOTIFY_SOCKET'][1:]\n"
        "sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)\n"
        "fds = array.array('i', [0] * 253)\n"
        "attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]\n"
        "for data in (b'READY=1\\n' + b'x' * 65536, b'READY=1\\0x', bytes(range(256)) * 16, b'', b'\\n' * 4096,\n"
        "             b'WATCHDOG_USEC=0', b'MAINPID=1', b'MAINPID=99999999999999999999', b'MAINPID=2'):\n"
        "    for _ in range(20):\n"
        "        sender.sendmsg([data], attached, 0, address)\n"
        "sender.sendto(b'STATUS=still here', address)\n"
        "signal.pause()\n"
    )
    daemon = start.services(
        service("web", "python3", "-I", "-S", "-c", source, ready=NOTIFY),
        service("plain", *program("actor")),
        DEBUG,
        how=place,
    )
    daemon.wait_event("service_status", status="still here")
    descriptors = procfs.descriptors(daemon.pid)
    assert len(descriptors) < 40
    assert daemon.events("service_ready") == []
    messages = [record["message"] for record in daemon.events("supervisor_warning", service="web")]
    assert len(messages) == 1
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_term_in_a_flood(start: Launcher, place: How, loop: str) -> None:
    """A service that sends without end holds nobody up: TERM is heard, another service starts and is ready."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="1h"),
        service("web", *program("speaker", "flood:8"), ready=NOTIFY, watchdog="60s"),
        service("db", *program("speaker", "USR1=send:READY=1"), ready=NOTIFY),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready", service="db")
    daemon.wait_line("ready", service="web")
    daemon.kill(daemon.wait_event("child_started", service="db")["pid"], "USR1")
    daemon.wait_event("service_ready", service="db")
    assert daemon.stop() == 0
    assert daemon.wait_event("shutdown_finished")["killed"] == []


# -- another main process


@pytest.mark.namespace
def test_a_service_that_leaves_its_place_to_another(start: Launcher, place: How, loop: str) -> None:
    """A daemon that forks and ends names its heir with its last words: the service goes on, and ends with the heir."""
    daemon = start.services(
        service("web", *program("speaker", "heir:READY=1\nMAINPID=", "USR1=exit:7"), ready=NOTIFY, restart="never"),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready")
    ready = daemon.wait_event("service_ready")
    heir = next(int(record["message"].split()[1]) for record in daemon.events("output", service="web"))
    assert ready["pid"] == heir
    assert daemon.events("child_exited") == []
    daemon.kill(heir, "USR1")
    assert daemon.wait_event("child_exited", service="web")["exit_code"] == 7
    assert daemon.wait() == 7


def test_the_heir_is_stopped(start: Launcher) -> None:
    """TERM goes to the process that has taken the place, and so does what it says."""
    daemon = start.services(
        service(
            "web", *program("speaker", "heir:READY=1\nMAINPID=", "TERM=exit:0", "USR1=send:STATUS=new"), ready=NOTIFY
        ),
        DEBUG,
    )
    daemon.wait_event("service_ready")
    daemon.wait_line("ready")
    heir = next(int(record["message"].split()[1]) for record in daemon.events("output", service="web"))
    daemon.kill(heir, "USR1")
    assert daemon.wait_event("service_status")["pid"] == heir
    assert daemon.stop() == 0
    assert daemon.wait_event("child_exited")["pid"] == heir
    assert daemon.wait_event("shutdown_finished")["killed"] == []


@pytest.mark.parametrize("pid", [1, 2, 4_000_000])
def test_nobody_elses_process_becomes_the_main_one(start: Launcher, pid: int) -> None:
    """A number that is not one of the service's own is not believed; the rest of the message is."""
    daemon = start.services(
        service("web", *program("speaker", f"send:MAINPID={pid}\nREADY=1"), ready=NOTIFY),
    )
    assert daemon.wait_event("service_ready")["pid"] == daemon.wait_event("child_started")["pid"]
    assert f"MAINPID={pid} is no process of the service" in daemon.wait_event("supervisor_warning")["message"]
    assert daemon.stop() == 0
