"""Fixtures of the command line's tests."""

import os
from collections.abc import Callable

import pytest


@pytest.fixture
def write(tmp_path: os.PathLike[str]) -> Callable[..., str]:
    """Write a configuration file; its path."""

    def to_file(text: str, name: str = "pausevisor.toml") -> str:
        path = os.path.join(tmp_path, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    return to_file
