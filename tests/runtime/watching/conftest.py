"""Fixtures of the watches' tests."""

from collections.abc import Iterator

import pytest

from supervisor.runtime.loops import make_loop
from tests.runtime.watching.support import RunningLoop, World, descriptors


@pytest.fixture
def real_loop(loop: str) -> Iterator[RunningLoop]:
    """Each of the real event loops; whatever a test watched must be watched no longer at its end."""
    running = RunningLoop(make_loop(loop))
    try:
        yield running
    finally:
        running.loop.run_until_complete(running.loop.shutdown_default_executor())
        running.loop.close()


@pytest.fixture
def world() -> World:
    """Neighbours that remember."""
    return World()


@pytest.fixture
def no_leak(real_loop: RunningLoop) -> Iterator[None]:
    """The test leaves no descriptor open."""
    real_loop.run(0)  # a loop opens what it needs with its first turn
    before = descriptors()
    yield
    assert descriptors() == before
