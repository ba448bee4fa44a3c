"""What children write becomes records, and nothing about our own output ever blocks or ends the daemon."""

import array
import fcntl
import json
import os
import termios
from dataclasses import replace

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.ends import Kind
from tests.helpers.settings import program, service, table


@pytest.mark.namespace
def test_lines_become_records(start: Launcher, place: How, loop: str) -> None:
    """Each line of each stream is one record with service, process and stream, in order."""
    script = "for n in 1 2 3; do echo out $n; echo err $n >&2; done"
    daemon = start.services(service("talk", "sh", "-c", script, restart="never"), options=("--loop", loop), how=place)
    assert daemon.wait() == 0
    pid = daemon.events("child_started")[0]["pid"]
    for stream, word in (("stdout", "out"), ("stderr", "err")):
        found = daemon.events("output", stream=stream)
        assert [line["message"] for line in found] == [f"{word} {number}" for number in (1, 2, 3)]
        assert {(line["service"], line["pid"]) for line in found} == {("talk", pid)}


@pytest.mark.namespace
def test_a_last_line_without_newline(start: Launcher, place: How, loop: str) -> None:
    """What a child wrote without ever ending the line is there when the child has ended."""
    script = "printf 'one'; printf ' two'; printf 'lost?' >&2"
    daemon = start.services(service("talk", "sh", "-c", script, restart="never"), options=("--loop", loop), how=place)
    assert daemon.wait() == 0
    assert daemon.events("output", stream="stdout")[0]["message"] == "one two"
    assert daemon.events("output", stream="stderr")[0]["message"] == "lost?"


def test_bytes_that_are_no_text(start: Launcher) -> None:
    """Bytes that are no UTF-8, control characters, line separators: each line stays one valid record."""
    script = r"""printf '\377\376\n\000\033[31m\n\342\200\250x\n"\\\n\n\360\237\230\200\n'"""
    daemon = start.services(service("talk", "sh", "-c", script, restart="never"))
    assert daemon.wait() == 0
    messages = [found["message"] for found in daemon.events("output")]
    assert len(messages) == 6
    assert messages[1:] == ["\0\x1b[31m", "\u2028x", '"\\', "", "\U0001f600"]


def test_a_long_line_is_split_into_parts(start: Launcher) -> None:
    """A line above `max-record` becomes several valid records that together hold all of it."""
    script = "import sys; print('a' * 5000 + 'z')"
    daemon = start.services(
        table("log", max_record="1KiB"), service("talk", "python3", "-ISc", script, restart="never")
    )
    assert daemon.wait() == 0
    found = daemon.events("output")
    assert "".join(part["message"] for part in found) == "a" * 5000 + "z"
    assert [part["part"] for part in found] == list(range(1, len(found) + 1))
    assert len({part["id"] for part in found}) == 1
    assert all(len(json.dumps(part)) <= 1100 for part in found)


@pytest.mark.namespace
def test_output_can_be_inherited_or_dropped(start: Launcher, place: How) -> None:
    """`stdout = "inherit"` goes past us unchanged, `"null"` goes nowhere, and neither becomes a record."""
    daemon = start.services(
        table("log", to="stderr"),
        service("raw", "sh", "-c", "echo raw; echo quiet >&2", stdout="inherit", stderr="null", restart="never"),
        how=replace(place, events_on="stderr"),
    )
    assert daemon.wait() == 0
    assert daemon.text("stdout") == "raw\n"
    assert daemon.events("output") == []


@pytest.mark.namespace
def test_the_tail_of_an_unexpected_end(start: Launcher, place: How) -> None:
    """A child that fails has its last lines with its end; one that succeeds has not."""
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("bad", "sh", "-c", "echo first; echo last words >&2; exit 4", restart="never"),
        service("good", "sh", "-c", "echo fine", restart="never"),
        how=place,
    )
    assert daemon.wait() == 0
    assert "last words" in str(daemon.wait_event("child_exited", service="bad")["tail"])
    assert not daemon.wait_event("child_exited", service="good").get("tail")


@pytest.mark.namespace
def test_a_stdout_nobody_reads(start: Launcher, place: How, loop: str) -> None:
    """With stdout full and a service that never stops writing, TERM still ends everything."""
    daemon = start.services(service("yes", "yes"), options=("--loop", loop), how=replace(place, stdout="small-pipe"))
    assert_full(daemon)
    assert daemon.stop() == 0


def assert_full(daemon: Daemon) -> None:
    """The pipe takes no more, the service waits in its write, and the daemon sleeps."""
    reader = daemon.ends.ours["stdout"]
    procfs.wait_until(lambda: unread(reader) > 0, "something is written")
    procfs.wait_until(lambda: procfs.children(daemon.pid), "the service has started")
    procfs.assert_idle(daemon.pid)


def unread(descriptor: int) -> int:
    """Bytes that wait in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


@pytest.mark.namespace
def test_what_was_dropped_is_said(start: Launcher, place: How, loop: str) -> None:
    """When a reader comes back to a stdout that was full, what was lost meanwhile is counted in a record."""
    script = "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; echo end >&2; exec sleep infinity"
    daemon = start.services(
        service("talk", "sh", "-c", script, stderr="inherit"),
        options=("--loop", loop),
        how=replace(place, stdout="small-pipe"),
    )
    assert_full(daemon)
    daemon.read_late("stdout")
    daemon.wait_text("end", "stderr")
    assert daemon.stop() == 0
    seen = [int(found["message"].split()[1]) for found in daemon.events("output")]
    assert seen == sorted(set(seen))
    dropped = sum(found["count"] for found in daemon.events("log_lines_dropped"))
    assert len(seen) + dropped >= 30000


@pytest.mark.namespace
def test_a_stdout_whose_reader_is_gone(start: Launcher, place: How, loop: str) -> None:
    """When the reader closes, the daemon goes on: it restarts a service and ends in order."""
    marker = os.path.join(start.folder, "starts")
    script = f"echo start >> {marker}; while echo line; do :; done"
    daemon = start.services(
        service("talk", "sh", "-c", script, restart_delay="1ms", restart_limit="none"),
        options=("--loop", loop),
        how=replace(place, stdout="small-pipe"),
    )
    procfs.wait_until(lambda: lines_of(marker) >= 1, "the service has started")
    os.close(daemon.ends.ours.pop("stdout"))
    for child in procfs.children(daemon.pid):
        daemon_child = procfs.identity(child)
        assert daemon_child is not None
        os.kill(child, 9)
    procfs.wait_until(lambda: lines_of(marker) >= 2, "the service has been restarted")
    assert daemon.stop() == 0


def lines_of(path: str) -> int:
    """Lines of a file; 0 when it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


CLOSED: dict[str, dict[str, Kind]] = {
    "stdin": {"stdin": "closed"},
    "stdout": {"stdout": "closed"},
    "stderr": {"stderr": "closed"},
    "all": {"stdin": "closed", "stdout": "closed", "stderr": "closed"},
}


@pytest.mark.namespace
@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("form", ["services", "single"])
def test_a_start_with_closed_descriptors(start: Launcher, place: How, loop: str, closed: str, form: str) -> None:
    """With any of 0, 1, 2 closed the daemon works; no file or socket of its own takes one of these numbers."""
    log = os.path.join(start.folder, "events.log")
    report = os.path.join(start.folder, "report")
    how = replace(place, **CLOSED[closed])  # type: ignore[arg-type]
    command = program("describe", report)
    if form == "services":
        daemon = start.services(table("log", to=log), service("web", *command), options=("--loop", loop), how=how)
    else:
        daemon = start.daemon("run", "--loop", loop, "--log-to", log, "--", *command, how=replace(how, pure=False))
    procfs.wait_until(lambda: os.path.exists(report), "the service has written its report")
    for number, target in procfs.descriptors(daemon.pid).items():
        assert number > 2 or not target.startswith(("socket:", "anon_inode:")), (number, target)
        assert number > 2 or target != log
    assert daemon.stop() == 0
    with open(report, encoding="utf-8") as file:
        given = json.load(file)["descriptors"]
    assert {"0", "1", "2"} >= set(given)
    assert not any(target.startswith(log) for target in given.values())
    if form == "services":
        assert {"0", "1", "2"} == set(given)


@pytest.mark.namespace
@pytest.mark.parametrize("kind", ["pipe", "file", "socket", "terminal", "fifo"])
def test_every_kind_of_stdout_carries_the_same(start: Launcher, place: How, loop: str, kind: Kind) -> None:
    """Pipe, file, socket, terminal or FIFO: the same records in each."""
    daemon = start.services(
        table("log", format="json"),
        service("talk", "sh", "-c", "echo one; echo two; exit 0", restart="never"),
        options=("--loop", loop),
        how=replace(place, stdout=kind),
    )
    assert daemon.wait() == 0
    names = [found["event"] for found in daemon.records if found["event"] != "config_loaded"]
    assert names[0] == "supervisor_started"
    assert names[-1] == "shutdown_finished"
    assert [found["message"] for found in daemon.events("output")] == ["one", "two"]
    assert names.count("child_started") == names.count("child_exited") == 1


@pytest.mark.namespace
def test_stdout_to_nowhere(start: Launcher, place: How, loop: str) -> None:
    """With stdout on /dev/null the daemon runs as ever, and the status is right."""
    daemon = start.services(
        service("talk", "sh", "-c", "echo one; exit 6", restart="never"),
        options=("--loop", loop),
        how=replace(place, stdout="null"),
    )
    assert daemon.wait() == 6


def test_the_flags_of_a_shared_stdout_are_left_alone(start: Launcher, loop: str) -> None:
    """O_NONBLOCK is a flag of the open file: setting it would change the pipe for everyone who shares it."""
    daemon = start.services(service("web", "sleep", "infinity", stdout="inherit"), options=("--loop", loop))
    daemon.wait_event("child_started")
    with open(f"/proc/{daemon.pid}/fdinfo/1", encoding="ascii") as file:
        flags = next(int(line.split()[1], 8) for line in file if line.startswith("flags"))
    assert not flags & os.O_NONBLOCK


def test_records_can_go_to_a_file(start: Launcher, loop: str) -> None:
    """`[log] to` with a path puts the records there, appended, and nothing on stdout."""
    log = os.path.join(start.folder, "events.log")
    with open(log, "w", encoding="utf-8") as file:
        file.write('{"kept":true}\n')
    daemon = start.services(table("log", to=log), service("web", "true", restart="never"), options=("--loop", loop))
    assert daemon.wait() == 0
    with open(log, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert lines[0] == {"kept": True}
    assert [lines[1]["event"], lines[-1]["event"]] == ["supervisor_started", "shutdown_finished"]
    assert daemon.text("stdout") == ""


@pytest.mark.parametrize("style", ["logfmt", "console"])
def test_the_other_formats(start: Launcher, loop: str, style: str) -> None:
    """The formats logfmt and console name event and service on each line, in no colour where NO_COLOR is set."""
    daemon = start.services(
        table("log", format=style),
        service("web", "sh", "-c", "echo some words", restart="never"),
        options=("--loop", loop),
        how=How(pure=False, environment={"NO_COLOR": "1"}),
    )
    assert daemon.wait() == 0
    lines = daemon.text("stdout").splitlines()
    assert any("child_exited" in line and "web" in line for line in lines)
    assert any("some words" in line for line in lines)
    assert "\x1b" not in daemon.text("stdout")


def test_the_level_filters(start: Launcher) -> None:
    """From level error up, only what failed for good is told, and `seq` still has no gap."""
    daemon = start.services(table("log", level="error"), service("web", "sh", "-c", "exit 9", restart="never"))
    assert daemon.wait() == 9
    assert {found["level"] for found in daemon.records} == {"error"}
