"""``/metrics``: what the daemon has counted, in the text format of Prometheus.

The counting is done by plain integers from the daemon's start (:mod:`supervisor.runtime.counts`,
:mod:`supervisor.control.records`); prometheus_client is imported by the first scrape, and writes them down. No series
comes with time: they are bounded by the services there are, and by states, exit codes, signals and names of events.

A thousand services make ten thousand series, so they are written in batches, with a turn of the loop between two.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from supervisor.control.subject import Subject
from supervisor.control.view import healthy_or_unknown, is_up
from supervisor.core.record import Record
from supervisor.core.signals import signal_name
from supervisor.core.states import State
from supervisor.runtime.loops import without_tls
from supervisor.runtime.usage import live_usage

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_BATCH = 200
"""Series written in one turn of the loop."""

Labels = tuple[str, ...]
Sample = tuple[Labels, float]


class Family(Record):
    """One metric: its name, its kind (``gauge`` or ``counter``), what it means, its labels, and its series."""

    name: str
    kind: str
    text: str
    labels: Labels
    samples: Iterable[Sample]


class Metrics:
    """Writes down what there is at the time of a scrape."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    async def serve(self, _: Request) -> "Exposition":
        """All metrics."""
        before = time.monotonic()
        await asyncio.sleep(0)
        return Exposition(self.families(time.monotonic() - before))

    def families(self, lag: float) -> Iterator[Family]:
        """All of them, each read when its turn comes; ``lag`` is what a turn of the loop takes now, in seconds."""
        yield from self._of_the_daemon(lag)
        yield from self._of_services()

    def _of_the_daemon(self, lag: float) -> Iterator[Family]:
        about, fleet, counts = self._subject.about, self._subject.fleet, self._subject.driver.counts
        labels = ("version", "mode", "loop", "python")
        values = (about.version, about.mode, about.loop, about.python)
        yield Family("pausevisor_info", "gauge", "The daemon; always 1.", labels, [(values, 1)])
        yield _single("pausevisor_start_time_seconds", "gauge", "When the daemon started.", about.started_at)
        own = live_usage(about.pid) or (0.0, 0, False)
        yield _single("pausevisor_cpu_seconds", "counter", "CPU time of the daemon itself.", own[0])
        yield _single("pausevisor_resident_memory_bytes", "gauge", "Resident memory of the daemon itself.", own[1])
        yield _single("pausevisor_loop_lag_seconds", "gauge", "What a turn of the event loop took at the scrape.", lag)
        yield _single("pausevisor_shutting_down", "gauge", "1 on the way down.", float(not is_up(fleet)))
        states = [service.state for service in fleet.services.values()]
        samples = [((state.value,), float(states.count(state))) for state in State]
        yield Family("pausevisor_services", "gauge", "Services, by state.", ("state",), samples)
        yield _single("pausevisor_zombies_reaped", "counter", "Processes reaped, of all kinds.", counts.reaped)
        yield _single("pausevisor_orphans_exited", "counter", "Orphans that have ended.", counts.orphans)
        events = [((name,), float(count)) for name, count in sorted(self._subject.records.events.items())]
        yield Family("pausevisor_events", "counter", "Records written, by event.", ("event",), events)
        lost = [
            (key, float(count))
            for key, count in sorted(self._subject.records.lost.items())
            if not key[0] or key[0] in fleet.specs
        ]
        text = "Records and lines lost; of the log as a whole where no service is named."
        yield Family("pausevisor_log_records_lost", "counter", text, ("service", "reason"), lost)

    def _of_services(self) -> Iterator[Family]:
        fleet, counts = self._subject.fleet, self._subject.driver.counts
        one = ("service",)

        def each(kind: str, name: str, text: str, samples: Iterable[Sample], labels: Labels = one) -> Family:
            return Family(f"pausevisor_service_{name}", kind, text, labels, samples)

        services = list(fleet.services)
        yield each("gauge", "state", "1 for the state the service is in.", self._states(services), ("service", "state"))
        yield each("counter", "starts", "Starts of its program.", self._starts(services))
        yield each("counter", "restarts", "Starts but for the first.", self._restarts(services))
        yield each("gauge", "healthy", "0 when its health probes fail.", self._healthy(services))
        yield each("gauge", "uptime_seconds", "For how long its process runs.", self._uptimes(services))
        yield each("gauge", "cpu_seconds", "CPU time of its present process.", self._usages(services, 0))
        yield each("gauge", "resident_memory_bytes", "Resident memory of its process.", self._usages(services, 1))
        exits = [
            ((service, "" if code is None else str(code), "" if signal is None else signal_name(signal)), float(count))
            for (service, code, signal), count in sorted(counts.exits.items(), key=str)
            if service in fleet.specs
        ]
        yield each("counter", "exits", "Ends of its process.", exits, ("service", "exit_code", "signal"))
        for name, text, counted in (
            ("oom_kills", "Ends for want of memory.", counts.oom_kills),
            ("spawn_failures", "Starts that failed.", counts.spawn_failures),
            ("log_lines", "Lines it has written.", self._subject.tally.lines),
            ("log_bytes", "Bytes it has written.", self._subject.tally.bytes),
        ):
            samples = [((service,), float(count)) for service, count in counted.items() if service in fleet.specs]
            yield each("counter", name, text, samples)

    # -- series, read while they are written ----------------------------------------------------------------------

    def _states(self, names: list[str]) -> Iterator[Sample]:
        for name in names:
            if (service := self._subject.fleet.services.get(name)) is not None:
                for state in State:
                    yield (name, state.value), float(service.state is state)

    def _starts(self, names: list[str]) -> Iterator[Sample]:
        for name in names:
            if (service := self._subject.fleet.services.get(name)) is not None:
                yield (name,), service.attempt

    def _restarts(self, names: list[str]) -> Iterator[Sample]:
        for name in names:
            if (service := self._subject.fleet.services.get(name)) is not None:
                yield (name,), max(0, service.attempt - 1)

    def _healthy(self, names: list[str]) -> Iterator[Sample]:
        fleet = self._subject.fleet
        for name in names:
            healthy = healthy_or_unknown(fleet, name) if name in fleet.services else None
            if healthy is not None:
                yield (name,), float(healthy)

    def _uptimes(self, names: list[str]) -> Iterator[Sample]:
        now = time.monotonic()
        for name in names:
            service = self._subject.fleet.services.get(name)
            if service is not None:
                yield (name,), 0.0 if service.pid is None else max(0.0, now - service.started_at)

    def _usages(self, names: list[str], which: int) -> Iterator[Sample]:
        for name in names:
            service = self._subject.fleet.services.get(name)
            usage = live_usage(service.pid) if service is not None and service.pid is not None else None
            if usage is not None:
                yield (name,), usage[which]


class Exposition:
    """An answer in the text format."""

    def __init__(self, families: Iterator[Family]) -> None:
        self._families = families

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """The answer, by ASGI."""
        import http.server  # noqa: F401, PLC0415 - what takes long of the next import, a turn earlier

        await asyncio.sleep(0)
        with without_tls():
            from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4  # noqa: PLC0415 - by the first scrape

        await asyncio.sleep(0)
        headers = [(b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for family in self._families:
            for piece in written(family):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def written(family: Family) -> Iterator[bytes]:
    """A family in the text format, a batch of its series at a time; its head stands before the first."""
    samples = iter(family.samples)
    batch = list(islice(samples, _BATCH))
    yield _render(family, batch)
    while batch := list(islice(samples, _BATCH)):
        lines = _render(family, batch).splitlines(keepends=True)
        yield b"".join([line for line in lines if not line.startswith(b"# ")])


def _render(family: Family, samples: list[Sample]) -> bytes:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - by the first scrape
    from prometheus_client.exposition import generate_latest  # noqa: PLC0415

    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, value in samples:
        metric.add_metric(labels, value)
    return generate_latest(_Collected(metric))


class _Collected:
    """A registry of one metric."""

    def __init__(self, metric: "Metric") -> None:
        self._metric = metric

    def collect(self) -> "Iterable[Metric]":
        """See prometheus_client.Collector."""
        return (self._metric,)


def _single(name: str, kind: str, text: str, value: float) -> Family:
    return Family(name, kind, text, (), [((), value)])
