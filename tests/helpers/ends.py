"""Both ends of the daemon's standard descriptors, of every kind a user may give it."""

import fcntl
import os
import pty
import socket
from typing import Literal

Kind = Literal["pipe", "small-pipe", "terminal", "file", "fifo", "socket", "null", "closed", "stdin"]


class Ends:
    """Our ends and the daemon's ends of its three standard descriptors."""

    def __init__(self, folder: str, *kinds: Kind) -> None:
        self._folder = folder
        self._theirs: dict[str, int] = {}
        self.ours: dict[str, int] = {}
        self.closed: list[int] = []
        for number, (name, kind) in enumerate(zip(("stdin", "stdout", "stderr"), kinds, strict=True)):
            self._theirs[name] = self._make(number, name, kind)

    def _make(self, number: int, name: str, kind: Kind) -> int:
        """Open one kind of descriptor; returns the daemon's end, keeps ours."""
        if kind in {"null", "closed"}:
            if kind == "closed":
                self.closed.append(number)
            return os.open(os.devnull, os.O_RDWR)
        if kind == "stdin":
            return os.dup(self._theirs["stdin"])
        if kind == "file":
            return os.open(self.path(name), os.O_RDWR | os.O_CREAT | os.O_APPEND)
        ours, theirs = self._pair(name, kind)
        if number == 0 and kind == "pipe":
            ours, theirs = theirs, ours
        self.ours[name] = ours
        return theirs

    def _pair(self, name: str, kind: Kind) -> tuple[int, int]:
        if kind == "terminal":
            return pty.openpty()
        if kind == "socket":
            left, right = socket.socketpair()
            return left.detach(), right.detach()
        if kind == "fifo":
            os.mkfifo(self.path(name))
            ours = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK)
            theirs = os.open(self.path(name), os.O_WRONLY)
            os.set_blocking(ours, True)
            return ours, theirs
        ours, theirs = os.pipe()
        if kind == "small-pipe":
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
        return ours, theirs

    def path(self, name: str) -> str:
        """Where a file or FIFO for this descriptor stands."""
        return os.path.join(self._folder, name)

    def theirs(self) -> tuple[int, int, int]:
        """The daemon's ends, in order."""
        return self._theirs["stdin"], self._theirs["stdout"], self._theirs["stderr"]
