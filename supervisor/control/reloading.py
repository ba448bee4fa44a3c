"""Reading the configuration again: what would change, and changing it."""

from __future__ import annotations

from supervisor.core import events as ev
from supervisor.core.plan import Changes, changes, keys_at_start, keys_of_log
from supervisor.core.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.spec import ControlSpec, FleetSpec, LogSpec
    from supervisor.logs.daemon_log import DaemonLog
    from supervisor.logs.journal import Journal
    from supervisor.runtime.driver import Driver

    Configured = tuple[FleetSpec, LogSpec, ControlSpec, tuple[str, ...]]


class RejectedError(Exception):
    """The configuration is wrong, and what is in force stays in force; ``errors`` holds all that is wrong with it."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        super().__init__("\n".join(errors))


class Reloader:
    """Reads the configuration again for whoever orders it: a signal, or a client.

    Args:
        read_again: the fleet, the log, the control sockets, and the files they were read from; raises an exception that
            says all its errors, one a line.
        driver: gets what was read.
        journal: told what came of it.
        applied: called with the fleet that is in force from now on.
        log: the log, of which some settings can be changed.
        control: the control sockets, which stay as they were at the start.
    """

    def __init__(
        self,
        read_again: Callable[[], Configured],
        driver: Driver,
        journal: Journal,
        applied: Callable[[FleetSpec], None],
        log: DaemonLog,
        control: ControlSpec,
    ) -> None:
        self._read_again = read_again
        self._driver = driver
        self._journal = journal
        self._applied = applied
        self._log = log
        self._control = control

    def plan(self) -> Changes:
        """What :meth:`apply` would change now.

        Raises:
            RejectedError: nothing, for the configuration is wrong.
        """
        return self._changes(self._read())

    def apply(self, deliver: Callable[[ev.Event], None] | None = None) -> Changes:
        """Put what stands in the files now in the place of what is in force.

        Args:
            deliver: takes the event that does it; None for the mailbox, for whoever is called by the driver itself.

        Raises:
            RejectedError: the configuration is wrong, which is in the log as well; nothing has changed.
        """
        try:
            read = self._read()
        except RejectedError as error:
            self._journal.emit("error", "config_rejected", errors=error.errors)
            raise
        found = self._changes(read)
        fleet, log, _, sources = read
        self._log.change(log)
        self._journal.emit("info", "config_loaded", sources=list(sources))
        if found.at_start:
            message = f"not in force before the daemon is started again: {', '.join(found.at_start)}"
            self._journal.emit("warning", "supervisor_warning", message=message)
        (deliver or self._driver.post)(ev.Reconfigured(fleet))
        self._applied(fleet)
        return found

    def _read(self) -> Configured:
        try:
            return self._read_again()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it: what runs goes on running
            raise RejectedError(str(error).splitlines()) from None

    def _changes(self, read: Configured) -> Changes:
        present = self._driver.fleet
        fleet, log, control, _ = read
        found = changes(present.spec, present.specs, fleet)
        present_log = self._log.spec
        return replace(
            found,
            settings=(*found.settings, *keys_of_log(present_log, log)),
            at_start=keys_at_start(present_log, log, self._control, control),
        )
