"""What a service's keys, and services among each other, have to agree on: rules that no single value can break.

Read when every value is right by itself, but for cycles, which names alone make. JSON Schema has no form for most of
these.
"""

from __future__ import annotations

from supervisor.config.problems import Place, Scope
from supervisor.config.sources import Source
from supervisor.config.watch_fields import check_watching
from supervisor.core.needs import find_cycles
from supervisor.core.spec import Kind, Need, Restart, Until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    Services = dict[str, tuple[Place, Mapping[str, Any]]]
    """By name, where a service is defined, and the values given for it."""


_FOR_SERVICES = {
    "ready": "a {kind} is ready when it has done its work",
    "health": "a {kind} is not watched: it ends by itself",
    "watchdog": "a {kind} is not watched: it ends by itself",
}


def check_together(sources: Sequence[Source], files: Sequence[Mapping[str, dict[Any, Any]]], scope: Scope) -> None:
    """Note whatever does not fit together, each at the key that is easiest to change."""
    services: Services = {
        name: (Place(source.path, "services", scope).inside(name), values)
        for source, file in zip(sources, files, strict=True)
        for name, values in file.get("services", {}).items()
    }
    for at, values in services.values():
        _check_kind(values, at)
        check_watching(values, at)
    for name, other, need, at in _edges(services):
        _check_need(name, other, need, services, at)
    for source, file in zip(sources, files, strict=True):
        main = file.get("supervisor", {}).get("main")
        if main in services:
            _check_main(services[main][1], Place(source.path, "supervisor", scope).inside("main"))


def _kind(values: Mapping[str, Any]) -> Kind:
    kind: Kind = values.get("kind", Kind.SERVICE)
    return kind


def _check_kind(values: Mapping[str, Any], at: Place) -> None:
    kind = _kind(values)
    if kind is not Kind.SERVICE:
        for key, why in _FOR_SERVICES.items():
            if key in values:
                at.inside(key).refuse(f'not for kind = "{kind.value}": {why.format(kind=_WORDS[kind])}')
        if values.get("restart") is Restart.ALWAYS:
            at.inside("restart").refuse(f"found always; allowed for a {_WORDS[kind]}: never, on-failure")
    if kind is Kind.SCHEDULED and "schedule" not in values:
        at.inside("schedule").refuse('missing; allowed: fields of crontab(5) such as "*/5 * * * *"')
    if kind is Kind.SCHEDULED and "replicas" in values:
        at.inside("replicas").refuse("not for a scheduled service: one run at a time")
    if kind is not Kind.SCHEDULED and "schedule" in values:
        at.inside("schedule").refuse('only for kind = "scheduled"')


_WORDS = {Kind.SERVICE: "service", Kind.TASK: "task", Kind.SCHEDULED: "scheduled service"}


def _edges(services: Services) -> Iterator[tuple[str, str, Need, Place]]:
    for name, (at, values) in services.items():
        for other, need in values.get("needs", {}).items():
            yield name, other, need, at.inside("needs").inside(other)


def _check_need(name: str, other: str, need: Need, services: Services, at: Place) -> None:
    if other == name or other not in services:
        return  # a cycle of one, or a name that is noted already
    values = services[other][1]
    if _kind(values) is Kind.SCHEDULED:
        at.refuse(f"{other} is a scheduled service: it comes and goes, so nothing can wait for it")
    elif need.until is Until.COMPLETED and values.get("restart") is Restart.ALWAYS:
        at.refuse(f'{other} has restart = "always": it never completes')


def check_cycles(sources: Sequence[Source], scope: Scope) -> None:
    """Note every cycle of needs, whatever else is wrong with these services."""
    places: dict[str, Place] = {}
    needs: dict[str, list[str]] = {}
    for source in sources:
        for name, table in _tables(source.document.get("services")):
            places.setdefault(name, Place(source.path, "services", scope).inside(name))
            needs.setdefault(name, _names(table.get("needs")))
    for cycle in find_cycles(needs):
        first = cycle[0]
        path = " needs ".join((*cycle, first))
        places[first].inside("needs").refuse(f"a cycle, so none of them could start: {path}")


def _tables(services: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """The services as they are written; what is no table is left to the fields to refuse."""
    if isinstance(services, dict):
        yield from ((name, table) for name, table in services.items() if isinstance(table, dict))


def _names(needs: object) -> list[str]:
    """The names in what is written for ``needs``."""
    return [name for name in needs if isinstance(name, str)] if isinstance(needs, dict | list) else []


def _check_main(values: Mapping[str, Any], at: Place) -> None:
    if _kind(values) is Kind.SCHEDULED:
        at.refuse("a scheduled service has no end that could end the daemon; allowed: a service or a task")
    if "replicas" in values:
        at.refuse("a service with replicas has no exit of its own; allowed: one without")
