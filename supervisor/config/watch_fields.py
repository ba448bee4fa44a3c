"""The keys of a service about how it is: readiness, health, watchdog."""

from __future__ import annotations

from supervisor.config.kinds import Choice, Count, Path
from supervisor.config.problems import Place
from supervisor.config.service_kinds import Command
from supervisor.config.shapes import Field
from supervisor.config.units import Duration
from supervisor.config.watch_kinds import Descriptor, HostPort, Limit, Pattern, ProbeTable, Url, Yes
from supervisor.core.spec import (
    CommandProbe,
    FdProbe,
    FileProbe,
    Health,
    HealthAction,
    HttpProbe,
    LogProbe,
    NotifyProbe,
    Output,
    Probe,
    Ready,
    TcpProbe,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

DEFAULT_START_TIMEOUT = 60.0
"""Seconds that a service with ``ready`` may take to become so, unless it says otherwise."""

_MADE_OF: dict[str, Callable[[Any], Probe]] = {
    "notify": lambda _: NotifyProbe(),
    "fd": FdProbe,
    "tcp": lambda address: TcpProbe(address.host, address.port),
    "http": lambda target: HttpProbe(target.host, target.port, target.path),
    "command": CommandProbe,
    "log": LogProbe,
    "file": FileProbe,
}


def _probed(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the one probe among them made into what it is."""
    (key,) = _MADE_OF.keys() & values.keys()
    probe = _MADE_OF[key](values.pop(key))
    return {**values, "probe": probe}


def _ready(**values: Any) -> Ready:
    return Ready(**_probed(values))


def _health(**values: Any) -> Health:
    return Health(**_probed(values))


_ASKED = (
    Field("tcp", HostPort(), "Well when a connection can be made. Variables are put in."),
    Field("http", Url(), "Well when a GET is answered with a status from 200 to 399. Variables are put in."),
    Field("command", Command(), "Well when it exits with 0; it runs as the service does. Variables are put in."),
    Field("file", Path(), "Well when it exists. Variables are put in."),
)
_TOLD = (
    Field("notify", Yes(), "Ready when the service says READY=1, sd_notify(3)."),
    Field("fd", Descriptor(), "Ready when the service writes a line to this descriptor."),
    Field("log", Pattern(), "Ready when this is found in a line of its output."),
)

READY = ProbeTable(
    (*_TOLD, *_ASKED),
    (
        Field("interval", Duration(zero=False), "The longest wait between two tries.", "500ms"),
        Field("timeout", Duration(zero=False), "How long one try may take.", "1s"),
    ),
    _ready,
    told=frozenset(field.key for field in _TOLD),
)

HEALTH = ProbeTable(
    _ASKED,
    (
        Field("interval", Duration(zero=False), "The wait from the end of one probe to the next.", "10s"),
        Field("timeout", Duration(zero=False), "How long one probe may take.", "1s"),
        Field("failures", Count(1, 1_000_000), "So many in a row, and the service is unhealthy.", 3),
        Field("action", Choice.of(HealthAction), "What follows: a restart, or a record.", "restart"),
    ),
    _health,
    told=frozenset(),
)

WATCHING: tuple[Field, ...] = (
    Field(
        "ready",
        READY,
        "How the service tells that it is ready, or is asked: exactly one of notify, fd, log, tcp, http, command, "
        "file. When absent, it is ready as soon as it runs.",
    ),
    Field(
        "start-timeout",
        Limit(),
        'How long it may take to become ready, and a task to end, or "none"; when absent, 60s with ready.',
    ),
    Field(
        "health",
        HEALTH,
        "How it is watched while it runs: exactly one of tcp, http, command, file.",
    ),
    Field(
        "watchdog",
        Duration(zero=False),
        "How often it has to say that it is alive (WATCHDOG=1, sd_notify(3)); when absent, it need not.",
    ),
)


def check_watching(values: Mapping[str, Any], at: Place) -> None:
    """Note what the keys of a service have to agree on: lines that nobody reads can't be searched."""
    ready: Ready | None = values.get("ready")
    if ready is None or not isinstance(ready.probe, LogProbe):
        return
    unread = {Output.INHERIT, Output.NULL}
    if values.get("stdout") in unread and values.get("stderr") in unread:
        at.inside("ready").inside("log").refuse('no line of the service is read; allowed with stdout or stderr = "log"')


def with_start_timeout(values: dict[str, Any]) -> None:
    """Put in the limit of a service that has to become ready and says nothing of it."""
    if "ready" in values:
        values.setdefault("start_timeout", DEFAULT_START_TIMEOUT)
