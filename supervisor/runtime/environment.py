"""The environment of a process that is about to start: what was known at load, and what is read at each start.

From weak to strong: what is inherited; what a login as the service's user would set; environment files, each before
the one above it; what the configuration sets; secrets; ``PAUSEVISOR_SERVICE``. A secret's value goes into the
environment and to who redacts the log, and nowhere else: no message here holds one.
"""

from __future__ import annotations

import errno
import os

from supervisor.runtime.environment_file import MalformedError, parse, read_file
from supervisor.runtime.failure import SpawnError
from supervisor.runtime.lineage import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisor.core.spec import ServiceSpec

OPTIONAL = "-"
"""Before the path of an environment file that may be missing; systemd.exec(5), ``EnvironmentFile=``."""


_LONGEST_STRING = 131_072
"""Bytes of the longest variable, its name and end included: MAX_ARG_STRLEN, execve(2)."""


def complete_environment(
    spec: ServiceSpec, login: Mapping[str, str | None], redact: Callable[[str], None]
) -> dict[str, str]:
    """The whole environment of a start.

    Args:
        spec: the service's.
        login: what a login as its user would set, None for what it would take away; empty where there is no user.
        redact: told every secret value before it can reach any log.

    Raises:
        SpawnError: a file is missing or wrong; it names the path and, for a secret, the variable.
    """
    explicit = {name: spec.environment[name] for name in spec.explicit if name in spec.environment}
    environment = {name: value for name, value in spec.environment.items() if login.get(name, "") is not None}
    environment.update((name, value) for name, value in login.items() if value is not None)
    for path in spec.environment_files:
        environment.update(_variables(path))
    environment.update(explicit)
    for name, path in spec.secret_files.items():
        environment[name] = secret = _secret(name, path)
        if secret:  # an empty text is in every line
            redact(secret)
    if VARIABLE in explicit:
        environment[VARIABLE] = explicit[VARIABLE]
    return environment


def _variables(path: str) -> dict[str, str]:
    optional = path.startswith(OPTIONAL)
    path = path.removeprefix(OPTIONAL)
    try:
        return parse(read_file(path))
    except OSError as error:
        if optional and error.errno == errno.ENOENT:
            return {}
        raise SpawnError("environment", error.errno or 0, path, _hint(error)) from None
    except MalformedError as error:
        raise SpawnError("environment", errno.EINVAL, path, str(error)) from None


def _secret(name: str, path: str) -> str:
    try:
        content = read_file(path)
    except OSError as error:
        hint = _hint(error)
        raise SpawnError("secret", error.errno or 0, path, f"for {name}{f': {hint}' if hint else ''}") from None
    if b"\0" in content:
        # "from None": the content must be in no traceback either
        raise SpawnError("secret", errno.EINVAL, path, f"for {name}: it holds a NUL character")
    content = content.removesuffix(b"\n")
    if len(name) + len(content) + 2 > _LONGEST_STRING:
        # exec would refuse it, after the log had learnt to look for a text of this length
        raise SpawnError("secret", errno.E2BIG, path, f"for {name}")
    return os.fsdecode(content)


def _hint(error: OSError) -> str:
    return error.strerror or "" if error.errno == errno.EINVAL else ""
