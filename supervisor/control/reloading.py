"""Reading the configuration again: what would change, and changing it."""

from __future__ import annotations

from supervisor.core import events as ev
from supervisor.core.plan import Changes, changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.spec import FleetSpec
    from supervisor.logs.journal import Journal
    from supervisor.runtime.driver import Driver


class RejectedError(Exception):
    """The configuration is wrong, and what is in force stays in force; ``errors`` holds all that is wrong with it."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        super().__init__("\n".join(errors))


class Reloader:
    """Reads the configuration again for whoever orders it: a signal, or a client.

    Args:
        read_again: the fleet and the files it was read from; raises an exception that says all its errors, one a line.
        driver: gets what was read.
        journal: told what came of it.
        applied: called with the fleet that is in force from now on.
    """

    def __init__(
        self,
        read_again: Callable[[], tuple[FleetSpec, tuple[str, ...]]],
        driver: Driver,
        journal: Journal,
        applied: Callable[[FleetSpec], None],
    ) -> None:
        self._read_again = read_again
        self._driver = driver
        self._journal = journal
        self._applied = applied

    def plan(self) -> Changes:
        """What :meth:`apply` would change now.

        Raises:
            RejectedError: nothing, for the configuration is wrong.
        """
        fleet, _ = self._read()
        return self._changes(fleet)

    def apply(self) -> Changes:
        """Put what stands in the files now in the place of what is in force.

        Raises:
            RejectedError: the configuration is wrong, which is in the log as well; nothing has changed.
        """
        try:
            fleet, sources = self._read()
        except RejectedError as error:
            self._journal.emit("error", "config_rejected", errors=error.errors)
            raise
        found = self._changes(fleet)
        self._journal.emit("info", "config_loaded", sources=list(sources))
        self._driver.post(ev.Reconfigured(fleet))
        self._applied(fleet)
        return found

    def _read(self) -> tuple[FleetSpec, tuple[str, ...]]:
        try:
            return self._read_again()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it: what runs goes on running
            raise RejectedError(str(error).splitlines()) from None

    def _changes(self, fleet: FleetSpec) -> Changes:
        present = self._driver.fleet
        return changes(present.spec, present.specs, fleet)
