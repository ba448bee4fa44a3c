"""``pausevisor run`` and ``pausevisor pause``: from the command line to a plan, and off."""

from __future__ import annotations

import os

from supervisor.cli.given import Arguments
from supervisor.cli.main import EX_CONFIG, control_spec, current_directory, fail, log_spec
from supervisor.core.record import replace
from supervisor.core.spec import ControlSpec, FleetSpec, LogSpec
from supervisor.runtime.process import (
    activation_sockets,
    close_descriptors,
    default_dispositions,
    inherited_descriptors,
    open_standard_streams,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Configured = tuple[FleetSpec, LogSpec, ControlSpec, tuple[str, ...]]
    """The fleet, the log, the control sockets, and the files that say so."""


def run(arguments: Arguments, inherited_mask: frozenset[int]) -> NoReturn:
    """The daemon; exits with its exit code, or 78 with all that is wrong with the configuration."""
    open_standard_streams()
    default_dispositions()
    inherited = inherited_descriptors()
    meant_for_it = activation_sockets(os.environ) if arguments.program else ()
    sockets = tuple(fd for fd in meant_for_it if fd in inherited)
    directory = current_directory()

    def read() -> Configured:
        return _read(arguments, directory, inherited_mask)

    fleet, log, control, sources = _or_fail(read)
    # not before: a path may lead through one of them, as that of a shell's `-c <(...)` does, and that is to be told
    close_descriptors(fd for fd in inherited if fd not in sockets)
    from supervisor.app import Plan, StartError  # noqa: PLC0415 - after the configuration is known to be good
    from supervisor.app import run as run_daemon  # noqa: PLC0415

    plan = Plan(
        fleet=fleet,
        log=log,
        control=control,
        read_again=read,
        paths=lambda: _paths(arguments, directory),
        loop=arguments.loop,
        sources=sources,
        sockets=sockets,
        parent_death_signal=arguments.parent_death_signal,
    )
    try:
        run_daemon(plan)
    except StartError as error:
        _fail_for_good(f"pausevisor: {error}; nothing was started", fleet)


def pause(arguments: Arguments) -> NoReturn:
    """The pause mode, with the log where the command line wants it."""
    from supervisor.pause import main  # noqa: PLC0415 - each command imports its own

    log = log_spec(arguments, LogSpec())
    try:
        main(to=_resolved(log.to, current_directory()), level=log.level, form=log.format)
    except OSError as error:
        _refuse_log(log, error)


def _read(arguments: Arguments, directory: str, inherited_mask: frozenset[int]) -> Configured:
    """What the command line and the files ask for, and the files.

    Raises:
        ConfigError: with all that is wrong.
    """
    fleet, log = FleetSpec(), LogSpec()
    control = ControlSpec(socket="")  # where nothing is configured, nothing is opened that nobody asked for
    sources: tuple[str, ...] = ()
    if arguments.paths or not arguments.program:
        from supervisor.config.load import load  # noqa: PLC0415 - the single command needs no files
        from supervisor.config.places import default_sources  # noqa: PLC0415

        settings = load(arguments.paths or default_sources(), os.environ, directory)
        fleet, log, sources = settings.fleet, settings.log, settings.sources
        control = settings.control if sources else control
    elif arguments.program:
        # stdout is the command's: we speak on stderr, and only when something is wrong
        log = LogSpec(to="stderr", level="warning")
    if arguments.program:
        from supervisor.cli.single import add_command  # noqa: PLC0415 - only for a single command

        fleet = add_command(fleet, arguments, os.environ, directory, inherited_mask)
    log = log_spec(arguments, log)
    log = replace(log, to=_resolved(log.to, directory))
    return fleet, log, control_spec(arguments, control, directory), sources


def _paths(arguments: Arguments, directory: str) -> tuple[str, ...]:
    """The absolute paths that the configuration is read from."""
    from supervisor.config.places import default_sources  # noqa: PLC0415 - where the configuration is watched

    return tuple(os.path.join(directory, path) for path in arguments.paths or default_sources())


def _or_fail(read: Callable[[], Configured]) -> Configured:
    from supervisor.config.problems import ConfigError  # noqa: PLC0415

    try:
        return read()
    except ConfigError as error:
        _fail_for_good(f"pausevisor: the configuration is wrong, nothing was started:\n{error}", FleetSpec())


def _fail_for_good(message: str, fleet: FleetSpec) -> NoReturn:
    """Say what is wrong where Kubernetes looks for it too, and exit with 78."""
    from supervisor.app import termination_path  # noqa: PLC0415 - it has started nothing, and may not be loaded yet

    path = termination_path(fleet)
    if path:
        from supervisor.logs.termination import write_message  # noqa: PLC0415 - for this message only

        write_message(path, message)
    fail(message, EX_CONFIG)


def _refuse_log(log: LogSpec, error: OSError) -> NoReturn:
    fail(f"pausevisor: cannot write the log to {log.to!r}: {error.strerror}; nothing was started", EX_CONFIG)


def _resolved(to: str, directory: str) -> str:
    return to if to in ("", "stdout", "stderr") else os.path.join(directory, to)
