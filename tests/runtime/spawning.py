"""Start real programs through the daemon's own spawn, and clear up after them."""

import json
import os
import signal
from typing import Any

from supervisor.runtime.spawn import Launch, SpawnError, spawn
from tests.helpers.settings import program

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "MARK": "spawned"}


class Spawner:
    """Spawns from this process, and reaps what it spawned."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.pids: list[int] = []
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    def launch(self, *command: str, **settings: Any) -> Launch:
        """A launch with streams from and to nowhere, unless the settings say otherwise."""
        streams = dict.fromkeys(range(3), self._null)
        return Launch(
            **{"command": command, "directory": "/", "environment": ENVIRONMENT, "streams": streams, **settings}
        )

    def start(self, launch: Launch) -> int:
        """Spawn; the pid."""
        pid = spawn(launch)
        self.pids.append(pid)
        return pid

    def fails(self, launch: Launch) -> SpawnError:
        """Spawn what can't be spawned; the error."""
        try:
            self.start(launch)
        except SpawnError as error:
            return error
        raise AssertionError(f"{launch.command} was started")

    def wait(self, pid: int) -> int:
        """Reap one; the exit code, or minus the signal."""
        self.pids.remove(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def run(self, *command: str, **settings: Any) -> tuple[int, str]:
        """Spawn a program that ends by itself; exit code and standard output."""
        reader, writer = os.pipe()
        streams = {0: self._null, 1: writer, 2: self._null}
        pid = self.start(self.launch(*command, **{"streams": streams, **settings}))
        os.close(writer)
        with open(reader, encoding="utf-8", errors="replace") as file:
            output = file.read()
        return self.wait(pid), output

    def describe(self, **settings: Any) -> dict[str, Any]:
        """Spawn the program that describes itself; its description."""
        path = os.path.join(self.folder, "description.json")
        code, _ = self.run(*program("describe", path, "once"), **settings)
        assert code == 0
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        return found

    def file(self, name: str, content: bytes, mode: int = 0o755) -> str:
        """A file in the tests' folder; its path."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def end(self) -> None:
        """Kill and reap what is left."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(self._null)


def signal_set(mask: str) -> set[int]:
    """Signal numbers in a mask of /proc/PID/status."""
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}


def signals(field: str, description: dict[str, Any]) -> set[int]:
    """Signal numbers in ``SigBlk`` or ``SigIgn`` of a description."""
    return signal_set(description["status"][field])
