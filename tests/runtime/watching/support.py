"""What the tests of this folder share: real event loops that run until something has happened, and small servers."""

import contextlib
import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from supervisor.core import events as ev
from supervisor.core.record import replace
from supervisor.core.spec import Health, Ready, ServiceSpec
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.watches import Neighbours
from tests.helpers.patience import PATIENCE
from tests.helpers.procfs import wait_until
from tests.runtime.fakes import Recorder


def spec(name: str = "web", **changes: Any) -> ServiceSpec:
    """A service with these settings."""
    return replace(ServiceSpec(name=name, command=(name,)), **changes)


def ready(probe: Any, **changes: Any) -> Ready:
    """Readiness by this probe."""
    return replace(Ready(probe), **changes)


def health(probe: Any, **changes: Any) -> Health:
    """Health by this probe."""
    return replace(Health(probe), **changes)


class RunningLoop:
    """A real event loop, which is run until something has happened."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.errors: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.errors.append(context))

    def until(self, happened: Callable[[], bool], why: str) -> None:
        """Run until this holds, looked at after each turn."""
        missing: list[str] = []
        timer = self.loop.call_later(PATIENCE, missing.append, why)
        while not happened() and not missing:
            self.loop.call_later(0.001, self.loop.stop)
            self.loop.run_forever()
        timer.cancel()
        assert missing == []
        assert self.errors == []

    def run(self, seconds: float) -> None:
        """Run for some time: for what must not happen."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()
        assert self.errors == []


class World:
    """Neighbours of the watches that remember; what they don't remember is real.

    Attributes:
        events: what the core was given.
        listeners: by service, who listens to its lines.
        commands: those that were run, with who is told of their ends.
    """

    def __init__(self, kernel: Kernel | None = None) -> None:
        self.journal = Recorder()
        self.events: list[ev.Event] = []
        self.listeners: dict[str, Callable[[list[bytes]], None]] = {}
        self.commands: list[tuple[tuple[str, ...], Callable[[int], None]]] = []
        self.react: Callable[[ev.Event], None] = lambda _event: None
        self.neighbours = Neighbours(
            kernel=kernel or Kernel(), journal=self.journal, handle=self._handle, listen=self._listen, run=self._run
        )

    def _handle(self, event: ev.Event) -> None:
        self.events.append(event)
        self.react(event)

    def _listen(self, service: str, listener: Callable[[list[bytes]], None] | None) -> None:
        if listener is None:
            del self.listeners[service]
        else:
            self.listeners[service] = listener

    def _run(self, _spec: ServiceSpec, command: tuple[str, ...], done: Callable[[int], None]) -> int:
        self.commands.append((command, done))
        return 1000 + len(self.commands)

    def warnings(self) -> list[str]:
        """Messages of all warnings so far."""
        return [record["message"] for record in self.journal.events("supervisor_warning")]


def descriptors() -> set[str]:
    """This process's open descriptors, that of the listing itself left out, and those of what is garbage."""
    gc.collect()
    return {name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


class Server:
    """A server in a thread: every connection is handled by a function.

    Attributes:
        port: where it listens.
        problems: what handlers raised.
    """

    def __init__(self, handle: Callable[[socket.socket], None], address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((address, 0))
        self._listener.listen(64)
        self._handle = handle
        self.port: int = self._listener.getsockname()[1]
        self.problems: list[Exception] = []
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()
            self.connections += 1

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE)
            try:
                self._handle(connection)
            except Exception as error:  # noqa: BLE001 - told to the test
                self.problems.append(error)

    def wait(self, count: int) -> None:
        """Wait until so many connections have come and are handled."""
        wait_until(lambda: self.connections >= count, f"{count} connections")
        for thread in list(self._threads):
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def close(self) -> None:
        """Accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(PATIENCE)


@contextlib.contextmanager
def serving(handle: Callable[[socket.socket], None], address: str = "127.0.0.1") -> Iterator[Server]:
    """A server for as long as it is needed."""
    server = Server(handle, address)
    try:
        yield server
    finally:
        server.close()
