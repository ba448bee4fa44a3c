"""The single-command form: tini's place, with its options turned into a fleet of one."""

from __future__ import annotations

from supervisor.cli.given import Arguments
from supervisor.core.record import replace
from supervisor.core.signals import FORWARDABLE, SIGINT, SIGTERM
from supervisor.core.spec import (
    FleetSpec,
    Forward,
    Ignore,
    Orphans,
    Output,
    Restart,
    ServiceSpec,
    Shutdown,
    SignalAction,
    StopScope,
    Transparent,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "main"
"""Name of the one service."""


def add_command(
    fleet: FleetSpec, arguments: Arguments, environ: Mapping[str, str], directory: str, mask: frozenset[int]
) -> FleetSpec:
    """The fleet with the command as its main service.

    Args:
        fleet: the configured services; none in the pure single-command form.
        arguments: the command line, with a ``program``.
        environ: the environment we were given; the command's.
        directory: the directory we were started in; the command's.
        mask: the blocked signals we were given; the command's.
    """
    main = _service(arguments, environ, directory, mask)
    orphans = {None: Orphans.TERMINATE, True: Orphans.WAIT, False: Orphans.LEAVE}[arguments.wait_for_orphans]
    signals = _signals(arguments) if not fleet.services else _rewritten(dict(fleet.signals), arguments)
    return replace(fleet, services={**fleet.services, NAME: main}, main=NAME, orphans=orphans, signals=signals)


def _service(arguments: Arguments, environ: Mapping[str, str], directory: str, mask: frozenset[int]) -> ServiceSpec:
    codes = frozenset({0, *arguments.success_exit_codes})
    return ServiceSpec(
        name=NAME,
        command=arguments.program,
        directory=directory,
        environment=dict(environ),
        restart=Restart.NEVER,
        success_codes=codes,
        # 143 means a death by TERM as well: that is how shells and runtimes write it
        success_signals=frozenset(code - 128 for code in codes if code > 128),
        stop_scope=StopScope(arguments.signal_scope or "group"),
        stdout=Output.INHERIT,
        stderr=Output.INHERIT,
        transparent=Transparent(mask, arguments.new_session),
    )


def _signals(arguments: Arguments) -> dict[int, SignalAction]:
    """Every signal is passed on; TERM and INT are orders to end too, so that a command that ignores them ends."""
    actions: dict[int, SignalAction] = {signal: Forward() for signal in FORWARDABLE}
    actions |= {SIGTERM: Shutdown(), SIGINT: Shutdown()}
    return _rewritten(actions, arguments)


def _rewritten(actions: dict[int, SignalAction], arguments: Arguments) -> dict[int, SignalAction]:
    for rewrite in arguments.rewrites:
        before = actions.get(rewrite.source)
        if rewrite.target is None:
            actions[rewrite.source] = Ignore()
        elif isinstance(before, Shutdown):
            actions[rewrite.source] = Shutdown(rewrite.target)
        else:
            actions[rewrite.source] = Forward(rewrite.target)
    return actions
