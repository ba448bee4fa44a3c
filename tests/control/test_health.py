"""Probes: does it live, is it ready, has it started; and who is to blame."""

from tests.control.client import Client
from tests.control.conftest import StartControlled
from tests.helpers.cgroups import WRITABLE
from tests.helpers.settings import program, service, table

IGNORE = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000")


def test_all_is_well(control: StartControlled) -> None:
    """Everything runs: three times yes."""
    daemon, client = control(WEB)
    daemon.wait_event("service_state_changed", to="running")
    assert (client.get("/livez").status, client.get("/livez").json) == (200, {"live": True})
    ready = client.get("/readyz")
    assert (ready.status, ready.json) == (200, {"ready": True, "draining": False, "not_ready": {}})
    assert (client.get("/startupz").status, client.get("/startupz").json) == (200, {"started": True, "not_ready": {}})


def test_who_is_not_ready(control: StartControlled) -> None:
    """A service that has failed, or waits for another start, is named with its state; the daemon lives all the same."""
    daemon, client = control(
        IGNORE,
        WEB,
        service("bad", "sh", "-c", "exit 1", restart="never"),
        service("again", "sh", "-c", "exit 1", restart_delay="60s"),
        service("done", "true", restart="never"),
    )
    daemon.wait_events(3, "child_exited")
    ready = client.get("/readyz")
    assert ready.status == 503
    assert ready.json == {"ready": False, "draining": False, "not_ready": {"bad": "failed", "again": "backoff"}}
    assert client.get("/livez").status == 200


def test_what_an_order_stopped_is_nobodys_fault(control: StartControlled) -> None:
    """Stopped by order is as it should be."""
    _, client = control(IGNORE, WEB, service("other", "sleep", "1000"))
    client.post("/v1/services/other/stop?wait=true")
    assert client.get("/readyz").status == 200


def test_started_once_is_started_for_ever(control: StartControlled) -> None:
    """A service that fails later makes the daemon not ready, and leaves it started."""
    _, client = control(IGNORE, WEB)
    assert client.get("/startupz").status == 200
    client.post("/v1/services/web/signal", {"signal": "KILL"})
    found = client.get("/startupz")
    assert found.json == {"started": True, "not_ready": {}}


def test_not_ready_on_the_way_down(control: StartControlled) -> None:
    """While the shutdown drains, every service runs, and the answer is no: traffic has to go elsewhere."""
    daemon, client = control(table("supervisor", drain_delay="60s", shutdown_timeout="60s"), WEB)
    assert client.get("/readyz").status == 200
    daemon.signal("TERM")
    daemon.wait_event("shutdown_started")
    ready = client.get("/readyz")
    assert (ready.status, ready.json) == (503, {"ready": False, "draining": True, "not_ready": {}})
    daemon.signal("TERM")
    assert daemon.wait() == 0


def test_probes_for_everybody(control: StartControlled, free_port: int) -> None:
    """A port of their own answers probes and metrics without a token, and nothing else."""
    daemon, client = control(table("supervisor", listen_health=f"127.0.0.1:{free_port}"), WEB)
    daemon.wait_event("control_listening", address=f"127.0.0.1:{free_port}", serves="health")
    public = Client(("127.0.0.1", free_port))
    for path in ("/livez", "/readyz", "/startupz", "/metrics"):
        assert public.get(path).status == client.get(path).status == 200
    for path in ("/v1/version", "/v1/services", "/v1/events", "/openapi.json"):
        assert public.get(path).status == 404
    assert public.post("/v1/shutdown").status == 404
    assert client.service("web")["state"] == "running"


def test_no_service_is_ready_in_pause(control: StartControlled) -> None:
    """With nothing to run the daemon is ready: it does all that it is asked to."""
    daemon, client = control(table("supervisor", when_done="pause"))
    daemon.wait_event("pause_entered")
    assert client.get("/readyz").status == client.get("/startupz").status == 200


def test_a_service_in_its_stop(control: StartControlled) -> None:
    """A service that is being restarted is not ready."""
    daemon, client = control(service("lazy", *program("actor", "USR1=exit:0", "any=stay"), stop_timeout="60s"))
    daemon.wait_line("ready")
    client.post("/v1/services/lazy/restart")
    assert client.get("/readyz").json["not_ready"] == {"lazy": "stopping"}
    client.post("/v1/services/lazy/kill?wait=true")


def test_a_suspended_service_is_not_ready(control: StartControlled) -> None:
    """What a signal has stopped serves nobody: it is named, with the reason, and the list of services is not well."""
    daemon, client = control(WEB, service("other", "sleep", "1000"))
    client.post("/v1/services/web/signal", {"signal": "STOP"})
    daemon.wait_event("child_stopped", service="web")
    ready = client.get("/readyz")
    assert (ready.status, ready.json["not_ready"]) == (503, {"web": "suspended"})
    assert client.get("/v1/services").json["ok"] is False
    assert client.get("/v1/services?name=other").json["ok"] is True
    assert client.get("/livez").status == client.get("/startupz").status == 200
    client.post("/v1/services/web/signal", {"signal": "CONT"})
    daemon.wait_event("child_continued", service="web")
    assert client.get("/readyz").status == 200
    assert client.get("/v1/services").json["ok"] is True


@WRITABLE
def test_a_frozen_service_is_not_ready(control: StartControlled) -> None:
    """That it was ordered to stand still doesn't make it serve anybody."""
    _, client = control(service("web", "sleep", "1000", cgroup=True))
    client.post("/v1/services/web/freeze")
    ready = client.get("/readyz")
    assert (ready.status, ready.json["not_ready"]) == (503, {"web": "frozen"})
    client.post("/v1/services/web/thaw")
    assert client.get("/readyz").status == 200


def test_an_unhealthy_service_is_not_ready(control: StartControlled) -> None:
    """It is running, so the word is what is wrong with it."""
    health = {"command": ["false"], "interval": "50ms", "failures": 1, "action": "report"}
    daemon, client = control(service("web", "sleep", "1000", health=health))
    daemon.wait_event("health_changed", healthy=False)
    ready = client.get("/readyz")
    assert (ready.status, ready.json["not_ready"]) == (503, {"web": "unhealthy"})


def test_many_services_are_looked_at(control: StartControlled) -> None:
    """More than are looked at in one turn of the loop: whoever is not ready among them is found."""
    many = [service(f"s{number}", "sleep", "1000", stdout="null", stderr="null") for number in range(60)]
    daemon, client = control(*many)
    daemon.wait_events(60, "service_state_changed", to="running")
    assert client.get("/readyz").status == 200
    for name in ("s0", "s59"):
        client.post(f"/v1/services/{name}/signal", {"signal": "STOP"})
        daemon.wait_event("child_stopped", service=name)
    assert client.get("/readyz").json["not_ready"] == {"s0": "suspended", "s59": "suspended"}
