"""What services write to: real sockets and pipes on a real loop, in a small world of processes."""

import array
import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.spec import FdProbe, NotifyProbe, ServiceSpec
from supervisor.runtime.watching.channels import Channels
from supervisor.runtime.watching.inbox import Inbox, Letter
from tests.runtime.fakes import FakeClock, FakeKernel
from tests.runtime.watching.support import RunningLoop, World, descriptors, ready, spec

NOTIFYING = spec(ready=ready(NotifyProbe()))
WRITING = spec(ready=ready(FdProbe(7)))
STRANGER = 4_000_000


class Bench:
    """Channels and all round them; this very process is the service's main one, unless it is said otherwise."""

    def __init__(self, running: RunningLoop) -> None:
        self.running = running
        self.clock = FakeClock()
        self.kernel = FakeKernel(self.clock)
        self.kernel.add("web", pid=os.getpid(), users=frozenset({os.getuid()}))
        self.world = World(self.kernel)
        self.channels = Channels(self.world.neighbours)
        self.channels.attach(running.loop)
        self.names: set[str] = set()

    def start(self, spec: ServiceSpec = NOTIFYING, pid: int | None = None) -> str:
        """Start a service that notifies; its address."""
        self.names.add(spec.name)
        variables, _ = self.channels.open(spec)
        self.channels.started(spec.name, pid or os.getpid())
        return variables["NOTIFY_SOCKET"]

    def start_writing(self) -> int:
        """Start a service that writes to a descriptor; the descriptor, which a program would have."""
        self.names.add("web")
        _, given = self.channels.open(WRITING)
        (writer,) = (os.dup(fd) for fd in given.values())
        self.channels.started("web", os.getpid())
        return writer

    def wait(self, count: int) -> list[ev.Event]:
        """Wait for so many events."""
        self.running.until(lambda: len(self.world.events) >= count, f"{count} events")
        return self.world.events

    def close(self) -> None:
        """Close whatever is left."""
        for name in self.names:
            self.channels.close(name)
        assert self.running.errors == []


@pytest.fixture
def bench(real_loop: RunningLoop) -> Iterator[Bench]:
    """Channels on a real loop, which leave nothing open."""
    bench = Bench(real_loop)
    warm_up = bench.start(spec("warm-up", ready=ready(NotifyProbe())))  # the epoll instance stays
    assert warm_up.startswith("@")
    bench.channels.close("warm-up")
    before = descriptors()
    yield bench
    bench.close()
    assert descriptors() == before


def send(address: str, *messages: bytes, fds: tuple[int, ...] = ()) -> None:
    """Send messages, without waiting for room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        for message in messages:
            sender.sendmsg([message], attached, 0, "\0" + address[1:])


def test_what_a_service_finds() -> None:
    """A socket where it has to notify or keep a watchdog, the watchdog's time, and the descriptor it asked for."""
    channels = Channels(World().neighbours)
    variables, given = channels.open(NOTIFYING)
    assert set(variables) == {"NOTIFY_SOCKET"}
    assert given == {}
    variables, given = channels.open(spec(watchdog=2.5))
    assert (set(variables), given) == ({"NOTIFY_SOCKET", "WATCHDOG_USEC"}, {})
    assert variables["WATCHDOG_USEC"] == "2500000"
    variables, given = channels.open(WRITING)
    assert (variables, list(given)) == ({}, [7])
    variables, given = channels.open(replace(WRITING, watchdog=0.0000001))
    assert (variables["WATCHDOG_USEC"], list(given)) == ("1", [7])
    channels.close("web")


def test_messages_become_events(bench: Bench) -> None:
    """Each message is an event about the service whose socket it came to, in order."""
    web, db = bench.start(), bench.start(replace(NOTIFYING, name="db"))
    send(web, b"READY=1", b"STATUS=at work")
    assert bench.wait(2) == [
        ev.Notified("web", os.getpid(), ready=True),
        ev.Notified("web", os.getpid(), status="at work"),
    ]
    send(db, b"STOPPING=1")
    assert bench.wait(3)[-1] == ev.Notified("db", os.getpid(), stopping=True)
    assert bench.world.warnings() == []


def test_messages_before_there_is_a_loop_wait(real_loop: RunningLoop) -> None:
    """The first programs run before the loop does: what they said is heard when it begins."""
    bench = Bench(real_loop)
    waiting = Channels(bench.world.neighbours)
    variables, _ = waiting.open(NOTIFYING)
    waiting.started("web", os.getpid())
    send(variables["NOTIFY_SOCKET"], b"READY=1")
    real_loop.run(0.01)
    assert bench.world.events == []
    waiting.attach(real_loop.loop)
    assert bench.wait(1) == [ev.Notified("web", os.getpid(), ready=True)]
    waiting.close("web")


def test_strangers_are_not_heard(bench: Bench) -> None:
    """A process that is not the service's changes nothing, and is told of once a minute."""
    address = bench.start(pid=STRANGER)
    send(address, b"READY=1", b"READY=1", b"STOPPING=1")
    bench.running.until(lambda: bool(bench.world.warnings()), "a warning")
    bench.running.run(0.05)
    assert bench.world.events == []
    (warning,) = bench.world.warnings()
    assert f"pid {os.getpid()}" in warning
    assert "no process of the service" in warning
    bench.clock.now += 61
    send(address, b"READY=1")
    bench.running.until(lambda: len(bench.world.warnings()) == 2, "another warning")


def test_harmful_messages(bench: Bench) -> None:
    """Too long, with NUL characters, with descriptors, nonsense: what is right in between is still heard."""
    address = bench.start()
    before = descriptors()
    reader, writer = os.pipe()
    send(address, b"READY=1\n" + b"x" * 65536)
    send(address, b"READY=1\0READY=1", b"\xff\xfe\xfd", b"", b"WATCHDOG_USEC=0", b"WATCHDOG=1", fds=(writer,) * 10)
    assert bench.wait(1) == [ev.Notified("web", os.getpid(), watchdog=True)]
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    (warning,) = bench.world.warnings()
    assert "longer than 4096 bytes" in warning
    assert descriptors() == before


def test_a_barrier_is_lifted_when_all_before_it_is_handled(bench: Bench) -> None:
    """Its descriptor is closed after the events of the messages before it, which is what its sender waits for."""
    address = bench.start()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    send(address, b"READY=1", b"STOPPING=1")
    send(address, b"BARRIER=1", fds=(writer,))
    os.close(writer)
    open_then: list[bool] = []

    def look(_: ev.Event) -> None:
        try:
            os.read(reader, 1)
        except BlockingIOError:
            open_then.append(True)

    bench.world.react = look
    bench.wait(2)

    def lifted() -> bool:
        with contextlib.suppress(BlockingIOError):
            return os.read(reader, 1) == b""
        return False

    bench.running.until(lifted, "the barrier lifted")
    assert open_then == [True, True]
    os.close(reader)


def test_main_process_of_the_service(bench: Bench) -> None:
    """A new main process has to be the service's; the rest of a message that names another one still counts."""
    address = bench.start()
    worker = bench.kernel.add("worker", os.getpid())
    stranger = bench.kernel.add("db")
    send(address, b"MAINPID=%d\nREADY=1" % worker.pid)
    assert bench.wait(1) == [ev.Notified("web", os.getpid(), ready=True, main_pid=worker.pid)]
    for pid in (1, stranger.pid, 999_999):
        bench.clock.now += 61
        bench.world.events.clear()
        send(address, b"MAINPID=%d\nSTATUS=x" % pid)
        assert bench.wait(1) == [ev.Notified("web", os.getpid(), status="x")]
        assert f"MAINPID={pid} is no process of the service" in bench.world.warnings()[-1]
    bench.world.events.clear()
    send(address, b"MAINPID=%d" % os.getpid(), b"READY=1")
    assert bench.wait(1) == [ev.Notified("web", os.getpid(), ready=True)]


def test_events_name_the_present_main_process(bench: Bench) -> None:
    """After a change of the main process, events are about the new one, and both are heard."""
    address = bench.start()
    bench.channels.follow("web", 77)
    send(address, b"WATCHDOG=1")
    assert bench.wait(1) == [ev.Notified("web", 77, watchdog=True)]


def test_each_start_has_a_socket_of_its_own(bench: Bench) -> None:
    """What the process before sends after it was replaced, or after its end, goes nowhere."""
    first = bench.start()
    second = bench.start()
    assert first != second
    with pytest.raises(ConnectionRefusedError):
        send(first, b"READY=1")
    send(second, b"READY=1")
    bench.wait(1)
    bench.channels.follow("web", None)
    with pytest.raises(ConnectionRefusedError):
        send(second, b"READY=1")
    bench.running.run(0.02)
    assert len(bench.world.events) == 1


def test_what_is_prepared_outlives_a_look_at_a_service_without_process(bench: Bench) -> None:
    """Between the order to start and the start the service has no process, and keeps what was made for it."""
    variables, _ = bench.channels.open(NOTIFYING)
    bench.channels.follow("web", None)
    bench.channels.started("web", os.getpid())
    send(variables["NOTIFY_SOCKET"], b"READY=1")
    bench.wait(1)
    bench.channels.close("web")


def test_closed_by_what_was_said(bench: Bench) -> None:
    """The core may end a service while its messages are being read: the rest of them is nobody's."""
    address = bench.start()
    bench.world.react = lambda _event: bench.channels.close("web")
    send(address, b"STOPPING=1", b"READY=1", b"READY=1")
    bench.wait(1)
    bench.running.run(0.02)
    assert len(bench.world.events) == 1


def test_heard_before_the_end(bench: Bench) -> None:
    """What a process said right before its end is handled at once when it is asked for, before anything else."""
    address = bench.start()
    send(address, b"STATUS=giving up", b"ERRNO=2")
    bench.channels.hear("web")
    assert bench.world.events == [
        ev.Notified("web", os.getpid(), status="giving up"),
        ev.Notified("web", os.getpid(), error=2),
    ]
    bench.channels.hear("unknown")


def test_a_flood_is_bounded(bench: Bench) -> None:
    """Whoever sends without end is made to wait; the loop's other work is done in time."""
    address = bench.start()
    pid = os.fork()
    if pid == 0:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            while True:
                sender.sendto(b"WATCHDOG=1", "\0" + address[1:])
    bench.kernel.add("flooder", os.getpid(), pid=pid)
    try:
        bench.wait(1)
        bench.world.events.clear()
        between: list[float] = []  # how long this process works from one tick to the next

        def tick(used: float) -> None:
            between.append(time.process_time() - used)
            bench.running.loop.call_later(0.01, tick, time.process_time())

        began, used = time.monotonic(), time.process_time()
        tick(time.process_time())
        bench.running.run(1)
        seconds, busy = time.monotonic() - began, time.process_time() - used
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    # A pause is 20 ms, but a timer counts from where the loop's time stood: a quarter of it is left to that.
    assert 0 < len(bench.world.events) <= 16 * (seconds / 0.005 + 2)
    assert busy < seconds / 2
    assert sorted(between)[len(between) // 2] < 0.02
    bench.running.until(lambda: True, "nothing")


def test_a_quiet_service_is_heard_beside_a_flood(bench: Bench) -> None:
    """Others are read in turn, whatever one of them sends."""
    flooded, quiet = bench.start(), bench.start(replace(NOTIFYING, name="quiet"))
    pid = os.fork()
    if pid == 0:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            while True:
                sender.sendto(b"WATCHDOG=1", "\0" + flooded[1:])
    bench.kernel.add("flooder", os.getpid(), pid=pid)
    try:
        bench.wait(100)
        send(quiet, b"READY=1")
        ready_event = ev.Notified("quiet", os.getpid(), ready=True)
        bench.running.until(lambda: ready_event in bench.world.events, "the quiet one")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_our_own_mistakes_are_no_busy_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be read is told of as a defect, at a bounded pace; others are read on, and so is this one later."""
    address = bench.start()
    other = bench.start(replace(NOTIFYING, name="quiet"))
    real, failed = Inbox.read, 0

    def read(self: Inbox) -> Letter | None:
        nonlocal failed
        if self.address == address and failed < 5:
            failed += 1
            raise OSError(12, "Cannot allocate memory")
        return real(self)

    monkeypatch.setattr(Inbox, "read", read)
    began = time.monotonic()
    send(address, b"READY=1")
    send(other, b"READY=1")
    bench.wait(2)
    assert failed == 5
    assert time.monotonic() - began > 0.06
    assert len(bench.world.journal.events("internal_error", where="reading what web says")) == 5


def test_closed_while_it_is_paused(bench: Bench) -> None:
    """A service that ends while it waits to be read again leaves nothing behind, and others go on."""
    address = bench.start()
    for _ in range(4):
        with contextlib.suppress(BlockingIOError):
            send(address, *[b"STATUS=x"] * 10)
        bench.running.run(0)
    bench.channels.close("web")
    bench.running.run(0.05)
    other = bench.start()
    bench.world.events.clear()
    send(other, b"READY=1")
    bench.wait(1)


# -- the pipe


@pytest.mark.parametrize("pieces", [[b"\n"], [b"ready\n"], [b"re", b"ady", b"\n"], [b"x" * 4096, b"\nmore\n"]])
def test_a_line_makes_ready(bench: Bench, pieces: list[bytes]) -> None:
    """The first newline, whatever is before it and however it comes; once."""
    writer = bench.start_writing()
    for piece in pieces[:-1]:
        os.write(writer, piece)
        bench.running.run(0.005)
        assert bench.world.events == []
    os.write(writer, pieces[-1])
    assert bench.wait(1) == [ev.BecameReady("web", os.getpid())]
    os.write(writer, b"again\n")
    os.close(writer)
    bench.running.run(0.02)
    assert len(bench.world.events) == 1
    assert bench.world.journal.records == []


def test_a_program_may_go_on_writing(bench: Bench) -> None:
    """Its descriptor stays good, so that no SIGPIPE ends who doesn't close it."""
    writer = bench.start_writing()
    os.set_blocking(writer, False)
    os.write(writer, b"\n")
    bench.wait(1)
    left = 50

    def wrote() -> bool:
        nonlocal left
        with contextlib.suppress(BlockingIOError):
            left -= os.write(writer, b"x" * 4096) // 4096
        return not left

    bench.running.until(wrote, "all written")
    os.close(writer)


def test_closed_without_a_line(bench: Bench) -> None:
    """It will never be ready that way, and the log says so before the start-timeout does."""
    os.close(bench.start_writing())
    bench.running.until(lambda: bool(bench.world.journal.records), "a record")
    (record,) = bench.world.journal.events("probe_failed")
    assert (record["kind"], record["probe"], record["level"]) == ("ready", "fd 7", "info")
    assert "before a line" in record["error"]
    assert bench.world.events == []


def test_the_end_closes_the_pipe(bench: Bench) -> None:
    """When the process has gone nothing is left of the pipe, though a descendant still has its end."""
    writer = bench.start_writing()
    before = descriptors()
    bench.channels.follow("web", None)
    assert len(before - descriptors()) == 1
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"\n")
    os.close(writer)


@pytest.mark.parametrize("free", [0, 1, 2])
def test_out_of_descriptors(bench: Bench, free: int) -> None:
    """A start that gets no descriptors for its channel fails whole: nothing stays open, and the next one works."""
    both = replace(WRITING, watchdog=1.0)
    before = descriptors()
    lowest = os.dup(0)
    os.close(lowest)
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(name) for name in before}
    limit = next(number for number in range(lowest, 10_000) if len({*range(number)} - used) == free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, old[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            bench.channels.open(both)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)
    assert descriptors() == before
    bench.channels.open(both)
    bench.channels.close("web")
