"""What is said of a service to people: pure functions from what the API tells to words."""

from __future__ import annotations

from supervisor.core import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Service = dict[str, Any]

AT_REST = frozenset(state.value for state in states.AT_REST)
"""Names of the states in which nothing will happen without an order."""

STYLE = {
    "running": "good",
    "completed": "rest",
    "stopped": "rest",
    "waiting": "busy",
    "starting": "busy",
    "stopping": "busy",
    "backoff": "bad",
    "failed": "bad",
}
"""What the colour of a state means."""

_NEVER_RAN = "its process could not be started"

_REASONS = {
    "spawn-failed": _NEVER_RAN,
    "start-timeout": "it was not ready in time",
    "not-ready": "it ended before it was ready",
    "unhealthy": "its health probe failed",
    "watchdog": "its watchdog has expired",
    "need-failed": "what it needs has failed",
    "never-due": "its schedule is never due",
}
"""Reasons that say more than how the process ended."""

_LIMIT = "its restart limit is reached"


def style(service: Service) -> str:
    """Name of the style in which the state is shown."""
    if service.get("healthy") is False:
        return "bad"
    if _stands_still(service) or service["stops_after"]:
        return "busy"
    return "rest" if _is_between_runs(service) else STYLE.get(service["state"], "")


def readiness(service: Service) -> str:
    """Whether it does what it is there for: ``yes``, ``no``, ``unhealthy``, or ``-`` where nothing is wanted of it."""
    if service["state"] in AT_REST or _is_between_runs(service):
        return "-"
    if service.get("healthy") is False:
        return "unhealthy"
    return "yes" if service["ready"] and not _stands_still(service) else "no"


def _stands_still(service: Service) -> bool:
    return bool(service["frozen"] or service["suspended"])


def _is_between_runs(service: Service) -> bool:
    """Whether it is scheduled, and waits for its time."""
    return bool(service["state"] == "waiting" and not service["need"])


def why(service: Service) -> str:
    """Why it is not simply up or down as it was told; what it says about itself follows."""
    said = service.get("status_text")
    parts = [_reason(service), f'says "{said}"' if said else "", _next_run(service)]
    return "; ".join(part for part in parts if part)


def _reason(service: Service) -> str:
    state, end = service["state"], last_end(service)
    if state == "failed":
        limit = [_LIMIT] if service["reason"] == "restart-limit" else []
        return ", ".join([end, *limit] if end else limit or [service["reason"]])
    if state == "backoff":
        left = service["restart_in_s"] or 0.0
        return f"{end or service['reason']}, starts again {'in ' + duration(left) if left >= 1 else 'soon'}"
    if state == "waiting" and not _is_between_runs(service):
        return f"waits for {service['need']}"
    return _of_its_process(service)


def _of_its_process(service: Service) -> str:
    if service["frozen"]:
        return "frozen by order"
    if service["suspended"]:
        return "stopped by a signal, and waits for SIGCONT"
    if service["stops_after"]:
        return f"stops when these are down: {', '.join(service['stops_after'])}"
    if service["state"] == "starting":
        return "not ready yet"
    return "its health probe fails" if service["state"] == "running" and service.get("healthy") is False else ""


def _next_run(service: Service) -> str:
    run = service.get("next_run")
    return f"runs next at {str(run)[:19].replace('T', ' ')} UTC" if run else ""


def last_end(service: Service) -> str:
    """How its last process ended; empty where that is not known, or was no failure."""
    if service["reason"] in _REASONS:
        return _REASONS[service["reason"]]
    if service["signal_name"]:
        return f"killed by {service['signal_name']}"
    if service["exit_code"]:
        return f"exit code {service['exit_code']}"
    return _NEVER_RAN if service["reason"] == "restart-limit" and service["exit_code"] is None else ""


def duration(seconds: float | None) -> str:
    """A time in two units at most: ``4s``, ``3m12s``, ``5h04m``, ``2d7h``; ``-`` for none."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def processor_time(seconds: float | None) -> str:
    """Time of a processor, to the hundredth where there is little of it."""
    return f"{seconds:.2f}s" if seconds is not None and seconds < 60 else duration(seconds)


def size(count: int | None) -> str:
    """Bytes, as ``12.3MiB``; ``-`` for none."""
    if count is None:
        return "-"
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1000:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f}{unit}" if unit == "B" or value >= 100 else f"{value:.1f}{unit}"


def counted(listed: list[Service]) -> str:
    """How many are in which state: ``5 services: 3 running, 1 failed, 1 stopped``."""
    numbers: dict[str, int] = {}
    for service in listed:
        numbers[service["state"]] = numbers.get(service["state"], 0) + 1
    order = [*STYLE, *sorted(numbers.keys() - STYLE.keys())]
    states = ", ".join(f"{numbers[state]} {state}" for state in order if state in numbers)
    unhealthy = sum(service.get("healthy") is False for service in listed)
    noun = "service" if len(listed) == 1 else "services"
    return f"{len(listed)} {noun}: {states}" + (f"; {unhealthy} unhealthy" if unhealthy else "")
