"""Which probe is armed for which service, and what becomes of its results.

What is armed follows from the state: readiness is asked for while a service is starting, health while it is running,
and nothing of one that is frozen. Only its lines are read on: they were written before.
"""

from __future__ import annotations

from supervisor.core import events as ev
from supervisor.core.probes import describe
from supervisor.core.record import Record
from supervisor.core.spec import (
    CommandProbe,
    FdProbe,
    FileProbe,
    Health,
    HttpProbe,
    LogProbe,
    NotifyProbe,
    Ready,
    TcpProbe,
)
from supervisor.core.states import State
from supervisor.runtime.watching.local import CommandChecker, FileChecker, LineListener
from supervisor.runtime.watching.rounds import Rounds, Verdicts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from supervisor.core.service import Service
    from supervisor.core.spec import Probe, ServiceSpec
    from supervisor.runtime.ports import WatchLoop
    from supervisor.runtime.watches import Neighbours
    from supervisor.runtime.watching.rounds import Checker

    class Armed(Protocol):
        """Something that finds out about one process."""

        def start(self) -> None:
            """Begin."""

        def stop(self) -> None:
            """End, and tell nothing any more."""


FIRST_WAIT = 0.01
"""Seconds until the first try for readiness; the waits double up to the interval, for most services are quick."""

JITTER = 0.1
"""Part of a health probe's interval by which it varies, to either side, so that a thousand don't fire at once."""


class Wanted(Record):
    """What is to be armed for a service; it is armed anew whenever this changes."""

    settings: Ready | Health
    pid: int


class Probing:
    """All armed probes, by the name of the service."""

    def __init__(self, neighbours: Neighbours, loop: WatchLoop) -> None:
        self._out = neighbours
        self._loop = loop
        self._armed: dict[str, tuple[Wanted, Armed]] = {}

    def follow(self, name: str, spec: ServiceSpec | None, service: Service | None) -> None:
        """Arm and disarm what this state asks for."""
        wanted = None if spec is None or service is None else _wanted(spec, service)
        armed = self._armed.get(name)
        if armed is not None:
            if armed[0] == wanted:
                return
            del self._armed[name]
            armed[1].stop()
        if wanted is not None and spec is not None:
            watcher = self._watcher(spec, wanted)
            self._armed[name] = (wanted, watcher)
            watcher.start()

    def _watcher(self, spec: ServiceSpec, wanted: Wanted) -> Armed:
        settings = wanted.settings
        if isinstance(settings, Health):
            return HealthWatch(self._out, self._loop, spec, settings, wanted.pid)
        if isinstance(settings.probe, LogProbe):
            return LogWatch(self._out, self._loop, spec, settings.probe, wanted.pid)
        return ReadinessWatch(self._out, self._loop, spec, settings, wanted.pid)


def _wanted(spec: ServiceSpec, service: Service) -> Wanted | None:
    settings = {State.STARTING: spec.ready, State.RUNNING: spec.health}.get(service.state)
    if service.pid is None or settings is None or isinstance(settings.probe, NotifyProbe | FdProbe):
        return None  # those two come by a channel
    if service.frozen and not isinstance(settings.probe, LogProbe):
        return None  # it can't answer, and a command would have to run in its control group
    return Wanted(settings, service.pid)


def make_checker(neighbours: Neighbours, loop: WatchLoop, spec: ServiceSpec, probe: Probe) -> Checker:
    """What tries a probe.

    Raises:
        TypeError: it is not one that is tried, but one that is waited for.
    """
    match probe:
        case TcpProbe():
            from supervisor.runtime.watching.net import TcpChecker  # noqa: PLC0415 - few services need it

            return TcpChecker(loop, probe.host, probe.port)
        case HttpProbe():
            from supervisor.runtime.watching.net import HttpChecker  # noqa: PLC0415 - few services need it

            return HttpChecker(loop, probe.host, probe.port, probe.path)
        case CommandProbe():
            return CommandChecker(neighbours, spec, probe.command)
        case FileProbe():
            return FileChecker(probe.path)
        case _:
            raise TypeError(f"{type(probe).__name__} can't be tried")


class _Watch:
    """What the watches by tries have in common."""

    def __init__(
        self, neighbours: Neighbours, loop: WatchLoop, spec: ServiceSpec, settings: Ready | Health, pid: int
    ) -> None:
        self._out = neighbours
        self._name = spec.name
        self._pid = pid
        self._interval = settings.interval
        self._probe = describe(settings.probe)
        self._shortage = ""
        verdicts = Verdicts(self._well, self._wrong, self._unable, self._broken)
        checker = make_checker(neighbours, loop, spec, settings.probe)
        self._rounds = Rounds(loop, checker, settings.timeout, self._wait, verdicts)

    def start(self) -> None:
        """Begin; see :class:`Armed`."""
        self._rounds.start()

    def stop(self) -> None:
        """End; see :class:`Armed`."""
        self._rounds.stop()

    def _wait(self, count: int) -> float:
        raise NotImplementedError

    def _well(self) -> None:
        raise NotImplementedError

    def _wrong(self, error: str) -> None:
        raise NotImplementedError

    def _unable(self, error: str) -> None:
        """Say once what keeps us from trying; that is no failure of the service."""
        if error != self._shortage:
            self._shortage = error
            message = f"{self._probe} can't be probed ({error}); it is tried again"
            self._out.journal.emit("warning", "supervisor_warning", service=self._name, message=message)

    def _broken(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        self._out.journal.emit("error", "internal_error", where=f"probe {self._probe} of {self._name}", error=text)


class HealthWatch(_Watch):
    """Asks at intervals how a running service is; how many failures are too many is the core's to say."""

    def _wait(self, count: int) -> float:
        # not a checksum: those of texts that differ in a digit differ alike, and the sums of several waits would meet
        part = (hash((self._name, self._pid, count)) & 0xFFFFFFFF) / 0xFFFFFFFF
        return self._interval * (1 - JITTER + 2 * JITTER * part)

    def _well(self) -> None:
        self._shortage = ""
        self._out.handle(ev.ProbeSucceeded(self._name, self._pid))

    def _wrong(self, error: str) -> None:
        self._shortage = ""
        self._out.handle(ev.ProbeFailed(self._name, self._pid, self._probe, error))


class ReadinessWatch(_Watch):
    """Asks a starting service until it is ready.

    That a try fails is no event, for a service that starts is not ready yet. What keeps it is told when it is another
    error than before, once the tries are an interval apart: those before are quick, and most services are not.
    """

    _failures = 0
    _told = ""
    _error = ""

    def stop(self) -> None:
        """End; whoever waited for it finds in the log what was wrong last."""
        self._rounds.stop()
        self._tell("info")

    def _wait(self, count: int) -> float:
        return min(FIRST_WAIT * 2.0 ** min(count, 64), self._interval)

    def _well(self) -> None:
        self._error = ""
        self._out.handle(ev.BecameReady(self._name, self._pid))

    def _wrong(self, error: str) -> None:
        self._failures += 1
        self._error = error
        self._tell("info" if self._wait(self._failures) >= self._interval else "debug")

    def _tell(self, level: str) -> None:
        if not self._error:
            return
        if self._error == self._told:
            level = "debug"
        if level != "debug":
            self._told = self._error
        self._out.journal.emit(
            level,
            "probe_failed",
            service=self._name,
            pid=self._pid,
            probe=self._probe,
            kind="ready",
            error=self._error,
            failures=self._failures,
        )


class LogWatch:
    """Waits for a line of the service's output."""

    def __init__(self, neighbours: Neighbours, loop: WatchLoop, spec: ServiceSpec, probe: LogProbe, pid: int) -> None:
        self._out = neighbours
        self._name = spec.name
        self._pid = pid
        self._listener = LineListener(neighbours, loop, spec.name, probe.pattern)

    def start(self) -> None:
        """Begin; see :class:`Armed`."""
        self._listener.start(self._found)

    def stop(self) -> None:
        """End; see :class:`Armed`."""
        self._listener.stop()

    def _found(self) -> None:
        self._out.handle(ev.BecameReady(self._name, self._pid))
