"""A new configuration in the place of the old: only what changed is touched."""

from supervisor.core import events as ev
from supervisor.core.descent import Phase
from supervisor.core.effects import ChangeOutput, Effect, Report
from supervisor.core.plan import changes_output, needs_restart
from supervisor.core.record import replace
from supervisor.core.spec import FleetSpec, ServiceSpec
from supervisor.core.states import Desired, Reason, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.fleet import Fleet


def compare(old: dict[str, ServiceSpec], new: dict[str, ServiceSpec]) -> tuple[list[str], list[str], list[str]]:
    """Names of the services that were added, changed and removed, in the order of their definition."""
    added = [name for name in new if name not in old]
    changed = [name for name in new if name in old and new[name] != old[name]]
    removed = [name for name in old if name not in new]
    return added, changed, removed


def scaled(spec: FleetSpec, base: str, count: int) -> FleetSpec:
    """The same with another number of instances of a replicated service; those that stay are the same.

    Raises:
        KeyError: there is no replicated service of this name.
    """
    template = spec.templates[base]
    services: dict[str, ServiceSpec] = {}
    instances = [template(number) for number in range(1, count + 1)]
    for name, service in spec.services.items():
        if service.base != base:
            services[name] = service
        elif instances:
            # the first of the old ones holds the place of all the new ones
            services.update((instance.name, spec.services.get(instance.name, instance)) for instance in instances)
            instances = []
    services.update((instance.name, instance) for instance in instances)
    return replace(spec, services=services)


def reconfigure(fleet: "Fleet", event: ev.Reconfigured, now: float) -> list[Effect]:
    """Stop what is gone, restart what changed, start what is new; others keep their process."""
    if fleet.phase is not Phase.UP:
        return []
    spec = event.spec
    added, changed, gone = compare(fleet.specs, spec.services)
    removed = [name for name in gone if name not in fleet.removed]
    back = fleet.removed.intersection(spec.services)
    present = {name: service.pid for name, service in fleet.services.items()}
    output = _change_output(fleet, changed, spec)
    # removed by one reload and back by the next, before it was down
    fleet.removed -= back
    for name in back:
        fleet.turns.call_off(name)
    fleet.adopt(spec, removed)
    effects = fleet.bring_up(sorted(back), now)
    effects += fleet.turns.give([ev.StopRequested(name, Reason.RELOAD) for name in removed], now)
    for name in changed:
        effects += _apply_new_spec(fleet, name, spec.services[name], now)
    effects += fleet.bring_up(added, now)
    for name in spec.services:
        effects += fleet.look_at_needs(name, now)  # what somebody waits for may not be needed any more
    for name, pid in present.items():
        if pid is not None and name not in fleet.removed and not event.scaled:
            effects += fleet.apply(ev.ReloadRequested(name, pid), now)
    fields: dict[str, object] = {"added": added, "changed": changed, "removed": removed}
    return [Report("info", "config_reloaded", fields), *output, *effects]


def _change_output(fleet: "Fleet", changed: list[str], spec: FleetSpec) -> list[Effect]:
    """One for all of them: whoever carries it out looks through all streams."""
    pairs = ((name, fleet.specs[name], spec.services[name]) for name in changed)
    names = tuple(name for name, old, new in pairs if changes_output(old, new) and not needs_restart(old, new))
    return [ChangeOutput(names)] if names else []


def _apply_new_spec(fleet: "Fleet", name: str, spec: ServiceSpec, now: float) -> list[Effect]:
    """Stop by the old settings, start by the new ones; what an order stopped stays stopped."""
    service = fleet.services[name]
    wanted = service.desired is Desired.UP or service.state in (State.COMPLETED, State.FAILED)
    if not needs_restart(fleet.specs[name], spec):
        fleet.specs[name] = spec
        fleet.changed.append(name)  # its watches and timers may be other ones
        return []
    if service.pid is not None:
        effects = fleet.apply(ev.RestartRequested(name, Reason.RELOAD), now) if wanted else []
        fleet.specs[name] = spec
        return effects
    # what it waits for may be nothing to the new settings: it begins anew
    effects = fleet.apply(ev.StopRequested(name, Reason.RELOAD), now)
    fleet.specs[name] = spec
    return effects + (fleet.apply(ev.StartRequested(name), now) if wanted else [])
