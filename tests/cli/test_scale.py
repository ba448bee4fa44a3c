"""scale, and the other verbs with replicas, needs and readiness."""

import os

from tests.cli.conftest import Talking
from tests.cli.test_orders import states
from tests.helpers.settings import service, table

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000", replicas=2)
DB = service("db", "sleep", "1000")


def test_up_and_down(talk: Talking) -> None:
    """Until the new ones are up, or the old ones are gone; what did not change keeps its process."""
    daemon, say = talk(QUIET, WEB, DB)
    pids = {found["service"]: found["pid"] for found in daemon.wait_events(3, "child_started")}
    done = say("scale", "web=4")
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[f"web#{number}", "running"] for number in range(1, 5)]
    assert lines[0] == f"web#1  running    pid {pids['web#1']}"
    assert states(say) == {
        "web#1": "running",
        "web#2": "running",
        "web#3": "running",
        "web#4": "running",
        "db": "running",
    }
    done = say("scale", "web=1")
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        [f"web#{number}", "gone"] for number in (2, 3, 4)
    ]
    assert states(say) == {"web#1": "running", "db": "running"}


def test_to_nothing_and_back(talk: Talking) -> None:
    """A service without an instance is still one that can be scaled."""
    _, say = talk(QUIET, WEB, DB)
    assert say("scale", "web=0").code == 0
    assert states(say) == {"db": "running"}
    for call in (["stop", "web", "db"], ["start", "db", "web"], ["logs", "web"], ["events", "web"], ["status", "web"]):
        done = say(*call)
        assert done.code == 0
        assert "web has no instances at present; for more of them: pausevisor scale web=1" in done.stderr
    assert say("scale", "web=2").code == 0
    assert states(say) == {"web#1": "running", "web#2": "running", "db": "running"}


def test_what_can_not_be_scaled(talk: Talking) -> None:
    """The daemon says why, the others are scaled, and the exit code is 1."""
    _, say = talk(QUIET, WEB, DB)
    done = say("scale", "db=3", "web=3", "nope=1")
    assert done.code == 1
    assert "db has no replicas" in done.stderr
    assert "there is no service 'nope'" in done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [[f"web#{n}", "running"] for n in (1, 2, 3)]
    found = say.json("scale", "db=3", code=1)
    assert found == {"ok": False, "verb": "scale", "results": []}
    assert say("scale", "web=1", "web=2").code == 2


def test_not_waiting(talk: Talking) -> None:
    """Ordered, and no more."""
    daemon, say = talk(QUIET, WEB)
    found = say.json("scale", "web=3", "--no-wait")
    assert [(one["service"], one["outcome"]) for one in found["results"]] == [
        (f"web#{number}", "accepted") for number in (1, 2, 3)
    ]
    daemon.wait_event("child_started", service="web#3")


def test_the_name_of_a_replicated_service_means_all_of_it(talk: Talking) -> None:
    """For every verb; an instance is named by its number."""
    daemon, say = talk(QUIET, WEB, DB)
    daemon.wait_events(3, "child_started")
    assert say("stop", "web").code == 0
    assert states(say) == {"web#1": "stopped", "web#2": "stopped", "db": "running"}
    assert say("start", "web#2").code == 0
    assert states(say) == {"web#1": "stopped", "web#2": "running", "db": "running"}
    assert say("restart", "web#*").code == 0
    assert [one["name"] for one in say.json("status", "web")["services"]] == ["web#1", "web#2"]
    assert {line.split()[3] for line in say("events", "web").stdout.splitlines()} <= {"web#1", "web#2"}


def test_waiting_for_readiness(talk: Talking, tmp_path: os.PathLike[str]) -> None:
    """Not well until it is ready, and well then; a start is waited for as long."""
    mark = os.path.join(tmp_path, "ready")
    _, say = talk(
        QUIET,
        service("slow", "sleep", "1000", ready={"file": mark}),
        service("after", "sleep", "1000", needs=["slow"]),
    )
    found = say.json("status", code=1)
    assert [one["state"] for one in found["services"]] == ["starting", "waiting"]
    assert "waits for slow" in say("status").stdout
    assert say("ping", "--ready").code == 1
    with say.begin("start", "after", stdout="pipe", stderr="pipe") as running:
        os.close(os.open(mark, os.O_CREAT | os.O_WRONLY))
        assert running.wait() == 0
    assert say("status").code == 0
    assert say("ping", "--ready").code == 0


def test_an_unhealthy_one_is_not_well(talk: Talking) -> None:
    """It runs, but its health probe fails: the table says so, and the exit code."""
    health = {"command": ["false"], "interval": "100ms", "timeout": "5s", "failures": 1, "action": "report"}
    daemon, say = talk(QUIET, service("sick", "sleep", "1000", health=health))
    daemon.wait_event("probe_failed")
    done = say("status")
    assert done.code == 1
    assert done.stdout.splitlines()[1].split()[7] == "unhealthy"
    assert "its health probe fails" in done.stdout


def test_between_two_runs(talk: Talking) -> None:
    """A scheduled service is well while it waits for its time, and says when that is."""
    _, say = talk(QUIET, service("cron", "true", kind="scheduled", schedule="0 0 1 1 *"))
    done = say("status")
    assert done.code == 0
    line = done.stdout.splitlines()[1]
    assert line.split()[:2] == ["cron", "waiting"]
    assert "runs next at " in line
    assert line.endswith(" UTC")


def test_one_by_one_waits_for_readiness(talk: Talking, tmp_path: os.PathLike[str]) -> None:
    """The second instance is restarted when the first is ready again."""
    mark = os.path.join(tmp_path, "ready")
    command = "rm -f $0$PAUSEVISOR_REPLICA; sleep 0.2; touch $0$PAUSEVISOR_REPLICA; exec sleep 1000"
    daemon, say = talk(
        QUIET, service("web", "sh", "-c", command, mark, replicas=2, ready={"file": mark + "${PAUSEVISOR_REPLICA}"})
    )
    daemon.wait_events(2, "service_ready")
    assert say("restart", "--rolling", "web").code == 0
    order = [
        (found["service"], found["to"])
        for found in daemon.events("service_state_changed")
        if found["to"] in ("stopping", "running")
    ][2:]
    assert order == [("web#1", "stopping"), ("web#1", "running"), ("web#2", "stopping"), ("web#2", "running")]
