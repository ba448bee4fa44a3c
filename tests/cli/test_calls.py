"""The arguments of clients: what they mean, in any order, and what is said about what is not understood."""

from typing import Any

import pytest

from supervisor.cli.arguments import CLIENTS
from supervisor.cli.calls import Call, parse_call


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["status"], {}),
        (["status", "web", "--json", "db"], {"names": ("web", "db"), "json": True}),
        (["status", "--watch", "--control", "/x"], {"watch": True, "control": "/x"}),
        (["start", "web"], {"names": ("web",), "waits": True}),
        (["start", "--no-wait", "web", "db"], {"names": ("web", "db"), "waits": False}),
        (["stop", "--all", "--timeout", "1m30s"], {"everything": True, "timeout": 90.0}),
        (["stop", "--timeout=500ms", "web"], {"timeout": 0.5, "names": ("web",)}),
        (["restart", "web", "--rolling"], {"rolling": True, "names": ("web",)}),
        (["restart", "web", "--rolling", "--no-wait"], {"rolling": True, "waits": False, "names": ("web",)}),
        (["kill", "web#1"], {"names": ("web#1",)}),
        (["signal", "hup", "web"], {"signal": 1, "names": ("web",)}),
        (["signal", "--scope", "tree", "RTMIN+3", "a", "b"], {"signal": 37, "scope": "tree", "names": ("a", "b")}),
        (["signal", "9", "--all"], {"signal": 9, "everything": True}),
        (["scale", "web=3", "db=0"], {"replicas": (("web", 3), ("db", 0))}),
        (["reload", "--dry-run"], {"dry_run": True}),
        (["logs", "-fn", "5", "web"], {"follow": True, "lines": 5, "names": ("web",)}),
        (["logs", "--stream", "stderr"], {"stream": "stderr"}),
        (["events", "--since", "0", "-f"], {"since": 0, "follow": True}),
        (["shutdown", "--no-wait"], {"waits": False}),
        (["ping", "--ready", "--timeout", "2s"], {"probe": "ready", "timeout": 2.0}),
        (["completion", "bash"], {"shell": "bash"}),
    ],
)
def test_what_is_meant(argv: list[str], expected: dict[str, Any]) -> None:
    """Names and options in any order; what is not given is as documented."""
    found = parse_call(argv)
    defaults = {"timeout": 5.0} if argv[0] == "ping" else {}
    assert found == Call(argv[0], **{**defaults, **expected})


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["start"], ["name the services", "--all"]),
        (["stop", "web", "--all"], ["not both"]),
        (["stop", "web", "--no-wait", "--timeout", "3s"], ["--timeout", "--no-wait"]),
        (["stop", "web", "--timeout", "30"], ['found "30"', 'did you mean "30s"?']),
        (["stop", "web", "--timeout", "0s"], ["longer than 0s"]),
        (["signal", "web"], ["'web' is no signal name"]),
        (["signal", "HUP"], ["name the services"]),
        (["signal", "HUP", "web", "--scope", "all"], ["'all'", "process", "group", "tree"]),
        (["scale"], ["NAME=NUMBER"]),
        (["scale", "web"], ["'web': NAME=NUMBER is needed, as in web=3"]),
        (["scale", "web=-1"], ["'-1' is no number of instances"]),
        (["scale", "web=x"], ["'x' is no number of instances"]),
        (["scale", "=3"], ["NAME=NUMBER"]),
        (["logs", "-n", "-1"], ["-n"]),
        (["logs", "-n", "99999999"], ["is no number of lines (0 to 10000)"]),
        (["logs", "--stream", "stdin"], ["'stdin'", "stdout", "stderr"]),
        (["events", "--since", "x"], ["'x' is no seq"]),
        (["status", "--sjon=x"], ["--sjon=x; did you mean --json?"]),
        (["status", "--zzzz"], ["unrecognized arguments: --zzzz\n"]),
        (["status", "--js"], ["--js"]),
        (["status", "--control", ""], ["--control", "it is empty"]),
        (["shutdown", "web"], ["web"]),
        (["ping", "--ready", "--live"], ["--live", "not allowed with"]),
        (["completion"], ["SHELL"]),
    ],
)
def test_what_is_not_understood(argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2; the command, what was found, what is allowed, and where help is."""
    with pytest.raises(SystemExit) as caught:
        parse_call(argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"pausevisor {argv[0]}: ")
    assert err.endswith("--help'.\n")
    assert all(word in err for word in words), err


@pytest.mark.parametrize("command", CLIENTS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, with exit code 0; every one knows where the daemon may be."""
    with pytest.raises(SystemExit) as caught:
        parse_call([command, "--help"])
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert (err, "--control PATH" in out) == ("", True)
    assert CLIENTS[command][1:] in " ".join(out.split())
