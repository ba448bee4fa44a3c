"""A child that says what it is sent and does what it was told for it.

Usage: ``actor.py [SIGNAL=ACTION]...``. It prints ``ready``, then the name of each signal that comes (``TERM``,
``RTMIN+1``), and acts: ``exit:N`` ends with status N, ``die`` lets the signal kill it, ``stop`` stops itself,
``lines:N`` writes N lines and ends, ``fork:N`` leaves N stubborn processes behind and ends, ``stay`` goes on,
``size`` prints the size of the terminal.
``any=ACTION`` is for every signal not named; without it that is ``die``.

All signals are blocked and taken with sigwait(3), so none can slip in between the ready line and the wait.
"""

import os
import signal
import sys


def name(number: int) -> str:
    """Name without the SIG prefix."""
    if number < signal.SIGRTMIN:
        return signal.Signals(number).name[3:]
    return f"RTMIN+{number - signal.SIGRTMIN}"


def say(text: str) -> None:
    """Write a whole line at once, unbuffered."""
    os.write(1, (text + "\n").encode())


def die(number: int) -> None:
    """End by the signal's default action."""
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)


def leave(count: int) -> None:
    """Fork stubborn processes that outlive this one: sessions of their own, every signal blocked."""
    for _ in range(count):
        if os.fork() == 0:
            os.setsid()
            while True:
                signal.pause()
    sys.exit(0)


def act(number: int, action: str) -> None:
    """Do what was told for this signal."""
    verb, _, argument = action.partition(":")
    if verb == "exit":
        os._exit(int(argument))
    elif verb == "die":
        die(number)
    elif verb == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif verb == "lines":
        for index in range(int(argument)):
            say(f"last words {index}")
        os._exit(0)
    elif verb == "fork":
        leave(int(argument))
    elif verb == "size":
        size = os.get_terminal_size(0)
        say(f"size {size.columns}x{size.lines}")


def main() -> None:
    """Wait for signals and act until an action ends the process."""
    actions = dict(argument.split("=", 1) for argument in sys.argv[1:])
    everything = signal.valid_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    say("ready")
    while True:
        number = signal.sigwait(everything)
        say(name(number))
        act(number, actions.get(name(number), actions.get("any", "die")))


main()
