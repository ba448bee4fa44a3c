"""Put this process into a given condition, then become another program.

Usage: ``prepare.py CONDITIONS PROGRAM [ARGUMENT...]``, with the conditions as a JSON object:

- ``ignore``, ``block``: signal numbers that are ignored, or blocked, when the program starts
- ``open``: descriptor numbers that are open (on /dev/null) and inheritable
- ``close``: descriptor numbers that are closed
- ``terminal``: a session of its own, with descriptor 0 as its controlling terminal
- ``environment``: the whole environment
- ``umask``: a number
- ``descriptors``: how many may be open, getrlimit(2)
- ``joins``: ``cgroup.procs`` files of the control groups it becomes a member of
- ``user``: the number of a user and group to become, without other groups and without any capability but those to
  read all files: the interpreter and the tests' folders may be for their owner alone
"""

import fcntl
import json
import os
import resource
import signal
import sys
import termios


def main() -> None:
    """Apply the conditions in the order in which none undoes another, and exec."""
    conditions = json.loads(sys.argv[1])
    if conditions.get("terminal"):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for path in conditions.get("joins", ()):
        with open(path, "w", encoding="ascii") as file:
            file.write("0")
    if "umask" in conditions:
        os.umask(conditions["umask"])
    if "descriptors" in conditions:
        resource.setrlimit(resource.RLIMIT_NOFILE, (conditions["descriptors"], conditions["descriptors"]))
    null = os.open("/dev/null", os.O_RDWR)
    for number in conditions.get("open", ()):
        os.dup2(null, number, inheritable=True)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # the interpreter ignores both, and an exec would keep that
        signal.signal(number, signal.SIG_DFL)
    for number in conditions.get("ignore", ()):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, conditions.get("block", ()))
    for number in conditions.get("close", ()):
        os.close(number)
    environment = conditions.get("environment")
    command = sys.argv[2:]
    if "user" in conditions:
        user, kept = conditions["user"], "+dac_override,+dac_read_search"
        ids = ["--reuid", str(user), "--regid", str(user), "--clear-groups"]
        command = ["/usr/bin/setpriv", *ids, "--inh-caps", kept, "--ambient-caps", kept, *command]
    os.execvpe(command[0], command, os.environ if environment is None else environment)


main()
