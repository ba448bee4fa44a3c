"""Configuration text, made of Python values, and the command lines of the small programs."""

import json
import os
import sys
from collections.abc import Mapping

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
"""Folder of the small programs the tests supervise."""


def program(name: str, *arguments: str) -> list[str]:
    """Command line of one of the small programs; it sees neither ``PYTHON*`` variables nor site-packages."""
    return [sys.executable, "-I", "-S", os.path.join(PROGRAMS, name + ".py"), *arguments]


def value(thing: object) -> str:
    """A TOML value: a JSON string, number, boolean or list is one, a mapping becomes an inline table."""
    if isinstance(thing, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {value(item)}" for key, item in thing.items()) + " }"
    if isinstance(thing, list | tuple):
        return "[" + ", ".join(value(item) for item in thing) + "]"
    return json.dumps(thing).replace("\x7f", "\\u007f")


def table(_name: str, /, **settings: object) -> str:
    """A TOML table; underscores in keys stand for hyphens."""
    pairs = (f"{key.replace('_', '-')} = {value(thing)}" for key, thing in settings.items())
    return "\n".join([f"[{_name}]", *pairs, "", ""])


def service(_name: str, /, *command: str, **settings: object) -> str:
    """The table of one service."""
    return table(f"services.{_name}", command=list(command), **settings)


def signals(actions: Mapping[str, object]) -> str:
    """The ``[signals]`` table, whose keys are signal names and may hold a plus."""
    return "\n".join(["[signals]", *(f'"{key}" = {value(thing)}' for key, thing in actions.items()), "", ""])
