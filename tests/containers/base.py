"""The Debian that the tests' images stand on: made from apt's packages, so that no image registry is needed.

Making it takes a minute, so it is kept, under a name made of what it consists of.
"""

import dataclasses
import hashlib
import os

from tests.containers import host
from tests.containers.podman import Podman

SUITE = "bookworm"

PYTHON_VERSION = "3.11"
"""The suite's Python: the image's wheels are chosen for it."""

PACKAGES = ("python3", "nginx-light", "redis-server", "postgresql", "procps", "systemd-sysv")

_LEFT_OUT = ("doc", "locale", "man", "info")

_SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")

NAME = "pausevisor-test-base"


@dataclasses.dataclass(frozen=True)
class Base:
    """The base as a tar archive, and in a podman image store that others may read."""

    folder: str

    @property
    def archive(self) -> str:
        """Path of the archive of its root file system."""
        return os.path.join(self.folder, "root.tar")

    @property
    def store(self) -> str:
        """Folder of the image store."""
        return os.path.join(self.folder, "store", "root")


def debian_base() -> Base:
    """The base, made unless an earlier run has left it."""
    command = _command()
    key = hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]
    with host.cache() as cache:
        folder = os.path.join(cache, key)
        if not os.path.exists(folder):
            partial = folder + ".partial"
            host.remove_tree(partial)
            os.mkdir(partial)
            made = Base(partial)
            host.run(*command, made.archive, *_mirror(), timeout=600)
            with Podman(os.path.join(partial, "store")) as podman:
                podman("import", "--quiet", made.archive, NAME, timeout=300)
            os.rename(partial, folder)
    return Base(folder)


def _command() -> list[str]:
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    return ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES), *excluded, SUITE]


def _mirror() -> list[str]:
    """The machine's own sources where they are of the same suite: they may be a mirror that it can reach."""
    for path in _SOURCES:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                if SUITE in file.read():
                    return [path]
    return []
