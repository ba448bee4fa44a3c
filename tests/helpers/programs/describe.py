"""Write what this process was started with to a file, as JSON, print ``described``, and wait for a signal.

Usage: ``describe.py FILE [once] [ARGUMENT...]``; with ``once`` it ends at once, with status 0. The file appears whole,
by a rename; ``FILE`` may contain ``{pid}``.
"""

import json
import os
import resource
import signal
import sys


def status_fields() -> dict[str, str]:
    """Signal sets and credentials as the kernel has them."""
    wanted = ("SigBlk", "SigIgn", "SigCgt", "Uid", "Gid", "Groups", "Umask", "NoNewPrivs")
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        pairs = (line.partition(":") for line in file)
        return {key: text.strip() for key, _, text in pairs if key in wanted}


def descriptors() -> dict[str, str]:
    """Open descriptors, without the one that lists them."""
    listing = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
    names = [name for name in os.listdir(listing) if int(name) != listing]
    os.close(listing)
    found = {}
    for name in names:
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    return found


def oom_score_adj() -> str:
    """The OOM killer's adjustment of this process."""
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        return file.read().strip()


def main() -> None:
    """Gather and write; the descriptors first, before anything here opens one."""
    found = {
        "descriptors": descriptors(),
        "status": status_fields(),
        "arguments": sys.argv[2:],
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "pid": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgid(0),
        "session": os.getsid(0),
        "nice": os.nice(0),
        "oom_score_adj": oom_score_adj(),
        "limits": {
            name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name[:7] == "RLIMIT_"
        },
    }
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    path = sys.argv[1].format(pid=os.getpid())
    with open(path + ".new", "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(found, file)
    os.rename(path + ".new", path)
    os.write(1, b"described\n")
    if "once" not in sys.argv[2:3]:
        signal.sigwait({signal.SIGTERM, signal.SIGUSR1})


main()
