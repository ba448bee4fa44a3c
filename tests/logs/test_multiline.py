"""Lines that belong together are one record: by a pattern, or by the look of stack traces."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config.patterns import MULTILINE_RULES
from supervisor.logs.lines import Fragment, Splitter
from supervisor.logs.multiline import BYTES_MAX, LINES_MAX, RULES, Joiner
from tests.logs.support import patient


def join(multiline: str, text: str) -> list[str]:
    """The records made of all lines of a text at once; a line at a time they have to be the same."""
    lines = [line.encode() for line in text.split("\n")]
    together, single = Joiner(multiline), Joiner(multiline)
    records = together.feed(lines) + together.flush()
    assert records == [record for line in lines for record in single.feed([line])] + single.flush()
    return [record.decode() for record in records]


PYTHON = """\
Traceback (most recent call last):
  File "a.py", line 3, in <module>
    f()
    ~^^
  [Previous line repeated 9 more times]
app.errors.Broken: no

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 5, in <module>
KeyError: 'x'"""

PYTHON_GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "a.py", line 1, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: one
    +------------------------------------"""

JAVA = """\
Exception in thread "main" java.lang.RuntimeException: outer
\tat com.example.A.b(A.java:12)
\tat com.example.Main.main(Main.java:3)
\tSuppressed: java.io.IOException: closing
\t\tat com.example.C.d(C.java:1)
Caused by: java.lang.IllegalStateException: inner
\tat com.example.E.f(E.java:7)
\t... 2 more"""

GO = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x45e5]

goroutine 1 [running]:
main.(*T).method(0xc000012345, {0x0, 0x1})
\t/app/main.go:12 +0x1d
main.main()
\t/app/main.go:5 +0x20
created by main.start in goroutine 7
\t/app/main.go:2 +0x1
exit status 2"""

NODE = """\
/app/index.js:3
throw new Error('boom')
^

Error: boom
    at f (/app/index.js:3:7)
    at Module._compile (node:internal/modules/cjs/loader:1:2) {
  code: 'E_BOOM'
}

Node.js v22.1.0"""

NODE_CAUGHT = """\
TypeError: x is not a function
    at f (/app/index.js:3:7)
    at process.processTicksAndRejections (node:internal/process/task_queues:1:2)"""


@pytest.mark.parametrize(
    ("rules", "trace"),
    [
        ("python", PYTHON),
        ("python", PYTHON_GROUP),
        ("java", JAVA),
        ("go", GO),
        ("node", NODE),
        ("node", NODE_CAUGHT),
    ],
)
def test_a_stack_trace_is_one_record(rules: str, trace: str) -> None:
    """As each language writes it, between lines that have nothing to do with it; twice in a row it is two."""
    assert join(rules, f"before\n{trace}\nafter, at last\nand more") == ["before", trace, "after, at last", "and more"]
    assert join(rules, f"{trace}\n{trace}") == [trace, trace]
    assert join(rules, f"{trace}\n{trace}\nlast") == [trace, trace, "last"]


@pytest.mark.parametrize(
    ("rules", "head", "frames"),
    [
        (
            "java",
            ["Main$Broken: one", "two"],
            "\tat Main.main(Main.java:6)\n\tat java.base/a.B.<init>(B.java:7)\nCaused by: a.C: no\n\t... 8 more",
        ),
        (
            "node",
            ["Broken: one", "two"],
            "    at f (/a.js:3:7)\n    at new Promise (<anonymous>)\n    at file:///a.mjs:1:7 {\n  code: 1\n}",
        ),
    ],
)
def test_the_frames_of_what_is_no_error_by_its_name(rules: str, head: list[str], frames: str) -> None:
    """A message of several lines, or a class of another name: what was called by whom is one record at least."""
    text = "\n".join([*head, frames, "after"])
    assert join(rules, text) == [*head, frames, "after"]


@pytest.mark.parametrize("rules", RULES)
def test_ordinary_lines_are_not_held(rules: str) -> None:
    """Under a language's rules a line that begins no stack trace is a record at once."""
    joiner = Joiner(rules)
    for line in (
        b"hello",
        b"  indented",
        b"",
        b"2024-01-01 12:00:00 INFO x",
        b'GET /a HTTP/1.1" 200',
        b"listen :80",
        b"    at noon",
    ):
        assert joiner.feed([line]) == [line]
        assert not joiner.holds


def test_the_configuration_knows_the_rules() -> None:
    """Names that a file may give are those that there are rules for."""
    assert set(MULTILINE_RULES) == set(RULES)


def test_a_pattern_for_first_lines() -> None:
    """What does not look like a first line belongs to the record before; the last one waits for its end."""
    assert join(r"^\S", "first\n  more\n\nsecond\nthird\n  more") == ["first\n  more\n", "second", "third\n  more"]
    joiner = Joiner(r"^\d{4}-")
    seen = [joiner.holds]
    assert joiner.feed([b"2024-01-01 one", b"more"]) == []
    seen.append(joiner.holds)
    assert joiner.feed([b"2024-01-02 two"]) == [b"2024-01-01 one\nmore"]
    assert joiner.flush() == [b"2024-01-02 two"]
    seen.append(joiner.holds)
    assert joiner.flush() == []
    assert seen == [False, True, False]


def test_a_record_is_bounded() -> None:
    """A record of too many lines, or too many bytes, goes on as the next one; nothing is lost."""
    lines = [b"first"] + [b" more"] * (2 * LINES_MAX)
    joiner = Joiner(r"^\S")
    records = joiner.feed(lines) + joiner.flush()
    assert [record.count(b"\n") + 1 for record in records] == [LINES_MAX, LINES_MAX, 1]
    records = joiner.feed([b"first", b" " + b"x" * BYTES_MAX, b" y"]) + joiner.flush()
    assert max(map(len, records)) <= BYTES_MAX + len(b" y") + 1
    assert b"\n".join(records) == b"first\n " + b"x" * BYTES_MAX + b"\n y"


def test_a_trace_longer_than_its_bounds_goes_on_as_a_record() -> None:
    """The rest of a stack trace that is too long is joined too."""
    frames = "\n".join(f"\tat a.B.c(B.java:{number})" for number in range(LINES_MAX + 10))
    records = join("java", f"java.lang.StackOverflowError\n{frames}\nafter")
    assert len(records) == 3
    assert records[-1] == "after"


def test_pieces_of_a_long_line_pass() -> None:
    """A line that comes in pieces is no part of anything, whatever it looks like."""
    joiner = Joiner(r"^\S")
    pieces = [Fragment(b" xxx"), Fragment(b" yyy"), b" zzz"]
    assert joiner.feed([b"first", *pieces, b"second"]) == [b"first", *pieces]
    assert joiner.feed([Fragment(b"a")]) == [b"second", b"a"]
    assert joiner.feed([b" b", b" c"]) == [b" b"]
    assert joiner.flush() == [b" c"]


@patient
@given(
    st.sampled_from([*RULES, r"^\S", "a"]),
    st.lists(st.sampled_from([*PYTHON.split("\n"), *JAVA.split("\n"), *GO.split("\n"), *NODE.split("\n"), "a", "b"])),
    st.integers(1, 200),
)
def test_any_chunking_gives_the_same_records(multiline: str, lines: list[str], size: int) -> None:
    """Bytes in any pieces: the same records, which put together again are all the lines."""
    data = "".join(f"{line}\n" for line in lines).encode()
    whole, pieces = Joiner(multiline), Joiner(multiline)
    expected = whole.feed(Splitter(10_000).feed(data)) + whole.flush()
    splitter = Splitter(10_000)
    found = [
        record for at in range(0, len(data), size) for record in pieces.feed(splitter.feed(data[at : at + size]))
    ] + pieces.flush()
    assert found == expected
    assert b"".join(record + b"\n" for record in found) == data


def test_the_patterns_are_safe() -> None:
    """No rule takes long for a line that was made to make it."""
    for text in ("a." * 5000, "\t" * 5000, "at " * 3000, "(" * 5000, "/" * 5000, "Error" * 2000, "$." * 5000 + "!"):
        for rules in RULES.values():
            for table in (rules.begins, *rules.states.values()):
                for pattern, _ in table:
                    re.search(pattern, text)
