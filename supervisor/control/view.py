"""What is told of a service: the one place that reads the core's records for clients.

The environment is not shown at all, since secrets live there.
"""

import asyncio
import time
from collections.abc import Callable
from itertools import islice

from supervisor.core.descent import Phase
from supervisor.core.fleet import Fleet
from supervisor.core.service import Service, is_at_ease
from supervisor.core.signals import signal_name
from supervisor.core.spec import Kind, ServiceSpec
from supervisor.core.states import AT_REST, Desired, State
from supervisor.core.wait_status import exit_code, term_signal
from supervisor.logs.encode import timestamp
from supervisor.runtime.usage import live_usage

View = dict[str, object]

FAULTS = ("unhealthy", "frozen", "suspended")
"""What may be wrong with a service that runs; else its state says it."""

SLICE = 25
"""Services looked at in one turn of the loop: /proc is read for each."""


def names_of(fleet: Fleet, name: str) -> tuple[str, ...]:
    """The services that a name means: itself, or every instance of a replicated service; empty when there is none."""
    if name in fleet.services:
        return (name,)
    return tuple(one for one, spec in fleet.specs.items() if spec.base == name)


def matcher_of_services(matches: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether a service is meant, by its own name or by that of the replicated service it is an instance of."""
    return lambda name: matches(name) or matches(name.partition("#")[0])


def service_view(fleet: Fleet, name: str) -> View:
    """All that clients are told of one service, which exists. Reads /proc."""
    spec, service = fleet.specs[name], fleet.services[name]
    base, _, replica = name.partition("#")
    return {
        "name": name,
        "base": base,
        "replica": int(replica) if replica.isdecimal() else None,
        "kind": spec.kind.value,
        "state": service.state.value,
        "desired": service.desired.value,
        "reason": service.reason.value,
        "need": service.need or None,
        "stops_after": _stops_after(fleet, name),
        "ready": service.state is State.RUNNING,
        "healthy": healthy_or_unknown(fleet, name),
        "pid": service.pid,
        "attempt": service.attempt,
        "restarts": max(0, service.attempt - 1),
        "restart_in_s": _restart_in(service),
        **_times(service),
        **_last_end(service),
        **_usage(service),
        "frozen": service.frozen,
        "status_text": service.status_text or None,
        "next_run": service.next_run,
        "needs": list(spec.needs),
        "command": list(spec.command),
    }


def _stops_after(fleet: Fleet, name: str) -> list[str]:
    """Those that are to be down before it is told to stop; the nearest of very many."""
    turns = fleet.turns
    return list(islice(turns.before(name), 10)) if name in turns.held else []


def _restart_in(service: Service) -> float | None:
    if service.state is not State.BACKOFF or service.deadline is None:
        return None
    return round(max(0.0, service.deadline - time.monotonic()), 6)


def _times(service: Service) -> View:
    if service.pid is None:
        return {"started_at": None, "uptime_s": None}
    uptime = max(0.0, time.monotonic() - service.started_at)
    return {"started_at": timestamp(time.time() - uptime), "uptime_s": round(uptime, 6)}


def _last_end(service: Service) -> View:
    """How its last process ended."""
    if service.status is None:
        return {"exit_code": None, "signal": None, "signal_name": None}
    signal = term_signal(service.status)
    if signal:
        return {"exit_code": None, "signal": signal, "signal_name": signal_name(signal)}
    return {"exit_code": exit_code(service.status), "signal": None, "signal_name": None}


def _usage(service: Service) -> View:
    usage = live_usage(service.pid) if service.pid is not None else None
    if usage is None:
        return {"cpu_s": None, "rss_bytes": None, "suspended": None}
    return {"cpu_s": usage[0], "rss_bytes": usage[1], "suspended": usage[2]}


def is_up(fleet: Fleet) -> bool:
    """Whether the daemon is not on its way down."""
    return fleet.phase is Phase.UP


async def not_ready(fleet: Fleet) -> dict[str, str]:
    """The services that are not as they should be, with a word that says why; in slices, for there may be many."""
    found: dict[str, str] = {}
    names = list(fleet.services)
    for start in range(0, len(names), SLICE):
        if start:
            await asyncio.sleep(0)
        those = [name for name in names[start : start + SLICE] if name in fleet.services]
        found |= {name: word for name in those if (word := _fault_now(fleet, name))}
    return found


def _fault_now(fleet: Fleet, name: str) -> str:
    service = fleet.services[name]
    runs = service.state is State.RUNNING and service.pid is not None
    usage = live_usage(service.pid) if runs and service.pid is not None else None
    return fault(fleet.specs[name], service, suspended=usage is not None and usage[2])


def fault(spec: ServiceSpec, service: Service, *, suspended: bool) -> str:
    """Why a service is not as it should be: one of :data:`FAULTS`, or its state; empty when it is.

    One that is wanted has to be running, and able to: who can't move serves nobody, whoever has ordered it. One that
    has failed counts as well, since nobody ordered that. Completed ones, and those that an order stopped, are as they
    should be.

    Args:
        spec: its settings.
        service: how it is.
        suspended: whether a signal has stopped its process.
    """
    runs = service.state is State.RUNNING
    if runs and (service.frozen or suspended):
        return "frozen" if service.frozen else "suspended"
    if runs or is_at_ease(service):
        return "" if service.healthy else "unhealthy"
    if spec.kind is Kind.SCHEDULED and service.desired is Desired.UP:
        return ""  # its runs come and go
    at_rest = service.state in AT_REST and service.state is not State.FAILED and service.desired is Desired.DOWN
    return "" if at_rest else service.state.value


def is_well(fleet: Fleet, view: View) -> bool:
    """Whether a service that was just looked at is as it should be."""
    name = str(view["name"])
    return not fault(fleet.specs[name], fleet.services[name], suspended=bool(view["suspended"]))


def has_started(fleet: Fleet) -> bool:
    """Whether all services have been up, or have ended, at one time since the daemon's start."""
    return fleet.announced


def healthy_or_unknown(fleet: Fleet, name: str) -> bool | None:
    """Whether the health probes of a service say that it is well; None where there are none, or nothing to probe."""
    service = fleet.services[name]
    return None if fleet.specs[name].health is None or service.pid is None else service.healthy
