"""Three processes that say which of them gets USR1: the main one, one of its group, one in a session of its own.

Each ends at USR1, and also when TERM comes from the sweep of what is left. The main process prints ``ready`` when all
three can be signalled.
"""

import os
import signal


def member(name: str) -> None:
    """Say what comes, and end."""
    number = signal.sigwait({signal.SIGUSR1, signal.SIGTERM})
    os.write(1, f"{name} got {signal.Signals(number).name[3:]}\n".encode())
    os._exit(0)


def main() -> None:
    """Block first, so that whoever is signalled early still says so."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    gate = os.pipe()
    if os.fork() == 0:
        member("group")
    if os.fork() == 0:
        os.setsid()
        os.write(gate[1], b"!")
        member("session")
    os.read(gate[0], 1)
    os.write(1, b"ready\n")
    member("main")


main()
