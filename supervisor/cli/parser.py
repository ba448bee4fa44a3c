"""The parser of one command: argparse, with errors and help in the words of this program."""

from __future__ import annotations

import argparse
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn


class Formatter(argparse.HelpFormatter):
    """Knows its width: left to itself it imports shutil and four compression libraries to find it, at every start."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns)
        except (OSError, ValueError):
            columns = 80
        super().__init__(prog, width=columns - 2)


class RawFormatter(Formatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the list of commands."""


class Parser(argparse.ArgumentParser):
    """Errors name the program and where help is, and exit with 2."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=Formatter, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown.startswith("-") and unknown != message:
            message += nearest(unknown.split()[0].partition("=")[0], self._option_string_actions)
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def sentence(text: str) -> str:
    """What a list of commands says of one, as its own help begins."""
    return f"{text[:1].upper()}{text[1:]}."


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean web or db?`` of words that are near to this one; empty where none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    near = get_close_matches(word, tuple(known))
    return f"; did you mean {' or '.join(near)}?" if near else ""


def completes(action: argparse.Action, what: str | tuple[str, ...]) -> None:
    """Say of an argument what a shell may offer for it: words, or ``file``, ``service``, ``signal``, ``base``."""
    action.completes = what  # type: ignore[attr-defined]
