"""What the tests of transitions share: a service in a state, and what it is after some events."""

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.service import Context, Service
from supervisor.core.spec import ServiceSpec
from supervisor.core.states import AT_REST, HAS_PROCESS, Desired, State
from supervisor.core.table import step

NOW = 100.0


def service_in(state: State) -> Service:
    """A service as it is found in that state."""
    up = state not in AT_REST and state is not State.STOPPING
    return Service(
        state=state,
        desired=Desired.UP if up else Desired.DOWN,
        pid=7 if state in HAS_PROCESS else None,
        attempt=0 if state is State.STOPPED else 1,
        deadline=50.0 if state in (State.STOPPING, State.BACKOFF) else None,
        need="db" if state is State.WAITING else "",
    )


class Life:
    """One service that lives through events.

    Attributes:
        now: monotonic time of the next event.
        effects: all that was ordered so far.
    """

    def __init__(self, spec: ServiceSpec, service: Service | None = None) -> None:
        self.spec = spec
        self.service = Service() if service is None else service
        self.now = NOW
        self.missing = ""
        self.closing = False
        self.effects: list[fx.Effect] = []
        self._pid = 6

    def send(self, *events: ev.ServiceEvent) -> "Life":
        """Step, and spawn where that is ordered."""
        for event in events:
            context = Context(self.spec, self.now, closing=self.closing, missing=self.missing)
            self.service, effects = step(context, self.service, event)
            self.effects += effects
            if any(isinstance(effect, fx.Spawn) for effect in effects):
                self._pid += 1
                self.send(ev.ProcessSpawned(self.spec.name, self._pid))
        return self

    def start(self) -> "Life":
        """Order the start."""
        return self.send(ev.StartRequested(self.spec.name))

    def exits(self, status: int = 0) -> "Life":
        """The process ends."""
        return self.send(ev.ProcessExited(self.spec.name, status))

    def wait(self) -> "Life":
        """Let its deadline come."""
        assert self.service.deadline is not None
        self.now = self.service.deadline
        return self.send(ev.DeadlinePassed(self.spec.name))

    def says(self, **fields: object) -> "Life":
        """A message to the notification socket."""
        assert self.service.pid is not None
        return self.send(ev.Notified(self.spec.name, self.service.pid, **fields))  # type: ignore[arg-type]

    @property
    def state(self) -> State:
        """Where it is."""
        return self.service.state

    def signals(self) -> list[int]:
        """Signals it was sent."""
        return [effect.signal for effect in self.effects if isinstance(effect, fx.SendSignal)]

    def reports(self, event: str) -> list[dict[str, object]]:
        """Fields of the records of one kind."""
        return [r.fields for r in self.effects if isinstance(r, fx.Report) and r.event == event]
