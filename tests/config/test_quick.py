"""The quick reading of TOML: what it takes on is what tomllib makes of it, and it takes on all that is usual."""

import glob
import os
import tomllib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.config.quick import read_quickly
from tests.runtime.isolated import ROOT

USUAL = r"""
# a comment
[supervisor]
main = "web"  # another
stop-timeout = "8s"
[signals]
"SIGRTMIN+3" = "shutdown"
'SIGUSR1' = { forward = "SIGUSR2", services = ["web"] }

[services.web]
command = [ "sh", "-c", 'echo "$0"', "a \"b\" \\ \t", ] # the last comma may stand
needs = {}
replicas = 2
nice = -5
success-exit-status = [
    0,   # well
    143,

    "SIGTERM"
]
inherit-environment = true
[ services . "a b" . log ]
empty = ""
lines = ['''
C:\x 'one'
 two''', '''''']
"""

PIECES = st.sampled_from(
    [
        *"[]{}=.,#\"'\n\\ \t\r\0-+_",
        "[[",
        "a",
        "b",
        "a = ",
        "1",
        "01",
        "1_0",
        "1.5",
        "1e3",
        "0x1f",
        "inf",
        "true",
        "false",
        "1979-05-27",
        "07:32:00",
        '"x"',
        "'y'",
        '"""',
        "'''",
        '"\\n"',
        '"\\u00e4"',
        '"\\e"',
        "\u00e4",
        "\x7f",
        "\r\n",
        "[a]\n",
        "[a.b]\n",
        "[b]\n",
        "b = 1\n",
        "a = { b = 1 }\n",
        "a = [1, 2,]\n",
        "a.b = 1\n",
    ]
)


def by_tomllib(text: str) -> dict[str, Any] | None:
    """What tomllib makes of it; None for an error."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def typed(value: object) -> object:
    """A value with its types, since True equals 1."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}, list(value)
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


def assert_the_same_or_left(text: str) -> None:
    """What is read quickly is what tomllib reads, in the same order."""
    quick = read_quickly(text)
    if quick is not None:
        assert typed(quick) == typed(by_tomllib(text))


@given(st.lists(PIECES, max_size=24).map("".join))
@example("a = 1\n[a]\n")
@example("[a.b]\n[a]\nb = 1\n")
@example("[a]\n[a]\n")
@example("a = {b = 1}\n[a.c]\n")
@example('a = """b"""" \n')
@example('a = """\nb\\n"""')
@example('"""a""" = 1')
@example('a = """\n\nb """')
@example("a = {b = 1,}\n")
@example("a = {b = 1\n}\n")
@example('a = "\n"\n')
@example('a = "\\')
@example('a = """"')
@example("a = -")
@example("a = 01")
@example("a = -00")
@example('a = [""""b"""", 1]')
@example("a = {b = '''c''''}")
@example("a = \u0663")
@example("a = 1 # \x01")
@example("a = 1 b = 2")
@example("[a] b = 2")
def test_pieces_are_read_as_by_tomllib_or_left_to_it(text: str) -> None:
    """Whatever the pieces make."""
    assert_the_same_or_left(text)


@given(st.data())
def test_a_usual_file_with_a_fault_is_read_as_by_tomllib_or_left_to_it(data: st.DataObject) -> None:
    """A usual file, in which something is taken out, put in, or doubled."""
    start = data.draw(st.integers(0, len(USUAL)))
    end = data.draw(st.integers(start, min(len(USUAL), start + 20)))
    assert_the_same_or_left(USUAL[:start] + data.draw(st.lists(PIECES, max_size=3).map("".join)) + USUAL[end:])


def test_what_is_usual_is_read_quickly() -> None:
    """The usual is not left to tomllib, or a start would cost what it takes."""
    assert typed(read_quickly(USUAL)) == typed(tomllib.loads(USUAL))
    assert read_quickly(USUAL.replace("\n", "\r\n")) == tomllib.loads(USUAL)


@pytest.mark.parametrize("path", sorted(glob.glob("config/**/*.toml", root_dir=ROOT, recursive=True)), ids=str)
def test_the_files_that_we_show_are_read_quickly(path: str) -> None:
    """Our own examples are usual."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    assert typed(read_quickly(text)) == typed(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 500_000,
        "a = " + '"' + "\\\\" * 250_000,
        "a = " + '"' + '\\"' * 250_000,
        "a = " + '"' + "\\\\" * 250_000 + '"',
        "[" + "a." * 250_000 + "a]",
        "#" * 500_000,
        "a = [" + "1," * 250_000 + "]",
    ],
    ids=["arrays", "never-closed", "quotes", "escapes", "parts", "comment", "items"],
)
def test_the_worst_file_takes_time_by_its_length(text: str) -> None:
    """Half a megabyte of anything is over in a moment; by the square of its length it would take hours."""
    read_quickly(text)
