"""Fixtures of the container tests: the base, the image, the engines, and a factory of containers."""

import os
import tempfile
from collections.abc import Callable, Iterator

import pytest

from tests.containers import host
from tests.containers.base import NAME as BASE
from tests.containers.base import Base, debian_base
from tests.containers.engine import Container
from tests.containers.image import IMAGE, build, prepare_context
from tests.containers.podman import Podman, working_runtime
from tests.containers.programs import MOUNT

Start = Callable[..., Container]


@pytest.fixture(scope="session")
def workspace() -> Iterator[str]:
    """A folder for the run, with a short path: sockets are made in it."""
    host.require("podman", "runc", "mmdebstrap", "conmon")
    folder = tempfile.mkdtemp(prefix="pausevisor-")
    yield folder
    host.remove_tree(folder)


@pytest.fixture(scope="session")
def base(workspace: str) -> Base:
    """The Debian everything stands on."""
    assert workspace
    return debian_base()


@pytest.fixture(scope="session")
def build_context(workspace: str) -> str:
    """The build context of the image, with the wheels."""
    folder = os.path.join(workspace, "context")
    prepare_context(folder)
    return folder


@pytest.fixture(scope="session")
def podman(workspace: str, base: Base, build_context: str) -> Iterator[Podman]:
    """A podman that has the project's images and nothing else."""
    runtime = working_runtime(os.path.join(workspace, "try"), base.store, BASE)
    with Podman(os.path.join(workspace, "podman"), images=base.store, runtime=runtime) as engine:
        build(engine, build_context)
        yield engine


@pytest.fixture
def start(podman: Podman) -> Iterator[Start]:
    """Start containers of the project's image; they are gone after the test."""

    def start(*command: str, options: tuple[str, ...] = (), image: str = IMAGE) -> Container:
        return podman.start(image, *command, options=(*MOUNT, *options))

    yield start
    podman.remove_containers()


@pytest.fixture
def services(tmp_path: os.PathLike[str]) -> Callable[..., tuple[str, ...]]:
    """Write configuration text; returns the engine's options that put it where the daemon looks for it."""

    def write(*tables: str) -> tuple[str, ...]:
        path = os.path.join(tmp_path, "pausevisor.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(tables))
        return ("--volume", f"{path}:/etc/pausevisor/pausevisor.toml:ro")

    return write
