"""The pause container: it holds the namespaces, reaps, and waits. Nothing is configured, so nothing can be wrong.

Kubernetes' ``pause.c`` sets the contract: TERM and INT end it with status 0, it warns but runs when it is not
PID 1, it needs no writable path, no port and no privilege. Beyond it: every orphan's exit, stop and continue is
reported, no signal kills it, and at the end the remaining processes get TERM before the kernel's KILL.

Written without asyncio, structlog and msgspec for the sake of its memory, on the same reaper, signal source, sink
and journal as the daemon.
"""

from __future__ import annotations

import os
import sys

from supervisor import __version__
from supervisor.core.signals import SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, signal_name
from supervisor.core.wait_status import status_fields
from supervisor.logs.journal import Journal
from supervisor.logs.sink import Sink, open_sink
from supervisor.runtime.descendants import Descendants
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.pace import Pace
from supervisor.runtime.poll import PollLoop
from supervisor.runtime.process import (
    become_reaper,
    close_descriptors,
    default_dispositions,
    inherited_descriptors,
    open_standard_streams,
)
from supervisor.runtime.reaper import Reaper
from supervisor.runtime.usage import usage_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from resource import struct_rusage
    from typing import NoReturn

SHUTDOWN_TIMEOUT = 9.0
"""Seconds the remaining processes get; under the ten that container runtimes give us."""

LAST_GRACE = 1.0
"""Seconds from KILL to our end, whatever is left."""

_ENDS = frozenset({SIGTERM, SIGINT, SIGQUIT, 37})  # 37: SIGRTMIN+3, by which systemd stops a container


class Pause:
    """The pause, and its end.

    Args:
        kernel: the seam.
        journal: where records go.
        loop: what wakes us.
        pace: told of looks that found orphans.
        reload: what HUP does; None when nothing is ever configured.
    """

    def __init__(
        self,
        kernel: Kernel,
        journal: Journal,
        loop: PollLoop,
        pace: Pace,
        reload: Callable[[], None] | None = None,
    ) -> None:
        self._kernel = kernel
        self._journal = journal
        self._loop = loop
        self._pace = pace
        self._reload = reload
        self._reaper = Reaper(kernel, self)
        self._descendants = Descendants(kernel, journal)
        self._zombie = ""
        self._reaped = 0
        self._began: float | None = None
        self._killing = False
        self._finished = False
        loop.on_error = self._mistake
        self._killed: list[str] = []

    # -- signals -------------------------------------------------------------------------------------------------

    def signals(self, news: list[tuple[int, int]]) -> None:
        """Signals to us were read, as (number, sender)."""
        for signal, sender in news:
            if self._finished:
                return  # the last record is written
            self._signal(signal, sender)

    def _signal(self, signal: int, sender: int) -> None:
        if signal == SIGCHLD:
            self.reap()
            return
        action = self._action(signal)
        fields: dict[str, object] = {"signal": signal, "signal_name": signal_name(signal), "action": action}
        if sender:
            fields["sender_pid"] = sender
        self._say("info", "signal_received", **fields)
        if action == "shutdown":
            self._shut_down(signal)
        elif action == "kill":
            self._kill()
        elif action == "reload" and self._reload is not None:
            self._reload()

    def _action(self, signal: int) -> str:
        if signal in _ENDS:
            return "shutdown" if self._began is None else "kill"
        return "reload" if signal == SIGHUP and self._reload is not None and self._began is None else "ignore"

    # -- children ------------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Reap whoever is there, in batches, with signals in between."""
        before = self._reaped
        more = self._reaper.run()
        if self._killing and (not more or self._descendants.rested):
            self._descendants.kill()
        if self._began is not None and not self._reaper.has_children():
            self._finish()
        elif more:
            self._loop.call_soon(self.reap)
        elif self._reaped > before:
            self._pace.looked(self._kernel.monotonic())

    def before_reap(self, pid: int, _status: int) -> None:
        """The zombie's name can still be read."""
        self._zombie = self._name(pid) if self._journal.wants("info") else ""

    def exited(self, pid: int, status: int, usage: struct_rusage) -> None:
        """An orphan is gone."""
        self._reaped += 1
        comm, self._zombie = self._zombie, ""
        self._say("info", "orphan_exited", pid=pid, comm=comm, **status_fields(status), **usage_fields(usage))

    def stopped(self, pid: int, signal: int) -> None:
        """An orphan was stopped."""
        self._report("orphan_stopped", pid, signal)

    def continued(self, pid: int, signal: int) -> None:
        """An orphan was continued."""
        self._report("orphan_continued", pid, signal)

    def _report(self, event: str, pid: int, signal: int) -> None:
        self._say("info", event, pid=pid, comm=self._name(pid), signal=signal, signal_name=signal_name(signal))

    # -- the end -------------------------------------------------------------------------------------------------

    # Each step first arranges for the next one: whatever fails in it, the end comes.

    def _shut_down(self, signal: int) -> None:
        self._began = self._kernel.monotonic()
        self._loop.call_later(SHUTDOWN_TIMEOUT, self._kill)
        self._say("info", "shutdown_started", reason=f"signal {signal_name(signal)}")
        self._descendants.terminate(self._kernel.descendants(), SIGTERM)
        if not self._reaper.has_children():
            self._finish()

    def _kill(self) -> None:
        self._killing = True
        self._loop.call_later(LAST_GRACE, self._finish)
        self._killed += self._descendants.kill().values()

    def _finish(self) -> None:
        if self._finished:
            return  # several things can find, in one turn, that nobody is left
        self._finished = True
        self._loop.stop()
        now = self._kernel.monotonic()
        duration = round(now - (self._began if self._began is not None else now), 6)
        level = "warning" if self._killed else "info"
        killed = list(dict.fromkeys(self._killed))
        self._say(level, "shutdown_finished", exit_code=0, duration_s=duration, killed=killed)

    # -- our own mistakes ----------------------------------------------------------------------------------------

    def _name(self, pid: int) -> str:
        try:
            return self._kernel.name(pid)
        except OSError as error:
            self._mistake(error)
            return ""

    def _say(self, level: str, event: str, **fields: object) -> None:
        """Write a record; that it fails must not keep back what it was about."""
        try:
            self._journal.emit(level, event, **fields)
        except Exception as error:  # noqa: BLE001 - PID 1 dies of nothing but its orders
            self._mistake(error)

    def _mistake(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        try:
            self._journal.emit("error", "internal_error", where="pause", error=text)
        except Exception:  # noqa: BLE001 - the journal itself is what fails: the last place to say it is stderr
            _complain(text)


def _complain(text: str) -> None:
    try:
        os.write(2, f"pausevisor: internal error: {text}\n".encode("utf-8", "replace"))
    except OSError:
        return  # and there is nobody to hear it


def main(
    *,
    to: str = "stdout",
    level: str = "info",
    form: str | None = None,
    configured: Callable[[], bool] | None = None,
) -> NoReturn:
    """Pause until told to end; exits with status 0.

    Args:
        to: ``stdout``, ``stderr`` or a path.
        level: least level written.
        form: ``json``, ``logfmt`` or ``console``; None for console on a terminal and json elsewhere.
        configured: asked at HUP whether there is something to run by now; None for the pause command, which pauses
            whatever is configured.

    Raises:
        OSError: the log can't be opened.
    """
    open_standard_streams()
    default_dispositions()
    close_descriptors(inherited_descriptors())
    sink = open_sink(to)
    os.chdir("/")
    kernel, loop = Kernel(), PollLoop()
    journal = _journal(sink, level, form or ("console" if sink.is_terminal else "json"))
    _announce(journal, become_reaper())
    from supervisor.runtime.signals import SignalSource  # noqa: PLC0415 - ctypes, once the first record is out

    signals = SignalSource()
    pause = Pause(kernel, journal, loop, Pace(loop, signals), _reloader(journal, configured))
    sink.attach(loop)
    loop.add_reader(signals.fd, lambda: pause.signals(signals.read()))
    loop.call_soon(pause.reap)
    loop.run()
    sink.flush(1.0)
    os._exit(0)


def _journal(sink: Sink, level: str, form: str) -> Journal:
    journal = Journal(sink, level=level, hold=form != "json")
    if form != "json":
        from supervisor.logs.structured import make_renderer  # noqa: PLC0415 - for people, who have the memory

        journal.use(make_renderer(form, terminal=sink.is_terminal), plain=True)
    return journal


def _announce(journal: Journal, mode: str) -> None:
    python = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"
    started = {"version": __version__, "mode": mode, "loop": "none", "python": python, "pid": os.getpid()}
    journal.emit("info", "supervisor_started", **started, services=0)
    if mode != "pid1":
        message = "pause should be the first process; it reaps the orphans below itself only"
        journal.emit("warning", "supervisor_warning", message=message)
    journal.emit("info", "pause_entered", reason="no service is configured")


def _reloader(journal: Journal, configured: Callable[[], bool] | None) -> Callable[[], None] | None:
    """At HUP, become the daemon if there is something to run by now: the same process, its orphans with it."""
    if configured is None:
        return None

    def reload() -> None:
        if not configured():
            return
        journal.emit("info", "config_loaded", sources=[])
        os.execv(sys.executable, sys.orig_argv)

    return reload
