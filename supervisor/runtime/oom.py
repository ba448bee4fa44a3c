"""Whether a SIGKILL was the kernel's, because memory ran out: the counters of the memory cgroup.

cgroup v2 counts the kills in ``memory.events.local`` (Documentation/admin-guide/cgroup-v2.rst), v1 in
``memory.oom_control``. The files are read only when a child died by a KILL that we did not send.
"""

import os

_V2_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_V1_ROOT = "/sys/fs/cgroup/memory"


class OomWatch:
    """The kills already accounted for, by counter file."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        for path in _counter_files("/proc/self/cgroup"):
            self._seen[path] = _count(path)

    def killed(self, pid: int) -> bool:
        """Whether this zombie was killed for memory: its cgroup has counted a kill that no other death explains."""
        for path in _counter_files(f"/proc/{pid}/cgroup"):
            if _count(path) > self._seen.get(path, 0):
                # one by one: two deaths need two kills
                self._seen[path] = self._seen.get(path, 0) + 1
                return True
        return False


def _counter_files(membership: str) -> list[str]:
    """The counter files that exist for a process, by its /proc/PID/cgroup; cgroups(7)."""
    found: list[str] = []
    for line in _lines(membership):
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            candidates = [
                f"{root}{path.rstrip('/')}/{name}"
                for root in _V2_ROOTS
                for name in ("memory.events.local", "memory.events")
            ]
        elif "memory" in controllers.split(","):
            # inside a container the path may be the host's while the mount shows our own group as its root
            candidates = [f"{_V1_ROOT}{path.rstrip('/')}/memory.oom_control", f"{_V1_ROOT}/memory.oom_control"]
        else:
            continue
        found += [candidate for candidate in candidates if os.path.exists(candidate)][:1]
    return found


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
