"""Which file a command's name means, and why that file can't be executed."""

import errno
import os
import stat

from supervisor.runtime.failure import TRANSIENT, SpawnError

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are searched for when the environment has no ``PATH``."""

SHELL = "/bin/sh"
"""Runs a text without ``#!``, as execvp(3) has it."""


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


def exec_error(number: int, path: str, directory: str = "") -> SpawnError:
    """What an errno of posix_spawn(3) or execve(2) means for this file.

    posix_spawn does not say which call failed: out of processes or memory is fork's, the rest is exec's.

    Args:
        number: the errno.
        path: the file.
        directory: where a relative path starts from; the working directory when empty.
    """
    if number in TRANSIENT:
        return SpawnError("fork", number)
    file = os.path.join(directory, path)
    if number == errno.EACCES and os.path.isdir(file):
        return SpawnError("exec", number, path, "it is a directory")
    interpreter = _interpreter(file) if number == errno.ENOENT else ""
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
