"""``pausevisor completion``: what a shell has to know of this command line, made from its own parsers."""

from __future__ import annotations

from supervisor.cli import asking
from supervisor.cli.screen import write
from supervisor.cli.talk import FailedError
from supervisor.control.client import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.calls import Call

_PATIENCE = 1.0
"""Seconds that somebody who has pressed the tabulator may wait for names."""


def completion(call: Call) -> int:
    """Print the script of a shell, or the names of services for it; 0."""
    if call.shell in _FIELDS:
        _print_names(call, _FIELDS[call.shell])
        return 0
    # ruff: noqa: PLC0415 - every parser is needed, and one shell
    from supervisor.cli.shells import bash, fish, zsh
    from supervisor.cli.shells.tables import commands

    write({"bash": bash, "zsh": zsh, "fish": fish}[call.shell].script(commands()))
    return 0


_FIELDS = {"services": ("base", "name"), "bases": ("base",)}
"""What the scripts ask for, and which fields of a service answer that."""


def _print_names(call: Call, keys: tuple[str, ...]) -> None:
    """Names of services, one a line; none where there is no daemon: a shell can't be told why."""
    try:
        exchange = asking.client_of(call).ask("GET", "/v1/services", within=_PATIENCE)
        listed = asking.answer(exchange)["services"]
    except (ClientError, FailedError):
        return
    names = dict.fromkeys(one[key] for one in listed for key in keys)
    write("".join(f"{name}\n" for name in names))
