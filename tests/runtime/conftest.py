"""Fixtures of the shell's tests."""

import os
from collections.abc import Iterator

import pytest

from tests.runtime.spawning import Spawner


@pytest.fixture
def spawner(tmp_path: os.PathLike[str]) -> Iterator[Spawner]:
    """Spawns real programs; the working directory, which a spawn leaves at the root, is put back."""
    directory = os.getcwd()
    spawner = Spawner(os.fspath(tmp_path))
    try:
        yield spawner
    finally:
        spawner.end()
        os.chdir(directory)
