"""One call of the command line, from argv to the exit code."""

from __future__ import annotations

import os
import sys

from supervisor.cli.given import Arguments, understand
from supervisor.core.record import replace
from supervisor.core.spec import ControlSpec, LogSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

EX_CONFIG = 78
"""sysexits.h: something is wrong with the configuration."""


def main(argv: list[str], inherited_mask: frozenset[int]) -> NoReturn:
    """Run one command; exits.

    Args:
        argv: the arguments, without the program's name.
        inherited_mask: the signals that were blocked before we blocked all.
    """
    arguments = understand(argv) or _ask_parser(argv, inherited_mask)
    if arguments.command == "run":
        from supervisor.cli.run import run  # noqa: PLC0415 - each command imports its own

        run(arguments, inherited_mask)
    if arguments.command == "pause":
        from supervisor.cli.run import pause  # noqa: PLC0415 - each command imports its own

        pause(arguments)
    from supervisor.cli import inspection  # noqa: PLC0415 - each command imports its own

    commands = {"check": inspection.check, "schema": inspection.schema, "doctor": inspection.doctor}
    os._exit(_ended(lambda: commands[arguments.command](arguments)))


def _ask_parser(argv: list[str], inherited_mask: frozenset[int]) -> Arguments:
    """What the quick way leaves to the parser; a client's command is run."""
    from supervisor.cli.arguments import CLIENTS, parse  # noqa: PLC0415 - not on the daemon's usual way

    if not argv or argv[0] not in ("run", "pause"):
        _as_a_client(inherited_mask)
    if argv and argv[0] in CLIENTS:
        from supervisor.cli.clients import run_client  # noqa: PLC0415 - each command imports its own

        os._exit(_ended(lambda: run_client(argv)))
    return parse(argv)


def _ended(command: Callable[[], int]) -> int:
    """Exit code of a command that has printed something; its own, if all of that could be written."""
    try:
        code = command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        fail(f"pausevisor: cannot write the output: {error.strerror}", 1)
    return code


def _as_a_client(inherited_mask: frozenset[int]) -> None:
    """A command that ends by itself: ^C ends it too."""
    import signal  # noqa: PLC0415 - not on the daemon's way

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, inherited_mask)


def log_spec(arguments: Arguments, configured: LogSpec) -> LogSpec:
    """The configured log, with what the command line says about it."""
    given = {"to": arguments.log_to, "level": arguments.log_level, "format": arguments.log_format}
    return replace(configured, **{key: value for key, value in given.items() if value is not None})


def control_spec(arguments: Arguments, configured: ControlSpec, directory: str) -> ControlSpec:
    """The configured control sockets, with the path that the command line gives; a relative one starts from here."""
    if arguments.control is None:
        return configured
    return replace(configured, socket=arguments.control and os.path.join(directory, arguments.control))


def fail(message: str, code: int) -> NoReturn:
    """Say on stderr what is wrong, and exit."""
    try:
        os.write(2, f"{message}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)  # nobody may be there to be told; the code says it all the same


def current_directory() -> str:
    """Where we were started; the root when that directory is gone."""
    try:
        return os.getcwd()
    except OSError:
        return "/"
