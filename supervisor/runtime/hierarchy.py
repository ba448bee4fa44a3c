"""Making control groups: where ours is, which controllers it hands down, and the limits of a service's group.

Imported with the first service that asks for a group; see :mod:`supervisor.runtime.cgroups` for the layout.
"""

from __future__ import annotations

import os

from supervisor.runtime.cgroups import PREFIX, read_lines, read_pids, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisor.core.spec import Cgroup

_PERIOD = 100_000
"""Microseconds in which ``cpu.max`` is counted: the kernel's own default."""

_LEAST_QUOTA = 1000
"""Microseconds of it: less is refused by the kernel."""

_LEAF = "supervisor"
_EVACUATIONS = 5
"""How often our group is emptied: what forks meanwhile is there again."""


class UnavailableError(Exception):
    """Something can't be had here; the text says why."""


class Hierarchy:
    """The part of the cgroup v2 hierarchy that is ours.

    Attributes:
        folder: where the groups of services are.

    Args:
        warn: told what does not work, in words.
        descendants: every process below us.

    Raises:
        UnavailableError: there is none, or it can't be seen from here.
        OSError: it can't be written.
    """

    def __init__(self, warn: Callable[[str], None], descendants: Callable[[], Iterable[int]]) -> None:
        self._warn = warn
        self._descendants = descendants
        self._base = own_group()
        self._is_root = not os.path.exists(f"{self._base}/cgroup.type")
        if not self._is_root and read_lines(f"{self._base}/cgroup.type") != ["domain"]:
            raise UnavailableError(f"our control group {self._base} is a threaded one")
        self.folder = _make_our_own(f"{self._base}/{PREFIX}-{os.getpid()}")
        self._moved = False
        self._enabled: set[str] = set()
        self._refused: dict[str, str] = {}  # controllers that can't be had, and why
        self._warned: set[tuple[str, str]] = set()

    def prepare(self, name: str, path: str, cgroup: Cgroup) -> None:
        """Make the group of a service, with its limits, and let it run if it was frozen.

        Raises:
            OSError: as the kernel says.
        """
        # for accounting and for the count of kills for memory; cpu changes who gets how much, so only where it is asked
        self._want({"memory", "pids"} if cgroup.cpu_max is None else {"memory", "pids", "cpu"})
        make(path)
        write(f"{path}/cgroup.freeze", "0")
        self._limit(name, path, cgroup)

    def give_back(self) -> None:
        """Leave the hierarchy as it was found.

        Raises:
            OSError: somebody is still in it.
        """
        for path in (self.folder, self._base):
            for controller in self._enabled:
                write(f"{path}/cgroup.subtree_control", f"-{controller}")
        if self._moved:
            write(f"{self._base}/cgroup.procs", "0")
            os.rmdir(f"{self.folder}/{_LEAF}")
        os.rmdir(self.folder)

    def _want(self, names: set[str]) -> None:
        """Have these handed down to the groups of services; those that can't be are noted with the reason."""
        missing = sorted(names - self._enabled - self._refused.keys())
        try:
            if missing and not self._is_root:
                self._evacuate()
        except (UnavailableError, OSError) as error:
            self._refused |= dict.fromkeys(missing, _reason(error))
            return
        for name in missing:
            try:
                for path in (self._base, self.folder):
                    _hand_down(path, name)
            except (UnavailableError, OSError) as error:
                self._refused[name] = _reason(error)
            else:
                self._enabled.add(name)

    def _evacuate(self) -> None:
        """Move the processes of our own group into a leaf, for with any of them in it, it can hand nothing down.

        Before anything is tried: the kernel refuses some controllers only, and hands the others down (pids and cpu)
        by making our group a threaded one, which no group of a service could then be entered in.

        Raises:
            UnavailableError: there are others in it, who are not ours to move.
            OSError: as the kernel says.
        """
        for _ in range(_EVACUATIONS):
            pids = read_pids(self._base)
            if not pids:
                return
            # as PID 1 all that is in our group is in our container
            ours = None if os.getpid() == 1 else {os.getpid(), *self._descendants()}
            strangers = [pid for pid in pids if pid == 0 or (ours is not None and pid not in ours)]
            if strangers:
                who = f"pid {strangers[0]}" if strangers[0] else "one of another PID namespace"
                raise UnavailableError(f"other processes ({who}) share our control group {self._base}")
            make(f"{self.folder}/{_LEAF}")
            self._moved = True
            for pid in pids:
                try:
                    write(f"{self.folder}/{_LEAF}/cgroup.procs", str(pid))
                except ProcessLookupError:
                    continue  # it has ended meanwhile
        raise UnavailableError(f"processes come into our control group {self._base} faster than they can be moved")

    def _limit(self, name: str, path: str, cgroup: Cgroup) -> None:
        """Write the limits, those too that are none: the group may be one that an earlier start has left."""
        cpu = None if cgroup.cpu_max is None else f"{max(round(cgroup.cpu_max * _PERIOD), _LEAST_QUOTA)} {_PERIOD}"
        limits = (("memory", cgroup.memory_max), ("pids", cgroup.pids_max), ("cpu", cpu))
        for controller, limit in limits:
            if controller in self._enabled:
                unlimited = f"max {_PERIOD}" if controller == "cpu" else "max"
                write(f"{path}/{controller}.max", unlimited if limit is None else str(limit))
            elif limit is not None and (name, controller) not in self._warned:
                self._warned.add((name, controller))
                reason = self._refused[controller]
                self._warn(f"{controller}-max of {name} has no effect here: no {controller} controller: {reason}")


def _hand_down(path: str, controller: str) -> None:
    if controller in _words(f"{path}/cgroup.subtree_control"):
        return
    if controller not in _words(f"{path}/cgroup.controllers"):
        raise UnavailableError(f"{path}/cgroup.controllers does not have it")
    write(f"{path}/cgroup.subtree_control", f"+{controller}")


def _reason(error: UnavailableError | OSError) -> str:
    return f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else str(error)


def own_group() -> str:
    """The folder of our own group in the cgroup v2 hierarchy.

    Raises:
        UnavailableError: there is none, or it can't be seen from here.
        OSError: /proc can't be read.
    """
    group = next((line[3:] for line in read_lines("/proc/self/cgroup") if line.startswith("0::")), None)
    if group is None:
        raise UnavailableError("the kernel has no cgroup v2")
    mounts = [(fields[3], fields[4]) for fields in map(str.split, read_lines("/proc/self/mountinfo")) if _is_v2(fields)]
    if not mounts:
        raise UnavailableError("cgroup v2 is not mounted")
    for root, point in mounts:
        below = root.rstrip("/")
        # a path that begins with "/.." leads out of our cgroup namespace
        if f"{group}/".startswith(f"{below}/") and not group.startswith("/.."):
            return (_unescaped(point) + group[len(below) :]).rstrip("/")
    raise UnavailableError(f"our group {group} is not below any mount of cgroup v2")


def _is_v2(fields: list[str]) -> bool:
    """Whether a line of mountinfo is a mount of cgroup v2; proc_pid_mountinfo(5)."""
    return fields[fields.index("-") + 1] == "cgroup2"


def _unescaped(point: str) -> str:
    return point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _make_our_own(path: str) -> str:
    """A group that nobody has made before us, by this name or with a number after it; its path.

    Our pid is nobody else's in our PID namespace only, and what a killed daemon has left may be in use still.

    Raises:
        OSError: as mkdir(2) says.
    """
    name = path
    for number in range(2, 1000):
        try:
            os.mkdir(name, 0o755)
        except FileExistsError:
            name = f"{path}.{number}"
        else:
            return name
    raise UnavailableError(f"a thousand groups by the name of {path} are there already")


def make(path: str) -> None:
    """Make a group; that it is there already is fine.

    Raises:
        OSError: as mkdir(2) says.
    """
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return  # from an earlier start


def _words(path: str) -> list[str]:
    return " ".join(read_lines(path)).split()
