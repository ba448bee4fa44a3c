"""The single-command form: one program under a proper PID 1, nothing else changed for it."""

import os
from dataclasses import replace

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service


@pytest.mark.namespace
@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_the_exit_status_is_that_of_the_command(start: Launcher, place: How, loop: str, code: int) -> None:
    """Whatever the command exits with is what the daemon exits with."""
    daemon = start.single("sh", "-c", f"exit {code}", options=("--loop", loop), how=place)
    assert daemon.wait() == code
    assert daemon.wait_event("child_exited", service="main")["exit_code"] == code


@pytest.mark.namespace
@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("KILL", 137), ("ABRT", 134)])
def test_death_by_a_signal(start: Launcher, place: How, name: str, code: int) -> None:
    """A command killed by signal N gives 128 + N."""
    daemon = start.single("sh", "-c", f"kill -{name} $$", how=replace(place, directory=start.folder))
    assert daemon.wait() == code


@pytest.mark.namespace
def test_term_gives_143(start: Launcher, place: How, loop: str) -> None:
    """TERM ends a command that does not handle it, and the status says so, ordered or not."""
    daemon = start.single("sleep", "infinity", options=("--loop", loop), how=place)
    daemon.wait_event("child_started")
    assert daemon.stop() == 143


@pytest.mark.namespace
def test_arguments_arrive_unchanged(start: Launcher, place: How) -> None:
    """Empty arguments, `--`, options that look like ours, blanks, quotes and bytes that are no text arrive as given."""
    arguments = ["once", "", "--", "--loop", "x", "-c", "two words", "'\"\\", "$HOME", "\udcff", "-v"]
    report = os.path.join(start.folder, "report")
    daemon = start.single(*program("describe", report, *arguments), how=place)
    assert daemon.wait() == 0
    with open(f"{report}", encoding="utf-8") as file:
        assert '"arguments": ["once", "", "--", "--loop", "x", "-c", "two words", ' in file.read()


@pytest.mark.namespace
def test_stdin_is_the_command_s(start: Launcher, place: How, loop: str) -> None:
    """What comes in on stdin reaches the command, and its end does too."""
    daemon = start.single("cat", options=("--loop", loop), how=replace(place, stdin="pipe"))
    daemon.write(b"to the command\n")
    daemon.wait_text("to the command")
    os.close(daemon.ends.ours.pop("stdin"))
    assert daemon.wait() == 0
    assert daemon.text("stdout") == "to the command\n"


@pytest.mark.namespace
def test_nothing_is_said_unless_something_is_wrong(start: Launcher, place: How, loop: str) -> None:
    """By default stdout is the command's alone, and stderr is silent as PID 1."""
    daemon = start.daemon(
        "run", "--loop", loop, "--", "sh", "-c", "echo mine", how=replace(place, events_on="stderr", pure=False)
    )
    assert daemon.wait() == 0
    assert daemon.text("stdout") == "mine\n"
    assert all(found["level"] in {"warning", "error", "critical"} for found in daemon.records)
    if place.pid1:
        assert daemon.text("stderr") == ""


@pytest.mark.namespace
def test_records_go_where_they_are_sent(start: Launcher, place: How) -> None:
    """`--log-to` and `--log-level` put the records into a file, and `--log-format` shapes them."""
    log = os.path.join(start.folder, "events.log")
    options = ("--log-to", log, "--log-level", "info", "--log-format", "logfmt")
    daemon = start.daemon("run", *options, "--", "true", how=replace(place, pure=False))
    assert daemon.wait() == 0
    with open(log, encoding="utf-8") as file:
        assert "event=child_exited" in file.read()
    assert daemon.text("stderr") == daemon.text("stdout") == ""


@pytest.mark.parametrize(("code", "expected"), [("7", 0), ("8", 8), ("0", 0), ("143", 0)])
def test_statuses_that_count_as_success(start: Launcher, code: str, expected: int) -> None:
    """`--success-exit-code` turns statuses into 0, repeatably."""
    options = ("--success-exit-code", "7", "--success-exit-code", "143")
    assert start.single("sh", "-c", f"exit {code}", options=options).wait() == expected


def test_a_termination_that_counts_as_success(start: Launcher) -> None:
    """143 by a TERM that we passed on becomes 0 when told so, as the JVM's users ask for."""
    daemon = start.single("sleep", "infinity", options=("--success-exit-code", "143"))
    daemon.wait_event("child_started")
    assert daemon.stop() == 0


@pytest.mark.namespace
@pytest.mark.parametrize(("rule", "line"), [("TERM:QUIT", "QUIT"), ("15:3", "QUIT"), ("SIGTERM:SIGUSR1", "USR1")])
def test_a_rewritten_signal(start: Launcher, place: How, rule: str, line: str) -> None:
    """`--rewrite-signal` sends the command another signal, given by names or numbers."""
    daemon = start.single(
        *program("actor", f"{line}=exit:6", "CONT=stay", "any=exit:1"), options=("--rewrite-signal", rule), how=place
    )
    daemon.wait_lines(1)
    assert daemon.stop("TERM") == 6
    assert daemon.wait_lines(2)[1] == line


@pytest.mark.namespace
def test_a_signal_rewritten_to_none(start: Launcher, place: How) -> None:
    """A signal rewritten to `none` does not reach the command; repeated rules add up."""
    daemon = start.single(
        *program("actor", "any=stay", "TERM=exit:0"),
        options=("--rewrite-signal", "HUP:none", "--rewrite-signal", "USR1:WINCH"),
        how=place,
    )
    daemon.wait_lines(1)
    daemon.signal("HUP")
    daemon.signal("USR1")
    assert daemon.wait_lines(2)[1] == "WINCH"
    assert daemon.stop() == 0
    assert "HUP" not in daemon.wait_lines(3)


@pytest.mark.namespace
@pytest.mark.parametrize(("scope", "count"), [(None, 2), ("group", 2), ("process", 1)])
def test_the_scope_of_forwarded_signals(start: Launcher, pid1: How, scope: str | None, count: int) -> None:
    """A signal goes to the command's whole group by default, with `process` to the command alone."""
    actor = " ".join(program("actor", "any=stay", "TERM=exit:0"))
    options = ("--signal-scope", scope) if scope else ()
    daemon = start.single("sh", "-c", f"{actor} & exec {actor}", options=options, how=pid1)
    daemon.wait_lines(2)
    daemon.signal("USR1")
    daemon.wait_lines(2 + count)
    daemon.signal("USR2")
    daemon.wait_lines(2 + 2 * count)
    assert daemon.stop() == 0
    lines = daemon.wait_lines(2 + 2 * count)
    assert (lines.count("USR1"), lines.count("USR2")) == (count, count)


def test_the_death_of_the_parent_ends_us_when_told(start: Launcher) -> None:
    """With `--parent-death-signal` the death of the daemon's own parent is a signal to the daemon, as under tini -p."""
    daemon = start.single(
        *program("actor", "TERM=exit:0"),
        options=("--parent-death-signal", "TERM"),
        how=How(launcher=("sh", "-c", '"$@"; exit $?', "sh")),
    )
    daemon.wait_lines(1)
    daemon.remember()
    os.kill(int(procfs.status(daemon.pid)["PPid"]), 9)
    daemon.wait_event("shutdown_finished")
    assert daemon.wait() == 137
    procfs.wait_until(lambda: not procfs.alive(daemon.pid), "the daemon has ended")
    assert daemon.wait_lines(2)[1] == "TERM"


@pytest.mark.namespace
def test_orphans_are_waited_for_when_told(start: Launcher, place: How, loop: str) -> None:
    """With `--wait-for-orphans` what the command left running may finish; the status is the command's."""
    gate = os.path.join(start.folder, "gate")
    os.mkfifo(gate)
    daemon = start.single(
        "sh",
        "-c",
        f"(read line < {gate}; echo $line) & exit 3",
        options=("--loop", loop, "--wait-for-orphans"),
        how=place,
    )
    daemon.wait_event("child_exited", exit_code=3)
    with open(gate, "w", encoding="ascii") as file:
        file.write("late\n")
    assert daemon.wait() == 3
    assert daemon.text("stdout") == "late\n"
    assert len(daemon.events("orphan_exited")) == 1


@pytest.mark.namespace
@pytest.mark.parametrize("options", [(), ("--no-wait-for-orphans",)])
def test_orphans_are_not_waited_for_by_default(start: Launcher, pid1: How, options: tuple[str, ...]) -> None:
    """When the command has ended, so has the daemon, whatever the command left running."""
    daemon = start.single("sh", "-c", "sleep infinity & exit 3", options=options, how=pid1)
    assert daemon.wait() == 3


@pytest.mark.parametrize(("options", "left"), [((), 0), (("--no-wait-for-orphans",), 1)])
def test_orphans_where_the_kernel_ends_none(start: Launcher, options: tuple[str, ...], left: int) -> None:
    """Not PID 1: what the command left running is ended by default, left alone with `--no-wait-for-orphans`."""
    daemon = start.single(*program("orphans", "1", "stay", "exit"), options=options)
    daemon.wait_text("done")
    orphan = int(daemon.text("stdout").split()[1])
    identity = procfs.identity(orphan)
    assert daemon.wait() == 0
    assert len(procfs.survivors([identity] if identity else [])) == left
    if left:
        os.kill(orphan, 9)
        procfs.wait_until(lambda: not procfs.alive(orphan), "the orphan is dead")


@pytest.mark.namespace
def test_a_command_beside_services(start: Launcher, place: How, loop: str) -> None:
    """COMMAND together with `-c` is the main service: its end stops the others, its status is ours."""
    daemon = start.services(
        service("web", *program("actor", "TERM=exit:0")),
        options=("--loop", loop, "--log-to", "stderr", "--log-level", "info", "--", "sh", "-c", "read line; exit 4"),
        how=replace(place, stdin="pipe", events_on="stderr", pure=False),
    )
    daemon.wait_line("ready", service="web")
    daemon.write(b"go\n")
    assert daemon.wait() == 4
    assert daemon.wait_event("child_exited", service="web")["exit_code"] == 0


def test_the_command_line_is_checked(start: Launcher) -> None:
    """A wrong option, signal or scope ends with 2 and a text on stderr, and nothing is started."""
    wrong = [
        ("--no-such-option",),
        ("--rewrite-signal", "TERM"),
        ("--rewrite-signal", "NONSENSE:TERM"),
        ("--signal-scope", "everybody"),
        ("--success-exit-code", "300"),
        ("--parent-death-signal", "NONSENSE"),
        ("--loop", "none"),
    ]
    for options in wrong:
        daemon = start.daemon("run", *options, "--", "echo", "started", how=How(pure=False))
        assert daemon.wait() == 2, options
        assert daemon.text("stdout") == "", options
        assert daemon.text("stderr") != "", options
