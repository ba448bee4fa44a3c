"""What supervision costs while nothing happens."""

import time

from tests.bench.forms import MS, Lab, Table
from tests.bench.lab import Run, cpu_ns, resident_kib
from tests.helpers import procfs


def idle(lab: Lab, seconds: float = 10.0) -> Table:
    """Wake-ups and CPU of an idle supervisor with one service, all peers in the same stretch of time; and memory."""
    runs = {name: lab.run(command) for name, command in lab.forms(lab.peers).items() if name != "none"}
    runs |= {f"{peer.name} pause": lab.run(peer.pause) for peer in lab.peers if peer.pause is not None}
    table: Table = {}
    try:
        for name, run in runs.items():
            run.word("exec" if name.endswith("pause") else "start")
        time.sleep(2.0)  # what follows the first child belongs to the start
        before = {name: _cost(run) for name, run in runs.items()}
        time.sleep(seconds)
        for name, run in runs.items():
            wakeups, cpu = (after - first for after, first in zip(_cost(run), before[name], strict=True))
            memory = resident_kib(run.supervisors()) / 1024
            table[name] = {"wakeups_per_minute": wakeups * 60 / seconds, "cpu_ms": cpu * MS, "resident_mib": memory}
    finally:
        for run in runs.values():
            run.__exit__()
    return table


def _cost(run: Run) -> tuple[int, int]:
    pids = run.supervisors()
    return sum(procfs.switches(pid) for pid in pids), cpu_ns(pids)
