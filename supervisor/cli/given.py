"""What a command line gives, and the quick way to it.

Building a parser of arguments takes a quarter of the time to the first program. So a ``run`` with nothing but the
usual options is understood here; every other, and every mistake, is the parser's (:mod:`supervisor.cli.arguments`).
A test holds both to the same answers.
"""

from __future__ import annotations

from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMATS = ("json", "logfmt", "console")
LEVELS = ("debug", "info", "warning", "error", "critical")
LOOPS = ("uvloop", "asyncio")


class Rewrite(Record):
    """``--rewrite-signal FROM:TO``; ``target`` is None for ``none``."""

    source: int
    target: int | None


class Arguments(Record):
    """One command line; each command uses what concerns it."""

    command: str
    paths: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    loop: str | None = None
    log_to: str | None = None
    log_level: str | None = None
    log_format: str | None = None
    control: str | None = None
    signal_scope: str | None = None
    rewrites: tuple[Rewrite, ...] = ()
    success_exit_codes: tuple[int, ...] = ()
    parent_death_signal: int | None = None
    new_session: bool = True
    wait_for_orphans: bool | None = None
    json: bool = False
    events: bool = False


_USUAL: dict[str, tuple[str, tuple[str, ...]]] = {
    "--control": ("control", ()),
    "--log-to": ("log_to", ()),
    "--log-level": ("log_level", LEVELS),
    "--log-format": ("log_format", FORMATS),
    "--loop": ("loop", LOOPS),
}
"""Options with the name of their value and what it may be; anything where nothing is said."""


def understand(argv: list[str]) -> Arguments | None:
    """The arguments of a ``run`` with usual options only; None for what has to be looked at more closely."""
    if argv[:1] != ["run"]:
        return None
    at = argv.index("--") if "--" in argv else len(argv)
    program = tuple(argv[at + 1 :])
    if at < len(argv) and (not program or "\0" in "".join(program)):
        return None
    paths: list[str] = []
    given: dict[str, Any] = {}
    words = iter(argv[1:at])
    for word in words:
        name, is_joined, value = word.partition("=")
        if not is_joined:
            value = next(words, "")
        if not value or value.startswith("-"):
            return None
        if name == "--config" or word == "-c":
            paths.append(value)
            continue
        field, allowed = _USUAL.get(name, ("", ()))
        if not field or (allowed and value not in allowed):
            return None
        given[field] = value
    return Arguments("run", paths=tuple(paths), program=program, **given)
