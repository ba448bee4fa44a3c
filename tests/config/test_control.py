"""The keys about where the daemon listens."""

import pytest

from supervisor.config.load import load
from supervisor.core.spec import ControlSpec
from tests.config.loading import load_text, problems


def control(lines: str) -> ControlSpec:
    """What these lines of ``[supervisor]`` say."""
    return load_text(f"[supervisor]\n{lines}\n", {"XDG": "/run/user/1"}).control


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", ControlSpec()),
        ('control = ""', ControlSpec(socket="")),
        ('control = "/run/x.sock"', ControlSpec(socket="/run/x.sock")),
        ('control = "x.sock"', ControlSpec(socket="/start/x.sock")),
        ('control = "${XDG}/x.sock"', ControlSpec(socket="/run/user/1/x.sock")),
        ('control-group = "adm"', ControlSpec(group="adm")),
        ('listen-health = "0.0.0.0:8081"', ControlSpec(health=("0.0.0.0", 8081))),
        ('listen-health = "[::]:80"', ControlSpec(health=("::", 80))),
        (
            'listen = "127.0.0.1:9500"\nlisten-token-file = "token"',
            ControlSpec(listen=("127.0.0.1", 9500), token_file="/start/token"),
        ),
    ],
)
def test_values(lines: str, expected: ControlSpec) -> None:
    """Each key ends up in its field; nothing given is the default places."""
    assert control(lines) == expected


def test_nothing_configured() -> None:
    """Without files there is nothing to say about it."""
    assert load([], {}, "/").control == ControlSpec()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "8081",
        ":8081",
        "localhost:8081",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:١",  # noqa: RUF001 - a digit, but not of ours
        "127.0.0.256:1",
        "::1:80",
        "[::1]",
        "[127.0.0.1]:80",
        "[::g]:80",
        "[]:80",
        "1.2.3.4\\u0000:80",
    ],
)
def test_wrong_addresses(address: str) -> None:
    """A numeric address and a port, or the key is refused with an example."""
    (problem,) = problems(f'[supervisor]\nlisten-health = "{address}"\n')
    assert problem.startswith("supervisor.listen-health: found ")
    assert '"127.0.0.1:9500"' in problem


def test_a_port_without_a_token() -> None:
    """Orders over TCP need the token's file, and the message names the key."""
    (problem,) = problems('[supervisor]\nlisten = "127.0.0.1:9500"\n')
    assert problem.startswith("supervisor.listen: needs listen-token-file")


def test_wrong_types() -> None:
    """All of them at once, with what was found."""
    found = problems("[supervisor]\ncontrol = 1\ncontrol-group = []\nlisten = true\nlisten-token-file = 2\n")
    assert [problem.partition(":")[0] for problem in found] == [
        "supervisor.control",
        "supervisor.control-group",
        "supervisor.listen",
        "supervisor.listen-token-file",
    ]
