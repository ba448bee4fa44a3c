"""`python -m tests.bench.lines`: how fast the log is. Nothing is asserted.

Lines are measured from the children's pipe to a pipe that ``cat`` empties, the way they take in the daemon, by what
becomes of them, and in memory alone; whole programs are compared by `python -m tests.bench lines`. Events from ``emit``
to /dev/null. Each figure is the best of several rounds, since the machine is shared.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from supervisor.core.spec import Ansi, JsonLines, LineLevels, ServiceLog
from supervisor.logs.capture import Capture
from supervisor.logs.journal import Journal
from supervisor.logs.lines import Splitter
from supervisor.logs.output import OutputLines
from supervisor.logs.sink import Sink
from supervisor.logs.structured import FORMATS, make_renderer
from tests.bench.loggers import JSON, PLAIN
from tests.logs.support import turns

ROUNDS = 7
CHUNKS = 100
TRACE = b"2026-10-10 13:55:36,123 - app.web - ERROR - no\n" + b'  File "/app/web.py", line 12, in handler\n' * 4
PINO = b'{"level":30,"time":1531171074631,"pid":657,"hostname":"web-1","msg":"hello world","n":[1,{"a":"b"}]}\n'
_MERGE = ServiceLog(json=JsonLines.MERGE)

KINDS: dict[str, tuple[bytes, ServiceLog, dict[str, object]]] = {
    "plain": (PLAIN, ServiceLog(), {}),
    "JSON as text": (JSON, ServiceLog(), {}),
    "JSON merged": (JSON, _MERGE, {}),
    "JSON of pino merged": (PINO, _MERGE, {}),
    "JSON embedded": (JSON, ServiceLog(json=JsonLines.EMBED), {}),
    "JSON merged, one line in ten plain": (JSON * 9 + PLAIN, _MERGE, {}),
    "plain, level guessed": (PLAIN, ServiceLog(level=LineLevels(guess=True)), {}),
    "plain, escapes stripped": (b"\x1b[32mINFO\x1b[0m " + PLAIN, ServiceLog(ansi=Ansi.STRIP), {}),
    "plain, joined by a pattern": (PLAIN, ServiceLog(multiline=r"^\S"), {}),
    "stack traces, joined by a pattern": (TRACE, ServiceLog(multiline=r"^\S"), {}),
    "plain, rules of python": (PLAIN, ServiceLog(multiline="python"), {}),
    "plain, one secret": (PLAIN, ServiceLog(), {"secrets": ["xK9/aa+secret"]}),
    "plain, ten secrets": (PLAIN, ServiceLog(), {"secrets": [f"xK9secret{number}" for number in range(10)]}),
    "plain, two patterns": (PLAIN, ServiceLog(), {"patterns": [r"token=\S+", r"(?i)bearer \S+"]}),
}
"""What is measured from pipe to pipe: a line, what becomes of it, and what is taken out of it."""


def best(work: Callable[[], None]) -> float:
    """Least processor time of several rounds, seconds."""
    spent = []
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


def in_memory(line: bytes, log: ServiceLog) -> Callable[[], None]:
    """Split and render."""
    chunk = line * (32768 // len(line))

    def work() -> None:
        splitter, lines, seq = Splitter(65536), OutputLines(16384), 0
        for _ in range(CHUNKS):
            stamp = "2026-01-01T00:00:00.000000Z"
            seq += lines.render(stamp, seq, ("web", 7, "stdout"), splitter.feed(chunk), log)[1]

    return work


def through_pipes(line: bytes, log: ServiceLog, hidden: dict[str, object]) -> Callable[[], None]:
    """From a program's stdout to another program's stdin."""
    program = f"import os\nfor _ in range({CHUNKS}): os.write(1, {line * (32768 // len(line))!r})"

    def work() -> None:
        with turns() as loop, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
            assert reader.stdin is not None
            sink = Sink(reader.stdin.fileno())
            journal = Journal(sink)
            if "patterns" in hidden:
                journal.redact(hidden["patterns"])  # type: ignore[arg-type]
            for secret in hidden.get("secrets", ()):  # type: ignore[attr-defined]
                journal.add_secret(secret, "web")
            capture = Capture(journal, sink)
            sink.attach(loop)
            capture.attach(loop)
            pipe = capture.open("web", "stdout", log)
            with subprocess.Popen([sys.executable, "-ISc", program], stdout=pipe.write_fd) as writer:
                capture.bind(pipe, 7)
                while pipe.read_fd >= 0 or sink.pending:
                    loop.turn(1)
            capture.close()
            sink.close()
            writer.wait()

    return work


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

    def tell(name: str, a_second: float) -> None:
        sys.stdout.write(f"{name:48} {a_second / 1e6:6.2f} million lines a second of processor time\n")

    for name in ("plain", "JSON merged"):
        line, log, _ = KINDS[name]
        count = CHUNKS * (line * (32768 // len(line))).count(b"\n")
        tell(f"in memory: {name}", count / best(in_memory(line, log)))
    for name, (line, log, hidden) in KINDS.items():
        count = CHUNKS * (line * (32768 // len(line))).count(b"\n")
        tell(f"pipe to pipe: {name}", count / best(through_pipes(line, log, hidden)))
    for form in (None, *FORMATS):
        each = best(events(form)) / 5000
        sys.stdout.write(f"event, {form or 'no structlog':13} {each * 1e6:6.1f} microseconds\n")


if __name__ == "__main__":
    main()
