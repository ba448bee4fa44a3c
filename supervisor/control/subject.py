"""What the endpoints speak about."""

from supervisor.control.lines import Lines
from supervisor.control.orders import Orders
from supervisor.control.plane import About, Neighbours
from supervisor.control.records import RecordCounts, Ring
from supervisor.control.rolling import Rolling
from supervisor.control.view import View, service_view
from supervisor.core.fleet import Fleet
from supervisor.logs.journal import Journal


class Subject:
    """The daemon, for those who answer questions about it; each endpoint uses what concerns it."""

    def __init__(self, daemon: Neighbours, ring: Ring, records: RecordCounts, about: About, journal: Journal) -> None:
        self._journal = journal
        self.driver = daemon.driver
        self.reloader = daemon.reloader
        self.reopen_logs = daemon.reopen_logs
        self.tally = daemon.tally
        self.lines = Lines(daemon.tails)
        self.ring = ring
        self.records = records
        self.about = about
        self.orders = Orders(daemon.driver)
        self.rolling = Rolling(self.orders, self._warn)

    @property
    def fleet(self) -> Fleet:
        """The services."""
        return self.driver.fleet

    def view(self, name: str) -> View:
        """All that clients are told of one service, which exists; without secrets, wherever they may stand."""
        view = service_view(self.fleet, name)
        redactor = self._journal.redactor
        if redactor is not None:
            view |= redactor.fields({"command": view["command"], "status_text": view["status_text"]})
        return view

    def without_secrets(self, texts: list[str]) -> list[str]:
        """Texts as the log would have them."""
        redactor = self._journal.redactor
        return texts if redactor is None else [redactor.text(text) for text in texts]

    def _warn(self, message: str) -> None:
        self._journal.emit("warning", "supervisor_warning", message=message)
