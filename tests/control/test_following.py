"""Following events and lines: from the start, from a number, as server-sent events, and by those who are too slow."""

import json
import socket
from typing import Any

import pytest

from tests.control.client import Client, next_record, raw, until
from tests.control.conftest import StartControlled
from tests.harness import Daemon
from tests.helpers import procfs
from tests.helpers.settings import service, table

IGNORE = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000")
STORM = service("storm", "true", restart="always", restart_delay="0s", restart_limit="none")


def events_of(daemon: Daemon) -> list[Any]:
    """What the log has, without the lines of services."""
    return [record for record in daemon.records if record["event"] != "output"]


def test_the_events_so_far(control: StartControlled) -> None:
    """Without following: all that are kept, as they stand in the log, the lines of services not among them."""
    daemon, client = control(service("web", "sh", "-c", "echo hello; exec sleep 1000"))
    daemon.wait_line("hello")
    answer = client.get("/v1/events")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.lines == events_of(daemon)


def test_since(control: StartControlled) -> None:
    """From the record after a number; a number that was not given out yet is of another run."""
    daemon, client = control(WEB)
    started = daemon.wait_event("service_state_changed", to="running")
    every = events_of(daemon)
    assert client.get("/v1/events?since=2").lines == [record for record in every if record["seq"] > 2]
    assert client.get(f"/v1/events?since={started['seq']}").lines == []
    assert client.get("/v1/events?since=1000000").lines == every


def test_filters(control: StartControlled) -> None:
    """Events of services, by pattern, and events by name."""
    daemon, client = control(WEB, service("worker", "sleep", "1000"))
    daemon.wait_events(2, "service_state_changed", to="running")
    found = client.get("/v1/events?service=w*k*r").lines
    assert {record["service"] for record in found} == {"worker"}
    assert [record["event"] for record in client.get("/v1/events?event=child_started").lines] == ["child_started"] * 2
    one = client.get("/v1/events?event=child_started&event=pause*&service=web").lines
    assert [(record["event"], record["service"]) for record in one] == [("child_started", "web")]


def test_events_of_all_instances(control: StartControlled) -> None:
    """The name of a replicated service means all of them, as it does for lines."""
    daemon, client = control(service("web", "sleep", "1000", replicas=2), service("db", "sleep", "1000"))
    daemon.wait_events(3, "child_started")
    found = client.get("/v1/events?service=web&event=child_started").lines
    assert [record["service"] for record in found] == ["web#1", "web#2"]


@pytest.mark.parametrize("query", ["since=x", "since=-1", "since=99999999999999999999", "follow=perhaps", "since="])
def test_wrong_parameters(control: StartControlled, query: str) -> None:
    """They are refused in words."""
    _, client = control(WEB)
    answer = client.get(f"/v1/events?{query}")
    assert answer.status == 400
    assert query.partition("=")[0] in answer.json["detail"]


def test_following(control: StartControlled, loop: str) -> None:
    """What comes, as it comes; without ``since`` nothing that was before."""
    _, client = control(WEB, options=("--loop", loop))
    with client.follow("/v1/events?follow=true") as response:
        client.post("/v1/services/web/restart")
        assert next_record(response)["to"] == "stopping"
        assert until(response, "child_started")["attempt"] == 2


def test_following_from_a_number(control: StartControlled) -> None:
    """First what is kept, then what comes, and no gap between."""
    _, client = control(WEB)
    with client.follow("/v1/events?follow=true&since=0") as response:
        assert next_record(response)["event"] == "supervisor_started"
        client.post("/v1/services/web/restart")
        assert until(response, "child_started", attempt=2)


def test_server_sent_events(control: StartControlled) -> None:
    """As a browser reads them: number, name and record; it goes on where it was by its last number."""
    daemon, client = control(WEB)
    daemon.wait_event("service_state_changed", to="running")
    answer = client.get("/v1/events", Accept="text/event-stream")
    assert answer.headers["content-type"] == "text/event-stream"
    first, *_ = answer.text.split("\n\n")
    number, name, data = first.split("\n")
    assert (number, name) == ("id: 1", "event: supervisor_started")
    assert json.loads(data.removeprefix("data: ")) == events_of(daemon)[0]
    again = client.get("/v1/events", Accept="text/event-stream", Last_Event_ID="3")
    assert again.text.startswith("id: 4\n")


def test_what_is_no_longer_kept(control: StartControlled) -> None:
    """A number from before the ring: first the answer says which records are missing, and none is missing besides."""
    daemon, client = control(IGNORE, STORM)
    procfs.wait_until(lambda: len(events_of(daemon)) > 1500, "more events than are kept")
    client.post("/v1/services/storm/stop?wait=true")
    missed, *records = client.get("/v1/events?since=1").lines
    assert (missed["event"], missed["from"]) == ("events_missed", 2)
    every = {record["seq"]: record for record in events_of(daemon)}
    assert len(records) == 1000
    assert records == [every[record["seq"]] for record in records]
    last = max(number for number in every if number < records[0]["seq"])
    assert missed["to"] == last


def test_two_clients_and_a_follower_in_a_restart_storm(control: StartControlled) -> None:
    """Everybody is answered, the follower sees every event or is told what it missed, and the storm goes on."""
    daemon, client = control(IGNORE, STORM, WEB)
    with client.follow("/v1/events?follow=true&since=0") as response:
        numbers: list[int] = []
        missed: list[tuple[int, int]] = []
        while not numbers or numbers[-1] < 3000:
            record = next_record(response)
            if record["event"] == "events_missed":
                missed.append((record["from"], record["to"]))
            else:
                numbers.append(record["seq"])
            if len(numbers) % 500 == 1:
                assert client.service("web")["state"] == "running"
                assert Client(client.at).get("/livez").status == 200
    assert numbers == sorted(set(numbers))
    expected = {record["seq"] for record in events_of(daemon) if record["seq"] <= numbers[-1]}
    told = {number for first, last in missed for number in range(first, last + 1)}
    assert expected <= set(numbers) | told
    assert told.isdisjoint(numbers)
    client.post("/v1/services/storm/stop?wait=true")


def test_a_hundred_followers_that_never_read(control: StartControlled) -> None:
    """They cost little memory, keep nobody waiting, and who reads at last is told what is missing."""
    daemon, client = control(IGNORE, STORM, WEB)
    client.get("/v1/version")
    before = resident(daemon.pid)
    followers = [raw(str(client.at)) for _ in range(100)]
    for follower in followers:
        follower.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        follower.sendall(b"GET /v1/events?follow=true&since=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    at = daemon.events("child_started", service="storm")[-1]["attempt"]
    procfs.wait_until(
        lambda: daemon.events("child_started", service="storm")[-1]["attempt"] > at + 1500, "the storm goes on"
    )
    assert client.service("web")["state"] == "running"
    assert resident(daemon.pid) - before < 20 * 2**20
    client.post("/v1/services/storm/stop?wait=true")
    with followers[0].makefile("rb") as stream:
        while b"events_missed" not in stream.readline():
            continue
    for follower in followers:
        follower.close()
    procfs.wait_until(lambda: sockets(daemon.pid) < 10, "their connections are closed")


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(procfs.status(pid)["VmRSS"].split()[0]) * 1024


def sockets(pid: int) -> int:
    """How many descriptors of a process are sockets."""
    return sum(target.startswith("socket:") for target in procfs.descriptors(pid).values())


def test_followers_get_the_last_record(control: StartControlled, loop: str) -> None:
    """A shutdown ends the answer of a follower, behind its last record."""
    daemon, client = control(WEB, options=("--loop", loop))
    with raw(str(client.at)) as connection:
        connection.sendall(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(65536)
        daemon.signal("TERM")
        while data := connection.recv(65536):
            answer += data
    assert daemon.wait() == 0
    last, end = answer.rstrip(b"\r\n").splitlines()[-3], answer[-5:]
    assert json.loads(last)["event"] == "shutdown_finished"
    assert end == b"0\r\n\r\n"


def test_a_follower_that_does_not_read_holds_nobody_up(control: StartControlled) -> None:
    """The end does not wait for it."""
    daemon, client = control(IGNORE, STORM)
    with raw(str(client.at)) as follower:
        follower.sendall(b"GET /v1/events?follow=true&since=0 HTTP/1.1\r\nHost: x\r\n\r\n")
        daemon.wait_events(500, "child_started")
        assert daemon.stop() == 0


def test_the_last_lines(control: StartControlled) -> None:
    """The last lines of each service, so many as asked for, by service and stream."""
    daemon, client = control(
        service("a", "sh", "-c", "for n in 1 2 3; do echo a$n; done; echo err >&2; exec sleep 1000"),
        service("b", "sh", "-c", "echo b1; exec sleep 1000"),
    )
    for line in ("a3", "err", "b1"):
        daemon.wait_line(line)

    def said(query: str) -> list[str]:
        return sorted(record["message"] for record in client.get(f"/v1/logs?{query}").lines)

    assert said("") == ["a1", "a2", "a3", "b1", "err"]
    assert said("service=a&stream=stdout") == ["a1", "a2", "a3"]
    assert said("service=b&service=none") == ["b1"]
    assert said("service=a&tail=0") == []
    assert len(said("service=a&tail=2")) == 2
    (record,) = client.get("/v1/logs?service=b").lines
    assert (record["event"], record["service"], record["stream"]) == ("output", "b", "stdout")
    assert client.get("/v1/logs?stream=stdin").status == 400


def test_following_lines(control: StartControlled) -> None:
    """Lines as they come, behind the last ones; no line twice and none left out."""
    daemon, client = control(service("a", "sh", "-c", "echo first; while read line; do :; done; exec sleep 1000"), WEB)
    daemon.wait_line("first")
    with client.follow("/v1/logs?follow=true&service=a") as response:
        assert next_record(response)["message"] == "first"
        client.post("/v1/services/a/restart")
        again = next_record(response)
        assert (again["message"], again["pid"]) == ("first", client.service("a")["pid"])


def test_a_flood_of_lines(control: StartControlled) -> None:
    """Who follows a service that writes as fast as it can is told how many lines it missed; memory stays bounded."""
    daemon, client = control(service("yes", "yes", "line"), WEB)
    client.get("/v1/version")
    daemon.wait_line("line", count=1000)
    with client.follow("/v1/logs?follow=true&tail=0") as response:
        before = resident(daemon.pid)
        lines = missed = 0
        while lines < 20_000 or not missed:
            record = next_record(response)
            if record["event"] == "lines_missed":
                missed += record["count"]
            else:
                lines += 1
        assert resident(daemon.pid) - before < 10 * 2**20
        assert client.service("web")["state"] == "running"
    client.post("/v1/services/yes/kill?wait=true")
