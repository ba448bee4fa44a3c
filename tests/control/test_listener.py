"""The sockets themselves: who may use them, what stands in their way, and what is left when they are gone."""

import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.control.listener import (
    AlreadyRunningError,
    Listener,
    Opened,
    RefusedError,
    may_connect,
    open_listeners,
    peer,
)
from supervisor.core.spec import ControlSpec
from tests.runtime.isolated import ROOT

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="gives files and processes to other users")


@pytest.fixture
def opened() -> Iterator[list[Listener]]:
    """Listeners that are closed at the end."""
    listeners: list[Listener] = []
    yield listeners
    for listener in listeners:
        listener.close()


def open_path(path: str, opened: list[Listener], group: str | None = None) -> Opened:
    """Open a control socket at a path."""
    found = open_listeners(ControlSpec(socket=path, group=group), {})
    opened += found.listeners
    return found


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_the_socket_is_ours_alone_whatever_the_umask(path: str, opened: list[Listener], umask: int) -> None:
    """Mode 0600, and the umask is as it was."""
    before = os.umask(umask)
    try:
        found = open_path(path, opened)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert found.warnings == ()
    assert stat.filemode(os.lstat(path).st_mode) == "srw-------"


@pytest.mark.parametrize("stale", [False, True])
def test_it_is_ours_from_the_first_instant(path: str, stale: bool) -> None:
    """There is no moment at which anybody else could connect: the mode is given with the name, and no chmod follows.

    And who looks and binds has the lock on the folder, so that nobody else does so at the same time.
    """
    if stale:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
    source = (
        "import fcntl, os, sys\n"
        "wanted = ('os.chmod', 'os.chown', 'os.remove', 'socket.bind', 'socket.connect', 'fcntl.flock')\n"
        "sys.addaudithook(lambda event, _: event in wanted and print(event, flush=True))\n"
        "from supervisor.control.listener import open_listeners\n"
        "from supervisor.core.spec import ControlSpec\n"
        "os.umask(0)\n"
        f"open_listeners(ControlSpec(socket={path!r}), {{}})\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=ROOT)
    replaced = ["socket.connect", "os.remove"] if stale else []
    assert done.stdout.split() == ["fcntl.flock", *replaced, "socket.bind"]
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600


def test_a_stale_socket_is_replaced(path: str, opened: list[Listener]) -> None:
    """What a killed daemon left behind is in nobody's way."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
        stale.listen()
    before = os.lstat(path).st_ino
    assert open_path(path, opened).warnings == ()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    assert len(opened) == 1
    assert before  # the inode may be the same number again, the socket is another one


@pytest.mark.parametrize("backlog", [8, 0], ids=["room", "full"])
def test_a_live_socket_is_refused_untouched(path: str, opened: list[Listener], backlog: int) -> None:
    """Another daemon listens there: its pid is said, and its socket stays; even when it accepts nobody any more."""
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(socket.socket(socket.AF_UNIX))
        live.bind(path)
        live.listen(backlog)
        for _ in range(1 if backlog == 0 else 0):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
        identity = os.lstat(path)
        with pytest.raises(AlreadyRunningError) as caught:
            open_path(path, opened)
        assert caught.value.pid == (os.getpid() if backlog else None)
        assert path in str(caught.value)
        assert os.lstat(path).st_ino == identity.st_ino


def _file(path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write("precious")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (_file, "a file"),
        (os.mkdir, "a folder"),
        (lambda path: os.symlink("/etc/passwd", path), "a symbolic link"),
        (lambda path: os.symlink("nowhere", path), "a symbolic link"),
        (os.mkfifo, "a device or pipe"),
    ],
    ids=["file", "folder", "link", "dangling", "fifo"],
)
def test_what_is_no_socket_is_left_alone(path: str, opened: list[Listener], make: object, word: str) -> None:
    """It is named in a warning, and nothing happens to it nor to what a link points at."""
    assert callable(make)
    make(path)
    before, target = os.lstat(path), os.stat("/etc/passwd")
    (warning,) = open_path(path, opened).warnings
    assert word in warning
    assert path in warning
    assert "goes on without" in warning
    assert (os.lstat(path).st_ino, os.lstat(path).st_mode) == (before.st_ino, before.st_mode)
    assert os.stat("/etc/passwd").st_mode == target.st_mode
    assert opened == []


def test_a_link_to_a_live_socket_is_not_followed(path: str, opened: list[Listener]) -> None:
    """The link itself is what stands there, whatever it points at."""
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path + ".real")
        live.listen()
        os.symlink(path + ".real", path)
        (warning,) = open_path(path, opened).warnings
        assert "a symbolic link" in warning


@pytest.mark.parametrize("length", [107, 108, 200])
def test_a_long_path(folder: str, opened: list[Listener], length: int) -> None:
    """107 bytes are the most that a socket's path may have; more are refused in words."""
    path = os.path.join(folder, "x" * (length - len(folder) - 1))
    found = open_path(path, opened)
    if length <= 107:
        assert (found.warnings, len(opened)) == ((), 1)
    else:
        (warning,) = found.warnings
        assert "107 bytes" in warning
        assert not os.path.lexists(path)


def test_no_folder(folder: str, opened: list[Listener]) -> None:
    """A folder that is missing is said to be."""
    (warning,) = open_path(os.path.join(folder, "missing", "s"), opened).warnings
    assert "No such file or directory" in warning


@ROOT_ONLY
def test_a_folder_that_may_not_be_written_to(folder: str) -> None:
    """Read-only, or somebody else's: a warning in words, and no socket."""
    source = (
        "import os\n"
        "from supervisor.control.listener import open_listeners\n"
        "from supervisor.core.spec import ControlSpec\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"found = open_listeners(ControlSpec(socket={os.path.join(folder, 's')!r}), {{}})\n"
        "print(len(found.listeners), *found.warnings)\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("0 no control socket: ")
    assert "Permission denied" in done.stdout


def test_a_full_disk(folder: str) -> None:
    """No room for the name: a warning, and no socket."""
    if os.geteuid() != 0:
        pytest.skip("mounts a file system")
    source = (
        "import os, subprocess\n"
        f"subprocess.run(['mount', '-t', 'tmpfs', '-o', 'nr_inodes=2', 'none', {folder!r}], check=True)\n"
        f"open({folder!r} + '/file', 'w').close()\n"
        "from supervisor.control.listener import open_listeners\n"
        "from supervisor.core.spec import ControlSpec\n"
        f"found = open_listeners(ControlSpec(socket={os.path.join(folder, 's')!r}), {{}})\n"
        "print(len(found.listeners), *found.warnings)\n"
    )
    command = ["unshare", "--mount", sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    assert done.stdout.startswith("0 no control socket: ")
    assert "No space left" in done.stdout


def test_two_that_start_at_once_over_a_stale_socket(path: str) -> None:
    """One of them gets the path, and the other one says whose it is; never do both believe that they have it."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    source = (
        "import sys\n"
        "from supervisor.control.listener import AlreadyRunningError, open_listeners\n"
        "from supervisor.core.spec import ControlSpec\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "try:\n"
        f"    found = open_listeners(ControlSpec(socket={path!r}), {{}})\n"
        "    print('opened', *found.warnings, flush=True)\n"
        "except AlreadyRunningError as error:\n"
        "    print('refused', error.pid, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            bufsize=1,
        )
        for _ in range(6)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
        said = [process.stdout.readline().split() for process in started if process.stdout is not None]
    finally:
        for process in started:
            process.communicate("\n")
    winners = [process.pid for process, words in zip(started, said, strict=True) if words[0] == "opened"]
    assert len(winners) == 1
    assert sorted(words[0] for words in said) == ["opened", *["refused"] * 5]
    assert {int(words[1]) for words in said if words[0] == "refused"} == set(winners)


def test_it_is_removed_at_the_end(path: str) -> None:
    """Closed, nothing is left."""
    (listener,) = open_listeners(ControlSpec(socket=path), {}).listeners
    listener.close()
    assert not os.path.lexists(path)


def test_what_is_no_longer_ours_is_not_removed(path: str) -> None:
    """Somebody else's socket at the path stays."""
    (listener,) = open_listeners(ControlSpec(socket=path), {}).listeners
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        listener.close()
        assert os.path.lexists(path)


def test_the_default_places(folder: str, monkeypatch: pytest.MonkeyPatch, opened: list[Listener]) -> None:
    """The first place that can be had: then the user's own folder, then none with one warning that names both."""
    monkeypatch.setattr("supervisor.control.places.DEFAULT_PATH", os.path.join(folder, "missing", "s"))
    found = open_listeners(ControlSpec(), {"XDG_RUNTIME_DIR": folder})
    opened += found.listeners
    assert [listener.address for listener in found.listeners] == [os.path.join(folder, "pausevisor.sock")]
    assert found.warnings == ()
    again = open_listeners(ControlSpec(), {"XDG_RUNTIME_DIR": folder})
    assert again.listeners == ()
    (warning,) = again.warnings
    assert "missing" in warning
    assert f"pid {os.getpid()}" in warning  # a daemon by default is in nobody's way


def test_a_name_that_is_asked_for_twice_is_an_error(path: str, opened: list[Listener]) -> None:
    """By name it is a mistake to start a second one."""
    open_path(path, opened)
    with pytest.raises(AlreadyRunningError):
        open_path(path, [])


def test_the_peer(path: str, opened: list[Listener]) -> None:
    """The kernel says who is at the other end; ourselves we let in."""
    open_path(path, opened)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        with socket.socket(fileno=os.dup(opened[0].socket.fileno())) as listening, listening.accept()[0] as accepted:
            assert peer(accepted) == (os.getpid(), os.getuid(), os.getgid())
            assert may_connect(opened[0], accepted)


CONNECT = """
import os, socket, sys
uid, gid, groups = int(sys.argv[2]), int(sys.argv[3]), [int(word) for word in sys.argv[4].split(",") if word]
os.setgroups(groups); os.setgid(gid); os.setuid(uid)
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
except PermissionError:
    print("EACCES")
else:
    print("connected", flush=True)
    client.recv(1)
"""


@ROOT_ONLY
@pytest.mark.parametrize(
    ("uid", "gid", "groups", "may"),
    [(65534, 65534, "", None), (65534, 4321, "", True), (65534, 65534, "4321,5", True), (65534, 65534, "4322", None)],
    ids=["stranger", "group", "supplementary", "other group"],
)
def test_members_of_the_group(path: str, opened: list[Listener], uid: int, gid: int, groups: str, may: bool) -> None:
    """Members of the control-group may connect, by their first or any other group; others are kept off by the mode."""
    found = open_path(path, opened, group="4321")
    assert found.warnings == ()
    assert stat.filemode(os.lstat(path).st_mode) == "srw-rw----"
    command = [sys.executable, "-c", CONNECT, path, str(uid), str(gid), groups]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        said = client.stdout.readline().strip()
        if said == "connected":
            listening = socket.socket(fileno=os.dup(opened[0].socket.fileno()))
            with listening, listening.accept()[0] as accepted:
                assert may_connect(opened[0], accepted) is may
    assert said == ("connected" if may else "EACCES")


@ROOT_ONLY
def test_a_stranger_whom_the_mode_lets_in_is_refused_all_the_same(path: str, opened: list[Listener]) -> None:
    """A mode that somebody has widened is not the only lock: the peer's user is looked at as well."""
    open_path(path, opened)
    os.chmod(path, 0o666)
    command = [sys.executable, "-c", CONNECT, path, "65534", "65534", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "connected\n"
        with socket.socket(fileno=os.dup(opened[0].socket.fileno())) as listening, listening.accept()[0] as accepted:
            assert peer(accepted)[1] == 65534
            assert not may_connect(opened[0], accepted)
    assert client.returncode == 0


def test_a_group_that_does_not_exist(path: str, opened: list[Listener]) -> None:
    """The socket is there for its owner, and a warning says why not for the group."""
    (warning,) = open_path(path, opened, group="no-such-group").warnings
    assert "no-such-group" in warning
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600


def test_tcp(folder: str, opened: list[Listener]) -> None:
    """A port for everything, with a token from a file, and one for the probes."""
    token = os.path.join(folder, "token")
    with open(token, "w", encoding="utf-8") as file:
        file.write("secret\n")
    spec = ControlSpec(socket="", listen=("127.0.0.1", 0), token_file=token, health=("::1", 0))
    found = open_listeners(spec, {})
    opened += found.listeners
    assert [(one.serves, one.token) for one in found.listeners] == [("api", b"secret"), ("health", b"")]
    assert found.listeners[0].address.startswith("127.0.0.1:")
    assert found.listeners[1].address.startswith("[::1]:")


@pytest.mark.parametrize("content", [None, "", " \n"], ids=["missing", "empty", "blank"])
def test_no_port_without_its_token(folder: str, content: str | None) -> None:
    """Without a token nobody may give orders, so the port is not opened, and a warning says why."""
    token = os.path.join(folder, "token")
    if content is not None:
        with open(token, "w", encoding="utf-8") as file:
            file.write(content)
    found = open_listeners(ControlSpec(socket="", listen=("127.0.0.1", 0), token_file=token), {})
    assert found.listeners == ()
    (warning,) = found.warnings
    assert token in warning


def test_a_port_that_is_taken(opened: list[Listener]) -> None:
    """It is said, and done without."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        found = open_listeners(ControlSpec(socket="", health=("127.0.0.1", other.getsockname()[1])), {})
    assert found.listeners == ()
    assert "Address already in use" in found.warnings[0]
    assert opened == []


def test_refused_is_no_crash() -> None:
    """The reason of a refusal is its text."""
    assert str(RefusedError("why")) == "why"
