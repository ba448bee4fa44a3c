"""Who shares a target with whom."""

import os

from supervisor.core.spec import FileSink
from supervisor.logs.sinks.registry import Sinks
from tests.logs.sinks.support import Bench


def test_a_file_has_one_writer_however_it_is_spelled(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """Of two who rotate one file, each would move what the other is writing, or compress it away."""
    os.mkdir(os.path.join(tmp_path, "sub"))
    sinks = Sinks(on.tell)
    sinks.attach(on.loop)
    spellings = ("web.log", "{service}.log", "sub/../web.log")
    first, *others = [sinks.acquire(FileSink(os.path.join(tmp_path, name)), "web") for name in spellings]
    other = sinks.acquire(FileSink(os.path.join(tmp_path, "{service}.log")), "db")
    assert all(target is first for target in others)
    assert other is not first
    sinks.close()
