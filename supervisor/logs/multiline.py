r"""Lines joined into records: by the look of a record's first line, or by the grammar of a language's stack traces.

A record that may go on is held until a line comes that does not belong to it; whoever feeds lines calls :meth:`flush`
when none has come in time. It is bounded in lines and in bytes: at the bound it is written, and goes on as the next.
Pieces of a line that is too long to be kept together pass as they are.
"""

import re

from supervisor.logs.lines import Fragment

LINES_MAX = 1000
BYTES_MAX = 65536
"""Bounds of what is held of one stream."""

_State = list[tuple[re.Pattern[str], str]]


class _Rules:
    """A language's stack traces, as a table.

    Attributes:
        begins: what the first line looks like, with the state it leads to; the first that is found counts.
        states: by name, what a further line looks like in that state, with the state it leads to. A line that looks
            like none of these does not belong.
    """

    def __init__(self, begins: dict[str, str], states: dict[str, dict[str, str]]) -> None:
        self.begins = _compiled(begins)
        self.states = {name: _compiled(table) for name, table in states.items()}
        self.any_begin = re.compile("|".join(f"(?:{pattern})" for pattern in begins), re.MULTILINE)


def _compiled(table: dict[str, str]) -> _State:
    return [(re.compile(pattern), state) for pattern, state in table.items()]


_BLANK = r"^\s*$"
_INDENTED = r"^\s"

RULES = {
    "python": _Rules(
        {
            r"^Traceback \(most recent call last\):": "frames",
            r"^  \+ Exception Group Traceback \(most recent call last\):": "group",
        },
        {
            "group": {r"^\s(?! \+ Exception Group Traceback )": "group", _BLANK: "between"},
            "frames": {_INDENTED: "frames", r"^[A-Za-z_][\w.]*(?::|$)": "raised"},
            "raised": {_BLANK: "between", _INDENTED: "raised"},
            "between": {
                _BLANK: "between",
                r"^(?:During handling of the above exception|The above exception was the direct cause)": "between",
                r"^Traceback \(most recent call last\):": "frames",
                r"^  \+ Exception Group Traceback \(most recent call last\):": "group",
            },
        },
    ),
    "java": _Rules(
        {
            r"\b(?:[\w$]+\.)+[\w$]*(?:Exception|Error|Throwable)\b": "trace",
            r"^[\w$]+(?:Exception|Error)(?::|$)": "trace",
            r"^Exception in thread ": "trace",
            r"^\s+at [\w$.<>/@-]+\(": "trace",  # the message had several lines, or the class another name
        },
        {"trace": {r"^\s+\S": "trace", r"^(?:Caused by|Suppressed|Wrapped by): ": "trace"}},
    ),
    "go": _Rules(
        {r"^(?:panic: |fatal error: |unexpected fault address |goroutine \d+ )": "trace", r"\bpanic serving ": "trace"},
        {
            "trace": {
                _BLANK: "trace",
                _INDENTED: "trace",
                r"^(?:goroutine \d+ |\[signal |\[recovered|created by )": "trace",
                r"^exit status \d+$": "over",
                r"^[\w./%*()\[\]{}$,~·…-]+\(.*\)$": "trace",
                r"^(?:r[a-z0-9]{1,2}|cs|fs|gs|rflags)\s+0x": "trace",
            },
            "over": {},
        },
    ),
    "node": _Rules(
        {
            r"^(?:Uncaught )?[\w$.]*(?:Error|Exception|Rejection)\b(?: \[|:|$)": "stack",
            r"^(?:node:|file:|/)\S+:\d+$": "source",
            r"^    at (?:.+ \()?(?:node:|file:|/|<anonymous>).*\)?$": "stack",  # as in java
        },
        {
            "source": {r"": "caret"},
            "caret": {r"^\s*\^+\s*$": "thrown"},
            "thrown": {_BLANK: "thrown", r"^\S.*": "stack"},
            "stack": {_BLANK: "last", _INDENTED: "stack", r"^[}\]]": "stack"},
            "last": {r"^Node\.js v\d": "last", _INDENTED: "stack"},
        },
    ),
}
"""Rules by name; :mod:`supervisor.config.patterns` lists the names."""


class _Starts:
    """Every line that looks like a first one begins a record; all others belong to the one before."""

    def __init__(self, pattern: str) -> None:
        self._search = re.compile(pattern).search

    def concerns(self, _texts: str) -> bool:
        return True

    def belongs(self, text: str) -> bool:
        return self._search(text) is None

    def begins(self, _text: str) -> bool:
        return True  # it may: the next line tells


class _Trace:
    """Lines are records, but for those of a stack trace, which are one."""

    def __init__(self, rules: _Rules) -> None:
        self._rules = rules
        self._state: _State = []

    def concerns(self, texts: str) -> bool:
        return self._rules.any_begin.search(texts) is not None

    def belongs(self, text: str) -> bool:
        return self._enter(self._state, text)

    def begins(self, text: str) -> bool:
        return self._enter(self._rules.begins, text)

    def _enter(self, table: _State, text: str) -> bool:
        for pattern, state in table:
            if pattern.search(text) is not None:
                self._state = self._rules.states[state]
                return True
        return False


class Joiner:
    """Joins the lines of one stream."""

    __slots__ = ("_held", "_size", "_way", "_within")

    def __init__(self, multiline: str) -> None:
        """Join as told.

        Args:
            multiline: a name in :data:`RULES`, or a regular expression for the first line of a record.
        """
        rules = RULES.get(multiline)
        self._way: _Starts | _Trace = _Starts(multiline) if rules is None else _Trace(rules)
        self._held: list[bytes] = []
        self._size = 0
        self._within = False  # of a line that comes in pieces

    @property
    def holds(self) -> bool:
        """Whether something waits for the next line."""
        return bool(self._held)

    def feed(self, messages: list[bytes]) -> list[bytes]:
        """Take the next lines; return the records that are complete, joined by newlines."""
        if not messages:
            return messages
        texts = b"\n".join(messages).decode("utf-8", "replace")
        if not self._held and not self._within and not self._way.concerns(texts) and not _has_pieces(messages):
            return messages
        complete: list[bytes] = []
        for message, text in zip(messages, texts.split("\n"), strict=True):
            if self._within or type(message) is Fragment:
                complete += self.flush()
                complete.append(message)
                self._within = type(message) is Fragment
            else:
                self._take(message, text, complete)
        return complete

    def flush(self) -> list[bytes]:
        """What is held is complete; return it, if there is something."""
        if not self._held:
            return []
        record = b"\n".join(self._held)
        self._held = []
        self._size = 0
        return [record]

    def _take(self, message: bytes, text: str, complete: list[bytes]) -> None:
        if self._held and self._way.belongs(text):
            if len(self._held) >= LINES_MAX or self._size + len(message) > BYTES_MAX:
                complete += self.flush()
        else:
            complete += self.flush()
            if not self._way.begins(text):
                complete.append(message)
                return
        self._held.append(message)
        self._size += len(message) + 1


def _has_pieces(messages: list[bytes]) -> bool:
    return Fragment in set(map(type, messages))
