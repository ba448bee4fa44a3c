"""What the daemon does to itself first, in processes of their own."""

import os
import signal
import sys

import pytest

from tests.conftest import need_namespace
from tests.harness import namespace_command
from tests.runtime.isolated import run_isolated

STREAMS = """
import os
closed = [int(word) for word in sys.argv[2:]]
out = os.dup(1)
for fd in closed:
    os.close(fd)
from supervisor.runtime.process import open_standard_streams
before = {fd: os.fstat(fd).st_ino for fd in range(3) if fd not in closed}
open_standard_streams()
report = [(fd, os.readlink(f"/proc/self/fd/{fd}")) for fd in closed]
assert before == {fd: os.fstat(fd).st_ino for fd in before}
assert all(os.get_inheritable(fd) for fd in range(3))
os.write(out, repr(report).encode())
"""


@pytest.mark.parametrize("closed", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_closed_streams_become_null(closed: tuple[int, ...]) -> None:
    """A stream that was closed is /dev/null, inherited by children like the others, which stay what they were."""
    done = run_isolated(STREAMS, "x", *map(str, closed))
    assert done.stdout == repr([(fd, "/dev/null") for fd in closed]), done


def test_without_dev_null_a_closed_pipe_takes_its_place() -> None:
    """Where there is no /dev the stream reads nothing; the numbers 0 to 2 are never given to anything else."""
    source = """
import os
os.devnull = "/nonexistent/null"
out = os.dup(1)
os.close(0)
from supervisor.runtime.process import open_null, open_standard_streams
count = len(os.listdir("/proc/self/fd"))
open_standard_streams()
assert os.read(0, 1) == b""
null = open_null()
assert null > 2 and os.read(null, 1) == b""
os.close(null)
assert len(os.listdir("/proc/self/fd")) == count + 1
os.write(out, b"done")
"""
    done = run_isolated(source)
    assert (done.stdout, done.stderr) == ("done", "")


def test_inherited_descriptors_are_found_and_closed() -> None:
    """Those above 2 that we were started with, and nothing that is not open."""
    reader, writer = os.pipe()
    source = """
import os
from supervisor.runtime.process import close_descriptors, inherited_descriptors
expected = sorted(int(word) for word in sys.argv[1:])
assert sorted(inherited_descriptors()) == expected, (inherited_descriptors(), expected)
close_descriptors(inherited_descriptors())
assert inherited_descriptors() == []
os.fstat(0), os.fstat(1), os.fstat(2)
print("closed")
"""
    try:
        done = run_isolated(source, str(reader), str(writer), pass_fds=(reader, writer))
    finally:
        os.close(reader)
        os.close(writer)
    assert (done.stdout, done.stderr) == ("closed\n", "")


def test_an_absurd_number_of_activation_sockets_is_bounded() -> None:
    """Nobody makes us count to a billion."""
    source = """
import os
from supervisor.runtime.process import activation_sockets
found = activation_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "999999999"})
print(len(found) <= 1024 and all(fd > 2 for fd in found))
"""
    assert run_isolated(source).stdout == "True\n"


@pytest.mark.parametrize(
    ("pid", "count", "expected"),
    [
        ("own", "2", (3, 4)),
        ("own", "0", ()),
        ("own", "", ()),
        ("own", "-1", ()),
        ("own", "x", ()),
        ("own", "²", ()),
        ("1", "2", ()),
        ("", "2", ()),
        ("own", "1", (3,)),
    ],
)
def test_activation_sockets_are_meant_for_one_process(pid: str, count: str, expected: tuple[int, ...]) -> None:
    """Only what a service manager opened for this very process counts."""
    source = """
import os
from supervisor.runtime.process import activation_sockets
os.dup2(0, 3), os.dup2(0, 4)
pid = str(os.getpid()) if sys.argv[1] == "own" else sys.argv[1]
print(activation_sockets({"LISTEN_PID": pid, "LISTEN_FDS": sys.argv[2]}) == eval(sys.argv[3]))
assert activation_sockets({}) == ()
"""
    done = run_isolated(source, pid, count, repr(expected))
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_beside_another_init_we_become_a_subreaper() -> None:
    """An orphan below us becomes our child."""
    source = """
import os
from supervisor.runtime.process import become_reaper
assert become_reaper() == "subreaper"
reader, writer = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        while os.getppid() != int(sys.argv[1] or 0) and os.getppid() != 1:
            pass
        os.write(writer, b"x")
        os._exit(0)
    os._exit(0)
ended = {os.wait()[0], os.wait()[0]}
assert len(ended) == 2
print("adopted")
"""
    # the orphan looks for the parent that it gets: the process itself, whose number it can't know beforehand
    source = source.replace("int(sys.argv[1] or 0)", "me").replace("import os\n", "import os\nme = os.getpid()\n", 1)
    done = run_isolated(source)
    assert (done.stdout, done.stderr) == ("adopted\n", "")


@pytest.mark.namespace
def test_as_pid_1_there_is_nothing_to_ask_for() -> None:
    """The kernel hands PID 1 every orphan, so no C library is loaded for it."""
    need_namespace()
    source = "from supervisor.runtime.process import become_reaper\nprint(become_reaper(), '_ctypes' in sys.modules)"
    assert run_isolated(source, launcher=namespace_command()).stdout == "pid1 False\n"


def test_dispositions_that_would_blind_us_are_reset() -> None:
    """An inherited "ignore" of CHLD would reap behind our back; Python's handler of INT would raise."""
    source = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from supervisor.runtime.process import default_dispositions
default_dispositions()
print(signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL, signal.getsignal(signal.SIGINT) is signal.SIG_DFL)
"""
    assert run_isolated(source).stdout == "True True\n"


def test_an_ignored_int_stays_ignored_for_the_command() -> None:
    """A shell's background job ignores INT; the single command is to inherit that, as under tini."""
    source = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from supervisor.runtime.process import default_dispositions
default_dispositions()
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""
    assert run_isolated(source).stdout == "True\n"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_loop_is_made_without_tls(loop: str) -> None:
    """The loop works, nothing of ssl was loaded for it, and ssl can be imported afterwards by anybody."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    source = """
from supervisor.runtime.loops import make_loop
loop = make_loop(sys.argv[1])
loaded = {"ssl", "_ssl"} & set(sys.modules)
assert not loaded, loaded
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
import ssl
assert ssl.SSLError.__mro__[1] is OSError and ssl.create_default_context
print(type(loop).__module__)
"""
    done = run_isolated(source, loop)
    assert done.stderr == ""
    assert done.stdout.split(".")[0].strip() in {loop, "asyncio"}


def test_the_parents_death_signal_is_set() -> None:
    """prctl(2) takes it, and refuses what is no signal with its errno."""
    source = """
import ctypes, signal
from supervisor.runtime.libc import PR_SET_PDEATHSIG, prctl
prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
number = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(number))
print(number.value)
try:
    prctl(PR_SET_PDEATHSIG, 999)
except OSError as error:
    print(error.errno, error.strerror.startswith("prctl: "))
"""
    assert run_isolated(source).stdout == f"{int(signal.SIGTERM)}\n22 True\n"


def test_the_interpreter_under_test_is_the_tests_own() -> None:
    """Processes of their own run by the same interpreter, so that each version is tested by itself."""
    assert run_isolated("print(sys.version)").stdout == sys.version + "\n"
