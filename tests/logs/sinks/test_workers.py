"""Threads that write, seen without files."""

import os
import threading

import pytest

from supervisor.logs.sinks.workers import Workers
from tests.helpers.patience import PATIENCE


def test_the_descriptor_is_not_closed_under_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result may be taken before its thread has said that it is there; it must not say so to another's descriptor."""
    workers, found = Workers(), list[object]()
    done, go_on, said, say = threading.Event(), threading.Event(), threading.Event(), os.eventfd_write
    failed: list[OSError] = []

    def late(descriptor: int, value: int) -> None:
        done.set()
        assert go_on.wait(PATIENCE)
        try:
            say(descriptor, value)
        except OSError as error:
            failed.append(error)
        said.set()

    monkeypatch.setattr(os, "eventfd_write", late)
    workers.submit(lambda: "result", found.append)
    assert done.wait(PATIENCE)
    workers.deliver()
    assert (found, workers.busy) == (["result"], 0)
    closing = threading.Thread(target=workers.close)
    closing.start()
    closing.join(0.2)  # as long as it takes that does not wait for the other one
    go_on.set()
    assert said.wait(PATIENCE)
    closing.join(PATIENCE)
    assert failed == []
