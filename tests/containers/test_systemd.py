"""pausevisor as a unit of a booted systemd, by the unit file the project ships."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.containers import host
from tests.containers.base import Base
from tests.containers.booted import UNIT, Machine
from tests.helpers.procfs import wait_until
from tests.helpers.settings import service, table

pytestmark = [pytest.mark.container, pytest.mark.timeout(180, func_only=True)]

CONFIGURATION = "/etc/pausevisor/pausevisor.toml"


@pytest.fixture(scope="module")
def machine(workspace: str, base: Base, build_context: str) -> Iterator[Machine]:
    """A booted machine with pausevisor installed and one service configured."""
    host.require("systemd-nspawn", "nsenter", "chroot")
    machine = Machine(os.path.join(workspace, "booted"), base)
    machine.install(os.path.join(build_context, "wheels"))
    machine.write(CONFIGURATION, service("sleeper", "sleep", "infinity"))
    with machine:
        yield machine


@pytest.fixture
def unit(machine: Machine) -> Iterator[Machine]:
    """The machine with the unit started; stopped afterwards."""
    machine("systemctl", "start", "pausevisor")
    yield machine
    machine("systemctl", "stop", "pausevisor")
    machine.attempt("systemctl", "reset-failed", "pausevisor")


def test_unit_file_is_good(machine: Machine) -> None:
    """Systemd has nothing to say about the unit file."""
    done = machine.attempt("systemd-analyze", "verify", f"/etc/systemd/system/{os.path.basename(UNIT)}")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_unit_is_active_when_ready(unit: Machine) -> None:
    """`systemctl start` returns when the daemon has said READY=1, and its services run then."""
    assert unit.show("ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}
    unit.wait_journal('"child_started"')
    assert '"mode":"subreaper"' in "".join(unit.journal())


def test_unit_stops_cleanly(unit: Machine) -> None:
    """`systemctl stop` ends it with status 0: a clean stop, not a failure, and nothing of it is left."""
    unit("systemctl", "stop", "pausevisor")
    shown = unit.show("ActiveState", "Result", "ExecMainStatus", "ExecMainCode")
    assert shown == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0", "ExecMainCode": "1"}
    assert unit.attempt("pgrep", "--exact", "sleep").stdout == ""
    assert '"shutdown_finished"' in unit.journal()[-1]


def test_unit_reloads(unit: Machine) -> None:
    """`systemctl reload` has the configuration read again, and the daemon lives on."""
    before = unit.show("MainPID")
    unit.write(CONFIGURATION, service("sleeper", "sleep", "infinity") + service("second", "sleep", "infinity"))
    unit("systemctl", "reload", "pausevisor")
    unit.wait_journal('"service":"second"')
    assert unit.show("MainPID", "ActiveState") == {**before, "ActiveState": "active"}
    unit.write(CONFIGURATION, service("sleeper", "sleep", "infinity"))


def test_bad_configuration_fails_the_unit_for_good(machine: Machine) -> None:
    """A bad configuration is status 78, and the unit is not tried again and again."""
    machine.write(CONFIGURATION, "[services.sleeper]\ncommnd = ['sleep', 'infinity']\n")
    try:
        assert machine.attempt("systemctl", "start", "pausevisor").returncode != 0
        shown = machine.show("ActiveState", "ExecMainStatus", "NRestarts")
        assert shown == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    finally:
        machine.write(CONFIGURATION, service("sleeper", "sleep", "infinity"))
        machine.attempt("systemctl", "reset-failed", "pausevisor")


def test_killed_daemon_is_restarted_and_leaves_nothing(unit: Machine) -> None:
    """A daemon that dies by KILL is started again; KillMode=mixed has cleared away its services before."""
    before = unit.show("MainPID")["MainPID"]
    unit("kill", "-KILL", before)
    restarted = {"ActiveState": "active", "NRestarts": "1"}
    wait_until(lambda: unit.show(*restarted) == restarted, "systemd has started the daemon again")
    assert unit.show("MainPID")["MainPID"] != before
    unit.wait_journal('"child_started"')
    assert len(unit("pgrep", "--exact", "sleep").split()) == 1


def test_output_in_the_journal(machine: Machine) -> None:
    """Lines and events are entries of the journal, with their fields, and are found by them; large ones too."""
    program = "import sys\nprint('one'); print('two\\ttabs'); sys.stdout.flush(); print('bad', file=sys.stderr)"
    large = ["x" * 120_000] * 3  # more than a datagram of the journal's socket holds
    tables = [
        table("log", to={"journald": True}),
        service("web", "python3", "-c", program, *large, restart="never", stdout={"journald": True}),
    ]
    machine.write(CONFIGURATION, "".join(tables))
    try:
        machine("systemctl", "start", "pausevisor")
        wait_until(lambda: machine.show("ActiveState") == {"ActiveState": "inactive"}, "the daemon has ended")
        found = entries(machine, "PAUSEVISOR_SERVICE=web", "PAUSEVISOR_EVENT=output")
        # The streams go different ways, and may overtake each other.
        streams = {"stdout": ["one", "two\ttabs"], "stderr": ["bad"]}
        for stream, messages in streams.items():
            assert [entry["MESSAGE"] for entry in found if entry["PAUSEVISOR_STREAM"] == stream] == messages
        assert len(found) == 3
        assert {(entry["SYSLOG_IDENTIFIER"], entry["PRIORITY"]) for entry in found} == {("web", "6")}
        assert {entry["_SYSTEMD_UNIT"] for entry in found} == {"pausevisor.service"}
        (started,) = entries(machine, "PAUSEVISOR_EVENT=child_started")
        assert json.loads(started["PAUSEVISOR_COMMAND"])[3:] == large
        assert {entry["SYSLOG_PID"] for entry in found} == {started["PAUSEVISOR_PID"]}
        (exited,) = entries(machine, "PAUSEVISOR_EVENT=child_exited")
        assert exited["PAUSEVISOR_EXIT_CODE"] == "0"
        assert exited["MESSAGE"].startswith("child_exited service=web ")
        assert entries(machine, "PAUSEVISOR_EVENT=shutdown_finished")
    finally:
        machine.write(CONFIGURATION, service("sleeper", "sleep", "infinity"))
        machine.attempt("systemctl", "reset-failed", "pausevisor")


def entries(machine: Machine, *matches: str) -> list[dict[str, str]]:
    """Entries of the journal with these fields, as `journalctl` gives them."""
    text = machine("journalctl", "--no-pager", "--output=json", "--all", *matches)
    return [json.loads(line) for line in text.splitlines()]
