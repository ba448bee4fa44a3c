"""docker, with a daemon of its own: data, sockets and processes are in a folder of ours."""

import os
import shutil
import subprocess

import pytest

from tests.containers import host
from tests.containers.engine import Engine
from tests.helpers.patience import PATIENCE
from tests.helpers.procfs import wait_until

_WITHOUT_NETWORK = ("--iptables=false", "--ip6tables=false", "--bridge=none")


class Docker(Engine):
    """A docker daemon, without networks: it touches neither the host's firewall nor its bridges."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.mkdir(folder)
        socket = f"unix://{folder}/docker.sock"
        super().__init__(["docker", "--host", socket], {"DOCKER_CONFIG": folder})
        self._log = os.path.join(folder, "log")
        self._daemon = self._launch(socket)
        wait_until(self._is_up, "dockerd answers")

    def _launch(self, socket: str) -> "subprocess.Popen[bytes]":
        configuration = os.path.join(self._folder, "daemon.json")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write("{}")
        paths = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        options = [f"--{name}={os.path.join(self._folder, path)}" for name, path in paths.items()]
        with open(self._log, "wb") as log:
            return subprocess.Popen(
                ["dockerd", f"--config-file={configuration}", f"--host={socket}", *options, *_WITHOUT_NETWORK],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": _path()},
            )

    def _is_up(self) -> bool:
        if self._daemon.poll() is not None:
            with open(self._log, encoding="utf-8", errors="replace") as log:
                pytest.fail(f"dockerd ended with {self._daemon.returncode}:\n{log.read()[-3000:]}")
        return self.attempt("version").returncode == 0

    def close(self) -> None:
        """Remove the containers, end the daemon, which ends its containerd, and remove its data."""
        self.remove_containers()
        self._daemon.terminate()
        self._daemon.wait(PATIENCE)
        host.remove_tree(self._folder)


def _path() -> str:
    """A search path that finds what dockerd starts, containerd and runc, for a user's narrow one too."""
    sbin = os.path.dirname(shutil.which("dockerd") or "/usr/sbin/dockerd")
    return os.pathsep.join([os.environ.get("PATH", ""), sbin, "/usr/sbin", "/sbin"])
