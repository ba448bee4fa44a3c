"""What shells have to know of the command line, taken from its parsers: what they know, the shells know."""

from __future__ import annotations

import argparse

from supervisor.cli import arguments, calls
from supervisor.core.record import Record
from supervisor.core.signals import NUMBERS

SIGNALS = " ".join(name.removeprefix("SIG") for name in NUMBERS)
"""Names of signals, as they are offered."""


class Option(Record):
    """One option.

    Attributes:
        names: all its names.
        help: one line.
        value: what may follow: words, or :data:`KINDS`; None where nothing may.
    """

    names: tuple[str, ...]
    help: str
    value: tuple[str, ...] | str | None = None


class Command(Record):
    """One command: its options, and what each of its words may be; the last of them may repeat."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[tuple[str, ...] | str, ...]


KINDS = ("file", "service", "base", "signal", "any")
"""What a word may be where it is none of a few."""


def commands() -> list[Command]:
    """Every command, from its parser."""
    made = {name: (help_text, arguments.make_parser(name)) for name, help_text in arguments.OWN.items()}
    made |= {name: (help_text, calls.make_parser(name)) for name, help_text in arguments.CLIENTS.items()}
    return [_command(name, help_text, parser) for name, (help_text, parser) in made.items()]


def _command(name: str, help_text: str, parser: argparse.ArgumentParser) -> Command:
    options, words = [], []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to tell what it knows
        if action.help == argparse.SUPPRESS:
            continue
        if action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            options.append(Option(tuple(action.option_strings), action.help or "", value))
        else:
            words.append(_value(action))
    return Command(name, help_text, tuple(options), tuple(words))


def _value(action: argparse.Action) -> tuple[str, ...] | str:
    if action.choices is not None:
        return tuple(map(str, action.choices))
    told: tuple[str, ...] | str = getattr(action, "completes", "any")
    return told
