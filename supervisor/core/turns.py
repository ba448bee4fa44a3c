"""Orders to stop or restart several services: each is told when its turn has come, against the order of needs.

Nobody is told before those that need it and are about to stop as well, be it by way of services that are not meant.
So at any time there are those that were told, which are ``stopping``, and those that wait for them, which are held here
and go on meanwhile. What is held counts as not there for whoever needs it, so a restart comes up in the order of needs
as everything else does. An order to one service is no matter of this: it is carried out at once, and goes before.
"""

from supervisor.core import events as ev
from supervisor.core.light import deque
from supervisor.core.states import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from supervisor.core.effects import Effect
    from supervisor.core.fleet import Fleet

    Order = ev.StopRequested | ev.RestartRequested


class Turns:
    """Those that wait for their turn.

    Args:
        fleet: all services.
        carry_out: lets a service take an order whose turn has come.

    Attributes:
        held: the orders that wait, by service.
    """

    def __init__(self, fleet: "Fleet", carry_out: "Callable[[Order, float], list[Effect]]") -> None:
        self._fleet = fleet
        self._carry_out = carry_out
        self.held: dict[str, Order] = {}

    def before(self, name: str) -> "Iterator[str]":
        """Those that need it, directly or not, and are stopping or about to; the nearest first."""
        services = self._fleet.services
        above = self._fleet.graph.dependents_of(name)
        return (other for other in above if other in self.held or services[other].state is State.STOPPING)

    def give(self, orders: "Iterable[Order]", now: float) -> "list[Effect]":
        """Orders about several services, which exist; what a reload has removed does not come back for one."""
        removed = self._fleet.removed
        taken = [one for one in orders if isinstance(one, ev.StopRequested) or one.service not in removed]
        self.held |= {one.service: one for one in taken}
        return self.go_on(list(self.held), now)

    def go_on(self, names: "Iterable[str]", now: float) -> "list[Effect]":
        """Carry out what nobody holds up any more, of these services and of those that they need."""
        effects: list[Effect] = []
        fresh = list(names)
        while fresh and self.held:
            fresh, more = self._look_below(fresh, now)
            effects += more
        return effects

    def _look_below(self, names: "Iterable[str]", now: float) -> "tuple[list[str], list[Effect]]":
        """One look at each of those that these need: who was told, below whom others may be free since we looked."""
        effects: list[Effect] = []
        told: list[str] = []
        todo = deque(names)
        seen: set[str] = set()
        while todo:
            name = todo.popleft()
            order = self.held.get(name)
            if order is not None:
                if not self._is_due(order):
                    continue
                self.call_off(name)
                effects += self._carry_out(order, now)
                told.append(name)
            service = self._fleet.services.get(name)
            if name not in seen and service is not None and service.state is not State.STOPPING:
                seen.add(name)
                todo.extend(other for other, _ in self._fleet.graph.needs.get(name, ()))
        return told, effects

    def _is_due(self, order: "Order") -> bool:
        """Whether its turn has come; what has no process is stopped by saying so, which is no matter of order."""
        is_down = isinstance(order, ev.StopRequested) and self._fleet.services[order.service].pid is None
        return is_down or next(self.before(order.service), None) is None

    def call_off(self, name: str) -> None:
        """It is held no more: its turn has come, or another order goes before."""
        if self.held.pop(name, None) is not None:
            self._fleet.looked_at_again(name)
