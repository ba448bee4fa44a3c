"""Restart policy: whether, and after how long."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core import policy
from supervisor.core.chance import share
from supervisor.core.spec import Restart, RestartLimit, ServiceSpec

SPEC = ServiceSpec(name="web", command=("true",), restart_delay=0.2, restart_max_delay=30.0)


@pytest.mark.parametrize(
    ("restart", "success", "wanted"),
    [
        (Restart.NEVER, True, False),
        (Restart.NEVER, False, False),
        (Restart.ON_FAILURE, True, False),
        (Restart.ON_FAILURE, False, True),
        (Restart.ALWAYS, True, True),
        (Restart.ALWAYS, False, True),
    ],
)
def test_who_is_restarted(restart: Restart, success: bool, wanted: bool) -> None:
    """The table of systemd.service(5), as far as these three words go."""
    assert policy.wants_restart(restart, success=success) is wanted


@given(streak=st.integers(0, 5000), salt=st.integers(0, 2**64))
def test_delay_doubles_up_to_its_maximum(streak: int, salt: int) -> None:
    """Each delay is twice the one before, within ten percent, and never above the maximum and its ten percent."""
    expected = min(0.2 * 2.0 ** min(streak, 64), 30.0)
    assert expected * 0.9 <= policy.restart_delay(SPEC, streak, salt) <= expected * 1.1


def test_jitter_differs_between_services_and_daemons() -> None:
    """Two services that fail together, or one service in two containers, don't come back in the same instant."""
    other = ServiceSpec(name="db", command=("true",))
    assert policy.restart_delay(SPEC, 0, 1) != policy.restart_delay(other, 0, 1)
    assert policy.restart_delay(SPEC, 0, 1) != policy.restart_delay(SPEC, 0, 2)


def test_jitter_of_similar_names_is_not_alike() -> None:
    """However alike two names are, their delays are not close to each other restart after restart."""
    specs = [ServiceSpec(name=f"web#{number}", command=("true",)) for number in range(100)]
    delays = [[policy.restart_delay(spec, 0, salt) for salt in range(8)] for spec in specs]
    width = 2 * policy.JITTER * SPEC.restart_delay
    for first, second in itertools.combinations(delays, 2):
        assert max(abs(a - b) for a, b in zip(first, second, strict=True)) > width / 50


def test_jitter_is_spread_evenly() -> None:
    """A tenth of many services falls into each tenth of the time."""
    counts = [0] * 10
    for number in range(2000):
        counts[int(share(7, f"web#{number}", 0) * 10)] += 1
    assert min(counts) > 150
    assert max(counts) < 250


def test_no_delay_stays_no_delay() -> None:
    """A delay of zero is not doubled into one."""
    spec = ServiceSpec(name="web", command=("true",), restart_delay=0.0)
    assert [policy.restart_delay(spec, streak, 7) for streak in range(5)] == [0.0] * 5


@given(streak=st.integers(0, 5000))
def test_transient_failures_never_spin(streak: int) -> None:
    """Even without a configured delay there is one when the machine is out of processes, and it stays short."""
    spec = ServiceSpec(name="web", command=("true",), restart_delay=0.0)
    assert 0.09 <= policy.transient_delay(spec, streak, 7) <= policy.TRANSIENT_MAX_DELAY * 1.1


def test_limit_counts_within_its_window() -> None:
    """Restarts older than the window are forgotten; without a limit nothing is counted."""
    limit = RestartLimit(2, 60.0)
    recent = policy.recent_restarts(limit, (0.0, 39.9, 50.0), 99.9)
    assert recent == (50.0,)
    assert not policy.limit_reached(limit, recent)
    assert policy.limit_reached(limit, (50.0, 60.0))
    assert policy.recent_restarts(None, (1.0,), 2.0) == ()
    assert not policy.limit_reached(None, ())
