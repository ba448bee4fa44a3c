"""The formats, as structlog renders them."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from supervisor.logs.encode import encode_line
from supervisor.logs.journal import Journal
from supervisor.logs.sink import Sink
from supervisor.logs.structured import FORMATS, make_renderer
from tests.helpers.patience import PATIENCE
from tests.logs.support import STAMP, STAMP_TEXT, closing, read_now

EVENT: dict[str, object] = {
    "timestamp": STAMP_TEXT,
    "level": "warning",
    "event": "child_exited",
    "seq": 3,
    "service": "web",
    "pid": 7,
    "exit_code": 3,
    "expected": False,
    "duration_s": 0.5,
    "tail": ["one two", "three"],
    "error": "no such file: '/x'\n",
}


def output(message: str, stream: str = "stdout", service: str = "web", **more: object) -> dict[str, object]:
    """A record of a line."""
    common = {"timestamp": STAMP_TEXT, "level": "info", "event": "output", "seq": 4}
    return common | {"service": service, "pid": 7, "stream": stream, "message": message} | more


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


def test_json_is_what_it_is_without_structlog() -> None:
    """Before and after structlog is imported a record has the same bytes."""
    assert make_renderer("json", terminal=True)(EVENT) == encode_line(EVENT)


def test_logfmt() -> None:
    """Pairs in the order of the record, lists as JSON, one line."""
    assert make_renderer("logfmt", terminal=True)(EVENT).decode() == (
        f"timestamp={STAMP_TEXT} level=warning event=child_exited seq=3 service=web pid=7 exit_code=3 expected=false "
        'duration_s=0.5 tail="[\\"one two\\",\\"three\\"]" error="no such file: \'/x\'\\\\n"\n'
    )


def test_console_events() -> None:
    """Time, level, event, service, then the rest; no sequence number."""
    assert make_renderer("console", terminal=False)(EVENT).decode() == (
        "22:13:20.250 warning  child_exited           web pid=7 exit_code=3 expected=false duration_s=0.5 "
        'tail=["one two","three"] error="no such file: \'/x\'\\n"\n'
    )


def test_console_lines() -> None:
    """Lines of children stand behind the name of their service, aligned, stderr marked."""
    render = make_renderer("console", terminal=False)
    assert [
        render(output("one", service="database")),
        render(output("two", "stderr")),
        render(output("three", part=2, id=1)),
        render(output("four", part=3, parts=3, id=1)),
    ] == [
        b"22:13:20.250 database | one\n",
        b"22:13:20.250      web ! two\n",
        b"22:13:20.250      web | three [2/?]\n",
        b"22:13:20.250      web | four [3/3]\n",
    ]


def test_console_lines_of_json_and_of_several_lines() -> None:
    """A child's fields stand behind its message, its level before it; joined lines one below the other."""
    render = make_renderer("console", terminal=False)
    record = output("boom", level="error", status=500, **{"a b": "c d"})
    assert render(record) == b'22:13:20.250 web | error boom status=500 a b="c d"\n'
    del record["message"]
    assert render(record) == b'22:13:20.250 web | error status=500 a b="c d"\n'
    assert render(record | {"msg": "boom"}) == b'22:13:20.250 web | error boom status=500 a b="c d"\n'
    assert render(record | {"msg": "short", "message": "long"}) == (
        b'22:13:20.250 web | error long status=500 a b="c d" msg=short\n'
    )
    assert render(output("Traceback\n  File\x07\nError", "stderr")) == (
        b"22:13:20.250 web ! Traceback\n             web !   File\\x07\n             web ! Error\n"
    )


def test_services_have_colours_of_their_own() -> None:
    """Two services differ in colour, and each keeps its own, in lines and in events."""
    render = make_renderer("console", terminal=True)
    lines = [render(output("x", service=name)).decode() for name in ("web", "db", "web")]
    assert "\x1b[36mweb" in lines[0]
    assert "\x1b[35m" in lines[1]
    assert lines[2].partition("|")[0].split() == lines[0].partition("|")[0].split()
    assert "\x1b[36mweb" in render(EVENT).decode()


def test_logfmt_of_any_names() -> None:
    """A child's names are made into keys, whatever is in them, and none of them is in the way of structlog."""
    names: dict[str, Any] = {"a b": 1, 'q"': 2, "": 3, "self": 4, "method_name": 5, "exc_info": 6, "x=y": 7, "n\nl": 8}
    line = make_renderer("logfmt", terminal=False)(output("m", **names)).decode()
    assert line.endswith("message=m a_b=1 q_=2 _=3 self=4 method_name=5 exc_info=6 x_y=7 n_l=8\n")


@pytest.mark.parametrize("form", ["logfmt", "console"])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_child_can_not_steer_the_terminal(form: str, terminal: bool) -> None:
    """Control characters and line separators are shown, not passed on; a record is one line."""
    render = make_renderer(form, terminal=terminal)
    evil = "a\x1b[2Jb\x07\x1b]0;title\x07\r\x9b1A\x7f\u2028\ud800c"
    for record in (
        output(evil),
        EVENT | {"error": evil},
        output("x", service=evil) if form == "logfmt" else output("x"),
    ):
        text = render(record).decode()
        assert len(text.splitlines()) == 1
        assert set(text.replace("\x1b[0m", "").replace("\x1b[2m", "")) & set("\x07\r\x9b\x7f\u2028") == set()
        assert "\x1b[2J" not in text
        assert "\x1b]" not in text


def test_colours_of_a_child_are_kept_where_colours_are() -> None:
    """A colour that a child sets shows on a terminal and ends with its line; elsewhere it is shown as text."""
    red = output("\x1b[1;31mred")
    assert make_renderer("console", terminal=True)(red).endswith(b" \x1b[1;31mred\x1b[0m\n")
    assert make_renderer("console", terminal=False)(red).endswith(b" | \\x1b[1;31mred\n")


@pytest.mark.parametrize(
    ("environment", "terminal", "colours"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours(environment: dict[str, str], terminal: bool, colours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is colour on a terminal, unless NO_COLOR; FORCE_COLOR asks for it elsewhere."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (b"\x1b" in make_renderer("console", terminal=terminal)(EVENT)) is colours


@pytest.mark.parametrize("form", FORMATS)
def test_what_can_not_be_rendered_is_json(form: str) -> None:
    """A record that a format has no way to write is still written."""
    record = EVENT | {"level": "no such level", "bad key": 1}
    assert json.loads(make_renderer(form, terminal=False)(record)) == json.loads(encode_line(record))


def test_an_unknown_format_is_refused() -> None:
    """A format that doesn't exist is an error that names those that do."""
    with pytest.raises(ValueError, match="json, logfmt, console"):
        make_renderer("xml", terminal=False)


def test_through_a_journal() -> None:
    """Events and lines of children go through the renderer, lines one by one."""
    reader, writer = os.pipe()
    with closing(reader, writer):
        journal = Journal(Sink(writer), hold=True, wall=lambda: STAMP)
        journal.emit("info", "child_started", service="web", pid=7)
        journal.use(make_renderer("console", terminal=False), plain=True)
        journal.lines("web", 7, "stdout", [b"one", b"two"])
        assert read_now(reader).decode().splitlines() == [
            "22:13:20.250 info     child_started          web pid=7",
            "22:13:20.250 web | one",
            "22:13:20.250 web | two",
        ]


_IMPORT_PROGRAM = """
import sys
from supervisor.logs.structured import make_renderer
make_renderer("console", terminal=True)
print([name for name in ("rich", "better_exceptions", "twisted") if name in sys.modules])
"""


def test_structlog_does_not_bring_rich(tmp_path: object) -> None:
    """A rich that is installed for other purposes is not imported, and can be imported afterwards."""
    folder = os.path.join(str(tmp_path), "rich")
    os.mkdir(folder)
    with open(os.path.join(folder, "__init__.py"), "w", encoding="utf-8") as file:
        file.write("")
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd(), *sys.path])}
    ran = subprocess.run(
        [sys.executable, "-c", _IMPORT_PROGRAM + "import rich\n"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=PATIENCE,
    )
    assert ran.stdout == "[]\n"
