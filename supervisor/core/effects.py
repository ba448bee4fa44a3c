"""What is to be done: the only output of the core. Names are in the imperative; the shell carries them out in order."""

from supervisor.core.record import Record
from supervisor.core.spec import StopScope


class Spawn(Record):
    """Start the service's program; answered by ``ProcessSpawned`` or ``SpawnFailed`` before anything else happens."""

    service: str
    attempt: int


class SendSignal(Record):
    """Signal the service's main process ``pid`` and whom ``scope`` adds; then CONT, when ``wake`` is set.

    A stopped process keeps every signal but KILL pending until it is continued, signal(7); so an order to end is
    always followed by CONT.
    """

    service: str
    pid: int
    signal: int
    scope: StopScope
    wake: bool = False


class Freeze(Record):
    """Let nothing in the service's control group run; answered by ``Frozen`` where that can be done."""

    service: str


class Thaw(Record):
    """Let the service's control group run again."""

    service: str


class SignalDescendants(Record):
    """Signal every process that descends from the daemon; KILL is answered by ``DescendantsKilled``."""

    signal: int


class Report(Record):
    """Write a record.

    Reports that a transition begins with tell why it is made, so they are written before the change of state; those
    behind its first act tell of that, and are written after it.
    """

    level: str
    event: str
    fields: dict[str, object]


class NotifyManager(Record):
    """Tell the service manager above us, if there is one; sd_notify(3)."""

    message: str


class ReloadConfiguration(Record):
    """Read the configuration again; answered by ``Reconfigured`` when it is good."""


class ReopenLogs(Record):
    """Open the log files again."""


class ChangeOutput(Record):
    """From now on do with the lines of these services, whose processes go on, what their new settings say."""

    services: tuple[str, ...]


class CloseOutput(Record):
    """Write out all that the services have written: what comes later is nobody's."""


class Finish(Record):
    """Nothing is left to do: end the daemon with this exit code."""

    exit_code: int


Effect = (
    Spawn
    | SendSignal
    | Freeze
    | Thaw
    | SignalDescendants
    | Report
    | NotifyManager
    | ReloadConfiguration
    | ReopenLogs
    | ChangeOutput
    | CloseOutput
    | Finish
)
