"""The watch on the configuration, with real files, real inotify and both loops."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from supervisor.runtime.config_watch import ConfigWatch
from supervisor.runtime.loops import make_loop
from tests.helpers.patience import PATIENCE


class Watched:
    """A watch on a folder, and a loop that runs until it has ordered a reload."""

    def __init__(self, loop: Any, folder: str) -> None:
        self.folder = folder
        self.loop = loop
        self.warnings: list[str] = []
        self.reloads = 0
        self.write("a.toml", "1")
        self.watch = ConfigWatch(loop, lambda: (folder,), self._reload, self.warnings.append)

    def write(self, name: str, text: str) -> None:
        """Write a file in the folder."""
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, seconds: float) -> int:
        """Let the loop run until a reload is ordered or the time is over; the number of reloads so far."""
        timer = self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()
        timer.cancel()
        return self.reloads

    def _reload(self) -> None:
        self.reloads += 1
        self.loop.stop()


@pytest.fixture
def watched(tmp_path: os.PathLike[str], loop: str) -> Iterator[Watched]:
    """A folder that is watched."""
    made = make_loop(loop)
    found = Watched(made, os.path.join(os.fspath(tmp_path), "conf.d"))
    yield found
    found.watch.close()
    made.close()


def test_files_come_and_change(watched: Watched) -> None:
    """A new file and a change in place are one reload each."""
    watched.write("b.toml", "1")
    assert watched.run(PATIENCE) == 1
    watched.write("a.toml", "longer")
    assert watched.run(PATIENCE) == 2
    assert watched.warnings == []


def test_other_files_are_nothing(watched: Watched) -> None:
    """What is no configuration may be written in the same folder."""
    watched.write("notes.txt", "1")
    assert watched.run(1) == 0


def test_a_folder_that_comes_back(watched: Watched) -> None:
    """A folder that is removed is seen to go, and to come back."""
    shutil.rmtree(watched.folder)
    assert watched.run(PATIENCE) == 1
    watched.write("a.toml", "2")
    assert watched.run(PATIENCE) == 2
    watched.write("a.toml", "longer")
    assert watched.run(PATIENCE) == 3
