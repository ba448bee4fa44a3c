"""What works here: each thing the daemon relies on, tried, with what follows where it does not."""

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec

from supervisor.core.record import Record
from supervisor.core.signals import CATCHABLE, SIGUSR1
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.process import become_reaper
from supervisor.runtime.terminal import controlling_terminal


class Finding(Record):
    """One thing that was tried.

    Attributes:
        verdict: ``ok``; ``note`` where the daemon does with less; ``FAIL`` where it can't run.
    """

    verdict: str
    what: str
    found: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"verdict": self.verdict.lower(), "what": self.what, "found": self.found}


def examine() -> list[Finding]:
    """Try everything; the order is that of the daemon's own start."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _mode,
        _user,
        _privileges,
        _signalfd,
        _event_loop,
        _proc,
        _children_files,
        _oom_counter,
        _service_groups,
        _standard_stream,
        _nonblocking_write,
        _terminal,
        _descriptors,
        _manager,
    ]
    return [_tried(check) for check in checks]


def _tried(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that breaks is a finding too
        return Finding("FAIL", check.__name__.strip("_").replace("_", " "), f"{type(error).__name__}: {error}")


def _python() -> Finding:
    isolated = "isolated (-I)" if sys.flags.isolated else "not isolated: start it with -I in images and units"
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("ok" if sys.flags.isolated else "note", "python", f"{version} at {sys.executable}, {isolated}")


def _mode() -> Finding:
    words = {
        "pid1": "pid1: the kernel hands us every orphan of the namespace",
        "subreaper": f"subreaper: we are pid {os.getpid()} and get the orphans below us",
        "plain": "plain: the kernel refused PR_SET_CHILD_SUBREAPER; orphans go to another process",
    }
    mode = become_reaper()
    return Finding("note" if mode == "plain" else "ok", "mode", words[mode])


def _user() -> Finding:
    uid = os.geteuid()
    return Finding("ok", "user", "root" if uid == 0 else f"uid {uid}")


def _privileges() -> Finding:
    """What services may ask for, and which of it would be refused."""
    from supervisor.core.capabilities import CAPABILITIES  # noqa: PLC0415 - beside the next one
    from supervisor.runtime.libc import capabilities  # noqa: PLC0415 - ctypes may be missing, which is a finding

    needed = {
        "setuid": "user",
        "setgid": "group",
        "setpcap": "capabilities",
        "sys_nice": "nice below ours",
        "sys_resource": "limits above our hard ones, oom-score-adjust below ours",
    }
    effective = capabilities()[0]
    missing = [name for name in needed if not effective >> CAPABILITIES.index(name) & 1]
    if missing:
        refused = ", ".join(needed[name] for name in missing)
        return Finding("note", "privileges", f"no {', '.join(missing)}: refused to services are {refused}")
    return Finding("ok", "privileges", "all that services may ask for")


def _service_groups() -> Finding:
    from supervisor.runtime.hierarchy import UnavailableError, own_group  # noqa: PLC0415 - nothing else here needs it

    without = "services run without control groups of their own"
    try:
        group = own_group()
        with open(f"{group}/cgroup.controllers", encoding="ascii") as file:
            controllers = file.read().split()
    except UnavailableError as error:
        return Finding("note", "cgroup v2", f"{error}: {without}")
    except OSError as error:
        return Finding("note", "cgroup v2", f"{error.strerror} ({error.filename}): {without}")
    if os.statvfs(group).f_flag & os.ST_RDONLY:
        return Finding("note", "cgroup v2", f"{group} is read-only: {without}")
    if not os.access(group, os.W_OK):
        return Finding("note", "cgroup v2", f"{group} may not be written: {without}")
    missing = [name for name in ("memory", "pids", "cpu") if name not in controllers]
    limits = f"no controller for {', '.join(missing)}" if missing else "with limits"
    return Finding("note" if missing else "ok", "cgroup v2", f"{group} is writable: a group for each service, {limits}")


def _signalfd() -> Finding:
    from supervisor.runtime.libc import signalfd  # noqa: PLC0415 - ctypes may be missing, which is a finding

    os.close(signalfd(CATCHABLE - {SIGUSR1}))
    return Finding("ok", "signalfd", "works")


def _event_loop() -> Finding:
    if find_spec("uvloop") is not None:
        return Finding("ok", "event loop", "uvloop")
    return Finding("note", "event loop", "asyncio: uvloop is not installed, which costs some latency and CPU")


def _proc() -> Finding:
    if Kernel().stat(os.getpid()) is None:
        return Finding("note", "/proc", "not readable: orphans have no name, and shutdown reaches services only")
    return Finding("ok", "/proc", "readable")


def _children_files() -> Finding:
    path = f"/proc/self/task/{os.getpid()}/children"
    if os.path.exists(path):
        return Finding("ok", "descendants", f"listed in {path}")
    return Finding("note", "descendants", "the kernel has no CONFIG_PROC_CHILDREN: shutdown reaches services only")


def _oom_counter() -> Finding:
    from supervisor.runtime.oom import counter_files  # noqa: PLC0415 - nothing else here needs it

    found = counter_files("/proc/self/cgroup")
    if found:
        return Finding("ok", "memory kills", f"counted in {found[0]}")
    return Finding("note", "memory kills", "not counted: a kill for lack of memory can't be told from another")


def _standard_stream() -> Finding:
    import stat  # noqa: PLC0415 - this module is not on the daemon's way

    mode = os.fstat(1).st_mode
    kinds = {
        stat.S_IFIFO: "pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFREG: "file",
        stat.S_IFCHR: "terminal" if os.isatty(1) else "device",
    }
    return Finding("ok", "stdout", kinds.get(stat.S_IFMT(mode), "unknown kind of file"))


def _nonblocking_write() -> Finding:
    reader, writer = os.pipe()
    try:
        os.pwritev(writer, [b"x"], -1, os.RWF_NOWAIT)
    except OSError as error:
        return Finding("note", "RWF_NOWAIT", f"{error.strerror}: pipes are written behind poll(2), in small pieces")
    finally:
        os.close(reader)
        os.close(writer)
    return Finding("ok", "RWF_NOWAIT", "pipes are written without blocking and without touching their flags")


def _terminal() -> Finding:
    found = "stdin, with its foreground" if controlling_terminal() is not None else "none: no job control"
    return Finding("ok", "terminal", found)


def _descriptors() -> Finding:
    import resource  # noqa: PLC0415 - this module is not on the daemon's way

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding("ok", "open files", f"{soft} (hard limit {hard}): about {max(0, soft - 32) // 2} captured services")


def _manager() -> Finding:
    told = os.environ.get("NOTIFY_SOCKET")
    return Finding("ok", "service manager", f"told by {told}" if told else "none (NOTIFY_SOCKET is not set)")
