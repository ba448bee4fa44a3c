"""What a new configuration would change, and which change needs a restart."""

from typing import Any

import pytest

from supervisor.core.plan import Action, Changes, changes, needs_restart
from supervisor.core.record import replace
from supervisor.core.spec import (
    FileSink,
    FleetSpec,
    Health,
    Isolation,
    Output,
    Restart,
    ServiceLog,
    ServiceSpec,
    StopScope,
    TcpProbe,
)

WEB = ServiceSpec(name="web", command=("web",))


def plan(old: FleetSpec, new: FleetSpec) -> Changes:
    """The changes from one to the other."""
    return changes(old, old.services, new)


def test_nothing() -> None:
    """Equal is equal."""
    fleet = FleetSpec(services={"web": WEB})
    assert plan(fleet, FleetSpec(services={"web": replace(WEB)})) == Changes()


def test_services_come_and_go() -> None:
    """In the order of their definition."""
    old = FleetSpec(services={"a": WEB, "b": WEB, "c": WEB})
    new = FleetSpec(services={"z": WEB, "b": WEB, "y": WEB})
    found = plan(old, new)
    assert (found.added, found.removed, found.changed) == (("z", "y"), ("a", "c"), {})


@pytest.mark.parametrize(
    ("field", "value", "keys", "action"),
    [
        ("command", ("other",), ("command",), Action.RESTART),
        ("directory", "/srv", ("directory",), Action.RESTART),
        ("environment", {"A": "b"}, ("environment",), Action.RESTART),
        ("explicit", frozenset({"A"}), ("environment",), Action.RESTART),
        ("isolation", Isolation(nice=5), ("isolation",), Action.RESTART),
        ("restart", Restart.ALWAYS, ("restart",), Action.NONE),
        ("restart_limit", None, ("restart-limit",), Action.NONE),
        ("restart_delay", 5.0, ("restart-delay",), Action.NONE),
        ("success_codes", frozenset({1}), ("success-exit-status",), Action.NONE),
        ("stop_signal", 3, ("stop-signal",), Action.NONE),
        ("stop_scope", StopScope.TREE, ("stop-scope",), Action.NONE),
        ("stop_timeout", 3.0, ("stop-timeout",), Action.NONE),
        ("health", Health(TcpProbe("127.0.0.1", 80)), ("health",), Action.NONE),
        ("watchdog", 3.0, ("watchdog",), Action.NONE),
        ("log", ServiceLog(tail=5), ("log",), Action.NONE),
        ("stdout", (FileSink("/x"),), ("stdout",), Action.NONE),
        ("stderr", (Output.LOG, FileSink("/x")), ("stderr",), Action.NONE),
        ("stdout", Output.NULL, ("stdout",), Action.RESTART),
        ("stderr", Output.INHERIT, ("stderr",), Action.RESTART),
    ],
)
def test_each_key(field: str, value: object, keys: tuple[str, ...], action: Action) -> None:
    """A key is named as the configuration writes it, with what becomes of the process."""
    given: dict[str, Any] = {field: value}
    found = plan(FleetSpec(services={"web": WEB}), FleetSpec(services={"web": replace(WEB, **given)}))
    assert (found.changed["web"].keys, found.changed["web"].action) == (keys, action)
    assert needs_restart(WEB, replace(WEB, **given)) is (action is Action.RESTART)


def test_a_stream_that_is_no_pipe_is_only_had_at_a_start() -> None:
    """From a pipe to what the process inherits, and back, no way leads but a new process."""
    inherits, written = replace(WEB, stdout=Output.INHERIT), replace(WEB, stdout=(FileSink("/x"),))
    assert needs_restart(inherits, written)
    assert needs_restart(written, inherits)
    assert not needs_restart(written, WEB)


def test_one_key_that_needs_it_is_enough() -> None:
    """Changes together need what the weightiest needs; a key that stands for two fields is named once."""
    other = replace(WEB, command=("x",), success_codes=frozenset({1}), success_signals=frozenset({15}))
    found = plan(FleetSpec(services={"web": WEB}), FleetSpec(services={"web": other}))
    assert found.changed["web"].keys == ("command", "success-exit-status")
    assert found.changed["web"].action is Action.RESTART


def test_every_field_is_classified() -> None:
    """A field that nobody has thought of restarts the service: too much rather than too little."""
    for field in WEB.__match_args__:
        assert isinstance(field, str)
    assert needs_restart(WEB, replace(WEB, name="other"))


def test_settings() -> None:
    """The daemon's own keys."""
    found = plan(FleetSpec(), FleetSpec(main="web", shutdown_timeout=3.0))
    assert found.settings == ("main", "shutdown-timeout")


def test_a_reload_signal_is_planned() -> None:
    """A service with a reload-signal is signalled, changed or not, unless it has to be restarted."""
    web = replace(WEB, reload_signal=1)
    old = FleetSpec(services={"a": web, "b": web, "c": web, "d": WEB})
    changed = {"b": replace(web, stop_timeout=1.0), "c": replace(web, directory="/srv")}
    found = plan(old, FleetSpec(services={**old.services, **changed}))
    assert found.signalled == ("a",)
    assert {name: change.action for name, change in found.changed.items()} == {"b": Action.SIGNAL, "c": Action.RESTART}
