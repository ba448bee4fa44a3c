"""argv to typed arguments: each option, and what is said about what is not understood."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor import __version__
from supervisor.cli.arguments import parse
from supervisor.cli.given import Arguments, Rewrite, understand

RUN = ["run"]
SINGLE_OPTIONS = [
    ["--signal-scope", "process"],
    ["--rewrite-signal", "TERM:QUIT"],
    ["--success-exit-code", "3"],
    ["--no-new-session"],
    ["--wait-for-orphans"],
    ["--no-wait-for-orphans"],
]


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (["-c", "a", "--config", "b", "--config=c"], "paths", ("a", "b", "c")),
        (["--loop", "asyncio"], "loop", "asyncio"),
        (["--loop=uvloop"], "loop", "uvloop"),
        (["--log-to", "stderr"], "log_to", "stderr"),
        (["--control", "x.sock"], "control", "x.sock"),
        (["--control", ""], "control", ""),
        (["--log-level", "debug"], "log_level", "debug"),
        (["--log-format", "logfmt"], "log_format", "logfmt"),
        (["--parent-death-signal", "SIGTERM"], "parent_death_signal", 15),
        (["--parent-death-signal", "rtmin+3"], "parent_death_signal", 37),
    ],
)
def test_options_of_run(options: list[str], field: str, value: object) -> None:
    """Each option of the daemon ends up in its field, and nothing else changes."""
    plain = parse(RUN)
    given = parse([*RUN, *options])
    fields: tuple[str, ...] = Arguments.__match_args__
    changed = {name: getattr(given, name) for name in fields if getattr(given, name) != getattr(plain, name)}
    assert changed == {field: value}


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (["--signal-scope", "process"], "signal_scope", "process"),
        (["--signal-scope", "group"], "signal_scope", "group"),
        (["--rewrite-signal", "TERM:QUIT"], "rewrites", (Rewrite(15, 3),)),
        (["--rewrite-signal", "15:SIGKILL"], "rewrites", (Rewrite(15, 9),)),
        (["--rewrite-signal", "hup:none"], "rewrites", (Rewrite(1, None),)),
        (["--rewrite-signal", "RTMIN+1:None"], "rewrites", (Rewrite(35, None),)),
        (["--rewrite-signal", "1:2", "--rewrite-signal", "2:1"], "rewrites", (Rewrite(1, 2), Rewrite(2, 1))),
        (["--success-exit-code", "0"], "success_exit_codes", (0,)),
        (["--success-exit-code", "143", "--success-exit-code", "255"], "success_exit_codes", (143, 255)),
        (["--no-new-session"], "new_session", False),
        (["--wait-for-orphans"], "wait_for_orphans", True),
        (["--no-wait-for-orphans"], "wait_for_orphans", False),
        ([], "wait_for_orphans", None),
        ([], "new_session", True),
        ([], "program", ("true",)),
    ],
)
def test_options_of_the_single_command(options: list[str], field: str, value: object) -> None:
    """Each option of the single-command form ends up in its field."""
    assert getattr(parse([*RUN, *options, "--", "true"]), field) == value


@pytest.mark.parametrize(
    "program",
    [
        ("true",),
        ("sh", "-c", "exit 3"),
        ("echo", ""),
        ("echo", "--", "--"),
        ("--", "x"),
        ("cmd", "-c", "x", "--log-to", "y", "--help", "--version"),
        ("nginx", "-g", "daemon off;"),
        ("\udcff", "ä"),
    ],
)
def test_what_follows_the_separator_is_the_commands(program: tuple[str, ...]) -> None:
    """Unchanged, empty arguments and further separators too, whatever it looks like."""
    assert parse(["run", "--log-to", "stderr", "--", *program]).program == program


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["pause"], {"command": "pause"}),
        (["pause", "--log-level", "error", "--log-to", "x", "--log-format", "console"], {"log_level": "error"}),
        (["check"], {"command": "check", "json": False, "paths": ()}),
        (["check", "--json", "-c", "a"], {"json": True, "paths": ("a",)}),
        (["schema"], {"command": "schema", "events": False}),
        (["schema", "--events"], {"events": True}),
        (["doctor"], {"command": "doctor", "json": False}),
        (["doctor", "--json"], {"json": True}),
    ],
)
def test_the_other_commands(argv: list[str], expected: dict[str, Any]) -> None:
    """Each has its own options and no others."""
    given = parse(argv)
    assert {name: getattr(given, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["a command is needed", "run", "pause", "check", "schema", "doctor"]),
        (["zzz"], ["'zzz'", "run", "pause", "start", "ping"]),
        (["strat"], ["'strat' is no command; did you mean start"]),
        (["version"], ["did you mean --version?"]),
        (["--control", "x", "status"], ["options stand behind the command: pausevisor status --control"]),
        (["--nonsense"], ["a command is needed"]),
        (["--", "true"], ["a command is needed"]),
        (["run", "--nonsense"], ["--nonsense"]),
        (["run", "nginx"], ["nginx"]),
        (["run", "--"], ["COMMAND", "after --"]),
        (["run", "--", "a\0b"], ["NUL"]),
        (["run", "-c"], ["-c", "expected one argument"]),
        (["run", "-c", "--", "true"], ["-c", "expected one argument"]),
        (["run", "--conf", "x"], ["--conf"]),
        (["run", "--loop", "trio"], ["--loop", "'trio'", "uvloop", "asyncio"]),
        (["run", "--log-level", "loud"], ["--log-level", "'loud'", "debug", "warning"]),
        (["run", "--log-format", "xml"], ["--log-format", "'xml'", "json", "logfmt", "console"]),
        (["run", "--parent-death-signal", "SIGFOO"], ["--parent-death-signal", "'SIGFOO' is no signal name"]),
        (["run", "--parent-death-signal", "99"], ["'99' is no signal number (1 to 64)"]),
        (["run", "--signal-scope", "tree", "--", "x"], ["--signal-scope", "'tree'", "process", "group"]),
        (["run", "--rewrite-signal", "TERM", "--", "x"], ["'TERM'", "FROM:TO is needed", "TERM:QUIT"]),
        (["run", "--rewrite-signal", "TERM:", "--", "x"], ["--rewrite-signal", "'' is no signal name"]),
        (["run", "--rewrite-signal", "none:TERM", "--", "x"], ["'none' is no signal name"]),
        (["run", "--rewrite-signal", "32:TERM", "--", "x"], ["'32' is no signal number"]),
        (["run", "--success-exit-code", "256", "--", "x"], ["'256' is no exit code (0 to 255)"]),
        (["run", "--success-exit-code", "-1", "--", "x"], ["--success-exit-code"]),
        (["run", "--success-exit-code", "²", "--", "x"], ["'²' is no exit code"]),
        (["run", "--success-exit-code", "9" * 5000, "--", "x"], ["--success-exit-code"]),
        (["pause", "-c", "x"], ["-c"]),
        (["pause", "--", "x"], ["pause runs no COMMAND"]),
        (["check", "--", "x"], ["check runs no COMMAND"]),
        (["check", "x"], ["x"]),
        (["schema", "--json"], ["--json"]),
        (["doctor", "extra"], ["extra"]),
    ],
)
def test_what_is_not_understood_is_explained(
    argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2; stderr names the program, what was found and what is allowed, and where help is; stdout is empty."""
    with pytest.raises(SystemExit) as caught:
        parse(argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pausevisor")
    assert err.endswith("--help'.\n")
    assert all(word in err for word in words), err


@pytest.mark.parametrize("options", SINGLE_OPTIONS, ids=" ".join)
def test_options_of_the_single_command_need_one(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command they would do nothing: that is an error that says where the command goes."""
    with pytest.raises(SystemExit) as caught:
        parse([*RUN, *options])
    assert caught.value.code == 2
    assert "give one after --" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", [[], ["run"], ["pause"], ["check"], ["schema"], ["doctor"]])
def test_help_is_data(command: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, with exit code 0; it names the command's options, the general one names the commands."""
    with pytest.raises(SystemExit) as caught:
        parse([*command, option])
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "pausevisor" in out.splitlines()[0]
    expected = {"run": ["--config", "--rewrite-signal", "FROM:TO"], "schema": ["--events"], "pause": ["--log-to"]}
    general = ["run", "pause", "check", "schema", "doctor"]
    assert all(word in out for word in (expected.get(command[0], []) if command else general))


@pytest.mark.parametrize("option", ["-v", "-V", "--version"])
def test_the_version_is_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Name and number, on stdout."""
    with pytest.raises(SystemExit) as caught:
        parse([option])
    assert caught.value.code == 0
    assert capsys.readouterr() == (f"pausevisor {__version__}\n", "")


@pytest.mark.parametrize("columns", ["", "nonsense", "0", "1", "-5", "40", "1000"])
def test_help_survives_any_width(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the terminal or the variable says its width is."""
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as caught:
        parse(["run", "--help"])
    assert caught.value.code == 0
    assert "--log-to" in capsys.readouterr().out


WORDS = st.sampled_from(
    [
        *(
            "-c",
            "--config",
            "--control",
            "--log-to",
            "--log-level",
            "--log-format",
            "--loop",
            "--",
            "-",
            "a",
            "",
            "=",
            "\0",
        ),
        *("-c=a", "--config=a", "--config=", "--control=a=b", "--log-level=info", "--loop=other", "--help", "-ca"),
        *("info", "debug", "json", "asyncio", "-5", "--no-new-session", "--signal-scope", "group", "--conf", "a b"),
    ]
)


@given(st.lists(WORDS, max_size=6))
@example(["-c=a"])
@example(["--log-level", "loud"])
@example(["-c", "-5"])
@example(["-c", "--", "true"])
@example(["--"])
@example(["--", "a", "--", "\0"])
@example(["--", "", "--"])
def test_the_quick_way_says_what_the_parser_says(words: list[str]) -> None:
    """Whatever is understood without the parser is understood as by it; the rest, and every mistake, is left to it."""
    quick = understand([*RUN, *words])
    if quick is not None:
        assert quick == parse([*RUN, *words])


@pytest.mark.parametrize(
    "words",
    [
        ["-c", "a.toml"],
        [
            "--config",
            "a.toml",
            "--config=b.toml",
            "--log-level=debug",
            "--control",
            "/c.sock",
            "--",
            "true",
            "-c",
            "--",
        ],
        ["--log-to", "stderr", "--log-format", "json", "--loop", "asyncio", "-c", "a"],
        ["--", "true"],
    ],
)
def test_the_usual_ways_to_start_are_quick(words: list[str]) -> None:
    """The usual is not left to the parser, or a start would cost what it takes."""
    assert understand([*RUN, *words]) == parse([*RUN, *words])


@pytest.mark.parametrize("command", ["pause", "check", "status", "Run", ""])
def test_only_a_run_is_quick(command: str) -> None:
    """Everything else is the parser's."""
    assert understand([command, "-c", "a"]) is None
    assert understand([]) is None
