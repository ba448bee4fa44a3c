"""What others take for a program's lines, and we: whole programs, as many lines for each, one after the other.

Each is run twice, with lines and with none, and the difference in its own processor time counts: neither its start, nor
the ``cat`` that feeds it, nor the one that reads what it writes to a pipe. What each makes of a line is its own affair:
s6-log, multilog and svlogd put a time before it, we make a JSON object of it with time, service, pid, stream and
number, and supervisord copies what comes and does not look for lines. Each figure is the best of several rounds, in
which all take their turns, since the machine is shared.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

from tests.bench.forms import Lab, Table
from tests.helpers import procfs, settings

Command = list[str]
Form = Callable[[str, str], Command]
"""Given a folder of its own and the file of lines, the command line, which reads them from stdin, or has a ``cat``."""

PLAIN = b'10.0.0.1 - - [10/Oct/2026:13:55:36] "GET /index.html" 200 2326\n'
JSON = (
    b'{"timestamp":"2026-10-10T13:55:36.123456Z","level":"info","logger":"app.web","message":"request done",'
    b'"method":"GET","path":"/index.html","status":200,"duration_ms":12.5}\n'
)

_COUNT = 2_000_000
_ROTATION = "16000000"
"""Bytes after which a file is rotated, by those who do it."""

_TICKS = os.sysconf("SC_CLK_TCK")


def lines(lab: Lab) -> Table:
    """Millions of lines a second of processor time, by each logger that is installed, to a pipe and to a file."""
    rounds = max(3, lab.rounds // 4)
    best: dict[str, float] = {}
    where = "/dev/shm" if os.path.isdir("/dev/shm") else lab.folder
    with tempfile.TemporaryDirectory(prefix="pausevisor-bench-", dir=where) as folder:
        files = {kind: _filled(os.path.join(folder, kind), line) for kind, line in (("plain", PLAIN), ("JSON", JSON))}
        none = _filled(os.path.join(folder, "none"), b"")
        for _ in range(rounds):
            for name, (kind, form) in _forms().items():
                took = _seconds(form, folder, files[kind]) - _seconds(form, folder, none)
                best[name] = min(best.get(name, took), took)
    return {
        name: {"million_lines_a_second": _COUNT / took / 1e6, "ns_a_line": took / _COUNT * 1e9}
        for name, took in best.items()
    }


def _forms() -> dict[str, tuple[str, Form]]:
    forms: dict[str, tuple[str, Form]] = {
        "pausevisor, to a pipe": ("plain", _ours()),
        "s6-log, to a pipe": ("plain", lambda *_: ["s6-log", "t", "1"]),
        "supervisord, to a pipe": ("plain", _supervisord("/dev/fd/1")),
        "pausevisor, to a file": ("plain", _ours(to="log")),
        "s6-log, to a file": ("plain", lambda folder, _: ["s6-log", "t", f"s{_ROTATION}", "n2", f"{folder}/log"]),
        "multilog, to a file": ("plain", lambda folder, _: ["multilog", "t", f"s{_ROTATION}", "n2", f"{folder}/log"]),
        "svlogd, to a file": ("plain", _svlogd),
        "supervisord, to a file": ("plain", _supervisord("log")),
        "pausevisor, JSON merged, to a pipe": ("JSON", _ours(json="merge")),
    }
    return {
        name: form for name, form in forms.items() if name.startswith("pausevisor") or shutil.which(name.split(",")[0])
    }


def _filled(path: str, line: bytes) -> str:
    with open(path, "wb") as file:
        file.write(line * _COUNT)
    return path


def _ours(to: str = "stdout", json: str = "text") -> Form:
    def form(folder: str, path: str) -> Command:
        text = settings.table("log", to=os.path.join(folder, to) if to != "stdout" else to)
        text += settings.service("child", "cat", path, restart="never", log={"json": json})
        return [sys.executable, "-I", "-m", "supervisor", "run", "-c", _written(folder, "pausevisor.toml", text)]

    return form


def _svlogd(folder: str, _: str) -> Command:
    os.mkdir(f"{folder}/log")
    _written(f"{folder}/log", "config", f"s{_ROTATION}\nn2\n")
    return ["svlogd", "-t", f"{folder}/log"]


def _supervisord(to: str) -> Form:
    def form(folder: str, path: str) -> Command:
        lines = [
            "[supervisord]",
            "nodaemon=true",
            "user=root",
            f"logfile={folder}/supervisord",
            f"pidfile={folder}/pid",
            f"childlogdir={folder}",
            "[program:child]",
            f"command=sh -c 'cat {path}; kill -TERM $PPID; sleep 30'",
            "autorestart=false",
            "startsecs=0",
            f"stdout_logfile={os.path.join(folder, to)}",
            f"stdout_logfile_maxbytes={_ROTATION if to == 'log' else 0}",
        ]
        return ["supervisord", "--configuration", _written(folder, "supervisord.conf", "\n".join(lines) + "\n")]

    return form


def _written(folder: str, name: str, text: str) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _seconds(form: Form, folder: str, path: str) -> float:
    """Processor time of the logger alone, without its children."""
    with tempfile.TemporaryDirectory(dir=folder) as own, _reader() as sink, _writer(path) as source:
        command = form(own, path)
        with subprocess.Popen(command, stdin=source, stdout=sink, stderr=subprocess.DEVNULL) as logger:
            os.waitid(os.P_PID, logger.pid, os.WEXITED | os.WNOWAIT)
            return procfs.cpu_ticks(logger.pid) / _TICKS


@contextlib.contextmanager
def _reader() -> Iterator[int]:
    """A pipe that somebody empties."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cat:
        assert cat.stdin is not None
        yield cat.stdin.fileno()


@contextlib.contextmanager
def _writer(path: str) -> Iterator[int]:
    """A pipe that somebody fills with a file; for those who do not read it, it is closed at the end."""
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        yield cat.stdout.fileno()
