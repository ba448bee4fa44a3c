"""The mailbox: events go in, the core decides, effects are carried out. One consumer, in order.

Round every event and every effect stands a boundary: what nobody foresaw becomes an ``internal_error`` record, and
the daemon goes on. An effect that has an answer (a spawn) is answered before the next effect is looked at, so no
event from outside ever meets a service between an order and its result.
"""

from __future__ import annotations

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.fleet import Fleet
from supervisor.core.light import deque
from supervisor.core.record import Record
from supervisor.core.signals import SIGCHLD, SIGCONT, SIGKILL, signal_name
from supervisor.core.spec import StopScope
from supervisor.runtime.children import Children
from supervisor.runtime.descendants import Descendants
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.notify import Manager
from supervisor.runtime.pace import Pace
from supervisor.runtime.reaper import Reaper
from supervisor.runtime.schedules import Schedules
from supervisor.runtime.spawn import SpawnError
from supervisor.runtime.terminal import JobControl
from supervisor.runtime.timers import Deadlines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from supervisor.core.service import Service
    from supervisor.core.spec import ServiceSpec
    from supervisor.runtime.ports import Groups, Journal, Launcher, Loop, Signals, Watches

    _T = TypeVar("_T")
    Follower = Callable[[str, ServiceSpec | None, Service | None], None]

_EVENTS_A_TURN = 256


class Outside(Record):
    """All that the driver uses and does not own; tests pass something else.

    Attributes:
        reload: reads the configuration again and posts the result.
        finished: called once, with the exit code, when nothing is left to do.
        reopen_logs: opens the log files again.
        job_control: set for a single command on a terminal.
        watches: finds out how services are, where one asks for that.
        groups: the services' control groups, where there may be some.
    """

    kernel: Kernel
    journal: Journal
    launcher: Launcher
    manager: Manager
    reload: Callable[[], None]
    finished: Callable[[int], None]
    reopen_logs: Callable[[], None] = lambda: None
    job_control: JobControl | None = None
    watches: Watches | None = None
    groups: Groups | None = None


class Driver:
    """Owns the mailbox, the deadlines and the reaper."""

    def __init__(self, fleet: Fleet, outside: Outside) -> None:
        self.fleet = fleet
        self._out = outside
        self._kernel = outside.kernel
        self._journal = outside.journal
        self._mailbox: deque[ev.Event] = deque()
        self._loop: Loop | None = None
        self._signals: Signals | None = None
        self._scheduled = False
        self._reap_scheduled = False
        self._look_scheduled = False
        self._killing = False
        self._finishing = False
        self._deadlines = Deadlines(self._deadline_passed, outside.kernel.monotonic)
        job_control = outside.job_control
        self._children = Children(
            fleet,
            outside.kernel,
            outside.journal,
            handle=self.handle,
            last_words=outside.launcher.last_words,
            stopped=job_control.command_stopped if job_control else lambda _pid, _signal: None,
        )
        self._children.groups = self._children.orphans.groups = outside.groups
        self.counts = self._children.counts
        self._descendants = Descendants(outside.kernel, outside.journal)
        self._reaper = Reaper(outside.kernel, self._children)
        self._pace: Pace | None = None
        self._reaped_before = (0, 0)
        self._schedules = Schedules(self.post, salt=fleet.salt)
        self._followers: list[Follower] = [self._schedules.follow]
        if outside.watches is not None:
            self._followers.append(outside.watches.follow)
            self._children.hear = self._hear

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring the services up. Needs no loop: the first programs run before one is imported."""
        self._decide("start", lambda: self.fleet.start(self._kernel.monotonic()))

    def attach(self, loop: Loop, signals: Signals) -> None:
        """From now on the loop drives us; what was posted and what is pending is handled in its first turns."""
        self._loop = loop
        self._signals = signals
        self._pace = Pace(loop, signals)
        loop.add_reader(signals.fd, self._read_signals)
        self._deadlines.attach(loop)
        self._guard("schedules", lambda: self._schedules.attach(loop))
        self._schedule()

    def post(self, event: ev.Event) -> None:
        """Put an event into the mailbox; it is handled in one of the loop's next turns."""
        self._mailbox.append(event)
        self._schedule()

    def handle(self, event: ev.Event) -> None:
        """Let the core decide about one event, and carry it out."""
        self._decide(type(event).__name__, lambda: self.fleet.handle(self._known(event), self._kernel.monotonic()))

    def _known(self, event: ev.Event) -> ev.Event:
        """The event, after the table of processes has learnt of it what the core is about to."""
        if isinstance(event, ev.Notified) and event.main_pid is not None:
            return self._children.main_changed(event)
        return event

    def _schedule(self) -> None:
        if self._loop is not None and self._mailbox and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._consume)

    def _consume(self) -> None:
        self._scheduled = False
        for _ in range(min(len(self._mailbox), _EVENTS_A_TURN)):
            self.handle(self._mailbox.popleft())
        self._schedule()

    def _decide(self, where: str, decide: Callable[[], list[fx.Effect]]) -> None:
        effects = self._guard(where, decide) or []
        self._carry_out(effects)
        changed, self.fleet.changed = dict.fromkeys(self.fleet.changed), []
        for name in changed:
            service = self.fleet.services.get(name)
            self._deadlines.set(name, service.deadline if service is not None else None)
            for follow in self._followers:
                self._follow(follow, name, service)
        self._deadlines.set(None, self.fleet.deadline)
        if self.fleet.wants_children_gone() and not self._reaper.has_children():
            self.post(ev.ChildrenGone())

    def follow(self, follower: Follower) -> None:
        """Show each service that has stepped to a follower: its name, spec and state, the last two None if gone."""
        self._followers.append(follower)

    def helper(self, pid: int, service: str, done: Callable[[int], None]) -> None:
        """See to a process that runs for us about a service; :meth:`Children.helper`."""
        self._children.helper(pid, service, done)

    def _hear(self, name: str) -> None:
        watches = self._out.watches
        if watches is not None:
            self._guard(f"hearing {name}", lambda: watches.hear(name))

    def _follow(self, follow: Follower, name: str, service: Service | None) -> None:
        spec = self.fleet.specs.get(name)
        self._guard(f"following {name}", lambda: follow(name, spec, service))

    def _deadline_passed(self, name: str | None) -> None:
        self.handle(ev.FleetDeadlinePassed() if name is None else ev.DeadlinePassed(name))

    def _guard(self, where: str, call: Callable[[], _T]) -> _T | None:
        """The boundary: the daemon outlives its own mistakes."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - PID 1 dies of nothing but its orders
            self._journal.emit("error", "internal_error", where=where, error=f"{type(error).__name__}: {error}")
            return None

    # -- signals and children ------------------------------------------------------------------------------------

    def _read_signals(self) -> None:
        if self._signals is None:
            return
        for signal, sender in self._signals.read():
            if self._finishing:
                return  # the last record is written, and the exit code is out
            if signal == SIGCHLD:
                self._reap()
            else:
                self.handle(ev.SignalReceived(signal, sender))

    def _reap(self) -> None:
        """One batch; the next one, if there is one, after everybody else had a turn."""
        if self._reap_scheduled or self._loop is None:
            return
        more = self._guard("reaper", self._reap_batch)
        if self._finishing:
            return  # the last record is written: whoever is left is the kernel's
        if more is False:
            self._nobody_waits()
        untold: bool | None = False
        if more is False or self._children.orphans.many:
            untold = self._guard("orphans", self._children.orphans.tell)
        if more is not False or untold is not False:
            self._reap_scheduled = True
            # after a mistake of ours the rest is waiting still, but there is no hurry to make it again
            self._loop.call_later(0.1 if None in (more, untold) else 0, self._reap_on)
        if self._killing and (more is False or self._descendants.rested):
            self._kill_descendants()
        if self.fleet.wants_children_gone() and not self._reaper.has_children():
            self.handle(ev.ChildrenGone())

    def _reap_batch(self) -> bool:
        """One batch of children; its records leave in one write."""
        with self._journal.batch():
            return self._reaper.run()

    def _reap_on(self) -> None:
        self._reap_scheduled = False
        if not self._finishing:
            self._reap()

    def _nobody_waits(self) -> None:
        """All that were dead are reaped."""
        self._guard("control groups", self._tidy_groups)
        self._look_in(0.0)
        counts, before = self.counts, self._reaped_before
        self._reaped_before = counts.orphans, counts.reaped
        orphans, reaped = counts.orphans - before[0], counts.reaped - before[1]
        pace = self._pace
        if 0 < orphans == reaped and pace is not None:
            self._guard("pace", lambda: pace.looked(self._kernel.monotonic()))

    def _tidy_groups(self) -> None:
        if self._out.groups is not None:
            self._out.groups.tidy()

    def _look_in(self, seconds: float) -> None:
        if self._children.curious() and not self._look_scheduled and self._loop is not None:
            self._look_scheduled = True
            self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """See whom we were handed, a few at a time, and only while nobody waits to be reaped."""
        self._look_scheduled = False
        if not self._reap_scheduled:
            self._look_in(self._guard("lineage", self._children.look_on) or 0.0)

    # -- effects -------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: Iterable[fx.Effect]) -> None:
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            answer = self._guard(type(effect).__name__, lambda effect=effect: self._perform(effect))  # type: ignore[misc]
            if answer is not None:
                more = self._guard(
                    type(answer).__name__,
                    lambda answer=answer: self.fleet.handle(answer, self._kernel.monotonic()),  # type: ignore[misc]
                )
                todo.extendleft(reversed(more or []))

    def _perform(self, effect: fx.Effect) -> ev.Event | None:
        """Do one thing; its answer, if it has one."""
        match effect:
            case fx.Report():
                self._journal.emit(effect.level, effect.event, **effect.fields)
            case fx.Spawn():
                return self._spawn(effect)
            case fx.SendSignal():
                self._send_signal(effect)
            case fx.Freeze() | fx.Thaw():
                return self._freeze_or_thaw(effect)
            case fx.SignalDescendants():
                return self._signal_descendants(effect.signal)
            case fx.NotifyManager():
                self._notify(effect.message)
            case fx.ReloadConfiguration():
                self._out.reload()
            case fx.ReopenLogs() | fx.ChangeOutput() | fx.CloseOutput():
                self._see_to_output(effect)
            case fx.Finish():
                self._finishing = True
                self._out.finished(effect.exit_code)
        return None

    def _see_to_output(self, effect: fx.ReopenLogs | fx.ChangeOutput | fx.CloseOutput) -> None:
        match effect:
            case fx.ReopenLogs():
                self._out.reopen_logs()
            case fx.ChangeOutput():
                self._out.launcher.change_output([self.fleet.specs[name] for name in effect.services])
            case fx.CloseOutput():
                self._tell_the_last()
                self._out.launcher.close_output()

    def _tell_the_last(self) -> None:
        """The last record is the last one: all orphans are told before it, and of a mistake the others."""
        orphans = self._children.orphans
        while self._guard("orphans", lambda: orphans.tell(None)) is None:
            pass
        orphans.closed = True

    def _spawn(self, effect: fx.Spawn) -> ev.Event | None:
        name = effect.service
        if not self.fleet.awaits_spawn(name, effect.attempt):
            return None  # an event that came in between has stopped it
        spec = self.fleet.specs[name]
        try:
            pid = self._out.launcher.launch(spec)
        except SpawnError as error:
            return self._spawn_failed(name, error)
        except Exception as error:  # noqa: BLE001 - the service has failed, whatever the reason, and the core must know
            self._say("error", "internal_error", where=f"spawn of {name}", error=repr(error))
            return ev.SpawnFailed(name, exit_code=70)
        self._children.spawned(name, pid)
        command = list(spec.command)
        self._say("info", "child_started", service=name, pid=pid, command=command, attempt=effect.attempt)
        return ev.ProcessSpawned(name, pid)

    def _say(self, level: str, event: str, **fields: object) -> None:
        """Write a record whose failure must not keep back what it is about."""
        self._guard(event, lambda: self._journal.emit(level, event, **fields))

    def _spawn_failed(self, name: str, error: SpawnError) -> ev.Event:
        import errno  # noqa: PLC0415 - off the start path

        self.counts.spawn_failed(name)
        if error.pid is not None:
            self._children.disown(error.pid)
        symbol = errno.errorcode.get(error.number, str(error.number))
        self._say("error", "child_spawn_failed", service=name, stage=error.stage, errno=symbol, error=str(error))
        return ev.SpawnFailed(name, error.exit_code, error.transient)

    def _freeze_or_thaw(self, effect: fx.Freeze | fx.Thaw) -> ev.Event | None:
        groups, name = self._out.groups, effect.service
        if groups is None:
            return None
        if isinstance(effect, fx.Thaw):
            groups.thaw(name)
            return None
        try:
            groups.freeze(name)
        except LookupError:
            return None  # it has no group: whoever ordered it is told
        except OSError as error:
            self._say("warning", "supervisor_warning", service=name, message=f"{name} cannot be frozen: {error}")
            return None
        return ev.Frozen(name)

    def _send_signal(self, effect: fx.SendSignal) -> None:
        if effect.signal == SIGKILL:
            self._children.killed(effect.pid)
        group = self._children.group(effect.pid)
        targets = [effect.signal, SIGCONT] if effect.wake else [effect.signal]
        try:
            # who would start others while we signal must be found first
            tree = self._tree(effect.service, effect.pid) if effect.scope is StopScope.TREE else []
            if effect.wake and self._out.groups is not None:
                self._out.groups.thaw(effect.service)
            for signal in targets:
                if effect.scope is StopScope.PROCESS or group is None:
                    self._kernel.kill(effect.pid, signal)
                else:
                    self._kernel.kill_group(group, signal)
                for pid in tree:
                    self._descendants.send(pid, signal)
            if effect.signal == SIGKILL and effect.scope is StopScope.TREE and self._out.groups is not None:
                self._out.groups.kill(effect.service)  # whatever was forked since we looked
        except OSError as error:
            message = f"cannot send {signal_name(effect.signal)} to {effect.service} (pid {effect.pid}): {error}"
            self._journal.emit("error", "supervisor_warning", service=effect.service, message=message)
            return
        self._journal.emit(
            "info",
            "signal_forwarded",
            service=effect.service,
            pid=effect.pid,
            signal=effect.signal,
            signal_name=signal_name(effect.signal),
            scope=effect.scope.value,
        )

    def _tree(self, service: str, pid: int) -> list[int]:
        """What belongs to a process and has left its group: the group is signalled as a whole.

        These are its descendants and, where the service has a control group, all that is in there: those too whose
        parents have ended, and that descend from us since.
        """
        found: list[int] = []
        generation = [pid]
        while generation:
            generation = [child for parent in generation for child in self._kernel.children(parent)]
            found += generation
        if self._out.groups is not None:
            found = list(dict.fromkeys([*found, *self._out.groups.members(service)]))
        stats = ((child, self._kernel.stat(child)) for child in found)
        return [child for child, stat in stats if stat is not None and stat.pgrp != pid]

    def _signal_descendants(self, signal: int) -> ev.Event | None:
        if signal == SIGKILL:
            self._killing = True
            return ev.DescendantsKilled(tuple(self._kill_descendants()))
        pids = self._kernel.descendants()
        self._children.learn(pids)
        self._descendants.terminate(pids, signal)
        return None

    def abandon(self) -> None:
        """There is no loop to go on with, so nobody could see to the programs: KILL all that descends from us."""
        self._kill_descendants()

    def _kill_descendants(self) -> list[str]:
        """KILL everything below us; those that were not a service's main process."""
        killed = self._descendants.kill()
        for pid in killed:
            self._children.killed(pid)
        return [name for pid, name in killed.items() if not self._children.is_ours(pid)]

    def _notify(self, message: str) -> None:
        try:
            self._out.manager.tell(message)
        except OSError as error:
            warning = f"the service manager did not take {message}: {error}"
            self._journal.emit("warning", "supervisor_warning", message=warning)
