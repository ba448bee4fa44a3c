"""Who needs whom: the graph of services, in which order they start and stop, and whether a need is met.

Needs are written between services; with replicas each instance needs every instance of the other. All functions are
iterative: a chain of ten thousand services is as good as one of two.
"""

from supervisor.core.service import Service
from supervisor.core.spec import Need, ServiceSpec, Until
from supervisor.core.states import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping


def is_met(need: Need, service: Service) -> bool:
    """Whether the needed service is as far as it has to be.

    One that has completed was started and was ready: what only had to do its work has done it.
    """
    if service.state is State.COMPLETED:
        return True
    if need.until is Until.COMPLETED:
        return False
    if need.until is Until.STARTED and service.state is State.STARTING:
        return service.pid is not None
    return service.state is State.RUNNING


class Graph:
    """The needs between instances.

    Args:
        specs: all of them.
        leaving: those that nobody else waits for any more; they themselves go before what they need.

    Attributes:
        needs: for each instance that needs something, the instances it needs.
        dependents: for each instance that is needed, who needs it, in the order of their definition.
    """

    def __init__(self, specs: "Mapping[str, ServiceSpec]", leaving: "Collection[str]" = ()) -> None:
        self.needs: dict[str, list[tuple[str, Need]]] = {}
        self.dependents: dict[str, list[tuple[str, Need]]] = {}
        if not any(spec.needs for spec in specs.values()):
            return
        instances = by_base(specs)
        for name, spec in specs.items():
            for base, need in spec.needs.items():
                for other in instances.get(base, ()):
                    if other in leaving and name not in leaving:
                        continue
                    self.needs.setdefault(name, []).append((other, need))
                    self.dependents.setdefault(other, []).append((name, need))

    def forget(self, name: str) -> None:
        """One is gone, and with it what it needed and that it was needed."""
        for here, there in ((self.needs, self.dependents), (self.dependents, self.needs)):
            for other, _ in here.pop(name, ()):
                there[other] = [edge for edge in there[other] if edge[0] != name]
                if not there[other]:
                    del there[other]

    def above(self, name: str) -> list[str]:
        """All that need this one, directly or not; nobody stands behind one that it needs."""
        return self._closure(name, self.dependents)

    def below(self, name: str) -> list[str]:
        """All that this one needs, directly or not; nobody stands before one that it needs."""
        return self._closure(name, self.needs)

    def dependents_of(self, name: str) -> "Iterator[str]":
        """The same as :meth:`above`, the nearest first, for whoever looks for one of them."""
        todo = [name]
        seen = {name}
        for here in todo:
            for other, _ in self.dependents.get(here, ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
                    yield other

    @staticmethod
    def _closure(name: str, edges: "Mapping[str, list[tuple[str, Need]]]") -> list[str]:
        """Everything that can be reached, farthest first."""
        found: list[str] = []
        seen = {name}
        todo = [(name, iter(edges.get(name, ())))]
        while todo:
            here, others = todo[-1]
            other = next((other for other, _ in others if other not in seen), None)
            if other is not None:
                seen.add(other)
                todo.append((other, iter(edges.get(other, ()))))
                continue
            todo.pop()
            found.append(here)
        return found[:-1]


def by_base(specs: "Mapping[str, ServiceSpec]") -> dict[str, list[str]]:
    """The instances by the name of their service."""
    instances: dict[str, list[str]] = {}
    for name, spec in specs.items():
        instances.setdefault(spec.base or name, []).append(name)
    return instances


def layers(needs: "Mapping[str, Iterable[str]]") -> list[list[str]]:
    """The names in the order in which they can start: each layer needs only those before it.

    Args:
        needs: for every name, what it needs; without cycles. What is no name of its own counts as there.
    """
    waiting = {name: {other for other in others if other in needs} for name, others in needs.items()}
    found: list[list[str]] = []
    while waiting:
        layer = [name for name, others in waiting.items() if not others]
        if not layer:
            raise ValueError(f"these need each other: {', '.join(waiting)}")
        for name in layer:
            del waiting[name]
        gone = set(layer)
        for others in waiting.values():
            others.difference_update(gone)
        found.append(layer)
    return found


def find_cycles(needs: "Mapping[str, Iterable[str]]") -> list[list[str]]:
    """Cycles, each as the names on it beginning with the one defined first; not two of them share a name."""
    order = {name: number for number, name in enumerate(needs)}
    done: set[str] = set()
    cycles: list[list[str]] = []
    for root in needs:
        path: list[str] = []
        on_path: set[str] = set()
        todo = [(root, iter(needs[root]))] if root not in done else []
        if todo:
            path.append(root)
            on_path.add(root)
        while todo:
            here, others = todo[-1]
            other = next((other for other in others if other in needs and other not in done), None)
            if other is None:
                todo.pop()
                path.pop()
                on_path.discard(here)
                done.add(here)
            elif other in on_path:
                cycle = path[path.index(other) :]
                first = min(range(len(cycle)), key=lambda at: order[cycle[at]])
                cycles.append(cycle[first:] + cycle[:first])
                done.update(cycle)
            else:
                path.append(other)
                on_path.add(other)
                todo.append((other, iter(needs[other])))
    return cycles
