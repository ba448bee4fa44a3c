"""check, schema and doctor, as real processes."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable

import jsonschema  # type: ignore[import-untyped]
import pytest

from supervisor import __version__
from supervisor.runtime.hierarchy import UnavailableError, own_group
from tests.cli.running import COMMAND, environment, run, shell
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE

Write = Callable[..., str]

GOOD = """
[supervisor]
main = "web"
[services.web]
command = ["sleep", "1"]
[services.db]
command = "postgres -D /data"
"""
BAD = """
[supervisor]
shutdown-timeout = 9
mian = "web"
[services.web]
comand = ["sleep"]
"""

DATA_COMMANDS = [["schema"], ["schema", "--events"], ["doctor"], ["doctor", "--json"]]
HELP_COMMANDS = [["--help"], ["run", "--help"], ["--version"]]


@pytest.fixture(params=DATA_COMMANDS, ids=" ".join)
def data_command(request: pytest.FixtureRequest) -> list[str]:
    """Each command whose result is text on stdout."""
    return list(request.param)


# check


def test_a_good_configuration_is_planned(write: Write) -> None:
    """Exit code 0; files, order of start and stop, and the main service, on stdout."""
    path = write(GOOD)
    done = run("check", "-c", path)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == f"read: {path}\nstart 1: web, db\nstop 1: web, db\nmain: web\n"


def test_the_plan_has_layers(write: Write) -> None:
    """Services start in the order of their needs, stop in the reverse, and a schedule tells its next time."""
    path = write(
        """
[services.web]
command = "sleep 1"
needs = { migrate = "completed" }
replicas = 2
[services.migrate]
kind = "task"
command = "sleep 1"
needs = ["db"]
[services.db]
command = "sleep 1"
[services.job]
kind = "scheduled"
command = "sleep 1"
schedule = { cron = "0 0 1 1 *", timezone = "UTC" }
[services.never]
kind = "scheduled"
command = "sleep 1"
schedule = "0 0 30 2 *"
"""
    )
    done = run("check", "-c", path)
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1:7] == [
        "start 1: db, job, never",
        "start 2: migrate",
        "start 3: web x2",
        "stop 1: web x2",
        "stop 2: migrate",
        "stop 3: db, job, never",
    ]
    assert re.fullmatch(r"next run of job: \d{4}-01-01T00:00:00\+00:00", lines[7])
    assert lines[8] == "next run of never: never"


def test_the_plan_is_json_on_demand(write: Write) -> None:
    """The same plan, and the commands as they were understood."""
    path = write(GOOD)
    done = run("check", "--json", "-c", path)
    assert (done.code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "ok": True,
        "sources": [path],
        "services": {
            "web": {"kind": "service", "command": ["sleep", "1"], "needs": {}},
            "db": {"kind": "service", "command": ["postgres", "-D", "/data"], "needs": {}},
        },
        "main": "web",
        "start": [["web", "db"]],
        "stop": [["web", "db"]],
    }


def test_nothing_configured_is_pause_mode(write: Write) -> None:
    """An empty file is a good configuration."""
    done = run("check", "-c", write(""))
    assert done.code == 0
    assert "pause mode" in done.stdout


def test_all_errors_are_told_at_once(write: Write) -> None:
    """Exit code 78; stderr has each with file and key path, stdout nothing."""
    path = write(BAD)
    done = run("check", "-c", path)
    assert (done.code, done.stdout) == (78, "")
    assert done.stderr.count(path) >= 3
    for words in ("shutdown-timeout", "mian", "main", "comand", "command"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_json_on_demand(write: Write) -> None:
    """On stdout, because they are the data that was asked for."""
    path = write(BAD)
    done = run("check", "--json", "-c", path)
    assert (done.code, done.stderr) == (78, "")
    found = json.loads(done.stdout)
    assert found["ok"] is False
    assert {error["file"] for error in found["errors"]} == {path}
    keys = {error["key"] for error in found["errors"]}
    assert {"supervisor.shutdown-timeout", "supervisor.mian", "services.web.comand"} <= keys
    assert all(error["message"] for error in found["errors"])


def test_a_path_that_is_missing_is_an_error() -> None:
    """It is named, with what the kernel said."""
    done = run("check", "-c", "/nonexistent/pausevisor.toml")
    assert done.code == 78
    assert "/nonexistent/pausevisor.toml" in done.stderr
    assert "No such file" in done.stderr


def test_check_starts_nothing(write: Write, tmp_path: os.PathLike[str]) -> None:
    """It reads, and that is all."""
    mark = os.path.join(tmp_path, "started")
    assert run("check", "-c", write(f'[services.web]\ncommand = ["touch", "{mark}"]\n')).code == 0
    assert not os.path.exists(mark)


def test_check_works_from_a_folder_that_is_gone(write: Write, tmp_path: os.PathLike[str]) -> None:
    """The working directory may have been removed: absolute paths need none."""
    gone = os.path.join(tmp_path, "gone")
    path = write(GOOD)
    done = run("check", "-c", path, launcher=shell(f"mkdir {gone}; cd {gone}; rmdir {gone}"))
    assert (done.code, done.stderr) == (0, "")


def test_the_variable_names_the_files(write: Write) -> None:
    """What run would read is what check reads."""
    path = write(GOOD)
    done = run("check", variables={"PAUSEVISOR_CONFIG": path})
    assert done.stdout.startswith(f"read: {path}\n")


# schema


@pytest.mark.parametrize("options", [[], ["--events"]])
def test_the_schema_is_a_schema(options: list[str]) -> None:
    """JSON on stdout, of a known dialect, and valid by it."""
    done = run("schema", *options)
    assert (done.code, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    jsonschema.validators.validator_for(schema).check_schema(schema)


# doctor


def test_doctor_tells_what_works() -> None:
    """One line for each thing, with a verdict; exit code 0 when nothing that is needed fails."""
    done = run("doctor")
    assert (done.code, done.stderr) == (0, "")
    version, *lines = done.stdout.splitlines()
    assert version == f"pausevisor {__version__}"
    assert {line[:4].strip() for line in lines} <= {"ok", "note"}
    for what in ("python", "mode", "signalfd", "stdout"):
        assert any(what in line for line in lines), what


def test_doctor_tells_it_in_json_too() -> None:
    """The same findings, each with verdict, what and found."""
    done = run("doctor", "--json")
    found = json.loads(done.stdout)
    assert (done.code, found["version"]) == (0, __version__)
    assert all(set(finding) == {"verdict", "what", "found"} for finding in found["findings"])
    assert {finding["verdict"] for finding in found["findings"]} <= {"ok", "note"}
    assert "pipe" in {finding["found"] for finding in found["findings"] if finding["what"] == "stdout"}


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        ("umount -a -t cgroup2", "cgroup v2 is not mounted: services run without control groups of their own"),
        ("mount -t tmpfs none /proc", "No such file or directory (/proc/self/cgroup): services run without"),
        ("mount -o remount,ro,bind {group}", "{group} is read-only: services run without"),
        ("true", "{group} is writable: a group for each service, "),
    ],
)
def test_doctor_says_why_there_are_no_control_groups(arrange: str, words: str) -> None:
    """Not mounted, not to be seen, read-only; or what limits there are."""
    try:
        group = own_group()
    except UnavailableError as error:
        pytest.skip(str(error))
    if os.geteuid() != 0 or not os.access(group, os.W_OK):
        pytest.skip(f"only root can arrange this, where {group} can be written")
    launcher = ("unshare", "--mount", *shell(arrange.replace("{group}", group)))
    found = json.loads(run("doctor", "--json", launcher=launcher).stdout)["findings"]
    (finding,) = [finding for finding in found if finding["what"] == "cgroup v2"]
    assert finding["found"].startswith(words.replace("{group}", group))
    assert arrange == "true" or finding["verdict"] == "note"


def test_doctor_says_what_is_refused_to_services() -> None:
    """By the capabilities that the daemon has not."""
    if os.geteuid() != 0:
        pytest.skip("only root has capabilities to give up")
    given_up = "-setuid,-sys_nice"
    launcher = ("setpriv", "--bounding-set", given_up, "--inh-caps", given_up)
    found = json.loads(run("doctor", "--json", launcher=launcher).stdout)["findings"]
    (finding,) = [finding for finding in found if finding["what"] == "privileges"]
    assert finding["verdict"] == "note"
    assert finding["found"].startswith("no setuid, sys_nice")
    assert "refused to services are user, nice below ours" in finding["found"]


# Whoever reads them


@pytest.mark.parametrize("command", [*DATA_COMMANDS, *HELP_COMMANDS], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_error(command: list[str]) -> None:
    """Piped into head, a command ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(*command, stdout=writer)
    finally:
        os.close(writer)
    assert done.stderr == ""


def test_a_full_disk_is_told_in_words(data_command: list[str]) -> None:
    """Nothing is wrong with us when the output can't be written: a message, a failure, no traceback."""
    with open("/dev/full", "wb") as full:
        done = run(*data_command, stdout=full)
    assert done.code != 0
    assert "Traceback" not in done.stderr
    assert "this is a bug" not in done.stderr
    assert "No space left" in done.stderr


def test_without_standard_output_nothing_breaks(data_command: list[str]) -> None:
    """Started with stdout closed, a command has nobody to tell, and that is all."""
    done = run(*data_command, launcher=shell("exec >&-"))
    assert done.code in {0, 1}
    assert done.stderr == ""


@pytest.mark.parametrize("command", [["check"], ["schema"], ["doctor"]])
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_signal_ends_it(command: list[str], name: str, write: Write) -> None:
    """These commands end by themselves, and by ^C and TERM as any other: nothing that blocks signals stays.

    The command is caught while it can't write: its output is a pipe that is full.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    variables = environment({"PAUSEVISOR_CONFIG": write(GOOD)})
    with subprocess.Popen([*COMMAND, *command], stdout=writer, stderr=subprocess.PIPE, env=variables) as process:
        try:
            procfs.wait_until(lambda: _hangs_in_a_write(process.pid), "the command writes")
            process.send_signal(getattr(signal, "SIG" + name))
            assert process.wait(PATIENCE) == -getattr(signal, "SIG" + name)
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)


def _hangs_in_a_write(pid: int) -> bool:
    """Whether the process hangs in a write to its standard output; see proc_pid_syscall(5)."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            words = file.read().split()
    except OSError:
        return False
    return len(words) > 1 and words[1] == "0x1" and procfs.state(pid) == "S"
