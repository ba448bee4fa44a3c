"""What others take for a program's lines: whole programs, told to read as many lines, one after the other.

Each is run twice, with lines and with none, and the difference in processor time counts: the start is not the lines',
but the ``cat`` that feeds them is part of it, the same for all. What each makes of a line is its own affair: s6-log and
multilog put a time before it, supervisord copies what comes and does not look for lines.
"""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

from tests.helpers import settings

Command = list[str]


def found_loggers(folder: str, lines: str) -> dict[str, Command]:
    """Those that are installed, and ours: by name, the command line that takes all lines of a file and then ends."""
    feed = f"cat {lines}"
    found = {
        "s6-log": ["sh", "-c", f"{feed} | exec s6-log t 1"],
        "multilog": ["sh", "-c", f"{feed} | exec multilog t s1000000 n2 {folder}/multilog"],
        "svlogd": ["sh", "-c", f"mkdir -p {folder}/svlogd; {feed} | exec svlogd -t {folder}/svlogd"],
    }
    found = {name: command for name, command in found.items() if shutil.which(name)}
    if shutil.which("supervisord"):
        found["supervisord"] = ["supervisord", "--configuration", _supervisord(folder, feed)]
    found["pausevisor"] = [sys.executable, "-I", "-m", "supervisor", "run", "-c", _ours(folder, feed)]
    return found


def _ours(folder: str, feed: str) -> str:
    path = os.path.join(folder, "pausevisor.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(settings.service("child", "sh", "-c", feed, restart="never"))
    return path


def _supervisord(folder: str, feed: str) -> str:
    path = os.path.join(folder, "supervisord.conf")
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "user=root",
        f"logfile={folder}/log",
        f"pidfile={folder}/pid",
        f"childlogdir={folder}",
        "[program:child]",
        f"command=sh -c '{feed}; kill -TERM $PPID; sleep 30'",
        "autorestart=false",
        "startsecs=0",
        "stdout_logfile=/dev/fd/1",
        "stdout_logfile_maxbytes=0",
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def processor_seconds(command: Command) -> float:
    """What the program and all that it started took."""
    with reader() as sink:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=sink, stderr=subprocess.DEVNULL, check=False, timeout=120)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextlib.contextmanager
def reader() -> Iterator[int]:
    """A pipe that somebody empties."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cat:
        assert cat.stdin is not None
        yield cat.stdin.fileno()


def measure(line: bytes, count: int, rounds: int, tell: Callable[[str, float], object]) -> None:
    """Tell how many lines each logger takes in a second of processor time: the best of several rounds, in turns."""
    with tempfile.TemporaryDirectory(prefix="pausevisor-bench-", dir="/dev/shm") as folder:
        many, none = os.path.join(folder, "lines"), os.path.join(folder, "none")
        with open(many, "wb") as file:
            file.write(line * count)
        with open(none, "wb"):
            pass
        best: dict[str, float] = {}
        for _ in range(rounds):
            for name, with_lines in found_loggers(tempfile.mkdtemp(dir=folder), many).items():
                without = found_loggers(tempfile.mkdtemp(dir=folder), none)[name]
                took = processor_seconds(with_lines) - processor_seconds(without)
                best[name] = min(best.get(name, took), took)
        for name, took in best.items():
            tell(name, count / took)
