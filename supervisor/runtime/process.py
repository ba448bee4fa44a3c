"""What the daemon does to itself before it does anything else: descriptors, directory, subreaper.

Mode, said in ``supervisor_started``: ``pid1`` (the kernel hands us every orphan), ``subreaper`` (we asked for the
orphans below us, prctl(2)), ``plain`` (the kernel refused; orphans go elsewhere).

The pause mode imports this module, so it stays light.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def open_standard_streams() -> None:
    """Make sure that 0, 1 and 2 are open, so that nothing else ever gets these numbers.

    A stream that was closed becomes /dev/null, or, where there is no /dev, a pipe whose other end is closed.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            _open_null_at(fd)


def _open_null_at(fd: int) -> None:
    opened = open_null()
    if opened != fd:
        os.dup2(opened, fd)
        os.close(opened)
    else:
        os.set_inheritable(fd, True)


def open_null() -> int:
    """A descriptor that reads nothing and, where there is a /dev/null, takes everything."""
    try:
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        reader, writer = os.pipe()
        os.close(writer)
        return reader


def inherited_descriptors() -> list[int]:
    """Descriptors above 2 that we were started with; to be asked before we open any of our own."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        names = list(map(str, range(3, 256)))  # /proc is not mounted: look at the numbers that are likely
    return [fd for fd in map(int, names) if fd > 2 and _is_open(fd)]


def close_descriptors(fds: Iterable[int]) -> None:
    """Close them: what we hold open, others can't see closed."""
    for fd in fds:
        os.close(fd)


def activation_sockets(environ: Mapping[str, str]) -> tuple[int, ...]:
    """Descriptors that a service manager opened for this very process; see sd_listen_fds(3)."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return ()
    return tuple(range(3, 3 + min(int(count), 1024)))


def reserve_descriptors(count: int) -> list[int]:
    """Hold this many descriptors, to be closed when they are needed.

    Raises:
        OSError: there are not so many (EMFILE, ENFILE); none is held.
    """
    held: list[int] = []
    try:
        held.append(open_null())
        held += [os.dup(held[0]) for _ in range(count - 1)]
    except OSError:
        close_descriptors(held)
        raise
    return held


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False  # the one that listed the folder
    return True


def become_reaper() -> str:
    """See to it that orphans come to us; the mode."""
    if os.getpid() == 1:
        return "pid1"
    from supervisor.runtime.libc import PR_SET_CHILD_SUBREAPER, prctl  # noqa: PLC0415 - ctypes is not needed as PID 1

    try:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    except OSError:
        return "plain"
    return "subreaper"


def default_dispositions() -> None:
    """SIGCHLD and SIGINT by default.

    An inherited "ignore" of CHLD would reap behind our back, see wait(2), NOTES; Python's handler for INT raises
    KeyboardInterrupt.
    """
    import _signal  # type: ignore[import-not-found]  # noqa: PLC0415 - `signal` builds enumerations

    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
