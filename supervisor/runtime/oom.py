"""Whether a SIGKILL was the kernel's, because memory ran out: the counters of the memory cgroup.

The kernel counts a kill in the group of the process that it killed, whoever's limit it was: cgroup v2 in
``memory.events.local`` of the nearest group that has the memory controller (Documentation/admin-guide/cgroup-v2.rst),
v1 in ``memory.oom_control``. A zombie's membership tells its group in v2; in v1 it is shown as a member of the root
group by then, so there it is our own group, in which it was born, that is looked at. The files are read only when a
child died by a KILL that we did not send.
"""

from __future__ import annotations

import os

_V2_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_V1_ROOT = "/sys/fs/cgroup/memory"
_OURS = "/proc/self/cgroup"


class OomWatch:
    """The kills already accounted for, by counter file."""

    def __init__(self) -> None:
        # by inode as well: a group that was removed and made again counts from 0
        self._seen: dict[tuple[str, int], int] = {}
        for path in counter_files(_OURS):
            self._seen[_key(path)] = _count(path)

    def killed(self, pid: int, counter: str | None = None) -> bool:
        """Whether this zombie was killed for memory: its cgroup has counted a kill that no other death explains.

        Args:
            pid: the zombie.
            counter: the counter file of its service's own group, where it has one.
        """
        paths = [counter] if counter is not None else []
        paths += counter_files(f"/proc/{pid}/cgroup")
        if paths:  # else it is gone, or there are no cgroups
            paths += counter_files(_OURS)
        for path in dict.fromkeys(paths):
            key = _key(path)
            if _count(path) > self._seen.get(key, 0):
                # one by one: two deaths need two kills
                self._seen[key] = self._seen.get(key, 0) + 1
                return True
        return False


def _key(path: str) -> tuple[str, int]:
    try:
        return path, os.stat(path).st_ino
    except OSError:
        return path, 0  # gone meanwhile; its count is 0 as well


def counter_files(membership: str) -> list[str]:
    """The counter files that exist for a process, by its /proc/PID/cgroup; cgroups(7)."""
    found: list[str] = []
    for line in _lines(membership):
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            found += _nearest(path)
        elif "memory" in controllers.split(","):
            # inside a container the path may be the host's while the mount shows our own group as its root
            candidates = [f"{_V1_ROOT}{path.rstrip('/')}/memory.oom_control", f"{_V1_ROOT}/memory.oom_control"]
            found += [candidate for candidate in candidates if os.path.exists(candidate)][:1]
    return found


def _nearest(path: str) -> list[str]:
    """The v2 counter of a group or, where the memory controller is not handed down to it, of the nearest above."""
    for root in _V2_ROOTS:
        group = path.rstrip("/")
        while True:
            for name in ("memory.events.local", "memory.events"):
                candidate = f"{root}{group}/{name}"
                if os.path.exists(candidate):
                    return [candidate]
            if not group:
                break
            group = group[: group.rindex("/")]
    return []


def _count(path: str) -> int:
    for line in _lines(path):
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdigit():
            return int(value)
    return 0


def _lines(path: str) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []  # no cgroups here, or no right to look: then nothing can be said
    try:
        return os.read(fd, 65536).decode("utf-8", "replace").splitlines()
    except OSError:
        return []  # the process or its cgroup has gone meanwhile
    finally:
        os.close(fd)
