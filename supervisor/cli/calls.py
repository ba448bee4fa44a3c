"""Arguments of the commands that talk to a running daemon. Not imported on the daemon's own way.

What a word may be is said in the parsers themselves (:func:`supervisor.cli.parser.completes`): shell completion is made
from them.
"""

from __future__ import annotations

import argparse

from supervisor.cli.arguments import CLIENTS
from supervisor.cli.parser import Parser, completes, sentence
from supervisor.cli.ping import DEFAULT_TIMEOUT, PROBES
from supervisor.core.record import Record
from supervisor.core.signals import parse_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SHELLS = ("bash", "zsh", "fish")
ASKED_BY_SHELLS = ("services", "bases")
"""What the scripts of the shells ask for, to offer it."""

LONGEST_TAIL = 10_000
MOST_REPLICAS = 1000


class Call(Record):
    """One command line of a client; each command uses what concerns it.

    Attributes:
        timeout: seconds; None for as long as it takes.
        names: services, or patterns of their names.
        replicas: services, and how many instances each is to have.
    """

    command: str
    control: str | None = None
    json: bool = False
    timeout: float | None = None
    waits: bool = True
    names: tuple[str, ...] = ()
    everything: bool = False
    rolling: bool = False
    watch: bool = False
    signal: int = 0
    scope: str | None = None
    replicas: tuple[tuple[str, int], ...] = ()
    dry_run: bool = False
    lines: int | None = None
    follow: bool = False
    stream: str | None = None
    since: int | None = None
    probe: str = "live"
    shell: str = ""


def parse_call(argv: list[str]) -> Call:
    """The arguments of one client; exits with 0 after help, with 2 for what is not understood."""
    parser = make_parser(argv[0])
    given = vars(parser.parse_intermixed_args(argv[1:]))  # options may stand between names
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    call = Call(argv[0], **values)
    if call.command in _ORDERS and bool(call.names) == call.everything:
        parser.error(
            "name the services that are meant, or say --all" if not call.names else "names, or --all: not both"
        )
    if call.timeout is not None and not call.waits:
        parser.error("--timeout is for those who wait, and --no-wait is not to: one of them")
    return call


def make_parser(command: str) -> argparse.ArgumentParser:
    """The parser of one client."""
    parser = Parser(prog=f"pausevisor {command}", description=sentence(CLIENTS[command]))
    ADDERS[command](parser)
    path = parser.add_argument(
        "--control",
        type=_path,
        metavar="PATH",
        help="the daemon's control socket; default: $PAUSEVISOR_CONTROL, else the usual places",
    )
    completes(path, "file")
    return parser


# -- what words mean -----------------------------------------------------------------------------------------------


def _duration(text: str) -> float:
    from supervisor.config.problems import Invalid, Place, Scope  # noqa: PLC0415 - only where it is given
    from supervisor.config.units import Duration  # noqa: PLC0415

    scope = Scope({}, "/", {})
    try:
        return Duration(zero=False).parse(text, Place("", "", scope))
    except Invalid:
        raise argparse.ArgumentTypeError(scope.problems[0].message) from None


def _path(text: str) -> str:
    if not text:  # a variable of a script that is empty: the daemon that the default means is not the one that is meant
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _signal(text: str) -> int:
    try:
        return parse_signal(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(low: int, high: int, what: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 16 and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is no {what} ({low} to {high})")

    return parse


def _shell(text: str) -> str:
    if text in SHELLS or text in ASKED_BY_SHELLS:
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: there are {', '.join(SHELLS)}")


def _replicas(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: NAME=NUMBER is needed, as in web=3")
    return name, _number(0, MOST_REPLICAS, "number of instances")(number)


# -- the options of each -------------------------------------------------------------------------------------------


def _add_json(parser: argparse.ArgumentParser, what: str = "print JSON") -> None:
    parser.add_argument("--json", action="store_true", help=what)


def _add_names(parser: argparse.ArgumentParser, *, everything: bool = False) -> None:
    default = "" if everything else "; default: all"
    names = parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"a service, or a pattern such as 'web*'; a replicated service means all its instances{default}",
    )
    completes(names, "service")
    if everything:
        parser.add_argument("--all", action="store_true", dest="everything", help="all services")


def _add_waiting(parser: argparse.ArgumentParser, until: str) -> None:
    parser.add_argument("--no-wait", action="store_false", dest="waits", help=f"don't wait until {until}")
    parser.add_argument(
        "--timeout", type=_duration, metavar="TIME", help="wait so long at most, as in 30s; the order stands after it"
    )


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_names(parser)
    _add_json(parser)
    parser.add_argument("--watch", action="store_true", help="go on showing it, until ^C")


def _add_order(until: str) -> Callable[[argparse.ArgumentParser], None]:
    def add(parser: argparse.ArgumentParser) -> None:
        _add_names(parser, everything=True)
        _add_waiting(parser, until)
        _add_json(parser)

    return add


def _add_named(parser: argparse.ArgumentParser) -> None:
    _add_names(parser, everything=True)
    _add_json(parser)


def _add_restart(parser: argparse.ArgumentParser) -> None:
    _add_order("they are up again")(parser)
    parser.add_argument(
        "--rolling",
        action="store_true",
        help="one after the other, each when the one before is ready; ends at the first that does not get so; of a "
        "service, what an order has stopped stays down",
    )


def _add_signal(parser: argparse.ArgumentParser) -> None:
    signal = parser.add_argument("signal", type=_signal, metavar="SIG", help="name or number: HUP, SIGUSR1, 10")
    completes(signal, "signal")
    _add_names(parser, everything=True)
    parser.add_argument(
        "--scope",
        choices=("process", "group", "tree"),
        help="the main process, its group, or all its descendants; default: what stop-scope says",
    )
    _add_json(parser)


def _add_scale(parser: argparse.ArgumentParser) -> None:
    replicas = parser.add_argument(
        "replicas", nargs="+", type=_replicas, metavar="NAME=NUMBER", help="a replicated service, and how many of it"
    )
    completes(replicas, "base")
    _add_waiting(parser, "they are up, or down")
    _add_json(parser)


def _add_reload(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    _add_waiting(parser, "what is new or changed is up, and what is removed is down")
    _add_json(parser)


def _add_logs(parser: argparse.ArgumentParser) -> None:
    _add_names(parser)
    parser.add_argument(
        "-n", "--lines", type=_number(0, LONGEST_TAIL, "number of lines"), metavar="N", help="so many of each service"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with those that come, until ^C")
    parser.add_argument("--stream", choices=("stdout", "stderr"), help="only what was written there")
    _add_json(parser, "print the records as they are, a line of JSON each")


def _add_events(parser: argparse.ArgumentParser) -> None:
    _add_names(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with those that come, until ^C")
    parser.add_argument(
        "--since", type=_number(0, 2**53, "seq"), metavar="SEQ", help="those after the one with this seq"
    )
    _add_json(parser, "print the records as they are, a line of JSON each")


def _add_shutdown(parser: argparse.ArgumentParser) -> None:
    _add_waiting(parser, "the daemon is gone")
    _add_json(parser)


def _add_ping(parser: argparse.ArgumentParser) -> None:
    probes = parser.add_mutually_exclusive_group()
    meanings = {
        "live": "whether it answers at all (default)",
        "ready": "whether all services are up",
        "startup": "whether all have been up once",
    }
    for probe in PROBES:
        probes.add_argument(f"--{probe}", action="store_const", const=probe, dest="probe", help=meanings[probe])
    parser.set_defaults(probe="live")
    parser.add_argument(
        "--timeout",
        type=_duration,
        default=DEFAULT_TIMEOUT,
        metavar="TIME",
        help=f"wait so long for an answer; default: {DEFAULT_TIMEOUT:g}s",
    )
    _add_json(parser)


def _add_completion(parser: argparse.ArgumentParser) -> None:
    shell = parser.add_argument("shell", type=_shell, metavar="SHELL", help=", ".join(SHELLS))
    completes(shell, SHELLS)


ADDERS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "status": _add_status,
    "start": _add_order("they are up"),
    "stop": _add_order("they are down"),
    "restart": _add_restart,
    "kill": _add_order("they are down"),
    "signal": _add_signal,
    "freeze": _add_named,
    "thaw": _add_named,
    "scale": _add_scale,
    "reload": _add_reload,
    "logs": _add_logs,
    "events": _add_events,
    "shutdown": _add_shutdown,
    "ping": _add_ping,
    "completion": _add_completion,
}

_ORDERS = ("start", "stop", "restart", "kill", "signal", "freeze", "thaw")
