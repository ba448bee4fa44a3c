"""What the endpoints speak about."""

from supervisor.control.orders import Orders
from supervisor.control.plane import About
from supervisor.control.records import RecordCounts, Ring
from supervisor.control.reloading import Reloader
from supervisor.core.fleet import Fleet
from supervisor.runtime.driver import Driver


class Subject:
    """The daemon, for those who answer questions about it; each endpoint uses what concerns it."""

    def __init__(self, driver: Driver, ring: Ring, records: RecordCounts, about: About, reloader: Reloader) -> None:
        self.driver = driver
        self.ring = ring
        self.records = records
        self.about = about
        self.reloader = reloader
        self.orders = Orders(driver)

    @property
    def fleet(self) -> Fleet:
        """The services."""
        return self.driver.fleet
