"""Control groups of services: one each, where cgroup v2 is ours to write; cgroups(7), and the kernel's cgroup-v2.rst.

Our own group stays as it was found, but for one folder in it, which holds a group for every service that asks for one
and, where controllers are needed, one for ourselves::

    OURS/pausevisor-PID/supervisor      the daemon, and whoever has no group of its own
    OURS/pausevisor-PID/web.service

The last is because of the rule of no internal processes: a group that hands controllers down may hold no process
itself, so those of our own group move into the leaf first. Only processes that descend from us are moved, or all of
them as PID 1. Whatever is not possible here (read-only, not mounted, shared with others) is said once, with the reason,
and services run without.

A group is removed when its last process has gone, which is looked for when the daemon reaps, and not by a timer.

What is here is what every daemon may be asked; what makes groups is :mod:`supervisor.runtime.hierarchy`.
"""

from __future__ import annotations

import os

from supervisor.runtime.failure import TRANSIENT, SpawnError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisor.core.spec import ServiceSpec
    from supervisor.runtime.hierarchy import Hierarchy

PREFIX = "pausevisor"
"""Of the name of our folder, before our pid."""

_SUFFIX = ".service"
"""Keeps a service's name from being one of the kernel's files."""


class ControlGroups:
    """The groups of this daemon's services.

    Args:
        warn: told what does not work, in words.
        descendants: every process below us.
    """

    def __init__(self, warn: Callable[[str], None], descendants: Callable[[], Iterable[int]]) -> None:
        self._warn = warn
        self._descendants = descendants
        self._hierarchy: Hierarchy | None = None
        self._unavailable = False
        self._groups: dict[str, str] = {}
        self._leaving: set[str] = set()
        self._frozen: set[str] = set()

    # -- a service's life ----------------------------------------------------------------------------------------

    def enter(self, spec: ServiceSpec) -> int | None:
        """A descriptor of the ``cgroup.procs`` of the service's group, which is made; None where there can be none.

        Raises:
            SpawnError: there can be groups, but not this one.
        """
        hierarchy = None if spec.cgroup is None else self._find_hierarchy()
        if spec.cgroup is None or hierarchy is None:
            return None
        path = f"{hierarchy.folder}/{spec.name}{_SUFFIX}"
        try:
            hierarchy.prepare(spec.name, path, spec.cgroup)
            self._groups[spec.name] = path
            self._leaving.discard(spec.name)
            return os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SpawnError("cgroup", error.errno or 0, path) from None

    def left(self, name: str) -> None:
        """The service's main process has ended: its group is removed as soon as nobody is in it."""
        if name in self._frozen:
            self.thaw(name)  # what the process has left would stand there for ever
        if name in self._groups:
            self._leaving.add(name)
            self._remove(name)

    def tidy(self) -> None:
        """Processes have ended: remove the groups that are empty now."""
        for name in tuple(self._leaving):
            self._remove(name)

    def close(self) -> None:
        """The daemon ends: leave the hierarchy as it was found."""
        for name in tuple(self._groups):
            self._remove(name)
        if self._hierarchy is None:
            return
        try:
            self._hierarchy.give_back()
        except OSError:
            return  # somebody is in there still: whoever owns the hierarchy removes it with our own group
        self._hierarchy = None

    # -- what is done to a group ---------------------------------------------------------------------------------

    def members(self, name: str) -> list[int]:
        """Processes in the service's group, zombies excepted; none where it has no group."""
        try:
            pids = read_pids(self._groups[name])
        except (LookupError, OSError):
            return []  # no group, or no descriptor to look at it by: what is known otherwise has to do
        return [pid for pid in pids if pid > 0]  # 0 stands for a process of another PID namespace

    def owner(self, pid: int) -> str | None:
        """The service in whose group a process is, or a zombie was; None where that is none of ours."""
        if self._hierarchy is None:
            return None
        ours = f"/{os.path.basename(self._hierarchy.folder)}/"
        try:
            paths = [line[3:] for line in read_lines(f"/proc/{pid}/cgroup") if line.startswith("0::")]
        except OSError:
            return None  # it has gone, or /proc is not there
        # it may have made groups of its own below; of a zombie the group may be removed already, and is called so
        group = paths[0].removesuffix(" (deleted)").partition(ours)[2].partition("/")[0] if paths else ""
        return group.removesuffix(_SUFFIX) if group.endswith(_SUFFIX) else None

    def kill(self, name: str) -> bool:
        """KILL all that is in the service's group, at once, whatever it forks meanwhile; False where that can't be.

        ``cgroup.kill`` is in Linux 5.14 and later.
        """
        try:
            write(f"{self._groups[name]}/cgroup.kill", "1")
        except (LookupError, OSError):
            return False
        return True

    def freeze(self, name: str) -> None:
        """Let nothing in the service's group run, without its noticing; KILL still kills it.

        Raises:
            LookupError: it has no group.
            OSError: as the kernel says.
        """
        write(f"{self._groups[name]}/cgroup.freeze", "1")
        self._frozen.add(name)

    def thaw(self, name: str) -> None:
        """Let a group run again, whoever has frozen it; nothing where it has no group, or is not frozen."""
        self._frozen.discard(name)
        try:
            write(f"{self._groups[name]}/cgroup.freeze", "0")
        except (LookupError, OSError):
            return  # no group; or the order that it is thawed for goes out all the same, and KILL after it

    def oom_counter(self, name: str) -> str | None:
        """The file in which the kernel counts kills for memory in the service's group; None where it has none."""
        path = f"{self._groups.get(name, '')}/memory.events.local"
        return path if name in self._groups and os.path.exists(path) else None

    # -- ours ----------------------------------------------------------------------------------------------------

    def _find_hierarchy(self) -> Hierarchy | None:
        """Where groups can be made, found out at the first need; None where they can't.

        Raises:
            SpawnError: it can't be found out now, for lack of descriptors or memory.
        """
        if self._hierarchy is not None or self._unavailable:
            return self._hierarchy
        from supervisor.runtime.hierarchy import Hierarchy, UnavailableError  # noqa: PLC0415 - few services need it

        try:
            self._hierarchy = Hierarchy(self._warn, self._descendants)
        except UnavailableError as error:
            self._give_up(str(error))
        except OSError as error:
            if error.errno in TRANSIENT:
                raise SpawnError("cgroup", error.errno or 0) from None
            self._give_up(f"{error.strerror} ({error.filename})")
        return self._hierarchy

    def _give_up(self, reason: str) -> None:
        self._unavailable = True
        self._warn(f"services can't have control groups of their own here: {reason}; they run without")

    def _remove(self, name: str) -> None:
        try:
            os.rmdir(self._groups[name])
        except FileNotFoundError:
            pass  # somebody else has tidied up
        except OSError:
            return  # somebody is in it still
        del self._groups[name]
        self._leaving.discard(name)


def write(path: str, text: str) -> None:
    """Write to a file of the kernel's.

    Raises:
        OSError: as the kernel says, with the path.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
    finally:
        os.close(fd)


def read_pids(path: str) -> list[int]:
    """The processes of a group.

    Raises:
        OSError: as the kernel says.
    """
    return [int(line) for line in read_lines(f"{path}/cgroup.procs")]


def read_lines(path: str) -> list[str]:
    """The lines of a file of the kernel's.

    Raises:
        OSError: as the kernel says.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
    finally:
        os.close(fd)
    return os.fsdecode(b"".join(chunks)).splitlines()
