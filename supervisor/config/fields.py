"""The file format: every table and every key, in one place.

A key is a row: its name, what it may hold, what it means, and its default as a file would write it. The reader and
the JSON Schema both come from here, and a test holds the defaults against those of :mod:`supervisor.core.spec`.
"""

from __future__ import annotations

from supervisor.config.control_fields import CONTROL_FIELDS, check_control
from supervisor.config.destinations import LogOutput
from supervisor.config.kinds import Choice, Flag, OptionalPath, ServiceName, ServiceReference
from supervisor.config.output_fields import LEVELS
from supervisor.config.patterns import Pattern
from supervisor.config.service_fields import SERVICE
from supervisor.config.shapes import ByType, Field, ListOf, Map, Table
from supervisor.config.signal_names import Signal
from supervisor.config.units import Duration, Size
from supervisor.core.signals import CATCHABLE, FORWARDABLE, SIGCHLD, SIGKILL, SIGSTOP
from supervisor.core.spec import (
    Forward,
    Ignore,
    OnFailure,
    Reload,
    ReopenLogs,
    Shutdown,
    WhenDone,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _forward(signal: int, services: tuple[str, ...] | None = None) -> Forward:
    """The action of a table; a service named twice gets the signal once."""
    return Forward(signal, None if services is None else tuple(dict.fromkeys(services)))


_SIGNAL = Signal(CATCHABLE | {SIGKILL, SIGSTOP}, {})
_HANDLED = Signal(
    FORWARDABLE,
    {
        SIGKILL: "cannot be handled by any process",
        SIGSTOP: "cannot be handled by any process",
        SIGCHLD: "cannot be configured: by it the daemon learns of its children",
    },
)
_ACTION = (
    'shutdown, reload, reopen-logs, ignore, forward, or a table such as { forward = "SIGUSR2", services = ["web"] }'
)

ACTION = ByType(
    {
        str: Choice(
            {
                "shutdown": Shutdown(),
                "reload": Reload(),
                "reopen-logs": ReopenLogs(),
                "ignore": Ignore(),
                "forward": Forward(),
            },
            allowed=_ACTION,
        ),
        dict: Table(
            (
                Field("forward", _SIGNAL, "The signal to send.", required=True, attribute="signal"),
                Field(
                    "services",
                    ListOf(ServiceReference(), "a list of names of services", empty=False),
                    "The services to send it to; all when absent.",
                ),
            ),
            _forward,
        ),
    },
    _ACTION,
)

SUPERVISOR: Table[dict[str, Any]] = Table(
    (
        Field("main", ServiceReference(), "The service whose exit ends the daemon, and with which status."),
        Field(
            "on-failure",
            Choice.of(OnFailure),
            "What a service that failed for good does: end the daemon with its status, or nothing.",
            "shutdown",
        ),
        Field(
            "when-done",
            Choice.of(WhenDone),
            "What the daemon does when every service has finished: exit, or pause and go on reaping.",
            "exit",
        ),
        Field(
            "stop-timeout",
            Duration(),
            "How long a service may take to stop before it is killed, unless it has a stop-timeout of its own.",
            "8s",
        ),
        Field("shutdown-timeout", Duration(), "How long the whole shutdown may take before the rest is killed.", "9s"),
        Field("drain-delay", Duration(), "How long a shutdown waits before it stops the first service.", "0s"),
        Field("watch-config", Flag(), "Whether to reload when a file of the configuration changes.", default=False),
        *CONTROL_FIELDS,
        Field(
            "termination-message-path",
            OptionalPath(),
            "The file that Kubernetes reads the reason of the end from, empty for none; when absent, "
            "/dev/termination-log where that exists.",
        ),
    ),
    dict,
    check=check_control,
)

LOG: Table[dict[str, Any]] = Table(
    (
        Field(
            "format",
            Choice({"json": "json", "logfmt": "logfmt", "console": "console"}),
            "How records look; when absent, console on a terminal and json elsewhere.",
        ),
        Field(
            "level",
            Choice({level: level for level in LEVELS}),
            "The least level that is written.",
            "info",
        ),
        Field(
            "to",
            LogOutput(),
            "Where records go: stdout, stderr, the path of a file, a table, or a list of these. Variables are put in.",
            "stdout",
        ),
        Field(
            "max-record",
            Size((256, "256B"), (2**20, "1MiB")),
            "The longest record; a longer message is split into several.",
            "16KiB",
        ),
        Field(
            "schema",
            Choice({schema: schema for schema in ("native", "ecs", "otel", "gcp")}),
            "The names of fields in json: our own, Elastic Common Schema, OpenTelemetry, or Google Cloud Logging.",
            "native",
        ),
        Field(
            "redact",
            ListOf(Pattern(matches_nothing=False), "a list of regular expressions"),
            "What matches one of these is replaced in every line and every record.",
        ),
    ),
    dict,
)

FILE: Table[dict[str, Any]] = Table(
    (
        Field("supervisor", SUPERVISOR, "Settings of the daemon itself."),
        Field("signals", Map(_HANDLED, ACTION), "What a signal to the daemon does, by the signal's name."),
        Field("log", LOG, "Where the daemon's records go, and how they look."),
        Field("services", Map(ServiceName(), SERVICE), "The services, by name."),
    ),
    dict,
)
"""A whole file."""


def homes() -> dict[str, str]:
    """For every key of a table of the top level, where it belongs."""
    places: dict[str, str] = {}
    for header, table in (("[supervisor]", SUPERVISOR), ("[log]", LOG), ("[services.NAME]", SERVICE)):
        for key in table.fields:
            places[key] = f"{places[key]} or {header}" if key in places else header
    return places
