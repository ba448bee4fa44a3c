"""How it is found out that a service is ready, and whether it is well."""

from supervisor.core.light import Enum
from supervisor.core.record import Record


class NotifyProbe(Record):
    """Ready when the service says ``READY=1``; sd_notify(3)."""


class FdProbe(Record):
    """Ready when the service writes a line to this descriptor; s6's ``notification-fd``."""

    fd: int


class TcpProbe(Record):
    """Well when a connection can be made."""

    host: str
    port: int


class HttpProbe(Record):
    """Well when a GET is answered with a status from 200 to 399.

    Attributes:
        path: with its query; begins with ``/``.
    """

    host: str
    port: int
    path: str = "/"


class CommandProbe(Record):
    """Well when the command exits with 0; it runs as the service does: user, directory, environment."""

    command: tuple[str, ...]


class LogProbe(Record):
    """Ready when a line of the service's output matches; a regular expression that is searched for."""

    pattern: str


class FileProbe(Record):
    """Well when the file exists; absolute path."""

    path: str


Probe = NotifyProbe | FdProbe | TcpProbe | HttpProbe | CommandProbe | LogProbe | FileProbe


class Ready(Record):
    """How a service tells that it is ready.

    Attributes:
        interval: seconds between two tries, where it has to be asked.
        timeout: seconds that one try may take.
    """

    probe: Probe
    interval: float = 0.5
    timeout: float = 1.0


class HealthAction(Enum):
    """What follows when a service is found unhealthy."""

    RESTART = "restart"
    """Its process is ended, and its restart policy decides as after any other failure."""
    REPORT = "report"


class Health(Record):
    """How a running service is watched.

    Attributes:
        interval: seconds from the end of one probe to the next.
        timeout: seconds that one probe may take.
        failures: so many in a row make it unhealthy.
    """

    probe: TcpProbe | HttpProbe | CommandProbe | FileProbe
    interval: float = 10.0
    timeout: float = 1.0
    failures: int = 3
    action: HealthAction = HealthAction.RESTART
