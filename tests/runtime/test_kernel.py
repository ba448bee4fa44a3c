"""The seam to the kernel, on the real kernel."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from supervisor.runtime.kernel import Kernel
from supervisor.runtime.libc import TimerFd
from tests.helpers import procfs
from tests.runtime.isolated import run_isolated

KERNEL = Kernel()

WAITING = """
import os, signal
from supervisor.runtime.kernel import Kernel, CLD_EXITED, CLD_STOPPED, CLD_CONTINUED
kernel = Kernel()
def wait_for(code):
    found = None
    while found is None or found[1] != code:
        found = kernel.peek()
    return found
"""

FAMILY = """
import os, signal
reader, writer = os.pipe()
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that waits until it is killed."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_an_exit_is_peeked_at_and_consumed_once() -> None:
    """A zombie shows itself as often as one looks, until it is reaped; then there is no child."""
    source = """
pid = os.fork()
if pid == 0:
    os.setsid()
    os._exit(3)
assert wait_for(CLD_EXITED) == kernel.peek() == (pid, CLD_EXITED, 3)
assert kernel.stat(pid).state == "Z"
assert kernel.ties(pid) == (pid, pid)
assert kernel.name(pid) == kernel.stat(pid).comm != ""
status, usage = kernel.reap(pid)
assert (status, usage.ru_maxrss > 0) == (3 << 8, True)
try:
    kernel.peek()
except ChildProcessError:
    print("none")
"""
    done = run_isolated(WAITING + source)
    assert (done.stdout, done.stderr) == ("none\n", "")


def test_stops_are_consumed_and_exits_are_not_by_mistake() -> None:
    """A stop and a continue are consumed one by one; an exit that came in between stays for the reaper."""
    source = """
pid = os.fork()
if pid == 0:
    while True:
        signal.pause()
os.kill(pid, signal.SIGSTOP)
assert wait_for(CLD_STOPPED) == (pid, CLD_STOPPED, signal.SIGSTOP)
kernel.consume_stop(pid)
assert kernel.peek() is None
os.kill(pid, signal.SIGCONT)
assert wait_for(CLD_CONTINUED)[:2] == (pid, CLD_CONTINUED)
os.kill(pid, signal.SIGKILL)
while kernel.stat(pid).state != "Z":
    pass
kernel.consume_stop(pid)
assert kernel.peek()[0] == pid
assert kernel.reap(pid)[0] == signal.SIGKILL
print("done")
"""
    done = run_isolated(WAITING + source)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_stat_of_ourselves() -> None:
    """Name, state, parent, group and session are those of the process."""
    found = KERNEL.stat(os.getpid())
    assert found is not None
    assert (found.state, found.parent) == ("R", os.getppid())
    assert (found.pgrp, found.session) == (os.getpgrp(), os.getsid(0))
    with open("/proc/self/comm", encoding="utf-8") as file:
        assert found.comm == file.read().rstrip("\n")


@pytest.mark.parametrize("name", [b"a) R 1 (b", b"\xff\xfe", b"new\nline", b"  ", b")", b"exactly15bytes!"])
def test_a_name_may_hold_anything(name: bytes) -> None:
    """A process can call itself what it likes: its other fields are found all the same, and the name is text."""
    source = (
        "import os\nopen('/proc/self/comm', 'wb').write(bytes.fromhex(sys.argv[1]))\nprint('', flush=True)\ninput()"
    )
    command = [sys.executable, "-I", "-S", "-c", "import sys\n" + source, name.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = KERNEL.stat(process.pid)
        assert found is not None
        assert found.comm == name.decode("utf-8", "replace") == KERNEL.name(process.pid)
        assert found.parent == os.getpid()
        process.communicate(b"\n")


def test_who_is_gone_has_nothing(sleeper: "subprocess.Popen[bytes]") -> None:
    """Of a process that ended there is no stat, no environment and no child, and nothing raises."""
    sleeper.kill()
    sleeper.wait()
    assert KERNEL.stat(sleeper.pid) is None
    assert KERNEL.ties(sleeper.pid) is None
    assert KERNEL.name(sleeper.pid) == ""
    assert KERNEL.environment(sleeper.pid, "PATH") is None
    assert KERNEL.children(sleeper.pid) == []
    assert list(KERNEL.walk_children(sleeper.pid)) == []


@pytest.mark.parametrize("size", [0, 4000, 4096, 5000, 70_000, 100_000])
def test_a_variable_is_found_behind_large_ones(size: int) -> None:
    """However much environment stands before it (one value may have 128 KiB), a variable is found."""
    environment = {"LARGE": "x" * size, "PAUSEVISOR_SERVICE": "web"}
    with subprocess.Popen(["/bin/sleep", "1000"], env=environment) as process:
        procfs.wait_until(lambda: KERNEL.environment(process.pid, "LARGE") is not None, "the program runs")
        found = KERNEL.environment(process.pid, "PAUSEVISOR_SERVICE")
        process.kill()
    assert found == "web"


def test_a_variables_name_is_matched_whole() -> None:
    """Neither a name that only begins so nor a value that looks like it counts."""
    environment = {"PAUSEVISOR_SERVICE_OLD": "no", "OTHER": "PAUSEVISOR_SERVICE=no"}
    with subprocess.Popen(["/bin/sleep", "1000"], env=environment) as process:
        procfs.wait_until(lambda: KERNEL.environment(process.pid, "OTHER") is not None, "the program runs")
        found = KERNEL.environment(process.pid, "PAUSEVISOR_SERVICE")
        process.kill()
    assert found is None


@pytest.mark.parametrize("count", [1, 1200])
def test_every_child_is_found(count: int) -> None:
    """The kernel hands out its list of children by the page: all of a thousand are found."""
    command = [sys.executable, "-I", "-S", "-c", "import sys\n" + FAMILY, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = KERNEL.children(process.pid)
        pieces = list(KERNEL.walk_children(process.pid))
        below = KERNEL.descendants()
        process.communicate()
    assert len(set(found)) == count
    assert [pid for piece in pieces for pid in piece] == found
    assert all(len(piece) <= 128 for piece in pieces)
    assert {process.pid, *found} <= set(below)


def test_descendants_come_after_their_parents() -> None:
    """Parents first, each once, so that who is killed can start nobody who is not found."""
    with subprocess.Popen(["sh", "-c", "sh -c 'sleep 1000 & echo; wait' & wait"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = KERNEL.descendants()
        family = [process.pid, *procfs.descendants(process.pid)]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
    assert len(family) == 3
    assert [pid for pid in found if pid in family] == family
    assert len(found) == len(set(found))


def test_signals_go_to_one_process_or_its_group() -> None:
    """A group's signal reaches all its members."""
    with subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], start_new_session=True) as process:
        procfs.wait_until(lambda: KERNEL.children(process.pid), "the shell has its child")
        (child,) = KERNEL.children(process.pid)
        KERNEL.kill_group(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    procfs.wait_until(lambda: not procfs.alive(child), "the child was killed too")


@pytest.mark.parametrize("pgrp", [1, 0, -1, -100])
def test_everybody_is_no_process_group(pgrp: int) -> None:
    """Numbers that mean our own group, or every process there is, are refused before the kernel sees them."""
    with pytest.raises(ValueError, match="nobody's to signal"):
        KERNEL.kill_group(pgrp, 0)


def test_a_process_that_is_gone_cant_be_signalled(sleeper: "subprocess.Popen[bytes]") -> None:
    """The error is that of kill(2)."""
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(ProcessLookupError):
        KERNEL.kill(sleeper.pid, 0)
    with pytest.raises(ProcessLookupError):
        KERNEL.kill_group(sleeper.pid, 0)


def test_the_alarm_rings_at_a_time_of_day() -> None:
    """A timerfd on the wall clock: readable when its time has come, also one that is past, and never when disarmed."""
    alarm = TimerFd()
    try:
        alarm.set(time.time() + 3600)
        assert select.select([alarm.fd], [], [], 0)[0] == []
        alarm.set(time.time() - 1)
        assert select.select([alarm.fd], [], [], 10)[0] == [alarm.fd]
        assert alarm.read() is False
        assert select.select([alarm.fd], [], [], 0)[0] == []
        alarm.set(time.time() + 0.05)
        assert select.select([alarm.fd], [], [], 10)[0] == [alarm.fd]
        alarm.set(None)
        assert select.select([alarm.fd], [], [], 0)[0] == []
        assert alarm.read() is False
        assert not os.get_inheritable(alarm.fd)
    finally:
        os.close(alarm.fd)
