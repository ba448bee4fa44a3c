"""What the pause mode uses of this room costs next to nothing."""

import subprocess
import sys

from tests.helpers.patience import PATIENCE

_PROGRAM = """
import sys
before = set(sys.modules)
from supervisor.logs.journal import Journal
from supervisor.logs.sink import Sink
sink = Sink(1)
journal = Journal(sink)
journal.emit("info", "orphan_exited", pid=1, comm="x", exit_code=0, user_cpu_s=0.5)
sink.flush()
sys.stderr.write(" ".join(sorted(set(sys.modules) - before)))
"""

_ALLOWED = {
    "__future__",
    "errno",
    "select",
    "supervisor",
    "supervisor.logs",
    "supervisor.logs.backlog",
    "supervisor.logs.encode",
    "supervisor.logs.journal",
    "supervisor.logs.outlet",
    "supervisor.logs.sink",
}


def test_an_event_needs_no_other_module() -> None:
    """Writing events imports five small modules and nothing of the standard library that weighs."""
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert set(ran.stderr.split()) <= _ALLOWED
    assert '"event":"orphan_exited"' in ran.stdout
