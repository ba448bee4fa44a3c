"""Starting a program: one function, two ways.

* posix_spawn(3), which is vfork inside, wherever it can do all that is asked: mask, dispositions, session and
  descriptors are set in C, in a fifth of the time of a fork. What it lacks, a working directory, we lend it: nobody
  else runs while this process changes its own and back, and a failure is ours to name.
* fork(2) and a few lines of Python in the child, where the child itself has to do something: take the foreground of
  a terminal, or put its own pid into ``LISTEN_PID``. A failure comes back through a close-on-exec pipe.

A program is searched for as execvp(3) does. A failure is data: the stage, the errno, and words for both.
"""

import errno
import os
import stat
import struct

from supervisor.core.record import Record
from supervisor.core.signals import CATCHABLE, SIGPIPE, SIGXFSZ
from supervisor.core.spec import Transparent

STAGES = {
    "output": "cannot make the pipes for its output",
    "fork": "cannot create a process",
    "chdir": "cannot change to its working directory",
    "session": "cannot make its session",
    "terminal": "cannot give it the terminal",
    "signals": "cannot set its signal mask",
    "exec": "cannot execute its program",
}
"""What went wrong at each stage, in words."""

_TRANSIENT = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_CHILD_STAGES = tuple(STAGES)
_REPORT = struct.Struct("=BI")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELL = "/bin/sh"


class SpawnError(Exception):
    """A program could not be started.

    Attributes:
        stage: a key of :data:`STAGES`.
        number: the errno.
        subject: the path or name it is about, empty when there is none.
        hint: more, where more is known (the missing interpreter, for one).
        pid: the process that tried and is about to end, None when there never was one.
    """

    pid: int | None = None

    def __init__(self, stage: str, number: int, subject: str = "", hint: str = "") -> None:
        self.stage = stage
        self.number = number
        self.subject = subject
        self.hint = hint
        words = f"{STAGES[stage]}{f' {subject!r}' if subject else ''}: {os.strerror(number)}"
        super().__init__(f"{words} ({hint})" if hint else words)

    @property
    def transient(self) -> bool:
        """Whether the machine was out of something, so that the same call may go through later."""
        return self.stage in ("fork", "output") and self.number in _TRANSIENT

    @property
    def exit_code(self) -> int:
        """What a shell would return: 127 for a program not found, 126 for one that can't be executed, else 1."""
        if self.stage != "exec":
            return 1
        return 127 if self.number in (errno.ENOENT, errno.ENOTDIR) else 126


class Launch(Record):
    """What is to be started, and with what.

    Attributes:
        streams: descriptors for 0, 1 and 2; a stream that is missing is inherited.
        transparent: set for the single command, which gets the mask and the ignored signals that we were given.
        terminal: the terminal whose foreground the program gets; None for a session of its own instead.
    """

    command: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    streams: dict[int, int] = {}  # noqa: RUF012 - copied for each record
    transparent: Transparent | None = None
    terminal: int | None = None


def spawn(launch: Launch) -> int:
    """Start the program; its pid, which is the number of its process group too.

    Raises:
        SpawnError: with nothing left behind.
    """
    needs_fork = launch.terminal is not None or launch.environment.get("LISTEN_PID") == str(os.getpid())
    try:
        os.chdir(launch.directory)
    except OSError as error:
        raise SpawnError("chdir", error.errno or 0, launch.directory) from None
    try:
        path = find_program(launch.command[0], launch.environment.get("PATH", _DEFAULT_PATH))
        return _fork(launch, path) if needs_fork else _posix_spawn(launch, path)
    finally:
        os.chdir("/")  # so that no mount stays busy on our account


def find_program(name: str, search_path: str) -> str:
    """The file that execvp(3) would execute: the first one in the path that may be executed.

    Raises:
        SpawnError: ENOENT when there is none, EACCES when there are only some that may not be executed.
    """
    if "/" in name:
        return name
    if not name:
        raise SpawnError("exec", errno.ENOENT, hint=f"its name is empty; searched in {search_path}")
    refused = ""
    for directory in search_path.split(":"):
        candidate = os.path.join(directory or ".", name)
        try:
            mode = os.stat(candidate).st_mode
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(mode) and os.access(candidate, os.X_OK):
            return candidate
        refused = refused or candidate
    if refused:
        raise SpawnError("exec", errno.EACCES, refused)
    raise SpawnError("exec", errno.ENOENT, name, f"searched in {search_path}")


def _posix_spawn(launch: Launch, path: str) -> int:
    transparent = launch.transparent
    own_session = transparent is None or transparent.new_session
    actions = [(os.POSIX_SPAWN_DUP2, fd, stream) for stream, fd in launch.streams.items()]
    mask = transparent.signal_mask if transparent else ()
    defaults = (SIGPIPE, SIGXFSZ) if transparent else CATCHABLE
    argv = launch.command
    while True:
        try:
            if own_session:
                return os.posix_spawn(
                    path,
                    argv,
                    launch.environment,
                    file_actions=actions,
                    setsid=True,
                    setsigmask=mask,
                    setsigdef=defaults,
                )
            return os.posix_spawn(
                path,
                argv,
                launch.environment,
                file_actions=actions,
                setpgroup=0,
                setsigmask=mask,
                setsigdef=defaults,
            )
        except OSError as error:
            if error.errno != errno.ENOEXEC or path == _SHELL:
                raise _exec_error(error.errno or 0, path) from None
            # a text without "#!": execvp(3) has the shell run it
            path, argv = _SHELL, (_SHELL, path, *argv[1:])


def _exec_error(number: int, path: str) -> SpawnError:
    """posix_spawn(3) does not say which call failed: out of processes or memory is fork's, the rest is exec's."""
    if number in _TRANSIENT:
        return SpawnError("fork", number)
    if number == errno.EACCES and os.path.isdir(path):
        return SpawnError("exec", number, path, "it is a directory")
    interpreter = _interpreter(path) if number == errno.ENOENT else ""
    if interpreter:
        return SpawnError("exec", number, path, f"its interpreter {interpreter!r} does not exist")
    return SpawnError("exec", number, path)


def _interpreter(path: str) -> str:
    """The interpreter that a script names in its first line; empty when there is no script."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        line = os.read(fd, 256).split(b"\n", 1)[0]
    except OSError:
        return ""
    finally:
        os.close(fd)
    words = line[2:].split()
    return os.fsdecode(words[0]) if line.startswith(b"#!") and words else ""


def _fork(launch: Launch, path: str) -> int:
    """fork(2); the child reports (stage, errno) through a pipe that a successful exec closes."""
    try:
        reader, writer = os.pipe()
    except OSError as error:
        raise SpawnError("fork", error.errno or 0) from None
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        raise SpawnError("fork", error.errno or 0) from None
    if pid == 0:
        _child(launch, path, writer)
    os.close(writer)
    try:
        report = os.read(reader, _REPORT.size)
    finally:
        os.close(reader)
    if not report:
        return pid
    stage, number = _REPORT.unpack(report)
    failed = _exec_error(number, path) if _CHILD_STAGES[stage] == "exec" else SpawnError(_CHILD_STAGES[stage], number)
    failed.pid = pid
    raise failed


def _child(launch: Launch, path: str, report: int) -> None:
    """The few lines between fork and exec; never returns."""
    stage = "session"
    try:
        pid = os.getpid()
        if launch.terminal is None and (launch.transparent is None or launch.transparent.new_session):
            os.setsid()
        else:
            os.setpgid(0, 0)
        if launch.terminal is not None:
            stage = "terminal"
            os.tcsetpgrp(launch.terminal, pid)  # TTOU is blocked still, so this does not stop us
        stage = "signals"
        _reset_signals(launch.transparent)
        stage = "exec"
        for stream, fd in launch.streams.items():
            os.dup2(fd, stream)
        environment = launch.environment
        if environment.get("LISTEN_PID") == str(os.getppid()):
            environment = {**environment, "LISTEN_PID": str(pid)}
        _exec(path, launch.command, environment)
    except OSError as error:
        os.write(report, _REPORT.pack(_CHILD_STAGES.index(stage), error.errno or 0))
    finally:
        os._exit(127)


def _exec(path: str, argv: tuple[str, ...], environment: dict[str, str]) -> None:
    try:
        os.execve(path, argv, environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        os.execve(_SHELL, (_SHELL, path, *argv[1:]), environment)


def _reset_signals(transparent: Transparent | None) -> None:
    import signal  # noqa: PLC0415 - only a forked child needs it

    for number in (SIGPIPE, SIGXFSZ) if transparent else CATCHABLE:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, transparent.signal_mask if transparent else ())
