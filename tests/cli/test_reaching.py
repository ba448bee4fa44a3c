"""Finding the daemon, and every reason why it can't be asked: messages and exit codes."""

import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Talking
from tests.cli.running import COMMAND, environment, run
from tests.conftest import need_namespace
from tests.harness import hiding_command, namespace_command
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import service
from tests.runtime.isolated import ROOT

WEB = service("web", "sleep", "1000")

CALLS = [
    ["status"],
    ["status", "--watch"],
    ["start", "web"],
    ["stop", "--all"],
    ["restart", "web"],
    ["kill", "web"],
    ["signal", "HUP", "web"],
    ["scale", "web=2"],
    ["reload"],
    ["logs"],
    ["logs", "-f"],
    ["events", "-f"],
    ["shutdown"],
    ["ping"],
    ["ping", "--ready", "--json"],
]


@pytest.fixture(params=CALLS, ids=" ".join)
def call(request: pytest.FixtureRequest) -> list[str]:
    """Every client."""
    return list(request.param)


def test_no_socket(call: list[str], path: str) -> None:
    """Exit code 69; where it was looked for, and how another place is named."""
    done = run(*call, "--control", path)
    assert done.code == 69
    assert f"{path}: there is no such socket" in done.stderr
    assert "--control PATH or $PAUSEVISOR_CONTROL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stale_socket(path: str) -> None:
    """One that nobody listens to any more, as a killed daemon leaves it."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
    done = run("status", "--control", path)
    assert done.code == 69
    assert f"{path}: nobody listens there any more" in done.stderr


@pytest.mark.parametrize("kind", ["file", "folder", "long"])
def test_something_else_at_the_path(folder: str, kind: str) -> None:
    """What is no socket has no daemon behind it."""
    path = os.path.join(folder, "x" * (200 if kind == "long" else 1))
    if kind == "file":
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    if kind == "folder":
        os.mkdir(path)
    done = run("status", "--control", path)
    assert done.code == 69
    assert f"{path}: {'AF_UNIX path too long' if kind == 'long' else 'that is no socket'}" in done.stderr


def somewhere_else() -> tuple[str, ...]:
    """A launcher: in a mount namespace whose usual place is empty, whatever daemons this machine has."""
    need_namespace()
    return (*namespace_command(), *hiding_command(("/run",)))


def test_the_usual_places(folder: str) -> None:
    """All that were tried are named, in their order; of a relative fallback nothing is heard."""
    done = run("status", launcher=somewhere_else(), variables={"XDG_RUNTIME_DIR": folder})
    assert done.code == 69
    first = done.stderr.index("/run/pausevisor.sock:")
    assert done.stderr.index(f"{folder}/pausevisor.sock:") > first
    assert "relative" not in run("status", variables={"XDG_RUNTIME_DIR": "relative"}).stderr


def test_the_option_goes_before_the_variable(talk: Talking, path: str) -> None:
    """The option, else the variable."""
    talk(WEB)
    assert run("ping", "--control", path, variables={"PAUSEVISOR_CONTROL": "/nowhere"}).code == 0
    assert run("ping", variables={"PAUSEVISOR_CONTROL": path}).code == 0
    assert run("ping", f"--control={path}").code == 0
    assert run("status", "--control", "/nowhere", variables={"PAUSEVISOR_CONTROL": path}).code == 69


def test_the_fallback_is_found(talk: Talking, path: str) -> None:
    """Where the first of the usual places has no socket, the next one is tried."""
    talk(WEB)
    folder = os.path.dirname(path)
    os.rename(path, os.path.join(folder, "pausevisor.sock"))
    done = run("ping", launcher=somewhere_else(), variables={"XDG_RUNTIME_DIR": folder})
    os.rename(os.path.join(folder, "pausevisor.sock"), path)
    assert (done.code, done.stderr) == (0, "")


# Permission


def as_nobody(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a client as another user, from a place that this user may read."""
    source = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from supervisor.cli.main import main; main(sys.argv[1:], frozenset())"
    )
    command = ["/usr/bin/python3", "-I", "-c", source, *arguments]
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=environment(),
    )


@pytest.fixture
def another_user() -> None:
    """Only root can become somebody else, and only where the tree can be read by everybody."""
    if os.geteuid():
        pytest.skip("needs root, to become another user")
    probe = as_nobody("--version")
    if probe.returncode:
        pytest.skip(f"another user can't run the source tree: {probe.stderr[-200:]}")


@pytest.mark.usefixtures("another_user")
@pytest.mark.parametrize("verb", [["status"], ["stop", "web"], ["ping", "--ready"]], ids=" ".join)
def test_somebody_else_is_not_permitted(talk: Talking, path: str, verb: list[str]) -> None:
    """The kernel says no: exit code 77, and who may."""
    daemon, say = talk(WEB)
    done = as_nobody(*verb, "--control", path)
    assert (done.returncode, done.stdout) == (77, "")
    assert f"not permitted to use {path}" in done.stderr
    assert "user 65534" in done.stderr
    assert say.json("status")["ok"]
    assert daemon.events("signal_forwarded") == []


@pytest.mark.usefixtures("another_user")
@pytest.mark.parametrize("verb", [["status"], ["logs", "-f"], ["ping"]], ids=" ".join)
def test_the_daemon_says_no(talk: Talking, path: str, verb: list[str]) -> None:
    """Where the socket lets everybody in, the daemon looks at who comes: the same exit code."""
    talk(WEB)
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o666)
    done = as_nobody(*verb, "--control", path)
    assert (done.returncode, done.stdout) == (77, "")


# Who answers oddly, or not at all


@pytest.fixture
def listening(path: str) -> Iterator[socket.socket]:
    """A socket that the test answers on."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)
        made.listen(8)
        yield made


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"", 69, "has gone away before it had answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 69, "has gone away before it had answered"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 1, "is no pausevisor"),
        (b"HTTP/1.1 what\r\n\r\n", 1, "is no pausevisor"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 1, "is no pausevisor"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1, "is no pausevisor"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 1, "answers with 404"),
        (b'HTTP/1.1 503 Busy\r\nContent-Length: 25\r\n\r\n{"detail":"too many men"}', 1, "too many men"),
    ],
)  # fmt: skip
def test_odd_answers(listening: socket.socket, path: str, answer: bytes, code: int, words: str) -> None:
    """Each ends in a message and an exit code, none in a traceback."""
    with subprocess.Popen(
        [*COMMAND, "status", "--control", path], stderr=subprocess.PIPE, text=True, env=environment()
    ) as client:
        connection, _ = listening.accept()
        connection.recv(65536)
        connection.sendall(answer)
        connection.close()
        _, err = client.communicate(timeout=PATIENCE)
    assert client.returncode == code
    assert words in err
    assert "Traceback" not in err


def test_a_daemon_that_hangs(talk: Talking) -> None:
    """Ping gives up when its time is over, and says that it does not answer."""
    daemon, say = talk(WEB)
    daemon.freeze()
    done = say("ping", "--timeout", "300ms")
    assert (done.code, done.stdout) == (69, "")
    assert "does not answer" in done.stderr
    daemon.signal("CONT")
    assert say("ping").code == 0


def test_interrupted_before_there_is_an_answer(talk: Talking) -> None:
    """^C ends a client whose daemon hangs at once, and without a word."""
    daemon, say = talk(WEB)
    daemon.freeze()
    with say.begin("status", stdout="pipe", stderr="pipe") as running:
        while not waits_for_an_answer(running.process.pid):
            pass
        running.press("\x03")
        assert running.wait() == -signal.SIGINT
        assert running.err.raw == b""
    daemon.signal("CONT")


def waits_for_an_answer(pid: int) -> bool:
    """Whether a client sleeps with a connected socket open."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            sleeps = file.read() not in ("", "0")
    except OSError:
        return False
    return sleeps and any(link.startswith("socket:") for link in links)


def test_a_closed_output(talk: Talking) -> None:
    """A client whose standard output is closed does its work; a full one is told."""
    _, say = talk(WEB)
    command = f"exec {' '.join(COMMAND)} stop web >&-"
    stopped = subprocess.run(["sh", "-c", command], env={**environment(), **say.told}, timeout=PATIENCE, check=False)
    assert stopped.returncode == 0
    assert say.json("status")["services"][0]["state"] == "stopped"
    with open("/dev/full", "wb") as full:
        done = run("status", variables=say.told, stdout=full)
    assert (done.code, "cannot write the output: No space left" in done.stderr) == (1, True)
