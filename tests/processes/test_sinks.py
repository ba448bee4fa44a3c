"""Output beside the log, from configuration to file and socket, with real daemons and real logrotate."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import service, signals, table

COUNT = "import sys\nfor n in range({}): print('%08d' % n)\nprint('end', file=sys.stderr)"


def count(number: int) -> list[str]:
    """A program that writes numbered lines."""
    return [sys.executable, "-ISc", COUNT.format(number)]


def read(path: str) -> str:
    """What a file holds."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def path_in(start: Launcher, name: str) -> str:
    """A path in the test's folder."""
    return os.path.join(start.folder, name)


def unpacked(path: str) -> list[str]:
    """Lines of a file that may be compressed."""
    return subprocess.run(["zcat", "-f", path], check=True, capture_output=True, text=True).stdout.splitlines()


def numbers(start: Launcher) -> str:
    """A script that writes numbers, a hundred a second, until a file says that it is enough, and says so by another."""
    enough, done = path_in(start, "enough"), path_in(start, "done")
    return f"i=0; until [ -e {enough} ]; do echo $i; i=$((i+1)); sleep 0.01; done; : > {done}; exec sleep infinity"


def wait_for_all(start: Launcher) -> None:
    """Tell that script that it is enough, and wait until it has written all."""
    with open(path_in(start, "enough"), "w", encoding="utf-8"):
        pass
    procfs.wait_until(lambda: os.path.exists(path_in(start, "done")), "all is written")


@pytest.mark.namespace
def test_lines_go_to_a_file_and_to_the_log(start: Launcher, place: How, loop: str) -> None:
    """A file gets the lines as they were; with `log` in the list the log has them too, in the same order."""
    path = path_in(start, "{service}.log")
    daemon = start.services(
        service("web", *count(5000), restart="never", stdout=["log", {"file": path}], stderr={"file": path}),
        options=("--loop", loop),
        how=place,
    )
    assert daemon.wait() == 0
    expected = [f"{number:08}" for number in range(5000)]
    lines = read(path_in(start, "web.log")).splitlines()
    assert [line for line in lines if line != "end"] == expected
    assert lines.count("end") == 1
    assert [record["message"] for record in daemon.events("output")] == expected
    assert os.stat(path_in(start, "web.log")).st_mode & 0o777 == 0o640


def test_the_shortest_lines(start: Launcher) -> None:
    """As records they are a hundred times as long; whoever waits loses none of them, in its last breath neither."""
    path = path_in(start, "web.json")
    program = "yes | head -n 200000"
    file = {"file": path, "format": "json", "max-size": "none"}
    daemon = start.services(service("web", "sh", "-c", program, restart="never", stdout=file))
    assert daemon.wait() == 0
    with open(path, encoding="utf-8") as lines:
        assert sum('"message":"y"' in line for line in lines) == 200000
    assert daemon.events("log_lines_dropped") == []


@pytest.mark.parametrize("schema", ["native", "ecs", "otel", "gcp"])
def test_a_file_beside_stdout_looks_like_it(start: Launcher, schema: str) -> None:
    """To the byte, in every schema; and that there is one makes no record longer than records may be."""
    path = path_in(start, "log")
    text = "print('\\\\' * 3000); print('{\"a\": ' + '\"' + 'x' * 1990 + '\"}'); print('short')"
    daemon = start.services(
        table("log", to=["stdout", {"file": path}], schema=schema, **{"max-record": "2KB"}),
        service("a", sys.executable, "-ISc", text, restart="never", log={"json": "merge"}),
        how=How(pure=schema == "native"),
    )
    daemon.checked = schema == "native"
    assert daemon.wait() == 0
    lines = read(path).splitlines(keepends=True)
    assert "".join(lines) == daemon.text("stdout")
    output = [line for line in lines if '"output"' in line]
    assert len(output) > 5
    assert max(len(line.encode()) for line in output) <= 2000


def test_last_lines_are_known_wherever_they_went(start: Launcher) -> None:
    """The tail of an unexpected end does not depend on where the output goes."""
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service(
            "bad", "sh", "-c", "echo last words; exit 4", restart="never", stdout={"file": path_in(start, "bad.log")}
        ),
    )
    assert daemon.wait() == 0
    assert daemon.wait_event("child_exited")["tail"] == ["last words"]
    assert read(path_in(start, "bad.log")) == "last words\n"
    assert daemon.events("output") == []


def test_rotation_under_a_storm(start: Launcher, loop: str) -> None:
    """Rotated every 100 kB and compressed while 20,000 lines come: together the files hold each of them once."""
    path = path_in(start, "web.log")
    rotated = {"file": path, "max-size": "100KB", "keep": 100, "compress": True}
    daemon = start.services(service("web", *count(20_000), restart="never", stdout=rotated), options=("--loop", loop))
    assert daemon.wait() == 0
    names = sorted(name for name in os.listdir(start.folder) if name.startswith("web.log"))
    assert len([name for name in names if not name.endswith(".partial")]) == 2
    lines: list[str] = []
    for number in (1, 0):
        name = path + (f".{number}" if number else "")
        lines += unpacked(name if os.path.exists(name) else name + ".gz")
    assert lines == [f"{number:08}" for number in range(20_000)]


def test_json_in_a_file(start: Launcher) -> None:
    """In the form of JSON a file has records, one a line, numbered on their own."""
    path = path_in(start, "web.json")
    daemon = start.services(service("web", *count(3), restart="never", stdout={"file": path, "format": "json"}))
    assert daemon.wait() == 0
    records = [json.loads(line) for line in read(path).splitlines()]
    assert [(record["seq"], record["message"]) for record in records] == [(n + 1, f"{n:08}") for n in range(3)]
    assert {record["service"] for record in records} == {"web"}


def test_a_folder_that_is_missing(start: Launcher, loop: str) -> None:
    """The service runs all the same; it is said what is wrong, and when it is good again."""
    folder = path_in(start, "logs")
    path = os.path.join(folder, "web.log")
    script = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done"
    daemon = start.services(service("web", "sh", "-c", script, stdout={"file": path}), options=("--loop", loop))
    failed = daemon.wait_event("sink_failed")
    assert failed["error"] == f"{path}: No such file or directory"
    os.mkdir(folder)
    daemon.wait_event("sink_recovered")
    assert daemon.stop() == 0
    assert read(path).split() == [str(number) for number in range(len(read(path).split()))]
    assert len(daemon.events("sink_failed")) == 1


@pytest.mark.namespace
def test_files_are_opened_again_by_a_signal(start: Launcher, place: How, loop: str) -> None:
    """After a rename and the signal lines go into the new file, the log's own into its own, and none is lost."""
    web, log = path_in(start, "web.log"), path_in(start, "events.log")
    script = numbers(start)
    daemon = start.services(
        table("log", to=log),
        signals({"SIGUSR1": "reopen-logs"}),
        service("web", "sh", "-c", script, stdout={"file": web}),
        options=("--loop", loop),
        how=place,
    )
    for turn in range(5):
        procfs.wait_until(lambda: os.path.exists(web) and os.stat(web).st_size > 20, "lines are written")
        os.rename(web, f"{web}.{turn}")
        os.rename(log, f"{log}.{turn}")
        daemon.signal(signal.SIGUSR1)
        procfs.wait_until(lambda: os.path.exists(log) and "logs_reopened" in read(log), "they are opened again")
    wait_for_all(start)
    assert daemon.stop() == 0
    lines = [line for turn in range(5) for line in read(f"{web}.{turn}").split()] + read(web).split()
    assert lines == [str(number) for number in range(len(lines))]
    events = [json.loads(line) for turn in range(5) for line in read(f"{log}.{turn}").splitlines()]
    events += [json.loads(line) for line in read(log).splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["event"] == "shutdown_finished"
    assert {event["action"] for event in events if event.get("signal_name") == "SIGUSR1"} == {"reopen-logs"}


@pytest.mark.namespace
def test_a_full_file_system(start: Launcher, pid1: How, loop: str) -> None:
    """With 64 kB left on it the service runs on, the loss is counted, and when there is room writing goes on."""
    folder = path_in(start, "small")
    os.mkdir(folder)
    log, room, seen = os.path.join(folder, "web.log"), path_in(start, "room"), path_in(start, "seen")
    script = f"""
        head -c $((3 * 1024 * 1024 - 65536)) /dev/zero > {folder}/ballast
        yes 0123456789 | head -c 2000000
        echo full >&2
        until [ -e {room} ]; do sleep 0.01; done
        rm {folder}/ballast
        until grep -q after {log}; do echo after; sleep 0.1; done
        cp {log} {seen}.part && mv {seen}.part {seen}
        exec sleep infinity
    """
    daemon = start.services(
        service("web", "sh", "-c", script, stdout={"file": log, "max-size": "none"}),
        options=("--loop", loop),
        how=replace(pid1, hidden=(f"-o size=3m {folder}",)),
    )
    daemon.wait_event("sink_failed", error="No space left on device")
    daemon.wait_event("output", message="full")
    dropped = daemon.wait_event("log_lines_dropped")
    assert (dropped["reason"], dropped["sink"]) == ("no_space", f"file:{log}")
    with open(room, "w", encoding="utf-8"):
        pass
    daemon.wait_event("sink_recovered")
    procfs.wait_until(lambda: os.path.exists(seen), "the service's next line is in the file")
    assert set(read(seen).splitlines()) == {"0123456789", "after"}
    assert daemon.stop() == 0


@pytest.mark.parametrize("limit", [1000, 0])
def test_a_limited_file_size(start: Launcher, limit: int) -> None:
    """A limit on the size of files, RLIMIT_FSIZE, kills neither the daemon nor the service."""
    web, log = path_in(start, "web.log"), path_in(start, "events.log")
    configuration = start.write(
        table("log", to=log), service("web", *count(5000), restart="never", stdout={"file": web})
    )
    command = [sys.executable, "-I", "-m", "supervisor", "run", "-c", configuration]
    daemon = start.program(["prlimit", f"--fsize={limit}:{limit}", *command], How())
    assert daemon.wait() == 0
    assert os.stat(web).st_size <= limit
    assert os.stat(log).st_size <= limit
    assert read(log).count("\n") == len([json.loads(line) for line in read(log).splitlines()])


def test_syslog_and_the_daemons_own_records(start: Launcher, loop: str) -> None:
    """`[log] to` with a list: the records are on stdout, in a file and at the syslog daemon, from the very first on."""
    path = path_in(start, "events.log")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        address = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        daemon = start.services(
            table("log", to=["stdout", {"file": path}, {"syslog": address}]),
            service("web", "sh", "-c", "echo one", restart="never"),
            options=("--loop", loop),
        )
        assert daemon.wait() == 0
        expected = daemon.records
        messages = [receiver.recv(65536).decode() for _ in expected]
    assert [json.loads(line) for line in read(path).splitlines()] == expected
    texts = [message.split("] ", 1)[1] for message in messages]
    assert json.loads(texts[0]) == expected[0]
    assert "one" in texts


def test_the_log_in_a_rotated_file_only(start: Launcher, loop: str) -> None:
    """`[log] to` with a table alone: nothing is on stdout, and the records are in the files, without a gap."""
    path = path_in(start, "events.log")
    daemon = start.services(
        table("log", to={"file": path, "max-size": "2KB", "keep": 100}),
        service("web", *count(50), restart="never"),
        options=("--loop", loop),
    )
    assert daemon.wait() == 0
    assert daemon.text("stdout") == ""
    names = [name for name in os.listdir(start.folder) if name.startswith("events.log")]
    assert len(names) > 3
    records = [json.loads(line) for name in names for line in read(path_in(start, name)).splitlines()]
    assert sorted(record["seq"] for record in records) == list(range(1, len(records) + 1))


def test_a_reload_that_moves_the_output(start: Launcher, loop: str) -> None:
    """Changed places hold for a process that runs; the old file is closed."""
    old, new, more = (path_in(start, name) for name in ("old.log", "new.log", "more"))

    def tables(path: str) -> str:
        script = f"echo here; until [ -e {more} ]; do sleep 0.01; done; echo there; exec sleep infinity"
        return service("web", "sh", "-c", script, stdout={"file": path})

    configuration = start.write(tables(old))
    daemon = start.daemon("run", "-c", configuration, "--loop", loop, how=How())
    procfs.wait_until(lambda: os.path.exists(old) and read(old) == "here\n", "the line is written")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(tables(new))
    daemon.signal(signal.SIGHUP)
    daemon.wait_event("config_reloaded")
    procfs.wait_until(lambda: old not in procfs.descriptors(daemon.pid).values(), "the old file is closed")
    with open(more, "w", encoding="utf-8"):
        pass
    procfs.wait_until(lambda: os.path.exists(new) and read(new) == "there\n", "the line is written")
    assert read(old) == "here\n"
    assert daemon.events("child_exited") == []
    assert daemon.stop() == 0


@pytest.mark.namespace
def test_idle_with_sinks(start: Launcher, place: How, loop: str) -> None:
    """With nothing to write a daemon with files, syslog and a sink that fails sleeps without a wake-up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        places = [
            {"file": path_in(start, "web.log")},
            {"file": path_in(start, "none/web.log")},
            {"syslog": f"tcp://127.0.0.1:{server.getsockname()[1]}"},
        ]
        daemon = start.services(
            service("web", "sh", "-c", "exec sleep infinity", stdout=places),
            options=("--loop", loop),
            how=place,
        )
        daemon.wait_event("child_started")
        procfs.assert_idle(daemon.pid)
