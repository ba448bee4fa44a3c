"""Starting a program by fork(2), where the child itself has to do something before it becomes the program.

What the child does is a list of steps that the parent has made: everything that can be looked up, opened, imported or
refused with words is done before the fork. The child takes one step after the other and ends in execve(2); the number
of the step that fails, its errno and the path it is about come back through a close-on-exec pipe. It never returns.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` turns every number into an enumeration, and back
import errno
import fcntl
import os
import struct

from supervisor.core.signals import CATCHABLE, SIGPIPE, SIGXFSZ
from supervisor.runtime.failure import SpawnError
from supervisor.runtime.search import DEFAULT_PATH, SHELL, exec_error, find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisor.core.spec import Transparent
    from supervisor.runtime.spawn import Launch

    Step = tuple[str, str, Callable[[], object]]
    """Its stage, what it is about (empty where there is nothing to name), and what is done."""

_HEADER = struct.Struct("=HI")
_LONGEST_REPORT = 4096
"""PIPE_BUF: what is written at once and never in part, pipe(7)."""


def fork(launch: Launch, streams: dict[int, int]) -> int:
    """Start the program; its pid.

    Args:
        launch: what is to be started.
        streams: its descriptors; none of them is in the place of another one.

    Raises:
        SpawnError: with nothing left behind but, where its ``pid`` is set, a process that is about to end.
    """
    steps = _steps(launch, streams)
    reader, writer = _pipe(above=max(streams, default=0))
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        raise SpawnError("fork", error.errno or 0) from None
    if pid == 0:
        _child(steps, writer)
    os.close(writer)
    try:
        report = os.read(reader, _LONGEST_REPORT)
    finally:
        os.close(reader)
    if not report:
        return pid
    failed = _failure(launch, steps, report)
    failed.pid = pid
    raise failed


def _pipe(above: int) -> tuple[int, int]:
    """A pipe whose writing end is in no place that a descriptor of the program is put into.

    Raises:
        SpawnError: there is none to be had.
    """
    try:
        reader, writer = os.pipe()
    except OSError as error:
        raise SpawnError("fork", error.errno or 0) from None
    if writer > above:
        return reader, writer
    try:
        return reader, fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, above + 1)
    except OSError as error:
        os.close(reader)
        raise SpawnError("fork", error.errno or 0) from None
    finally:
        os.close(writer)


def _steps(launch: Launch, streams: dict[int, int]) -> list[Step]:
    """What the child does, in this order.

    Session and descriptors come first: a limit on open files could forbid the latter. What follows is in the order of
    :meth:`Confinement.steps`, at whose end the process has the user's rights and no others. The directory is entered
    after that, and the program searched for and executed: with the user's rights. Signals stay blocked to the end, so
    that none kills a child that has not reported yet.
    """
    terminal = launch.terminal
    steps: list[Step] = [("session", "", lambda: _lead(launch.transparent, terminal))]
    if terminal is not None:
        # TTOU is blocked still, so this does not stop us
        steps.append(("terminal", "", lambda: os.tcsetpgrp(terminal, os.getpid())))
    steps.append(("descriptors", "", lambda: _place(streams)))
    if launch.umask is not None:
        umask = launch.umask
        steps.append(("umask", "", lambda: os.umask(umask)))
    if launch.confinement is not None:
        steps += launch.confinement.steps()
    mask = launch.transparent.signal_mask if launch.transparent else ()
    # exec(3) resets the handled ones by itself
    candidates = (SIGPIPE, SIGXFSZ) if launch.transparent else CATCHABLE
    ignored = [number for number in candidates if _signal.getsignal(number) is _signal.SIG_IGN]
    steps += [
        ("chdir", launch.directory, lambda: os.chdir(launch.directory)),
        ("signals", "", lambda: _reset_signals(ignored, mask)),
        ("exec", launch.command[0], lambda: _exec(launch)),
    ]
    return steps


def _child(steps: list[Step], report: int) -> None:
    """From fork to exec; never returns."""
    index, number, subject = 0, errno.ENOMEM, b""
    try:
        for index, (_, _, take) in enumerate(steps):  # noqa: B007 - told below
            take()
    except SpawnError as error:
        number, subject = error.number, os.fsencode(error.subject)
    except OSError as error:
        number, subject = error.errno or 0, os.fsencode(error.filename or "")
    except ValueError:
        number = errno.EINVAL  # what the interpreter refuses before it asks the kernel
    finally:
        # whatever else it was, it is a lack of memory: the limits are in force by now
        os.write(report, _HEADER.pack(index, number) + subject[: _LONGEST_REPORT - _HEADER.size])
        os._exit(127)


def _lead(transparent: Transparent | None, terminal: int | None) -> None:
    """Be the leader of a session, or of a process group only."""
    if terminal is None and (transparent is None or transparent.new_session):
        os.setsid()
    else:
        os.setpgid(0, 0)


def _place(streams: dict[int, int]) -> None:
    for place, fd in streams.items():
        if fd == place:
            os.set_inheritable(fd, True)  # dup2(2) does nothing then
        else:
            os.dup2(fd, place)


def _reset_signals(ignored: Iterable[int], mask: Iterable[int]) -> None:
    for number in ignored:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def _exec(launch: Launch) -> None:
    environment = launch.environment
    if environment.get("LISTEN_PID") == str(os.getppid()):
        environment = {**environment, "LISTEN_PID": str(os.getpid())}
    path = find_program(launch.command[0], environment.get("PATH", DEFAULT_PATH))
    try:
        os.execve(path, launch.command, environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        os.execve(SHELL, (SHELL, path, *launch.command[1:]), environment)


def _failure(launch: Launch, steps: list[Step], report: bytes) -> SpawnError:
    """What the child's report means."""
    index, number = _HEADER.unpack_from(report)
    stage, subject, _ = steps[index]
    if stage != "exec":
        return SpawnError(stage, number, subject)
    path = os.fsdecode(report[_HEADER.size :])
    if "/" not in path:  # the name was found nowhere
        searched = launch.environment.get("PATH", DEFAULT_PATH)
        return SpawnError("exec", number, path, f"{'' if path else 'its name is empty; '}searched in {searched}")
    return exec_error(number, path, launch.directory)
