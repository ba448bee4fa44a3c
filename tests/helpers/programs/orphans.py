"""Leave orphans, print ``done``, and go on living until a signal comes.

Usage: ``orphans.py COUNT [HOW] [END]``. How the orphans live:

- ``quick`` (default): each exits at once with status 7, one after the other
- ``together``: all wait for this process to get USR1, then end in one instant, each with a status made from its own
  pid: exit code ``pid % 200``, or KILL where the pid divides by 7
- ``stay``: each prints ``orphan PID``, leaves session, directory and descriptors behind as a daemon does, and waits for
  a signal
- ``stubborn``: as ``stay``, with TERM and HUP ignored

``END`` is what this process does after ``done``: ``wait`` (default) for TERM, or ``exit``.
"""

import os
import signal
import sys


def quick() -> None:
    """End at once."""
    os._exit(7)


def together(gate: tuple[int, int]) -> None:
    """Wait until the pipe's last writer is gone, then end as the pid says."""
    os.close(gate[1])
    os.read(gate[0], 1)
    pid = os.getpid()
    if pid % 7 == 0:
        os.kill(pid, signal.SIGKILL)
    os._exit(pid % 200)


def stay(ready: int, *, stubborn: bool) -> None:
    """Be a daemon of the old kind."""
    os.setsid()
    os.chdir("/")
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.write(1, f"orphan {os.getpid()}\n".encode())
    os.write(ready, b"!")
    os.closerange(0, 64)
    while True:
        signal.pause()


def live(how: str, gate: tuple[int, int]) -> None:
    """What one orphan does with its life."""
    if how == "quick":
        quick()
    elif how == "together":
        together(gate)
    else:
        stay(gate[1], stubborn=how == "stubborn")


def orphan(how: str, gate: tuple[int, int]) -> None:
    """Fork twice, and reap the one in the middle, so that the second has no parent but the reaper."""
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            live(how, gate)
        os._exit(0)
    os.waitpid(middle, 0)
    if how in {"stay", "stubborn"}:
        os.read(gate[0], 1)


def main() -> None:
    """Make them, say so, and wait."""
    how, end = [*sys.argv[2:], *("quick", "wait")[len(sys.argv) - 2 :]][:2]
    waited = {signal.SIGTERM, signal.SIGUSR1}
    gate = os.pipe()
    for _ in range(int(sys.argv[1])):
        orphan(how, gate)
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    os.write(1, b"done\n")
    if end == "exit":
        os._exit(0)
    while signal.sigwait(waited) == signal.SIGUSR1:
        os.close(gate[1])
    os._exit(0)


main()
