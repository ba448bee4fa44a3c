"""Fixtures of the control plane's tests: a short path for a socket, and a daemon that listens there."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import pytest

from tests.control.client import Client
from tests.harness import Daemon, How, Launcher

Controlled = tuple[Daemon, Client]
StartControlled = Callable[..., Controlled]


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder with a short name: a socket's path has 107 bytes."""
    path = tempfile.mkdtemp(prefix="pv-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def path(folder: str) -> str:
    """Where the socket will be."""
    return os.path.join(folder, "control.sock")


@pytest.fixture
def control(start: Launcher, path: str) -> StartControlled:
    """Start a daemon with a control socket; it, and a client of it."""

    def begin(*tables: str, options: tuple[str, ...] = (), how: How | None = None) -> Controlled:
        daemon = start.services(*tables, options=("--control", path, *options), how=how)
        daemon.wait_event("control_listening", address=path)
        return daemon, Client(path)

    return begin
