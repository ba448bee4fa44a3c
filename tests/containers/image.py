"""The project's image, built as docs/containers.md says, without network."""

import os
import sys

from tests.containers import host
from tests.containers.base import NAME as BASE
from tests.containers.base import PYTHON_VERSION
from tests.containers.podman import Podman

CONTAINERS = os.path.join(host.REPOSITORY, "config", "containers")

IMAGE = "pausevisor"

EXAMPLE = "pausevisor-nginx-redis"
"""nginx and redis, supervised."""


CHAIN = "pausevisor-postgres"
"""PostgreSQL, its migration and its client."""


def prepare_context(folder: str) -> None:
    """Make the build context: our wheel, those of what it needs, the start script."""
    host.run(
        os.path.join(CONTAINERS, "prepare"),
        folder,
        PYTHON_VERSION,
        environment={"PYTHON": sys.executable},
        timeout=300,
    )


def build(podman: Podman, context: str) -> None:
    """Build the image, and the examples that stand on it."""
    _build(podman, IMAGE, BASE, os.path.join(CONTAINERS, "Containerfile"), context)
    for name, folder in ((EXAMPLE, "nginx-redis"), (CHAIN, "postgres")):
        example = os.path.join(CONTAINERS, folder)
        _build(podman, name, IMAGE, os.path.join(example, "Containerfile"), example)


def _build(podman: Podman, name: str, base: str, file: str, context: str) -> None:
    arguments = ("--quiet", "--network=none", "--build-arg", f"BASE={base}", "--file", file, "--tag", name, context)
    podman("build", *arguments, timeout=300)
