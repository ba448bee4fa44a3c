"""Starting a program: one function, two ways.

* posix_spawn(3), which is vfork inside, wherever it can do all that is asked: mask, dispositions, session and
  descriptors are set in C, in a third of the time of a fork. What it lacks, a working directory and a umask, we lend
  it: nobody else runs while this process changes its own and back, and a failure is ours to name.
* fork(2) and a few lines of Python in the child, where the child itself has to do something, see
  :mod:`supervisor.runtime.fork`.

A program is searched for as execvp(3) does. A failure is data: the stage, the errno, and words for both.
"""

import errno
import os

from supervisor.core.record import Record
from supervisor.core.signals import CATCHABLE, SIGPIPE, SIGXFSZ
from supervisor.core.spec import Transparent
from supervisor.runtime.failure import STAGES, SpawnError
from supervisor.runtime.search import DEFAULT_PATH, SHELL, exec_error, find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.runtime.confinement import Confinement

__all__ = ["STAGES", "Launch", "SpawnError", "find_program", "spawn"]


class Launch(Record):
    """What is to be started, and with what.

    Attributes:
        streams: descriptors of ours by the number they get in the program; 0, 1 and 2 are inherited where they are
            missing, others are closed.
        transparent: set for the single command, which gets the mask and the ignored signals that we were given.
        terminal: the terminal whose foreground the program gets; None for a session of its own instead.
        umask: None for ours.
        confinement: what the process does to itself before it becomes the program.
    """

    command: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    streams: dict[int, int] = {}  # noqa: RUF012 - copied for each record
    transparent: Transparent | None = None
    terminal: int | None = None
    umask: int | None = None
    confinement: "Confinement | None" = None


def spawn(launch: Launch) -> int:
    """Start the program; its pid, which is the number of its process group too.

    Raises:
        SpawnError: with nothing left behind.
    """
    lifted: list[int] = []
    try:
        streams = _lift(launch.streams, lifted)
        if _needs_fork(launch):
            return _fork(launch, streams)
        return _posix_spawn(launch, streams)
    finally:
        for fd in lifted:
            os.close(fd)


def _needs_fork(launch: Launch) -> bool:
    return (
        launch.terminal is not None
        or launch.confinement is not None
        or launch.environment.get("LISTEN_PID") == str(os.getpid())
    )


def _fork(launch: Launch, streams: dict[int, int]) -> int:
    try:
        from supervisor.runtime.fork import fork  # noqa: PLC0415 - few services need it
    except OSError as error:
        raise SpawnError("fork", error.errno or 0) from None  # no descriptor to read it by
    return fork(launch, streams)


def _lift(streams: dict[int, int], lifted: list[int]) -> dict[int, int]:
    """The streams, none of whose descriptors is in the place of another one.

    They are put into their places one after the other: what is there already would be overwritten before its turn.

    Raises:
        SpawnError: there is no descriptor to be had; ``lifted`` holds those to close in any case.
    """
    if all(fd == place or fd not in streams for place, fd in streams.items()):
        return streams
    import fcntl  # noqa: PLC0415 - few starts have such numbers

    clear = {}
    for place, fd in streams.items():
        clear[place] = fd
        if fd != place and fd in streams:
            try:
                clear[place] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(streams) + 1)
            except OSError as error:
                raise SpawnError("descriptors", error.errno or 0) from None
            lifted.append(clear[place])
    return clear


def _posix_spawn(launch: Launch, streams: dict[int, int]) -> int:
    umask = None
    try:
        os.chdir(launch.directory)
    except OSError as error:
        raise SpawnError("chdir", error.errno or 0, launch.directory) from None
    try:
        path = find_program(launch.command[0], launch.environment.get("PATH", DEFAULT_PATH))
        if launch.umask is not None:
            umask = os.umask(launch.umask)
        return _execute(launch, streams, path)
    finally:
        if umask is not None:
            os.umask(umask)
        os.chdir("/")  # so that no mount stays busy on our account


def _execute(launch: Launch, streams: dict[int, int], path: str) -> int:
    transparent = launch.transparent
    own_session = transparent is None or transparent.new_session
    # a descriptor that is in its place already is no longer closed by exec: posix_spawn_file_actions_adddup2(3)
    actions = [(os.POSIX_SPAWN_DUP2, fd, place) for place, fd in streams.items()]
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
            if error.errno != errno.ENOEXEC or path == SHELL:
                raise exec_error(error.errno or 0, path) from None
            # a text without "#!": execvp(3) has the shell run it
            path, argv = SHELL, (SHELL, path, *argv[1:])
