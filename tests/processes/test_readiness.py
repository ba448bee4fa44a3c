"""When a service is ready: each way of telling it, from outside, and what happens while it is not."""

import os
import shutil
import socket
import sys

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import program, service, table

SLEEP = "exec sleep 1000"


def client(source: str) -> list[str]:
    """A program that uses the packages the tests have."""
    return [sys.executable, "-I", "-c", source]


def http_server(port: int, host: str = "127.0.0.1") -> list[str]:
    """The standard library's server."""
    return [sys.executable, "-I", "-m", "http.server", str(port), "--bind", host, "--directory", "/nonexistent"]


def assert_order(start: Launcher, how: How, loop: str, command: list[str], ready: dict[str, object]) -> None:
    """The service becomes ready by its way of telling it, and only then does the one start that needs it."""
    daemon = start.services(
        service("web", *command, ready=ready),
        service("user", *program("actor"), needs=["web"]),
        options=("--loop", loop),
        how=how,
    )
    daemon.wait_line("ready", service="user")
    events = [(record["event"], record.get("service")) for record in daemon.records]
    assert events.index(("child_started", "web")) < events.index(("service_ready", "web"))
    assert events.index(("service_ready", "web")) < events.index(("child_started", "user"))
    record = daemon.wait_event("service_ready", service="web")
    assert record["pid"] == daemon.wait_event("child_started", service="web")["pid"]
    assert record["probe"].split()[0] == next(iter(ready))
    assert 0 < record["duration_s"] < PATIENCE
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_by_a_client_that_others_wrote(start: Launcher, place: How, loop: str) -> None:
    """A program that uses a library for sd_notify(3)."""
    source = (
        "import sdnotify, signal\n"
        "notifier = sdnotify.SystemdNotifier(debug=True)\n"
        "notifier.notify('STATUS=reading')\n"
        "notifier.notify('READY=1')\n"
        "signal.pause()\n"
    )
    assert_order(start, place, loop, client(source), {"notify": True})


@pytest.mark.parametrize("options", ["--ready", "--no-block --ready", "--ready --status=up"])
def test_by_a_process_that_ends_at_once(start: Launcher, place: How, loop: str, options: str) -> None:
    """systemd-notify(1) from a script: with its barrier it waits to be heard, without it may be gone by then."""
    if shutil.which("systemd-notify") is None:
        pytest.skip("no systemd-notify here")
    command = ["sh", "-c", f"systemd-notify {options} && {SLEEP}"]
    assert_order(start, place, loop, command, {"notify": True})


@pytest.mark.parametrize(("shell", "number"), [("sh", 3), ("sh", 9), ("bash", 10), ("bash", 1000)])
def test_by_a_descriptor(start: Launcher, place: How, loop: str, shell: str, number: int) -> None:
    """A line on a descriptor that the service is given, as under s6."""
    assert_order(start, place, loop, [shell, "-c", f"echo >&{number}; {SLEEP}"], {"fd": number})


def test_the_descriptor_is_the_services_alone(start: Launcher) -> None:
    """It is open in the service, at its number, and in nobody else's process; nothing else is."""
    daemon = start.services(
        service("web", *program("actor"), ready={"fd": 5}),
        service("other", *program("actor"), ready={"fd": 6}),
        service("plain", *program("actor")),
    )
    for name, expected in (("web", {0, 1, 2, 5}), ("other", {0, 1, 2, 6}), ("plain", {0, 1, 2})):
        daemon.wait_line("ready", service=name)
        pid = daemon.wait_event("child_started", service=name)["pid"]
        assert set(procfs.descriptors(pid)) == expected
    assert daemon.stop() == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_by_a_port(start: Launcher, loop: str, host: str, free_port: int) -> None:
    """A connection can be made."""
    assert_order(start, How(), loop, http_server(free_port), {"tcp": f"{host}:{free_port}"})


def test_by_a_page(start: Launcher, loop: str, free_port: int) -> None:
    """A page that is there; one that is not there keeps the service from being ready."""
    script = f"mkdir -p {start.folder}/www && cd {start.folder}/www && exec {' '.join(http_server(free_port)[:-2])}"
    daemon = start.services(
        service("web", "sh", "-c", script, ready={"http": f"http://127.0.0.1:{free_port}/page", "interval": "20ms"}),
        options=("--loop", loop),
    )
    found = daemon.wait_event("probe_failed", kind="ready", error="answered 404 File not found")
    assert found["probe"] == f"http 127.0.0.1:{free_port}/page"
    assert daemon.events("service_ready") == []
    with open(os.path.join(start.folder, "www", "page"), "w", encoding="utf-8"):
        pass
    daemon.wait_event("service_ready")
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_by_a_command(start: Launcher, place: How, loop: str) -> None:
    """A command that succeeds, run where and as the service runs: its directory, its environment."""
    folder = os.path.join(start.folder, "work")
    os.mkdir(folder)
    script = f"sleep 0.1; touch $FLAG; {SLEEP}"
    daemon = start.services(
        service(
            "web",
            "sh",
            "-c",
            script,
            directory=folder,
            environment={"FLAG": "here"},
            ready={"command": ["sh", "-c", 'test -e "$FLAG" -a "$PAUSEVISOR_SERVICE" = web']},
        ),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_event("service_ready")
    assert daemon.stop() == 0
    assert {record["service"] for record in daemon.events("child_exited")} == {"web"}
    assert daemon.events("orphan_exited", comm="sh") == []


@pytest.mark.namespace
def test_by_a_line_of_output(start: Launcher, place: How, loop: str) -> None:
    """A line on either stream; the line itself is a record as any other."""
    script = f"echo starting; sleep 0.05; echo 'Now READY to serve' >&2; {SLEEP}"
    assert_order(start, place, loop, ["sh", "-c", script], {"log": "READY to [a-z]+$"})


def test_by_a_file(start: Launcher, loop: str) -> None:
    """A file that comes to be."""
    path = os.path.join(start.folder, "flag")
    assert_order(start, How(), loop, ["sh", "-c", f"sleep 0.1; touch {path}; {SLEEP}"], {"file": path})


def test_too_late(start: Launcher, loop: str, free_port: int) -> None:
    """Not ready within its start-timeout, it is ended and has failed; the log says what was wrong last."""
    daemon = start.services(
        service(
            "web",
            *program("actor", "TERM=exit:0"),
            ready={"tcp": f"127.0.0.1:{free_port}", "interval": "10s"},
            start_timeout="3s",
            restart="never",
        ),
        options=("--loop", loop),
    )
    assert daemon.wait() == 1
    failed = daemon.wait_event("service_state_changed", to="failed")
    assert failed["reason"] == "start-timeout"
    shown = [record for record in daemon.events("probe_failed") if record["level"] == "info"]
    assert [(record["error"], record["kind"]) for record in shown] == [("Connection refused", "ready")]
    assert daemon.events("service_ready") == []


def test_too_late_again_and_again(start: Launcher) -> None:
    """It is restarted as after any other failure, until the limit says that it has failed."""
    daemon = start.services(
        service(
            "web",
            "sleep",
            "1000",
            ready={"notify": True},
            start_timeout="50ms",
            restart_delay="1ms",
            restart_limit={"count": 2, "within": "60s"},
        )
    )
    assert daemon.wait() == 143
    assert len(daemon.events("child_started")) == 3


@pytest.mark.namespace
def test_ended_before_it_was_ready(start: Launcher, place: How) -> None:
    """Whatever its status: who was to become ready and ends before has failed."""
    daemon = start.services(service("web", "true", ready={"notify": True}, restart="never"), how=place)
    assert daemon.wait() == 1
    assert daemon.wait_event("service_state_changed", to="failed")["reason"] == "not-ready"


@pytest.mark.namespace
def test_term_during_a_probe(start: Launcher, place: How, loop: str) -> None:
    """A probe that hangs is killed with whatever it started, and nobody waits for it."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="1h"),
        service(
            "web",
            *program("actor", "TERM=exit:0"),
            ready={"command": ["sh", "-c", "trap '' TERM; touch running; sleep 1000; true"], "timeout": "100s"},
            directory=start.folder,
        ),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready")
    procfs.wait_until(lambda: os.path.exists(f"{start.folder}/running"), "the probe runs")
    assert daemon.stop() == 0
    assert daemon.wait_event("shutdown_finished")["killed"] == []
    assert daemon.events("child_exited", service="web")[0]["exit_code"] == 0


def test_a_probe_that_hangs(start: Launcher, loop: str) -> None:
    """At its timeout a command is killed with its group; another one follows, never beside it."""
    path = os.path.join(start.folder, "pids")
    script = f"test ! -e {path}.now || touch {path}.two; touch {path}.now; sleep 1000; true"
    daemon = start.services(
        service(
            "web",
            *program("actor"),
            ready={
                "command": ["sh", "-c", f"rm -f {path}.now; {script}"],
                "timeout": "100ms",
                "interval": "10ms",
            },
        ),
        table("log", level="debug"),
        options=("--loop", loop),
    )
    found = daemon.wait_events(5, "probe_failed", error="timed out after 0.1s")
    assert [record["failures"] for record in found[:5]] == [1, 2, 3, 4, 5]
    assert not os.path.exists(f"{path}.two")
    assert daemon.events("orphan_exited", exit_code=0) == []
    assert daemon.stop() == 0


def test_a_server_that_answers_nothing(start: Launcher, loop: str) -> None:
    """It accepts and is silent: each try ends by its timeout, and TERM is heard meanwhile."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        daemon = start.services(
            service(
                "web",
                *program("actor"),
                ready={"http": f"http://127.0.0.1:{listener.getsockname()[1]}/", "timeout": "50ms", "interval": "1ms"},
            ),
            options=("--loop", loop),
        )
        daemon.wait_event("probe_failed", error="timed out after 0.05s")
        assert daemon.stop() == 0


@pytest.mark.namespace
def test_a_thousand_probes_leave_nothing(start: Launcher, place: How) -> None:
    """After many commands the daemon has the descriptors it had before, and no child but its service."""
    daemon = start.services(
        service("web", *program("actor"), ready={"command": ["false"], "interval": "1ms"}, start_timeout="none"),
        table("log", level="debug"),
        how=place,
    )
    daemon.wait_event("probe_failed", failures=20)
    before = procfs.descriptors(daemon.pid)
    daemon.wait_event("probe_failed", failures=1000)
    daemon.freeze()
    after = procfs.descriptors(daemon.pid)
    daemon.signal("CONT")
    assert len(after) <= len(before) + 1
    assert daemon.events("orphan_exited") == []
    assert len(daemon.events("child_exited")) == 0
    assert daemon.stop() == 0


def test_a_probe_that_can_not_be_run(start: Launcher) -> None:
    """A command that does not exist is the probe's failure, told with its reason."""
    daemon = start.services(
        service("web", *program("actor"), ready={"command": ["/no/such/check"], "interval": "10ms"})
    )
    found = daemon.wait_event("probe_failed")
    assert found["error"] == "cannot execute its program '/no/such/check': No such file or directory"
    assert daemon.events("child_spawn_failed") == []
    assert daemon.stop() == 0
