"""Fixtures of the command line's tests."""

import os
from collections.abc import Callable

import pytest

from tests.cli.talking import Talker
from tests.control.conftest import StartControlled, control, folder, path
from tests.harness import Daemon, How

__all__ = ["control", "folder", "path"]

Talking = Callable[..., tuple[Daemon, Talker]]


@pytest.fixture
def write(tmp_path: os.PathLike[str]) -> Callable[..., str]:
    """Write a configuration file; its path."""

    def to_file(text: str, name: str = "pausevisor.toml") -> str:
        path = os.path.join(tmp_path, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    return to_file


@pytest.fixture
def talk(control: StartControlled, path: str) -> Talking:
    """Start a daemon with a control socket; it, and who talks to it."""

    def begin(*tables: str, options: tuple[str, ...] = (), how: How | None = None) -> tuple[Daemon, Talker]:
        daemon, _ = control(*tables, options=options, how=how)
        return daemon, Talker(path)

    return begin
