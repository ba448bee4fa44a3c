"""The end of a container: stubborn children, exit statuses, arguments."""

from collections.abc import Callable

import pytest

from tests.containers.conftest import Start
from tests.containers.image import IMAGE
from tests.containers.podman import Podman
from tests.containers.programs import program
from tests.helpers.settings import service

pytestmark = [pytest.mark.container, pytest.mark.timeout(120, func_only=True)]


def test_stubborn_service_is_killed_before_the_engine_kills_us(
    start: Start, services: Callable[..., tuple[str, ...]]
) -> None:
    """A service that ignores TERM is killed in time for the daemon to end by itself and to say who was late."""
    options = services(service("stubborn", *program("actor", "any=stay")), service("good", "sleep", "infinity"))
    container = start(options=options)
    container.wait_event("output", service="stubborn", message="ready")
    container.stop()
    assert container.wait() == 0  # and not 137: the engine kills after ten seconds
    finished = container.check()[-1]
    assert finished["event"] == "shutdown_finished"
    assert finished["killed"] == ["stubborn"]


def test_stubborn_single_command_is_killed_in_time(start: Start) -> None:
    """The single-command form returns the status of the command that had to be killed."""
    options = ("--log-level", "info", "--log-format", "json")
    container = start("run", *options, "--", *program("actor", "any=stay"))
    container.wait_text("ready")
    container.stop()
    assert container.wait() == 137
    assert container.wait_event("shutdown_finished")["killed"] == ["main"]  # whom the engine kills says nothing


def test_stopped_pause_ends_at_once(start: Start) -> None:
    """A container with nothing configured pauses, and ends with status 0 when told to."""
    container = start()
    container.wait_event("pause_entered")
    container.stop()
    assert container.wait() == 0
    container.check()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 3"), 3),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("/nonexistent",), 127),
        (("/etc/passwd",), 126),
        (("/etc",), 126),
    ],
    ids=["success", "status", "signal", "missing", "not-executable", "directory"],
)
def test_single_command_status_is_the_containers(podman: Podman, command: tuple[str, ...], status: int) -> None:
    """The container ends with the command's status; 126 and 127 say why there is none."""
    done = podman.attempt("run", "--rm", IMAGE, "run", "--", *command)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_arguments_reach_the_command_unchanged(podman: Podman) -> None:
    """Empty arguments, a second double dash, spaces, newlines and what looks like our own options pass through."""
    words = ["", "--", "a b", "-c", "two\nlines", "$HOME", "--log-to", "ümlaut", ""]
    show = ("python3", "-I", "-S", "-c", "import sys; print(ascii(sys.argv[1:]))")
    done = podman.attempt("run", "--rm", IMAGE, "run", "--", *show, *words)
    assert done.stdout.strip() == ascii(words)


@pytest.mark.parametrize("arguments", [("run", "-c", "/nonexistent.toml"), ("run", "--", "")], ids=["config", "empty"])
def test_bad_input_is_told_without_a_traceback(podman: Podman, arguments: tuple[str, ...]) -> None:
    """A configuration that is not there is 78; an empty program name is no program: 127."""
    done = podman.attempt("run", "--rm", IMAGE, *arguments)
    assert done.returncode == (78 if "-c" in arguments else 127)
    assert done.stderr
    assert "Traceback" not in done.stderr
