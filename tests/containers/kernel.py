"""A kernel of our own, for what the machine's does not offer: cgroup v2 with all controllers, and all capabilities.

User-mode Linux is a kernel that runs as a process. Its root is the machine's own file system, so the daemon under test
is the one that is tested everywhere else; its first process is a script of the test's.
"""

import os
import platform
import shlex
import shutil
import sys

import pytest

from tests.containers import host

KERNEL = "linux.uml"
DAEMON = shlex.join([sys.executable, "-I", "-m", "supervisor", "run", "-c"])

_PROLOGUE = """#!/bin/sh
exec >{folder}/out 2>&1 </dev/null
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 none /sys/fs/cgroup
cd /sys/fs/cgroup
echo '+memory +pids +cpu' >cgroup.subtree_control
mkdir box
"""
_EPILOGUE = """
echo o >/proc/sysrq-trigger
sleep 10
"""


def boot(folder: str, script: str, timeout: float = 90) -> str:
    """Boot, run a shell script as root with an empty control group ``box`` at hand, and halt.

    Args:
        folder: of the test; the script is in it.
        script: stands in ``/sys/fs/cgroup``.
        timeout: seconds after which the kernel counts as hung.

    Returns:
        What the script wrote.
    """
    if platform.machine() != "x86_64":
        pytest.skip("User-mode Linux is a kernel for x86 only")
    host.require(KERNEL)
    path = os.path.join(folder, "init")
    with open(path, "w", encoding="utf-8") as file:
        file.write(_PROLOGUE.format(folder=shlex.quote(folder)) + script + _EPILOGUE)
    os.chmod(path, 0o755)
    root = ("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw")
    console = ("quiet", "con=null", "con0=null,fd:1", f"init={path}", "mem=512M")
    # where it keeps its memory and its sockets
    environment = {"TMPDIR": folder if len(folder) < 60 else "/tmp", "HOME": folder}
    done = host.attempt([shutil.which(KERNEL) or KERNEL, *root, *console], environment=environment, timeout=timeout)
    out = os.path.join(folder, "out")
    if not os.path.exists(out):
        pytest.fail(f"the kernel did not come up:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    with open(out, encoding="utf-8", errors="replace") as file:
        return file.read()
