"""start, stop, restart, kill, signal and scale: to whom, waited for or not, and what is said about it."""

import json
import os
import re
import signal

import pytest

from tests.cli.conftest import Talking
from tests.cli.talking import Talker
from tests.harness import Daemon
from tests.helpers.settings import service, table

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000")
DB = service("db", "sleep", "1000")


def stubborn(name: str, **settings: object) -> str:
    """A service that only KILL ends."""
    script = "trap '' TERM; echo armed; while :; do sleep 1; done"
    return service(name, "sh", "-c", script, stop_timeout="60s", **settings)


def lazy(name: str, **settings: object) -> str:
    """A service that takes its time to end."""
    script = "trap 'sleep 0.2; exit' TERM; echo armed; while :; do sleep 0.05; done"
    return service(name, "sh", "-c", script, **settings)


STUBBORN = stubborn("stubborn")
BAD = service("bad", "/nowhere", restart="never")

RESULT = {"service", "outcome", "detail", "state", "reason", "pid", "exit_code", "signal_name"}


def states(say: Talker) -> dict[str, str]:
    """The state of each service."""
    return {one["name"]: one["state"] for one in json.loads(say("status", "--json").stdout)["services"]}


def pids(daemon: Daemon) -> list[int]:
    """The processes that were started."""
    return [found["pid"] for found in daemon.events("child_started")]


def test_down_and_up_again(talk: Talking) -> None:
    """Each order is waited for: the line says how it is now, and it is so."""
    daemon, say = talk(QUIET, WEB, DB)
    done = say("stop", "web")
    assert (done.code, done.stdout, done.stderr) == (0, "web  stopped\n", "")
    assert states(say) == {"web": "stopped", "db": "running"}
    done = say("start", "web")
    pid = daemon.wait_events(3, "child_started")[-1]["pid"]
    assert (done.code, done.stdout, done.stderr) == (0, f"web  running    pid {pid}\n", "")
    done = say("restart", "web", "db")
    assert done.code == 0
    started = {one["service"]: one["pid"] for one in daemon.wait_events(5, "child_started")[3:]}
    # both at once: who is up first is a matter of chance
    expected = {f"{name:3}  running    pid {pid}" for name, pid in started.items()}
    assert set(done.stdout.splitlines()) == expected
    assert say("kill", "db").code == 0
    assert daemon.wait_event("child_exited", service="db", signal_name="SIGKILL")


def test_patterns_and_all(talk: Talking) -> None:
    """A pattern means all that match; ``--all`` means all there are; who is meant twice is ordered once."""
    daemon, say = talk(QUIET, service("web-a", "sleep", "1000"), service("web-b", "sleep", "1000"), DB)
    daemon.wait_events(3, "child_started")
    assert say("restart", "web-b", "web*", "web-b").code == 0
    assert len(pids(daemon)) == 5
    assert say("stop", "--all").code == 0
    assert set(states(say).values()) == {"stopped"}
    assert say("start", "web-[a]").code == 0
    assert states(say) == {"web-a": "running", "web-b": "stopped", "db": "stopped"}


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "kill", "signal"])
def test_a_wrong_name_stops_everything(talk: Talking, verb: str) -> None:
    """Nothing is done to the others either, and that is said."""
    daemon, say = talk(QUIET, WEB, DB)
    daemon.wait_events(2, "child_started")
    done = say(verb, *(["HUP"] if verb == "signal" else []), "web", "dbx")
    assert (done.code, done.stdout) == (1, "")
    assert "no service 'dbx'; did you mean db?" in done.stderr
    assert "nothing was" in done.stderr
    assert states(say) == {"web": "running", "db": "running"}
    assert len(pids(daemon)) == 2
    assert daemon.events("signal_forwarded") == []


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "kill"])
def test_somebody_has_to_be_meant(talk: Talking, verb: str) -> None:
    """No name is a mistake and not all of them; names and ``--all`` contradict each other."""
    _, say = talk(QUIET, WEB)
    assert say(verb).code == 2
    done = say(verb, "web", "--all")
    assert (done.code, states(say)) == (2, {"web": "running"})


def test_json_results(talk: Talking) -> None:
    """One object: whether all is done, and what came of the order for each."""
    daemon, say = talk(QUIET, WEB, BAD)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    found = say.json("restart", "web", "bad", code=1)
    assert (set(found), found["ok"], found["verb"]) == ({"ok", "verb", "results"}, False, "restart")
    web, bad = found["results"]
    assert set(web) == set(bad) == RESULT
    assert (web["service"], web["outcome"], web["state"]) == ("web", "done", "running")
    assert (bad["service"], bad["outcome"], bad["state"], bad["reason"]) == ("bad", "failed", "failed", "spawn-failed")
    assert say.json("stop", "web", "--no-wait")["results"][0]["outcome"] == "accepted"


def test_a_start_that_fails(talk: Talking) -> None:
    """Exit code 1; the line says why, and stderr where its words are."""
    daemon, say = talk(QUIET, BAD, WEB)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    done = say("start", "bad", "web")
    assert done.code == 1
    line = done.stdout.splitlines()[0]
    assert line == "bad  failed     its process could not be started"
    assert "start failed: bad; what they wrote: pausevisor logs bad" in done.stderr


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_an_attempt_that_fails(talk: Talking, verb: str) -> None:
    """It is told with its reason, and nobody waits for the next."""
    late = {"restart_delay": "1h", "restart_max_delay": "1h"}
    daemon, say = talk(QUIET, service("bad", "sh", "-c", "exit 3", ready={"file": "/nonexistent"}, **late))
    daemon.wait_event("service_state_changed", to="backoff")
    done = say(verb, "bad")
    assert done.code == 1
    assert re.fullmatch(r"bad  backoff    exit code 3, starts again in [0-9hms]+\n", done.stdout)
    assert f"{verb} failed: bad" in done.stderr


def test_not_waiting(talk: Talking) -> None:
    """The order is given, and that is all: the service is still on its way."""
    daemon, say = talk(QUIET, STUBBORN)
    daemon.wait_line("armed")
    done = say("stop", "--no-wait", "stubborn")
    assert (done.code, done.stdout.split()[:2]) == (0, ["stubborn", "stopping"])
    assert daemon.events("service_state_changed", to="stopped") == []
    assert say("kill", "stubborn").code == 0


def test_waiting_for_the_time_given(talk: Talking) -> None:
    """Exit code 1 after it; the order stands. Who was in time is told as done."""
    daemon, say = talk(QUIET, STUBBORN, WEB)
    daemon.wait_line("armed")
    done = say("stop", "--timeout", "3s", "--all")
    assert done.code == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["stubborn", "stopping"], ["web", "stopped"]]
    assert "stop is not done in time: stubborn; the order stands" in done.stderr
    assert say.json("kill", "stubborn")["ok"]
    assert daemon.wait_event("service_state_changed", service="stubborn", to="stopped")


def test_more_than_can_be_waited_for_at_once(talk: Talking) -> None:
    """Services by the hundred: all are ordered, all are waited for."""
    names = [f"s{number}" for number in range(250)]
    daemon, say = talk(QUIET, *(service(name, "sleep", "1000", stdout="null", stderr="null") for name in names))
    daemon.wait_events(250, "child_started")
    for verb, state in (("restart", "running"), ("stop", "stopped"), ("start", "running"), ("kill", "stopped")):
        done = say(verb, "--all")
        assert done.code == 0, done
        assert [line.split()[:2] for line in done.stdout.splitlines()] == [[name, state] for name in names]
    assert len(pids(daemon)) == 750


# One by one


def breakable(name: str, mark: str, **settings: object) -> str:
    """A service that does not get ready, and ends, where something stands at this path."""
    script = f"test ! -e {mark} && exec sleep 1000"
    return service(name, "sh", "-c", script, ready={"command": ["test", "!", "-e", mark]}, restart="never", **settings)


def test_rolling(talk: Talking) -> None:
    """One is down at a time: the next goes when the one before is up again."""
    daemon, say = talk(QUIET, WEB, DB, service("cache", "sleep", "1000"))
    daemon.wait_events(3, "child_started")
    assert say("restart", "--rolling", "--all").code == 0
    changes = [
        (found["service"], found["to"])
        for found in daemon.events("service_state_changed")
        if found["to"] in ("stopping", "running")
    ][3:]
    assert changes == [(name, state) for name in ("web", "db", "cache") for state in ("stopping", "running")]


def test_rolling_ends_at_the_first_that_fails(talk: Talking, tmp_path: object) -> None:
    """What comes after it keeps its process, and is named."""
    mark = f"{tmp_path}/broken"
    daemon, say = talk(QUIET, WEB, breakable("db", mark), service("cache", "sleep", "1000"))
    daemon.wait_event("service_ready", service="db")
    os.mkdir(mark)
    found = say.json("restart", "--rolling", "--all", code=1)
    outcomes = {one["service"]: one["outcome"] for one in found["results"]}
    assert outcomes == {"web": "done", "db": "failed", "cache": "untouched"}
    assert len(daemon.events("child_started", service="cache")) == 1
    assert "not begun, because of that: cache" in say("restart", "--rolling", "--all").stderr


def test_rolling_instances(talk: Talking, tmp_path: object) -> None:
    """The daemon does it, of a whole service or of some instances, and with nobody waiting; a failure ends it."""
    mark = f"{tmp_path}/broken"
    daemon, say = talk(QUIET, breakable("web", mark, replicas=3))
    daemon.wait_events(3, "service_ready")
    assert say("restart", "--rolling", "web").stdout.split()[1::4] == ["running"] * 3
    assert [found["service"] for found in daemon.events("child_started")[3:]] == ["web#1", "web#2", "web#3"]
    assert say("restart", "--rolling", "web#[23]").code == 0
    assert [found["service"] for found in daemon.events("child_started")[6:]] == ["web#2", "web#3"]
    os.mkdir(mark)
    found = say.json("restart", "--rolling", "web", code=1)
    outcomes = {one["service"]: one["outcome"] for one in found["results"]}
    assert outcomes == {"web#1": "failed", "web#2": "untouched", "web#3": "untouched"}
    assert found["results"][0]["exit_code"] == 1
    os.rmdir(mark)
    assert say("restart", "--rolling", "--no-wait", "web").code == 0
    again = daemon.wait_events(11, "service_ready")[8:]
    assert [record["service"] for record in again] == ["web#1", "web#2", "web#3"]


# Signals


def test_a_signal_by_any_name(talk: Talking) -> None:
    """It is sent, and said to be; the service goes on."""
    daemon, say = talk(
        QUIET, service("web", "sh", "-c", "trap 'echo heard' USR1; echo armed; while :; do sleep 0.1; done")
    )
    daemon.wait_line("armed")
    pid = daemon.events("child_started")[0]["pid"]
    for name in ("USR1", "sigusr1", "10"):
        done = say("signal", name, "web")
        assert (done.code, done.stdout) == (0, f"web  running    SIGUSR1 sent; pid {pid}\n")
    daemon.wait_line("heard")
    assert len(daemon.wait_events(3, "signal_forwarded", signal_name="SIGUSR1")) == 3


def test_the_scope_of_a_signal(talk: Talking) -> None:
    """The process alone, or its group."""
    daemon, say = talk(QUIET, WEB)
    assert say("signal", "CONT", "--scope", "process", "web").code == 0
    assert daemon.wait_event("signal_forwarded", signal_name="SIGCONT")["scope"] == "process"
    assert say("signal", "--scope", "group", "CONT", "web").code == 0
    assert daemon.wait_events(2, "signal_forwarded", signal_name="SIGCONT")[1]["scope"] == "group"


def test_nobody_to_signal(talk: Talking) -> None:
    """A failure for who is named, and passed over where a pattern means it as well."""
    _, say = talk(QUIET, WEB, DB)
    say("stop", "web")
    done = say("signal", "CONT", "web")
    assert (done.code, done.stdout) == (1, "web  stopped    no process to signal\n")
    assert done.stderr == "pausevisor: signal failed: web\n"
    found = say.json("signal", "CONT", "--all")
    assert {one["service"]: one["outcome"] for one in found["results"]} == {"web": "skipped", "db": "done"}


def test_no_such_signal(talk: Talking) -> None:
    """A mistake of usage."""
    _, say = talk(QUIET, WEB)
    done = say("signal", "SIGFOO", "web")
    assert (done.code, "'SIGFOO' is no signal name" in done.stderr) == (2, True)


# On a terminal


def test_progress_is_drawn_and_taken_away(talk: Talking) -> None:
    """A line for each who is waited for, on stderr; what is left is the result."""
    daemon, say = talk(QUIET, STUBBORN, WEB)
    daemon.wait_line("armed")
    with say.begin("stop", "--all", stdout="pipe") as running:
        running.wait_for("stubborn  stopping", running.terminal)
        running.wait_for("\x1b[32m✓\x1b[0m web", running.terminal)
        say("kill", "stubborn")
        assert running.wait() == 0
        assert running.text == "stubborn  stopped\nweb       stopped\n"
        assert running.terminal.raw.endswith(b"\x1b[2A\r\x1b[J")


def test_progress_says_what_is_waited_for(talk: Talking) -> None:
    """Which probe has failed, and how."""
    _, say = talk(QUIET, service("slow", "sleep", "1000", ready={"file": "/nonexistent"}))
    with say.begin("restart", "slow", stdout="pipe") as running:
        running.wait_for("file /nonexistent: No such file or directory", running.terminal)
        running.press("\x03")
        assert running.wait() == -signal.SIGINT


def test_no_progress_without_a_terminal(talk: Talking) -> None:
    """Standard error stays empty where nothing is wrong."""
    daemon, say = talk(
        QUIET, service("slow", "sh", "-c", "trap 'sleep 1; exit' TERM; echo armed; while :; do sleep 0.1; done")
    )
    daemon.wait_line("armed")
    done = say("stop", "slow")
    assert (done.code, done.stderr) == (0, "")


def test_results_on_a_terminal_have_marks(talk: Talking) -> None:
    """What went well and what did not is seen at a glance, and read without colours too."""
    daemon, say = talk(QUIET, WEB, BAD)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    with say.begin("start", "--all") as running:
        assert running.wait() == 1
        assert "\x1b[32m✓\x1b[0m web" in running.text
        assert "\x1b[1;31m✗\x1b[0m bad" in running.text
    with say.begin("start", "--all", variables={"NO_COLOR": "1"}) as running:
        assert running.wait() == 1
        assert "✓ web" in running.text
        assert "\x1b[3" not in running.text


def test_interrupted(talk: Talking) -> None:
    """^C ends the client at once and not the order; it is said which, and there is no traceback."""
    daemon, say = talk(QUIET, STUBBORN, WEB)
    daemon.wait_line("armed")
    with say.begin("restart", "--all") as running:
        running.wait_for("stubborn  stopping")
        running.press("\x03")
        assert running.wait() == -signal.SIGINT
        assert "restart goes on: stubborn" in running.shown
        assert "Traceback" not in running.shown
    daemon.kill(daemon.events("child_started", service="stubborn")[0]["pid"], "KILL")
    daemon.wait_events(2, "child_started", service="stubborn")


def test_interrupted_in_a_pipe(talk: Talking) -> None:
    """The same where nothing is drawn."""
    daemon, say = talk(QUIET, STUBBORN)
    daemon.wait_line("armed")
    with say.begin("stop", "stubborn", stdout="pipe", stderr="pipe") as running:
        daemon.wait_event("service_state_changed", to="stopping")
        running.press("\x03")
        assert running.wait() == -signal.SIGINT
        assert running.err.raw.decode().startswith("pausevisor: not waiting any longer; stop goes on: stubborn")
    say("kill", "stubborn")


def test_several_are_stopped_against_their_needs(talk: Talking) -> None:
    """Nobody before those that need it, also by way of a task that has done its work and of a service not named."""
    slow = "trap 'sleep 0.3; exit' TERM; echo armed; while :; do sleep 0.05; done"
    daemon, say = talk(
        QUIET,
        service("db", "sleep", "1000"),
        service("schema", "true", kind="task", needs=["db"]),
        service("app", "sh", "-c", slow, needs={"schema": "completed"}, replicas=2),
        service("proxy", "sh", "-c", slow, needs=["app"]),
    )
    daemon.wait_events(3, "output", message="armed")
    assert say("stop", "--all").code == 0
    assert set(states(say).values()) == {"stopped", "completed"}
    seqs = {one["service"]: one["seq"] for one in daemon.events("service_state_changed", to="stopping")}
    ends = {one["service"]: one["seq"] for one in daemon.events("service_state_changed", to="stopped")}
    assert ends["proxy"] < min(seqs["app#1"], seqs["app#2"])
    assert max(ends["app#1"], ends["app#2"]) < seqs["db"]


@pytest.mark.parametrize("waits", [True, False])
def test_a_restart_goes_down_and_comes_up_in_order(talk: Talking, waits: bool) -> None:
    """Who needs another is down before that one is told, and comes up when it is ready; with nobody waiting, too."""
    daemon, say = talk(QUIET, lazy("db"), lazy("app", needs=["db"], replicas=2), lazy("proxy", needs=["app"]))
    daemon.wait_events(4, "output", message="armed")
    pids = {one["service"]: one["pid"] for one in daemon.events("child_started")}
    assert say("restart", "--all", *([] if waits else ["--no-wait"])).code == 0
    daemon.wait_events(2, "service_state_changed", service="proxy", to="running")
    told, ended, begun = (
        {one["service"]: one["seq"] for one in daemon.events(event, **more)}
        for event, more in (
            ("service_state_changed", {"to": "stopping"}),
            ("child_exited", {}),
            ("child_started", {"attempt": 2}),
        )
    )
    assert told["proxy"] < ended["proxy"] < min(told["app#1"], told["app#2"])
    assert max(ended["app#1"], ended["app#2"]) < told["db"] < ended["db"] < begun["db"]
    assert begun["db"] < min(begun["app#1"], begun["app#2"]) < max(begun["app#1"], begun["app#2"]) < begun["proxy"]
    assert len(daemon.events("child_started")) == 2 * len(pids)


def test_an_order_that_nobody_waits_for_keeps_the_order(talk: Talking) -> None:
    """Status says who waits for whom; the daemon goes on by itself, though the client is gone."""
    daemon, say = talk(QUIET, DB, stubborn("late", needs=["db"]), service("needy", "sleep", "1000", needs=["late"]))
    daemon.wait_line("armed")
    done = say("stop", "--no-wait", "late", "db")
    assert (done.code, [line.split()[:2] for line in done.stdout.splitlines()]) == (
        0,
        [["db", "running"], ["late", "stopping"]],
    )
    assert "stops when these are down: late" in done.stdout
    assert "stops when these are down: late" in say("status", "db").stdout
    assert say.json("status", "db")["services"][0]["stops_after"] == ["late"]
    daemon.kill(daemon.events("child_started", service="late")[0]["pid"], "KILL")
    daemon.wait_event("service_state_changed", service="db", to="stopped")
    assert states(say) == {"db": "stopped", "late": "stopped", "needy": "running"}


def test_what_is_late_holds_up_what_it_needs(talk: Talking) -> None:
    """Both are late, and the order stands: when the first is down, so is the other."""
    daemon, say = talk(QUIET, DB, stubborn("late", needs=["db"]))
    daemon.wait_line("armed")
    found = say.json("stop", "late", "db", "--timeout", "300ms", code=1)
    assert {one["service"]: one["outcome"] for one in found["results"]} == {"late": "late", "db": "late"}
    assert states(say) == {"db": "running", "late": "stopping"}
    assert say("kill", "late").code == 0
    daemon.wait_event("service_state_changed", service="db", to="stopped")


def test_who_is_started_again_meanwhile(talk: Talking) -> None:
    """Whoever waits for a stop is told that somebody wants the service up again, and does not wait for ever."""
    daemon, say = talk(QUIET, DB, stubborn("late", needs=["db"]))
    daemon.wait_line("armed")
    with say.begin("stop", "--all", stdout="pipe", stderr="pipe") as running:
        daemon.wait_event("service_state_changed", service="late", to="stopping")
        assert say("start", "db").code == 0
        say("kill", "late")
        assert running.wait() == 1
        assert "stop failed: db" in running.err.raw.decode()
    assert states(say) == {"db": "running", "late": "stopped"}


def test_a_restart_whose_need_does_not_come_up(talk: Talking, tmp_path: object) -> None:
    """Who would wait for the next attempt of another is told as failed as well, and nobody waits."""
    mark = f"{tmp_path}/broken"
    late = {"restart": "always", "restart_delay": "1h", "restart_max_delay": "1h"}
    script = f"test ! -e {mark} && exec sleep 1000"
    db = service("db", "sh", "-c", script, ready={"command": ["test", "!", "-e", mark]}, **late)
    daemon, say = talk(QUIET, service("web", "sleep", "1000", needs=["db"]), db)
    daemon.wait_event("service_state_changed", service="web", to="running")
    os.mkdir(mark)
    found = say.json("restart", "--all", code=1)
    assert {one["service"]: (one["outcome"], one["state"]) for one in found["results"]} == {
        "web": ("failed", "waiting"),
        "db": ("failed", "backoff"),
    }


@pytest.mark.parametrize("shown", ["terminal", "pipe"])
def test_the_daemon_dies_in_the_middle(talk: Talking, shown: str) -> None:
    """A clear message and the exit code of no daemon."""
    daemon, say = talk(QUIET, STUBBORN)
    daemon.wait_line("armed")
    daemon.remember()
    with say.begin("stop", "stubborn", stdout="pipe", stderr=shown) as running:  # type: ignore[arg-type]
        daemon.wait_event("service_state_changed", to="stopping")
        daemon.signal("KILL")
        assert running.wait() == 69
        assert b"has gone away before it had answered" in running.err.raw
    daemon.wait()
    daemon.checked = False


def test_a_daemon_that_is_shutting_down(talk: Talking) -> None:
    """It starts nothing, and says so: the failure is the daemon's word."""
    daemon, say = talk(QUIET, STUBBORN, WEB)
    daemon.wait_line("armed")
    assert say("shutdown", "--no-wait").code == 0
    daemon.wait_event("service_state_changed", service="web", to="stopped")
    done = say("start", "web")
    assert done.code == 1
    assert "shutting down" in done.stdout + done.stderr
    daemon.signal("TERM")
    assert daemon.wait() == 0
