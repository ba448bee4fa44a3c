"""What /proc says about processes, read from outside the daemon: the tests' own witness, see proc(5).

Nothing here trusts what the daemon reports. A process may end between any two reads, so each reader answers with
"nothing" for a process that is gone.
"""

import os
import time
from collections.abc import Callable, Iterable

import pytest

from tests.helpers.patience import PATIENCE

ALL_BLOCKED = frozenset({1, 2, 3, 10, 12, 15})
"""Signals that tell a process which blocked everything from one that blocked what its launcher needed blocked."""


def wait_until(condition: Callable[[], object], why: str) -> None:
    """Poll until the condition holds; for what no event, pipe or descriptor tells.

    Args:
        condition: called every few milliseconds.
        why: what was awaited, for the failure message.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {PATIENCE} s: {why}")
        time.sleep(0.002)


def status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status; empty when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            pairs = (line.partition(":") for line in file)
            return {name: value.strip() for name, _, value in pairs}
    except (FileNotFoundError, ProcessLookupError):
        return {}


def state(pid: int) -> str:
    """State letter of a process (``R S D T Z``); empty when it is gone."""
    return status(pid).get("State", "")[:1]


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    return state(pid) not in {"", "Z", "X"}


def signal_set(pid: int, field: str) -> frozenset[int]:
    """Signal numbers in ``SigBlk``, ``SigIgn``, ``SigCgt``, ``SigPnd`` or ``ShdPnd``."""
    mask = int(status(pid).get(field, "0"), 16)
    return frozenset(number for number in range(1, 65) if mask >> (number - 1) & 1)


def blocks_all(pid: int) -> bool:
    """Whether the process has blocked every signal: what comes now is kept by the kernel."""
    return signal_set(pid, "SigBlk") >= ALL_BLOCKED


def keeps_term(pid: int) -> bool:
    """Whether a TERM sent now is not lost: kept because it is blocked, or caught."""
    return blocks_all(pid) or 15 in signal_set(pid, "SigCgt")


def children(pid: int) -> list[int]:
    """Children of all threads of a process, zombies included."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, nearest first."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def zombies(pid: int) -> list[int]:
    """Children that ended and were not reaped."""
    return [child for child in children(pid) if state(child) == "Z"]


def identity(pid: int) -> tuple[int, str] | None:
    """Pid and start time, which together never name another process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return pid, file.read().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def identities(pids: Iterable[int]) -> set[tuple[int, str]]:
    """Identities of those that are still there."""
    return {found for found in map(identity, pids) if found}


def survivors(known: Iterable[tuple[int, str]]) -> list[str]:
    """Command lines of those processes that are still alive."""
    return [describe(pid) for pid, start in known if identity(pid) == (pid, start) and alive(pid)]


def describe(pid: int) -> str:
    """Pid and command line in words, for failure messages."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return f"{pid} {file.read().replace(bytes(1), b' ').decode(errors='replace').strip()}"
    except (FileNotFoundError, ProcessLookupError):
        return f"{pid} (gone)"


def marked(mark: str) -> list[int]:
    """Every process whose first environment carries the mark: it finds those that left every group and parent."""
    needle = mark.encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                environment = file.read()
        except OSError:  # gone meanwhile, or not ours to read
            continue
        if needle in environment and alive(int(name)):
            found.append(int(name))
    return found


def outer_pid(root: int, pid: int) -> int:
    """The pid seen from here of a process known by its pid in the PID namespace of ``root``."""
    for candidate in [root, *descendants(root)]:
        numbers = status(candidate).get("NSpid", "").split()
        if numbers and int(numbers[-1]) == pid:
            return candidate
    raise LookupError(f"no process {pid} below {describe(root)}")


def descriptors(pid: int) -> dict[int, str]:
    """Open descriptors and what they point to."""
    links: dict[int, str] = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except (FileNotFoundError, ProcessLookupError):
        return links
    for name in names:
        try:
            links[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
    return links


def cpu_ticks(pid: int) -> int:
    """User and system time of a process, without its children, in clock ticks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def switches(pid: int) -> int:
    """How often the process has gone to sleep or been interrupted: it does not change while the process sleeps."""
    fields = status(pid)
    return int(fields["voluntary_ctxt_switches"]) + int(fields["nonvoluntary_ctxt_switches"])


def assert_idle(pid: int, seconds: float = 0.3) -> None:
    """The process settles, then does not wake once in the given time (an absence can only be seen over an interval)."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        before = switches(pid)
        time.sleep(seconds)
        if switches(pid) == before and state(pid) != "R":  # one that waits for a processor is not asleep
            return
    pytest.fail(f"{describe(pid)} never slept {seconds} s without a wake-up")
