"""Three axes of a service: what it is, what is wanted of it, and why it got there.

The pairs of :class:`State` and :class:`Desired`, in words:

=========  ===================================================  ==================================================
state      wanted up                                            wanted down
=========  ===================================================  ==================================================
STOPPED    (does not last: it starts at once)                   at rest; never started, or stopped by order
WAITING    its needs are not met, or its time has not come      (does not last: it stops at once)
STARTING   has a process that is not ready, or a task that runs (does not last: it is stopping)
RUNNING    has a process, ready                                 (does not last: it is stopping)
STOPPING   starts again when it is down: by order, or as its    its process was told to end
           policy decides, see ``Service.ending``
BACKOFF    waits for the delay before the next start            (does not last: it stops at once)
COMPLETED  (does not last: it starts at once)                   ended by itself, successfully
FAILED     (does not last: it starts at once)                   failed for good; only an order starts it again
=========  ===================================================  ==================================================

A service that ended by itself is wanted down from then on: nobody but an order wants it back.
"""

from supervisor.core.light import Enum


class State(Enum):
    """What a service is. The values are the names users see."""

    STOPPED = "stopped"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    COMPLETED = "completed"
    FAILED = "failed"


class Desired(Enum):
    """What is wanted of a service."""

    UP = "up"
    DOWN = "down"


class Reason(Enum):
    """Why a service is in its state; the ``reason`` of ``service_state_changed``."""

    INITIAL = "initial"
    START = "start"
    NEEDS = "needs"
    NEEDS_MET = "needs-met"
    NEED_FAILED = "need-failed"
    NEED_RESTARTED = "need-restarted"
    SCHEDULE = "schedule"
    NEVER_DUE = "never-due"
    REPLACED = "replaced"
    SPAWNED = "spawned"
    READY = "ready"
    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"
    SHUTDOWN = "shutdown"
    SUCCESS = "success"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    CORE_DUMP = "core-dump"
    SPAWN_FAILED = "spawn-failed"
    START_TIMEOUT = "start-timeout"
    NOT_READY = "not-ready"
    UNHEALTHY = "unhealthy"
    WATCHDOG = "watchdog"
    ANNOUNCED = "announced"
    RESTART_LIMIT = "restart-limit"
    DELAY_OVER = "delay-over"


HAS_PROCESS = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
"""States in which the service has a main process."""

AT_REST = frozenset({State.STOPPED, State.COMPLETED, State.FAILED})
"""States in which nothing will happen without an order."""

HAS_DEADLINE = frozenset({State.STARTING, State.RUNNING, State.STOPPING, State.BACKOFF})
"""States that may have a deadline: to be ready, the watchdog's, to be gone, to start again."""
