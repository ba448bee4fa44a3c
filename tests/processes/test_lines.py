"""What becomes of the lines of real programs, as whoever reads the log sees it."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from tests.harness import Daemon, How, Launcher
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import service, table
from tests.processes.test_output import assert_full

PYTHON = ("python3", "-ISc")


def shell(name: str, script: str, **log: object) -> str:
    """A service that runs a script once, with these settings of its lines."""
    return service(name, "sh", "-c", script, restart="never", log=log)


def jq(daemon: Daemon, *arguments: str) -> str:
    """What jq makes of all that the daemon wrote; each line must be JSON to it."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    ran = subprocess.run(
        ["jq", *arguments], input=daemon.text("stdout"), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout


def read_all(daemon: Daemon) -> None:
    """Wait until everything that the daemon has written is read, which may take longer than its end."""
    assert daemon.streams["stdout"].wait(lambda: False, PATIENCE) is False
    assert daemon.streams["stdout"].ended


@pytest.mark.namespace
def test_a_child_that_would_pass_for_us(start: Launcher, place: How, loop: str) -> None:
    """Merged JSON that looks like a record of ours is the child's output, whatever it says."""
    forged = '{"event":"child_exited","seq":1,"pid":1,"service":"other","level":"critical","exit_code":0}'
    daemon = start.services(
        shell("web", f"echo '{forged}'; echo plain", json="merge"), options=("--loop", loop), how=place
    )
    assert daemon.wait() == 0
    line, plain = daemon.events("output")
    pid = daemon.wait_event("child_started")["pid"]
    assert (line["service"], line["pid"], line["level"]) == ("web", pid, "critical")
    assert (line["child_event"], line["child_service"], line["child_pid"]) == ("child_exited", "other", 1)
    assert plain["message"] == "plain"
    assert len(daemon.events("child_exited")) == 1
    assert jq(daemon, "-r", 'select(.event == "output") | .child_event // empty') == "child_exited\n"


def test_json_embedded_and_as_text(start: Launcher) -> None:
    """The same line, once as one field and once as a message."""
    script = """echo '{"a":[1,2],"level":"warn"}'"""
    daemon = start.services(shell("one", script, json="embed"), shell("two", script))
    assert daemon.wait() == 0
    embedded = daemon.wait_event("output", service="one")
    assert (embedded["json"], embedded["level"]) == ({"a": [1, 2], "level": "warn"}, "warning")
    assert daemon.wait_event("output", service="two")["message"] == '{"a":[1,2],"level":"warn"}'


@pytest.mark.namespace
def test_a_real_traceback_is_one_record(start: Launcher, place: How, loop: str) -> None:
    """An exception that nobody caught is one record, before the exit it led to, and in its tail line by line."""
    source = "print('starting', flush=True)\ndef f():\n    raise KeyError('user')\nf()"
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("web", *PYTHON, source, restart="never", log={"multiline": "python", "level": "guess"}),
        options=("--loop", loop),
        how=place,
    )
    assert daemon.wait() == 0
    (trace,) = daemon.events("output", stream="stderr")
    assert trace["message"].startswith("Traceback (most recent call last):\n")
    assert trace["message"].endswith("\nKeyError: 'user'")
    assert trace["level"] == "error"
    exited = daemon.wait_event("child_exited")
    assert trace["seq"] < exited["seq"]
    assert exited["tail"][0] == "starting"
    assert exited["tail"][-1] == "KeyError: 'user'"


def test_a_held_record_does_not_wait_for_ever(start: Launcher, loop: str) -> None:
    """With a pattern the last record is written when no more of it comes, and the daemon then sleeps."""
    daemon = start.services(
        service("web", "sh", "-c", "printf 'one\\n  more\\n'; exec sleep infinity", log={"multiline": r"^\S"}),
        options=("--loop", loop),
    )
    assert daemon.wait_event("output")["message"] == "one\n  more"
    procfs.assert_idle(daemon.pid)


def test_the_tail_is_as_long_as_configured(start: Launcher) -> None:
    """`tail` says how many last lines are in the record of an end; 0 is none."""
    script = "for n in 1 2 3 4 5; do echo $n; done; exit 3"
    daemon = start.services(
        table("supervisor", on_failure="ignore"), shell("three", script, tail=3), shell("none", script, tail=0)
    )
    assert daemon.wait() == 0
    assert daemon.wait_event("child_exited", service="three")["tail"] == ["3", "4", "5"]
    assert "tail" not in daemon.wait_event("child_exited", service="none")


def test_escape_sequences_are_stripped(start: Launcher) -> None:
    """With `ansi = "strip"` no escape is left; without it all are."""
    script = r"printf '\033[31mred\033[0m\n'"
    daemon = start.services(shell("one", script, ansi="strip"), shell("two", script))
    assert daemon.wait() == 0
    assert daemon.wait_event("output", service="one")["message"] == "red"
    assert daemon.wait_event("output", service="two")["message"] == "\x1b[31mred\x1b[0m"


def test_levels_by_stream_and_by_guess(start: Launcher) -> None:
    """A table says what each stream's lines are, a line what it is itself; `[log] level` leaves lines out by it."""
    script = "echo out; echo err >&2; echo 'WARN: odd'; echo 'DEBUG: chatter'"
    daemon = start.services(
        table("log", level="warning"),
        shell("web", script, level={"stderr": "error", "guess": True}),
        shell("quiet", "echo unheard"),
    )
    assert daemon.wait() == 0
    found = {line["message"]: line["level"] for line in daemon.events("output")}
    assert found == {"err": "error", "WARN: odd": "warning"}


def test_bytes_that_are_no_text_are_told_once(start: Launcher) -> None:
    """That bytes were replaced is said once for each stream, not for each line and not for each process."""
    script = r"printf 'a\377\nb\377\n'; printf 'c\377\n' >&2; exit 1"
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        service("web", "sh", "-c", script, restart_delay="1ms", restart_limit={"count": 2, "within": "60s"}),
    )
    assert daemon.wait() == 0
    assert len(daemon.events("output")) == 9
    warnings = daemon.events("supervisor_warning", service="web")
    assert sorted(warning["message"].split()[0] for warning in warnings) == ["stderr", "stdout"]


@pytest.mark.namespace
@pytest.mark.parametrize("overflow", ["drop-oldest", "drop-newest"])
def test_a_service_that_is_not_to_wait(start: Launcher, place: How, loop: str, overflow: str) -> None:
    """While nobody reads the log it writes on to its end; whoever reads then is told how many lines are missing."""
    done = os.path.join(start.folder, "done")
    source = f"import os\nfor n in range(60000): print(n)\nimport sys; sys.stdout.flush(); open({done!r}, 'w')"
    script = "while :; do echo flood; done"
    daemon = start.services(
        service("flood", "sh", "-c", script),
        service("hasty", *PYTHON, source, restart="never", log={"overflow": overflow}),
        options=("--loop", loop),
        how=replace(place, stdout="small-pipe"),
    )
    procfs.wait_until(lambda: os.path.exists(done), "the hasty service has written all it has")
    daemon.read_late("stdout")
    daemon.wait_text('"event":"log_lines_dropped"')
    assert daemon.stop() == 0
    read_all(daemon)
    seen = [int(line["message"]) for line in daemon.events("output", service="hasty")]
    dropped = sum(record["count"] for record in daemon.events("log_lines_dropped", service="hasty"))
    others = sum(record["count"] for record in daemon.events("log_lines_dropped") if "service" not in record)
    assert seen == sorted(set(seen))
    assert len(seen) + dropped <= 60000 <= len(seen) + dropped + others


@pytest.mark.namespace
def test_a_service_that_waits(start: Launcher, place: How, loop: str) -> None:
    """With `block` the service stops in its write while nobody reads, and nothing is lost when somebody does."""
    source = "for n in range(60000): print(n)"
    daemon = start.services(
        service("patient", *PYTHON, source, restart="never", log={"overflow": "block"}),
        options=("--loop", loop),
        how=replace(place, stdout="small-pipe"),
    )
    assert_full(daemon)
    daemon.read_late("stdout")
    assert daemon.wait() == 0
    read_all(daemon)
    assert [int(line["message"]) for line in daemon.events("output")] == list(range(60000))
    assert daemon.events("log_lines_dropped") == []


@pytest.mark.namespace
def test_patterns_are_redacted_everywhere(start: Launcher, place: How) -> None:
    """What a pattern matches is in no line, no event, no tail and no error, and not in the whole of the stream."""
    daemon = start.services(
        table("supervisor", on_failure="ignore"),
        table("log", redact=[r"(?<=token=)\S+", "hunter[0-9]"]),
        service("web", "sh", "-c", 'echo token=abc; echo "$1" >&2; exit 3', "sh", "hunter2", restart="never"),
        service("gone", "/no/such/hunter7", restart="never"),
        how=place,
    )
    assert daemon.wait() == 0
    assert daemon.wait_event("output", stream="stdout")["message"] == "token=[redacted]"
    assert daemon.wait_event("child_exited", service="web")["tail"] == ["token=[redacted]", "[redacted]"]
    assert daemon.wait_event("child_started", service="web")["command"][-1] == "[redacted]"
    daemon.wait_event("child_spawn_failed", service="gone")
    assert not re.search("hunter[0-9]|abc", daemon.text("stdout") + daemon.text("stderr"))


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("schema", "name", "line"),
    [
        ("ecs", '."event.action"', '."event.action" == "output"'),
        ("gcp", ".event", '.event == "output"'),
        (
            "otel",
            ".resourceLogs[0].scopeLogs[0].logRecords[0].eventName",
            '.resourceLogs[0].scopeLogs[0].logRecords[0].eventName == "output"',
        ),
    ],
)
def test_the_schemas_of_others(start: Launcher, place: How, loop: str, schema: str, name: str, line: str) -> None:
    """From the first record to the last all are in the schema, events before the loop is there and lines included."""
    daemon = start.services(
        table("log", schema=schema, format="json"),
        shell("web", """echo '{"msg":"hello","level":"error"}'; echo text""", json="merge"),
        options=("--loop", loop),
        how=replace(place, pure=False),
    )
    daemon.checked = False  # the records are not those of the native schema
    assert daemon.wait() == 0
    names = jq(daemon, "-r", name).split()
    assert (names[0], names[-1]) == ("supervisor_started", "shutdown_finished")
    assert names.count("output") == 2
    assert "null" not in names
    assert json.loads(jq(daemon, "-s", f"map(select({line})) | length")) == 2
    assert "hello" in daemon.text("stdout")


@pytest.mark.parametrize("style", ["logfmt", "console"])
def test_merged_lines_for_people(start: Launcher, style: str) -> None:
    """A child's fields are pairs in logfmt, and stand behind its message on the console."""
    daemon = start.services(
        table("log", format=style),
        shell("web", """echo '{"msg":"slow query","ms":812,"level":"warn"}'""", json="merge"),
        how=How(pure=False, environment={"NO_COLOR": "1"}),
    )
    assert daemon.wait() == 0
    (line,) = [line for line in daemon.text("stdout").splitlines() if "ms=812" in line]
    assert "slow query" in line
    assert "warning" in line


def test_settings_that_are_wrong(start: Launcher) -> None:
    """All that is wrong with a log table is told at once, with what is allowed."""
    daemon = start.services(
        table("log", schema="xml", redact=["(", "x*"]),
        service(
            "web", "true", log={"json": "yes", "multiline": "[", "overflow": "drop", "tail": 5000, "levels": "info"}
        ),
        how=How(pure=False),
    )
    assert daemon.wait() == 78
    told = daemon.text("stderr")
    for key in (
        "log.schema",
        "log.redact[0]",
        "log.redact[1]",
        "web.log.json",
        "web.log.multiline",
        "web.log.overflow",
    ):
        assert key in told
    assert "drop-oldest" in told
    assert "did you mean 'level'?" in told


def test_many_services_at_once(start: Launcher, loop: str) -> None:
    """A hundred services that write at the same time: every line of each is there, and in its order."""
    daemon = start.services(
        *(
            service(f"s{number}", "sh", "-c", f"for i in $(seq 0 199); do echo {number} $i; done", restart="never")
            for number in range(100)
        ),
        options=("--loop", loop),
    )
    assert daemon.wait() == 0
    read_all(daemon)
    lines: dict[str, list[Any]] = {}
    for record in daemon.events("output"):
        lines.setdefault(record["service"], []).append(record["message"])
    assert lines == {f"s{number}": [f"{number} {line}" for line in range(200)] for number in range(100)}
