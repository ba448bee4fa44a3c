"""The tests' small programs, as containers see them."""

from tests.helpers import settings

_FOLDER = "/programs"

MOUNT = ("--volume", f"{settings.PROGRAMS}:{_FOLDER}:ro")
"""Options that bring the programs into a container."""


def program(name: str, *arguments: str) -> list[str]:
    """Command line of one of them, in a container."""
    return ["python3", "-I", "-S", f"{_FOLDER}/{name}.py", *arguments]
