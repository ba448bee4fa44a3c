"""A thousand services at once: what their start costs, what is kept for them, and how fast TERM goes round."""

import os
import signal
import tempfile
import time

from tests.bench.forms import MS, Lab, Row, Table
from tests.bench.lab import MissingError, Run, cpu_ns, resident_kib
from tests.bench.peers import image_start
from tests.helpers import procfs, settings

SERVICES = 1_000
"""How many; what the budgets speak of."""


def thousand(lab: Lab, seconds: float = 5.0) -> Table:
    """CPU until all are up, memory and wake-ups then, and the way down: TERM to the last handler, and to the end."""
    return {f"pausevisor, output to {output}": _thousand(lab, output, seconds) for output in ("null", "log")}


def _thousand(lab: Lab, output: str, seconds: float) -> Row:
    path = os.path.join(tempfile.mkdtemp(dir=lab.folder), "pausevisor.toml")
    with open(path, "w", encoding="utf-8") as file:
        names = (f"child-{number}" for number in range(SERVICES))
        file.writelines(settings.service(name, lab.helper, stdout=output, stderr=output) for name in names)
    with lab.run([image_start(lab.folder), "run", "-c", path]) as run:
        run.word("exec")
        for _ in range(SERVICES):
            run.word("start")
        run.settle()
        row: Row = {"up_cpu_ms": cpu_ns([run.pid1]) * MS, "resident_mib": resident_kib([run.pid1]) / 1024}
        before = procfs.switches(run.pid1)
        time.sleep(seconds)
        row["wakeups_per_minute"] = (procfs.switches(run.pid1) - before) * 60 / seconds
        return row | _down(run)


def _down(run: Run) -> Row:
    began = run.signal(signal.SIGTERM)
    last = max(run.word("term") for _ in range(SERVICES))
    if not run.ends(20):
        raise MissingError("the end of a thousand services")
    return {"term_last_ms": (last - began) * MS, "down_ms": (time.monotonic_ns() - began) * MS}
