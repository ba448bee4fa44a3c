"""Instances of a replicated service: each is read anew, with its number in ``${PAUSEVISOR_REPLICA}``.

So the number can stand wherever variables are put in: in a port, a path, a probe. Services are read once with the
number 1 for everybody, which finds all mistakes; what is left to find in the others is a port above 65535.
"""

from __future__ import annotations

from supervisor.config.problems import ConfigError, Invalid, Place, Scope
from supervisor.config.service_fields import SERVICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

VARIABLE = "PAUSEVISOR_REPLICA"
"""Number of the instance, from 1; in its environment, and in the file."""


def with_number(environ: Mapping[str, str], number: int) -> dict[str, str]:
    """The variables of a file, for an instance."""
    return {**environ, VARIABLE: str(number)}


def instance_name(name: str, number: int) -> str:
    """What an instance is called."""
    return f"{name}#{number}"


def reader(name: str, raw: object, file: str, scope: Scope) -> Callable[[int], dict[str, Any]]:
    """A function that reads the values of the instance of a number.

    Args:
        name: of the service.
        raw: its table, as the file has it.
        file: that file.
        scope: of the load.
    """

    def read(number: int) -> dict[str, Any]:
        own = Scope(with_number(scope.environ, number), scope.directory, scope.homes)
        own.services = scope.services
        at = Place(file, "services", own).inside(instance_name(name, number))
        try:
            return SERVICE.parse(raw, at)
        except Invalid:
            raise ConfigError(own.problems) from None

    return read
