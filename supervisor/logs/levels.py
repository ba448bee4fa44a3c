"""What level a line has: by the name or number that its JSON gives, or by the look of its text.

Levels are those of :data:`supervisor.logs.journal.LEVELS`. Many names stand for one of them; a finer one is the next
that is not louder (``notice`` is ``info``, ``alert`` is ``critical``).
"""

import re

NAMES = {
    name: level
    for level, names in {
        "debug": "debug trace verbose fine finer finest dbug dbg d",
        "info": "info information informational notice log config i",
        "warning": "warning warn w",
        "error": "error err eror severe fail failure e",
        "critical": "critical crit fatal alert emerg emergency panic dpanic f",
    }.items()
    for name in names.split()
}
"""Level by name, in small letters."""

_SHORT = {"warn": "warning", "err": "error"}

_NUMBERS = ((60, "critical"), (50, "error"), (40, "warning"), (30, "info"), (10, "debug"))

_SYSLOG = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
"""By the numbers of syslog(3)."""

_LETTERS = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "critical"}

_WORDS_READ = 8
_CHARACTERS_READ = 160
"""A level stands in front of the message: so far it is looked for."""

_MARKS = "[](){}<>:,|*-!#"
_OPENING, _CLOSING = "[(<", "])>"
_NO_NAME = frozenset("0123456789-|")
"""With these begin dates, times, numbers and separators, and no level."""

_SEPARATORS = frozenset({"-", "|"})
_KEYS = frozenset({"level", "lvl", "severity", "loglevel"})
_CALENDAR = frozenset("Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec AM PM".split())

_BEGINNINGS = {
    "Traceback (most recent call last):": "error",
    "Exception in thread ": "error",
    "fatal error: ": "critical",
    "panic: ": "critical",
}

_BEGIN_WITH = frozenset(beginning[0] for beginning in _BEGINNINGS)

_JSON = re.compile(r'"(?:level|severity|lvl|levelname)"\s*:\s*(?:"([A-Za-z]+)"|([0-9]{2}))')


def guess(text: str) -> str | None:
    """The level that a line of text shows, in one of the ways in which programs do; None when it shows none.

    Known are ``level=error``, ``[error]``, ``ERROR:``, and ``ERROR`` behind nothing but dates, numbers, names with
    dots, things in brackets and separators, as the loggers of most languages write it; klog's ``E0102``, the ``<3>``
    of sd-daemon(3), the member ``level`` of JSON, and the first line of a stack trace.
    """
    front = text[:_CHARACTERS_READ]
    level = _by_form(front)
    if level is not None:
        return level
    prose = False
    before = ""
    for word in front.split(None, _WORDS_READ)[:_WORDS_READ]:
        if word.isalpha():
            if word.isupper():
                if (not prose or before in _SEPARATORS) and len(word) > 2 and (level := NAMES.get(word.lower())):
                    return level
            elif word not in _CALENDAR:
                prose = True
        elif word[0] not in _NO_NAME and (level := _by_word(word, alone=not prose or before in _SEPARATORS)):
            return level
        before = word
    return None


def _by_form(text: str) -> str | None:
    first = text[:1]
    if first == "<" and text[2:3] == ">" and "0" <= text[1] <= "7":
        return _SYSLOG[int(text[1])]
    if first in _LETTERS and (text[1:4] == ", [" or (text[1:5].isdecimal() and text[5:6] == " ")):
        return _LETTERS[first]
    if first == "{" and (found := _JSON.search(text)) is not None:
        name, number = found.groups()
        return of_value(name if name is not None else int(number))
    if first in _BEGIN_WITH:
        return next((level for beginning, level in _BEGINNINGS.items() if text.startswith(beginning)), None)
    return None


def _by_word(word: str, *, alone: bool) -> str | None:
    """The level that a word names; ``alone`` if no sentence has begun before it."""
    key, equals, value = word.partition("=")
    if equals:
        return NAMES.get(value.strip("\"',}]").lower()) if key.lstrip("{[,") in _KEYS else None
    name, colon, _ = word.partition(":")
    bare = name.strip(_MARKS)
    level = NAMES.get(bare.lower())
    if level is not None and len(bare) > 2:
        boxed = word[0] in _OPENING and word[-1] in _CLOSING
        return level if boxed or (alone and (colon or bare.isupper())) else None
    if colon and alone and name.endswith(("Error", "Exception")):
        return "error"
    return None


def of_value(value: object) -> str | None:
    """The level that a value of a JSON object stands for; None when it is none.

    Numbers are those of bunyan and pino (30 is ``info``). Smaller ones are those of syslog or somebody else's, in which
    more is less: they are not guessed.
    """
    if isinstance(value, str):
        return NAMES.get(value.lower())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return next((level for least, level in _NUMBERS if value >= least), None)
    return None


def is_same_word(value: object, level: str) -> bool:
    """Whether a value of a JSON object says no more than the level that it stands for: its name, or short for it."""
    if not isinstance(value, str):
        return False
    word = value.lower()
    return _SHORT.get(word, word) == level
