"""The table of our processes, and what is reported of each child and orphan.

It is the reaper's observer: every news of a child becomes a record, and of a service's main process an event too.
"""

from __future__ import annotations

from supervisor.core import events as ev
from supervisor.core.fleet import Fleet
from supervisor.core.record import replace
from supervisor.core.service import clears_group, is_expected
from supervisor.core.signals import SIGCONT, SIGKILL, SIGTERM, signal_name
from supervisor.core.spec import StopScope
from supervisor.core.states import State
from supervisor.core.wait_status import status_fields, term_signal
from supervisor.runtime.counts import Counts
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.lineage import Lineage
from supervisor.runtime.oom import OomWatch
from supervisor.runtime.orphans import Orphans
from supervisor.runtime.usage import usage_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from resource import struct_rusage

    from supervisor.core.service import Service
    from supervisor.core.spec import ServiceSpec
    from supervisor.runtime.ports import Groups, Journal


class Child:
    """A service's main process, from spawn to reap.

    Attributes:
        spawned: the process that we started, and that was given the pipes; not the main one when that was changed.
        group: the process group to signal; None when it has none that is not ours as well.
    """

    __slots__ = ("group", "killed_by_us", "service", "spawned", "started_at")

    def __init__(self, service: str, pid: int, started_at: float) -> None:
        self.service = service
        self.spawned = pid
        self.group: int | None = pid
        self.started_at = started_at
        self.killed_by_us = False


class Children:
    """Which pid is whose.

    Args:
        fleet: to look up specs and states; it is changed only by the events handed to ``handle``.
        kernel: the seam.
        journal: where records go.
        handle: applies an event at once.
        last_words: writes out what a dead process had written, by pid, and returns its last lines.
        stopped: told that a service's process group was stopped by a signal.

    Attributes:
        groups: the services' control groups, where there may be some.
        orphans: what is told of those that are nobody's.
        counts: how many have ended, and how.
        hear: handles what a service has said so far, by its name; called before its main process is reaped.
    """

    def __init__(
        self,
        fleet: Fleet,
        kernel: Kernel,
        journal: Journal,
        handle: Callable[[ev.Event], None],
        last_words: Callable[[int], list[str]],
        stopped: Callable[[int, int], None],
    ) -> None:
        self.groups: Groups | None = None
        self.counts = Counts()
        self.hear: Callable[[str], None] = lambda _name: None
        self._fleet = fleet
        self._kernel = kernel
        self._journal = journal
        self._handle = handle
        self._last_words = last_words
        self._stopped = stopped
        self._children: dict[int, Child] = {}
        self._disowned: set[int] = set()
        self._former: dict[int, str] = {}  # main processes that named another one, and live on
        self._helpers: dict[int, Callable[[int], None]] = {}
        self._lineage = Lineage(kernel)
        self.orphans = Orphans(kernel, journal, self._lineage)
        self._oom = OomWatch()  # before the first program runs: what it has counted by then is nobody's here
        self._oom_killed = False
        self._tail: list[str] = []

    # -- who is whose --------------------------------------------------------------------------------------------

    def spawned(self, service: str, pid: int) -> None:
        """A service's main process was started."""
        self._children[pid] = Child(service, pid, self._kernel.monotonic())
        self._lineage.started(pid, service)

    def main_changed(self, event: ev.Notified) -> ev.Notified:
        """A service has named another of its processes as the main one; sd_notify(3), ``MAINPID=``.

        The former one's end is no longer the service's, unless the new one is gone by then without our knowing: its
        parent may have reaped it.

        Returns:
            The event, without the name of a process that can't be it: another service's main one.
        """
        new = event.main_pid
        child = self._children.get(event.pid)
        if new is None or child is None or child.service != event.service or new in self._children:
            return replace(event, main_pid=None)
        del self._children[event.pid]
        self._former[event.pid] = child.service
        stat = self._kernel.stat(new)
        child.group = stat.pgrp if stat is not None and stat.pgrp == new else None
        self._children[new] = child
        return event

    def group(self, pid: int) -> int | None:
        """The process group of a service's main process; None when it leads none."""
        child = self._children.get(pid)
        return pid if child is None else child.group

    def disown(self, pid: int) -> None:
        """A process that ended before its program ran: its failure is told already, its exit is not news."""
        self._disowned.add(pid)

    def helper(self, pid: int, service: str, done: Callable[[int], None]) -> None:
        """A process that runs for us about a service, such as a probe's command: its wait status goes to ``done``.

        It is reaped as all the others are; there is no record of its end.
        """
        self._helpers[pid] = done
        self._lineage.helped(pid, service)

    def killed(self, pid: int) -> None:
        """We are about to KILL this process, so that is how it will have died."""
        child = self._children.get(pid)
        if child is not None:
            child.killed_by_us = True

    def is_ours(self, pid: int) -> bool:
        """Whether this is the main process of a service."""
        return pid in self._children

    def curious(self) -> bool:
        """Whether we may have been handed processes that we know nothing of."""
        return self._lineage.curious()

    def look_on(self) -> float:
        """Learn where some of these came from, while they are alive to tell; how many seconds to wait before more."""
        return self._lineage.look_on(frozenset(self._fleet.specs))

    def learn(self, pids: list[int]) -> None:
        """Learn where these living processes came from."""
        self._lineage.look(pids, frozenset(self._fleet.specs))

    # -- the reaper's observer -----------------------------------------------------------------------------------

    def before_reap(self, pid: int, status: int) -> None:
        """The pid is still its own: read its name, clear its group, take its last words."""
        if pid in self._children:
            self.hear(self._children[pid].service)  # it may have named another main process with its last words
        child = self._children.get(pid)
        if child is None:
            if pid in self._helpers:
                self._end_group(pid)
            else:
                self.orphans.before_reap(pid)
            return
        if term_signal(status) == SIGKILL and not child.killed_by_us:
            counter = self.groups.oom_counter(child.service) if self.groups is not None else None
            self._oom_killed = self._oom.killed(pid, counter)
        spec, service = self._fleet.specs[child.service], self._fleet.services[child.service]
        try:
            clears = clears_group(spec, service, status)
            if clears:
                self._clear_group(pid if child.group is None else child.group, spec.stop_signal or SIGTERM)
            if self.groups is not None:
                self._leave_control_group(self.groups, spec, service, clears=clears)
        finally:
            self._tail = self._last_words(child.spawned)

    def exited(self, pid: int, status: int, usage: struct_rusage) -> None:
        """A process is gone: report it, and let its service step."""
        self._lineage.reaped(pid)
        self.counts.reaped += 1
        child = self._children.pop(pid, None)
        if child is None and pid in self._former:
            child = self._heir_is_gone(self._former.pop(pid))
        if child is not None:
            try:
                self.orphans.tell()  # what came first is told first, unless there is much of it
            finally:
                self._lineage.parent_ended()
                self._child_exited(pid, child, status, usage)
        elif pid in self._disowned:
            self._disowned.discard(pid)
        elif (done := self._helpers.pop(pid, None)) is not None:
            self._lineage.parent_ended()
            done(status)
        else:
            self.counts.orphans += 1
            self.orphans.exited(pid, status, usage)

    def stopped(self, pid: int, signal: int) -> None:
        """A process was stopped; no service changes its state for that."""
        self._report_stop("stopped", pid, signal)
        if pid in self._children:
            self._stopped(pid, signal)

    def continued(self, pid: int, signal: int) -> None:
        """A process was continued."""
        self._report_stop("continued", pid, signal)

    def _heir_is_gone(self, service: str) -> Child | None:
        """A former main process has ended: its service's, if the process that it named is not there any more."""
        heir = next((pid for pid, child in self._children.items() if child.service == service), None)
        if heir is None or self._kernel.stat(heir) is not None:
            return None
        return self._children.pop(heir)

    def _child_exited(self, pid: int, child: Child, status: int, usage: struct_rusage) -> None:
        spec, service = self._fleet.specs[child.service], self._fleet.services[child.service]
        expected = is_expected(spec, service, status)
        self.counts.exited(child.service, status, oom_killed=self._oom_killed)
        # the single command's status is handed on by the daemon's own: nobody has to be warned of it
        quiet = expected or (spec.transparent is not None and not self._oom_killed)
        fields = {
            **status_fields(status),
            "expected": expected,
            "duration_s": round(self._kernel.monotonic() - child.started_at, 6),
            **usage_fields(usage),
            "oom_killed": self._oom_killed,
        }
        if self._tail and not expected:
            fields["tail"] = self._tail
        self._oom_killed, self._tail = False, []
        try:
            self._journal.emit("info" if quiet else "warning", "child_exited", service=child.service, pid=pid, **fields)
        finally:
            # a record that fails is a record; a process that the core still believes in would be a service lost
            self._handle(ev.ProcessExited(child.service, status))

    def _report_stop(self, what: str, pid: int, signal: int) -> None:
        if pid in self._helpers:
            return
        fields: dict[str, object] = {"signal": signal, "signal_name": signal_name(signal)}
        child = self._children.get(pid)
        if child is not None:
            self._journal.emit("info", f"child_{what}", service=child.service, pid=pid, **fields)
        else:
            self.orphans.moved(f"orphan_{what}", pid, fields)

    def _leave_control_group(self, groups: Groups, spec: ServiceSpec, service: Service, *, clears: bool) -> None:
        """See to what the service has left in its control group, where its stop-scope is all of it.

        Told to stop, it has had its time when its main process has ended: nothing of it stays. What it leaves when
        it is to be restarted is asked to end, as the process group is.
        """
        if spec.stop_scope is StopScope.TREE:
            if service.state is State.STOPPING:
                groups.kill(spec.name)
            elif clears:
                for pid in groups.members(spec.name):
                    self._ask_to_end(pid, spec.stop_signal or SIGTERM)
        groups.left(spec.name)

    def _ask_to_end(self, pid: int, signal: int) -> None:
        try:
            self._kernel.kill(pid, signal)
            self._kernel.kill(pid, SIGCONT)
        except ProcessLookupError:
            return  # it has ended by itself
        except OSError as error:
            self._journal.emit("warning", "supervisor_warning", message=f"cannot signal pid {pid}: {error}")

    def _end_group(self, pid: int) -> None:
        """Nothing that a helper has started outlives it, as far as it is still in its group."""
        try:
            self._kernel.kill_group(pid, SIGKILL)
        except ProcessLookupError:
            return  # it failed before it led a group
        except OSError as error:
            self._journal.emit("warning", "supervisor_warning", message=f"cannot kill process group {pid}: {error}")

    def _clear_group(self, pgrp: int, signal: int) -> None:
        try:
            self._kernel.kill_group(pgrp, signal)
            self._kernel.kill_group(pgrp, SIGCONT)
        except OSError as error:
            # the zombie itself is still in the group, so this is no empty group: one of them is not ours to signal
            self._journal.emit("warning", "supervisor_warning", message=f"cannot signal process group {pgrp}: {error}")
