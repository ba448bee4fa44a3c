"""podman, kept apart from the host's own: every path it writes to is in a folder of ours."""

import json
import os
import resource

from tests.containers import host
from tests.containers.engine import Engine

RUNTIMES = ("crun", "runc")
"""OCI runtimes, the preferred one first; crun refuses hosts with both versions of cgroups."""


class Podman(Engine):
    """podman in a folder.

    Args:
        folder: made; removed at the end but for its image storage, ``root``.
        images: an image storage to read beside its own.
        runtime: name of the OCI runtime.
    """

    def __init__(self, folder: str, *, images: str | None = None, runtime: str = RUNTIMES[0]) -> None:
        self._folder = folder
        os.makedirs(folder, exist_ok=True)
        containers, storage = self._path("containers.conf"), self._path("storage.conf")
        super().__init__(["podman"], {"CONTAINERS_CONF": containers, "CONTAINERS_STORAGE_CONF": storage})
        _write(containers, self._containers_conf(runtime))
        _write(storage, self._storage_conf(images))

    def _path(self, *names: str) -> str:
        return os.path.join(self._folder, *names)

    def _containers_conf(self, runtime: str) -> dict[str, dict[str, object]]:
        return {
            "containers": {"default_ulimits": _limits(), "netns": "none", "log_driver": "k8s-file"},
            "engine": {
                "runtime": runtime,
                "cgroup_manager": "cgroupfs",
                "events_logger": "file",
                "lock_type": "file",  # not the host's locks in shared memory
                "tmp_dir": self._path("run", "libpod"),
                "static_dir": self._path("root", "libpod"),
                "volume_path": self._path("root", "volumes"),
            },
            "network": {"network_backend": "netavark", "network_config_dir": self._path("networks")},
        }

    def _storage_conf(self, images: str | None) -> dict[str, dict[str, object]]:
        return {
            "storage": {"driver": "overlay", "graphroot": self._path("root"), "runroot": self._path("run")},
            "storage.options": {"additionalimagestores": [images] if images else []},
        }

    def close(self) -> None:
        """Remove every container and pod, and all mounts."""
        self.remove_containers()
        self.attempt("pod", "rm", "--force", "--all", "--time", "0")
        self.attempt("rm", "--force", "--all", "--time", "0")
        host.remove_tree(self._path("run"))
        host.unmount_below(self._folder)


def working_runtime(folder: str, images: str, image: str) -> str:
    """The first OCI runtime that can run a container on this host."""
    problems = []
    for runtime in RUNTIMES:
        with Podman(os.path.join(folder, runtime), images=images, runtime=runtime) as podman:
            tried = podman.attempt("run", "--rm", image, "true")
            if tried.returncode == 0:
                return runtime
            problems.append(f"{runtime}: {tried.stderr.strip()}")
    raise RuntimeError("no OCI runtime works here:\n" + "\n".join(problems))


def _limits() -> list[str]:
    """Limits at or below our own hard ones: podman's defaults are above them where it is itself in a container."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files == resource.RLIM_INFINITY:
        files = 1 << 20
    return [f"nofile={files}:{files}", "nproc=4096:4096"]


def _write(path: str, tables: dict[str, dict[str, object]]) -> None:
    """A TOML file of strings and lists of strings, which JSON writes the same way."""
    with open(path, "w", encoding="utf-8") as file:
        for name, settings in tables.items():
            file.write(f"[{name}]\n")
            file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
