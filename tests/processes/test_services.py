"""Services as a group: restart policies, delays, limits, what a failure does, and what happens when all is done."""

import os

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service, table


@pytest.mark.namespace
@pytest.mark.parametrize(("code", "state"), [(0, "completed"), (3, "failed")])
def test_never_restarted(start: Launcher, place: How, loop: str, code: int, state: str) -> None:
    """Policy `never`: the service runs once, completed or failed by its status, which a failure makes ours."""
    daemon = start.services(
        service("once", "sh", "-c", f"exit {code}", restart="never"), options=("--loop", loop), how=place
    )
    assert daemon.wait() == code
    assert len(daemon.events("child_started")) == 1
    assert daemon.events("service_state_changed", service="once")[-1]["to"] == state
    assert daemon.wait_event("child_exited")["expected"] is (code == 0)
    assert daemon.wait_event("shutdown_finished")["exit_code"] == code


@pytest.mark.namespace
def test_restarted_on_failure_until_it_succeeds(start: Launcher, place: How, loop: str) -> None:
    """Policy `on-failure`, the default: a crash is followed by another start, a success is not."""
    marker = os.path.join(start.folder, "tries")
    script = f"echo try >> {marker}; test $(wc -l < {marker}) -ge 3"
    daemon = start.services(
        service("flaky", "sh", "-c", script, restart_delay="1ms"), options=("--loop", loop), how=place
    )
    assert daemon.wait() == 0
    assert [found["exit_code"] for found in daemon.events("child_exited")] == [1, 1, 0]
    attempts = [found["attempt"] for found in daemon.events("child_started")]
    assert attempts == list(range(attempts[0], attempts[0] + 3))
    assert len(daemon.events("restart_scheduled")) == 2


@pytest.mark.namespace
def test_always_restarted(start: Launcher, place: How, loop: str) -> None:
    """Policy `always`: success too is followed by another start."""
    daemon = start.services(
        service("again", "true", restart="always", restart_delay="1ms", restart_limit="none"),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_events(4, "child_exited", exit_code=0)
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_no_delay_is_no_delay(start: Launcher, place: How, loop: str) -> None:
    """A delay of zero restarts at once, many times, and TERM is still heard."""
    daemon = start.services(
        service("again", "true", restart="always", restart_delay="0s", restart_limit="none"),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_events(50, "child_started")
    assert daemon.stop() == 0


def test_delays_double(start: Launcher, loop: str) -> None:
    """Each delay is twice the one before, up to the maximum, with ten per cent of jitter."""
    daemon = start.services(
        service("crash", "false", restart_delay="20ms", restart_max_delay="150ms", restart_limit="none"),
        options=("--loop", loop),
    )
    found = [record["delay_s"] for record in daemon.wait_events(6, "restart_scheduled")[:6]]
    for delay, expected in zip(found, [0.02, 0.04, 0.08, 0.15, 0.15, 0.15], strict=True):
        assert delay == pytest.approx(expected, rel=0.101)
    assert daemon.stop() == 0


def test_a_long_enough_run_resets_the_delay(start: Launcher, loop: str) -> None:
    """After `restart-reset-after` up, the next delay is the first one again."""
    daemon = start.services(
        service("web", *program("actor"), restart_delay="10ms", restart_max_delay="10s", restart_reset_after="1ms"),
        options=("--loop", loop),
    )
    for turn in range(1, 5):
        daemon.wait_line("ready", turn)
        daemon.kill(daemon.events("child_started")[-1]["pid"], "KILL")
        delay = daemon.wait_events(turn, "restart_scheduled")[turn - 1]["delay_s"]
        assert delay == pytest.approx(0.01, rel=0.101)
    daemon.wait_line("ready", 5)
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_the_limit_ends_in_failure(start: Launcher, place: How, loop: str) -> None:
    """More restarts than the limit within its time: the service has failed, the daemon ends with its status."""
    daemon = start.services(
        service("crash", "sh", "-c", "exit 42", restart_delay="1ms", restart_limit={"count": 3, "within": "60s"}),
        service("web", *program("actor", "TERM=exit:0")),
        options=("--loop", loop),
        how=place,
    )
    assert daemon.wait() == 42
    assert len(daemon.events("child_started", service="crash")) == 4
    failed = daemon.wait_event("service_state_changed", service="crash", to="failed")
    assert (failed["reason"], failed["level"]) == ("restart-limit", "error")
    assert "crash" in daemon.wait_event("shutdown_started")["reason"]


@pytest.mark.namespace
def test_a_failure_by_a_signal(start: Launcher, place: How) -> None:
    """A service that died by a signal for good makes the daemon's status 128 + N."""
    daemon = start.services(service("crash", "sh", "-c", "kill -USR1 $$", restart="never"), how=place)
    assert daemon.wait() == 138


@pytest.mark.namespace
def test_a_failure_can_be_ignored(start: Launcher, place: How, loop: str) -> None:
    """With `on-failure = "ignore"` the others go on when one has failed."""
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("crash", "false", restart="never"),
        service("web", *program("actor", "TERM=exit:0")),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_event("service_state_changed", service="crash", to="failed")
    daemon.wait_line("ready")
    assert daemon.events("shutdown_started") == []
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_when_all_is_done_the_daemon_ends(start: Launcher, place: How, loop: str) -> None:
    """All services finished: the default is to end with 0."""
    daemon = start.services(
        service("one", "true", restart="never"), service("two", "true"), options=("--loop", loop), how=place
    )
    assert daemon.wait() == 0
    finished = [found["service"] for found in daemon.events("service_state_changed", to="completed")]
    assert sorted(finished) == ["one", "two"]


@pytest.mark.namespace
def test_when_all_is_done_the_daemon_can_pause(start: Launcher, place: How, loop: str) -> None:
    """All services finished and `when-done = "pause"`: the daemon holds on until TERM."""
    daemon = start.services(
        table("supervisor", when_done="pause"),
        service("one", "true", restart="never"),
        options=("--loop", loop),
        how=place,
    )
    assert daemon.wait_event("pause_entered")["reason"]
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_the_main_service_succeeds(start: Launcher, place: How, loop: str) -> None:
    """The main service ends with 0: the others are stopped and the status is 0."""
    daemon = start.services(
        table("supervisor", main="job"),
        service("job", "true", restart="never"),
        service("web", *program("actor", "TERM=exit:9")),
        options=("--loop", loop),
        how=place,
    )
    assert daemon.wait() == 0
    assert len(daemon.events("child_started", service="web")) <= 1


@pytest.mark.namespace
def test_another_status_can_count_as_success(start: Launcher, place: How) -> None:
    """`success-exit-status` takes codes and signal names; neither is then a failure to restart after."""
    daemon = start.services(
        service("code", "sh", "-c", "exit 3", success_exit_status=[0, 3]),
        service("signal", "sh", "-c", "kill -USR1 $$", success_exit_status=["SIGUSR1"]),
        how=place,
    )
    assert daemon.wait() == 0
    assert daemon.events("restart_scheduled") == []
    assert all(found["expected"] for found in daemon.events("child_exited"))


@pytest.mark.namespace
def test_the_first_record_describes_the_daemon(start: Launcher, place: How, loop: str) -> None:
    """`supervisor_started` names version, mode, loop, interpreter and services."""
    daemon = start.services(
        service("one", "true", restart="never"), service("two", "true"), options=("--loop", loop), how=place
    )
    assert daemon.wait() == 0
    first = daemon.events("supervisor_started")[0]
    assert first["mode"] == ("pid1" if place.pid1 else "subreaper")
    assert first["loop"] == loop
    assert first["version"]
    assert first["python"].count(".") >= 1
    assert first["services"] in (2, ["one", "two"])
    assert daemon.records[0]["event"] in {"supervisor_started", "config_loaded"}


@pytest.mark.namespace
def test_a_string_is_split_but_not_evaluated(start: Launcher, place: How) -> None:
    """A command as one string is split like a shell does, without a shell."""
    daemon = start.services(
        table("services.talk", command="echo 'two words' \"$HOME\" ; *", restart="never"), how=place
    )
    assert daemon.wait() == 0
    assert daemon.events("output")[0]["message"].startswith("two words ")
    assert daemon.events("output")[0]["message"].endswith(" ; *")


@pytest.mark.namespace
def test_an_idle_daemon_does_not_wake(start: Launcher, place: How, loop: str) -> None:
    """With services that run, the daemon sleeps until something happens."""
    daemon = start.services(
        *(service(f"s{index}", *program("actor", "TERM=exit:0")) for index in range(3)),
        options=("--loop", loop),
        how=place,
    )
    for index in range(3):
        daemon.wait_line("ready", service=f"s{index}")
    procfs.assert_idle(daemon.pid, 0.5)


def test_the_configuration_can_be_a_folder_and_repeat(start: Launcher) -> None:
    """`-c` takes a folder, in the order of names, and may be given again."""
    folder = os.path.join(start.folder, "conf.d")
    os.mkdir(folder)
    for name in ("20-b", "10-a"):
        with open(os.path.join(folder, f"{name}.toml"), "w", encoding="utf-8") as file:
            file.write(service(name[3:], "true", restart="never"))
    daemon = start.services(service("c", "true", restart="never"), options=("-c", folder))
    assert daemon.wait() == 0
    assert {found["service"] for found in daemon.events("child_started")} == {"a", "b", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "[services.web\n",
        service("web", "true", no_such_key=1),
        service("web", "true", stop_timeout="soon"),
        table("supervisor", main="nobody"),
        table("services.web", command=3),
        table("signals", SIGNONSENSE="ignore"),
        "\0",
    ],
)
def test_bad_configuration(start: Launcher, text: str) -> None:
    """A configuration that is wrong ends with 78 and names the file; nothing is started."""
    daemon = start.services(service("good", "touch", os.path.join(start.folder, "started")), text)
    assert daemon.wait() == 78
    said = daemon.text("stderr") + daemon.text("stdout")
    assert "config" in said
    assert not os.path.exists(os.path.join(start.folder, "started"))


def test_a_missing_configuration(start: Launcher) -> None:
    """A path given and missing is 78, and so is the same service defined twice."""
    missing = start.daemon("run", "-c", os.path.join(start.folder, "missing.toml"), how=How(pure=False))
    assert missing.wait() == 78
    assert "missing.toml" in missing.text("stderr") + missing.text("stdout")
    twice = start.services(
        service("web", "true"), options=("-c", start.write(service("web", "true"))), how=How(pure=False)
    )
    assert twice.wait() == 78
    assert "web" in twice.text("stderr") + twice.text("stdout")
