"""From the values that the files gave to the specs the core works with; every value is right by now."""

from collections.abc import Mapping, Sequence
from typing import Any

from supervisor.config.environment import child_environment, inheritable
from supervisor.config.problems import Scope
from supervisor.config.service_kinds import SuccessStatus
from supervisor.core.spec import DEFAULT_SIGNALS, FleetSpec, LogSpec, Restart, ServiceSpec


def assemble(files: Sequence[Mapping[str, dict[Any, Any]]], scope: Scope) -> tuple[FleetSpec, LogSpec]:
    """The specs that the files make together; no two of them set the same thing.

    Args:
        files: what :data:`supervisor.config.fields.FILE` read of each.
        scope: of the load.
    """
    supervisor = _together(files, "supervisor")
    defaults = {"directory": scope.directory}
    if "stop_timeout" in supervisor:
        defaults["stop_timeout"] = supervisor.pop("stop_timeout")
    available = inheritable(scope.environ)
    given = _together(files, "services")
    main = given.get(supervisor.get("main"))
    if main is not None:
        # Its exit is to end the daemon. Restarted by default, it would do so only after its last chance.
        main.setdefault("restart", Restart.NEVER)
    services = {name: service_spec(name, {**defaults, **values}, available) for name, values in given.items()}
    signals = {**DEFAULT_SIGNALS, **_together(files, "signals")}
    log = _together(files, "log")
    if isinstance(log.get("to"), tuple):
        log["to"], log["targets"] = log["to"]
    return FleetSpec(services=services, signals=signals, **supervisor), LogSpec(**log)


def service_spec(name: str, values: dict[str, Any], available: Mapping[str, str]) -> ServiceSpec:
    """One service, of the values given for it; what is absent has the default of :class:`ServiceSpec`.

    Args:
        name: of the service.
        values: by attribute; changed.
        available: the environment it may inherit.
    """
    status: SuccessStatus | None = values.pop("success_exit_status", None)
    if status is not None:
        values.update(success_codes=status.codes, success_signals=status.signals)
    if "restart_delay" in values and "restart_max_delay" not in values:
        values["restart_max_delay"] = max(values["restart_delay"], _DEFAULT_MAX_DELAY)
    inherit = values.pop("inherit_environment", True)
    values["environment"] = child_environment(name, inherit, values.get("environment", {}), available)
    return ServiceSpec(name=name, **values)


def _together(files: Sequence[Mapping[str, dict[Any, Any]]], section: str) -> dict[Any, Any]:
    """One section of all files."""
    merged: dict[Any, Any] = {}
    for file in files:
        merged.update(file.get(section, {}))
    return merged


_DEFAULT_MAX_DELAY = ServiceSpec(name="", command=()).restart_max_delay
