"""Names and numbers of signals, as signal(7) lists them for Linux on x86, ARM, POWER, RISC-V and s390.

A table of its own, and not :mod:`signal`, for two reasons: this room does no I/O, and importing the ``signal``
module costs the pause mode a tenth of its memory (it builds enumerations). A test holds the table against the
interpreter's.
"""

RTMIN = 34
"""First real-time signal a program may use: glibc keeps 32 and 33 for its threads."""

RTMAX = 64
"""Last real-time signal, and so the largest signal number."""

_NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU "
    "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()

NUMBERS: dict[str, int] = {"SIG" + name: number for number, name in enumerate(_NAMES, 1)}
"""Standard signals by name, ``SIGHUP`` to ``SIGSYS``."""

_BY_NUMBER = {number: name for name, number in NUMBERS.items()}
_ALIASES = {"SIGIOT": 6, "SIGCLD": 17, "SIGPOLL": 29}

SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL, SIGUSR1, SIGUSR2 = 1, 2, 3, 6, 9, 10, 12
SIGPIPE, SIGTERM, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP = 13, 15, 17, 18, 19, 20
SIGTTIN, SIGTTOU, SIGXFSZ = 21, 22, 25

CATCHABLE = frozenset(range(1, RTMAX + 1)) - {SIGKILL, SIGSTOP, 32, 33}
"""Every signal a process can handle."""

FORWARDABLE = CATCHABLE - {SIGCHLD}
"""Every signal that means something to a child when it is passed on."""


def signal_name(number: int) -> str:
    """Name of a signal: ``SIGTERM``, ``SIGRTMIN+3``; ``SIG99`` for a number that no name is known for."""
    name = _BY_NUMBER.get(number)
    if name is not None:
        return name
    if number == RTMIN:
        return "SIGRTMIN"
    if number == RTMAX:
        return "SIGRTMAX"
    if RTMIN < number < RTMAX:
        return f"SIGRTMIN+{number - RTMIN}"
    return f"SIG{number}"


def parse_signal(text: str) -> int:
    """Number of a signal given as ``SIGTERM``, ``TERM``, ``term``, ``15``, ``SIGRTMIN+3`` or ``RTMAX-1``.

    Raises:
        ValueError: the text names no signal; the message says what was found.
    """
    word = text.strip().upper()
    if word.isascii() and word.isdigit():
        number = int(word)
        if 1 <= number <= RTMAX and number not in (32, 33):
            return number
        raise ValueError(f"{text!r} is no signal number (1 to {RTMAX})")
    if not word.startswith("SIG"):
        word = "SIG" + word
    number = NUMBERS.get(word) or _ALIASES.get(word) or _real_time(word)
    if not number:
        raise ValueError(f"{text!r} is no signal name")
    return number


def _real_time(word: str) -> int:
    """Number of ``SIGRTMIN``, ``SIGRTMIN+n``, ``SIGRTMAX`` or ``SIGRTMAX-n``; 0 for anything else."""
    for base_name, base, operator, sign in (("SIGRTMIN", RTMIN, "+", 1), ("SIGRTMAX", RTMAX, "-", -1)):
        if word == base_name:
            return base
        offset = word.removeprefix(base_name + operator)
        if offset != word and offset.isascii() and offset.isdigit():
            number = base + sign * int(offset)
            return number if RTMIN <= number <= RTMAX else 0
    return 0
