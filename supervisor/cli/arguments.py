"""argv to typed arguments. argparse, because it is half the import time of anything nicer, and as PID 1 that counts."""

from __future__ import annotations

import argparse

from supervisor import __version__
from supervisor.cli.given import FORMATS, LEVELS, LOOPS, Arguments, Rewrite
from supervisor.cli.parser import Parser, RawFormatter, completes, nearest, sentence
from supervisor.core.signals import FORWARDABLE, parse_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

OWN = {
    "run": "run the services, or one command, in the foreground",
    "pause": "hold the namespaces and reap, whatever is configured",
    "check": "validate the configuration and print the plan",
    "schema": "print the JSON Schema of the configuration",
    "doctor": "say the mode and what works here",
}
"""The commands that are the daemon, or need none."""

CLIENTS = {
    "status": "show the services, and whether all is well",
    "start": "start services, and wait until they are up",
    "stop": "stop services, and wait until they are down",
    "restart": "stop and start services, all at once or one by one",
    "kill": "end services by KILL; they stay down",
    "signal": "send services a signal",
    "freeze": "let services stand still, with all they have started",
    "thaw": "let services go on that were frozen",
    "scale": "change how many instances of a service there are",
    "reload": "read the configuration again, or show what that would change",
    "logs": "show what services have written, and follow it",
    "events": "show what has happened, and follow it",
    "shutdown": "end the daemon and all services, in order",
    "ping": "ask whether the daemon is there, ready, or started",
    "completion": "print the completion of a shell: bash, zsh or fish",
}
"""The commands that talk to a running daemon; :mod:`supervisor.cli.calls` knows their options."""


def parse(argv: list[str]) -> Arguments:
    """The arguments of one call of our :data:`OWN`, or of none.

    Exits with 0 after help and version, with 2 for what is not understood.
    """
    head, program = _split(argv)
    if not head or head[0] not in OWN:
        _without_command(head)
    # Only the parser that is needed: building all of them takes longer than reading the configuration.
    command = head[0]
    parser = make_parser(command)
    given = vars(parser.parse_args(head[1:]))
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    arguments = Arguments(command, program=program, **values)
    _check(parser, arguments, has_separator=len(head) != len(argv))
    return arguments


def make_parser(command: str) -> argparse.ArgumentParser:
    """The parser of one of :data:`OWN`."""
    parser = Parser(prog=f"pausevisor {command}", description=sentence(OWN[command]))
    _ADDERS[command](parser)
    return parser


def _without_command(head: list[str]) -> NoReturn:
    """Help, version, or the hint that a command is missing."""
    own = "\n".join(f"  {name:10} {text}" for name, text in OWN.items())
    clients = "\n".join(f"  {name:10} {text}" for name, text in CLIENTS.items())
    parser = Parser(
        prog="pausevisor",
        usage="pausevisor COMMAND [OPTIONS]",
        description="A process supervisor made to be PID 1 of a container.\n\n"
        f"commands:\n{own}\n\ncommands that talk to a running daemon:\n{clients}",
        epilog="The simplest use: pausevisor run -- COMMAND. Options: pausevisor run --help",
    )
    parser.formatter_class = RawFormatter
    parser.add_argument("-v", "-V", "--version", action="version", version=f"pausevisor {__version__}")
    parser.parse_known_args(head)
    known = [*OWN, *CLIENTS]
    if head and not head[0].startswith("-"):
        there = f"; there are {', '.join(known)}"
        parser.error(f"{head[0]!r} is no command{nearest(head[0], [*known, '--help', '--version']) or there}")
    command = next((word for word in head if word in known), None)
    if command is not None:
        parser.error(f"options stand behind the command: pausevisor {command} {head[0]}")
    parser.error(f"a command is needed: {', '.join(known)}")


def _split(argv: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """What is ours, and what follows the first ``--``: that is the command's, a second ``--`` too."""
    if "--" not in argv:
        return argv, ()
    at = argv.index("--")
    return argv[:at], tuple(argv[at + 1 :])


def _check(parser: argparse.ArgumentParser, arguments: Arguments, *, has_separator: bool) -> None:
    if has_separator and arguments.command != "run":
        parser.error(f"{arguments.command} runs no COMMAND")
    if has_separator and not arguments.program:
        parser.error("a COMMAND is needed after --")
    if any("\0" in word for word in arguments.program):
        parser.error("the COMMAND holds a NUL character")
    if arguments.command != "run" or arguments.program:
        return
    single = {
        "--signal-scope": arguments.signal_scope,
        "--rewrite-signal": arguments.rewrites,
        "--success-exit-code": arguments.success_exit_codes,
        "--no-new-session": not arguments.new_session,
        "--wait-for-orphans": arguments.wait_for_orphans is not None,
    }
    for option, given in single.items():
        if given:
            parser.error(f"{option} is about a single command: give one after --")


def _add_paths(parser: argparse.ArgumentParser) -> None:
    paths = parser.add_argument(
        "-c",
        "--config",
        action="append",
        default=[],
        dest="paths",
        metavar="PATH",
        help="a file, or a folder of *.toml; may repeat. Default: $PAUSEVISOR_CONFIG, else /etc/pausevisor",
    )
    completes(paths, "file")


def _add_log(parser: argparse.ArgumentParser) -> None:
    to = parser.add_argument("--log-to", metavar="PATH", help="stdout, stderr or a file, for our records")
    completes(to, "file")
    parser.add_argument("--log-level", choices=LEVELS, help="least level of our records")
    parser.add_argument("--log-format", choices=FORMATS, help="default: console on a terminal, else json")


def _signal(text: str) -> int:
    try:
        return parse_signal(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rewrite(text: str) -> Rewrite:
    source, colon, target = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r}: FROM:TO is needed, as in TERM:QUIT")
    if _signal(source) not in FORWARDABLE:
        raise argparse.ArgumentTypeError(f"{text!r}: {source} is not passed on, so there is nothing to rewrite")
    return Rewrite(_signal(source), None if target.lower() == "none" else _signal(target))


def _exit_code(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 255:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no exit code (0 to 255)")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.usage = "pausevisor run [-c PATH]... [OPTIONS] [-- COMMAND [ARG...]]"
    _add_paths(parser)
    _add_log(parser)
    control = parser.add_argument(
        "--control",
        metavar="PATH",
        help="the control socket, '' for none; default: what is configured, none for a single command alone",
    )
    completes(control, "file")
    parser.add_argument("--loop", choices=LOOPS, help="default: uvloop where it is installed")
    signal = parser.add_argument(
        "--parent-death-signal", type=_signal, metavar="SIG", help="signal that we get when our parent dies"
    )
    completes(signal, "signal")
    single = parser.add_argument_group("for a single command, after --")
    single.add_argument(
        "--signal-scope", choices=("process", "group"), help="who gets the signals we are sent; default: group"
    )
    single.add_argument(
        "--rewrite-signal",
        type=_rewrite,
        action="append",
        default=[],
        dest="rewrites",
        metavar="FROM:TO",
        help="send TO where FROM was received; TO may be none; may repeat",
    )
    single.add_argument(
        "--success-exit-code",
        type=_exit_code,
        action="append",
        default=[],
        dest="success_exit_codes",
        metavar="N",
        help="exit with 0 when the command exits with N; may repeat",
    )
    single.add_argument("--no-new-session", action="store_false", dest="new_session", help="stay in our session")
    single.add_argument(
        "--wait-for-orphans",
        action=argparse.BooleanOptionalAction,
        help="let processes that the command leaves behind finish, or don't wait for them at all; "
        "default: they get TERM, and KILL at the deadline",
    )


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_paths(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", action="store_true", help="print that of the events instead")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


_ADDERS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "run": _add_run,
    "pause": _add_log,
    "check": _add_check,
    "schema": _add_schema,
    "doctor": _add_doctor,
}
