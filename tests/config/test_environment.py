"""The environment of a service: inherited, given, added."""

import pytest

from supervisor.config.environment import DEFAULT_PATH
from tests.config.loading import web

PARENT = {"PATH": "/bin", "LANG": "C", "APP_A": "1", "APP_B": "2", "app_c": "3"}
OWN = {"PAUSEVISOR_SERVICE": "web"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {**PARENT, **OWN}),
        ("inherit-environment = true", {**PARENT, **OWN}),
        ("inherit-environment = false", {"PATH": DEFAULT_PATH, **OWN}),
        ("inherit-environment = []", {"PATH": DEFAULT_PATH, **OWN}),
        ('inherit-environment = ["PATH", "NOPE"]', {"PATH": "/bin", **OWN}),
        (
            'inherit-environment = ["LANG", "APP_*"]',
            {"LANG": "C", "APP_A": "1", "APP_B": "2", "PATH": DEFAULT_PATH, **OWN},
        ),
        ('inherit-environment = ["APP_[A]"]', {"APP_A": "1", "PATH": DEFAULT_PATH, **OWN}),
        ('inherit-environment = ["*"]', {**PARENT, **OWN}),
        ('inherit-environment = false\nenvironment.PATH = ""', {"PATH": "", **OWN}),
        ('environment = { LANG = "de", NEW = "${LANG}" }', {**PARENT, "LANG": "de", "NEW": "C", **OWN}),
        ('environment.PAUSEVISOR_SERVICE = "x"', {**PARENT, **OWN}),
    ],
)
def test_what_a_service_gets(line: str, expected: dict[str, str]) -> None:
    """A service gets what it inherits, then what the file says, then its name, and a PATH where it has none."""
    assert web(line, PARENT).environment == expected


@pytest.mark.parametrize("inherit", ["true", '["*"]', '["NOTIFY_SOCKET", "LISTEN_FDS", "PAUSEVISOR_CONFIG"]'])
def test_what_is_meant_for_the_daemon_stays_with_it(inherit: str) -> None:
    """No service can answer for the daemon, take its sockets, or be taken for its client."""
    own = "NOTIFY_SOCKET LISTEN_FDS LISTEN_PID LISTEN_FDNAMES WATCHDOG_USEC WATCHDOG_PID PAUSEVISOR_CONFIG"
    environment = web(f"inherit-environment = {inherit}", dict.fromkeys([*own.split(), "PATH"], "1")).environment
    assert environment.keys() - OWN.keys() == {"PATH"}


def test_what_the_file_sets_is_set() -> None:
    """A name that is not inherited can be given on purpose."""
    environment = web('environment.NOTIFY_SOCKET = "/mine"', {"NOTIFY_SOCKET": "/ours"}).environment
    assert environment["NOTIFY_SOCKET"] == "/mine"


def test_python_variables_are_passed_on() -> None:
    """What an image sets for its Python programs reaches them; the daemon adds none of its own."""
    assert web("", {"PYTHONUNBUFFERED": "1"}).environment["PYTHONUNBUFFERED"] == "1"
    assert not [name for name in web("", {}).environment if name.startswith("PYTHON")]


@pytest.mark.parametrize("value", ["%", "a=b", "", "line\nline", "x" * 128_000, "\udcff"])
def test_values_are_unharmed(value: str) -> None:
    """Whatever a variable holds arrives as it was."""
    assert web("", {"V": value}).environment["V"] == value
