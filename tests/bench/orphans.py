"""Orphans by the thousand: one after the other, and all at once."""

import dataclasses
import os
import signal
import statistics
import time

from tests.bench.forms import MS, Lab, Row, Table, take_turns
from tests.bench.lab import MissingError, Run, cpu_ns, poll_until
from tests.bench.peers import Command
from tests.helpers import procfs


def storm(lab: Lab) -> Table:
    """Orphans at full fork rate, by a child that forks twice for each.

    The most that were unreaped at a time, how long the last stayed after the storm, and what reaping took of the CPU.
    """
    return {name: _storm(lab, command) for name, command in _orphan_forms(lab, "storm").items()}


def _storm(lab: Lab, command: Command) -> Row:
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
        cpu = (cpu_ns([run.pid1]) - before) * MS
        records.flush()
        return {"peak_unreaped": peak, "drained_ms": drained, "cpu_ms": cpu, "record_bytes": records.tell()}


def burst(lab: Lab) -> Table:
    """Orphans that all end at one instant: how long until the last is reaped.

    And, in runs of their own, how long a TERM that comes just after takes to the child's handler: the worst.
    """
    table: Table = {}
    rounds = dataclasses.replace(lab, rounds=3)
    forms = _orphan_forms(rounds, "burst")
    drained = take_turns(rounds, forms, lambda command: _burst_drained(lab, command))
    latency = take_turns(rounds, forms, lambda command: _burst_term(lab, command))
    for name in forms:
        table[name] = {
            "drained_ms": statistics.median(drained[name]) if drained[name] else "-",
            "term_worst_ms": max(latency[name]) if latency[name] else "-",
        }
    return table


def _burst(run: Run) -> int:
    """Let them end; returns when that was."""
    run.word("start", timeout=120)
    run.settle()
    main = procfs.children(run.pid1)[0]
    os.kill(main, signal.SIGUSR1)
    return run.word("done")


def _burst_drained(lab: Lab, command: Command) -> float:
    with open(os.path.join(lab.folder, "records"), "wb") as records, lab.run(command, records.fileno()) as run:
        done = _burst(run)
        poll_until(lambda: run.unreaped() <= 1, interval=0.01)
        return (time.monotonic_ns() - done) * MS


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
