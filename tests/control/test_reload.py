"""The plan of a reload, and the reload."""

import os
from collections.abc import Callable

import pytest

from supervisor.control.orders import MOMENT
from tests.control.client import Client
from tests.control.conftest import StartControlled
from tests.harness import Daemon
from tests.helpers import procfs
from tests.helpers.settings import service, table

BASE = table("supervisor", on_failure="ignore", when_done="pause")
Change = Callable[[str], None]


@pytest.fixture
def running(control: StartControlled, folder: str) -> tuple[Daemon, Client, Change]:
    """A daemon with services from a file that can be changed."""
    path = os.path.join(folder, "services.toml")

    def change(text: str) -> None:
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    change(service("web", "sleep", "1000") + service("old", "sleep", "1000") + service("same", "sleep", "1000"))
    daemon, client = control(BASE, options=("-c", path))
    daemon.wait_events(3, "child_started")
    return daemon, client, change


NEW = (
    service("web", "sleep", "2000", stop_timeout="3s")
    + service("same", "sleep", "1000")
    + service("new", "sleep", "1000")
)
CHANGES = {
    "added": ["new"],
    "removed": ["old"],
    "changed": {"web": {"keys": ["command", "stop-timeout"], "action": "restart"}},
    "signalled": [],
    "supervisor": {"keys": [], "at_start": []},
}


def test_nothing_to_do(running: tuple[Daemon, Client, Change]) -> None:
    """The files say what is in force."""
    _, client, _ = running
    nothing = {"added": [], "removed": [], "changed": {}, "signalled": [], "supervisor": {"keys": [], "at_start": []}}
    assert client.get("/v1/plan").json == nothing


def test_the_plan_changes_nothing(running: tuple[Daemon, Client, Change]) -> None:
    """It says what a reload would do, and does none of it."""
    daemon, client, change = running
    before = client.get("/v1/services").json["services"]
    change(NEW)
    assert client.get("/v1/plan").json == CHANGES
    after = client.get("/v1/services").json["services"]
    assert [(one["name"], one["pid"]) for one in after] == [(one["name"], one["pid"]) for one in before]
    assert daemon.events("config_reloaded") == []


def test_the_reload_does_what_the_plan_says(running: tuple[Daemon, Client, Change]) -> None:
    """Its answer is the plan, and only what it names is touched."""
    daemon, client, change = running
    same = client.service("same")["pid"]
    change(NEW)
    answer = client.post("/v1/reload")
    assert (answer.status, answer.json) == (200, CHANGES)
    daemon.wait_event("config_reloaded", added=["new"], changed=["web"], removed=["old"])
    daemon.wait_event("child_started", service="web", attempt=2)
    procfs.wait_until(lambda: client.get("/v1/services/old").status == 404, "the removed service is gone")
    assert client.service("same")["pid"] == same
    assert client.get("/v1/plan").json["changed"] == {}


def test_a_wrong_file(running: tuple[Daemon, Client, Change]) -> None:
    """All its errors are in the answer, and nothing changes; the order to reload is in the log, the plan is not."""
    daemon, client, change = running
    change('[services.web]\ncommand = 1\nrestart = "sometimes"\n')
    for answer in (client.get("/v1/plan"), client.post("/v1/reload")):
        assert answer.status == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.json["errors"]) == 2
        assert "services.web.command" in answer.text
    daemon.wait_event("config_rejected")
    assert len(daemon.events("config_rejected")) == 1
    assert len(client.get("/v1/services").json["services"]) == 3


def test_settings_of_the_daemon(running: tuple[Daemon, Client, Change], start: object) -> None:
    """Keys of the daemon's own are named as well."""
    daemon, client, change = running
    del start
    change('[signals]\nSIGUSR1 = "shutdown"\n')
    assert client.get("/v1/plan").json["supervisor"] == {"keys": ["signals"], "at_start": []}
    assert daemon.events("config_reloaded") == []


def test_a_reload_on_the_way_down(running: tuple[Daemon, Client, Change]) -> None:
    """Nothing is reloaded any more."""
    daemon, client, change = running
    change(service("web", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done", stop_timeout="60s"))
    client.post("/v1/reload")
    daemon.wait_line("up")
    daemon.signal("TERM")
    daemon.wait_event("shutdown_started")
    assert client.post("/v1/reload").status == 409
    daemon.signal("TERM")
    assert daemon.wait() == 0


def test_logs_are_opened_again(running: tuple[Daemon, Client, Change]) -> None:
    """The order is accepted, whether or not there are files."""
    _, client, _ = running
    assert client.post("/v1/logs/reopen").status == 202


def test_waiting_for_what_has_changed(running: tuple[Daemon, Client, Change], folder: str) -> None:
    """With waiting the answer comes when what is new is up and what is removed is gone, or says who has not come up."""
    _, client, change = running
    client.post("/v1/services/same/stop?wait=true")
    change(NEW.replace(service("same", "sleep", "1000"), service("same", "sleep", "2000")))
    answer = client.post("/v1/reload?wait=true")
    assert (answer.status, answer.json["added"], answer.json["removed"]) == (200, ["new"], ["old"])
    found = {one["name"]: one for one in client.get("/v1/services").json["services"]}
    assert {name: one["state"] for name, one in found.items()} == {
        "web": "running",
        "same": "stopped",
        "new": "running",
    }
    assert found["new"]["uptime_s"] >= MOMENT
    assert found["web"]["uptime_s"] >= MOMENT
    unready = service(
        "bad", "sh", "-c", "exit 3", ready={"file": f"{folder}/x"}, restart_delay="1h", restart_max_delay="1h"
    )
    change(NEW + unready)
    answer = client.post("/v1/reload?wait=true")
    assert (answer.status, answer.json["services"], answer.json["changes"]["added"]) == (409, ["bad"], ["bad"])
    assert answer.json["results"][0]["exit_code"] == 3
    change(NEW + service("late", "sleep", "1000", ready={"file": f"{folder}/x"}))
    answer = client.post("/v1/reload?wait=true&timeout=0.1")
    assert (answer.status, answer.json["changes"]["added"]) == (504, ["late"])
    assert client.service("late")["state"] == "starting"
