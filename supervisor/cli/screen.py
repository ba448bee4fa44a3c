"""What can be shown at the other end of a descriptor: a terminal or not, colours, and how much room there is."""

from __future__ import annotations

import os
import re
import sys

from supervisor.core.record import Record

RESET = "\x1b[0m"
STYLES = {
    "good": "\x1b[32m",
    "busy": "\x1b[33m",
    "bad": "\x1b[1;31m",
    "rest": "\x1b[2m",
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
}
"""Colours by what they mean."""

NAMES = ("\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[93m", "\x1b[92m", "\x1b[95m")
"""Colours of services, in turn."""

_CONTROL = re.compile("\x1b\\[[0-9;:]*m|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What would do something to a terminal; the first alternative only sets colours."""


class Screen(Record):
    """One descriptor's other end.

    Attributes:
        colours: may be used.
        moves: it is a terminal whose cursor can be moved.
        width: characters of a line.
        height: lines; both are guesses where it is no terminal.
    """

    colours: bool = False
    moves: bool = False
    width: int = 80
    height: int = 24

    def paint(self, style: str, text: str) -> str:
        """The text in a style: a name of :data:`STYLES` or the sequence itself; as it is where there are no colours."""
        return f"{STYLES.get(style, style)}{text}{RESET}" if self.colours and text and style else text


def look(fd: int) -> Screen:
    """What is at the other end of a descriptor; ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM=dumb`` are heeded."""
    is_terminal = os.isatty(fd)
    is_smart = is_terminal and os.environ.get("TERM") not in (None, "", "dumb")
    colours = is_smart
    if os.environ.get("FORCE_COLOR", "0") != "0":
        colours = True
    if os.environ.get("NO_COLOR"):
        colours = False
    try:
        width, height = os.get_terminal_size(fd)
    except OSError:
        width, height = 0, 0
    return Screen(colours, is_smart, width or 80, height or 24)


def harmless(text: str, *, colours: bool) -> str:
    """The text of a program with all that would do more to a terminal than set a colour as escapes."""
    if text.isprintable():
        return text

    def show(match: re.Match[str]) -> str:
        found = match.group()
        if len(found) > 1:
            return found if colours else ""
        return "\ufffd" if "\ud800" <= found <= "\udfff" else f"\\x{ord(found):02x}"

    return _CONTROL.sub(show, text) + (RESET if colours and "\x1b[" in text else "")


def cut(text: str, width: int) -> str:
    """The text, shortened to so many characters."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def write(text: str | bytes) -> None:
    """Write data to standard output now; nothing where it is closed."""
    if sys.stdout is None:
        return
    sys.stdout.buffer.write(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


def write_error(text: str) -> None:
    """Write to standard error what is no message but a drawing."""
    try:
        os.write(2, text.encode("utf-8", "replace"))
    except OSError:
        return  # the terminal is gone, and its drawing with it
