"""How long things take: the start, a signal, a restart, an event; and for how long a TERM is lost."""

import dataclasses
import os
import select
import signal
import statistics
import subprocess
import sys
import time

from tests.bench.forms import MS, Lab, Row, Table, medians, take_turns
from tests.bench.lab import Run, poll_until
from tests.bench.peers import Command, interpreter, unit_peer
from tests.helpers import procfs

DELAYS_MS = (0, 1, 2, 3, 5, 8, 10, 12, 15, 18, 21, 25, 30, 35, 40, 50, 60, 80)
"""After how long a TERM is tried; the steps are as fine as the figure can be told."""

BARE: dict[str, Command] = {
    "interpreter -I -S": [interpreter(), "-I", "-S", "-c", "pass"],
    "interpreter -I": [sys.executable, "-I", "-c", "pass"],
}
"""The interpreter alone: what anything written in Python is measured against."""


def start(lab: Lab) -> Table:
    """From exec to the first child's main; beside it the bare interpreter's start and end, in the same rounds."""
    forms = lab.forms([*lab.peers, unit_peer()])

    def take(command: Command) -> float:
        if command in BARE.values():
            return _whole_run(command)
        with lab.run(command) as run:
            return -(run.word("exec") - run.word("start")) * MS

    return medians(take_turns(lab, BARE | forms, take), "ms")


def _whole_run(command: Command) -> float:
    began = time.monotonic_ns()
    subprocess.run(command, check=True)
    return (time.monotonic_ns() - began) * MS


def term(lab: Lab) -> Table:
    """From TERM to PID 1 until the child's handler runs; the worst of all rounds beside the median."""

    def take(command: Command) -> float:
        with lab.run(command) as run:
            run.word("start")
            run.settle()
            return (-run.signal(signal.SIGTERM) + run.word("term")) * MS

    samples = take_turns(lab, lab.forms(lab.peers), take)
    table = medians(samples, "ms")
    for name, values in samples.items():
        table[name]["worst_ms"] = max(values) if values else "-"
    return table


def restart(lab: Lab) -> Table:
    """From the KILL of a service that has run for more than a second to its successor's main; no delay configured."""

    def take(command: Command) -> float:
        with lab.run(command) as run:
            run.word("start")
            time.sleep(1.2)  # runit and s6 keep a second between starts: that is not what is measured
            (child,) = run.helpers()
            died = time.monotonic_ns()
            os.kill(child, signal.SIGKILL)
            return (run.word("start") - died) * MS

    services = {peer.name: peer for peer in lab.peers if peer.service is not None}
    forms = {name: command for name, peer in services.items() if (command := lab.service(peer)) is not None}
    return medians(take_turns(dataclasses.replace(lab, rounds=min(lab.rounds, 9)), forms, take), "ms")


def window(lab: Lab) -> Table:
    """For how long after its exec PID 1 loses a TERM: of several tries at each delay, the longest that lost one.

    Beside it the longest that lost at least half of its tries, which a busy machine stretches less, and the median
    time until TERM is blocked or caught, from which on the kernel keeps it; for the bare interpreter, its whole run.
    """
    forms = lab.forms([peer for peer in lab.peers if peer.name not in _SLOW_TO_END])
    forms |= {f"{peer.name} pause": peer.pause for peer in lab.peers if peer.pause is not None}
    unit = lab.service(unit_peer())
    if unit is not None:
        forms["pausevisor -m service"] = unit
    lost: dict[str, list[int]] = {name: [] for name in forms}
    tries = max(1, lab.rounds // 4)
    for delay in DELAYS_MS * tries:
        for name, command in forms.items():
            with lab.run(command) as run:
                _term_after(run, delay)
                if not run.ends(0.6):
                    lost[name].append(delay)
    table = medians(take_turns(lab, BARE | forms, lambda command: _kept_after(lab, command)), "kept_after_ms")
    return table | {name: _window_row(delays, tries) | table[name] for name, delays in lost.items()}


_SLOW_TO_END = {"supervisord", "runit"}
"""Not to be told from one that has lost the TERM, in the time that is waited here."""


def _window_row(delays: list[int], tries: int) -> Row:
    often = [delay for delay in delays if delays.count(delay) * 2 >= tries]
    return {"lost_until_ms": float(max(delays, default=0)), "half_lost_until_ms": float(max(often, default=0))}


def _kept_after(lab: Lab, command: Command) -> float:
    if command in BARE.values():
        return _whole_run(command)
    with lab.run(command) as run:
        began = run.word("exec")
        pid = run.pid1
        poll_until(lambda: _keeps_term(pid), interval=0)
        return (time.monotonic_ns() - began) * MS


def _keeps_term(pid: int) -> bool:
    return signal.SIGTERM in procfs.signal_set(pid, "SigBlk") | procfs.signal_set(pid, "SigCgt")


def _term_after(run: Run, delay: int) -> None:
    """Send TERM so many milliseconds after exec."""
    began = run.word("exec")
    pid = run.pid1
    while time.monotonic_ns() < began + delay / MS:
        pass
    os.kill(pid, signal.SIGTERM)


def latency(lab: Lab) -> Table:
    """From a child's stop and continuation to the end of the record's way through a pipe."""
    command = lab.service(lab.ours())
    ours, theirs = os.pipe()
    if command is None:
        return {}
    values = []
    with lab.run(command, theirs) as run:
        os.close(theirs)
        run.word("start")
        run.settle()
        (child,) = run.helpers()
        _drain(ours)
        for _ in range(lab.rounds * 10):
            for number in (signal.SIGSTOP, signal.SIGCONT):
                began = time.monotonic_ns()
                os.kill(child, number)
                os.read(ours, 65536)
                values.append((time.monotonic_ns() - began) * MS)
                run.settle()
                _drain(ours)
    os.close(ours)
    values.sort()
    return {"pausevisor": {"median_ms": statistics.median(values), "p99_ms": values[int(len(values) * 0.99)]}}


def _drain(descriptor: int) -> None:
    while select.select([descriptor], [], [], 0)[0]:
        os.read(descriptor, 65536)
