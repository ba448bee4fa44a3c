"""Services that need each other, tasks, replicas and schedules, as real processes."""

import json
import os
import random

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers.settings import program, service, table


def states(daemon: Daemon, to: str) -> list[str]:
    """The services that came into a state, in the order of the records."""
    return [str(record["service"]) for record in daemon.events("service_state_changed", to=to)]


@pytest.mark.namespace
def test_an_init_chain(start: Launcher, place: How, loop: str) -> None:
    """A service, a task that needs it, and a service that needs the task: up in this order, down in the reverse."""
    daemon = start.services(
        service("app", *program("actor"), needs=["migrate"]),
        service("migrate", "sh", "-c", "echo migrating", kind="task", needs=["db"]),
        service("db", *program("actor")),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready", service="app")
    started = [record["service"] for record in daemon.events("child_started")]
    assert started == ["db", "migrate", "app"]
    order = [(record["event"], record.get("service")) for record in daemon.records]
    assert order.index(("child_exited", "migrate")) < order.index(("child_started", "app"))
    assert daemon.events("service_state_changed", service="app", to="waiting")[0]["need"] == "migrate"
    assert daemon.stop() == 0
    assert [record["service"] for record in daemon.events("signal_forwarded")] == ["app", "db"]
    ended = [record["service"] for record in daemon.events("child_exited")]
    assert ended == ["migrate", "app", "db"]


@pytest.mark.namespace
def test_a_failed_task_fails_the_chain(start: Launcher, place: How) -> None:
    """Who waits for it has failed as well, by name of what failed, and the daemon returns the task's exit code."""
    daemon = start.services(
        service("app", *program("actor"), needs={"migrate": "completed"}),
        service("migrate", "sh", "-c", "exit 7", kind="task", restart="never"),
        how=place,
    )
    assert daemon.wait() == 7
    (failed,) = daemon.events("service_state_changed", service="app", to="failed")
    assert (failed["reason"], failed["need"]) == ("need-failed", "migrate")
    assert daemon.events("child_started", service="app") == []


def test_a_need_that_crashes(start: Launcher) -> None:
    """Who does not mind goes on; who is tied to it restarts with it, and waits until it is back."""
    daemon = start.services(
        service("db", *program("actor"), restart_delay="10ms"),
        service("free", *program("actor"), needs=["db"]),
        service("tied", *program("actor"), needs={"db": {"until": "ready", "restart-with": True}}),
    )
    for name in ("db", "free", "tied"):
        daemon.wait_line("ready", service=name)
    daemon.kill(daemon.events("child_started", service="db")[0]["pid"], "KILL")
    daemon.wait_line("ready", 2, service="tied")
    assert len(daemon.events("child_started", service="free")) == 1
    seqs = [
        daemon.events("child_started", service="db")[1]["seq"],
        daemon.events("child_started", service="tied")[1]["seq"],
    ]
    assert seqs == sorted(seqs)
    assert daemon.events("service_state_changed", service="tied", to="stopping")[0]["reason"] == "need-restarted"
    assert daemon.stop() == 0


def test_replicas(start: Launcher) -> None:
    """Each instance is a service of its own, with its number in its environment and its words."""
    daemon = start.services(
        service("worker", "sh", "-c", "echo $PAUSEVISOR_REPLICA ${PAUSEVISOR_REPLICA} $PAUSEVISOR_SERVICE", replicas=3),
        service("last", "true", needs={"worker": "completed"}),
    )
    assert daemon.wait() == 0
    said = {record["service"]: record["message"] for record in daemon.events("output")}
    assert said == {f"worker#{number}": f"{number} {number} worker#{number}" for number in (1, 2, 3)}
    assert daemon.events("service_state_changed", service="last", to="completed")


@pytest.mark.namespace
def test_runs_of_a_schedule(start: Launcher, place: How, loop: str) -> None:
    """Each second a run, each run a record with its status and its time; a failed one is followed by the next."""
    daemon = start.services(
        service("tick", "sh", "-c", "exit 3", kind="scheduled", schedule="* * * * * *"),
        options=("--loop", loop),
        how=place,
    )
    runs = daemon.wait_events(2, "run_finished", service="tick")
    assert [run["exit_code"] for run in runs] == [3, 3]
    assert runs[0]["scheduled_for"] < runs[1]["scheduled_for"]
    assert states(daemon, "failed") == []
    assert daemon.stop() == 0


def test_runs_that_meet(start: Launcher) -> None:
    """A run that is due while one is under way is skipped by default, and takes its place where that is asked for."""
    daemon = start.services(
        service("slow", *program("actor"), kind="scheduled", schedule="* * * * * *"),
        service("fresh", *program("actor"), kind="scheduled", schedule={"cron": "* * * * * *", "overlap": "replace"}),
    )
    daemon.wait_event("run_skipped", service="slow")
    daemon.wait_line("ready", 2, service="fresh")
    assert daemon.wait_event("run_finished", service="fresh")["reason"] == "replaced"
    assert len(daemon.events("child_started", service="slow")) == 1
    assert daemon.stop() == 0


def test_a_schedule_that_never_comes(start: Launcher) -> None:
    """It has failed and says why; the others run."""
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("never", "true", kind="scheduled", schedule="0 0 30 2 *"),
        service("web", *program("actor")),
    )
    daemon.wait_line("ready", service="web")
    assert daemon.wait_event("service_state_changed", service="never", to="failed")["reason"] == "never-due"
    assert daemon.stop() == 0


def test_term_while_waiting(start: Launcher) -> None:
    """TERM ends those that wait for a need, for a delay or for their time without waiting for any of them."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="1h"),
        service("crash", "false", restart_delay="1h", restart_max_delay="1h"),
        service("waits", "true", needs=["crash"]),
        service("task", *program("actor"), kind="task"),
        service("later", "true", needs={"task": "completed"}),
        service("job", "true", kind="scheduled", schedule="@yearly"),
    )
    daemon.wait_line("ready", service="task")
    daemon.wait_event("restart_scheduled", service="crash")
    assert daemon.stop() == 0
    assert daemon.wait_event("shutdown_finished")["killed"] == []


def test_a_hundred_and_fifty_services_in_a_random_graph(start: Launcher) -> None:
    """All of them come up, nobody before what it needs, and go down the other way round."""
    draw = random.Random(7)
    names = [f"s{number}" for number in range(150)]
    needs = {name: draw.sample(names[:at], min(at, draw.randrange(4))) for at, name in enumerate(names)}
    shuffled = draw.sample(names, len(names))
    daemon = start.services(
        *(service(name, "sleep", "1000", needs=needs[name], stdout="null", stderr="null") for name in shuffled)
    )
    daemon.wait_events(150, "service_state_changed", to="running")
    order = {name: at for at, name in enumerate(states(daemon, "running"))}
    assert all(order[other] < order[name] for name in names for other in needs[name])
    assert daemon.stop() == 0
    gone = {name: at for at, name in enumerate(states(daemon, "stopped"))}
    assert all(gone[other] > gone[name] for name in names for other in needs[name])


def test_mistakes_start_nothing(start: Launcher) -> None:
    """A cycle and an unknown need: 78, both told, nothing started."""
    daemon = start.services(
        service("a", "true", needs=["b"]), service("b", "true", needs=["a"]), service("c", "true", needs=["dd"])
    )
    assert daemon.wait() == 78
    daemon = start.services(service("a", "true", needs=["b"]), service("b", "true", needs=["a"]))
    assert daemon.wait() == 78
    assert "services.a.needs: a cycle, so none of them could start: a needs b needs a" in daemon.text()


def test_check_prints_the_layers(start: Launcher) -> None:
    """The plan of `check --json` is the order in which the daemon starts them."""
    path = start.write(service("a", "true", needs=["b"]), service("b", "true"))
    daemon = start.daemon("check", "--json", "-c", path, how=How(pure=False))
    daemon.checked = False
    assert daemon.wait() == 0
    assert json.loads(daemon.text("stdout"))["start"] == [["b"], ["a"]]
    assert os.path.exists(path)
