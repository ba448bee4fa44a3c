"""The environment at a start: who wins over whom, what a missing file does, and where a secret goes."""

import errno
import os

import pytest

from supervisor.core.spec import ServiceSpec
from supervisor.runtime.environment import complete_environment
from supervisor.runtime.environment_file import LARGEST
from supervisor.runtime.failure import SpawnError

VALUE = "hush-hush"


@pytest.fixture
def folder(tmp_path: os.PathLike[str]) -> str:
    """Where the files are."""
    return os.fspath(tmp_path)


def write(folder: str, name: str, content: str | bytes) -> str:
    """A file; its path."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def spec(environment: dict[str, str], files: tuple[str, ...] = (), **secrets: str) -> ServiceSpec:
    """A service that sets ``OWN...`` itself and inherits the rest."""
    explicit = frozenset(name for name in environment if name.startswith(("OWN", "PAUSEVISOR_")))
    return ServiceSpec(
        name="web",
        command=("web",),
        environment=environment,
        explicit=explicit,
        environment_files=files,
        secret_files=secrets,
    )


def complete(wanted: ServiceSpec, login: dict[str, str | None] | None = None) -> tuple[dict[str, str], list[str]]:
    """The environment, and what was told to be redacted."""
    told: list[str] = []
    return complete_environment(wanted, login or {}, told.append), told


def refused(wanted: ServiceSpec) -> SpawnError:
    """The error of a start whose environment can't be had; no descriptor is left open."""
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(SpawnError) as caught:
        complete(wanted)
    assert sorted(os.listdir("/proc/self/fd")) == before
    return caught.value


def test_who_wins(folder: str) -> None:
    """Inherited, the user's, files in their order, what the configuration sets, secrets, and our own name."""
    given = {"A": "inherited", "HOME": "/root", "OWN_A": "own", "OWN_B": "own", "PAUSEVISOR_SERVICE": "web"}
    files = (
        write(folder, "one", "HOME=/one\nA=one\nB=one\nOWN_A=one\nC=one\nPAUSEVISOR_SERVICE=one"),
        write(folder, "two", "B=two\nOWN_B=two"),
    )
    secret = write(folder, "secret", "s")
    found, _ = complete(
        spec(given, files, OWN_B=secret, PAUSEVISOR_SERVICE=secret, C=secret), {"HOME": "/home/web", "USER": "web"}
    )
    assert found == {
        "A": "one",
        "B": "two",
        "C": "s",
        "HOME": "/one",
        "USER": "web",
        "OWN_A": "own",
        "OWN_B": "s",
        "PAUSEVISOR_SERVICE": "web",
    }


def test_what_a_user_would_not_have_is_not_inherited() -> None:
    """Root's shell is nobody's; what the configuration sets stays, whoever the user is."""
    login: dict[str, str | None] = {"HOME": "/nonexistent", "SHELL": None}
    assert complete(spec({"SHELL": "/bin/bash", "HOME": "/root"}), login)[0] == {"HOME": "/nonexistent"}
    own = ServiceSpec(name="web", command=("web",), environment={"SHELL": "/x"}, explicit=frozenset({"SHELL"}))
    assert complete_environment(own, {"SHELL": None}, print) == {"SHELL": "/x"}


def test_the_spec_is_not_changed(folder: str) -> None:
    """The next start begins with what was known at load, without the secrets of this one."""
    wanted = spec({"A": "1"}, (write(folder, "file", "B=2"),), S=write(folder, "secret", VALUE))
    complete(wanted)
    assert wanted.environment == {"A": "1"}


def test_files_are_read_at_each_start(folder: str) -> None:
    """A change is seen without a reload."""
    path, secret = write(folder, "file", "A=1"), write(folder, "secret", "one")
    wanted = spec({}, (path,), S=secret)
    assert complete(wanted)[0] == {"A": "1", "S": "one"}
    write(folder, "file", "A=2")
    write(folder, "secret", "two")
    assert complete(wanted)[0] == {"A": "2", "S": "two"}


LONGEST = 131_072 - len("S=") - 1
"""Bytes of the longest value of a variable S, its end counted: MAX_ARG_STRLEN of execve(2)."""


def test_a_secret_that_no_program_can_be_given(folder: str) -> None:
    """One byte more than execve(2) takes is refused before anybody looks for it in the log, by the variable's name."""
    told: list[str] = []
    with pytest.raises(SpawnError, match=r"Argument list too long \(for S\)") as caught:
        complete_environment(spec({}, S=write(folder, "secret", b"x" * (LONGEST + 1))), {}, told.append)
    assert (caught.value.stage, told) == ("secret", [])


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"x", "x"),
        (b"x\n", "x"),
        (b"x\n\n", "x\n"),
        (b"\n", ""),
        (b"", ""),
        (b" x \r\n", " x \r"),
        (b"a\nb\n", "a\nb"),
        (b"\xff\xfe\n", "\udcff\udcfe"),
        (b"x" * LONGEST, "x" * LONGEST),
    ],
)
def test_one_newline_goes(folder: str, content: bytes, value: str) -> None:
    """What an editor puts at the end is not part of the secret; all else is."""
    found, told = complete(spec({}, S=write(folder, "secret", content)))
    assert found == {"S": value}
    assert told == ([value] if value else [])  # an empty text is in every line


def test_all_secrets_are_told_before_anything_can_start(folder: str) -> None:
    """Also those read before one that can't be: they may be in a message yet."""
    first = write(folder, "first", VALUE)
    told: list[str] = []
    with pytest.raises(SpawnError):
        complete_environment(spec({}, A=first, B=os.path.join(folder, "missing")), {}, told.append)
    assert told == [VALUE]


@pytest.mark.parametrize(
    ("kind", "symbol", "words"),
    [
        ("missing", "ENOENT", "(for S)"),
        ("folder", "EISDIR", "(for S)"),
        ("fifo", "EINVAL", "(for S: it is no regular file)"),
        ("long", "EFBIG", "(for S)"),
        ("nul", "EINVAL", "(for S: it holds a NUL character)"),
    ],
)
def test_a_secret_that_cant_be_had(folder: str, kind: str, symbol: str, words: str) -> None:
    """Path and variable are named, the value is not; it is the service's failure, and not for lack of resources."""
    path = os.path.join(folder, "secret")
    if kind == "folder":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind != "missing":
        write(folder, "secret", VALUE.encode() + (b"\0" if kind == "nul" else b"x" * LARGEST))
    error = refused(spec({}, S=path))
    assert (error.stage, errno.errorcode[error.number], error.exit_code) == ("secret", symbol, 1)
    assert str(error).startswith(f"cannot read its secret {path!r}: ")
    assert str(error).endswith(words)
    assert VALUE not in str(error)
    assert error.__cause__ is None
    assert not error.transient


@pytest.mark.parametrize("optional", ["", "-"])
def test_an_environment_file_that_is_missing(folder: str, optional: str) -> None:
    """An error, unless its path has a minus: then it is as if it were empty."""
    path = os.path.join(folder, "file")
    wanted = spec({"A": "1"}, (optional + path,))
    if optional:
        assert complete(wanted)[0] == {"A": "1"}
        return
    error = refused(wanted)
    assert (error.stage, error.number) == ("environment", errno.ENOENT)
    assert str(error) == f"cannot read its environment file {path!r}: No such file or directory"


@pytest.mark.parametrize("optional", ["", "-"])
def test_an_environment_file_that_is_wrong(folder: str, optional: str) -> None:
    """Path and line are named, nothing of what it holds; a minus lets it be missing, not wrong."""
    path = write(folder, "file", f"A=1\n{VALUE}")
    error = refused(spec({}, (optional + path,)))
    assert (error.stage, error.number) == ("environment", errno.EINVAL)
    assert repr(path) in str(error)
    assert 'line 2: no "="' in str(error)
    assert VALUE not in str(error)


def test_out_of_descriptors_is_transient(folder: str) -> None:
    """The machine's lack, not the service's fault: it is tried again."""
    import resource  # noqa: PLC0415 - of this test alone

    wanted = spec({}, (write(folder, "file", "A=1"),))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = os.open("/dev/null", os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (held, hard))
    try:
        with pytest.raises(SpawnError) as caught:
            complete(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(held)
    assert (caught.value.stage, caught.value.number, caught.value.transient) == ("environment", errno.EMFILE, True)
