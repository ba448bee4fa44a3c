"""Orders that are waited for: each on a connection of its own, all at once, with the events for the progress beside.

The daemon decides when an order is carried out; the events only show how far it is.
"""

from __future__ import annotations

import json
import select

from supervisor.cli import asking, words
from supervisor.cli.progress import REFRESH
from supervisor.cli.talk import FailedError
from supervisor.control.client import PATIENCE, ClientError
from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisor.cli.progress import Progress
    from supervisor.control.client import Client, Exchange

AT_ONCE = 96
"""Connections at most; the daemon has room for some hundred, for all clients."""


class Target(Record):
    """One order.

    Attributes:
        path: where it is posted to.
        names: the services that are meant by it.
        body: what is posted; None for nothing.
    """

    path: str
    names: tuple[str, ...]
    body: object = None


class Outcome(Record):
    """What came of an order to one service; ``detail`` says more.

    ``done``, ``failed``, ``late`` (not done in time), ``accepted`` (not waited for), ``skipped``, or ``untouched``
    because of another's failure.
    """

    word: str
    detail: str = ""


class Waiting:
    """Gives orders and waits for them.

    Args:
        client: asks the daemon.
        progress: is kept up to date.
        timeout: seconds for each; None for as long as it takes.

    Attributes:
        outcomes: by service, as far as they are known.
        refusals: by path, what the daemon said of orders that it did not take.
        answers: by path, what it said in the end.
    """

    def __init__(self, client: Client, progress: Progress, timeout: float | None) -> None:
        self._client = client
        self._progress = progress
        self._timeout = timeout
        self._running: dict[Exchange, Target] = {}
        self._events: Exchange | None = None
        self.outcomes: dict[str, Outcome] = {}
        self.refusals: dict[str, str] = {}
        self.answers: dict[str, Exchange] = {}

    def run(self, targets: Sequence[Target]) -> None:
        """Give these orders, and wait until each has come to an end.

        Raises:
            ClientError: the daemon is gone.
        """
        self._follow()
        todo = list(reversed(targets))
        try:
            while todo or self._running:
                while todo and len(self._running) < AT_ONCE:
                    self._begin(todo.pop())
                self._step()
        finally:
            self._progress.clear()
            for exchange in self._running:
                exchange.close()
            if self._events is not None:
                self._events.close()

    def _follow(self) -> None:
        if self._progress.is_shown:
            self._events = self._client.begin("GET", "/v1/events?follow=true")
            while not self._events.status:
                self._events.pump(PATIENCE)

    def _begin(self, target: Target) -> None:
        path = target.path + asking.query(wait=True, timeout=self._timeout)
        self._running[self._client.begin("POST", path, asking.encoded(target.body))] = target

    def _step(self) -> None:
        """Wait for news, and take them in."""
        watched = [*self._running, *([self._events] if self._events is not None else [])]
        limit = None if self._timeout is None else self._timeout + PATIENCE
        ready, _, _ = select.select(watched, [], [], REFRESH if self._progress.is_shown else limit)
        if not ready and not self._progress.is_shown:
            raise FailedError("the daemon does not answer", 69)
        for exchange in ready:
            if exchange is self._events:
                self._read_events(exchange)
            else:
                exchange.pump(0)
                if exchange.complete:
                    self._end(exchange, self._running.pop(exchange))
        self._progress.draw()

    def _read_events(self, events: Exchange) -> None:
        try:
            events.pump(0)
        except ClientError:
            self._events = None  # the orders' own connections say what there is to say
            return
        for line in events.lines():
            self._progress.event(json.loads(line))
        if events.complete:
            self._events = None

    def _end(self, exchange: Exchange, target: Target) -> None:
        exchange.close()
        self.answers[target.path] = exchange
        if exchange.status >= 400 and exchange.status != 504:
            document = asking.problem(exchange)
            if "services" not in document:
                self.refusals[target.path] = str(document.get("detail", exchange.status))
        outcomes = _outcomes(exchange, target)
        self.outcomes |= outcomes
        states = _states(exchange) if self._progress.is_shown else {}
        for name, outcome in outcomes.items():
            self._progress.done(name, outcome.word, states.get(name, ""))


def _outcomes(exchange: Exchange, target: Target) -> dict[str, Outcome]:
    """What an answer means for each of the services."""
    if exchange.status < 400:
        return dict.fromkeys(target.names, Outcome("done"))
    document = asking.problem(exchange)
    detail = str(document.get("detail", f"the daemon answers with {exchange.status}"))
    is_late = exchange.status == 504
    if "services" not in document:
        return dict.fromkeys(target.names, Outcome("late", "not in time") if is_late else Outcome("failed", detail))
    told = dict.fromkeys(document["services"], Outcome("late", "not in time") if is_late else Outcome("failed"))
    told |= {one["name"]: Outcome("failed", words.why(one)) for one in document.get("results", ())}
    told |= dict.fromkeys(document.get("untouched", ()), Outcome("untouched"))
    return {name: told.get(name, Outcome("done")) for name in target.names}


def _states(exchange: Exchange) -> dict[str, str]:
    """The states that an answer tells: its own are newer than those of events that are still under way."""
    if exchange.status >= 400:
        return {}
    told = json.loads(exchange.body)
    return {one["name"]: one["state"] for one in told.get("services", [told]) if "name" in one}
