"""The daemon: builds the objects and runs the loop. It decides nothing.

The order is the start budget's. The first programs run before the event loop and structlog are imported, which takes
longer than all the rest together; what they do meanwhile is kept: records by the journal, signals by the kernel,
output by the pipes.
"""

from __future__ import annotations

import gc
import os
import sys

from supervisor import __version__
from supervisor.core.fleet import Fleet
from supervisor.core.record import Record
from supervisor.core.spec import ControlSpec, FleetSpec, LogSpec, ServiceSpec
from supervisor.logs.daemon_log import DaemonLog
from supervisor.runtime.cgroups import ControlGroups
from supervisor.runtime.driver import Driver, Outside
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.launcher import ProgramLauncher
from supervisor.runtime.notify import VARIABLE as NOTIFY_SOCKET
from supervisor.runtime.notify import Manager
from supervisor.runtime.process import become_reaper, close_descriptors, reserve_descriptors
from supervisor.runtime.spawn import SpawnError
from supervisor.runtime.terminal import JobControl, controlling_terminal
from supervisor.runtime.watches import Neighbours, ServiceWatches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from supervisor.control.plane import ControlPlane
    from supervisor.control.plane import Neighbours as ControlNeighbours
    from supervisor.control.reloading import Reloader
    from supervisor.core import events as ev
    from supervisor.logs.journal import Journal
    from supervisor.logs.termination import Witness
    from supervisor.runtime.config_watch import ConfigWatch

_RESERVE = 20
"""Descriptors for the event loop, the signals and what is made at the first need."""

_TERMINATION_LOG = "/dev/termination-log"
"""The default of Kubernetes."""


class Plan(Record):
    """All that the daemon has to know to start.

    Attributes:
        loop: ``uvloop``, ``asyncio`` or, for the best there is, None.
        sources: the configuration files that were read.
        sockets: descriptors of socket activation, sd_listen_fds(3), that the single command is to have.
        read_again: reads the configuration again: the fleet, the log, the control sockets, and the files that say so;
            raises an exception that says all its errors, one a line.
        paths: the absolute paths, of files or folders, that make up the configuration.
        parent_death_signal: what the kernel sends us when our parent dies; None for nothing.
    """

    fleet: FleetSpec
    log: LogSpec
    read_again: Callable[[], tuple[FleetSpec, LogSpec, ControlSpec, tuple[str, ...]]]
    paths: Callable[[], tuple[str, ...]] = tuple
    control: ControlSpec = ControlSpec(socket="")
    loop: str | None = None
    sources: tuple[str, ...] = ()
    sockets: tuple[int, ...] = ()
    parent_death_signal: int | None = None


class StartError(Exception):
    """The daemon can't start; nothing was started."""


class Daemon:
    """The objects, and the strings between them."""

    def __init__(self, plan: Plan, log: DaemonLog) -> None:
        self._plan = plan
        self._log = log
        self._journal = log.journal
        self._control = _open_control(plan.control, log.journal)
        self._loop: Any = None
        self._config_watch: ConfigWatch | None = None
        self._config_known = self._look_at_config()
        self._exit_code = 70
        self._single = any(spec.transparent for spec in plan.fleet.services.values())
        kernel = Kernel()
        terminal = controlling_terminal() if self._single else None
        self._job_control = JobControl(kernel, terminal) if terminal is not None else None
        self._witness = self._call_witness()
        fleet = Fleet(plan.fleet, salt=int.from_bytes(os.urandom(8)))
        groups = ControlGroups(self._warn, kernel.descendants)
        self._watches = ServiceWatches(
            Neighbours(
                kernel=kernel,
                journal=self._journal,
                handle=self._handle,
                listen=log.capture.listen,
                run=self._run_helper,
            )
        )
        self._launcher = ProgramLauncher(
            log.capture,
            terminal,
            self._launched,
            watches=self._watches,
            redact=self._journal.add_secret,
            groups=groups,
            output_closed=log.output_closed,
        )
        self._driver = Driver(
            fleet,
            Outside(
                kernel=kernel,
                journal=self._witness or self._journal,
                launcher=self._launcher,
                manager=Manager(os.environ.get(NOTIFY_SOCKET)),
                reload=self._reload,
                finished=self._finished,
                reopen_logs=log.places.reopen,
                job_control=self._job_control,
                groups=groups,
                watches=self._watches,
            ),
        )

    def run(self, mode: str) -> int:
        """Run until nothing is left to do; the exit code.

        Raises:
            StartError: something is missing; nothing was started.
            Exception: we can't go on though programs run already. They have been killed: nobody would reap, restart or
                stop them.
        """
        loop_name = self._choose_loop()
        self._announce(mode, loop_name)
        # The loop will need descriptors when the programs are running already: too late to find that there are none.
        reserve = _reserve()
        self._driver.start()
        close_descriptors(reserve)
        try:
            self._attach(loop_name)
        except Exception as error:
            self._journal.emit("error", "internal_error", where="start", error=f"{type(error).__name__}: {error}")
            self._driver.abandon()
            self._end()
            raise
        gc.collect()
        gc.freeze()  # what lives now lives to the end: later collections need not look at it
        gc.enable()
        self._loop.run_forever()
        return self._end()

    def _attach(self, loop_name: str) -> None:
        """Make the loop, and let everything that waits for it go on."""
        from supervisor.runtime.loops import make_loop  # noqa: PLC0415 - after the first programs run

        try:
            self._loop = make_loop(loop_name)
        except ImportError as error:
            message = f"{loop_name} can't be imported ({error}): asyncio takes its place"
            self._journal.emit("warning", "supervisor_warning", message=message)
            self._loop = make_loop("asyncio")
        self._loop.set_exception_handler(self._loop_error)
        from supervisor.runtime.signals import SignalSource  # noqa: PLC0415 - ctypes, after the first programs run

        self._log.attach(self._loop)
        self._watches.attach(self._loop)
        self._driver.attach(self._loop, SignalSource())
        if self._control is not None:
            self._control.attach(self._loop, self._neighbours())
        self._watch_config(self._plan.fleet)

    def _choose_loop(self) -> str:
        found = any(finder.find_spec("uvloop", None) is not None for finder in sys.meta_path)
        installed = found and sys.modules.get("uvloop", self) is not None
        if self._plan.loop == "uvloop" and not installed:
            raise StartError("uvloop is not installed: install it, or leave the choice of the loop to us")
        return self._plan.loop or ("uvloop" if installed else "asyncio")

    def _announce(self, mode: str, loop_name: str) -> None:
        python = ".".join(map(str, sys.version_info[:3]))
        started = {"version": __version__, "mode": mode, "loop": loop_name, "python": python, "pid": os.getpid()}
        self._journal.emit("info", "supervisor_started", **started, services=len(self._plan.fleet.services))
        if self._control is not None:
            self._control.announce(version=__version__, mode=mode, loop=loop_name, python=python)
        if mode == "plain":
            message = "not PID 1, and the kernel refused to make us a subreaper: orphans go to another process"
            self._journal.emit("warning", "supervisor_warning", message=message)
        if self._plan.sources:
            self._journal.emit("info", "config_loaded", sources=list(self._plan.sources))

    def _warn(self, message: str) -> None:
        """Something does not work here; the daemon does without."""
        self._journal.emit("warning", "supervisor_warning", message=message)

    def _call_witness(self) -> Witness | None:
        """Who remembers what Kubernetes is to be told at the end; None where there is no Kubernetes."""
        if not termination_path(self._plan.fleet):
            return None
        from supervisor.logs.termination import Witness  # noqa: PLC0415 - only where it is asked for

        return Witness(self._journal)

    # -- called back ---------------------------------------------------------------------------------------------

    def _launched(self) -> None:
        """The single command has the sockets that were meant for it."""
        close_descriptors(self._plan.sockets)

    def _handle(self, event: ev.Event) -> None:
        """Something was found out about a service."""
        self._driver.handle(event)

    def _run_helper(self, spec: ServiceSpec, command: tuple[str, ...], done: Callable[[int], None]) -> int:
        """Run a command as a service's program would run, but for us."""
        try:
            pid = self._launcher.launch_command(spec, command)
        except SpawnError as error:
            if error.pid is not None:
                self._driver.helper(error.pid, spec.name, lambda _status: None)
            raise
        self._driver.helper(pid, spec.name, done)
        return pid

    def _reload(self) -> None:
        from supervisor.control.reloading import RejectedError  # noqa: PLC0415 - not on the start path

        try:
            self._reloader().apply()
        except RejectedError:
            return  # the log has it

    def _look_at_config(self) -> list[object] | None:
        """What was read, so that a change before we watch it is seen; None where nobody wants it watched."""
        if not self._plan.fleet.watch_config:
            return None
        from supervisor.runtime.config_watch import identities  # noqa: PLC0415 - only where it is asked for

        return identities(self._plan.paths())

    def _watch_config(self, fleet: FleetSpec) -> None:
        """Watch the configuration from now on, or no longer, as it wants."""
        if fleet.watch_config and self._config_watch is None:
            from supervisor.runtime.config_watch import ConfigWatch  # noqa: PLC0415 - only where it is asked for

            self._config_watch = ConfigWatch(self._loop, self._plan.paths, self._reload, self._warn, self._config_known)
            self._config_known = None
        elif not fleet.watch_config and self._config_watch is not None:
            self._config_watch.close()
            self._config_watch = None

    def _neighbours(self) -> ControlNeighbours:
        from supervisor.control.plane import (  # noqa: PLC0415 - where a control socket is wanted
            Neighbours as ControlNeighbours,
        )

        return ControlNeighbours(
            driver=self._driver,
            reloader=self._reloader(),
            tails=self._log.capture.tails,
            tally=self._log.capture.tally,
            reopen_logs=self._log.places.reopen,
        )

    def _reloader(self) -> Reloader:
        from supervisor.control.reloading import Reloader  # noqa: PLC0415 - not on the start path

        return Reloader(
            self._plan.read_again, self._driver, self._journal, self._watch_config, self._log, self._plan.control
        )

    def _finished(self, exit_code: int) -> None:
        self._exit_code = exit_code
        if self._loop is None:
            return
        if self._control is None:
            self._loop.call_soon(self._loop.stop)
        else:
            self._control.finish(lambda: self._loop.call_soon(self._loop.stop))

    def _loop_error(self, _loop: object, context: dict[str, Any]) -> None:
        """A callback of the loop raised: what :class:`Driver` does not already stand around."""
        error = context.get("exception")
        text = f"{type(error).__name__}: {error}" if error is not None else str(context.get("message"))
        self._journal.emit("error", "internal_error", where="event loop", error=text)

    def _end(self) -> int:
        """Say why, and leave nothing behind."""
        if self._witness is not None:
            self._witness.write(termination_path(self._plan.fleet), self._exit_code)
        if self._control is not None:
            self._control.close()
        self._log.finish()
        if self._job_control is not None:
            self._job_control.take_back()
        return self._exit_code


def _reserve() -> list[int]:
    try:
        return reserve_descriptors(_RESERVE)
    except OSError as error:
        raise StartError(f"too few descriptors: {error.strerror}; raise the limit of open files") from None


def _open_control(spec: ControlSpec, journal: Journal) -> ControlPlane | None:
    """What is behind the control sockets; None where none is wanted, and then nothing of it is imported."""
    if spec == ControlSpec(socket=""):
        return None
    from supervisor.control.listener import AlreadyRunningError, open_listeners  # noqa: PLC0415 - see above
    from supervisor.control.plane import ControlPlane  # noqa: PLC0415 - see above

    try:
        return ControlPlane(open_listeners(spec, os.environ), journal)
    except AlreadyRunningError as error:
        raise StartError(str(error)) from None


def termination_path(fleet: FleetSpec) -> str:
    """Where Kubernetes reads why the container ended; empty for nowhere."""
    if fleet.termination_message_path is not None:
        return fleet.termination_message_path
    return _TERMINATION_LOG if os.access(_TERMINATION_LOG, os.W_OK) else ""


def run(plan: Plan) -> NoReturn:
    """Be the daemon; exits with its exit code. Standard streams are open, dispositions default, signals blocked.

    Raises:
        StartError: something the daemon needs is missing; nothing was started.
    """
    try:
        log = DaemonLog(plan.log)
    except OSError as error:
        where = error.filename or plan.log.to
        raise StartError(f"cannot write the log to {where!r}: {error.strerror}") from None
    mode = become_reaper()
    if plan.parent_death_signal is not None:
        from supervisor.runtime.libc import PR_SET_PDEATHSIG, prctl  # noqa: PLC0415 - ctypes, only where asked for

        prctl(PR_SET_PDEATHSIG, plan.parent_death_signal)
    os.chdir("/")
    try:
        daemon = Daemon(plan, log)
    except OSError as error:
        raise StartError(f"cannot set up the daemon: {error}") from None
    os._exit(daemon.run(mode))  # nothing is left to finalise, and nothing may hold us up now
