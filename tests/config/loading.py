"""What the tests of this folder share: load a text as a file, and see what comes of it."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import pytest

from supervisor.config.fields import FILE, homes
from supervisor.config.load import ConfigError, Settings, load
from supervisor.config.problems import Invalid, Place, Scope
from supervisor.core.spec import ServiceSpec

WEB = '[services.web]\ncommand = ["web"]\n'
"""The least service."""


def load_text(text: str | bytes, environ: Mapping[str, str] | None = None, directory: str = "/start") -> Settings:
    """Load one file with this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file.toml")
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return load([path], environ or {}, directory)


def web(lines: str, environ: Mapping[str, str] | None = None) -> ServiceSpec:
    """Load a service called web with these further lines."""
    return load_text(WEB + lines, environ).fleet.services["web"]


def problems(text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    """Load one file with this content, which must be refused; its problems, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ)
    assert all(problem.file.endswith("/file.toml") for problem in caught.value.problems)
    return [f"{problem.key}: {problem.message}" for problem in caught.value.problems]


def write(folder: str | os.PathLike[str], **files: str) -> str:
    """Write files called ``NAME.toml`` into a folder; returns the folder's path."""
    for name, text in files.items():
        with open(os.path.join(folder, f"{name}.toml"), "w", encoding="utf-8") as file:
            file.write(text)
    return os.fspath(folder)


def accepts(document: dict[str, Any]) -> bool:
    """Whether the loader takes a document, apart from what only the whole file can tell."""
    try:
        FILE.parse(document, Place("file", "", Scope(environ={}, directory="/", homes=homes())))
    except Invalid:
        return False
    return True
