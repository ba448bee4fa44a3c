"""The notification socket, for real: who sent what, and that nothing comes along with it."""

import array
import errno
import os
import select
import socket
from collections.abc import Iterator

import pytest

from supervisor.runtime.watching.inbox import Inbox
from tests.runtime.watching.support import descriptors


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """One inbox."""
    inbox = Inbox()
    yield inbox
    inbox.close()


def send(address: str, data: bytes, fds: tuple[int, ...] = ()) -> None:
    """Send one message, as any client would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sender.sendmsg([data], attached, 0, "\0" + address[1:])


def in_child(action: object) -> int:
    """Do it in a child that is reaped when this returns; its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            action()  # type: ignore[operator]
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_the_kernel_says_who_sent(inbox: Inbox) -> None:
    """Process and user of the sender come with each message, in the order in which they were sent."""
    send(inbox.address, b"READY=1")
    pid = in_child(lambda: send(inbox.address, b"STOPPING=1"))
    first, second = inbox.read(), inbox.read()
    assert first is not None
    assert second is not None
    assert (first.data, first.pid, first.uid, first.cut) == (b"READY=1", os.getpid(), os.getuid(), False)
    assert (second.data, second.pid) == (b"STOPPING=1", pid)
    assert inbox.read() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_reaches_it(inbox: Inbox) -> None:
    """A service that runs as somebody else needs no permission to send, and can't lie about who it is."""

    def act() -> None:
        os.setgid(65534)
        os.setuid(65534)
        send(inbox.address, b"READY=1")

    in_child(act)
    letter = inbox.read()
    assert letter is not None
    assert letter.uid == 65534


def test_long_messages_are_cut(inbox: Inbox) -> None:
    """A giant datagram takes no more memory than the longest message, and is known for what it is."""
    send(inbox.address, b"READY=1\nSTATUS=" + b"x" * 65536)
    send(inbox.address, b"y" * 4096)
    first, second = inbox.read(), inbox.read()
    assert first is not None
    assert second is not None
    assert (len(first.data), first.cut) == (4096, True)
    assert (len(second.data), second.cut) == (4096, False)


@pytest.mark.parametrize("count", [1, 2, 253])
def test_descriptors_never_come_in(inbox: Inbox, count: int) -> None:
    """Attached descriptors are closed as the message is taken, and not before: that is what a barrier waits for."""
    reader, writer = os.pipe()
    send(inbox.address, b"READY=1")
    send(inbox.address, b"BARRIER=1", (writer,) * count)
    os.close(writer)
    poll = select.poll()
    poll.register(reader, 0)
    before = descriptors()
    letter = inbox.read()
    assert letter is not None
    assert letter.data == b"READY=1"
    assert poll.poll(0) == []
    letter = inbox.read()
    assert letter is not None
    assert (letter.data, letter.pid) == (b"BARRIER=1", os.getpid())
    assert poll.poll(0) == [(reader, select.POLLHUP)]
    assert descriptors() == before
    os.close(reader)


def test_an_inbox_that_is_closed_takes_nothing() -> None:
    """What is sent after the end is refused, and nothing stays open."""
    before = descriptors()
    inbox = Inbox()
    inbox.close()
    with pytest.raises(ConnectionRefusedError):
        send(inbox.address, b"READY=1")
    assert descriptors() == before


def test_no_two_have_the_same_name() -> None:
    """Each start of a service has an address of its own, that nobody can know before."""
    inboxes = [Inbox() for _ in range(50)]
    assert len({inbox.address for inbox in inboxes}) == 50
    assert all(len(inbox.address) < 108 for inbox in inboxes)
    for inbox in inboxes:
        inbox.close()


def test_a_name_that_is_taken_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it can't be bound it is closed again."""
    monkeypatch.setattr(os, "urandom", lambda count: b"x" * count)
    first = Inbox()
    before = descriptors()
    with pytest.raises(OSError, match="in use") as caught:
        Inbox()
    assert caught.value.errno == errno.EADDRINUSE
    assert descriptors() == before
    first.close()
