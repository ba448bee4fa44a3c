"""What is armed follows from the state: the real core and the real watches, on a fake clock."""

import os
import re
from collections.abc import Callable

import pytest

from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.signals import SIGKILL, SIGTERM
from supervisor.core.spec import (
    CommandProbe,
    FileProbe,
    FleetSpec,
    HealthAction,
    HttpProbe,
    LogProbe,
    NotifyProbe,
    OnFailure,
    Restart,
    TcpProbe,
)
from supervisor.runtime.watching import probing
from supervisor.runtime.watching.local import FileChecker
from supervisor.runtime.watching.net import HttpChecker, TcpChecker
from tests.runtime.rig import Rig, service
from tests.runtime.watching.rig import WatchRig, healthy_by, path_in, ready_by, touch
from tests.runtime.watching.support import World, ready, spec

Folder = os.PathLike[str]

_FAILED = {"kind": "ready", "error": "No such file or directory"}


def probe_times(rig: WatchRig) -> int:
    """How many timers are armed beside those of the core's deadlines."""
    deadlines = {service.deadline for service in rig.fleet.services.values()}
    return len([at for at in rig.loop.pending_timers() if at not in deadlines])


def test_asked_while_starting(tmp_path: Folder) -> None:
    """A service is asked until it is ready, then no more: nothing is armed, and nothing will wake us."""
    path = path_in(tmp_path)
    rig = WatchRig(ready_by(path)).start()
    rig.loop.advance(5)
    assert rig.state("web") == "starting"
    touch(path)
    rig.loop.advance(0.5)
    assert rig.state("web") == "running"
    (record,) = rig.events("service_ready")
    assert (record["pid"], record["probe"]) == (rig.pid("web"), f"file {path}")
    assert rig.loop.pending_timers() == []
    rig.assert_sound()


def test_quick_services_are_found_ready_quickly(tmp_path: Folder) -> None:
    """The first tries come fast, and slow down to the interval: a service is not made to wait half a second."""
    path = path_in(tmp_path)
    rig = WatchRig(ready_by(path)).start()
    began = rig.clock.now
    rig.loop.advance(3)
    tries = len(rig.events("probe_failed"))
    assert 8 <= tries <= 12
    other = WatchRig(ready_by(path)).start()
    touch(path)
    other.loop.advance(0.011)
    assert other.state("web") == "running"
    assert rig.clock.now - began == pytest.approx(3)


def test_the_interval_bounds_the_wait(tmp_path: Folder) -> None:
    """A longer interval is reached by doubling, a shorter one is kept from the first try on."""
    path = path_in(tmp_path)
    slow = WatchRig(service("web", ready=ready(FileProbe(path), interval=10.0), start_timeout=None)).start()
    slow.loop.advance(100)
    assert 17 <= len(slow.events("probe_failed")) <= 20
    quick = WatchRig(service("web", ready=ready(FileProbe(path), interval=0.001), start_timeout=None)).start()
    quick.loop.advance(1)
    assert len(quick.events("probe_failed")) == pytest.approx(1000, abs=5)


def test_why_it_is_still_starting(tmp_path: Folder) -> None:
    """A failed try is a record at level debug; at info when it is another one than before and the start takes long."""
    path = path_in(tmp_path)
    rig = WatchRig(ready_by(os.path.join(path, "x"))).start()
    rig.loop.advance(0.4)
    assert {record["level"] for record in rig.events("probe_failed", **_FAILED)} == {"debug"}
    rig.loop.advance(5)
    (shown,) = [record for record in rig.events("probe_failed", **_FAILED) if record["level"] == "info"]
    assert (shown["service"], shown["pid"], shown["probe"]) == ("web", rig.pid("web"), f"file {path}/x")
    assert shown["failures"] > 1
    touch(path)
    rig.loop.advance(5)
    assert [record["error"] for record in rig.events("probe_failed", level="info")] == [
        "No such file or directory",
        "Not a directory",
    ]


def test_why_it_never_started(tmp_path: Folder) -> None:
    """A start that ends before its tries were slow enough to be told of says at its end what was wrong."""
    rig = WatchRig(ready_by(path_in(tmp_path), stop_timeout=1.0), on_failure=OnFailure.IGNORE)
    rig.fleet.specs["web"] = replace(rig.fleet.specs["web"], start_timeout=0.2)
    rig.start()
    rig.loop.advance(0.3)
    (shown,) = rig.events("probe_failed", level="info")
    assert shown["error"] == "No such file or directory"
    assert rig.events("service_state_changed", reason="start-timeout")
    assert probe_times(rig) == 0


def test_disarmed_by_a_stop_and_an_end(tmp_path: Folder) -> None:
    """Who is told to stop, or has ended, is asked nothing."""
    path = path_in(tmp_path)
    for end in ("stop", "exit"):
        rig = WatchRig(ready_by(path)).start()
        rig.loop.advance(2)
        if end == "stop":
            rig.kernel.processes[rig.pid("web")].obeys = set()
            rig.signal(SIGTERM)
            assert rig.state("web") == "stopping"
        else:
            rig.exits("web", 3)
            assert rig.state("web") == "failed"
        assert probe_times(rig) == (0 if end == "stop" else len(rig.loop.pending_timers()))
        count = len(rig.events("probe_failed"))
        rig.loop.advance(5)
        assert len(rig.events("probe_failed")) == count
        rig.assert_sound()


def test_a_restart_is_asked_anew(tmp_path: Folder) -> None:
    """Each process has to show for itself that it is ready."""
    path = path_in(tmp_path)
    rig = WatchRig(ready_by(path, restart=Restart.ALWAYS, restart_delay=0.0)).start()
    touch(path)
    rig.loop.advance(1)
    assert rig.state("web") == "running"
    os.remove(path)
    rig.exits("web")
    rig.loop.advance(1)
    assert rig.state("web") == "starting"
    touch(path)
    rig.loop.advance(1)
    assert rig.state("web") == "running"
    first, second = rig.events("service_ready")
    assert first["pid"] != second["pid"]


def test_health_begins_when_it_runs(tmp_path: Folder) -> None:
    """An interval after it is ready, then an interval after each probe, more or less; failures in a row restart it."""
    path = path_in(tmp_path)
    touch(path)
    both = replace(healthy_by(path, restart=Restart.ON_FAILURE), ready=ready(FileProbe(path)), restart_delay=0.0)
    rig = WatchRig(both).start()
    rig.loop.advance(0.02)
    assert rig.state("web") == "running"
    first = rig.pid("web")
    os.remove(path)
    rig.loop.advance(8.9)
    assert rig.events("probe_failed", kind="health") == []
    rig.loop.advance(2.2)
    assert len(rig.events("probe_failed", kind="health")) == 1
    rig.loop.advance(22)
    failures = [record["failures"] for record in rig.events("probe_failed", kind="health")]
    assert failures == [1, 2, 3]
    assert (first, SIGTERM) in rig.kernel.sent
    assert rig.pid("web") != first
    assert rig.state("web") == "starting"
    rig.assert_sound()


def test_a_probe_that_fails_now_and_then_is_no_failure(tmp_path: Folder) -> None:
    """Only failures in a row count; a success in between forgets them."""
    path = path_in(tmp_path)
    rig = WatchRig(healthy_by(path, interval=1.0, failures=4)).start()
    for _ in range(5):
        rig.loop.advance(2.2)
        touch(path)
        rig.loop.advance(1.2)
        os.remove(path)
    assert rig.state("web") == "running"
    assert len(rig.events("probe_failed")) >= 5
    assert rig.events("health_changed") == []


def test_reported_only(tmp_path: Folder) -> None:
    """With the action report an unhealthy service goes on, is probed on, and may be well again."""
    path = path_in(tmp_path)
    rig = WatchRig(healthy_by(path, interval=1.0, action=HealthAction.REPORT)).start()
    rig.loop.advance(5)
    touch(path)
    rig.loop.advance(1.2)
    assert [record["healthy"] for record in rig.events("health_changed")] == [False, True]
    assert rig.state("web") == "running"


def test_a_thousand_are_not_probed_at_once(tmp_path: Folder) -> None:
    """Started together, they are probed one after the other: each has its own moment, and a new one each time."""
    path = path_in(tmp_path)
    touch(path)
    rig = WatchRig(*(healthy_by(path, f"web-{number}") for number in range(1000))).start()
    began = rig.clock.now
    first = [at - began for at in rig.loop.pending_timers()]
    assert len(first) == 1000
    assert min(first) >= 9
    assert max(first) <= 11
    assert len({round(at, 3) for at in first}) > 700
    rig.loop.advance(11.1)
    second = [at - rig.clock.now for at in rig.loop.pending_timers()]
    assert len({round(at, 3) for at in second}) > 700
    rig.assert_sound()


def test_steps_that_change_nothing_arm_nothing(tmp_path: Folder) -> None:
    """Every step of a service is shown; only what differs from before is armed anew."""
    rig = WatchRig(healthy_by(path_in(tmp_path))).start()
    timers = rig.loop.pending_timers()
    for _ in range(10):
        rig.watches.follow("web", rig.fleet.specs["web"], rig.fleet.services["web"])
        rig.watches.follow("web", rig.fleet.specs["web"], replace(rig.fleet.services["web"], status_text="x"))
    assert rig.loop.pending_timers() == timers


def test_a_changed_probe_is_armed_anew(tmp_path: Folder) -> None:
    """Settings that a reload changes hold from then on, and those it leaves alone go on as they are."""
    touch(path_in(tmp_path))
    rig = WatchRig(healthy_by(path_in(tmp_path))).start()
    (before,) = rig.loop.pending_timers()
    rig.watches.follow("web", healthy_by(path_in(tmp_path)), rig.fleet.services["web"])
    assert rig.loop.pending_timers() == [before]
    rig.watches.follow("web", healthy_by(path_in(tmp_path), interval=1.0), rig.fleet.services["web"])
    (after,) = rig.loop.pending_timers()
    assert after < before
    rig.watches.follow("web", None, None)
    assert rig.loop.pending_timers() == []


def test_a_reload_without_the_probe(tmp_path: Folder) -> None:
    """A service that is restarted without a probe has none, and one that is removed neither."""
    rig = WatchRig(healthy_by(path_in(tmp_path)), healthy_by(path_in(tmp_path), "db")).start()
    rig.reloaded = FleetSpec(services={"web": service("web")})
    rig.signal(1)
    rig.loop.advance(1)
    assert set(rig.fleet.services) == {"web"}
    assert rig.state("web") == "running"
    assert probe_times(rig) == 0
    rig.assert_sound()


def test_nothing_asked_nothing_loaded() -> None:
    """Services without any of it cost nothing: no timer, no socket."""
    rig = WatchRig(service("web"), service("db")).start()
    assert rig.loop.pending_timers() == []
    assert rig.watches.prepare(rig.fleet.specs["web"]) == ({}, {})
    rig.watches.started(rig.fleet.specs["web"], 7)
    rig.watches.discard(rig.fleet.specs["web"])
    rig.watches.hear("web")


def test_a_line_of_output() -> None:
    """Ready by what it writes: listened to while it is starting, and only then."""
    rig = WatchRig(service("web", ready=ready(LogProbe("ready")), start_timeout=60.0)).start()
    rig.listeners["web"]([b"starting", b"almost"])
    rig.loop.settle()
    assert rig.state("web") == "starting"
    rig.listeners["web"]([b"now ready"])
    rig.loop.settle()
    assert rig.state("web") == "running"
    assert rig.listeners == {}
    other = WatchRig(service("web", ready=ready(LogProbe("ready")), start_timeout=60.0)).start()
    other.signal(SIGTERM)
    assert other.listeners == {}


def commands(rig: WatchRig) -> list[int]:
    """Pids of the probes that run."""
    return [pid for pid in rig.kernel.alive() if rig.kernel.processes[pid].comm == "check"]


def test_a_command_that_succeeds() -> None:
    """Its exit status is taken by the one reaper, and its end is nobody's news but the probe's."""
    rig = WatchRig(service("web", ready=ready(CommandProbe(("check",))), start_timeout=60.0)).start()
    rig.loop.advance(0.02)
    (pid,) = commands(rig)
    rig.kernel.exits(pid, 1)
    rig.loop.advance(0.1)
    assert rig.events("probe_failed")[0]["error"] == "exited with 1"
    (pid,) = commands(rig)
    rig.kernel.exits(pid, 0)
    rig.loop.settle()
    assert rig.state("web") == "running"
    assert rig.events("orphan_exited") == []
    assert rig.events("child_exited") == []
    rig.assert_sound()


def test_a_command_that_hangs() -> None:
    """It is killed at its timeout, and never runs twice at once."""
    rig = WatchRig(service("web", ready=ready(CommandProbe(("check",))), start_timeout=60.0)).start()
    most = 0
    for _ in range(200):
        rig.loop.advance(0.05)
        most = max(most, len(commands(rig)))
    assert most == 1
    assert {record["error"] for record in rig.events("probe_failed")} == {"timed out after 1s"}
    rig.assert_sound()


def test_nothing_is_asked_of_the_frozen() -> None:
    """A probe that runs ends with it, and none begins until it goes on; a line that it had written is found."""
    rig = WatchRig(service("web", ready=ready(CommandProbe(("check",))), start_timeout=60.0)).start()
    rig.loop.advance(0.02)
    assert commands(rig) != []
    rig.driver.handle(ev.Frozen("web"))
    rig.loop.advance(5)
    assert commands(rig) == []
    assert probe_times(rig) == 0
    rig.driver.handle(ev.ThawRequested("web"))
    rig.loop.advance(0.02)
    assert commands(rig) != []
    rig.assert_sound()
    other = WatchRig(service("web", ready=ready(LogProbe("ready")), start_timeout=60.0)).start()
    other.driver.handle(ev.Frozen("web"))
    other.listeners["web"]([b"ready"])
    other.loop.settle()
    assert other.state("web") == "running"


@pytest.mark.parametrize("end", ["stop", "exit"])
def test_a_command_ends_with_what_it_was_for(end: str) -> None:
    """A probe of a service that is stopping or gone is killed at once, so that nobody waits for it."""
    rig = WatchRig(service("web", ready=ready(CommandProbe(("check",))), start_timeout=60.0)).start()
    rig.loop.advance(0.02)
    (pid,) = commands(rig)
    if end == "stop":
        rig.signal(SIGTERM)
    else:
        rig.exits("web", 0)
    assert (pid, SIGKILL) in rig.kernel.sent
    assert commands(rig) == []
    assert rig.finished == [0 if end == "stop" else 1]
    (record,) = rig.events("shutdown_finished")
    assert record["killed"] == []
    rig.assert_sound()


def test_what_was_asked_before_the_loop_begins_with_it(tmp_path: Folder) -> None:
    """The first programs run before there is a loop."""
    path = path_in(tmp_path)
    rig = WatchRig(ready_by(path))
    rig.driver.start()
    touch(path)
    assert rig.state("web") == "starting"
    rig.start()
    rig.loop.advance(0.1)
    assert rig.state("web") == "running"


def test_a_service_that_was_gone_before_the_loop(tmp_path: Folder) -> None:
    """What was shown last counts."""
    rig = WatchRig(ready_by(path_in(tmp_path)))
    rig.driver.start()
    rig.watches.follow("web", None, None)
    rig.watches.attach(rig.loop)  # type: ignore[arg-type]
    assert rig.loop.pending_timers() == []


@pytest.mark.parametrize("error", [RuntimeError("oops"), OSError(5, "Input/output error")])
def test_our_own_mistakes_end_nothing(tmp_path: Folder, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A probe of ours that raises is told of as a defect; the service is not blamed, and is asked again."""
    path = path_in(tmp_path)
    touch(path)
    real, raised = FileChecker.start, 0

    def start(self: FileChecker, done: Callable[..., None]) -> None:
        nonlocal raised
        raised += 1
        if raised <= 4:
            raise error
        real(self, done)

    monkeypatch.setattr(FileChecker, "start", start)
    rig = WatchRig(healthy_by(path, interval=1.0, failures=1)).start()
    rig.loop.advance(10)
    assert rig.state("web") == "running"
    assert raised > 6
    found = rig.events("internal_error")
    assert len(found) == 4
    assert all(record["where"] == f"probe file {path} of web" for record in found)


@pytest.mark.parametrize("number", range(1, 12))
def test_a_record_that_fails_ends_nothing(tmp_path: Folder, number: int) -> None:
    """Whichever record can't be written: the service is asked on, and becomes ready."""
    path = path_in(tmp_path)
    rig = WatchRig(ready_by(path))
    rig.failpoints.arm("emit", number, RuntimeError("injected"))
    rig.start()
    rig.loop.advance(5)
    touch(path)
    rig.loop.advance(1)
    assert rig.failpoints.hit
    assert rig.state("web") == "running"


def test_our_shortage_is_not_the_services(tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that could not be made counts for nothing, and is told of once."""
    path = path_in(tmp_path)
    short = True
    real = os.stat

    def stat(target: str) -> os.stat_result:
        if short and target == path:
            raise OSError(24, "Too many open files")
        return real(target)

    monkeypatch.setattr("supervisor.runtime.watching.local.os.stat", stat)
    rig = WatchRig(healthy_by(path, interval=1.0, failures=2)).start()
    rig.loop.advance(20)
    assert rig.state("web") == "running"
    (warning,) = rig.events("supervisor_warning")
    assert re.search("can't be probed .Too many open files.", warning["message"])
    assert rig.events("probe_failed") == []
    short = False
    rig.loop.advance(5)
    assert rig.events("probe_failed")[0]["failures"] == 1
    rig.assert_sound()


def test_each_probe_has_its_checker() -> None:
    """What is asked is made for its target; what is told by the service itself is never tried."""
    rig, world = Rig(), World()

    def make(probe: object) -> object:
        return probing.make_checker(world.neighbours, rig.loop, spec(), probe)  # type: ignore[arg-type]

    assert type(make(TcpProbe("127.0.0.1", 80))) is TcpChecker
    assert type(make(HttpProbe("127.0.0.1", 80))) is HttpChecker
    with pytest.raises(TypeError, match="NotifyProbe"):
        make(NotifyProbe())
