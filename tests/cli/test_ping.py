"""ping: the three questions, their exit codes, and how light it is."""

import json
import os
import statistics
import subprocess
import sys

import pytest

from tests.cli.conftest import Talking
from tests.cli.running import run
from tests.helpers.settings import service, table
from tests.runtime.isolated import ROOT, run_isolated

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000")
BAD = service("bad", "/nowhere", restart="never")
SHUTTING = service("deaf", "sh", "-c", "trap '' TERM; echo armed; while :; do sleep 1; done", stop_timeout="60s")

HEAVY = {"argparse", "json", "re", "enum", "typing", "signal", "socket", "http", "email", "rich", "msgspec", "asyncio",
         "logging", "collections", "functools", "shutil", "urllib"}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "word"), [([], "alive"), (["--live"], "alive"), (["--ready"], "ready"), (["--startup"], "started")]
)
def test_yes(talk: Talking, options: list[str], word: str) -> None:
    """Exit code 0, and how long it took."""
    daemon, say = talk(QUIET, WEB)
    daemon.wait_event("service_state_changed", to="running")
    done = say("ping", *options)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{word}: {say.path} answered in ")
    assert done.stdout.endswith(" ms\n")


def test_no(talk: Talking) -> None:
    """Exit code 1, and on stderr who is not ready."""
    daemon, say = talk(QUIET, WEB, BAD)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    done = say("ping", "--ready")
    assert (done.code, done.stdout, done.stderr) == (1, "", "pausevisor: not ready: bad is failed\n")
    assert say("ping", "--live").code == 0


def test_not_ready_on_the_way_down(talk: Talking) -> None:
    """A daemon that is shutting down is alive, and not ready."""
    daemon, say = talk(QUIET, WEB, SHUTTING)
    daemon.wait_line("armed")
    say("shutdown", "--no-wait")
    done = say("ping", "--ready")
    assert (done.code, done.stderr) == (1, "pausevisor: not ready: it is shutting down\n")
    assert say("ping").code == 0
    say("kill", "deaf")
    assert daemon.wait() == 0


def test_json(talk: Talking) -> None:
    """What was asked and what came back, in one object; without a daemon too."""
    daemon, say = talk(QUIET, WEB, BAD)
    daemon.wait_event("service_state_changed", service="bad", to="failed")
    found = say.json("ping", "--ready", code=1)
    took = found.pop("round_trip_s")
    assert took > 0
    assert found == {
        "ok": False,
        "probe": "ready",
        "socket": say.path,
        "ready": False,
        "draining": False,
        "not_ready": {"bad": "failed"},
    }
    nobody = run("ping", "--json", "--control", "/nowhere")
    assert (nobody.code, json.loads(nobody.stdout)["ok"]) == (69, False)


@pytest.mark.parametrize(
    "words",
    [["--what"], ["--timeout"], ["--timeout", "x"], ["--timeout", "0s"], ["--timeout="], ["--control"], ["x"],
     ["--ready", "--live"], ["--timeout", "5"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage(words: list[str]) -> None:
    """The quick way understands the usual words only; whatever else there is is told by the parser, with 2."""
    done = run("ping", *words)
    assert done.code == 2
    assert done.stderr.startswith("pausevisor ping: ")


def test_unusual_words_work_too(talk: Talking) -> None:
    """What the quick way leaves to the parser does the same."""
    _, say = talk(QUIET, WEB)
    for words in (["--timeout", "1m30s"], ["--timeout=1.5s"], ["--ready", "--timeout", "500ms"]):
        assert say("ping", *words).code in (0, 1), words
    assert "--ready" in run("ping", "--help").stdout


def test_nothing_heavy_is_loaded(talk: Talking, path: str) -> None:
    """On the quick way no parser, no HTTP stack and no table is imported: a health check runs it every few seconds."""
    talk(QUIET, WEB)
    source = (
        "before = set(sys.modules)\nimport os\nend = os._exit\n"
        "def told(code):\n    print(*(set(sys.modules) - before), flush=True)\n    end(code)\n"
        "os._exit = told\nfrom supervisor.cli.ping import ping_quickly\n"
        f"ping_quickly(['--ready', '--control', {path!r}, '--timeout', '5s'], frozenset())\n"
    )
    done = run_isolated(source)
    assert done.returncode in (0, 1), done
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "supervisor" in loaded
    assert loaded & HEAVY == set()


def processor_time(command: list[str]) -> float:
    """Seconds of a processor that a command takes: what a busy machine does to the clock is left out."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_it_is_lighter_than_two_interpreters(talk: Talking, path: str) -> None:
    """Less than twice the start of a bare interpreter, by the median of many runs, started as images start it."""
    talk(QUIET, WEB)
    start = (
        "import sys\nfrom _frozen_importlib_external import SourceFileLoader\n"
        f"sys.path.append({ROOT!r})\n"
        f"exec(SourceFileLoader('__main__', {ROOT + '/supervisor/__main__.py'!r}).get_code('__main__'))\n"
    )
    commands = {
        "bare": [sys.executable, "-I", "-S", "-c", "pass"],
        "ping": [sys.executable, "-I", "-S", "-c", start, "ping", "--live", "--control", path],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(30):
        for name, command in commands.items():
            taken[name].append(processor_time(command))
    bare, ping = statistics.median(taken["bare"]), statistics.median(taken["ping"])
    sys.stdout.write(f"bare {bare * 1e3:.1f} ms, ping {ping * 1e3:.1f} ms: {ping / bare:.2f} times\n")
    assert ping < 2 * bare
