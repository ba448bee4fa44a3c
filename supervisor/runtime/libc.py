"""The calls of the C library that Python lacks, all of section 2, such as signalfd, timerfd_create and inotify_init1.

By :mod:`_ctypes`, the part of ctypes that is in C: the rest takes 0.3 MB, and pausing has ten in all. It is imported
with this module, so who must be quick imports it late.
"""

from __future__ import annotations

import _ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PR_SET_PDEATHSIG = 1
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_CAPABILITY_VERSION_3 = 0x20080522  # two words of 32 bits for each set; since Linux 2.6.26


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001 - ctypes itself has it from there
    _type_ = "i"


class _Unsigned(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "I"


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "l"


class _UnsignedLong(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001
    _type_ = "L"


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


class _Process:
    """The libraries that are loaded into this process."""

    _handle = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None: what dlopen(3) has NULL for


def _call(name: str, *arguments: Any) -> int:
    """Call a function that answers with an int, which is negative for an error.

    Raises:
        OSError: it was.
    """
    result: int = _Function((name, _Process))(*arguments)  # type: ignore[arg-type]  # a CDLL, for which the handle does
    if result < 0:
        number = _ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def signalfd(signals: frozenset[int], fd: int = -1) -> int:
    """A descriptor that becomes readable when one of these signals is pending for us; non-blocking, close-on-exec.

    The signals have to be blocked, or they take their ordinary course. With ``fd``, a descriptor of this kind, it is
    that one, and these are its signals from now on.

    Raises:
        OSError: as signalfd(2).
    """
    mask = (_UnsignedLong * (128 // _ctypes.sizeof(_UnsignedLong)))()
    bits = _ctypes.sizeof(_UnsignedLong) * 8
    for signal in signals:
        mask[(signal - 1) // bits] |= 1 << (signal - 1) % bits
    # SFD_CLOEXEC and SFD_NONBLOCK have the values of the open(2) flags on every architecture but Alpha
    return _call("signalfd", fd, _ctypes.byref(mask), os.O_CLOEXEC | os.O_NONBLOCK)


def prctl(option: int, value: int) -> int:
    """Set or ask one attribute of this process; what the call returns.

    Raises:
        OSError: as prctl(2) says.
    """
    return _call("prctl", option, _UnsignedLong(value), 0, 0, 0)


def inotify() -> int:
    """A descriptor that becomes readable when something happens in a watched folder; non-blocking, close-on-exec.

    Raises:
        OSError: as inotify_init1(2) says.
    """
    return _call("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)


def inotify_add_watch(fd: int, path: str, mask: int) -> None:
    """Watch a file or folder for what the mask says, inotify(7).

    Raises:
        OSError: as inotify_add_watch(2) says.
    """
    _call("inotify_add_watch", fd, os.fsencode(path), _Unsigned(mask))


def capabilities() -> tuple[int, int, int]:
    """Our effective, permitted and inheritable capabilities, a bit for each number.

    Raises:
        OSError: as capget(2) says.
    """
    words = (_Unsigned * 6)()
    _call("capget", _capability_header(), words)
    effective, permitted, inheritable = (words[set_] | words[set_ + 3] << 32 for set_ in range(3))
    return effective, permitted, inheritable


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Set all three; an ambient capability goes with its permitted or inheritable one, capabilities(7).

    Raises:
        OSError: as capset(2) says.
    """
    sets = (effective, permitted, inheritable)
    words = (_Unsigned * 6)(*[s & 0xFFFFFFFF for s in sets], *[s >> 32 for s in sets])
    _call("capset", _capability_header(), words)


def _capability_header() -> Any:
    return (_Unsigned * 2)(_CAPABILITY_VERSION_3, 0)


class TimerFd:
    """A descriptor that becomes readable at a time of day, or when the clock is set; timerfd_create(2).

    Raises:
        OSError: there is none to be had.
    """

    _CLOCK_REALTIME = 0
    _ABSTIME, _CANCEL_ON_SET = 1, 2

    def __init__(self) -> None:
        flags = os.O_CLOEXEC | os.O_NONBLOCK
        self.fd = _call("timerfd_create", self._CLOCK_REALTIME, flags)

    def set(self, at: float | None) -> None:
        """Ring at this time, in seconds since the epoch, at once when that is past; None for never."""
        spec = (_Long * 4)()  # struct itimerspec: interval and value, each in seconds and nanoseconds
        if at is not None:
            nanoseconds = max(1, int(at * 1e9))  # zero would disarm it
            spec[2], spec[3] = divmod(nanoseconds, 10**9)
        flags = self._ABSTIME | self._CANCEL_ON_SET
        _call("timerfd_settime", self.fd, flags, _ctypes.byref(spec), None)

    def read(self) -> bool:
        """Acknowledge; whether the clock was set since the timer was."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            return True
        return False
