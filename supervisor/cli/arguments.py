"""argv to typed arguments. argparse, because it is half the import time of anything nicer, and as PID 1 that counts."""

import argparse
from typing import NoReturn

from msgspec import Struct, convert

from supervisor import __version__
from supervisor.core.signals import parse_signal

FORMATS = ("json", "logfmt", "console")
LEVELS = ("debug", "info", "warning", "error", "critical")


class Rewrite(Struct, frozen=True):
    """``--rewrite-signal FROM:TO``; ``target`` is None for ``none``."""

    source: int
    target: int | None


class Arguments(Struct, frozen=True, kw_only=True):
    """One command line; each command uses what concerns it."""

    command: str
    paths: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    loop: str | None = None
    log_to: str | None = None
    log_level: str | None = None
    log_format: str | None = None
    signal_scope: str | None = None
    rewrites: tuple[Rewrite, ...] = ()
    success_exit_codes: tuple[int, ...] = ()
    parent_death_signal: int | None = None
    new_session: bool = True
    wait_for_orphans: bool | None = None
    json: bool = False
    events: bool = False


class _Parser(argparse.ArgumentParser):
    """Errors name the program and where help is, and exit with 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def parse(argv: list[str]) -> Arguments:
    """The arguments of one call; exits with 0 after help and version, with 2 for what is not understood."""
    parser = _build()
    head, program = _split(argv)
    namespace = parser.parse_args(head)
    if namespace.command is None:
        parser.error("a command is needed: run, pause, check, schema or doctor")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in vars(namespace).items()}
    arguments = convert({**values, "program": program}, Arguments)
    _check(parser, arguments, has_separator=len(head) != len(argv))
    return arguments


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


def _build() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pausevisor",
        description="A process supervisor made to be PID 1 of a container.",
        epilog="The manual is in docs/; the simplest use is: pausevisor run -- COMMAND",
        allow_abbrev=False,
    )
    parser.add_argument("-v", "-V", "--version", action="version", version=f"pausevisor {__version__}")
    # prog is given, or argparse formats a usage to find it, and imports shutil for the width of the terminal
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="pausevisor", parser_class=_Parser)
    _add_run(commands.add_parser("run", help="run the services, or one command, in the foreground", allow_abbrev=False))
    pause = commands.add_parser("pause", help="hold the namespaces and reap", allow_abbrev=False)
    _add_log(pause)
    check = commands.add_parser("check", help="validate the configuration and print the plan", allow_abbrev=False)
    _add_paths(check)
    check.add_argument("--json", action="store_true", help="print JSON")
    schema = commands.add_parser("schema", help="print the JSON Schema of the configuration", allow_abbrev=False)
    schema.add_argument("--events", action="store_true", help="print that of the events instead")
    doctor = commands.add_parser("doctor", help="say the mode and what works here", allow_abbrev=False)
    doctor.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        action="append",
        default=[],
        dest="paths",
        metavar="PATH",
        help="a file, or a folder of *.toml; may repeat. Default: $PAUSEVISOR_CONFIG, else /etc/pausevisor",
    )


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log-to", metavar="PATH", help="stdout, stderr or a file, for our records")
    parser.add_argument("--log-level", choices=LEVELS, help="least level of our records")
    parser.add_argument("--log-format", choices=FORMATS, help="default: console on a terminal, else json")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.usage = "pausevisor run [-c PATH]... [OPTIONS] [-- COMMAND [ARG...]]"
    _add_paths(parser)
    _add_log(parser)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), help="default: uvloop where it is installed")
    parser.add_argument(
        "--parent-death-signal", type=_signal, metavar="SIG", help="signal that we get when our parent dies"
    )
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


def _signal(text: str) -> int:
    try:
        return parse_signal(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rewrite(text: str) -> Rewrite:
    source, colon, target = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r}: FROM:TO is needed, as in TERM:QUIT")
    return Rewrite(_signal(source), None if target.lower() == "none" else _signal(target))


def _exit_code(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 255:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no exit code (0 to 255)")
