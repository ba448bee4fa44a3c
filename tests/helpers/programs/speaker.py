"""A child that says how it is, when it starts and when it is sent a signal.

Usage: ``speaker.py [ACTION | SIGNAL=ACTION]...``. Actions without a signal are done at the start, in order.
``send:TEXT`` sends TEXT to the notification socket and prints ``sent``, ``show:NAME`` prints a variable of the
environment, ``heir:TEXT`` leaves the place to a process in a session of its own, and sends TEXT with its number behind;
``flood:N`` leaves N processes that send without end; ``every:TEXT`` sends TEXT fifty times a second from then on;
``exit:N`` ends. TERM ends it with status 0. It prints ``ready`` when it has begun to wait for signals.
"""

import os
import signal
import socket
import sys


def say(text: str) -> None:
    """Write a whole line at once, unbuffered."""
    os.write(1, (text + "\n").encode())


def notify(text: str) -> None:
    """Send a notification, as any client of sd_notify(3) does."""
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), "\0" + address[1:])


def send(text: str) -> None:
    """Send a notification, and say so."""
    notify(text)
    say("sent")


def show(name: str) -> None:
    """Print a variable."""
    say(f"{name}={os.environ.get(name)}")


def heir(text: str) -> None:
    """Hand over to a process that goes on as this one would have."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        say(f"heir {os.getpid()}")
        return
    notify(f"{text}{pid}")
    os._exit(0)


def flood(count: str) -> None:
    """Leave processes that send without end."""
    for _ in range(int(count)):
        if os.fork() == 0:
            while True:
                notify("STATUS=flood")


def every(text: str) -> None:
    """Leave it to a timer to send."""
    TIMED.append(text)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)


def leave(code: str) -> None:
    """End."""
    os._exit(int(code))


VERBS = {"send": send, "show": show, "heir": heir, "flood": flood, "every": every, "exit": leave}
TIMED: list[str] = []


def act(action: str) -> None:
    """Do one thing."""
    verb, _, argument = action.partition(":")
    VERBS[verb](argument)


def main() -> None:
    """Do what is to be done at the start, then what each signal asks for."""
    everything = signal.valid_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    reactions = {"TERM": "exit:0"}
    for argument in sys.argv[1:]:
        name, equals, action = argument.partition("=")
        if equals and name.isupper():
            reactions[name] = action
        else:
            act(argument)
    say("ready")
    while True:
        name = signal.Signals(signal.sigwait(everything)).name[3:]
        if name == "ALRM":
            for text in TIMED:
                notify(text)
        elif name in reactions:
            act(reactions[name])


main()
