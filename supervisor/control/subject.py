"""What the endpoints speak about."""

from supervisor.control.lines import Lines
from supervisor.control.orders import Orders
from supervisor.control.plane import About, Neighbours
from supervisor.control.records import RecordCounts, Ring
from supervisor.core.fleet import Fleet


class Subject:
    """The daemon, for those who answer questions about it; each endpoint uses what concerns it."""

    def __init__(self, daemon: Neighbours, ring: Ring, records: RecordCounts, about: About) -> None:
        self.driver = daemon.driver
        self.reloader = daemon.reloader
        self.reopen_logs = daemon.reopen_logs
        self.tally = daemon.tally
        self.lines = Lines(daemon.tails)
        self.ring = ring
        self.records = records
        self.about = about
        self.orders = Orders(daemon.driver)

    @property
    def fleet(self) -> Fleet:
        """The services."""
        return self.driver.fleet
