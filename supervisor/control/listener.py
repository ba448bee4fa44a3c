"""The sockets that clients connect to, bound before the first program starts.

A socket in the file system is ours alone from its first instant: it is bound under a tight umask. What stands at its
path is looked at, never followed, and replaced only if it is a socket that nobody listens to any more; two daemons
that start at once are kept apart by a lock on the folder. See unix(7).

On the start path where a socket is wanted, so it works by :mod:`_socket`: the ``socket`` module builds enumerations,
which takes as long as a program to start.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import stat

from supervisor.control.places import default_paths
from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from supervisor.core.spec import ControlSpec

LONGEST_PATH = 107
"""Bytes; the address structure has room for 108 with its NUL."""

BACKLOG = 1024
"""Connections that wait in the kernel until we accept them."""

_UCRED = 12
"""Bytes of what the kernel says of a peer: process, user and group, an int each."""

_SO_PEERGROUPS = 59
_LOCK_TRIES = 100


class AlreadyRunningError(Exception):
    """Somebody listens at the path already; ``pid`` is who, None where the kernel does not say."""

    def __init__(self, path: str, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"already running, pid {pid or 'unknown'}: it listens at {path}")


class RefusedError(Exception):
    """The socket can't be had, for the reason in words; what stands at its path is untouched."""


class Listener:
    """One listening socket.

    Attributes:
        socket: the socket itself, of :mod:`_socket`.
        address: its path, or ``host:port``, as shown to people.
        serves: ``control`` (everything, to whom the kernel says may), ``api`` (everything, for a token) or ``health``
            (probes and metrics, to everybody).
        group: members of this group may connect too; None for nobody else. Of a ``control`` socket only.
        token: what a client has to show; of an ``api`` socket only.
    """

    __slots__ = ("_identity", "address", "group", "serves", "socket", "token")

    def __init__(self, socket: Any, address: str, serves: str, *, group: int | None = None, token: bytes = b"") -> None:
        self.socket = socket
        self.address = address
        self.serves = serves
        self.group = group
        self.token = token
        self._identity = _identity(address) if serves == "control" else None

    def close(self) -> None:
        """Listen no more; the path goes too, if what stands there is still this socket."""
        self.socket.close()
        if self._identity is None:
            return
        try:
            if _identity(self.address) == self._identity:
                os.unlink(self.address)
        except OSError:
            return  # somebody else has removed it, or the folder became read-only: the next start finds it stale


class Opened(Record):
    """What could be opened, and what is to be said about the rest."""

    listeners: tuple[Listener, ...] = ()
    warnings: tuple[str, ...] = ()


def open_listeners(spec: ControlSpec, environ: Mapping[str, str]) -> Opened:
    """Open all that is asked for; what can't be had is told in the warnings, and done without.

    Raises:
        AlreadyRunningError: another daemon listens at the path that was asked for by name.
    """
    listeners: list[Listener] = []
    warnings: list[str] = []
    if spec.socket != "":
        _open_control(spec, environ, listeners, warnings)
    for address, serves in ((spec.listen, "api"), (spec.health, "health")):
        if address is None:
            continue
        try:
            listeners.append(_open_tcp(address, serves, spec.token_file))
        except RefusedError as error:
            warnings.append(f"cannot listen on {_shown(address)}: {error}; the daemon goes on without")
    return Opened(tuple(listeners), tuple(warnings))


def peer(connection: Any) -> tuple[int, int, int]:
    """Process, user and group at the other end of a connection through a path, as they were when it connected."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _UCRED)
    pid, uid, gid = memoryview(credentials).cast("I")
    return pid, uid, gid


def may_connect(listener: Listener, connection: Any) -> bool:
    """Whether the other end is root, our own user, or a member of the group; of a ``control`` socket's connection."""
    _, uid, gid = peer(connection)
    if uid in (0, os.geteuid()):
        return True
    return listener.group is not None and (gid == listener.group or listener.group in _groups(connection))


def _groups(connection: Any) -> tuple[int, ...]:
    """Supplementary groups of the other end; none where the kernel (before 4.13) does not say, or there are too many.

    Python asks the kernel for 1024 bytes at most: 256 groups.
    """
    try:
        data = connection.getsockopt(_socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError:
        return ()
    return tuple(memoryview(data).cast("I"))


# -- the path ----------------------------------------------------------------------------------------------------


def _open_control(
    spec: ControlSpec, environ: Mapping[str, str], listeners: list[Listener], warnings: list[str]
) -> None:
    if spec.socket is not None:
        try:
            listeners.append(_open_path(spec.socket, spec.group, warnings))
        except RefusedError as error:
            warnings.append(f"no control socket: {error}; the daemon goes on without")
        return
    reasons = []
    for path in default_paths(environ):
        try:
            listeners.append(_open_path(path, spec.group, warnings))
        except (RefusedError, AlreadyRunningError) as error:
            reasons.append(str(error))
        else:
            return
    warnings.append(f"no control socket: {'; '.join(reasons)}; the daemon goes on without")


def _open_path(path: str, group: str | None, warnings: list[str]) -> Listener:
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise RefusedError(f"{path} is longer than {LONGEST_PATH} bytes, the most that a socket's path may have")
    lock = _lock(os.path.dirname(path))
    try:
        _clear(path)
        listener = Listener(_bind(path), path, "control")
    finally:
        if lock >= 0:
            os.close(lock)
    if group is not None:
        _let_in(listener, group, warnings)
    return listener


def _lock(folder: str) -> int:
    """Keep others that start at the same path out while we look and bind; a descriptor that is to be closed, or -1.

    Whoever keeps the lock for longer than it takes to bind is nobody of ours, and can't keep us from starting.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1  # it is missing, which binding will tell, or may be used without being read
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.sched_yield()
        except OSError:
            break  # a file system without locks
        else:
            break
    return fd


def _clear(path: str) -> None:
    """Remove a socket that nobody listens to any more.

    Raises:
        AlreadyRunningError: somebody does.
        RefusedError: something else stands there.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise RefusedError(f"{path} is {_kind(mode)}, not a socket, and is left alone")
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    try:
        probe.connect(path)
        raise AlreadyRunningError(path, peer(probe)[0])
    except ConnectionRefusedError:
        _unlink(path)
    except BlockingIOError:
        raise AlreadyRunningError(path, None) from None  # so many wait to be accepted that there is no room for us
    except OSError as error:
        raise RefusedError(f"{path} is a socket that can't be asked whether it is in use: {error.strerror}") from None
    finally:
        probe.close()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        raise RefusedError(
            f"{path} is a socket that nobody listens to, and can't be removed: {error.strerror}"
        ) from None


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISREG, "a file"), (stat.S_ISDIR, "a folder"))
    return next((word for is_kind, word in kinds if is_kind(mode)), "a device or pipe")


def _bind(path: str) -> Any:
    listening = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    umask = os.umask(0o177)
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise RefusedError(f"{path}: {error.strerror}") from None
    finally:
        os.umask(umask)
    return listening


def _let_in(listener: Listener, group: str, warnings: list[str]) -> None:
    try:
        gid = int(group) if group.isdecimal() else _group_number(group)
        os.chown(listener.address, -1, gid)
        os.chmod(listener.address, 0o660)
    except (KeyError, OSError) as error:
        why = "there is no such group" if isinstance(error, KeyError) else error.strerror
        message = f"{listener.address} can't be given to the group {group}: {why}; only its owner can use it"
        warnings.append(message)
        return
    listener.group = gid


def _group_number(name: str) -> int:
    import grp  # noqa: PLC0415 - only where a group is named

    return grp.getgrnam(name).gr_gid


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


# -- TCP ---------------------------------------------------------------------------------------------------------


def _open_tcp(address: tuple[str, int], serves: str, token_file: str | None) -> Listener:
    token = _read_token(token_file or "") if serves == "api" else b""
    family = _socket.AF_INET6 if ":" in address[0] else _socket.AF_INET
    try:
        listening = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    except OSError as error:
        raise RefusedError(str(error.strerror)) from None
    try:
        listening.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise RefusedError(str(error.strerror)) from None
    return Listener(listening, _shown(listening.getsockname()), serves, token=token)


def _read_token(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise RefusedError(f"its token can't be read from {path}: {error.strerror}") from None
    try:
        token = os.read(fd, 4096).strip()
    except OSError as error:
        raise RefusedError(f"its token can't be read from {path}: {error.strerror}") from None
    finally:
        os.close(fd)
    if not token:
        raise RefusedError(f"there is no token in {path}")
    return token


def _shown(address: tuple[Any, ...]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
