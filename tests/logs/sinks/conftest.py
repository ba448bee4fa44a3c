"""Fixtures of the tests of sinks."""

from collections.abc import Iterator

import pytest

from tests.logs.sinks.support import LOOPS, Bench, bench


@pytest.fixture(params=LOOPS)
def on(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Each of the event loops the daemon runs on, with threads."""
    with bench(request.param) as made:
        yield made
