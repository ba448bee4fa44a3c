"""What the tests of sinks share: a real event loop to work on, and the records about the sink."""

import asyncio
import importlib
import importlib.util
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from supervisor.logs.sinks.workers import Workers
from tests.helpers.patience import PATIENCE

LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])


class Bench:
    """A loop, worker threads, and what was told.

    Attributes:
        told: all records, as (event, fields).
    """

    def __init__(self, name: str) -> None:
        module: Any = asyncio if name == "asyncio" else importlib.import_module(name)
        self.loop: Any = module.new_event_loop()
        self.mistakes: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.mistakes.append(context))
        self.workers = Workers()
        self.workers.attach(self.loop)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._closing: list[Any] = []

    def tell(self, level: str, event: str, /, **fields: object) -> None:
        """Take a record about a sink."""
        assert level in {"info", "warning"}
        self.told.append((event, fields))

    def events(self, event: str) -> list[dict[str, Any]]:
        """Fields of the records of one kind."""
        return [fields for name, fields in self.told if name == event]

    def lost(self) -> int:
        """How many lines were said to be lost."""
        return sum(fields["count"] for fields in self.events("log_lines_dropped"))

    def add(self, target: Any) -> Any:
        """Let a target work on the loop, and close it at the end."""
        self._closing.append(target)
        target.attach(self.loop)
        return target

    def until(self, condition: Callable[[], object], why: str) -> None:
        """Run the loop until the condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {PATIENCE} s: {why}; told: {self.told}")
            self.turn()

    def turn(self, seconds: float = 0.002) -> None:
        """Run the loop for a moment."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()

    def close(self) -> None:
        """Close all, and see that nothing went wrong in the loop."""
        for target in self._closing:
            target.close()
        deadline = time.monotonic() + PATIENCE
        while self.workers.busy and time.monotonic() < deadline:
            self.workers.next_result(PATIENCE)
        self.workers.close()
        self.loop.close()
        assert self.mistakes == []


@contextmanager
def bench(name: str) -> Iterator[Bench]:
    """A bench, closed at the end."""
    made = Bench(name)
    try:
        yield made
    finally:
        made.close()


class Receiver:
    """A socket of ours that a sink sends datagrams to."""

    def __init__(self, path: str | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.port = 0 if path else self.socket.getsockname()[1]
        self.messages: list[bytes] = []
        self.descriptors: list[int] = []

    def read(self) -> list[bytes]:
        """All messages so far, read now."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 20, 4)
            except BlockingIOError:
                return self.messages
            self.messages.append(data)
            self.descriptors += descriptors

    def close(self) -> None:
        """Nobody listens any more."""
        self.socket.close()
