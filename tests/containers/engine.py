"""A container engine's command line, and the containers it runs; podman and docker understand the same words."""

import itertools
import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any, NoReturn, Self

import pytest

from tests.containers import host
from tests.helpers.patience import PATIENCE
from tests.helpers.records import check_records
from tests.helpers.streams import Record, Stream


class Engine:
    """One engine, with a storage of its own that is removed with it."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.command = command
        self.environment = dict(environment)
        self._containers: list[Container] = []
        self._numbers = itertools.count(1)

    def __call__(self, *arguments: str, timeout: float = PATIENCE) -> str:
        """Run a command that must succeed; returns its stdout."""
        return host.run(*self.command, *arguments, environment=self.environment, timeout=timeout)

    def attempt(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command that may fail."""
        return host.attempt([*self.command, *arguments], environment=self.environment)

    def inspect(self, name: str, template: str) -> str:
        """One fact about a container, by a Go template."""
        return self("inspect", "--format", template, name)

    def start(self, image: str, *command: str, options: tuple[str, ...] = ()) -> "Container":
        """Start a container in the background and follow its log."""
        name = f"test-{next(self._numbers)}"
        self("run", "--detach", "--name", name, *options, image, *command)
        return self.follow(name)

    def follow(self, name: str) -> "Container":
        """Follow the log of a container that is there already."""
        container = Container(self, name)
        self._containers.append(container)
        return container

    def remove_containers(self) -> None:
        """Kill and remove what :meth:`start` and :meth:`follow` have given out."""
        for container in self._containers:
            container.close()
            self.attempt("kill", "--signal", "KILL", container.name)  # podman's rm --force begins with TERM
            self.attempt("rm", "--force", "--volumes", container.name)
        self._containers.clear()

    def close(self) -> None:
        """Remove everything."""
        self.remove_containers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Container:
    """A container and its log, followed from the first line."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        ours, theirs = os.pipe()
        self._follower = subprocess.Popen(
            [*engine.command, "logs", "--follow", name],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **engine.environment},
        )
        os.close(theirs)
        self._log = Stream(ours)

    def events(self, event: str, **fields: object) -> list[Record]:
        """Records of one kind so far."""
        wanted = {"event": event, **fields}
        found = list(self._log.records)
        return [record for record in found if all(record.get(key) == thing for key, thing in wanted.items())]

    def wait_event(self, event: str, **fields: object) -> Record:
        """Wait for the first record of one kind with these fields."""
        self._log.wait(lambda: self.events(event, **fields), PATIENCE)
        found = self.events(event, **fields)
        if not found:
            self.fail(f"no {event} {fields or ''}")
        return found[0]

    def wait_text(self, text: str) -> None:
        """Wait until the log carries the text."""
        if not self._log.wait(lambda: self._log.contains(text), PATIENCE):
            self.fail(f"no {text!r}")

    def fail(self, why: str) -> NoReturn:
        """Fail with the end of the log."""
        log = self.engine.attempt("logs", "--tail", "20", self.name)
        pytest.fail(f"{self.name}: {why}; the log ends:\n{log.stdout}{log.stderr}")

    def exec(self, *command: str) -> str:
        """Run a program in the container."""
        return self.engine("exec", self.name, *command)

    def python(self, program: str, *arguments: str) -> str:
        """Run a Python program in the container."""
        return self.exec("python3", "-I", "-S", "-c", program, *arguments)

    def processes(self) -> dict[int, str]:
        """Command lines by pid, as the container sees them, without those of this look itself."""
        lines = self.exec("ps", "-eo", "pid=,ppid=,args=").splitlines()
        rows = [line.split(None, 2) for line in lines]
        return {int(pid): args for pid, _, args in rows if not args.startswith("ps -eo")}

    def kill(self, name: str) -> None:
        """Have the engine send the container's first process a signal."""
        self.engine("kill", "--signal", name, self.name)

    def stop(self, *options: str) -> None:
        """Have the engine stop the container."""
        self.engine("stop", *options, self.name)

    def wait(self) -> int:
        """Wait for the end; returns the exit status."""
        return int(self.engine("wait", self.name))

    def check(self) -> list[Record]:
        """The log, whole: every line of it is a valid record, and none is missing. For a container that has ended."""
        log = self.engine.attempt("logs", self.name)
        records: list[Record] = [_parse(line) for line in [*log.stdout.splitlines(), *log.stderr.splitlines()]]
        check_records(records)
        return records

    def close(self) -> None:
        """Stop following."""
        self._follower.terminate()
        self._follower.wait()
        self._log.close()


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        pytest.fail(f"not JSON: {line!r}")
