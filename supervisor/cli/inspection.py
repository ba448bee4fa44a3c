"""The commands that look and tell, and start nothing: check, schema, doctor."""

import json
import os
import sys
from typing import Any

from supervisor import __version__
from supervisor.cli.given import Arguments
from supervisor.cli.main import current_directory
from supervisor.core.spec import FleetSpec, Schedule


def check(arguments: Arguments) -> int:
    """Validate the configuration and print the plan; 0, or 78 with all that is wrong."""
    from supervisor.config.load import load  # noqa: PLC0415 - each command imports its own
    from supervisor.config.places import default_sources  # noqa: PLC0415
    from supervisor.config.problems import ConfigError  # noqa: PLC0415

    try:
        settings = load(arguments.paths or default_sources(), os.environ, current_directory())
    except ConfigError as error:
        if arguments.json:
            problems = [{"file": p.file, "key": p.key, "message": p.message} for p in error.problems]
            print(json.dumps({"ok": False, "errors": problems}, indent=2))
        else:
            print(error, file=sys.stderr)
        return 78
    plan = _plan(settings.fleet)
    if arguments.json:
        print(json.dumps({"ok": True, "sources": list(settings.sources), **plan}, indent=2))
    else:
        _print_plan(list(settings.sources), plan)
    return 0


def _plan(fleet: FleetSpec) -> dict[str, Any]:
    """The services, and the layers in which they start and stop: within a layer, all at once."""
    from supervisor.core.needs import by_base, layers  # noqa: PLC0415 - each command imports its own

    instances = by_base(fleet.services)
    services = {base: fleet.services[names[0]] for base, names in instances.items()}
    start = layers({base: spec.needs for base, spec in services.items()})
    return {
        "services": {
            base: {
                "kind": spec.kind.value,
                "command": list(spec.command),
                "needs": {other: need.until.value for other, need in spec.needs.items()},
                **({"replicas": len(instances[base])} if spec.base else {}),
                **({"schedule": _schedule(spec.schedule)} if spec.schedule is not None else {}),
            }
            for base, spec in services.items()
        },
        "main": fleet.main,
        "start": start,
        "stop": start[::-1],
    }


def _schedule(schedule: Schedule) -> dict[str, Any]:
    """A schedule, with the time of its next run as of now."""
    import time  # noqa: PLC0415 - each command imports its own

    from supervisor.runtime.cron import next_due, written  # noqa: PLC0415

    at = next_due(schedule, time.time())
    return {"cron": schedule.cron, "next": None if at is None else written(schedule, at)}


def _print_plan(sources: list[str], plan: dict[str, Any]) -> None:
    print(f"read: {', '.join(sources) or 'nothing'}")
    services = plan["services"]
    if not services:
        print("no service is configured: pause mode")
        return
    for word in ("start", "stop"):
        for number, layer in enumerate(plan[word], 1):
            print(f"{word} {number}: {', '.join(_with_replicas(name, services[name]) for name in layer)}")
    for name, service in services.items():
        if "schedule" in service:
            print(f"next run of {name}: {service['schedule']['next'] or 'never'}")
    if plan["main"]:
        print(f"main: {plan['main']}")


def _with_replicas(name: str, service: dict[str, Any]) -> str:
    return f"{name} x{service['replicas']}" if "replicas" in service else name


def schema(arguments: Arguments) -> int:
    """Print a JSON Schema: of the configuration, or of the events."""
    if arguments.events:
        from supervisor.logs.schema import event_schema as make  # noqa: PLC0415 - each command imports its own
    else:
        from supervisor.config.schema import config_schema as make  # noqa: PLC0415
    print(json.dumps(make(), indent=2))
    return 0


def doctor(arguments: Arguments) -> int:
    """Say the mode the daemon would run in, and what works here; 0, or 1 when something it needs does not."""
    from supervisor.cli.doctor import examine  # noqa: PLC0415 - each command imports its own

    findings = examine()
    if arguments.json:
        print(json.dumps({"version": __version__, "findings": [f.as_dict() for f in findings]}, indent=2))
    else:
        width = max(len(finding.what) for finding in findings)
        print(f"pausevisor {__version__}")
        for finding in findings:
            print(f"{finding.verdict:4}  {finding.what:{width}}  {finding.found}")
    return 1 if any(finding.verdict == "FAIL" for finding in findings) else 0
