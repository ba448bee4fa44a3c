"""The way down of the daemon: a short automaton beside those of the services.

``UP`` -> ``DRAINING`` (told everybody, not stopping yet) -> ``STOPPING`` (services get their stop signals, each when
nobody is left that needs it) -> ``SWEEPING`` (every remaining descendant gets TERM, at the deadline KILL) -> ``OVER``.
``LINGERING`` stands beside SWEEPING: descendants may finish by themselves.
"""

from supervisor.core import events as ev
from supervisor.core.effects import CloseOutput, Effect, Finish, NotifyManager, Report, SignalDescendants
from supervisor.core.light import Enum
from supervisor.core.signals import SIGINT, SIGKILL, SIGTERM
from supervisor.core.spec import Orphans
from supervisor.core.states import Reason
from supervisor.core.wait_status import term_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.fleet import Fleet

LAST_GRACE = 1.0
"""Seconds that the kernel gets to carry out a KILL before the daemon ends without having seen the last process go."""


class Phase(Enum):
    """Where the daemon is on its way down."""

    UP = "up"
    DRAINING = "draining"
    STOPPING = "stopping"
    LINGERING = "lingering"
    SWEEPING = "sweeping"
    OVER = "over"


class Descent:
    """The course of the daemon from the order to end, or the reason to, until nothing is left.

    Attributes:
        phase: where it is.
        deadline: monotonic time at which it goes on by itself; None where it waits for others alone.
        stop_signal: the signal that ordered the end, if one did.
        ordered: whether somebody ordered it, as opposed to a service's end.
        killed: who was late, so that it got KILL.
    """

    def __init__(self, fleet: "Fleet") -> None:
        self._fleet = fleet
        self.phase = Phase.UP
        self.deadline: float | None = None
        self.stop_signal: int | None = None
        self.ordered = False
        self.killed: list[str] = []
        self._exit_code: int | None = None
        self._began = 0.0
        self._by = 0.0
        self._swept = False
        self._told: set[str] = set()

    def order(self, reason: str, signal: int | None, now: float) -> list[Effect] | None:
        """Somebody outside wants the end: TERM, INT, or a command. None when that was ordered before."""
        if self.ordered:
            return None
        self.ordered = True
        self.stop_signal = signal
        if self.phase is Phase.UP:
            return self.begin(reason, None, now)
        if self.phase is Phase.LINGERING:
            return self._sweep_now(now)
        return []

    def begin(self, reason: str, exit_code: int | None, now: float) -> list[Effect]:
        """The first step down. An exit code of None is the main service's to choose."""
        spec, services = self._fleet.spec, self._fleet.services
        self._began = now
        self._by = now + spec.shutdown_timeout
        self._fleet.turns.held.clear()  # all are to stop now
        main = services.get(spec.main or "")
        # an ordered shutdown asks the main service for its code, unless it is not there to answer
        self._exit_code = 0 if exit_code is None and (main is None or main.pid is None) else exit_code
        effects: list[Effect] = [Report("info", "shutdown_started", {"reason": reason}), NotifyManager("STOPPING=1")]
        self.phase = Phase.DRAINING
        for name, service in services.items():
            if service.pid is None:
                effects += self._fleet.apply(ev.StopRequested(name, Reason.SHUTDOWN), now)
        drain = min(spec.drain_delay, spec.shutdown_timeout)
        if drain > 0 and self._fleet.alive:
            self.deadline = now + drain
            return effects
        return effects + self._stop_services(now)

    def settle(self, now: float) -> list[Effect]:
        """What follows from the states the services are in now."""
        if self.phase is not Phase.STOPPING:
            return []
        effects: list[Effect] = []
        if not self._swept:
            gone = [name for name in self._fleet.stepped if name not in self._fleet.alive]
            effects = self._stop_free([other for name in gone for other in self._fleet.graph.below(name)], now)
        return effects if self._fleet.alive else effects + self._sweep(now)

    def kill_all(self, now: float) -> list[Effect]:
        """No more patience: KILL for every service and everything that descends from us."""
        self.phase = Phase.STOPPING
        self.deadline = now + LAST_GRACE
        self._swept = True
        effects: list[Effect] = []
        for name in list(self._fleet.services):
            effects += self._fleet.apply(ev.KillRequested(name), now)
        return [*effects, SignalDescendants(SIGKILL)]

    def deadline_passed(self, now: float) -> list[Effect]:
        """The end of the drain, the shutdown's deadline, or the last grace after KILL."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.phase is Phase.DRAINING:
            return self._stop_services(now)
        if self._swept:
            return self._finish(now)
        if self.phase is Phase.STOPPING:
            return self.kill_all(now)
        self._swept = True
        self.deadline = now + LAST_GRACE
        return [SignalDescendants(SIGKILL)]

    def children_gone(self, now: float) -> list[Effect]:
        """There is no child left, ours or adopted."""
        return self._finish(now) if self.waits_for_children() else []

    def waits_for_children(self) -> bool:
        """Whether the end waits for the last child, so that the shell should say when there is none."""
        return self.phase in (Phase.SWEEPING, Phase.LINGERING)

    def exit_code(self) -> int:
        """Exit code of the daemon, by the contract: who decided the end also decides the code.

        A shutdown that was ordered returns 0, or the exit code that the main service chose; a main service that died
        by the signal we sent it counts as 0. The single-command form returns the command's status whatever it is.
        """
        if self._exit_code is not None:
            return self._exit_code
        main = self._fleet.services.get(self._fleet.spec.main or "")
        if main is None or main.status is None:
            return 0
        if term_signal(main.status) and not self._fleet.is_single():
            return 0
        return main.exit_code

    def _stop_services(self, now: float) -> list[Effect]:
        self.phase = Phase.STOPPING
        self.deadline = self._by
        return self._stop_free(list(self._fleet.alive), now) + self.settle(now)

    def _stop_free(self, names: list[str], now: float) -> list[Effect]:
        """Stop those of them that nobody needs any more: against the order of needs, and all at once without any."""
        signal = self.stop_signal if self._fleet.is_single() or self.stop_signal in (SIGTERM, SIGINT) else None
        effects: list[Effect] = []
        for name in dict.fromkeys(names):
            if name in self._fleet.alive and name not in self._told and not self.is_needed(name):
                self._told.add(name)
                effects += self._fleet.apply(ev.StopRequested(name, Reason.SHUTDOWN, signal, self._by), now)
        return effects

    def is_needed(self, name: str) -> bool:
        """Whether somebody is alive that needs it, be it by way of a task that has done its work."""
        return any(other in self._fleet.alive for other in self._fleet.graph.dependents_of(name))

    def _sweep(self, now: float) -> list[Effect]:
        """Services are down; what is left are descendants that nobody configured."""
        if self._fleet.spec.orphans is Orphans.LEAVE:
            return self._finish(now)
        if self._fleet.spec.orphans is Orphans.WAIT and not self.ordered:
            self.phase = Phase.LINGERING
            self.deadline = None
            return []
        return self._sweep_now(now)

    def _sweep_now(self, now: float) -> list[Effect]:
        lingered = self.phase is Phase.LINGERING
        self.phase = Phase.SWEEPING
        if self._swept:
            return []  # KILL is out already
        self.deadline = now + self._fleet.spec.shutdown_timeout if lingered else max(self._by, now)
        return [SignalDescendants(SIGTERM)]

    def _finish(self, now: float) -> list[Effect]:
        self.phase = Phase.OVER
        self.deadline = None
        code = self.exit_code()
        fields: dict[str, object] = {
            "exit_code": code,
            "duration_s": round(now - self._began, 6),
            "killed": list(dict.fromkeys(self.killed)),
        }
        report = Report("warning" if self.killed else "info", "shutdown_finished", fields)
        return [CloseOutput(), report, Finish(code)]
