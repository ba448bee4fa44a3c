"""Signals to the daemon: none is lost from its first instruction on, none kills it, each does what is configured."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service, signals

Starter = Callable[[Launcher, How], Daemon]

FORMS: dict[str, Starter] = {
    "pause": lambda start, how: start.pause(how),
    "single": lambda start, how: start.single("sleep", "infinity", how=how),
    "services": lambda start, how: start.services(service("web", "sleep", "infinity"), how=how),
}
"""The three forms of the daemon, each with a start path of its own."""

HARMLESS: list[str | int] = [
    *("HUP", "USR1", "USR2", "ALRM", "PIPE", "VTALRM", "PROF", "IO", "WINCH", "URG", "TSTP", "TTIN", "TTOU", "CONT"),
    *(number for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if number != signal.SIGRTMIN + 3),
]
"""What a pause survives; QUIT and RTMIN+3 are requests to shut down."""


def frozen_while_blocked(start: Launcher, how: How, form: str) -> Daemon:
    """Start the daemon and stop it from outside while every signal is blocked and nothing takes one yet.

    The window is a few hundredths of a second at the most, so it may be missed: then the next one is tried.
    """
    for _ in range(20):
        daemon = FORMS[form](start, how)
        deadline = time.monotonic() + 10
        while not procfs.blocks_all(daemon.pid) and time.monotonic() < deadline:
            continue
        daemon.freeze()
        if procfs.blocks_all(daemon.pid) and "anon_inode:[signalfd]" not in procfs.descriptors(daemon.pid).values():
            return daemon
        daemon.signal("CONT")
        daemon.stop()
    pytest.fail("every signal blocked, and nobody to take it, was never seen")


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["TERM", "INT"])
@pytest.mark.parametrize("form", FORMS)
def test_a_signal_before_the_handlers_stand_is_kept(start: Launcher, place: How, form: str, name: str) -> None:
    """TERM or INT sent while the interpreter still imports waits in the kernel and then ends the daemon in order."""
    daemon = frozen_while_blocked(start, place, form)
    number = getattr(signal, "SIG" + name)
    daemon.signal(name)
    assert number in procfs.signal_set(daemon.pid, "ShdPnd")
    daemon.signal("CONT")
    code = daemon.wait()
    assert code == 0 if form != "single" else code in {0, 128 + number}
    received = [found["signal_name"] for found in daemon.events("signal_received")]
    assert [other for other in received if other != "SIGCONT"] == ["SIG" + name]


@pytest.mark.namespace
def test_a_pause_survives_every_other_signal(start: Launcher, place: How) -> None:
    """No signal but those that mean shutdown ends a pause, however often it comes; it is idle and clean afterwards."""
    daemon = start.pause(place)
    daemon.wait_event("pause_entered")
    for name in HARMLESS:
        for _ in range(100):
            daemon.signal(name)
    procfs.assert_idle(daemon.pid)
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_services_survive_every_other_signal(start: Launcher, place: How, loop: str) -> None:
    """With services and nothing said about signals, none but those that mean shutdown or reload does anything."""
    daemon = start.services(service("web", "sleep", "infinity"), options=("--loop", loop), how=place)
    pid = daemon.wait_event("child_started")["pid"]
    for name in HARMLESS:
        for _ in range(20):
            daemon.signal(name)
    procfs.assert_idle(daemon.pid)
    assert procfs.alive(daemon.outside(pid))
    assert daemon.stop() == 0
    assert len(daemon.events("child_started")) == 1


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["QUIT", "RTMIN+3"])
def test_quit_and_the_container_stop_signal_shut_down(start: Launcher, place: How, loop: str, name: str) -> None:
    """QUIT and SIGRTMIN+3, which systemd sends a container, are requests to shut down."""
    number = signal.SIGQUIT if name == "QUIT" else signal.SIGRTMIN + 3
    daemon = start.services(service("web", "sleep", "infinity"), options=("--loop", loop), how=place)
    daemon.wait_event("child_started")
    daemon.signal(number)
    assert daemon.wait() == 0
    assert daemon.events("signal_received")[0]["signal_name"] == "SIG" + name
    assert daemon.events("signal_received")[0]["action"] == "shutdown"


@pytest.mark.namespace
def test_kill_and_stop_from_inside_do_nothing(start: Launcher, pid1: How) -> None:
    """PID 1 can be neither killed nor stopped by its own children: the kernel protects it, and nothing is reported."""
    script = "kill -KILL 1; kill -STOP 1; echo tried; exec sleep infinity"
    daemon = start.services(service("enemy", "sh", "-c", script), how=pid1)
    daemon.wait_line("tried")
    assert procfs.state(daemon.pid) in {"S", "R"}
    assert daemon.stop() == 0
    assert [found["signal_name"] for found in daemon.events("signal_received")] == ["SIGTERM"]


@pytest.mark.namespace
def test_the_single_command_gets_every_signal(start: Launcher, place: How) -> None:
    """Each standard signal but KILL, STOP, CHLD and the terminal's three stops reaches the command, in order."""
    left_out = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    numbers = [number for number in range(1, 32) if number not in left_out | {signal.SIGINT, signal.SIGTERM}]
    daemon = start.single(*program("actor", "any=stay", "TERM=exit:0"), how=place)
    daemon.wait_lines(1)
    for index, number in enumerate(numbers):
        daemon.signal(number)
        daemon.wait_lines(index + 2)
    assert daemon.stop() == 0
    expected = [signal.Signals(number).name[3:] for number in [*numbers, signal.SIGTERM]]
    assert [line for line in daemon.wait_lines(len(expected)) if line not in {"ready", "CONT"}] == [
        line for line in expected if line != "CONT"
    ]


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["INT", "TERM", "QUIT", "HUP"])
def test_the_single_command_decides_about_its_end(start: Launcher, place: How, loop: str, name: str) -> None:
    """The signal comes to the command as it was sent, and the command's status becomes the daemon's."""
    command = program("actor", f"{name}=exit:7", "any=exit:1", "CONT=stay")
    daemon = start.single(*command, options=("--loop", loop), how=place)
    daemon.wait_lines(1)
    assert daemon.stop(name) == 7
    assert daemon.wait_lines(2)[1] == name


@pytest.mark.namespace
@pytest.mark.parametrize(("number", "code"), [(signal.SIGRTMIN + 1, 163), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)])
def test_death_of_the_single_command_by_a_forwarded_signal(start: Launcher, place: How, number: int, code: int) -> None:
    """A command killed by a signal the daemon passed on gives status 128 + N, real-time signals included."""
    daemon = start.single("sleep", "infinity", how=place)
    daemon.wait_event("child_started")
    daemon.signal(number)
    assert daemon.wait() == code


@pytest.mark.namespace
def test_a_flood_of_signals(start: Launcher, pid1: How, loop: str) -> None:
    """A hundred thousand signals cost no memory that stays, and TERM is heard after them."""
    daemon = start.services(service("web", "sleep", "infinity"), options=("--loop", loop), how=pid1)
    daemon.wait_event("child_started")
    for _ in range(2000):  # whatever the first ones allocate is there now
        daemon.signal("USR1")
    procfs.assert_idle(daemon.pid, 0.1)
    before = resident_kib(daemon.pid)
    for _ in range(100_000):
        daemon.signal("USR1")
    procfs.assert_idle(daemon.pid, 0.1)
    assert resident_kib(daemon.pid) - before <= 1024
    assert daemon.stop() == 0


def resident_kib(pid: int) -> int:
    """Resident memory in KiB."""
    return int(procfs.status(pid)["VmRSS"].split()[0])


@pytest.mark.namespace
@pytest.mark.parametrize("form", FORMS)
def test_forged_child_signals(start: Launcher, pid1: How, form: str) -> None:
    """SIGCHLD without a child that changed makes no record, and the daemon is idle afterwards."""
    daemon = FORMS[form](start, pid1)
    daemon.wait_event("pause_entered" if form == "pause" else "child_started")
    procfs.assert_idle(daemon.pid, 0.1)
    before = len(daemon.records)
    for _ in range(20_000):
        daemon.signal("CHLD")
    procfs.assert_idle(daemon.pid)
    assert daemon.records[before:] == []


@pytest.mark.namespace
def test_a_signal_is_forwarded_as_configured(start: Launcher, place: How, loop: str) -> None:
    """`[signals]` passes a signal on as it came, as another one, or to some services only."""
    actor = program("actor", "any=stay", "TERM=exit:0")
    daemon = start.services(
        signals({"SIGUSR1": "forward", "SIGUSR2": {"forward": "SIGWINCH", "services": ["one"]}, "SIGHUP": "ignore"}),
        service("one", *actor),
        service("two", *actor),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready", service="one")
    daemon.wait_line("ready", service="two")
    daemon.signal("HUP")
    daemon.wait_event("signal_received", signal_name="SIGHUP", action="ignore")
    daemon.signal("USR2")
    daemon.wait_line("WINCH", service="one")
    daemon.signal("USR1")
    daemon.wait_line("USR1", service="one")
    daemon.wait_line("USR1", service="two")
    forwarded = daemon.events("signal_forwarded")
    assert [(found["service"], found["signal_name"]) for found in forwarded[:1]] == [("one", "SIGWINCH")]
    assert {(found["service"], found["signal_name"]) for found in forwarded[1:]} == {
        ("one", "SIGUSR1"),
        ("two", "SIGUSR1"),
    }
    assert daemon.stop() == 0
    said = [found["message"] for found in daemon.events("output", service="two")]
    assert said[:3] == ["ready", "USR1", "TERM"]


@pytest.mark.namespace
def test_a_signal_can_mean_shutdown_or_nothing(start: Launcher, place: How) -> None:
    """`[signals]` makes any signal a shutdown, and TERM itself can be passed on instead."""
    daemon = start.services(
        signals({"SIGUSR1": "shutdown", "SIGTERM": "forward"}),
        service("web", *program("actor", "any=stay"), stop_timeout="200ms"),
        how=place,
    )
    daemon.wait_line("ready")
    daemon.signal("TERM")
    daemon.wait_line("TERM")
    assert daemon.events("shutdown_started") == []
    assert daemon.stop("USR1") == 0


@pytest.mark.namespace
def test_inherited_ignored_signals_do_not_stop_the_reaper(start: Launcher, place: How) -> None:
    """A parent that ignores CHLD, HUP and TERM leaves us with that; we reap and end all the same."""
    ignored = {"ignore": [signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT]}
    daemon = start.services(
        service("web", "sh", "-c", "exit 3", restart_delay="1ms", restart_limit="none"),
        how=replace(place, conditions=ignored),
    )
    daemon.wait_events(3, "child_exited", exit_code=3)
    assert daemon.stop() == 0
