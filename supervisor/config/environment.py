"""The environment of a service: what it inherits, what the file adds, what the daemon adds.

The daemon's own variables stay with it: those that name it to another manager (a service that answered on the
daemon's notification socket would speak for all of them) and its ``PAUSEVISOR_*``. ``PYTHON*`` is passed on: in a
container it is there for the programs, and the daemon, which runs isolated, neither obeys it nor adds to it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""``PATH`` of a service that would have none, for without it no program is found by name."""

_NEVER_INHERITED = frozenset(
    {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"}
)
_OWN_PREFIX = "PAUSEVISOR_"
_SERVICE = "PAUSEVISOR_SERVICE"
_GLOB_CHARACTERS = frozenset("*?[")


def inheritable(environ: Mapping[str, str]) -> dict[str, str]:
    """What services may inherit of the environment the daemon was given."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _NEVER_INHERITED and not name.startswith(_OWN_PREFIX)
    }


def child_environment(
    service: str, inherit: bool | tuple[str, ...], given: Mapping[str, str], available: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a service, as a dictionary of its own.

    Args:
        service: its name.
        inherit: all, nothing, or the names and globs (as fnmatch(3) has them, by case) of what is inherited.
        given: what the file sets; it wins over what is inherited.
        available: what :func:`inheritable` returned.
    """
    inherited = available if inherit is True else _matching(inherit or (), available)
    environment = {**inherited, **given, _SERVICE: service}
    environment.setdefault("PATH", DEFAULT_PATH)
    return environment


def explicit_names(given: Mapping[str, str]) -> frozenset[str]:
    """The variables of a service that are not inherited: what environment files say is weaker than these.

    Args:
        given: what the file sets.
    """
    return frozenset((*given, _SERVICE))


def _matching(patterns: tuple[str, ...], available: Mapping[str, str]) -> dict[str, str]:
    globs = [pattern for pattern in patterns if not _GLOB_CHARACTERS.isdisjoint(pattern)]
    found = {name: available[name] for name in patterns if name in available}
    if globs:
        from fnmatch import fnmatchcase  # noqa: PLC0415 - few files hold a glob

        found.update(
            (name, value) for name, value in available.items() if any(fnmatchcase(name, glob) for glob in globs)
        )
    return found
