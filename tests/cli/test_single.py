"""The single-command form: from options to a fleet of one."""

import pytest

from supervisor.cli.arguments import parse
from supervisor.cli.single import NAME, add_command
from supervisor.core.signals import CATCHABLE, SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1
from supervisor.core.spec import (
    FleetSpec,
    Forward,
    Ignore,
    Orphans,
    Output,
    Reload,
    Restart,
    ServiceSpec,
    Shutdown,
    StopScope,
    Transparent,
)

ENVIRON = {"PATH": "/bin", "HOME": "/root"}
MASK = frozenset({10, 14})


def fleet(*options: str, configured: FleetSpec | None = None) -> FleetSpec:
    """The fleet of one command line."""
    arguments = parse(["run", *options, "--", "prog", "-x", ""])
    return add_command(configured or FleetSpec(), arguments, ENVIRON, "/srv", MASK)


def main(*options: str) -> ServiceSpec:
    """Its one service."""
    return fleet(*options).services[NAME]


def test_the_command_is_the_main_service() -> None:
    """It gets what we were given, is never restarted, and its end is ours."""
    made = fleet()
    assert list(made.services) == [NAME] == [made.main]
    assert made.services[NAME] == ServiceSpec(
        name=NAME,
        command=("prog", "-x", ""),
        directory="/srv",
        environment=ENVIRON,
        restart=Restart.NEVER,
        stdout=Output.INHERIT,
        stderr=Output.INHERIT,
        stop_scope=StopScope.GROUP,
        transparent=Transparent(MASK, True),
    )


def test_the_environment_is_a_copy() -> None:
    """What changes in ours later does not change the command's."""
    environ = dict(ENVIRON)
    made = add_command(FleetSpec(), parse(["run", "--", "x"]), environ, "/", frozenset())
    environ["LATER"] = "1"
    assert made.services[NAME].environment == ENVIRON


def test_every_signal_that_means_something_is_passed_on() -> None:
    """TERM and INT are orders to end too; CHLD is ours, and what can't be caught can't be passed on."""
    signals = fleet().signals
    assert set(signals) == CATCHABLE - {SIGCHLD}
    assert {number for number, action in signals.items() if action == Shutdown()} == {SIGTERM, SIGINT}
    assert {number for number, action in signals.items() if action == Forward()} == set(signals) - {SIGTERM, SIGINT}


@pytest.mark.parametrize(
    ("rewrite", "number", "action"),
    [
        ("TERM:QUIT", SIGTERM, Shutdown(SIGQUIT)),
        ("TERM:KILL", SIGTERM, Shutdown(SIGKILL)),
        ("INT:TERM", SIGINT, Shutdown(SIGTERM)),
        ("HUP:USR1", SIGHUP, Forward(SIGUSR1)),
        ("USR1:TERM", SIGUSR1, Forward(SIGTERM)),
        ("TERM:none", SIGTERM, Ignore()),
        ("HUP:NONE", SIGHUP, Ignore()),
    ],
)
def test_a_rewrite_changes_one_signal(rewrite: str, number: int, action: object) -> None:
    """An order to end stays one, with another signal to the command; the others are passed on as another."""
    plain, made = fleet().signals, fleet("--rewrite-signal", rewrite).signals
    assert made[number] == action
    assert {key: value for key, value in made.items() if key != number} == {
        key: value for key, value in plain.items() if key != number
    }


def test_rewrites_cross_over() -> None:
    """Each says what to send where its own signal came; they are not applied one after the other."""
    signals = fleet("--rewrite-signal", "HUP:USR1", "--rewrite-signal", "USR1:HUP").signals
    assert (signals[SIGHUP], signals[SIGUSR1]) == (Forward(SIGUSR1), Forward(SIGHUP))


@pytest.mark.parametrize(
    ("codes", "expected_codes", "expected_signals"),
    [
        ([], frozenset({0}), frozenset()),
        (["3", "4"], frozenset({0, 3, 4}), frozenset()),
        (["143"], frozenset({0, 143}), frozenset({SIGTERM})),
        (["128"], frozenset({0, 128}), frozenset()),
        (["129", "255"], frozenset({0, 129, 255}), frozenset({SIGHUP, 127})),
    ],
)
def test_success_codes_above_128_mean_signals_too(
    codes: list[str], expected_codes: frozenset[int], expected_signals: frozenset[int]
) -> None:
    """143 is how shells and runtimes write a death by TERM; 0 always counts."""
    options = [word for code in codes for word in ("--success-exit-code", code)]
    spec = main(*options)
    assert (spec.success_codes, spec.success_signals) == (expected_codes, expected_signals)


@pytest.mark.parametrize(
    ("options", "orphans"),
    [([], Orphans.TERMINATE), (["--wait-for-orphans"], Orphans.WAIT), (["--no-wait-for-orphans"], Orphans.LEAVE)],
)
def test_three_ways_with_orphans(options: list[str], orphans: Orphans) -> None:
    """By default they are told to end; they may finish, or be left."""
    assert fleet(*options).orphans is orphans


def test_scope_and_session() -> None:
    """Both are the command line's to choose."""
    assert main("--signal-scope", "process").stop_scope is StopScope.PROCESS
    assert main("--signal-scope", "group").stop_scope is StopScope.GROUP
    assert main("--no-new-session").transparent == Transparent(MASK, False)


def test_beside_services_it_changes_theirs_little() -> None:
    """With a configuration the command is added as the main service; signals stay as configured, but for rewrites."""
    configured = FleetSpec(
        services={"db": ServiceSpec(name="db", command=("db",))},
        signals={SIGTERM: Shutdown(), SIGHUP: Reload()},
        shutdown_timeout=3.0,
    )
    made = fleet("--rewrite-signal", "TERM:QUIT", configured=configured)
    assert list(made.services) == ["db", NAME]
    assert made.services["db"] == configured.services["db"]
    assert (made.main, made.shutdown_timeout) == (NAME, 3.0)
    assert made.signals == {SIGTERM: Shutdown(SIGQUIT), SIGHUP: Reload()}
    assert configured.signals[SIGTERM] == Shutdown()
    assert list(configured.services) == ["db"]
