"""Services through the API: what is told of them, and orders, with waiting and without."""

import os
import threading

import pytest

from supervisor.control.orders import MOMENT
from tests.control.client import Answer, Client
from tests.control.conftest import StartControlled
from tests.harness import How
from tests.helpers import procfs
from tests.helpers.settings import program, service, table

IGNORE = table("supervisor", on_failure="ignore", when_done="pause")
LAZY = service("lazy", *program("actor", "USR1=exit:0", "any=stay"), stop_timeout="60s")


def test_version(control: StartControlled, loop: str) -> None:
    """What runs, and for how long."""
    daemon, client = control(service("web", "sleep", "1000"), options=("--loop", loop))
    answer = client.get("/v1/version")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    started = daemon.wait_event("supervisor_started")
    same = ("version", "pid", "mode", "loop", "python")
    assert {name: answer.json[name] for name in same} == {name: started[name] for name in same}
    assert 0 < answer.json["uptime_s"] < 60


@pytest.mark.namespace
def test_as_pid_1(control: StartControlled, place: How) -> None:
    """The socket works in either place, and pids are those of the daemon's namespace."""
    daemon, client = control(service("web", "sleep", "1000"), how=place)
    assert client.service("web")["pid"] == daemon.wait_event("child_started")["pid"]


def test_one_service(control: StartControlled) -> None:
    """All that is told of a service that runs; the environment is not."""
    daemon, client = control(service("web", "sleep", "1000", environment={"SECRET": "hush"}))
    started = daemon.wait_event("child_started", service="web")
    answer = client.get("/v1/services/web")
    found = answer.json
    assert "hush" not in answer.text
    usage = {name: found.pop(name) for name in ("uptime_s", "cpu_s", "rss_bytes", "started_at")}
    assert 0 <= usage["uptime_s"] < 60
    assert usage["started_at"][:19] <= started["timestamp"][:19]
    assert found == {
        "name": "web",
        "base": "web",
        "replica": None,
        "kind": "service",
        "state": "running",
        "desired": "up",
        "reason": "spawned",
        "need": None,
        "stops_after": [],
        "ready": True,
        "healthy": None,
        "pid": started["pid"],
        "attempt": 1,
        "restarts": 0,
        "exit_code": None,
        "signal": None,
        "signal_name": None,
        "status_text": None,
        "next_run": None,
        "restart_in_s": None,
        "suspended": False,
        "frozen": False,
        "needs": [],
        "command": ["sleep", "1000"],
    }


def test_usage(control: StartControlled) -> None:
    """Memory is that of the process, and CPU time too."""
    daemon, client = control(service("busy", *program("actor", "any=die")))
    daemon.wait_line("ready")
    pid = daemon.wait_event("child_started")["pid"]
    procfs.wait_until(lambda: procfs.state(pid) == "S", "it has said that and sleeps")
    memory, cpu = resident(pid), cpu_seconds(pid)
    found = client.service("busy")
    assert found["rss_bytes"] in (memory, resident(pid))  # the kernel takes pages back at times
    assert found["cpu_s"] == cpu == cpu_seconds(pid)


def test_how_the_last_process_ended(control: StartControlled) -> None:
    """By itself with a code, or by a signal."""
    daemon, client = control(
        IGNORE,
        service("code", "sh", "-c", "exit 3", restart="never"),
        service("killed", "sh", "-c", "kill -KILL $$", restart="never"),
    )
    daemon.wait_events(2, "child_exited")
    code, killed = client.service("code"), client.service("killed")
    assert (code["state"], code["exit_code"], code["signal"], code["pid"]) == ("failed", 3, None, None)
    assert (killed["exit_code"], killed["signal"], killed["signal_name"]) == (None, 9, "SIGKILL")


def test_the_list(control: StartControlled) -> None:
    """All services in the order of their definition, those that match, and whether all is well."""
    daemon, client = control(
        IGNORE,
        service("web", "sleep", "1000"),
        service("bad", "sh", "-c", "exit 1", restart="never"),
        service("worker", "sleep", "1000"),
    )
    daemon.wait_event("child_exited")
    every = client.get("/v1/services").json
    assert [one["name"] for one in every["services"]] == ["web", "bad", "worker"]
    assert every["ok"] is False
    some = client.get("/v1/services?name=w*").json
    assert [one["name"] for one in some["services"]] == ["web", "worker"]
    assert some["ok"] is True
    two = client.get("/v1/services?name=web&name=b%3Fd").json
    assert [one["name"] for one in two["services"]] == ["web", "bad"]
    assert client.get("/v1/services?name=none").json == {"services": [], "ok": True}


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 60])
def test_a_list_of_any_length(control: StartControlled, count: int) -> None:
    """It is written in slices, and is one document all the same."""
    _, client = control(
        IGNORE, *[service(f"s{n}", "sleep", "1000", stdout="null", stderr="null") for n in range(count)]
    )
    found = client.get("/v1/services").json
    assert [one["name"] for one in found["services"]] == [f"s{n}" for n in range(count)]


def test_orders_at_once(control: StartControlled) -> None:
    """Without waiting an order is accepted, with the state that follows from it."""
    daemon, client = control(IGNORE, service("web", "sleep", "1000"))
    answer = client.post("/v1/services/web/stop")
    assert (answer.status, answer.json) == (202, {"service": "web", "accepted": True, "state": "stopping"})
    daemon.wait_event("service_state_changed", service="web", to="stopped")
    answer = client.post("/v1/services/web/start")
    assert answer.json["state"] == "running"
    assert client.post("/v1/services/web/kill").json["state"] == "stopping"
    assert daemon.wait_event("child_exited", signal_name="SIGKILL")["expected"] is True


def test_orders_waited_for(control: StartControlled) -> None:
    """With waiting the answer is the service when it is done."""
    _, client = control(IGNORE, service("web", "sleep", "1000"))
    first = client.service("web")["pid"]
    answer = client.post("/v1/services/web/restart?wait=true")
    assert answer.status == 200
    assert (answer.json["state"], answer.json["attempt"], answer.json["restarts"]) == ("running", 2, 1)
    assert answer.json["pid"] != first
    stopped = client.post("/v1/services/web/stop?wait=true").json
    assert (stopped["state"], stopped["desired"], stopped["pid"]) == ("stopped", "down", None)
    assert client.post("/v1/services/web/start?wait=true").json["attempt"] == 3
    assert client.post("/v1/services/web/start?wait=true").json["attempt"] == 3
    assert client.post("/v1/services/web/kill?wait=true").json["signal_name"] == "SIGKILL"


def test_waiting_that_ends_otherwise(control: StartControlled) -> None:
    """A service that fails instead of running is a conflict, told at once."""
    daemon, client = control(IGNORE, service("bad", "/nonexistent", restart="never"))
    daemon.wait_event("child_spawn_failed")
    answer = client.post("/v1/services/bad/start?wait=true")
    assert answer.status == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["title"] == "Conflict"
    assert answer.json["services"] == ["bad"]
    assert "failed" in answer.json["detail"]


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_waiting_ends_with_the_attempt(control: StartControlled, folder: str, verb: str) -> None:
    """One that fails is told when it has, and not after the delay before the next; with how the service was then."""
    late = {"restart": "always", "restart_delay": "1h", "restart_max_delay": "1h"}
    bad = service("bad", "sh", "-c", "exit 3", ready={"file": f"{folder}/ready"}, **late)
    daemon, client = control(IGNORE, bad)
    daemon.wait_event("restart_scheduled")
    answer = client.post(f"/v1/services/bad/{verb}?wait=true")
    assert answer.status == 409
    assert answer.json["detail"] == f"{verb} ended otherwise: bad is backoff (exit-code)"
    found = answer.json["results"][0]
    assert (found["name"], found["state"], found["exit_code"], found["attempt"]) == ("bad", "backoff", 3, 2)


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_coming_up_takes_a_moment(control: StartControlled, verb: str) -> None:
    """Without readiness a service is up as soon as it has a process, which is no proof of anything."""
    _, client = control(IGNORE, service("web", "sleep", "1000"))
    client.post("/v1/services/web/stop?wait=true")
    assert client.post(f"/v1/services/web/{verb}?wait=true").json["uptime_s"] >= MOMENT


def test_waiting_for_the_time_given(control: StartControlled) -> None:
    """When it takes longer the answer says so, and the order stands."""
    daemon, client = control(IGNORE, LAZY)
    daemon.wait_line("ready")
    answer = client.post("/v1/services/lazy/stop?wait=true&timeout=0.1")
    assert answer.status == 504
    assert "stands" in answer.json["detail"]
    assert client.service("lazy")["state"] == "stopping"
    assert client.post("/v1/services/lazy/kill?wait=true").status == 200


def test_a_client_that_goes_away_changes_nothing(control: StartControlled) -> None:
    """A stop that somebody waited for goes on without them."""
    daemon, client = control(IGNORE, LAZY)
    daemon.wait_line("ready")
    connection = client.connection()
    connection.request("POST", "/v1/services/lazy/stop?wait=true")
    daemon.wait_event("service_state_changed", service="lazy", to="stopping")
    connection.close()
    assert client.service("lazy")["state"] == "stopping"
    assert client.service("lazy")["desired"] == "down"
    client.post("/v1/services/lazy/signal", {"signal": "USR1"})
    daemon.wait_event("service_state_changed", service="lazy", to="stopped")


def test_several_wait_for_one(control: StartControlled) -> None:
    """Two clients wait for the same stop, and both are answered."""
    daemon, client = control(IGNORE, LAZY)
    daemon.wait_line("ready")
    statuses: list[int] = []
    waiting = [
        threading.Thread(target=lambda: statuses.append(client.post("/v1/services/lazy/stop?wait=true").status))
        for _ in range(2)
    ]
    for one in waiting:
        one.start()
    daemon.wait_event("service_state_changed", service="lazy", to="stopping")
    client.post("/v1/services/lazy/signal", {"signal": "USR1"})
    for one in waiting:
        one.join()
    assert statuses == [200, 200]


def test_a_stop_overtaken_by_a_start(control: StartControlled) -> None:
    """Who waits for a stop is told when the service is up again instead: its state is the answer of the next one."""
    daemon, client = control(IGNORE, LAZY)
    daemon.wait_line("ready")
    client.post("/v1/services/lazy/stop")
    assert client.post("/v1/services/lazy/start").json["state"] == "stopping"
    answer = client.post("/v1/services/lazy/kill?wait=true")
    assert (answer.status, answer.json["state"]) == (200, "stopped")


def test_signals(control: StartControlled) -> None:
    """By name or number, to the group or to the process alone."""
    daemon, client = control(service("web", *program("actor", "any=stay", "TERM=die")))
    daemon.wait_line("ready")
    answer = client.post("/v1/services/web/signal", {"signal": "SIGUSR1"})
    assert answer.status == 200
    assert answer.json == {
        "service": "web",
        "accepted": True,
        "state": "running",
        "signal": 10,
        "signal_name": "SIGUSR1",
    }
    daemon.wait_event("signal_forwarded", signal_name="SIGUSR1", scope="group")
    assert client.post("/v1/services/web/signal", {"signal": 12, "scope": "process"}).status == 200
    daemon.wait_event("signal_forwarded", signal_name="SIGUSR2", scope="process")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"signal": "NONSENSE"}, 422),
        ({"signal": 65}, 422),
        ({"signal": None}, 422),
        ({"signal": True}, 422),
        ({}, 422),
        ({"signal": "HUP", "scope": "world"}, 422),
        ({"signal": "HUP", "more": 1}, 422),
        ([], 422),
        ("{", 422),
        (b"\xff\xfe", 422),
        ("[" * 100_000, 422),
        (b'{"signal": "\xff"}', 422),
    ],
)
def test_a_wrong_body(control: StartControlled, body: object, status: int) -> None:
    """It is refused in words, and nobody is sent anything."""
    daemon, client = control(service("web", "sleep", "1000"))
    answer = client.post("/v1/services/web/signal", body)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert daemon.events("signal_forwarded") == []


def test_no_process_to_signal(control: StartControlled) -> None:
    """A service that is down can't be sent a signal."""
    _, client = control(IGNORE, service("web", "sleep", "1000"))
    client.post("/v1/services/web/stop?wait=true")
    answer = client.post("/v1/services/web/signal", {"signal": "HUP"})
    assert (answer.status, answer.json["services"]) == (409, ["web"])


@pytest.mark.parametrize("name", ["none", "..%2f..%2fetc%2fpasswd", "web%231", "%00", "web%0a", "%ff", "w*", "web/"])
@pytest.mark.parametrize("verb", ["", "/start", "/signal"])
def test_no_such_service(control: StartControlled, name: str, verb: str) -> None:
    """Names that nobody has are not found, whatever is in them."""
    _, client = control(service("web", "sleep", "1000"))
    method = "POST" if verb else "GET"
    answer = client.ask(method, f"/v1/services/{name}{verb}", {"signal": "HUP"} if verb == "/signal" else None)
    assert answer.status in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.service("web")["state"] == "running"


@pytest.mark.parametrize(
    "query",
    ["wait=maybe", "timeout=x", "timeout=0", "timeout=-1", "timeout=nan", "timeout=inf", "timeout=1e10", "wait=TRUE"],
)
def test_wrong_parameters(control: StartControlled, query: str) -> None:
    """They are refused before anything is ordered."""
    _, client = control(service("web", "sleep", "1000"))
    answer = client.post(f"/v1/services/web/stop?{query}")
    assert answer.status == 400
    assert client.service("web")["state"] == "running"


def test_no_such_path(control: StartControlled) -> None:
    """What is missing is named, and what a path takes."""
    _, client = control(service("web", "sleep", "1000"))
    assert client.get("/v1/nothing").json["detail"] == "there is nothing at /v1/nothing"
    assert client.get("/v1/reload").json["detail"] == "/v1/reload takes POST, and no GET"
    assert client.ask("GET", "/v1/nothing", Host="[").status == 404


def test_other_methods(control: StartControlled) -> None:
    """A method that a path does not have is refused, with those that it has."""
    _, client = control(service("web", "sleep", "1000"))
    answer = client.ask("DELETE", "/v1/services/web")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert client.get("/v1/services/web/stop").status == 405
    assert client.ask("HEAD", "/v1/version").body == b""


def test_nothing_is_started_on_the_way_down(control: StartControlled) -> None:
    """During a shutdown an order to start is refused, and one to stop is not."""
    daemon, client = control(service("slow", *program("actor", "TERM=stay")), LAZY, service("web", "sleep", "1000"))
    daemon.wait_events(2, "output", message="ready")
    daemon.signal("TERM")
    daemon.wait_event("service_state_changed", service="web", to="stopped")
    answer = client.post("/v1/services/web/start")
    assert answer.status == 409
    assert "shutting down" in answer.json["detail"]
    assert client.post("/v1/services/web/stop").status == 202
    daemon.signal("TERM")
    assert daemon.wait() == 0


def test_shutdown(control: StartControlled, path: str) -> None:
    """The order to end is accepted, and the socket is gone at the end."""
    daemon, client = control(service("web", "sleep", "1000"))
    assert (client.post("/v1/shutdown").status, daemon.wait()) == (202, 0)
    assert daemon.wait_event("shutdown_started")["reason"] == "ordered by a client"
    assert not os.path.lexists(path)


def test_shutdown_and_term_at_once(control: StartControlled) -> None:
    """Ordered twice in two ways, it is one shutdown."""
    daemon, client = control(LAZY)
    daemon.wait_line("ready")
    assert client.post("/v1/shutdown").status == 202
    assert client.post("/v1/shutdown").status == 202
    daemon.wait_event("shutdown_started")
    daemon.signal("TERM")
    assert daemon.wait() == 0
    assert len(daemon.events("shutdown_started")) == 1


def test_a_thousand_services(control: StartControlled) -> None:
    """Listing a thousand takes less than a third of a second of the daemon's time."""
    settings = [service(f"s{n}", "sleep", "1000", stdout="null", stderr="null") for n in range(1000)]
    daemon, client = control(*settings)
    client.get("/v1/version")  # what serves it is imported now
    before = cpu_seconds(daemon.pid)
    answer = client.get("/v1/services")
    used = cpu_seconds(daemon.pid) - before
    assert len(answer.json["services"]) == 1000
    assert all(one["rss_bytes"] is not None for one in answer.json["services"])
    assert used < 0.3


def resident(pid: int) -> int:
    """Memory of a process, in bytes."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[21]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_one_thread(control: StartControlled) -> None:
    """Whatever is asked, the daemon stays a single thread: nothing in it needs a lock, and a fork is safe."""
    daemon, client = control(service("web", "sleep", "1000"))
    for where in ("/v1/services", "/metrics", "/v1/events", "/readyz", "/nothing"):
        client.get(where)
    client.post("/v1/services/web/signal", {"signal": "CONT"})
    assert procfs.status(daemon.pid)["Threads"] == "1"


def test_the_client_helper_shows_a_service(control: StartControlled) -> None:
    """Asking on one connection, several times, is the same as on many."""
    _, client = control(service("web", "sleep", "1000"))
    connection = Client(client.at).connection()
    for _ in range(5):
        connection.request("GET", "/v1/services/web")
        assert connection.getresponse().read()
    connection.close()


def test_an_order_to_several(control: StartControlled) -> None:
    """One request means them all, each once; of those that need each other one waits for the other, which is told."""
    stay = service("app", *program("actor", "USR1=exit:0", "any=stay"), needs=["db"], stop_timeout="60s")
    daemon, client = control(IGNORE, service("db", "sleep", "1000"), stay, service("web", "sleep", "1000", replicas=2))
    daemon.wait_line("ready")
    answer = client.post("/v1/orders", {"order": "stop", "services": ["db", "app", "web", "web#1"]})
    assert (answer.status, answer.json) == (
        202,
        {
            "accepted": True,
            "services": {"db": "running", "app": "stopping", "web#1": "stopping", "web#2": "stopping"},
        },
    )
    found = client.service("db")
    assert (found["state"], found["desired"], found["stops_after"]) == ("running", "up", ["app"])
    daemon.kill(client.service("app")["pid"], "USR1")
    daemon.wait_event("service_state_changed", service="db", to="stopped")
    answer = client.post("/v1/orders?wait=true", {"order": "start", "services": ["app"]})
    assert (answer.status, [one["name"] for one in answer.json["services"]]) == (200, ["app"])
    daemon.wait_events(2, "output", message="ready")
    late = client.post("/v1/orders?wait=true&timeout=0.1", {"order": "restart", "services": ["db", "app"]})
    assert (late.status, late.json["services"]) == (504, ["db", "app"])
    daemon.kill(client.service("app")["pid"], "USR1")
    daemon.wait_events(3, "service_state_changed", service="app", to="running")
    assert client.post("/v1/orders?wait=true", {"order": "kill", "services": ["app", "db"]}).json["ok"] is True


@pytest.mark.parametrize("order", ["stop", "restart"])
def test_an_order_that_is_called_off(control: StartControlled, order: str) -> None:
    """Who waits for one that somebody has undone while it waited for its turn is told so."""
    stay = service("app", *program("actor", "USR1=exit:0", "any=stay"), needs=["db"], stop_timeout="60s")
    daemon, client = control(IGNORE, service("db", "sleep", "1000"), stay)
    daemon.wait_line("ready")
    answers: list[Answer] = []
    body = {"order": order, "services": ["db", "app"]}
    waiting = threading.Thread(target=lambda: answers.append(client.post("/v1/orders?wait=true&timeout=20", body)))
    waiting.start()
    daemon.wait_event("service_state_changed", service="app", to="stopping")
    client.post("/v1/services/app/start")
    daemon.kill(client.service("app")["pid"], "USR1")
    waiting.join()
    assert (answers[0].status, "db" in answers[0].json["services"]) == (409, True)
    assert client.service("db")["attempt"] == 1


def test_a_failed_attempt_beside_a_slow_one(control: StartControlled, folder: str) -> None:
    """One that has failed meanwhile, and is up again when the others are, is told all the same."""
    mark, ready = f"{folder}/mark", f"{folder}/ready"
    flaky = service("flaky", "sh", "-c", f"test -e {mark} && rm {mark} && exit 1; exec sleep 1000")
    slow = service("slow", "sleep", "1000", ready={"file": ready})
    daemon, client = control(IGNORE, slow, flaky)
    assert client.post("/v1/orders?wait=true", {"order": "stop", "services": ["slow", "flaky"]}).status == 200
    with open(mark, "w", encoding="utf-8"):
        pass
    answers: list[Answer] = []
    body = {"order": "start", "services": ["slow", "flaky"]}
    waiting = threading.Thread(target=lambda: answers.append(client.post("/v1/orders?wait=true&timeout=60", body)))
    waiting.start()
    daemon.wait_event("child_started", service="flaky", attempt=3)
    with open(ready, "w", encoding="utf-8"):
        pass
    waiting.join()
    assert (answers[0].status, answers[0].json["services"]) == (409, ["flaky"])
    assert client.service("flaky")["state"] == "running"


def test_what_is_waited_for_fails(control: StartControlled, folder: str) -> None:
    """Who waits for one that waits for another's next attempt is told, however long the chain."""
    late = {"restart": "always", "restart_delay": "1h", "restart_max_delay": "1h"}
    bad = service("bad", "sh", "-c", "sleep 0.3; exit 3", ready={"file": f"{folder}/ready"}, **late)
    chain = [service(f"s{n}", "sleep", "1000", needs=[f"s{n - 1}" if n else "bad"]) for n in range(20)]
    daemon, client = control(IGNORE, bad, *chain)
    daemon.wait_event("restart_scheduled")
    answer = client.post("/v1/orders?wait=true&timeout=60", {"order": "restart", "services": ["bad", "s19"]})
    assert (answer.status, sorted(answer.json["services"])) == (409, ["bad", "s19"])


@pytest.mark.parametrize("order", ["start", "stop", "restart", "kill"])
def test_an_order_to_nobody(control: StartControlled, order: str) -> None:
    """Names that mean nothing are told, and nothing is done; no name is no mistake, and another verb is one."""
    daemon, client = control(IGNORE, service("web", "sleep", "1000"))
    daemon.wait_event("child_started")
    answer = client.post("/v1/orders", {"order": order, "services": ["web", "wbe", "nobody"]})
    assert (answer.status, answer.json["services"]) == (404, ["wbe", "nobody"])
    assert answer.json["detail"] == "there is no service 'wbe', 'nobody'"
    assert client.post("/v1/orders", {"order": order, "services": []}).json == {"accepted": True, "services": {}}
    assert client.post("/v1/orders", {"order": "signal", "services": []}).status == 422
    assert (client.service("web")["state"], len(daemon.events("child_started"))) == ("running", 1)


def test_an_order_to_one_waits_for_nobody(control: StartControlled) -> None:
    """Nor does one to all instances of a service, though somebody who needs it is stopping at the time."""
    stay = service("app", *program("actor", "USR1=exit:0", "any=stay"), needs=["db"], stop_timeout="60s")
    daemon, client = control(IGNORE, service("db", "sleep", "1000", replicas=2), stay)
    daemon.wait_line("ready")
    assert client.post("/v1/services/app/stop").json["state"] == "stopping"
    assert set(client.post("/v1/services/db/stop").json["services"].values()) == {"stopping"}
    daemon.wait_events(2, "service_state_changed", to="stopped")
    daemon.kill(client.service("app")["pid"], "USR1")
    daemon.wait_event("service_state_changed", service="app", to="stopped")
