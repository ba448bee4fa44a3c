"""Where the configuration is looked for when the command line names none.

The pause mode imports this module to see that there is none, so it imports nothing but :mod:`os`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "PAUSEVISOR_CONFIG"
FOLDER = "/etc/pausevisor"


def default_sources(environ: Mapping[str, str] | None = None, folder: str = FOLDER) -> tuple[str, ...]:
    """The paths to read: those of ``$PAUSEVISOR_CONFIG``, else ``pausevisor.toml`` and ``conf.d`` that exist.

    A path that cannot be looked at is returned as well: reading it then says why, where passing over it would leave
    a container that does nothing.

    Args:
        environ: the environment the daemon was given; the process's own when None.
        folder: where the file and the folder are.
    """
    named = (os.environ if environ is None else environ).get(VARIABLE, "")
    given = tuple(path for path in named.split(":") if path)
    if given:
        return given
    return tuple(path for path in (f"{folder}/pausevisor.toml", f"{folder}/conf.d") if not _is_absent(path))


def is_configured() -> bool:
    """Whether there is anything to read."""
    return bool(default_sources())


def _is_absent(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it may be there
    return False
