"""The orderly end: who gets which signal, what happens to the late, and which status the daemon ends with."""

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service, table


@pytest.mark.namespace
def test_a_child_that_ignores_term_is_killed(start: Launcher, place: How, loop: str) -> None:
    """After `stop-timeout` a child that ignores TERM gets KILL, and is named as late."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="100s"),
        service("deaf", *program("actor", "any=stay"), stop_timeout="300ms"),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready")
    assert daemon.stop() == 0
    ended = daemon.wait_event("child_exited", service="deaf")
    assert ended["signal_name"] == "SIGKILL"
    assert ended["duration_s"] >= 0.3
    finished = daemon.wait_event("shutdown_finished")
    assert [str(entry) for entry in finished["killed"]] == ["deaf"]
    assert finished["duration_s"] >= 0.3


@pytest.mark.namespace
def test_a_stopped_child_ends_gracefully(start: Launcher, place: How, loop: str) -> None:
    """A stopped child gets TERM and then CONT, so that its own handler runs: it is not killed."""
    daemon = start.services(service("web", *program("actor", "TERM=exit:5")), options=("--loop", loop), how=place)
    daemon.wait_line("ready")
    pid = daemon.events("child_started")[0]["pid"]
    daemon.kill(pid, "STOP")
    daemon.wait_event("child_stopped")
    assert daemon.stop() == 0
    assert daemon.wait_event("child_exited")["exit_code"] == 5
    assert daemon.wait_event("shutdown_finished")["killed"] == []


@pytest.mark.namespace
def test_a_child_that_stops_itself_at_term_is_killed(start: Launcher, place: How) -> None:
    """A child that answers TERM, and CONT too, by stopping is killed at its deadline."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="100s"),
        service("web", *program("actor", "TERM=stop", "CONT=stop"), stop_timeout="300ms"),
        how=place,
    )
    daemon.wait_line("ready")
    assert daemon.stop() == 0
    daemon.wait_event("child_stopped")
    assert daemon.wait_event("child_exited")["signal_name"] == "SIGKILL"


@pytest.mark.namespace
def test_a_child_that_forks_at_term_leaves_nothing(start: Launcher, place: How) -> None:
    """A hundred stubborn processes made in answer to TERM, each in its own session, are gone with the daemon."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="5s"), service("web", *program("actor", "TERM=fork:100")), how=place
    )
    daemon.wait_line("ready")
    assert daemon.stop() == 0
    assert len(daemon.events("orphan_exited", signal_name="SIGKILL")) == 100


@pytest.mark.namespace
def test_the_whole_shutdown_has_a_deadline(start: Launcher, place: How, loop: str) -> None:
    """Ten services, each slower than the whole shutdown may be: KILL at `shutdown-timeout`, all named as late."""
    names = [f"slow{index}" for index in range(10)]
    daemon = start.services(
        table("supervisor", shutdown_timeout="400ms"),
        *(service(name, *program("actor", "any=stay"), stop_timeout="60s") for name in names),
        options=("--loop", loop),
        how=place,
    )
    for name in names:
        daemon.wait_line("ready", service=name)
    assert daemon.stop() == 0
    assert sorted(daemon.wait_event("shutdown_finished")["killed"]) == names


@pytest.mark.namespace
def test_last_words_are_not_lost(start: Launcher, place: How, loop: str) -> None:
    """A thousand lines written in answer to TERM are all there, in order, before the shutdown is finished."""
    daemon = start.services(service("web", *program("actor", "TERM=lines:1000")), options=("--loop", loop), how=place)
    daemon.wait_line("ready")
    assert daemon.stop() == 0
    words = [found["message"] for found in daemon.events("output") if found["message"].startswith("last words")]
    assert words == [f"last words {index}" for index in range(1000)]
    assert daemon.records[-1]["event"] == "shutdown_finished"


@pytest.mark.namespace
def test_a_hundred_services_go_down_together(start: Launcher, place: How, loop: str) -> None:
    """A hundred services start, and all end at one TERM."""
    count = 100
    daemon = start.services(
        *(service(f"s{index}", "sleep", "infinity") for index in range(count)), options=("--loop", loop), how=place
    )
    daemon.wait_events(count, "child_started")
    assert daemon.stop() == 0
    ended = daemon.events("child_exited")
    assert len(ended) == count
    assert all(found["expected"] and found["signal_name"] == "SIGTERM" for found in ended)


@pytest.mark.namespace
@pytest.mark.parametrize("turn", range(3))
def test_nothing_is_restarted_once_shutdown_has_started(start: Launcher, place: How, loop: str, turn: int) -> None:
    """Twenty services that end all the time: TERM falls on many deaths, and none of them is followed by a start."""
    daemon = start.services(
        *(
            service(f"s{index}", "true", restart="always", restart_delay="10ms", restart_limit="none")
            for index in range(20)
        ),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_events(40 + 7 * turn, "child_exited")
    assert daemon.stop() == 0
    names = [found["event"] for found in daemon.records]
    assert "child_started" not in names[names.index("shutdown_started") :]
    assert "restart_scheduled" not in names[names.index("shutdown_started") :]
    assert len(daemon.events("child_started")) == len(daemon.events("child_exited"))


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_second_signal_kills_at_once(start: Launcher, place: How, loop: str, name: str) -> None:
    """The second TERM or INT does not wait for any timeout."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="100s", stop_timeout="100s"),
        service("deaf", *program("actor", "any=stay")),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready")
    daemon.signal("TERM")
    daemon.wait_line("TERM")
    daemon.remember()
    daemon.signal(name)
    assert daemon.wait() == 0
    assert daemon.wait_event("child_exited")["signal_name"] == "SIGKILL"
    assert daemon.wait_event("shutdown_finished")["killed"] == ["deaf"]


@pytest.mark.namespace
def test_a_second_signal_kills_the_single_command(start: Launcher, place: How) -> None:
    """The single command that ignores TERM is killed at the second: 137."""
    daemon = start.single(*program("actor", "any=stay"), how=place)
    daemon.wait_lines(1)
    daemon.signal("TERM")
    daemon.wait_lines(2)
    daemon.remember()
    daemon.signal("TERM")
    assert daemon.wait() == 137


@pytest.mark.namespace
def test_term_during_back_off(start: Launcher, place: How, loop: str) -> None:
    """A shutdown does not wait for a restart that is scheduled."""
    daemon = start.services(
        service("web", "false", restart_delay="100s", restart_max_delay="100s"), options=("--loop", loop), how=place
    )
    daemon.wait_event("restart_scheduled")
    assert daemon.stop() == 0
    assert len(daemon.events("child_started")) == 1


@pytest.mark.namespace
def test_the_end_of_the_main_service_ends_the_others(start: Launcher, place: How, loop: str) -> None:
    """The main service exits with 3: the others are stopped in order, and 3 is the daemon's status."""
    daemon = start.services(
        table("supervisor", main="main"),
        service("main", *program("actor", "USR1=exit:3"), restart="never"),
        service("other", *program("actor", "TERM=exit:0")),
        options=("--loop", loop),
        how=place,
    )
    daemon.wait_line("ready", service="main")
    daemon.wait_line("ready", service="other")
    daemon.remember()
    daemon.kill(daemon.events("child_started", service="main")[0]["pid"], "USR1")
    assert daemon.wait() == 3
    assert daemon.wait_event("child_exited", service="other")["exit_code"] == 0
    assert daemon.wait_event("shutdown_finished")["exit_code"] == 3


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("actions", "main", "code"),
    [
        (["TERM=exit:0"], True, 0),
        (["TERM=exit:5"], True, 5),
        (["TERM=die"], True, 0),
        (["any=stay"], True, 0),
        (["TERM=exit:5"], False, 0),
        (["any=stay"], False, 0),
    ],
    ids=["main-0", "main-5", "main-term", "main-kill", "other-5", "other-kill"],
)
def test_status_of_an_ordered_shutdown(start: Launcher, place: How, actions: list[str], main: bool, code: int) -> None:
    """An ordered shutdown gives 0, or the main service's own exit code; death by the signal we sent counts as 0."""
    settings = {"main": "web"} if main else {}
    daemon = start.services(
        table("supervisor", **settings),
        service("web", *program("actor", *actions), **({"stop_timeout": "200ms"} if "any=stay" in actions else {})),
        how=place,
    )
    daemon.wait_line("ready")
    assert daemon.stop() == code
    assert daemon.wait_event("shutdown_finished")["exit_code"] == code


@pytest.mark.namespace
def test_a_main_service_killed_by_someone_else(start: Launcher, place: How) -> None:
    """A main service that died by KILL without our asking gives 137."""
    daemon = start.services(
        table("supervisor", main="web"), service("web", "sleep", "infinity", restart="never"), how=place
    )
    daemon.kill(daemon.wait_event("child_started")["pid"], "KILL")
    assert daemon.wait() == 137


@pytest.mark.namespace
def test_the_signal_of_the_shutdown_is_the_one_that_came(start: Launcher, place: How) -> None:
    """Without `stop-signal` a service gets INT when the daemon got INT."""
    daemon = start.services(service("web", *program("actor", "INT=exit:0")), how=place)
    daemon.wait_line("ready")
    assert daemon.stop("INT") == 0
    daemon.wait_line("INT")
    assert daemon.wait_event("child_exited")["exit_code"] == 0


@pytest.mark.namespace
def test_a_stop_signal_of_its_own(start: Launcher, place: How) -> None:
    """`stop-signal` replaces TERM for that service only; dying by it is expected."""
    daemon = start.services(
        service("web", *program("actor"), stop_signal="SIGUSR1"), service("other", *program("actor")), how=place
    )
    daemon.wait_line("ready", service="web")
    daemon.wait_line("ready", service="other")
    assert daemon.stop() == 0
    ended = {found["service"]: (found["signal_name"], found["expected"]) for found in daemon.events("child_exited")}
    assert ended == {"web": ("SIGUSR1", True), "other": ("SIGTERM", True)}


@pytest.mark.namespace
@pytest.mark.parametrize(("scope", "reached"), [("process", {"main"}), ("group", {"main", "group"})])
def test_whom_a_stop_signal_reaches(start: Launcher, place: How, scope: str, reached: set[str]) -> None:
    """`stop-scope` process reaches the main process alone, group its process group as well."""
    daemon = start.services(
        table("supervisor", shutdown_timeout="5s"),
        service("web", *program("family"), stop_scope=scope, stop_signal="SIGUSR1"),
        how=place,
    )
    daemon.wait_line("ready")
    assert daemon.stop() == 0
    said = {found["message"] for found in daemon.events("output")}
    assert {line.split()[0] for line in said if line.endswith("got USR1")} == reached


@pytest.mark.namespace
def test_stop_scope_tree_reaches_those_that_left_the_group(start: Launcher, place: How) -> None:
    """`stop-scope` tree reaches descendants in sessions of their own too."""
    daemon = start.services(
        service("web", *program("family"), stop_scope="tree", stop_signal="SIGUSR1"),
        how=place,
    )
    daemon.wait_line("ready")
    assert daemon.stop() == 0
    said = {found["message"] for found in daemon.events("output")}
    assert {line.split()[0] for line in said if line.endswith("got USR1")} == {"main", "group", "session"}


@pytest.mark.namespace
def test_the_states_of_a_service_are_told(start: Launcher, place: How) -> None:
    """From stopped by starting, running and stopping to stopped: each step names where from and where to."""
    daemon = start.services(service("web", *program("actor", "TERM=exit:0")), how=place)
    daemon.wait_line("ready")
    assert daemon.stop() == 0
    steps = [(found["from"], found["to"]) for found in daemon.events("service_state_changed", service="web")]
    assert [before for before, _ in steps[1:]] == [after for _, after in steps[:-1]]
    reached = [after for _, after in steps]
    assert reached[-3:] == ["running", "stopping", "stopped"]
    assert all(found["reason"] for found in daemon.events("service_state_changed"))


@pytest.mark.namespace
def test_no_descendant_outlives_the_daemon(start: Launcher, loop: str) -> None:
    """A process that left its group and session is ended by the sweep, also where we are not PID 1."""
    daemon = start.services(service("maker", *program("orphans", "3", "stay")), options=("--loop", loop))
    daemon.wait_line("done")
    family = procfs.identities(procfs.descendants(daemon.pid))
    assert len(family) == 4
    assert daemon.stop() == 0
    assert procfs.survivors(family) == []
