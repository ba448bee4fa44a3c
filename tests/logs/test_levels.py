"""Levels: understood from what programs write, and not where they write none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.logs.journal import LEVELS
from supervisor.logs.levels import NAMES, guess, of_value
from tests.logs.support import patient


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('time=2024-01-01T00:00:00Z level=error msg="x"', "error"),
        ('ts=2024-01-01T00:00:00Z caller=main.go:1 level=WARN msg="x"', "warning"),
        ('{lvl="warn"} x', "warning"),
        ("ERROR: boom", "error"),
        ("error: boom", "error"),
        ("[ERROR] boom", "error"),
        ("[warn] boom", "warning"),
        ("E0102 12:00:00.000000       1 foo.go:1] x", "error"),
        ("I0102 12:00:00.000000       1 foo.go:1] x", "info"),
        ("W, [2024-01-01T00:00:00 #1]  WARN -- : x", "warning"),
        ("ERROR:root:msg", "error"),
        ("2024-01-01 00:00:00,000 - app.db - ERROR - msg", "error"),
        ("2024-01-01 12:00:00,123 WARN [main] com.foo.Bar - msg", "warning"),
        ("2024-01-01 12:00:00,123 [main] ERROR com.foo.Bar - msg", "error"),
        ("12:00:00.123 [main] DEBUG c.f.B - x", "debug"),
        ("2024-01-01 12:00:00.000  INFO 1 --- [           main] c.e.App  : Started", "info"),
        ("2024/01/01 12:00:00 [error] 29#29: *1 open() failed", "error"),
        ("2024-01-01 00:00:00.000 UTC [1] LOG:  started", "info"),
        ("2024-01-01 00:00:00.000 UTC [1] FATAL:  role", "critical"),
        ("2024-01-01 00:00:00.000 | ERROR    | mod:f:1 - x", "error"),
        ("[2024-01-01T00:00:00Z ERROR foo] x", "error"),
        ("2024-01-01T00:00:00.000Z  WARN foo: x", "warning"),
        ("2024-01-01T00:00:00.000Z\tERROR\tfile.go:1\tmsg", "error"),
        ("[12:00:00] INFO (123): pretty", "info"),
        ("1:M 01 Jan 2024 00:00:00.000 # WARNING overcommit", "warning"),
        ('INFO:     127.0.0.1:5000 - "GET / HTTP/1.1" 200', "info"),
        ("info: Microsoft.Hosting.Lifetime[14]", "info"),
        ("fail: Foo[0]", "error"),
        ("<3>boom", "error"),
        ("<7>chatter", "debug"),
        ('{"level":"error","msg":"x"}', "error"),
        ('{"time":1,"level": 50}', "error"),
        ("Traceback (most recent call last):", "error"),
        ("ValueError: x", "error"),
        ("java.lang.RuntimeException: x", "error"),
        ('Exception in thread "main" java.lang.X', "error"),
        ("panic: runtime error", "critical"),
        ("fatal error: all goroutines are asleep", "critical"),
        ("GET /error 200", None),
        ("No ERROR found here, really", None),
        ("the error is gone", None),
        ("hello world", None),
        ('10.0.0.1 - - [10/Oct/2026:13:55:36] "GET /index.html" 200 2326', None),
        ("Information is power", None),
        ("I am here", None),
        ('{"level":3}', None),
        ("", None),
        ("   ", None),
        ("<9>", None),
    ],
)
def test_guesses(text: str, level: str | None) -> None:
    """The ways in which the loggers of many languages show a level, and lines that only speak of errors."""
    assert guess(text) == level


@patient
@given(st.text())
def test_any_text(text: str) -> None:
    """A guess never fails, and is one of our levels."""
    assert guess(text) in {None, *LEVELS}


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("INFO", "info"),
        ("Warn", "warning"),
        ("notice", "info"),
        ("fatal", "critical"),
        ("trace", "debug"),
        (10, "debug"),
        (30, "info"),
        (35, "info"),
        (40, "warning"),
        (50, "error"),
        (60, "critical"),
        (30.0, "info"),
        (3, None),
        (7, None),
        (True, None),
        (None, None),
        ("loud", None),
        ([], None),
        ({}, None),
    ],
)
def test_values_of_json(value: object, level: str | None) -> None:
    """Names in any case, numbers of pino and bunyan; those of syslog, where more is less, are not guessed."""
    assert of_value(value) == level


def test_every_name_is_a_level_of_ours() -> None:
    """No name stands for a level that there is not."""
    assert set(NAMES.values()) == set(LEVELS)
