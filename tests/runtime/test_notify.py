"""Telling the service manager, over real datagram sockets."""

import os
import socket
from collections.abc import Iterator

import pytest

from supervisor.runtime.notify import Manager
from tests.helpers.patience import PATIENCE


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: os.PathLike[str]) -> Iterator[tuple[socket.socket, str]]:
    """A manager's socket and its address as ``NOTIFY_SOCKET`` has it."""
    name = f"pausevisor-test-{os.getpid()}"
    address = f"@{name}" if request.param == "abstract" else os.path.join(tmp_path, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name if request.param == "abstract" else address)
        receiver.settimeout(PATIENCE)
        yield receiver, address


def test_each_message_is_one_datagram(listener: tuple[socket.socket, str]) -> None:
    """Messages arrive whole and in order, at a path and at an abstract name."""
    receiver, address = listener
    manager = Manager(address)
    manager.tell("READY=1")
    manager.tell("STOPPING=1")
    assert [receiver.recv(100), receiver.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_no_descriptor_stays_open(listener: tuple[socket.socket, str]) -> None:
    """Neither a message that was sent nor one that was refused leaves a socket."""
    before = sorted(os.listdir("/proc/self/fd"))
    Manager(listener[1]).tell("READY=1")
    with pytest.raises(OSError, match=r"No such file|refused"):
        Manager(listener[1] + "-gone").tell("READY=1")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_manager_that_reads_nothing_does_not_hold_us_up(listener: tuple[socket.socket, str]) -> None:
    """When its queue is full the message is refused at once, not waited with."""
    manager = Manager(listener[1])

    def fill() -> None:
        for _ in range(100_000):
            manager.tell("WATCHDOG=1")

    with pytest.raises(BlockingIOError):
        fill()


@pytest.mark.parametrize("address", [None, ""])
def test_without_a_manager_nothing_is_told(address: str | None) -> None:
    """Nobody listens, and that is no error."""
    Manager(address).tell("READY=1")


def test_an_address_that_is_too_long_is_an_os_error() -> None:
    """Whatever the variable holds, the caller has one kind of error to expect."""
    with pytest.raises(OSError, match="too long"):
        Manager("/" + "x" * 300).tell("READY=1")
