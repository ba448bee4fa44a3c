"""What a new configuration would change: which services, by which keys, and what has to be done about each.

The one table that says which change needs a restart is here.
"""

from supervisor.core.light import Enum
from supervisor.core.record import Record
from supervisor.core.spec import ControlSpec, FleetSpec, LogSpec, Output, ServiceSpec


class Action(Enum):
    """What a changed service needs."""

    RESTART = "restart"
    """The process was started in another way than is wanted now."""
    SIGNAL = "signal"
    """The process can take it over by itself, when it is told."""
    NONE = "none"
    """It is the daemon that does something else from now on; the process goes on."""


class ServiceChange(Record):
    """How one service changes: the keys as the configuration writes them, in order."""

    keys: tuple[str, ...]
    action: Action


class Changes(Record):
    """All that differs between what is in force and what is wanted, services in the order of their definition.

    Attributes:
        signalled: services that do not change, but get their reload-signal.
        settings: keys of the daemon's own that differ; they are in force at once.
        at_start: keys that differ as well, of what is opened at the start: they are in force after the next one.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: dict[str, ServiceChange] = {}  # noqa: RUF012 - copied for each record
    signalled: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    at_start: tuple[str, ...] = ()


_LOG_AT_ONCE = frozenset({"level", "redact"})
"""Fields of the log that can be changed while it is open."""

_KEYS = {
    "explicit": "environment",
    "success_codes": "success-exit-status",
    "success_signals": "success-exit-status",
}
"""Fields of a spec whose key is not their own name."""

_OPENED = {
    "targets": "to",
    "socket": "control",
    "group": "control-group",
    "listen": "listen",
    "token_file": "listen-token-file",
    "health": "listen-health",
}
"""The same of what is opened at the start."""

_WITHOUT_RESTART = frozenset(
    "needs start_timeout health watchdog restart restart_delay restart_max_delay restart_reset_after restart_limit "
    "success_codes success_signals stop_signal stop_scope stop_timeout reload_signal schedule log".split()
)
"""Fields of a service that the daemon heeds, and its process does not: their change asks nothing of the process."""

_OUTPUT = frozenset({"stdout", "stderr", "log"})
"""Fields that say what becomes of its lines."""


def changes(settings: FleetSpec, present: dict[str, ServiceSpec], wanted: FleetSpec) -> Changes:
    """What would change.

    Args:
        settings: the daemon's own settings that are in force.
        present: the services there are.
        wanted: the new configuration.
    """
    new = wanted.services
    return Changes(
        added=tuple(name for name in new if name not in present),
        removed=tuple(name for name in present if name not in new),
        changed={
            name: _service_change(present[name], spec)
            for name, spec in new.items()
            if name in present and present[name] != spec
        },
        signalled=tuple(
            name for name, spec in new.items() if spec.reload_signal is not None and present.get(name) == spec
        ),
        settings=tuple(_key(field) for field in _differing(settings, wanted) if field not in ("services", "templates")),
    )


def keys_at_start(log: LogSpec, new_log: LogSpec, control: ControlSpec, new_control: ControlSpec) -> tuple[str, ...]:
    """Keys of the log and of the control sockets that differ, and that no reload changes."""
    differing = [field for field in _differing(log, new_log) if field not in _LOG_AT_ONCE]
    keys = [f"log.{_OPENED.get(field) or _key(field)}" for field in differing]
    keys += [_OPENED[field] for field in _differing(control, new_control)]
    return tuple(dict.fromkeys(keys))


def keys_of_log(log: LogSpec, new_log: LogSpec) -> tuple[str, ...]:
    """Keys of the log that differ, and that are in force at once."""
    return tuple(f"log.{_key(field)}" for field in _differing(log, new_log) if field in _LOG_AT_ONCE)


def needs_restart(old: ServiceSpec, new: ServiceSpec) -> bool:
    """Whether a process that was started by the old spec has to be started again to be as the new one wants it."""
    return any(field not in _WITHOUT_RESTART and not _keeps_pipe(field, old, new) for field in _differing(old, new))


def changes_output(old: ServiceSpec, new: ServiceSpec) -> bool:
    """Whether other things become of the lines, for a process that goes on."""
    return bool(_OUTPUT.intersection(_differing(old, new)))


def _service_change(old: ServiceSpec, new: ServiceSpec) -> ServiceChange:
    fields = _differing(old, new)
    action = Action.NONE if new.reload_signal is None else Action.SIGNAL
    action = Action.RESTART if needs_restart(old, new) else action
    return ServiceChange(tuple(dict.fromkeys(map(_key, fields))), action)


def _keeps_pipe(field: str, old: ServiceSpec, new: ServiceSpec) -> bool:
    """Whether it is a stream of which the process notices nothing: a pipe to us, whose lines go somewhere else."""
    return field in _OUTPUT and not any(getattr(spec, field) in (Output.INHERIT, Output.NULL) for spec in (old, new))


def _differing(old: Record, new: Record) -> list[str]:
    fields: tuple[str, ...] = old.__match_args__
    return [field for field in fields if getattr(old, field) != getattr(new, field)]


def _key(field: str) -> str:
    return _KEYS.get(field, field.replace("_", "-"))
