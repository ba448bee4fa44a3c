"""What services themselves write to: their notification sockets and their notification pipes.

Owns each of them from before the start of the program to the end of its process. One epoll instance watches all, and
is itself all that the loop watches, as in :mod:`supervisor.logs.capture`.

The work of one turn is bounded, and a service that sends faster than that is read again a little later: its sender
blocks meanwhile, for the kernel keeps only a few datagrams (``net.unix.max_dgram_qlen``, unix(7)).
"""

from __future__ import annotations

import os
import select

from supervisor.core import events as ev
from supervisor.core.probes import describe
from supervisor.core.record import replace
from supervisor.core.spec import FdProbe, NotifyProbe
from supervisor.runtime.watching.senders import Senders, Throttle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.core.spec import ServiceSpec
    from supervisor.runtime.ports import WatchLoop
    from supervisor.runtime.watches import Neighbours
    from supervisor.runtime.watching.inbox import Inbox, Letter

_LETTERS_A_TURN = 16
_CHANNELS_A_TURN = 4
"""Together some three milliseconds of work."""

_TURNS_AT_THE_END = 16
"""A dead process sends no more, but those it leaves may."""

_PAUSE = 0.02
"""Seconds until a service is read again that had more to say than is read in one turn."""

_CHUNK = 65536
"""Bytes: what a pipe holds, unless it was told to hold more."""


def needs_inbox(spec: ServiceSpec) -> bool:
    """Whether the service is to find a ``NOTIFY_SOCKET`` in its environment."""
    return spec.watchdog is not None or (spec.ready is not None and isinstance(spec.ready.probe, NotifyProbe))


class Channel:
    """What one start of a service has.

    Attributes:
        born: the process that was started; 0 until it was.
        pid: the main process now.
        reader: our end of the pipe, -1 when there is none.
        writer: the program's end, -1 once it has it.
        listening: the line that makes the service ready has not come yet.
    """

    __slots__ = ("born", "inbox", "listening", "pid", "reader", "service", "spec", "throttle", "writer")

    def __init__(self, spec: ServiceSpec) -> None:
        self.spec = spec
        self.service = spec.name
        self.born = 0
        self.pid = 0
        self.inbox: Inbox | None = None
        self.reader = self.writer = -1
        self.listening = True
        self.throttle = Throttle()

    def own(self) -> frozenset[int]:
        """The main process, and the one it has taken the place of."""
        return frozenset({self.born, self.pid})


class Channels:
    """All of them, by the name of the service."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._out = neighbours
        self._senders = Senders(neighbours.kernel)
        self._epoll: select.epoll | None = None
        self._loop: WatchLoop | None = None
        self._watched = False
        self._channels: dict[str, Channel] = {}
        self._of_fd: dict[int, Channel] = {}
        self._paused: dict[int, None] = {}

    def attach(self, loop: WatchLoop) -> None:
        """From now on the loop says when there is something to read."""
        self._loop = loop
        self._watch()

    # -- the life of a channel -----------------------------------------------------------------------------------

    def open(self, spec: ServiceSpec) -> tuple[dict[str, str], dict[int, int]]:
        """Make what the service asks for: variables, and descriptors by the number they will have.

        Raises:
            OSError: out of descriptors; nothing is left open.
        """
        self.close(spec.name)
        channel = Channel(spec)
        variables: dict[str, str] = {}
        descriptors: dict[int, int] = {}
        try:
            if needs_inbox(spec):
                from supervisor.runtime.watching.inbox import Inbox  # noqa: PLC0415 - only where a service notifies

                channel.inbox = Inbox()
                self._register(channel.inbox.fd, channel)
                variables["NOTIFY_SOCKET"] = channel.inbox.address
                if spec.watchdog is not None:
                    variables["WATCHDOG_USEC"] = str(max(1, round(spec.watchdog * 1e6)))
            if spec.ready is not None and isinstance(spec.ready.probe, FdProbe):
                channel.reader, channel.writer = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(channel.reader, False)
                self._register(channel.reader, channel)
                descriptors[spec.ready.probe.fd] = channel.writer
        except OSError:
            self._close(channel)
            raise
        self._channels[spec.name] = channel
        return variables, descriptors

    def started(self, name: str, pid: int) -> None:
        """The process has what was made for it."""
        channel = self._channels.get(name)
        if channel is not None:
            channel.born = channel.pid = pid
            _close_writer(channel)

    def follow(self, name: str, pid: int | None) -> None:
        """The service's main process is this one now; None: it has none, and what it had is closed."""
        channel = self._channels.get(name)
        if channel is None:
            return
        if pid is not None:
            channel.pid = pid
        elif channel.born:
            self.close(name)

    def close(self, name: str) -> None:
        """Close what a service has, if it has anything."""
        channel = self._channels.pop(name, None)
        if channel is not None:
            self._close(channel)

    def hear(self, name: str) -> None:
        """Read what the service has sent so far: its main process is about to be reaped."""
        channel = self._channels.get(name)
        if channel is None or channel.inbox is None:
            return
        for _ in range(_TURNS_AT_THE_END):
            if not self._read_letters(channel, channel.inbox):
                return

    def _close(self, channel: Channel) -> None:
        _close_writer(channel)
        if channel.inbox is not None:
            self._unregister(channel.inbox.fd)
            channel.inbox.close()
        if channel.reader >= 0:
            self._unregister(channel.reader)
            os.close(channel.reader)

    # -- waiting -------------------------------------------------------------------------------------------------

    def _register(self, fd: int, channel: Channel) -> None:
        if self._epoll is None:
            self._epoll = select.epoll()
            self._watch()
        self._epoll.register(fd, select.EPOLLIN)
        self._of_fd[fd] = channel

    def _unregister(self, fd: int) -> None:
        """Before it is closed: a child between fork and exec may hold the same description, and epoll goes by that."""
        if self._of_fd.pop(fd, None) is not None and fd not in self._paused and self._epoll is not None:
            self._epoll.unregister(fd)
        self._paused.pop(fd, None)

    def _watch(self) -> None:
        if self._loop is not None and self._epoll is not None and not self._watched:
            self._watched = True
            self._loop.add_reader(self._epoll.fileno(), self._on_ready)

    def _on_ready(self) -> None:
        if self._epoll is None:
            return
        for fd, _ in self._epoll.poll(0, _CHANNELS_A_TURN):
            channel = self._of_fd.get(fd)
            if channel is None:
                continue  # what the one before said has closed it
            try:
                more = self._read(fd, channel)
            except Exception as error:  # noqa: BLE001 - what it is about stays readable: not to be read on at once
                self._pause(fd)
                where, text = f"reading what {channel.service} says", f"{type(error).__name__}: {error}"
                self._out.journal.emit("error", "internal_error", where=where, error=text)
            else:
                if more:
                    self._pause(fd)

    def _read(self, fd: int, channel: Channel) -> bool:
        if channel.inbox is not None and fd == channel.inbox.fd:
            return self._read_letters(channel, channel.inbox)
        return self._read_pipe(channel)

    def _pause(self, fd: int) -> None:
        if self._epoll is None or self._loop is None or fd not in self._of_fd:
            return
        self._epoll.unregister(fd)
        if not self._paused:
            self._loop.call_later(_PAUSE, self._go_on)
        self._paused[fd] = None

    def _go_on(self) -> None:
        paused, self._paused = self._paused, {}
        for fd in paused:
            if self._epoll is not None:
                self._epoll.register(fd, select.EPOLLIN)

    # -- the pipe ------------------------------------------------------------------------------------------------

    def _read_pipe(self, channel: Channel) -> bool:
        """Read on after the line too: a program that goes on writing is not to die of SIGPIPE."""
        try:
            data = os.read(channel.reader, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            if channel.listening and b"\n" in data:
                channel.listening = False
                self._out.handle(ev.BecameReady(channel.service, channel.pid))
            return len(data) == _CHUNK
        self._unregister(channel.reader)
        os.close(channel.reader)
        channel.reader = -1
        if channel.listening and channel.spec.ready is not None:
            self._out.journal.emit(
                "info",
                "probe_failed",
                service=channel.service,
                pid=channel.pid,
                probe=describe(channel.spec.ready.probe),
                kind="ready",
                error="it was closed before a line was written",
            )
        return False

    # -- the socket ----------------------------------------------------------------------------------------------

    def _read_letters(self, channel: Channel, inbox: Inbox) -> bool:
        """Take what is there, up to a limit; whether there may be more."""
        trusted: set[int] = set()  # no pid is reused while we read on
        for _ in range(_LETTERS_A_TURN):
            letter = inbox.read()
            if letter is None:
                return False
            self._take(channel, letter, trusted)
            if self._channels.get(channel.service) is not channel:
                return False  # it was closed for what it said
        return True

    def _take(self, channel: Channel, letter: Letter, trusted: set[int]) -> None:
        if letter.pid not in trusted:
            why = self._senders.refusal(letter.pid, letter.uid, channel.service, channel.own())
            if why:
                self._ignore(channel, letter.pid, letter.uid, why)
                return
            trusted.add(letter.pid)
        if letter.cut:
            self._ignore(channel, letter.pid, letter.uid, "it is longer than 4096 bytes")
            return
        from supervisor.runtime.watching.parse import (  # noqa: PLC0415 - with the first message
            MalformedError,
            parse,
            says_nothing,
        )

        try:
            told = parse(letter.data, channel.service, channel.pid)
        except MalformedError as error:
            self._ignore(channel, letter.pid, letter.uid, str(error))
            return
        if told.main_pid is not None:
            told = self._with_main_pid(channel, letter, told)
        if not says_nothing(told):
            self._out.handle(told)

    def _with_main_pid(self, channel: Channel, letter: Letter, told: ev.Notified) -> ev.Notified:
        """Take over a new main process, when it is one of the service's; otherwise all but this is obeyed."""
        pid = told.main_pid or 0
        if pid == channel.pid:
            return replace(told, main_pid=None)
        if not self._senders.is_own(pid, channel.service, channel.own()):
            self._ignore(channel, letter.pid, letter.uid, f"MAINPID={pid} is no process of the service", part=True)
            return replace(told, main_pid=None)
        return told

    def _ignore(self, channel: Channel, pid: int, uid: int, why: str, *, part: bool = False) -> None:
        if not channel.throttle.passes(pid, self._out.kernel.monotonic()):
            return
        what = "part of a notification" if part else "a notification"
        message = f"{what} from pid {pid} (user {uid}) was ignored: {why}"
        self._out.journal.emit("warning", "supervisor_warning", service=channel.service, message=message)


def _close_writer(channel: Channel) -> None:
    if channel.writer >= 0:
        os.close(channel.writer)
        channel.writer = -1
