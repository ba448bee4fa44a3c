"""From the values that the files gave to the specs the core works with; every value is right by now."""

from __future__ import annotations

from supervisor.config.control_fields import control_spec
from supervisor.config.environment import child_environment, explicit_names, inheritable
from supervisor.config.isolation_fields import gather
from supervisor.config.problems import Scope
from supervisor.config.replicas import VARIABLE as REPLICA
from supervisor.config.replicas import instance_name
from supervisor.config.schedule_kind import schedule
from supervisor.config.service_kinds import SuccessStatus
from supervisor.config.watch_fields import with_start_timeout
from supervisor.core.record import replace
from supervisor.core.spec import DEFAULT_SIGNALS, ControlSpec, FleetSpec, LogSpec, Restart, ServiceSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Readers = Mapping[str, Callable[[int], dict[str, Any]]]
    """By the name of a replicated service, what reads the values of an instance."""


def assemble(
    files: Sequence[Mapping[str, dict[Any, Any]]], scope: Scope, environ: Mapping[str, str], readers: Readers
) -> tuple[FleetSpec, LogSpec, ControlSpec]:
    """The specs that the files make together; no two of them set the same thing.

    Args:
        files: what :data:`supervisor.config.fields.FILE` read of each.
        scope: of the load.
        environ: the environment the daemon was given, for services to inherit.
        readers: for the instances of replicated services.

    Raises:
        ConfigError: an instance's number makes a value that is not allowed.
    """
    supervisor = _together(files, "supervisor")
    control = control_spec(supervisor)
    defaults = {"directory": scope.directory}
    if "stop_timeout" in supervisor:
        defaults["stop_timeout"] = supervisor.pop("stop_timeout")
    available = inheritable(environ)
    given = _together(files, "services")
    main = given.get(supervisor.get("main"))
    if main is not None:
        # Its exit is to end the daemon. Restarted by default, it would do so only after its last chance.
        main.setdefault("restart", Restart.NEVER)
    templates = {name: _template(name, read, defaults, available) for name, read in readers.items()}
    services: dict[str, ServiceSpec] = {}
    for name, values in given.items():
        if name in templates:
            instances = (templates[name](number) for number in range(1, values["replicas"] + 1))
            services.update((spec.name, spec) for spec in instances)
        else:
            services[name] = service_spec(name, {**defaults, **values}, available)
    signals = {**DEFAULT_SIGNALS, **_together(files, "signals")}
    fleet = FleetSpec(services=services, templates=templates, signals=signals, **supervisor)
    log = _together(files, "log")
    if isinstance(log.get("to"), tuple):
        log["to"], log["targets"] = log["to"]
    return fleet, LogSpec(**log), control


def _template(
    name: str, read: Callable[[int], dict[str, Any]], defaults: Mapping[str, Any], available: Mapping[str, str]
) -> Callable[[int], ServiceSpec]:
    """What makes the spec of an instance."""

    def instance(number: int) -> ServiceSpec:
        values = {**defaults, **read(number)}
        del values["replicas"]
        spec = service_spec(instance_name(name, number), values, available)
        return replace(spec, base=name, environment={**spec.environment, REPLICA: str(number)})

    return instance


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
    if "schedule" in values:
        values["schedule"] = schedule(values["schedule"])
        # the next run comes anyway
        values.setdefault("restart", Restart.NEVER)
    if "restart_delay" in values and "restart_max_delay" not in values:
        values["restart_max_delay"] = max(values["restart_delay"], _DEFAULT_MAX_DELAY)
    with_start_timeout(values)
    inherit = values.pop("inherit_environment", True)
    given = values.get("environment", {})
    values["environment"] = child_environment(name, inherit, given, available)
    values["explicit"] = explicit_names(given)
    gather(values)
    return ServiceSpec(name=name, **values)


def _together(files: Sequence[Mapping[str, dict[Any, Any]]], section: str) -> dict[Any, Any]:
    """One section of all files."""
    merged: dict[Any, Any] = {}
    for file in files:
        merged.update(file.get(section, {}))
    return merged


_DEFAULT_MAX_DELAY = ServiceSpec(name="", command=()).restart_max_delay
