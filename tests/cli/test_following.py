"""logs and events: what has been written, and what comes."""

import json
import signal

import pytest

from tests.cli.conftest import Talking
from tests.cli.talking import Talker
from tests.harness import Daemon
from tests.helpers.settings import service, table

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
CHATTY = service(
    "web", "sh", "-c", "trap 'echo again' USR1; echo one; echo two; echo oops >&2; while :; do sleep 0.05; done"
)
OTHER = service("database", "sh", "-c", "echo ready; exec sleep 1000")


def chatting(talk: Talking, *more: str) -> tuple[Daemon, Talker]:
    """A daemon whose services have said something."""
    daemon, say = talk(QUIET, CHATTY, OTHER, *more)
    daemon.wait_line("oops")
    daemon.wait_line("ready")
    return daemon, say


# Lines


def test_lines_behind_the_names(talk: Talking) -> None:
    """Each line once, behind the name of its service in a column; another bar for stderr; no colour in a pipe."""
    _, say = chatting(talk)
    done = say("logs")
    assert (done.code, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == [
        "database | ready",
        "web      ! oops",
        "web      | one",
        "web      | two",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["web"], ["one", "two", "oops"]),
        (["data*"], ["ready"]),
        (["--stream", "stderr"], ["oops"]),
        (["-n", "1", "database"], ["ready"]),
        (["--lines", "0"], []),
    ],
)
def test_which_lines(talk: Talking, arguments: list[str], expected: list[str]) -> None:
    """Of which services, from which stream, how many of each."""
    _, say = chatting(talk)
    lines = [json.loads(line)["message"] for line in say("logs", "--json", *arguments).stdout.splitlines()]
    assert sorted(lines) == sorted(expected)


def test_lines_as_records(talk: Talking) -> None:
    """With ``--json`` each is the record it is in the daemon's own log."""
    _, say = chatting(talk)
    for line in say("logs", "--json").stdout.splitlines():
        record = json.loads(line)
        assert record["event"] == "output"
        assert {"timestamp", "service", "pid", "stream", "message"} <= set(record)


def test_an_unknown_service_has_no_lines(talk: Talking) -> None:
    """A mistake in the name is told, and not waited for."""
    _, say = chatting(talk)
    done = say("logs", "-f", "wed")
    assert (done.code, done.stdout) == (1, "")
    assert "did you mean web?" in done.stderr


def test_lines_that_come(talk: Talking) -> None:
    """They are shown at once, also in a pipe; ^C ends it as a ^C, without a word."""
    daemon, say = chatting(talk)
    with say.begin("logs", "-f", "-n", "0", "web", stdout="pipe", stderr="pipe") as running:
        while not running.out.contains("again"):
            say("signal", "USR1", "--scope", "process", "web")
            running.out.wait(lambda: running.out.contains("again"), 0.5)
        running.press("\x03")
        assert running.wait() == -signal.SIGINT
        assert set(running.text.splitlines()) == {"web | again"}
        assert running.err.raw == b""
    assert daemon.code is None


def test_following_ends_with_the_daemon(talk: Talking) -> None:
    """An orderly end is no failure; the last lines are read before it."""
    daemon, say = talk(
        QUIET, service("web", "sh", "-c", "trap 'echo last; exit' TERM; echo armed; while :; do sleep 0.05; done")
    )
    daemon.wait_line("armed")
    with say.begin("logs", "-f", stdout="pipe", stderr="pipe") as running:
        running.wait_for("armed")
        assert daemon.stop() == 0
        assert running.wait() == 0
        assert {"web | armed", "web | last"} <= set(running.text.splitlines())
        assert running.err.raw == b"pausevisor: the daemon has ended\n"


@pytest.mark.parametrize("verb", ["logs", "events"])
def test_a_daemon_that_is_killed(talk: Talking, verb: str) -> None:
    """That is no end, and the exit code says so."""
    daemon, say = talk(QUIET, service("web", "sh", "-c", "echo armed; exec sleep 1000"))
    daemon.wait_line("armed")
    daemon.remember()
    with say.begin(
        verb, "-f", *(["--since", "0"] if verb == "events" else []), stdout="pipe", stderr="pipe"
    ) as running:
        running.wait_for("armed" if verb == "logs" else "child_started")
        daemon.signal("KILL")
        assert running.wait() == 69
        assert b"has gone away" in running.err.raw
    daemon.wait()
    daemon.checked = False


def test_a_terminal_gets_a_colour_for_each_service(talk: Talking) -> None:
    """The same for each line of a service; none of them with ``NO_COLOR``."""
    _, say = chatting(talk)
    with say.begin("logs") as running:
        assert running.wait() == 0
        colours = {line.split("m", 1)[0]: line for line in running.text.splitlines()}
        assert len(colours) == 2
        assert running.shown.count("\n") == 4
    with say.begin("logs", variables={"NO_COLOR": "1"}) as running:
        assert running.wait() == 0
        assert "\x1b" not in running.text


def test_what_a_service_writes_can_not_take_the_terminal(talk: Talking) -> None:
    """Colours of programs are left to them; everything else that a terminal would obey is shown instead."""
    text = r"printf '\033[31mred\033[0m \033]0;title\007 \033[2J\rback\n'; exec sleep 1000"
    daemon, say = talk(QUIET, service("web", "sh", "-c", text))
    daemon.wait_event("output")
    with say.begin("logs") as running:
        assert running.wait() == 0
        assert "\x1b[31mred\x1b[0m " in running.text
        assert r"\x1b]0;title\x07 \x1b[2J\x0dback" in running.text
        assert "\x1b[2J" not in running.text
    assert "\x1b[2J" in say("logs").stdout


# Events


def test_events_for_people(talk: Talking) -> None:
    """In the form of the daemon's own log on a terminal: time, level, event, service, the rest."""
    _, say = chatting(talk)
    done = say("events")
    assert (done.code, done.stderr) == (0, "")
    started = [line for line in done.stdout.splitlines() if " child_started " in line]
    assert len(started) == 2
    assert " web pid=" in started[0]
    assert "\x1b" not in done.stdout
    with say.begin("events") as running:
        assert running.wait() == 0
        assert "\x1b[36mweb" in running.text


def test_events_as_records(talk: Talking) -> None:
    """The same lines that the daemon writes, but for those of the children."""
    daemon, say = chatting(talk)
    found = [json.loads(line) for line in say("events", "--json").stdout.splitlines()]
    written = [record for record in daemon.records if record["event"] != "output"]
    assert found == written[: len(found)]
    assert found[0]["event"] == "supervisor_started"
    later = [json.loads(line) for line in say("events", "--json", "--since", str(found[3]["seq"])).stdout.splitlines()]
    assert later[0]["seq"] > found[3]["seq"]
    assert later == written[4 : 4 + len(later)]


def test_events_of_services(talk: Talking) -> None:
    """Only of those that are named, by name or pattern."""
    _, say = chatting(talk)
    found = [json.loads(line) for line in say("events", "--json", "data*").stdout.splitlines()]
    assert {record["service"] for record in found} == {"database"}
    assert say("events", "nobody").code == 1


def test_events_that_come(talk: Talking) -> None:
    """Only new ones unless ``--since`` says otherwise."""
    daemon, say = chatting(talk)
    with say.begin("events", "-f", "--json", stdout="pipe", stderr="pipe") as running:
        say("ping")  # the follower may not be there yet: what it shows is what comes after it came
        while not running.out.records:
            say("restart", "database")
        daemon.signal("TERM")
        assert running.wait() == 0
        names = [record["event"] for record in running.out.records]
        assert names[-1] == "shutdown_finished"
        assert "supervisor_started" not in names


# Many at once


def test_followers_and_clients_in_a_storm_of_restarts(talk: Talking) -> None:
    """While services restart without a pause followers miss nothing unsaid, and clients get their answers."""
    storm = [
        service(f"s{number}", "sh", "-c", "echo up; sleep 0.02; exit 1", restart="always", restart_delay="1ms",
                restart_max_delay="1ms", restart_limit="none")
        for number in range(6)
    ]  # fmt: skip
    daemon, say = talk(QUIET, *storm, service("calm", "sleep", "1000"))
    with (
        say.begin("events", "-f", "--json", "--since", "0", stdout="pipe", stderr="pipe") as events,
        say.begin("logs", "-f", "--json", stdout="pipe", stderr="pipe") as lines,
    ):
        events.wait_for("child_started")
        for _ in range(5):
            assert say("status").code in (0, 1)
            assert say("restart", "calm").code == 0
        assert say.json("stop", "--all")["ok"]
        daemon.assert_no_zombie()
        assert daemon.stop() == 0
        assert (events.wait(), lines.wait()) == (0, 0)
        found = events.out.records
    position = found[0]["seq"] - 1
    for record in found:
        if record["event"] == "events_missed":
            assert record["from"] == position + 1
            position = record["to"]
        else:
            position = record["seq"]
    written = [record for record in daemon.records if record["event"] != "output"]
    missed = sum(one["to"] - one["from"] + 1 for one in found if one["event"] == "events_missed")
    if not missed:
        assert found == written
    assert len([one for one in found if one["event"] == "child_started"]) > 100 or missed
    assert {record["event"] for record in lines.out.records} <= {"output", "lines_missed"}
