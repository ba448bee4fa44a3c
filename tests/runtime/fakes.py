"""A small world for the shell: processes, a clock, a loop and a journal that do only what a test tells them.

The fake kernel knows its processes as the real one does: a zombie stays until it is reaped, orphans go to us, a
signal to a group reaches its members. What no test expects (a wait for what is no zombie, a signal to everybody)
raises, and is remembered in ``unexpected`` too, because the driver outlives what is raised.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from heapq import heappop, heappush
from resource import struct_rusage
from typing import Any

from supervisor.core.service import Service
from supervisor.core.signals import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from supervisor.core.spec import ServiceSpec
from supervisor.runtime.kernel import CLD_CONTINUED, CLD_EXITED, CLD_STOPPED, Kernel, Stat
from supervisor.runtime.lineage import VARIABLE

OWN = 1
"""Our own pid in the small world."""

LEVELS = ["debug", "info", "warning", "error", "critical"]

CLD_KILLED = 2
CLD_DUMPED = 3
NO_USAGE = struct_rusage((0.25, 0.125, 2048, *([0] * 13)))


class UnexpectedCallError(Exception):
    """The code under test did what no test expects of it."""


class Failpoints:
    """Places at which a failure can be made to happen, once.

    Attributes:
        passed: how often each place was passed.
    """

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.hit = False
        self._at: tuple[str, int] | None = None
        self._error: Exception = RuntimeError("injected")

    def arm(self, where: str, number: int, error: Exception) -> None:
        """Raise the error at the ``number``-th passage, counted from 1, of a place."""
        self._at = (where, number)
        self._error = error

    def pass_by(self, where: str) -> None:
        """The code has come to this place."""
        self.passed[where] += 1
        if self._at == (where, self.passed[where]):
            self.hit = True
            raise self._error


class FakeClock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now


class Process:
    """One process of the small world.

    Attributes:
        obeys: signals that end it, beside KILL.
        pending: signals that it was sent.
        news: what its parent may wait for, as (si_code, si_status).
        status: wait status once it is dead.
        environment: what /proc would show of it.
        users: its user ids.
    """

    def __init__(self, pid: int, parent: int, comm: str) -> None:
        self.pid = pid
        self.parent = parent
        self.pgrp = pid
        self.session = pid
        self.comm = comm
        self.state = "S"
        self.obeys = {SIGTERM}
        self.pending: set[int] = set()
        self.news: deque[tuple[int, int]] = deque()
        self.status: int | None = None
        self.environment: dict[str, str] = {}
        self.users = frozenset({0})


class FakeGroups:
    """The control groups of the small world: who is in which, and what was done to them.

    Attributes:
        inside: processes by service.
        calls: what was called, in order.
    """

    def __init__(self, kernel: "FakeKernel", failpoints: Failpoints | None = None) -> None:
        self.kernel = kernel
        self.failpoints = failpoints or Failpoints()
        self.inside: dict[str, list[int]] = {}
        self.calls: list[str] = []

    def enter(self, spec: ServiceSpec) -> int | None:
        """Launchers enter; here there is none."""
        raise UnexpectedCallError(f"enter {spec.name}")

    def members(self, name: str) -> list[int]:
        """Those that live."""
        self.failpoints.pass_by("members")
        return [pid for pid in self.inside.get(name, ()) if pid in self.kernel.alive()]

    def owner(self, pid: int) -> str | None:
        """By our own list."""
        self.failpoints.pass_by("owner")
        return next((name for name, pids in self.inside.items() if pid in pids), None)

    def kill(self, name: str) -> bool:
        """All of them die."""
        self.failpoints.pass_by("kill_control_group")
        self.calls.append(f"kill {name}")
        for pid in self.members(name):
            self.kernel.dies(pid, SIGKILL)
        return name in self.inside

    def freeze(self, name: str) -> None:
        """Remember; only those that have a group can be frozen."""
        self.failpoints.pass_by("freeze")
        self.calls.append(f"freeze {name}")
        if name not in self.inside:
            raise LookupError(name)

    def thaw(self, name: str) -> None:
        """Remember."""
        self.failpoints.pass_by("thaw")
        self.calls.append(f"thaw {name}")

    def oom_counter(self, name: str) -> str | None:
        """There is none to read."""
        self.failpoints.pass_by("oom_counter")
        self.calls.append(f"counter {name}")
        return None

    def left(self, name: str) -> None:
        """Remember."""
        self.failpoints.pass_by("left")
        self.calls.append(f"left {name}")

    def tidy(self) -> None:
        """There is nothing to remove."""
        self.failpoints.pass_by("tidy")

    def close(self) -> None:
        """The launcher's to call."""
        raise UnexpectedCallError("close")


class FakeKernel(Kernel):
    """The kernel of the small world; every public method of the real one is replaced.

    Attributes:
        sent: signals that were sent, as (pid, signal), one by one for a group too.
        trace: what happened in which order; others may add to it.
        on_death: called with the pid of each process that dies.
    """

    def __init__(self, clock: FakeClock, failpoints: Failpoints | None = None) -> None:
        self.clock = clock
        self.failpoints = failpoints or Failpoints()
        self.processes: dict[int, Process] = {}
        self.sent: list[tuple[int, int]] = []
        self.trace: list[tuple[str, int]] = []
        self.unexpected: list[str] = []
        self.on_death: Callable[[int], None] = lambda _pid: None
        self._next_pid = 100

    # What tests do

    def add(self, comm: str, parent: int = OWN, *, pid: int | None = None, **changes: Any) -> Process:
        """A new process, which leads its own group and session unless ``changes`` say otherwise."""
        if pid is None:
            self._next_pid += 1
            pid = self._next_pid
        process = Process(pid, parent, comm)
        for key, value in changes.items():
            setattr(process, key, value)
        self.processes[pid] = process
        return process

    def exits(self, pid: int, code: int = 0) -> None:
        """A process ends by itself."""
        self._die(self.processes[pid], code << 8, CLD_EXITED, code)

    def dies(self, pid: int, signal: int, *, core: bool = False) -> None:
        """A process is ended by a signal from elsewhere."""
        self._die(self.processes[pid], signal | (0x80 if core else 0), CLD_DUMPED if core else CLD_KILLED, signal)

    def stops(self, pid: int, signal: int) -> None:
        """A process is stopped."""
        self.processes[pid].state = "T"
        self.processes[pid].news.append((CLD_STOPPED, signal))

    def continues(self, pid: int) -> None:
        """A process is continued."""
        self.processes[pid].state = "S"
        self.processes[pid].news.append((CLD_CONTINUED, SIGCONT))

    def alive(self) -> list[int]:
        """Pids of those that live."""
        return [pid for pid, process in self.processes.items() if process.state != "Z"]

    def _die(self, process: Process, status: int, code: int, value: int) -> None:
        process.state, process.status = "Z", status
        process.news = deque([(code, value)])
        for child in [other for other in self.processes.values() if other.parent == process.pid]:
            child.parent = OWN
        if process.parent != OWN:
            del self.processes[process.pid]  # its parent waits for it
        self.on_death(process.pid)

    def _refuse(self, what: str) -> UnexpectedCallError:
        self.unexpected.append(what)
        return UnexpectedCallError(what)

    # The seam

    def monotonic(self) -> float:
        """The fake clock's time."""
        self.failpoints.pass_by("monotonic")
        return self.clock.now

    def own_pid(self) -> int:
        """The tests' daemon is PID 1."""
        self.failpoints.pass_by("own_pid")
        return OWN

    def peek(self) -> tuple[int, int, int] | None:
        """The first of our children with news."""
        self.failpoints.pass_by("peek")
        ours = [process for process in self.processes.values() if process.parent == OWN]
        if not ours:
            raise ChildProcessError
        return next(((process.pid, *process.news[0]) for process in ours if process.news), None)

    def reap(self, pid: int) -> tuple[int, struct_rusage]:
        """Consume a zombie; anything else is a mistake."""
        self.failpoints.pass_by("reap")
        process = self.processes.get(pid)
        if process is None or process.status is None or process.parent != OWN:
            raise self._refuse(f"reap of {pid}, which is no zombie of ours")
        del self.processes[pid]
        self.trace.append(("reap", pid))
        return process.status, NO_USAGE

    def consume_stop(self, pid: int) -> None:
        """Consume a stop or continue; without one it is a mistake."""
        self.failpoints.pass_by("consume_stop")
        process = self.processes.get(pid)
        if process is None or not process.news:
            raise self._refuse(f"consume_stop of {pid}, which has no news")
        process.news.popleft()
        self.trace.append(("consume_stop", pid))

    def kill(self, pid: int, signal: int) -> None:
        """Signal one process; a group or everybody is a mistake."""
        self.failpoints.pass_by("kill")
        if pid <= OWN:
            raise self._refuse(f"kill({pid}, {signal})")
        if pid not in self.processes:
            raise ProcessLookupError(3, "No such process")
        self._deliver(self.processes[pid], signal)

    def kill_group(self, pgrp: int, signal: int) -> None:
        """Signal a group; its zombies count as members."""
        self.failpoints.pass_by("kill_group")
        if pgrp <= OWN:
            raise self._refuse(f"kill_group({pgrp}, {signal})")
        members = [process for process in self.processes.values() if process.pgrp == pgrp]
        if not members:
            raise ProcessLookupError(3, "No such process")
        for process in members:
            self._deliver(process, signal)

    def _deliver(self, process: Process, signal: int) -> None:
        self.sent.append((process.pid, signal))
        if process.state == "Z":
            return
        if signal == SIGCONT and process.state == "T":
            self.continues(process.pid)
        elif signal == SIGSTOP:
            self.stops(process.pid, signal)
        else:
            process.pending.add(signal)
        # a stopped process sees nothing but KILL until it is continued
        seen = {SIGKILL} if process.state == "T" else {SIGKILL, *process.obeys}
        for deadly in process.pending & seen:
            self.dies(process.pid, deadly)
            return

    def stat(self, pid: int) -> Stat | None:
        """What /proc would say."""
        self.failpoints.pass_by("stat")
        process = self.processes.get(pid)
        if process is None:
            return None
        return Stat(process.comm, process.state, process.parent, process.pgrp, process.session)

    def ties(self, pid: int) -> tuple[int, int] | None:
        """Of a zombie too."""
        self.failpoints.pass_by("ties")
        process = self.processes.get(pid)
        return None if process is None else (process.session, process.pgrp)

    def name(self, pid: int) -> str:
        """Of a zombie too."""
        self.failpoints.pass_by("name")
        process = self.processes.get(pid)
        return "" if process is None else process.comm

    def environment(self, pid: int, name: str) -> str | None:
        """Of a living process only, as with the real one."""
        self.failpoints.pass_by("environment")
        process = self.processes.get(pid)
        return None if process is None or process.state == "Z" else process.environment.get(name)

    def users(self, pid: int) -> frozenset[int]:
        """Of a zombie too."""
        self.failpoints.pass_by("users")
        process = self.processes.get(pid)
        return frozenset() if process is None else process.users

    def children(self, pid: int) -> list[int]:
        """Those whose parent it is."""
        self.failpoints.pass_by("children")
        return [process.pid for process in self.processes.values() if process.parent == pid]

    def walk_children(self, pid: int) -> Iterator[list[int]]:
        """Ten at a time, of those that are there by then."""
        pids = self.children(pid)
        for start in range(0, len(pids), 10):
            yield [child for child in pids[start : start + 10] if child in self.processes]

    def descendants(self) -> list[int]:
        """All below us."""
        self.failpoints.pass_by("descendants")
        found = self.children(OWN)
        for pid in found:
            found += self.children(pid)
        return found


class Recorder:
    """A journal that keeps its records.

    Attributes:
        least: the level from which on it wants records.
    """

    def __init__(self, failpoints: Failpoints | None = None) -> None:
        self.records: list[dict[str, Any]] = []
        self.least = "debug"
        self._failpoints = failpoints or Failpoints()

    def wants(self, level: str) -> bool:
        """Whether a record of this level would be kept."""
        return LEVELS.index(level) >= LEVELS.index(self.least)

    def emit(self, level: str, event: str, /, **fields: object) -> None:
        """Keep one record."""
        self._failpoints.pass_by("emit")
        if self.wants(level):
            self.records.append({"level": level, "event": event, **fields})

    def batch(self) -> AbstractContextManager[None]:
        """Records are kept one by one here."""
        return nullcontext()

    def events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Records of one kind with these fields."""
        wanted = {"event": event, **fields}
        return [record for record in self.records if wanted.items() <= record.items()]


class Timer:
    """A call that is due at some time."""

    def __init__(self, at: float, call: Callable[[], Any]) -> None:
        self.at = at
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """Call it off."""
        self.cancelled = True


class FakeLoop:
    """An event loop whose turns the test takes; like the real ones it outlives what a callback raises.

    Attributes:
        errors: what callbacks raised.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.errors: list[BaseException] = []
        self._soon: deque[Callable[[], Any]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._readers: dict[int, Callable[[], Any]] = {}
        self._readable: Callable[[int], bool] = lambda _fd: False
        self._count = 0

    def readable_when(self, readable: Callable[[int], bool]) -> None:
        """Who is asked whether a descriptor is readable."""
        self._readable = readable

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Timer:
        """Queue for the next turn."""
        self._soon.append(lambda: callback(*args))
        return Timer(self.clock.now, callback)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Queue for later."""
        assert delay >= 0
        timer = Timer(self.clock.now + delay, lambda: callback(*args))
        self._count += 1
        heappush(self._timers, (timer.at, self._count, timer))
        return timer

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: Any) -> None:
        """Watch a descriptor."""
        self._readers[fd] = lambda: callback(*args)

    def pending_timers(self) -> list[float]:
        """When the timers that are not called off are due."""
        return sorted(at for at, _, timer in self._timers if not timer.cancelled)

    def turn(self) -> bool:
        """One turn: readers, due timers, then what was queued before; whether there was anything to do."""
        calls = [callback for fd, callback in self._readers.items() if self._readable(fd)]
        while self._timers and self._timers[0][0] <= self.clock.now:
            timer = heappop(self._timers)[2]
            if not timer.cancelled:
                calls.append(timer.call)
        calls += self._soon
        self._soon.clear()
        for call in calls:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - as the real loops: told to the exception handler
                self.errors.append(error)
        return bool(calls)

    def settle(self, turns: int = 200) -> None:
        """Take turns until there is nothing to do now."""
        for _ in range(turns):
            if not self.turn():
                return
        raise AssertionError(f"still busy after {turns} turns")

    def advance(self, seconds: float) -> None:
        """Let time pass, from timer to timer."""
        end = self.clock.now + seconds
        self.settle()
        while (pending := self.pending_timers()) and pending[0] <= end:
            self.clock.now = max(self.clock.now, pending[0])
            self.settle()
        self.clock.now = end
        self.settle()


class FakeSignals:
    """Signals to the daemon that the test sends."""

    fd = 77

    def __init__(self, failpoints: Failpoints | None = None) -> None:
        self.pending: list[tuple[int, int]] = []
        self.held_back: frozenset[int] = frozenset()
        self._failpoints = failpoints or Failpoints()

    def read(self) -> list[tuple[int, int]]:
        """All that are pending."""
        self._failpoints.pass_by("signals.read")
        news = [(signal, sender) for signal, sender in self.pending if signal not in self.held_back]
        self.pending = [(signal, sender) for signal, sender in self.pending if signal in self.held_back]
        return news

    @property
    def readable(self) -> bool:
        """Whether there is something to read."""
        return any(signal not in self.held_back for signal, _ in self.pending)

    def hold_back(self, *signals: int) -> None:
        """Leave these pending."""
        self._failpoints.pass_by("signals.hold_back")
        self.held_back = frozenset(signals)


class FakeLauncher:
    """Starts processes of the small world.

    Attributes:
        outcomes: by service, what is raised instead of starting, one start after the other.
        tails: by pid, the last lines of its output.
        obeys: by service, the signals that end its process.
    """

    def __init__(self, kernel: FakeKernel, failpoints: Failpoints | None = None) -> None:
        self.outcomes: dict[str, deque[Exception | None]] = {}
        self.tails: dict[int, list[str]] = {}
        self.obeys: dict[str, set[int]] = {}
        self.launched: list[str] = []
        self.changed: list[ServiceSpec] = []
        self._kernel = kernel
        self._failpoints = failpoints or Failpoints()

    def fails(self, service: str, errors: Iterable[Exception | None]) -> None:
        """The next starts of a service fail so; None for one that does not."""
        self.outcomes[service] = deque(errors)

    def launch(self, spec: ServiceSpec) -> int:
        """Start, or raise what the test ordered."""
        self._failpoints.pass_by("launch")
        self.launched.append(spec.name)
        outcomes = self.outcomes.get(spec.name)
        error = outcomes.popleft() if outcomes else None
        if error is not None:
            raise error
        process = self._kernel.add(spec.command[0], environment={VARIABLE: spec.name})
        process.obeys = self.obeys.get(spec.name, {SIGTERM})
        return process.pid

    def last_words(self, pid: int) -> list[str]:
        """Remember when it was asked for."""
        self._failpoints.pass_by("last_words")
        self._kernel.trace.append(("last_words", pid))
        return self.tails.get(pid, [])

    def change_output(self, specs: Sequence[ServiceSpec]) -> None:
        """Remember what."""
        self.changed += specs

    def close_output(self) -> None:
        """Remember when it was asked for."""
        self._failpoints.pass_by("close_output")
        self._kernel.trace.append(("close_output", 0))


class FakeManager:
    """A service manager that remembers what it was told."""

    def __init__(self, failpoints: Failpoints | None = None) -> None:
        self.told: list[str] = []
        self.refuses: OSError | None = None
        self._failpoints = failpoints or Failpoints()

    def tell(self, message: str) -> None:
        """Remember, or refuse."""
        self._failpoints.pass_by("tell")
        if self.refuses is not None:
            raise self.refuses
        self.told.append(message)


class FakeWatches:
    """Watches that find nothing out, and remember what they are shown.

    Attributes:
        shown: names and states, None for a service that is gone.
        on_hear: what a service's last words lead to, by its name.
    """

    def __init__(self, failpoints: Failpoints | None = None) -> None:
        self.shown: list[tuple[str, str | None]] = []
        self.on_hear: dict[str, Callable[[], object]] = {}
        self._failpoints = failpoints or Failpoints()

    def prepare(self, spec: ServiceSpec) -> tuple[dict[str, str], dict[int, int]]:
        """Nothing is needed."""
        self._failpoints.pass_by("prepare")
        return {spec.name: ""}, {}

    def discard(self, spec: ServiceSpec) -> None:
        """Nothing was made."""

    def started(self, spec: ServiceSpec, pid: int) -> None:
        """Nothing was made."""

    def follow(self, name: str, spec: ServiceSpec | None, service: Service | None) -> None:
        """Remember."""
        self._failpoints.pass_by("follow")
        assert (spec is None) is (service is None)
        self.shown.append((name, None if service is None else service.state.value))

    def hear(self, name: str) -> None:
        """Do what the test wants."""
        self._failpoints.pass_by("hear")
        self.on_hear.pop(name, lambda: None)()
