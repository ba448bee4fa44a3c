"""Orders to services, and waiting until they are carried out: the one place that speaks to the core for clients.

An order is an event like any other, handled at once. Waiting only looks on: a client that goes away changes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from supervisor.config.problems import ConfigError
from supervisor.control.problems import ProblemError
from supervisor.control.view import is_up, names_of
from supervisor.control.waiting import first_done
from supervisor.core import events as ev
from supervisor.core.reload import scaled
from supervisor.core.service import Service, is_at_ease
from supervisor.core.spec import ServiceSpec, StopScope
from supervisor.core.states import AT_REST, Desired, State
from supervisor.runtime.driver import Driver

_EVENTS: dict[str, Callable[[str], ev.Event]] = {
    "start": ev.StartRequested,
    "stop": ev.StopRequested,
    "restart": ev.RestartRequested,
    "kill": ev.KillRequested,
}

VERBS = tuple(_EVENTS)

_IN_TURN: dict[str, Callable[[str], ev.StopRequested | ev.RestartRequested]] = {
    "stop": ev.StopRequested,
    "restart": ev.RestartRequested,
}
"""Orders that several services carry out one after the other, as far as they need each other."""

MOMENT = 0.25
"""Seconds that a service should have been up before it is called started: most that are wrong have ended by then, and a
service for which no readiness is configured is up as soon as it has a process."""


class End(NamedTuple):
    """What came of orders: for whom they ended otherwise, and whom they have not reached because of that."""

    failed: Sequence[str] = ()
    untouched: Sequence[str] = ()


class Orders:
    """Gives orders to the driver, and knows who waits for what.

    Args:
        driver: carries them out.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        driver.follow(self._stepped)

    @property
    def is_closing(self) -> bool:
        """Whether the daemon is on its way down."""
        return not is_up(self._driver.fleet)

    def resolve(self, name: str) -> tuple[str, ...]:
        """The services that a name means; of a replicated service all instances, none perhaps.

        Raises:
            ProblemError: 404, there are none.
        """
        fleet = self._driver.fleet
        names = names_of(fleet, name)
        if not names and name not in fleet.spec.templates:
            raise ProblemError(404, f"there is no service {name!r}")
        return names

    def resolve_all(self, names: Iterable[str]) -> tuple[str, ...]:
        """The services that several names mean, each once.

        Raises:
            ProblemError: 404, one or more of them mean none; those are told.
        """
        found: dict[str, None] = {}
        unknown: list[str] = []
        for name in names:
            try:
                found |= dict.fromkeys(self.resolve(name))
            except ProblemError:
                unknown.append(name)
        if unknown:
            words = ", ".join(map(repr, unknown))
            raise ProblemError(404, f"there is no service {words}", services=unknown, untouched=list(found))
        return tuple(found)

    def wanted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those that are to be up, or would be if they had not failed: the others are down by order, or completed."""
        services = self._driver.fleet.services
        return tuple(
            name for name in names if services[name].desired is Desired.UP or services[name].state is State.FAILED
        )

    def give(self, verb: str, names: Sequence[str]) -> dict[str, int]:
        """Give an order about these services; how often each was started before it.

        Several are stopped and restarted against the order of their needs; one alone, with all its instances, at once.

        Raises:
            ProblemError: 409, the daemon is on its way down and starts nothing; 404, there is no such service any more.
        """
        fleet = self._driver.fleet
        if verb in ("start", "restart") and not is_up(fleet):
            raise ProblemError(409, "the daemon is shutting down, and starts nothing any more")
        gone = [name for name in names if name not in fleet.services]
        if gone:
            left = [name for name in names if name not in gone]
            raise ProblemError(404, f"a reload has removed {', '.join(gone)}", services=gone, untouched=left)
        attempts = {name: fleet.services[name].attempt for name in names}
        if verb in _IN_TURN and len({fleet.specs[name].base or name for name in attempts}) > 1:
            self._driver.handle(ev.OrdersGiven(tuple(map(_IN_TURN[verb], attempts))))
        else:
            for name in attempts:
                self._driver.handle(_EVENTS[verb](name))
        return attempts

    def signal(self, names: Sequence[str], signal: int, scope: StopScope | None) -> None:
        """Send a signal to these services.

        Raises:
            ProblemError: 409, one of them has no process; nobody is sent anything.
        """
        self._need_processes(names, "signal")
        for name in names:
            self._driver.handle(ev.SignalRequested(name, signal, scope))

    def freeze(self, names: Sequence[str]) -> None:
        """Let services stand still, each with all that is in its control group.

        Raises:
            ProblemError: 409, one of them has no process, or no control group that can be frozen; those before it are.
        """
        self._need_processes(names, "freeze")
        for name in names:
            self._driver.handle(ev.FreezeRequested(name))
            if not self._driver.fleet.services[name].frozen:
                raise ProblemError(
                    409,
                    f"{name} can't be frozen: it needs a control group of its own (cgroup = true in its configuration, "
                    "where cgroup v2 can be written); STOP as a signal stops what lets itself be stopped",
                    services=[name],
                )

    def thaw(self, names: Iterable[str]) -> None:
        """Let services go on that were frozen; nothing where one is not."""
        for name in names:
            self._driver.handle(ev.ThawRequested(name))

    def _need_processes(self, names: Iterable[str], purpose: str) -> None:
        services = self._driver.fleet.services
        without = [name for name in names if services[name].pid is None]
        if without:
            raise ProblemError(409, f"there is no process to {purpose}: {', '.join(without)}", services=without)

    def scale(self, base: str, count: int) -> tuple[dict[str, int], dict[str, int]]:
        """Have another number of instances of a replicated service.

        Returns:
            What there is to wait for, as :meth:`give` returns it: those that are to be up, and those that are to go.

        Raises:
            ProblemError: 404, there is no such service; 409, it is not replicated, the daemon is on its way down, or a
                number makes an instance that is not allowed.
        """
        fleet = self._driver.fleet
        if not is_up(fleet):
            raise ProblemError(409, "the daemon is shutting down, and starts nothing any more")
        if base not in fleet.spec.templates:
            if names_of(fleet, base):
                raise ProblemError(409, f"{base} has no replicas: write replicas = 1 into its configuration first")
            raise ProblemError(404, f"there is no service {base!r}")
        before = names_of(fleet, base)
        try:
            spec = scaled(fleet.spec, base, count)
        except ConfigError as error:
            raise ProblemError(409, f"{base} can't have so many instances: {error}") from None
        present = [name for name, one in spec.services.items() if one.base == base]
        attempts = {name: fleet.services[name].attempt for name in before}
        self._driver.handle(ev.Reconfigured(spec, scaled=True))
        up = {name: attempts.get(name, 0) for name in present if name not in before}
        return up, {name: attempts[name] for name in before if name not in present}

    async def all_done(self, attempts: dict[str, dict[str, int]]) -> End:
        """Wait until some orders are carried out: what :meth:`give` returned, by the verb whose end is waited for."""
        failed = await asyncio.gather(*(self.done(verb, those) for verb, those in attempts.items()))
        return End([name for those in failed for name in those])

    def so_far(self, attempts: dict[str, dict[str, int]]) -> tuple[list[str], list[str]]:
        """Of the same those that are still under way, and those for whom it has ended otherwise."""
        verdicts = [
            (name, self._verdict(verb, name, attempt))
            for verb, those in attempts.items()
            for name, attempt in those.items()
        ]
        late = [name for name, verdict in verdicts if verdict is None]
        return late, [name for name, verdict in verdicts if verdict is False]

    async def done(self, verb: str, attempts: dict[str, int]) -> list[str]:
        """Wait until an order is carried out; those for whom it ended otherwise.

        Args:
            verb: which order.
            attempts: what :meth:`give` returned.
        """
        # each by itself: an attempt that has failed is over when the next one is under way
        done = await asyncio.gather(*(self._done(verb, name, attempt) for name, attempt in attempts.items()))
        return [name for name, is_done in zip(attempts, done, strict=True) if not is_done]

    async def _done(self, verb: str, name: str, attempt: int) -> bool:
        """Wait until one service is as ordered; false when it ended otherwise."""
        while (verdict := self._verdict(verb, name, attempt)) is not False:
            left = self._probation(verb, name) if verdict else None
            if left is not None and left <= 0:
                return True
            await self._step_of(name, left)
        return False

    def _waits_for(self, name: str) -> Service | None:
        """The service itself, or what it waits for, or what that waits for, and so on: the last of them."""
        services = self._driver.fleet.services
        while (service := services.get(name)) is not None and service.state is State.WAITING and service.need:
            name = service.need
        return service

    def _probation(self, verb: str, name: str) -> float:
        """Seconds until a service that has come up is believed to stay so."""
        service = self._driver.fleet.services.get(name)
        if verb in ("stop", "kill") or service is None or service.state is not State.RUNNING:
            return 0.0
        return service.started_at + MOMENT - time.monotonic()

    def _verdict(self, verb: str, name: str, attempt: int) -> bool | None:
        fleet = self._driver.fleet
        service = fleet.services.get(name)
        if service is None:
            return verb in ("stop", "kill")  # a reload has removed it
        if name in fleet.turns.held:
            return None
        if verb not in ("stop", "kill"):
            last = self._waits_for(name)
            # nobody can say when what it waits for will be there, as nobody can of its own next attempt
            return False if last is not None and last.state is State.BACKOFF else _verdict(verb, service, attempt)
        return False if service.desired is Desired.UP and not self.is_closing else _verdict(verb, service, attempt)

    async def _step_of(self, name: str, within: float | None) -> None:
        """Wait until a service steps, or what it waits for fails, or for so many seconds."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, set()).add(future)
        try:
            await first_done(future, within=within)
        finally:
            waiting = self._waiting.get(name, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(name, None)

    def _stepped(self, name: str, _spec: ServiceSpec | None, service: Service | None) -> None:
        self._wake(name)
        if self._waiting and service is not None and service.state is State.BACKOFF:
            for other in self._driver.fleet.graph.above(name):
                self._wake(other)

    def _wake(self, name: str) -> None:
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)


def _verdict(verb: str, service: Service, attempt: int) -> bool | None:
    """Whether the order is carried out, has ended otherwise, or (None) is under way.

    An attempt that has failed is an end, though another may follow: whoever waits wants to know, and when the next one
    is nobody says.
    """
    at_rest = service.state in AT_REST
    if verb in ("stop", "kill"):
        return True if at_rest else None
    up = service.state in (State.RUNNING, State.COMPLETED) or is_at_ease(service)
    if up and (verb == "start" or service.attempt > attempt):
        return True
    if verb == "restart" and service.attempt == attempt and (up or service.state is State.STARTING):
        return False  # it waited for its turn, and somebody has called it off
    return False if at_rest or service.state is State.BACKOFF else None
