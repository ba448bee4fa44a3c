"""What Kubernetes is told: who ended the container and why, in one short text that is never in the way."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs import termination
from supervisor.logs.journal import Journal
from supervisor.logs.sink import Sink
from supervisor.logs.termination import LONGEST, Witness, shortened, write_message
from tests.logs.support import parse, patient

EXITED: dict[str, Any] = {"service": "web", "exit_code": 3, "duration_s": 1.5, "expected": False}


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given up after a second would be missing now and then, and not be seen to hang."""
    monkeypatch.setattr(termination, "_PATIENCE", 3600.0)


@pytest.fixture
def path(tmp_path: os.PathLike[str]) -> str:
    """Where the message goes."""
    return os.path.join(tmp_path, "termination-log")


@pytest.fixture
def witness(tmp_path: os.PathLike[str]) -> Witness:
    """A witness before a journal that writes next to nothing."""
    fd = os.open(os.path.join(tmp_path, "log"), os.O_WRONLY | os.O_CREAT)
    return Witness(Journal(Sink(fd), level="error"))


def read(path: str) -> str:
    """The message."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_who_and_why_and_the_last_words(witness: Witness, path: str) -> None:
    """The service that is the reason is named, with how it ended, and its last lines."""
    witness.emit("warning", "child_exited", **{**EXITED, "service": "db"}, tail=["not this"])
    witness.emit("warning", "child_exited", **EXITED, tail=["one", "two"])
    witness.emit("info", "shutdown_started", reason="main service web has ended")
    witness.emit("info", "shutdown_finished", exit_code=3, duration_s=0.1, killed=["db"])
    witness.write(path, 3)
    assert read(path) == (
        "exit code 3: main service web has ended\n"
        "web exited with 3, after 1.500 s\n"
        "not down in time, so killed: db\n"
        "last lines of web:\none\ntwo\n"
    )


def test_a_death_by_a_signal(witness: Witness) -> None:
    """A kill for want of memory is called so."""
    ended = {"signal": 9, "signal_name": "SIGKILL", "core_dumped": False, "oom_killed": True, "duration_s": 2}
    witness.emit("warning", "child_exited", service="web", **ended)
    witness.emit("info", "shutdown_started", reason="service web has failed")
    assert witness.text(137) == (
        "exit code 137: service web has failed\nweb was killed by SIGKILL, out of memory, after 2.000 s\n"
    )


def test_a_program_that_could_not_be_started(witness: Witness) -> None:
    """The reason is that of the spawn."""
    witness.emit("error", "child_spawn_failed", service="web", stage="exec", errno="ENOENT", error="web: not found")
    witness.emit("info", "shutdown_started", reason="service web has failed")
    assert witness.text(127).splitlines()[1] == "web could not be started: web: not found"


def test_an_order(witness: Witness) -> None:
    """Who was told to end is not to blame, whoever has ended before."""
    witness.emit("warning", "child_exited", **EXITED, tail=["one"])
    witness.emit("info", "shutdown_started", reason="signal SIGTERM")
    assert witness.text(0) == "exit code 0: signal SIGTERM\n"


def test_records_are_passed_on(tmp_path: os.PathLike[str]) -> None:
    """The journal gets every record, and is asked what it wants."""
    fd = os.open(os.path.join(tmp_path, "log"), os.O_RDWR | os.O_CREAT)
    witness = Witness(Journal(Sink(fd)))
    witness.emit("info", "shutdown_started", reason="x")
    assert witness.wants("info")
    assert not witness.wants("debug")
    assert [record["reason"] for record in parse(os.pread(fd, 1000, 0))] == ["x"]
    os.close(fd)


@patient
@given(st.text(max_size=200).map(lambda text: text * 50))
def test_never_too_long(text: str) -> None:
    """At most 4,096 bytes of UTF-8, from both ends of the text."""
    data = shortened(text)
    assert len(data) <= LONGEST
    shown = data.decode()
    whole = text.encode("utf-8", "replace").replace(b"\0", b"?").decode()
    if len(whole.encode()) <= LONGEST:
        assert shown == whole
    else:
        head, tail = shown.split("[...]\n")[0], shown.split("[...]\n")[-1]
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert len(data) > LONGEST - 12


def test_a_message_of_the_program_stays(path: str) -> None:
    """A program may know better why it ended; what an earlier run has left is replaced."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("the program's own, and long enough to show what would be left of it")
    write_message(path, "ours\n", since=os.stat(path).st_mtime - 1)
    assert read(path).startswith("the program's")
    write_message(path, "ours\n", since=os.stat(path).st_mtime + 1)
    assert read(path) == "ours\n"


@pytest.mark.parametrize("kind", ["fifo", "directory", "missing folder", "socket path", "none"])
def test_where_nothing_can_be_written(path: str, kind: str) -> None:
    """A FIFO, a folder, nothing at all: no error, and no wait."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        os.mkdir(path)
    elif kind == "missing folder":
        path += "/x"
    elif kind == "none":
        path = ""
    write_message(path, "ours\n")
