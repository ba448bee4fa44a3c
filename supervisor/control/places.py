"""Where the control socket is: the same for the daemon that opens it and for the clients that look for it.

Imports nothing: the lightest client, which an image's health check starts every few seconds, comes here too.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = "/run/pausevisor.sock"
VARIABLE = "PAUSEVISOR_CONTROL"
"""Tells clients of another path."""

FALLBACK_VARIABLE = "XDG_RUNTIME_DIR"
FALLBACK_NAME = "pausevisor.sock"


def default_paths(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The paths that are tried in turn where none is named."""
    folder = environ.get(FALLBACK_VARIABLE, "")
    return (DEFAULT_PATH, f"{folder.rstrip('/')}/{FALLBACK_NAME}") if folder.startswith("/") else (DEFAULT_PATH,)


def client_paths(environ: Mapping[str, str], named: str | None = None) -> tuple[str, ...]:
    """Where a client looks: at the path it was given, else at that of ``$PAUSEVISOR_CONTROL``, else by default."""
    path = named or environ.get(VARIABLE)
    return (path,) if path else default_paths(environ)
