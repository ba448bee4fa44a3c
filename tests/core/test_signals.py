"""The signal table against the interpreter's, and what users may write for a signal."""

import signal

import pytest

from supervisor.core import signals


def test_numbers_are_the_interpreters() -> None:
    """Every name has the number that this machine's headers give it."""
    for name, number in signals.NUMBERS.items():
        assert getattr(signal, name) == number
    assert signal.SIGRTMIN == signals.RTMIN
    assert signal.SIGRTMAX == signals.RTMAX
    assert frozenset(map(int, signal.valid_signals())) - {signals.SIGKILL, signals.SIGSTOP} == signals.CATCHABLE


@pytest.mark.parametrize("number", sorted(signals.CATCHABLE))
def test_name_and_number_are_inverse(number: int) -> None:
    """What a signal is called is understood as that signal."""
    assert signals.parse_signal(signals.signal_name(number)) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("sigterm", 15), (" 15 ", 15), ("SIGRTMIN", 34), ("rtmin+3", 37), ("SIGRTMAX-2", 62), ("IOT", 6)],
)
def test_spellings(text: str, number: int) -> None:
    """Names with or without SIG, in any case, numbers, and real-time signals by offset."""
    assert signals.parse_signal(text) == number


@pytest.mark.parametrize(
    "text", ["", "SIG", "TERMX", "0", "65", "32", "-1", "RTMIN+99", "RTMAX-40", "RTMIN-1", "\u0661\u0665"]
)
def test_what_is_no_signal(text: str) -> None:
    """Anything else is refused with the word that was found."""
    with pytest.raises(ValueError, match="no signal"):
        signals.parse_signal(text)


def test_unknown_number_has_a_name() -> None:
    """A number that nobody named is still reported."""
    assert signals.signal_name(99) == "SIG99"
