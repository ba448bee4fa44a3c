"""The status word of wait4(2), decoded.

A status stays the ``int`` the kernel gave, and these functions read it: the pause mode reports thousands of orphans
within ten megabytes, and a class for each would be carried for nothing. The bits are those of wait(2)'s macros.
"""

from __future__ import annotations

from supervisor.core.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_SIGNAL = 0x7F
_CORE = 0x80


def term_signal(status: int) -> int:
    """Signal that ended the process, 0 when it exited by itself (WTERMSIG)."""
    return status & _SIGNAL


def core_dumped(status: int) -> bool:
    """Whether the kernel wrote a core file (WCOREDUMP); true only for a death by signal."""
    return bool(status & _SIGNAL) and bool(status & _CORE)


def exit_code(status: int) -> int:
    """Exit code, 0 to 255, of a process that exited by itself (WEXITSTATUS)."""
    return status >> 8 & 0xFF


def shell_code(status: int) -> int:
    """What a shell would put into ``$?``: the exit code, or 128 plus the signal's number."""
    signal = term_signal(status)
    return 128 + signal if signal else exit_code(status)


def is_success(status: int, codes: AbstractSet[int], signals: AbstractSet[int]) -> bool:
    """Whether the process ended by one of these exit codes or signals."""
    signal = term_signal(status)
    return signal in signals if signal else exit_code(status) in codes


def status_fields(status: int) -> dict[str, object]:
    """The fields of an exit event: ``exit_code``, or ``signal``, ``signal_name`` and ``core_dumped``."""
    signal = term_signal(status)
    if not signal:
        return {"exit_code": exit_code(status)}
    return {"signal": signal, "signal_name": signal_name(signal), "core_dumped": core_dumped(status)}
