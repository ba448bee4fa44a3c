"""What the host must offer, and where it keeps what is expensive to make."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.helpers.patience import PATIENCE

REPOSITORY = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


def require(*programs: str) -> None:
    """Fail, saying what to do, where the tests' programs or the rights to use them are missing."""
    if os.geteuid() != 0:
        pytest.fail("container tests need root: run `sudo make test-containers`", pytrace=False)
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.fail(f"missing: {' '.join(missing)}; `tests/containers/setup` installs them with apt", pytrace=False)


def run(*command: str, environment: Mapping[str, str] | None = None, timeout: float = PATIENCE) -> str:
    """Run a program of the host; returns its stdout without the last newline, and fails with its stderr."""
    done = attempt(command, environment=environment, timeout=timeout)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout.removesuffix("\n")


def attempt(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout: float = PATIENCE
) -> "subprocess.CompletedProcess[str]":
    """Run a program of the host that may fail."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={**os.environ, **(environment or {})},
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        late = f"{' '.join(command)}: no end after {timeout} s"
    pytest.fail(late)


@contextlib.contextmanager
def cache() -> Iterator[str]:
    """The folder that outlives a run, locked: the first of several runs makes what the others then find."""
    parent = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(parent, "pausevisor-tests")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def unmount_below(folder: str) -> None:
    """Unmount what container engines have mounted in a folder and left."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        points = [line.split()[4] for line in table]
    for point in sorted(points, reverse=True):
        if point.startswith(folder + os.sep):
            run("umount", "--lazy", point)


def remove_tree(folder: str) -> None:
    """Remove a folder in which container engines have mounted file systems."""
    unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)
