"""The two calls of the C library that Python lacks: signalfd(2) and prctl(2).

ctypes is imported with this module, so who must be quick imports it late.
"""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def signalfd(signals: frozenset[int]) -> int:
    """A descriptor that becomes readable when one of these signals is pending for us; non-blocking, close-on-exec.

    The signals have to be blocked, or they take their ordinary course.

    Raises:
        OSError: as signalfd(2).
    """
    mask = (ctypes.c_ulong * (128 // ctypes.sizeof(ctypes.c_ulong)))()
    bits = ctypes.sizeof(ctypes.c_ulong) * 8
    for signal in signals:
        mask[(signal - 1) // bits] |= 1 << (signal - 1) % bits
    # SFD_CLOEXEC and SFD_NONBLOCK have the values of the open(2) flags on every architecture but Alpha
    return _checked("signalfd", _libc.signalfd(-1, ctypes.byref(mask), os.O_CLOEXEC | os.O_NONBLOCK))


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process.

    Raises:
        OSError: as prctl(2) says.
    """
    _checked("prctl", _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
