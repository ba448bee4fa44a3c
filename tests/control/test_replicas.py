"""Replicated services: one name for many, more and fewer of them, and one restarted after the other."""

import os
from datetime import datetime
from itertools import pairwise

import pytest

from supervisor.control.orders import MOMENT
from tests.control.client import Client
from tests.control.conftest import StartControlled
from tests.helpers import procfs
from tests.helpers.settings import program, service, table

IGNORE = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000", replicas=3)
NAMES = ["web#1", "web#2", "web#3"]


def pids(client: Client) -> dict[str, int]:
    """Main processes of the instances."""
    return {one["name"]: one["pid"] for one in client.get("/v1/services/web").json["services"]}


def test_one_instance(control: StartControlled) -> None:
    """It is asked for by its own name, and knows what it is an instance of."""
    _, client = control(WEB)
    one = client.service("web%232")
    assert (one["name"], one["base"], one["replica"], one["state"]) == ("web#2", "web", 2, "running")
    assert client.get("/v1/services/web%234").status == 404


def test_all_instances(control: StartControlled) -> None:
    """The name of the service stands for all of them: asking, ordering, waiting and signalling."""
    daemon, client = control(IGNORE, WEB, service("other", "sleep", "1000"))
    assert list(pids(client)) == NAMES
    assert len(client.get("/v1/services?name=web").json["services"]) == 3
    answer = client.post("/v1/services/web/stop")
    assert (answer.status, answer.json["state"]) == (202, None)
    assert list(answer.json["services"]) == NAMES
    stopped = client.post("/v1/services/web/stop?wait=true").json["services"]
    assert [one["state"] for one in stopped] == ["stopped"] * 3
    assert client.post("/v1/services/web/signal", {"signal": "HUP"}).json["services"] == NAMES
    started = client.post("/v1/services/web/start?wait=true").json
    assert ([one["state"] for one in started["services"]], started["ok"]) == (["running"] * 3, True)
    assert client.post("/v1/services/web/signal", {"signal": "CONT"}).status == 200
    daemon.wait_events(3, "signal_forwarded", signal_name="SIGCONT")
    assert client.service("other")["attempt"] == 1


def test_scaling(control: StartControlled) -> None:
    """More and fewer instances; the others keep their process, and none at all is a service still."""
    _, client = control(IGNORE, WEB)
    before = pids(client)
    more = client.ask("POST", "/v1/services/web/scale?wait=true", {"replicas": 5})
    assert more.status == 200
    assert [one["state"] for one in more.json["services"]] == ["running"] * 5
    after = pids(client)
    assert {name: after[name] for name in before} == before
    assert client.ask("POST", "/v1/services/web/scale?wait=true", {"replicas": 2}).status == 200
    procfs.wait_until(lambda: list(pids(client)) == NAMES[:2], "the others are gone")
    assert client.post("/v1/services/web/scale", {"replicas": 0}).status == 202
    procfs.wait_until(lambda: pids(client) == {}, "all are gone")
    assert client.get("/v1/services/web").json == {"services": [], "ok": True}
    assert client.post("/v1/services/web/start").json["services"] == {}
    assert client.post("/v1/services/web/rolling-restart?wait=true").json["services"] == []


@pytest.mark.parametrize("replicas", [-1, 1001, 1.5, "2", None, True])
def test_wrong_numbers(control: StartControlled, replicas: object) -> None:
    """They are refused, and nothing changes."""
    _, client = control(IGNORE, WEB)
    assert client.post("/v1/services/web/scale", {"replicas": replicas}).status == 422
    assert list(pids(client)) == NAMES


def test_what_is_not_replicated(control: StartControlled) -> None:
    """It can't be scaled, and restarting it one at a time is restarting it."""
    _, client = control(IGNORE, service("one", "sleep", "1000"))
    assert client.post("/v1/services/one/scale", {"replicas": 2}).status == 409
    assert client.post("/v1/services/none/scale", {"replicas": 2}).status == 404
    assert client.post("/v1/services/none/rolling-restart").status == 404
    answer = client.post("/v1/services/one/rolling-restart?wait=true")
    assert (answer.status, answer.json["attempt"]) == (200, 2)


def test_one_after_the_other(control: StartControlled) -> None:
    """Each is stopped when the one before is ready, so that never two of them are down."""
    daemon, client = control(IGNORE, WEB)
    before = pids(client)
    answer = client.post("/v1/services/web/rolling-restart?wait=true&timeout=60")
    assert answer.status == 200
    assert [(one["state"], one["attempt"]) for one in answer.json["services"]] == [("running", 2)] * 3
    assert set(before.values()).isdisjoint(pids(client).values())
    steps = [
        (record["service"], record["to"])
        for record in daemon.events("service_state_changed")
        if record["to"] in ("stopping", "running")
    ][3:]
    assert steps == [(name, to) for name in NAMES for to in ("stopping", "running")]


def test_it_goes_on_without_its_client(control: StartControlled) -> None:
    """Ordered without waiting, or by a client that has gone, it comes to its end; a second one waits its turn."""
    daemon, client = control(
        IGNORE, service("web", *program("actor", "USR1=exit:0", "any=stay"), replicas=2, stop_timeout="60s")
    )
    daemon.wait_line("ready", count=2)
    connection = client.connection()
    connection.request("POST", "/v1/services/web/rolling-restart?wait=true")
    daemon.wait_event("service_state_changed", service="web#1", to="stopping")
    connection.close()
    again = client.post("/v1/services/web/rolling-restart")
    assert again.status == 409
    assert "under way" in again.json["detail"]
    for name in ("web%231", "web%232"):
        procfs.wait_until(lambda name=name: client.service(name)["state"] == "stopping", "its turn")  # type: ignore[misc]
        client.post(f"/v1/services/{name}/signal", {"signal": "USR1"})
    daemon.wait_event("child_started", service="web#2", attempt=2)
    daemon.wait_line("ready", count=4)
    assert client.post("/v1/services/web/kill?wait=true").status == 200


def test_the_first_that_does_not_come_up_is_the_last(control: StartControlled, folder: str) -> None:
    """Those behind it are not touched, the answer says which one it was, and so does the log."""
    ready = os.path.join(folder, "ready")
    with open(ready, "w", encoding="utf-8"):
        pass
    probed = {"ready": {"file": ready}, "start_timeout": "1s", "restart": "never"}
    daemon, client = control(IGNORE, service("web", "sleep", "1000", replicas=3, **probed))
    daemon.wait_events(3, "service_state_changed", to="running")
    last = pids(client)["web#3"]
    os.unlink(ready)
    answer = client.post("/v1/services/web/rolling-restart?wait=true")
    assert (answer.status, answer.json["services"], answer.json["untouched"]) == (409, ["web#1"], ["web#2", "web#3"])
    assert pids(client)["web#3"] == last
    warning = daemon.wait_event("supervisor_warning")
    assert "rolling restart of web" in str(warning["message"])
    assert "web#2, web#3" in str(warning["message"])


def test_one_that_has_failed_is_restarted_too(control: StartControlled, folder: str) -> None:
    """Whoever has mended what was broken wants it in all instances."""
    mark = os.path.join(folder, "broken")
    probed = {"ready": {"command": ["test", "!", "-e", mark]}, "restart": "never"}
    _, client = control(
        IGNORE, service("web", "sh", "-c", f"test ! -e {mark} && exec sleep 1000", replicas=2, **probed)
    )
    assert client.post("/v1/services/web/start?wait=true").status == 200
    os.mkdir(mark)
    answer = client.post("/v1/services/web/rolling-restart?wait=true")
    assert (answer.status, answer.json["results"][0]["state"]) == (409, "failed")
    os.rmdir(mark)
    answer = client.post("/v1/services/web/rolling-restart?wait=true")
    assert [(one["state"], one["attempt"]) for one in answer.json["services"]] == [("running", 3), ("running", 2)]


def test_each_has_to_stay_up_for_a_moment(control: StartControlled) -> None:
    """Without readiness as well: what is broken must not be broken everywhere."""
    daemon, client = control(IGNORE, WEB)
    assert client.post("/v1/services/web/rolling-restart?wait=true").status == 200
    times = [datetime.fromisoformat(found["timestamp"]) for found in daemon.events("child_started")[3:]]
    assert [(later - earlier).total_seconds() >= MOMENT for earlier, later in pairwise(times)] == [True, True]


def test_instances_that_an_order_stopped_stay_down(control: StartControlled) -> None:
    """A rolling restart restarts what runs."""
    _, client = control(IGNORE, WEB)
    client.post("/v1/services/web%232/stop?wait=true")
    answer = client.post("/v1/services/web/rolling-restart?wait=true")
    found = {one["name"]: (one["state"], one["attempt"]) for one in answer.json["services"]}
    assert found == {"web#1": ("running", 2), "web#2": ("stopped", 1), "web#3": ("running", 2)}


def test_a_shutdown_ends_it(control: StartControlled) -> None:
    """Nothing is restarted after a shutdown has begun."""
    lazy = service("web", *program("actor", "USR1=exit:0", "any=stay"), replicas=2, stop_timeout="60s")
    daemon, client = control(IGNORE, lazy)
    daemon.wait_line("ready", count=2)
    assert client.post("/v1/services/web/rolling-restart").status == 202
    daemon.wait_event("service_state_changed", service="web#1", to="stopping")
    daemon.signal("TERM")
    daemon.wait_event("shutdown_started")
    daemon.signal("TERM")
    assert daemon.wait() == 0
    assert len(daemon.events("child_started")) == 2


def test_no_secret_in_any_answer(control: StartControlled, folder: str) -> None:
    """A secret that stands in a command, or that a service says of itself, is not told to clients either."""
    secret = "a-very-secret-word"
    path = os.path.join(folder, "secret")
    with open(path, "w", encoding="utf-8") as file:
        file.write(secret)
    daemon, client = control(
        IGNORE,
        service("web", "sh", "-c", f"echo {secret} $TOKEN; exec sleep 1000 # {secret}", secret_files={"TOKEN": path}),
    )
    daemon.wait_event("output")
    for where in ("/v1/services", "/v1/services/web", "/v1/events", "/v1/logs", "/metrics", "/v1/plan"):
        answer = client.get(where)
        assert answer.status == 200
        assert secret not in answer.text, where
    assert "[redacted]" in client.get("/v1/services/web").text
    assert secret not in str(daemon.records)
