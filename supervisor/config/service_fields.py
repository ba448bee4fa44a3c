"""The keys of a service, in four groups: its life, how it is watched, what it is restricted to, and its output.

Each group is a module of its own; this one holds the first and puts them together.
"""

from __future__ import annotations

from supervisor.config.destinations import check_replicas
from supervisor.config.isolation_fields import ISOLATION
from supervisor.config.kinds import Choice, Count, Flag, Path, Text, VariableName
from supervisor.config.output_fields import OUTPUT
from supervisor.config.problems import Place
from supervisor.config.schedule_kind import SCHEDULE
from supervisor.config.service_kinds import Command, Needs, SuccessStatuses
from supervisor.config.shapes import ByType, Field, ListOf, Map, Table
from supervisor.config.signal_names import Signal
from supervisor.config.units import Duration
from supervisor.config.watch_fields import WATCHING
from supervisor.core.signals import CATCHABLE, SIGKILL, SIGSTOP
from supervisor.core.spec import Kind, Restart, RestartLimit, StopScope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def _delays_fit(values: Mapping[str, Any], at: Place) -> None:
    """A delay that doubles up to less than itself is a slip."""
    delay, most = values.get("restart_delay"), values.get("restart_max_delay")
    if delay is not None and most is not None and most < delay:
        at.inside("restart-max-delay").refuse("shorter than restart-delay; allowed: as long, or longer")


_STOP_SIGNAL = Signal(CATCHABLE | {SIGKILL}, {SIGSTOP: "cannot end a process; allowed: any other signal"})
_RELOAD_SIGNAL = Signal(
    CATCHABLE,
    dict.fromkeys((SIGKILL, SIGSTOP), "cannot be handled; allowed: a signal that a program can handle"),
)
_RESTART_LIMIT = '"none", or a table such as { count = 5, within = "60s" }'

LIFE = (
    Field(
        "command",
        Command(),
        "The program and its arguments: a list, or one string split into words as a shell does it, "
        "but not run by one. Variables are put in.",
        required=True,
    ),
    Field("kind", Choice.of(Kind), "Whether it runs until told to end, once, or by a schedule.", "service"),
    Field(
        "schedule",
        SCHEDULE,
        "When a scheduled service runs: fields of crontab(5), or a table with cron, timezone, overlap, jitter, "
        "start-deadline.",
    ),
    Field(
        "needs",
        Needs(),
        "The services that have to be there first: a list of names, or a table of names with started, ready or "
        "completed.",
    ),
    Field("replicas", Count(1, 1000), "How many instances run, called NAME#1 and so on; one called NAME when absent."),
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
    Field("reload-signal", _RELOAD_SIGNAL, "The signal that its process gets at each reload, to reload as well."),
)
"""What runs, when it is started again, and how it is stopped."""


def _check(values: Mapping[str, Any], at: Place) -> None:
    _delays_fit(values, at)
    check_replicas(values, at)


SERVICE: Table[dict[str, Any]] = Table((*LIFE, *WATCHING, *ISOLATION, *OUTPUT), dict, check=_check)
