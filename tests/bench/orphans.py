"""Orphans by the thousand: one after the other, and all at once."""

import dataclasses
import os
import signal
import statistics
import time
from typing import NamedTuple

from tests.bench.forms import MS, Lab, Table, take_turns
from tests.bench.lab import MissingError, Run, cpu_ns, poll_until
from tests.bench.peers import Command
from tests.helpers import procfs

_ROUNDS = 3
"""Of each: ten thousand orphans are many, and take long."""


def storm(lab: Lab) -> Table:
    """Orphans at full fork rate, by a child that forks twice for each.

    The most that were unreaped at a time, how long the last stayed after the storm (the worst of both), and what
    reaping took of the CPU (the median).
    """
    few = dataclasses.replace(lab, rounds=_ROUNDS)
    table: Table = {}
    for name, rows in take_turns(few, _orphan_forms(lab, "storm"), lambda command: _storm(lab, command)).items():
        table[name] = {
            "peak_unreaped": max((row.peak for row in rows), default="-"),
            "drained_ms": max((row.drained_ms for row in rows), default="-"),
            "cpu_ms": statistics.median([row.cpu_ms for row in rows]) if rows else "-",
        }
    return table


class _Storm(NamedTuple):
    peak: float
    drained_ms: float
    cpu_ms: float


def _storm(lab: Lab, command: Command) -> _Storm:
    with open(os.path.join(lab.folder, "records"), "wb") as records, lab.run(command, records.fileno()) as run:
        run.word("start")
        run.settle()
        (child,) = run.helpers()
        before = cpu_ns([run.pid1])
        os.kill(child, signal.SIGUSR1)
        peak, done = 0, 0
        while not done:
            peak = max(peak, run.unreaped() - 1)
            try:
                done = run.word("done", timeout=0.005)
            except MissingError:
                continue
        poll_until(lambda: run.unreaped() <= 1)
        drained = (time.monotonic_ns() - done) * MS
        run.settle()
        return _Storm(peak, drained, (cpu_ns([run.pid1]) - before) * MS)


def burst(lab: Lab) -> Table:
    """Orphans that all end at one instant: how long until the last is reaped, and what that took of the CPU.

    And, in runs of their own, how long a TERM that comes just after takes to the child's handler: the worst.
    """
    table: Table = {}
    rounds = dataclasses.replace(lab, rounds=_ROUNDS)
    forms = _orphan_forms(rounds, "burst")
    drained = take_turns(rounds, forms, lambda command: _burst_drained(lab, command))
    latency = take_turns(rounds, forms, lambda command: _burst_term(lab, command))
    for name in forms:
        table[name] = {
            "drained_ms": statistics.median([ms for ms, _ in drained[name]]) if drained[name] else "-",
            "cpu_ms": statistics.median([cpu_ms for _, cpu_ms in drained[name]]) if drained[name] else "-",
            "term_worst_ms": max(latency[name]) if latency[name] else "-",
        }
    return table


def _burst(run: Run) -> tuple[int, int]:
    """Let them end; returns when that was, and what CPU time PID 1 had used before, both in nanoseconds."""
    run.word("start", timeout=120)
    run.settle()
    main = procfs.children(run.pid1)[0]
    before = cpu_ns([run.pid1])
    os.kill(main, signal.SIGUSR1)
    return run.word("done"), before


def _burst_drained(lab: Lab, command: Command) -> tuple[float, float]:
    with open(os.path.join(lab.folder, "records"), "wb") as records, lab.run(command, records.fileno()) as run:
        done, before = _burst(run)
        poll_until(lambda: run.unreaped() <= 1, interval=0.01)
        drained = (time.monotonic_ns() - done) * MS
        run.settle()
        return drained, (cpu_ns([run.pid1]) - before) * MS


def _burst_term(lab: Lab, command: Command) -> float:
    with open(os.path.join(lab.folder, "records"), "wb") as records, lab.run(command, records.fileno()) as run:
        _burst(run)
        time.sleep(0.02)
        return (-run.signal(signal.SIGTERM) + run.word("term")) * MS


def _orphan_forms(lab: Lab, mode: str) -> dict[str, Command]:
    """The single-command forms but for none, which reaps nothing; and ours with records of every orphan."""
    ours = lab.ours()
    mode_words = (mode, str(lab.orphans))
    supervised = [peer for peer in lab.peers if peer.single]
    found = {peer.name: command for peer in supervised if (command := lab.single(peer, *mode_words)) is not None}
    loud = ["--log-to", "stdout", "--log-level", "info", "--log-format", "json", "--"]
    if ours.single is not None:
        found["pausevisor, each reported"] = [*ours.single[:-1], *loud, lab.helper, *mode_words]
    return found
