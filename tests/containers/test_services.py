"""nginx and redis-server in one container: the image of config/containers/nginx-redis, as its readers would run it."""

import pytest

from tests.containers.conftest import Start
from tests.containers.engine import Container
from tests.containers.image import EXAMPLE
from tests.helpers.procfs import wait_until

pytestmark = [pytest.mark.container, pytest.mark.timeout(120, func_only=True)]

ASK_NGINX = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1/", timeout=5).status)
"""

ASK_REDIS = """
import socket
with socket.create_connection(("127.0.0.1", 6379), timeout=5) as redis:
    redis.sendall(b"PING\\r\\n")
    print(redis.recv(7).decode().strip())
"""


def answers(container: Container, program: str, answer: str) -> bool:
    """Whether a client inside the container gets the answer."""
    asked = container.engine.attempt("exec", container.name, "python3", "-I", "-c", program)
    return asked.stdout.strip() == answer


def wait_answers(container: Container) -> None:
    """Wait until both servers answer."""
    wait_until(lambda: answers(container, ASK_NGINX, "200"), "nginx answers")
    wait_until(lambda: answers(container, ASK_REDIS, "+PONG"), "redis answers")


@pytest.fixture
def pair(start: Start) -> Container:
    """The container, both servers started."""
    container = start(image=EXAMPLE)
    for name in ("nginx", "redis"):
        container.wait_event("child_started", service=name)
    return container


def test_both_answer_and_stop(pair: Container) -> None:
    """Both servers answer; `stop` ends the container cleanly, and nobody has to be killed."""
    wait_answers(pair)
    assert pair.wait_event("supervisor_started")["mode"] == "pid1"
    pair.stop()
    assert pair.wait() == 0
    records = pair.check()
    assert records[-1]["event"] == "shutdown_finished"
    assert records[-1]["killed"] == []


def test_hangup_is_reported_and_both_live_on(pair: Container) -> None:
    """HUP to the container means: read the configuration again. Nothing has changed, so nobody is restarted."""
    pids = {name: pair.wait_event("child_started", service=name)["pid"] for name in ("nginx", "redis")}
    pair.kill("HUP")
    assert pair.wait_event("signal_received", signal_name="SIGHUP")["action"] == "reload"
    pair.wait_event("config_reloaded")
    wait_answers(pair)
    assert set(pids.values()) <= set(pair.processes())
    pair.stop()
    pair.check()


def test_killed_nginx_is_restarted_and_answers_again(pair: Container) -> None:
    """KILL takes nginx' master and leaves its workers on the port: they have to go for the next nginx to get it."""
    wait_answers(pair)
    first = pair.wait_event("child_started", service="nginx")
    pair.exec("kill", "-9", str(first["pid"]))
    died = pair.wait_event("child_exited", service="nginx", pid=first["pid"])
    assert (died["signal_name"], died["expected"]) == ("SIGKILL", False)
    second = pair.wait_event("child_started", service="nginx", attempt=first["attempt"] + 1)
    assert second["pid"] != first["pid"]
    wait_answers(pair)
    assert pair.events("child_exited", service="redis") == []
    pair.stop()
    assert pair.wait() == 0
    pair.check()


def test_no_zombie_is_left_by_workers_that_end(pair: Container) -> None:
    """A reload of nginx replaces its workers; whoever is not reaped by nginx is reaped by us."""
    wait_answers(pair)
    workers = {pid for pid, command in pair.processes().items() if "worker process" in command}
    assert workers
    pair.exec("nginx", "-s", "reload")
    wait_until(lambda: not workers & set(pair.processes()), "the old workers are gone")
    assert "<defunct>" not in " ".join(pair.processes().values())
    pair.stop()
    pair.check()
