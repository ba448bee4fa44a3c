"""status: what it shows, in which form, and when all is well."""

import json
import re
import signal

import jsonschema  # type: ignore[import-untyped]
import pytest

from supervisor.control.schemas import SERVICE
from tests.cli.conftest import Talking
from tests.helpers.settings import service, table

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000")
DB = service("db", "sleep", "1000")
DONE = service("done", "true", restart="never")
BAD = service("bad", "sh", "-c", "exit 3", restart="never")
HEAD = ["NAME", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "READY", "WHY"]


def rows(text: str) -> dict[str, list[str]]:
    """The lines of a table by their first word, each split into its columns."""
    return {line.split()[0]: line.split(maxsplit=8) for line in text.splitlines()}


def test_a_pipe_gets_plain_aligned_text(talk: Talking) -> None:
    """A head line and a line each: words in columns, no colour, no border; the pid is the process's."""
    daemon, say = talk(QUIET, WEB, DONE)
    pid = daemon.wait_event("child_started", service="web")["pid"]
    daemon.wait_event("service_state_changed", service="done", to="completed")
    done = say("status")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    head, *_ = lines = done.stdout.splitlines()
    assert head.split() == HEAD
    assert rows(done.stdout)["web"][:3] == ["web", "running", str(pid)]
    assert rows(done.stdout)["web"][7] == "yes"
    assert rows(done.stdout)["done"][:3] == ["done", "completed", "-"]
    assert {line.index(" running") for line in lines if " running" in line} <= {head.index("STATE") - 1}


def test_forced_colour_does_not_change_what_a_pipe_gets(talk: Talking) -> None:
    """A table in a pipe is for programs."""
    _, say = talk(QUIET, WEB)
    assert "\x1b" not in say("status", variables={"FORCE_COLOR": "1"}).stdout


@pytest.mark.parametrize(
    ("tables", "event", "code"),
    [
        ([WEB], {"to": "running"}, 0),
        ([WEB, DONE], {"to": "completed"}, 0),
        ([WEB, BAD], {"to": "failed"}, 1),
        ([service("again", "false", restart_delay="60s")], {"to": "backoff"}, 1),
    ],
    ids=["running", "completed", "failed", "backoff"],
)
def test_the_exit_code_says_whether_all_is_well(
    talk: Talking, tables: list[str], event: dict[str, str], code: int
) -> None:
    """0 when everything runs or is completed; 1 when something has failed, or is not up though it should be."""
    daemon, say = talk(QUIET, *tables)
    daemon.wait_event("service_state_changed", **event)
    assert say("status").code == code
    assert say("status", "--json").code == code


def test_stopped_on_purpose_is_well(talk: Talking) -> None:
    """What an order has stopped is as it should be."""
    _, say = talk(QUIET, WEB, DB)
    assert say("stop", "web").code == 0
    done = say("status")
    assert rows(done.stdout)["web"][1] == "stopped"
    assert done.code == 0


def test_stopped_is_not_unhealthy(talk: Talking) -> None:
    """What its probes said before it was stopped is said no longer, neither here nor by the exit code."""
    probed = {"health": {"file": "/nonexistent", "interval": "10ms", "failures": 1, "action": "report"}}
    daemon, say = talk(QUIET, service("web", "sleep", "1000", **probed))
    daemon.wait_event("health_changed", healthy=False)
    assert say.json("status", code=1)["services"][0]["healthy"] is False
    assert say("stop", "web").code == 0
    assert say.json("status")["services"][0]["healthy"] is None


def test_only_those_that_are_named_count(talk: Talking) -> None:
    """Names and patterns choose what is shown and judged, in the order of the configuration."""
    daemon, say = talk(QUIET, service("web-a", "sleep", "1000"), service("web-b", "sleep", "1000"), BAD)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    assert say("status", "bad").code == 1
    done = say("status", "web-b", "web*")
    assert (done.code, list(rows(done.stdout))) == (0, ["NAME", "web-a", "web-b"])


def test_why_is_told(talk: Talking) -> None:
    """Of what is not well, how the last process ended and what follows."""
    daemon, say = talk(
        QUIET,
        BAD,
        service("killed", "sh", "-c", "kill -KILL $$", restart_delay="60s"),
        service("limited", "sh", "-c", "exit 4", restart_delay="1ms", restart_limit={"count": 2, "within": "60s"}),
        service("missing", "/nowhere", restart="never"),
        service("vain", "/nowhere", restart_delay="1ms", restart_limit={"count": 1, "within": "60s"}),
        service("busy", "true", restart="always", restart_delay="1ms", restart_limit={"count": 1, "within": "60s"}),
    )
    for name in ("bad", "limited", "missing", "vain", "busy"):
        daemon.wait_event("service_state_changed", service=name, to="failed")
    daemon.wait_event("service_state_changed", service="killed", to="backoff")
    found = rows(say("status").stdout)
    assert found["bad"][8] == "exit code 3"
    assert re.fullmatch(r"killed by SIGKILL, starts again in (\d\ds|1m\d\ds)", found["killed"][8])
    assert found["limited"][8] == "exit code 4, its restart limit is reached"
    assert found["missing"][8] == "its process could not be started"
    assert found["vain"][8] == "its process could not be started, its restart limit is reached"
    assert found["busy"][8] == "its restart limit is reached"


def test_a_suspended_process_is_told(talk: Talking) -> None:
    """It has its pid and its state, and does nothing: nobody would find that out."""
    daemon, say = talk(QUIET, WEB)
    assert say("signal", "STOP", "web").code == 0
    daemon.wait_event("child_stopped", service="web")
    assert rows(say("status").stdout)["web"][7:9] == ["no", "stopped by a signal, and waits for SIGCONT"]
    assert say.json("status", code=1)["services"][0]["suspended"] is True
    done = say("ping", "--ready")
    assert (done.code, done.stderr) == (1, "pausevisor: not ready: web is suspended\n")
    assert say("signal", "CONT", "web").code == 0
    daemon.wait_event("child_continued", service="web")
    assert say.json("status")["services"][0]["suspended"] is False


def test_many_names(talk: Talking) -> None:
    """More names than the daemon takes at once, as a shell may expand them."""
    names = [f"s{number}" for number in range(150)]
    _, say = talk(QUIET, *(service(name, "sleep", "1000", stdout="null", stderr="null") for name in names))
    done = say("status", *names, "--json")
    assert [one["name"] for one in json.loads(done.stdout)["services"]] == names


def test_an_unknown_name_is_told_with_the_nearest(talk: Talking) -> None:
    """All names that mean nothing, each with what was probably meant; nothing is shown."""
    _, say = talk(QUIET, WEB, DB)
    done = say("status", "wbe", "db", "x*")
    assert (done.code, done.stdout) == (1, "")
    assert "no service 'wbe'; did you mean web?" in done.stderr
    assert "no service matches 'x*'" in done.stderr
    assert "there are db, web" in say("status", "zzzzzz").stderr


def test_json_has_the_shape_of_the_api(talk: Talking) -> None:
    """Each service as the OpenAPI document describes it, and whether all is well."""
    daemon, say = talk(QUIET, WEB, BAD, DONE)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    found = say.json("status", code=1)
    assert (set(found), found["ok"]) == ({"ok", "services"}, False)
    assert [one["name"] for one in found["services"]] == ["web", "bad", "done"]
    for one in found["services"]:
        jsonschema.Draft202012Validator(SERVICE).validate(one)
    assert say.json("status", "web")["ok"] is True


def test_nothing_configured_is_said(talk: Talking) -> None:
    """A daemon without services is asked like any other."""
    _, say = talk()
    assert say.json("status") == {"ok": True, "services": []}


# On a terminal


def test_a_terminal_gets_colours(talk: Talking) -> None:
    """States in colour, the daemon above and a count below; no border."""
    daemon, say = talk(QUIET, WEB, BAD)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    with say.begin("status") as running:
        assert running.wait() == 1
        assert "\x1b[32mrunning" in running.text
        assert "\x1b[1;31mfailed" in running.text
        first, head, *_, last = running.shown.splitlines()
    assert f"pid {daemon.pid}" in first
    assert head.split() == HEAD
    assert last == "2 services: 1 running, 1 failed"


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}], ids=str)
def test_colours_can_be_refused(talk: Talking, variables: dict[str, str]) -> None:
    """``NO_COLOR`` goes before everything; the table stays."""
    _, say = talk(QUIET, WEB)
    with say.begin("status", variables=variables) as running:
        assert running.wait() == 0
        assert "\x1b" not in running.text
        assert "1 service: 1 running" in running.text


def test_a_dumb_terminal_gets_plain_text(talk: Talking) -> None:
    """What can't move its cursor gets what a pipe gets."""
    _, say = talk(QUIET, WEB)
    with say.begin("status", variables={"TERM": "dumb"}) as running:
        assert running.wait() == 0
        assert "\x1b" not in running.text
        assert running.shown.split()[: len(HEAD)] == HEAD


@pytest.mark.parametrize("width", [30, 46, 60, 80, 200])
def test_a_narrow_terminal_loses_columns_and_no_lines(talk: Talking, width: int) -> None:
    """No line is longer than the terminal is wide; name and state are always whole, numbers go first."""
    daemon, say = talk(QUIET, WEB, BAD)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    with say.begin("status", size=(width, 30)) as running:
        running.wait()
        lines = running.shown.splitlines()[1:-1]
    assert max(map(len, lines)) <= width
    assert [line.split()[:2] for line in lines] == [["NAME", "STATE"], ["web", "running"], ["bad", "failed"]]
    assert ("CPU" in lines[0]) == (width >= 80)


# Watching


def test_watching_shows_what_happens(talk: Talking) -> None:
    """The table is drawn again on another screen when something happens; ^C gives the first one back, and is a ^C."""
    _, say = talk(QUIET, WEB, DB)
    with say.begin("status", "--watch") as running:
        running.wait_for("2 services: 2 running")
        assert running.text.startswith("\x1b[?1049h")
        assert say("stop", "web").code == 0
        running.wait_for("2 services: 1 running, 1 stopped")
        running.press("\x03")
        assert running.wait() == -signal.SIGINT
        assert running.text.rstrip().endswith("\x1b[?25h\x1b[?1049l")
        assert "Traceback" not in running.text


def test_watching_more_than_there_is_room_for(talk: Talking) -> None:
    """The table is cut with a word about it, and the count stays in view."""
    _, say = talk(QUIET, *(service(f"s{number}", "sleep", "1000") for number in range(20)))
    with say.begin("status", "--watch", size=(80, 10)) as running:
        running.wait_for("20 services: 20 running")
        running.press("\x03")
        running.wait()
        first = running.shown.split("20 running", 1)[0].splitlines()
    assert len(first) == 10
    assert "… 14 more" in first[-2]


def test_the_daemon_goes_away_while_it_is_watched(talk: Talking) -> None:
    """The screen is given back, it is said, and the exit code is that of no daemon."""
    daemon, say = talk(QUIET, WEB)
    with say.begin("status", "--watch", stderr="pipe") as running:
        running.wait_for("1 service: 1 running")
        daemon.signal("TERM")
        assert running.wait() == 69
        assert "daemon" in running.err.raw.decode()
        assert running.text.rstrip().endswith("\x1b[?1049l")


def test_watching_in_a_pipe(talk: Talking) -> None:
    """A line of JSON for each change, and no control sequence; without ``--json`` a table for each."""
    daemon, say = talk(QUIET, WEB)
    with say.begin("status", "--watch", "--json", stdout="pipe") as running:
        running.wait_for('"state": "running"')
        for number in range(6):  # it looks again, and finds nothing new
            say("signal", "CONT", "web")
            daemon.wait_events(number + 1, "signal_forwarded")
        say("stop", "web")
        running.wait_for('"state": "stopped"')
        running.press("\x03")
        assert running.wait() == -signal.SIGINT
        lines = running.text.splitlines()
    states = [json.loads(line)["services"][0]["state"] for line in lines]
    assert [state for state in states if state != "stopping"] == ["running", "stopped"]


def test_a_thousand_services(talk: Talking) -> None:
    """All of them, each once, in a time that nobody waits for."""
    names = [f"s{number}" for number in range(1000)]
    daemon, say = talk(QUIET, *(service(name, "sleep", "1000", stdout="null", stderr="null") for name in names))
    daemon.wait_events(1000, "service_state_changed", to="running")
    assert [one["name"] for one in say.json("status")["services"]] == names
    assert len(say("status").stdout.splitlines()) == 1001
