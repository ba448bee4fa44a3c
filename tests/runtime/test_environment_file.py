"""The grammar of environment files: every row of the manual, every refusal, and texts that nobody meant."""

import errno
import os
import re
import stat
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.runtime.environment_file import LARGEST, MalformedError, parse, read_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("\n \t\n", {}),
        ("A=1", {"A": "1"}),
        ("A=1\n", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1", {"A": "1"}),
        ("# no\n ; nor\n\t#this\nA=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=  \t", {"A": ""}),
        ("A=''", {"A": ""}),
        ('A=""', {"A": ""}),
        ("  A=1", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("\texport \t A=1", {"A": "1"}),
        ("export=1", {"export": "1"}),
        ("exports=1", {"exports": "1"}),
        ("_a0=1", {"_a0": "1"}),
        ("A= b  c \t", {"A": "b  c"}),
        ("A=b#c # d", {"A": "b#c # d"}),
        ("A=b=c==", {"A": "b=c=="}),
        ("A=b 'c' \"d\"", {"A": "b 'c' \"d\""}),
        ("A=$B ${C} `d` %s", {"A": "$B ${C} `d` %s"}),
        ("A=\\$B\\\\\\ \\n", {"A": "$B\\ n"}),
        ("A=b\\ ", {"A": "b "}),
        ("A=\\ b", {"A": " b"}),
        ("A=b\\\nc", {"A": "bc"}),
        ("A=b \\\n c\nD=e", {"A": "b  c", "D": "e"}),
        ("A=b\\\r\nc", {"A": "bc"}),
        ("A=b \\\n", {"A": "b"}),
        ("A=b\\", {"A": "b"}),
        ("A='b \"c\" \\n $d # e'", {"A": 'b "c" \\n $d # e'}),
        ("A='b\nc'\nD=e", {"A": "b\nc", "D": "e"}),
        ("A=' b ' \t", {"A": " b "}),
        ("A=\"b 'c' $d # e\"", {"A": "b 'c' $d # e"}),
        ('A="\\"\\\\\\`\\$"', {"A": '"\\`$'}),
        ('A="\\n\\t\\x"', {"A": "\\n\\t\\x"}),
        ('A="b\nc"', {"A": "b\nc"}),
        ('A="b\\\nc"', {"A": "bc"}),
        ("A='b'\nA=c", {"A": "c"}),
        ("A=\u00e4\u20ac", {"A": "\u00e4\u20ac"}),
    ],
)
def test_what_a_file_sets(text: str, expected: dict[str, str]) -> None:
    """Comments, blanks, quotes, escapes and continued lines are as the manual says."""
    assert parse(text.encode()) == expected


def test_bytes_that_are_no_text_arrive_as_they_are() -> None:
    """An environment holds bytes, and so may a file."""
    assert os.fsencode(parse(b"A=\xff\xfe")["A"]) == b"\xff\xfe"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A", 'line 1: no "=" after the name of the variable'),
        ("A =1", 'line 1: no "=" after the name of the variable'),
        ("A-B=1", 'line 1: no "=" after the name of the variable'),
        ("export A", 'line 1: no "=" after the name of the variable'),
        ("export", 'line 1: no "=" after the name of the variable'),
        ("export ", "line 1: no name of a variable at its beginning"),
        ("A=1\n\n1A=1", "line 3: no name of a variable at its beginning"),
        ("=1", "line 1: no name of a variable at its beginning"),
        ("A=1\n\u00e4=1", "line 2: no name of a variable at its beginning"),
        ("A='b", "line 1: a quote that is never closed"),
        ('A=1\nB="c\nd\n', "line 2: a quote that is never closed"),
        ('A="b\\"', "line 1: a quote that is never closed"),
        ("A='b' c", "line 1: something stands after the closing quote"),
        ("A='b' # c", "line 1: something stands after the closing quote"),
        ("A='b''c'", "line 1: something stands after the closing quote"),
        ('A="b\nc"d', "line 2: something stands after the closing quote"),
        ("A=1\nB=\0", "line 2: a NUL character"),
    ],
)
def test_what_is_no_setting_is_an_error(text: str, message: str) -> None:
    """The line is told, and nothing of what it holds."""
    with pytest.raises(MalformedError) as caught:
        parse(text.encode())
    assert str(caught.value) == message


def test_no_message_repeats_what_a_file_holds() -> None:
    """The file may hold a secret: neither a name nor a value of it is in any message."""
    for text in ("HUSH", "HUSH='HUSH' HUSH", "HUSH='HUSH", '1HUSH="HUSH', "A=HUSH\0"):
        with pytest.raises(MalformedError) as caught:
            parse(text.encode())
        assert "HUSH" not in str(caught.value)


@settings(deadline=None)
@given(st.text(st.sampled_from("AB=1 '\"\\\n\r\t#;$\0\u00e4x"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever a file holds: variables whose names are names, or a message with a line; no other exception."""
    refusal = ""
    found: dict[str, str] = {}
    try:
        found = parse(text.encode())
    except MalformedError as error:
        refusal = str(error)
    assert re.match("line [0-9]+: |$", refusal)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in found)
    assert "\0" not in "".join(found.values())


_PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=30)


@settings(deadline=None, max_examples=40)
@given(_PLAIN)
def test_quoted_values_are_what_a_shell_takes(value: str) -> None:
    """A value quoted for a shell, either way, reads as the same value here and there."""
    if "'" not in value:
        assert parse(f"A='{value}'".encode()) == {"A": value}
    quoted = re.sub(r'(["\\`$])', r"\\\1", value)
    assert parse(f'A="{quoted}"'.encode()) == {"A": value}
    shell = subprocess.run(
        ["sh", "-c", f'A="{quoted}"\nprintf %s. "$A"'], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert shell.stdout.decode() == value + "."


def test_a_file_is_read_whole(tmp_path: os.PathLike[str]) -> None:
    """Up to the greatest length, also through a link."""
    path = os.path.join(tmp_path, "file")
    with open(path, "wb") as file:
        file.write(b"x" * LARGEST)
    os.symlink(path, path + "-link")
    assert read_file(path + "-link") == b"x" * LARGEST
    with open(path, "ab") as file:
        file.write(b"x")
    with pytest.raises(OSError, match="too large") as caught:
        read_file(path)
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "endless", "missing"])
def test_what_is_no_regular_file_is_refused(tmp_path: os.PathLike[str], kind: str) -> None:
    """At once, and without waiting for a writer; nothing is left open."""
    path = os.path.join(tmp_path, "file")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        os.mkdir(path)
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is looked at below
        read_file({"device": "/dev/null", "endless": "/dev/zero"}.get(kind, path))
    expected = {"folder": errno.EISDIR, "missing": errno.ENOENT}.get(kind, errno.EINVAL)
    assert caught.value.errno == expected
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert kind != "fifo" or stat.S_ISFIFO(os.stat(path).st_mode)
