"""Signals to the daemon, read from a real signalfd in a process of its own."""

import pytest

from tests.runtime.isolated import run_isolated

PROLOGUE = """
import os, select, signal
from supervisor.core.signals import CATCHABLE
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
from supervisor.runtime.signals import SignalSource
"""


def run(source: str) -> str:
    """Output of a process that has blocked all signals."""
    done = run_isolated(PROLOGUE + source)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGSEGV", "SIGTSTP", "SIGCONT"])
def test_a_signal_is_read_with_its_sender(name: str) -> None:
    """Number and pid; it does not take its ordinary course, and the descriptor is quiet again."""
    source = f"""
source = SignalSource()
assert source.read() == []
os.kill(os.getpid(), signal.{name})
assert select.select([source.fd], [], [], 10)[0] == [source.fd]
assert source.read() == [(signal.{name}, os.getpid())], name
assert select.select([source.fd], [], [], 0)[0] == []
print("read")
"""
    assert run(source) == "read\n"


def test_every_catchable_signal_is_read() -> None:
    """All of them, real-time signals too; the two of failed writes count when somebody else sends them."""
    source = """
source = SignalSource()
# CONT and the signals that stop take each other out of the queue, so the latter are left to the test above
wanted = CATCHABLE - {signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
other = os.fork()
if other == 0:
    for number in sorted(wanted):
        os.kill(os.getppid(), number)
    os._exit(0)
os.waitpid(other, 0)
news = source.read() + source.read()
assert {number for number, _ in news} - {signal.SIGCHLD} == wanted, news
assert {sender for _, sender in news} == {other}
print("all")
"""
    assert run(source) == "all\n"


def test_what_came_before_is_kept() -> None:
    """A signal that was sent before the source was made is read from it: none is lost while we start."""
    source = """
os.kill(os.getpid(), signal.SIGTERM)
assert SignalSource().read() == [(signal.SIGTERM, os.getpid())]
print("kept")
"""
    assert run(source) == "kept\n"


def test_an_ignored_signal_is_read_too() -> None:
    """A parent that ignores TERM and HUP (nohup does) does not make us deaf: blocked, they are kept."""
    source = """
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
source = SignalSource()
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    os.kill(os.getpid(), number)
assert len(source.read()) == 3
print("kept")
"""
    assert run(source) == "kept\n"


def test_more_than_a_batch_is_left_for_the_next_reading() -> None:
    """Real-time signals queue: they are read in bounded parts, and none is lost."""
    source = """
source = SignalSource()
for _ in range(100):
    os.kill(os.getpid(), signal.SIGRTMIN)
parts = [len(source.read()) for _ in range(3)]
assert parts == [64, 36, 0], parts
print("parts")
"""
    assert run(source) == "parts\n"


def test_our_own_failed_write_is_no_news() -> None:
    """The PIPE that a failed write of ours brings is not told: the write's error has told it already."""
    source = """
source = SignalSource()
reader, writer = os.pipe()
os.close(reader)
try:
    os.write(writer, b"x")
except BrokenPipeError:
    assert source.read() == []
    print("quiet")
"""
    assert run(source) == "quiet\n"


def test_the_descriptor_stays_ours() -> None:
    """It is closed on exec, never blocks, and is given back on demand."""
    source = """
import fcntl
before = len(os.listdir("/proc/self/fd"))
source = SignalSource()
assert fcntl.fcntl(source.fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
assert fcntl.fcntl(source.fd, fcntl.F_GETFL) & os.O_NONBLOCK
source.close()
assert len(os.listdir("/proc/self/fd")) == before
print("ours")
"""
    assert run(source) == "ours\n"


def test_some_may_be_held_back() -> None:
    """They stay pending and wake nobody, the others are read; whoever waits is woken when all are reported again."""
    source = """
source = SignalSource()
epoll = select.epoll()
epoll.register(source.fd, select.EPOLLIN)
source.hold_back(signal.SIGCHLD)
os.kill(os.getpid(), signal.SIGCHLD)
assert epoll.poll(0) == []
os.kill(os.getpid(), signal.SIGTERM)
assert epoll.poll(10) == [(source.fd, select.EPOLLIN)]
assert source.read() == [(signal.SIGTERM, os.getpid())]
assert epoll.poll(0) == []
source.hold_back()
assert epoll.poll(10) == [(source.fd, select.EPOLLIN)]
assert source.read() == [(signal.SIGCHLD, os.getpid())]
print("held")
"""
    assert run(source) == "held\n"
