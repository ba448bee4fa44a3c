"""`python -m tests.bench.lines`: how fast the log is. Nothing is asserted.

Lines are measured from the children's pipe to a pipe that ``cat`` empties, the way they take in the daemon, and in
memory alone; events from ``emit`` to /dev/null. Each figure is the best of several rounds, since the machine is shared.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from supervisor.logs.capture import Capture
from supervisor.logs.journal import Journal
from supervisor.logs.lines import Splitter
from supervisor.logs.output import OutputLines
from supervisor.logs.sink import Sink
from supervisor.logs.structured import FORMATS, make_renderer
from tests.logs.support import turns

ROUNDS = 5
LINE = b'10.0.0.1 - - [10/Oct/2026:13:55:36] "GET /index.html" 200 2326\n'
CHUNK = LINE * (32768 // len(LINE))
CHUNKS = 300


def best(work: Callable[[], None]) -> float:
    """Least processor time of several rounds, seconds."""
    spent = []
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


def in_memory() -> None:
    """Split and render."""
    splitter, lines, seq = Splitter(65536), OutputLines(16384), 0
    for _ in range(CHUNKS):
        seq += lines.render("2026-01-01T00:00:00.000000Z", seq, ("web", 7, "stdout"), splitter.feed(CHUNK))[1]


def to_null() -> None:
    """Split, render, number and write."""
    null = os.open("/dev/null", os.O_WRONLY)
    splitter, journal = Splitter(65536), Journal(Sink(null))
    for _ in range(CHUNKS):
        journal.lines("web", 7, "stdout", splitter.feed(CHUNK))
    os.close(null)


def through_pipes() -> None:
    """From a program's stdout to another program's stdin."""
    program = f"import os\nfor _ in range({CHUNKS}): os.write(1, {CHUNK!r})"
    with turns() as loop, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        sink = Sink(reader.stdin.fileno())
        capture = Capture(Journal(sink), sink)
        sink.attach(loop)
        capture.attach(loop)
        pipe = capture.open("web", "stdout")
        with subprocess.Popen([sys.executable, "-ISc", program], stdout=pipe.write_fd) as writer:
            capture.bind(pipe, 7)
            while pipe.read_fd >= 0 or sink.pending:
                loop.turn(1)
        capture.close()
        sink.close()
        writer.wait()


def events(form: str | None, count: int = 5000) -> Callable[[], None]:
    """Emit events, through structlog or, before it is imported, without."""
    null = os.open("/dev/null", os.O_WRONLY)
    journal = Journal(Sink(null))
    if form is not None:
        journal.use(make_renderer(form, terminal=False), plain=form != "json")
    fields = {"pid": 4242, "comm": "sleep", "exit_code": 0}
    usage = {"user_cpu_s": 0.00123, "system_cpu_s": 0.004, "max_rss_bytes": 1_234_567}

    def work() -> None:
        for _ in range(count):
            journal.emit("info", "orphan_exited", **fields, **usage)

    return work


def main() -> None:
    """Print the figures."""
    total = CHUNKS * CHUNK.count(b"\n")
    for name, work in (("in memory", in_memory), ("to /dev/null", to_null), ("pipe to pipe", through_pipes)):
        sys.stdout.write(f"lines, {name:13} {total / best(work) / 1e6:6.2f} million a second of processor time\n")
    for form in (None, *FORMATS):
        each = best(events(form)) / 5000
        sys.stdout.write(f"event, {form or 'no structlog':13} {each * 1e6:6.1f} microseconds\n")


if __name__ == "__main__":
    main()
