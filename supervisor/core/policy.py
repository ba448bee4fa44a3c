"""Restart policy as functions of numbers: whether, and after how long.

Jitter keeps services that failed together from coming back together (and so does each container: the salt differs).
"""

from supervisor.core.chance import share
from supervisor.core.spec import Restart, RestartLimit, ServiceSpec

JITTER = 0.1
"""Part of the delay by which it varies, to either side."""

TRANSIENT_MAX_DELAY = 5.0
"""Longest delay after a spawn that failed because the machine was out of something: it may be back any time."""


def wants_restart(policy: Restart, *, success: bool) -> bool:
    """Whether the policy restarts a service that ended so; systemd.service(5), ``Restart=``."""
    return policy is Restart.ALWAYS or (policy is Restart.ON_FAILURE and not success)


def restart_delay(spec: ServiceSpec, streak: int, salt: int) -> float:
    """Seconds before the next start.

    Args:
        spec: the service's.
        streak: restarts in a row so far, without having been up long enough in between; 0 for the first.
        salt: any number that differs from daemon to daemon.
    """
    return _jittered(_doubled(spec.restart_delay, streak, spec.restart_max_delay), spec.name, streak, salt)


def transient_delay(spec: ServiceSpec, streak: int, salt: int) -> float:
    """Seconds before the next try after a transient spawn failure; never 0, so that it can't become a busy loop."""
    delay = _doubled(max(spec.restart_delay, 0.1), streak, TRANSIENT_MAX_DELAY)
    return _jittered(delay, spec.name, streak, salt)


def recent_restarts(limit: RestartLimit | None, restarts: tuple[float, ...], now: float) -> tuple[float, ...]:
    """The restarts that the limit still counts at ``now``; none without a limit."""
    return () if limit is None else tuple(at for at in restarts if now - at < limit.within)


def limit_reached(limit: RestartLimit | None, recent: tuple[float, ...]) -> bool:
    """Whether one more restart would exceed the limit."""
    return limit is not None and len(recent) >= limit.count


def _doubled(delay: float, times: int, longest: float) -> float:
    # 2.0 ** 1024 overflows; long before that every delay has met its maximum
    return min(delay * 2.0 ** min(times, 64), max(longest, 0.0))


def _jittered(delay: float, name: str, streak: int, salt: int) -> float:
    return delay * (1 - JITTER + 2 * JITTER * share(salt, name, streak))
