"""The file format: every table and every key, in one place.

A key is a row: its name, what it may hold, what it means, and its default as a file would write it. The reader and
the JSON Schema both come from here, and a test holds the defaults against those of :mod:`supervisor.core.spec`.
"""

from collections.abc import Mapping
from typing import Any

from supervisor.config.kinds import Choice, Count, Flag, Path, ServiceName, ServiceReference, Text, VariableName
from supervisor.config.problems import Place
from supervisor.config.service_kinds import Command, SuccessStatuses
from supervisor.config.shapes import ByType, Field, ListOf, Map, Table
from supervisor.config.signal_names import Signal
from supervisor.config.units import Duration, Size
from supervisor.core.signals import CATCHABLE, FORWARDABLE, SIGCHLD, SIGKILL, SIGSTOP
from supervisor.core.spec import (
    Forward,
    Ignore,
    OnFailure,
    Output,
    Reload,
    Restart,
    RestartLimit,
    Shutdown,
    StopScope,
    WhenDone,
)


def _delays_fit(values: Mapping[str, Any], at: Place) -> None:
    """A delay that doubles up to less than itself is a slip."""
    delay, most = values.get("restart_delay"), values.get("restart_max_delay")
    if delay is not None and most is not None and most < delay:
        at.inside("restart-max-delay").refuse("shorter than restart-delay; allowed: as long, or longer")


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
_STOP_SIGNAL = Signal(CATCHABLE | {SIGKILL}, {SIGSTOP: "cannot end a process; allowed: any other signal"})
_RESTART_LIMIT = '"none", or a table such as { count = 5, within = "60s" }'
_ACTION = 'shutdown, reload, ignore, forward, or a table such as { forward = "SIGUSR2", services = ["web"] }'
_OUTPUT = Choice.of(Output)

ACTION = ByType(
    {
        str: Choice(
            {"shutdown": Shutdown(), "reload": Reload(), "ignore": Ignore(), "forward": Forward()}, allowed=_ACTION
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
    ),
    dict,
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
            Choice({level: level for level in ("debug", "info", "warning", "error", "critical")}),
            "The least level that is written.",
            "info",
        ),
        Field(
            "to",
            Path(words=("stdout", "stderr")),
            "Where records go: stdout, stderr, or the path of a file. Variables are put in.",
            "stdout",
        ),
        Field(
            "max-record",
            Size((256, "256B"), (2**20, "1MiB")),
            "The longest record; a longer message is split into several.",
            "16KiB",
        ),
    ),
    dict,
)

SERVICE: Table[dict[str, Any]] = Table(
    (
        Field(
            "command",
            Command(),
            "The program and its arguments: a list, or one string split into words as a shell does it, "
            "but not run by one. Variables are put in.",
            required=True,
        ),
        Field(
            "directory",
            Path(),
            "The working directory; when absent, the one the daemon was started in. Variables are put in.",
        ),
        Field(
            "environment",
            Map(VariableName(), Text(expanded=True)),
            "Environment variables, beside those inherited and before them. Variables are put in.",
        ),
        Field(
            "inherit-environment",
            ByType(
                {bool: Flag(), list: ListOf(Text(empty=False), "a list of names and globs")},
                'true, false, or a list of names and globs such as ["LANG", "APP_*"]',
            ),
            "What is passed on of the environment the daemon was given: all, nothing, or what the names match.",
            default=True,
        ),
        Field("restart", Choice.of(Restart), "When the service is started again after it ended.", "on-failure"),
        Field("restart-delay", Duration(), "The wait before the first restart; it doubles with each one.", "200ms"),
        Field(
            "restart-max-delay",
            Duration(),
            "The longest wait before a restart; when absent, no shorter than restart-delay.",
            "30s",
        ),
        Field("restart-reset-after", Duration(), "After this long up, the wait is restart-delay again.", "10s"),
        Field(
            "restart-limit",
            ByType(
                {
                    str: Choice({"none": None}, allowed=_RESTART_LIMIT),
                    dict: Table(
                        (
                            Field("count", Count(1, 1_000_000), "How many restarts.", 5),
                            Field("within", Duration(zero=False), "In any time of this length.", "60s"),
                        ),
                        RestartLimit,
                    ),
                },
                _RESTART_LIMIT,
            ),
            "How many restarts in how much time; with one more the service has failed for good.",
            {"count": 5, "within": "60s"},
        ),
        Field(
            "success-exit-status",
            SuccessStatuses(),
            "The exit codes and the deaths by signal that are no failure; the list is complete, 0 included.",
            [0],
        ),
        Field(
            "stop-signal",
            _STOP_SIGNAL,
            "The signal that asks the service to stop; when absent, the one the daemon was sent (TERM or INT).",
        ),
        Field(
            "stop-scope",
            Choice.of(StopScope),
            "Whom it reaches: the process, its group, or its descendants outside the group as well.",
            "group",
        ),
        Field(
            "stop-timeout",
            Duration(),
            "How long it may take to stop before it is killed, 0s for at once; when absent, that of [supervisor].",
        ),
        Field("stdout", _OUTPUT, "Where its output goes: to the log, where the daemon's goes, or nowhere.", "log"),
        Field("stderr", _OUTPUT, "Where its errors go: to the log, where the daemon's go, or nowhere.", "log"),
    ),
    dict,
    check=_delays_fit,
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
