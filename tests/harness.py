"""Run the daemon as a real process and read what it reports: the black-box tests' way in.

The daemon runs either as PID 1 of a PID namespace of its own (:func:`unshare(1) <namespace_command>`) or beside the
tests, where it makes itself a subreaper. Everything a test sees of it is what any user sees: records, streams, exit
status, and what /proc says.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, NoReturn

import pytest

from tests.helpers import procfs, settings
from tests.helpers.ends import Ends, Kind
from tests.helpers.patience import PATIENCE
from tests.helpers.records import check_records
from tests.helpers.streams import Record, Stream

MARK = "BLACK_BOX_TEST"


@dataclass(frozen=True, kw_only=True)
class How:
    """How the daemon is started.

    Attributes:
        pid1: as PID 1 of its own PID namespace.
        stdin, stdout, stderr: what the three descriptors are; ``stdin`` for the same terminal or socket as stdin;
            ``small-pipe`` is one page, and nobody reads it.
        environment: variables added to the tests' own, of which ``PYTHON*`` and ``PAUSEVISOR_*`` are left out.
        conditions: what ``programs/prepare.py`` arranges before it becomes the daemon.
        hidden: folders covered by an empty file system (with ``pid1`` only, which has mounts of its own).
        directory: the daemon's working directory when it starts.
        events_on: the stream that carries records.
        pure: nothing but records may be on that stream.
        inherited: the tests' own descriptors the daemon gets too.
        launcher: a command line that starts the daemon as its child, such as another subreaper.
    """

    pid1: bool = False
    stdin: Kind = "null"
    stdout: Kind = "pipe"
    stderr: Kind = "pipe"
    environment: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, object] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    directory: str | None = None
    events_on: Literal["stdout", "stderr"] = "stdout"
    pure: bool = True
    inherited: tuple[int, ...] = ()
    launcher: tuple[str, ...] = ()


def namespace_command(*, new_user: bool = False) -> list[str]:
    """The command that makes its argument PID 1 of a new PID namespace, and takes it along when it dies itself.

    Args:
        new_user: in a user namespace of its own as well, which is what one needs who is not root.
    """
    user = ["--user", "--map-root-user"] if new_user or os.geteuid() else []
    return ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc"]


def hiding_command(folders: tuple[str, ...]) -> list[str]:
    """The command that covers folders with empty file systems before it becomes its argument."""
    mounts = " && ".join(f"mount -t tmpfs none {folder}" for folder in folders)
    return ["sh", "-c", f'{mounts} && exec "$@"', "sh"] if folders else []


class Daemon:
    """One run of the daemon (or of another program in its place)."""

    def __init__(self, command: list[str], how: How, folder: str) -> None:
        self.how = how
        self.mark = f"{MARK}={os.path.basename(folder)}-{os.getpid()}-{id(self)}"
        self.known: set[tuple[int, str]] = set()
        self.code: int | None = None
        self.checked = True
        self.ends = Ends(folder, how.stdin, how.stdout, how.stderr)
        self._process = self._launch(command)
        self.streams = {
            name: Stream(number)
            for name, number in self.ends.ours.items()
            if name != "stdin" and getattr(how, name) != "small-pipe"
        }
        if "stdin" in self.ends.ours and how.stdin in {"terminal", "socket"} and "stdin" in {how.stdout, how.stderr}:
            self.streams["stdin"] = Stream(self.ends.ours["stdin"])
        self.pid = self._find()

    def _launch(self, command: list[str]) -> "subprocess.Popen[bytes]":
        how, theirs = self.how, self.ends.theirs()
        conditions = {**how.conditions, **({"close": self.ends.closed} if self.ends.closed else {})}
        prepare = settings.program("prepare", json.dumps(conditions)) if conditions else []
        outer = [*namespace_command(), *hiding_command(how.hidden)] if how.pid1 else []
        keep = ("PYTHON", "PAUSEVISOR_", "NOTIFY_", "LISTEN_", "COV_")
        environment = {key: text for key, text in os.environ.items() if not key.startswith(keep)}
        name, _, mark = self.mark.partition("=")
        try:
            return subprocess.Popen(
                [*outer, *prepare, *how.launcher, *command],
                stdin=theirs[0],
                stdout=theirs[1],
                stderr=theirs[2],
                env={**environment, name: mark, **how.environment},
                cwd=how.directory,
                pass_fds=how.inherited,
                start_new_session=how.pid1 or not how.conditions.get("terminal"),
            )
        finally:
            for number in theirs:
                os.close(number)

    def _find(self) -> int:
        """The daemon's pid as seen from here: the only child of each launcher in turn."""
        pid = self._process.pid
        for _ in range(self.how.pid1 + bool(self.how.launcher)):
            procfs.wait_until(partial(self._has_child, pid), f"{procfs.describe(pid)} has started its child")
            pid = (procfs.children(pid) or [pid])[0]
        return pid

    def _has_child(self, pid: int) -> bool:
        return bool(procfs.children(pid)) or self._process.poll() is not None

    # What it says

    @property
    def records(self) -> list[Record]:
        """All records that have been written so far; of a file, those in it now."""
        if getattr(self.how, self.how.events_on) == "file":
            with open(self.ends.path(self.how.events_on), encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.startswith("{") and line.endswith("\n")]
        stream = self.streams.get(self.how.events_on)
        if not stream:
            return []
        stream.catch_up()
        return list(stream.records)

    def text(self, name: str = "stderr") -> str:
        """Everything written to a stream so far."""
        stream = self.streams.get(name)
        return stream.raw.decode(errors="replace") if stream else ""

    def events(self, event: str, **fields: object) -> list[Record]:
        """Records of one kind so far."""
        wanted = {"event": event, **fields}
        return [found for found in self.records if all(found.get(key) == thing for key, thing in wanted.items())]

    def wait_events(self, count: int, event: str, **fields: object) -> list[Record]:
        """Wait for so many records of one kind; fails with everything seen so far."""
        if getattr(self.how, self.how.events_on) == "file":
            procfs.wait_until(lambda: len(self.events(event, **fields)) >= count, f"{count} {event} {fields}")
        else:
            self.streams[self.how.events_on].wait(lambda: len(self.events(event, **fields)) >= count, PATIENCE)
        found = self.events(event, **fields)
        if len(found) < count:
            self.fail(f"{len(found)} of {count} {event} {fields or ''}")
        return found

    def wait_event(self, event: str, **fields: object) -> Record:
        """Wait for the first record of one kind with these fields."""
        return self.wait_events(1, event, **fields)[0]

    def wait_line(self, line: str, count: int = 1, **fields: object) -> Record:
        """Wait for the ``count``-th time a child writes this line; returns that record."""
        return self.wait_events(count, "output", message=line, **fields)[count - 1]

    def wait_text(self, text: str, stream: str = "stdout") -> None:
        """Wait until a stream that is not ours to parse carries the text."""
        found = self.streams[stream]
        if not found.wait(lambda: found.contains(text), PATIENCE):
            self.fail(f"no {text!r} on {stream}")

    def wait_lines(self, count: int, stream: str = "stdout") -> list[str]:
        """Wait for so many lines that are no records; returns all lines so far."""
        found = self.streams[stream]
        if not found.wait(lambda: len(found.text) >= count, PATIENCE):
            self.fail(f"{len(found.text)} of {count} lines on {stream}: {found.text[-20:]}")
        return list(found.text)

    def read_late(self, name: str) -> None:
        """Begin to read a small pipe that nobody has read so far."""
        self.streams[name] = Stream(self.ends.ours[name])

    def write(self, data: bytes) -> None:
        """Write to the daemon's stdin, or type on its terminal."""
        os.write(self.ends.ours["stdin"], data)

    # What is done to it

    def signal(self, name: str | int) -> None:
        """Send the daemon a signal, by number or by name without prefix."""
        os.kill(self.pid, name if isinstance(name, int) else getattr(signal, "SIG" + name))

    def outside(self, pid: int) -> int:
        """A pid from a record, as seen from here."""
        return procfs.outer_pid(self.pid, pid) if self.how.pid1 else pid

    def kill(self, pid: int, name: str) -> None:
        """Send a process, known by a pid from a record, a signal."""
        os.kill(self.outside(pid), getattr(signal, "SIG" + name))

    def freeze(self) -> None:
        """Stop the daemon from outside and wait until the kernel has done so."""
        self.signal("STOP")
        procfs.wait_until(lambda: procfs.state(self.pid) == "T", "the daemon stopped")

    def join(self, *command: str) -> "subprocess.Popen[str]":
        """Start a program in the daemon's PID namespace, but not as its descendant: another container of a pod."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return subprocess.Popen(
            ["nsenter", "--target", str(self.pid), *user, "--pid", "--mount", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: self.mark.partition("=")[2]},
        )

    def remember(self) -> None:
        """Note all present descendants, to look for them when the daemon is gone."""
        self.known |= procfs.identities(procfs.descendants(self.pid))

    def assert_no_zombie(self) -> None:
        """Nothing that ended is left unreaped by the daemon."""
        procfs.wait_until(lambda: not procfs.zombies(self.pid), f"all zombies of {self.pid} reaped")

    def stop(self, name: str = "TERM") -> int:
        """Check for zombies, send the signal, wait for the end; returns the exit status."""
        self.assert_no_zombie()
        self.remember()
        self.signal(name)
        return self.wait()

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end; returns the exit status as a shell has it."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.fail(f"still running after {timeout} s: {procfs.describe(self.pid)}")
        for stream in self.streams.values():
            stream.finish(1)
        self.code = code if code >= 0 else 128 - code
        return self.code

    # How it is judged

    def fail(self, why: str) -> NoReturn:
        """Fail with all that was seen."""
        seen = "\n".join(json.dumps(found) for found in self.records[-80:])
        pytest.fail(f"{why}; seen on {self.how.events_on}:\n{seen}\nstderr:\n{self.text()[-4000:]}")

    def check(self) -> None:
        """What holds for every run: no traceback, only valid records, none missing, no process left."""
        assert "Traceback" not in self.text(), self.text()
        assert "KeyboardInterrupt" not in self.text(), self.text()
        if self.how.pure and self.how.events_on in self.streams and self.how.events_on == "stdout":
            assert self.streams["stdout"].text == []
        check_records(self.records)
        if not self.how.pid1:  # in a namespace the kernel leaves nothing
            left = [*procfs.survivors(self.known), *map(procfs.describe, procfs.marked(self.mark))]
            assert left == []

    def end(self) -> None:
        """Make sure that nothing of this run is left, whatever happened; only what belongs to it is killed."""
        self.remember()
        if self._process.poll() is None:
            for pid in {self.pid, self._process.pid}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        for _ in range(3):  # one that was just being started shows its environment a moment later
            left = {pid for pid, start in self.known if procfs.identity(pid) == (pid, start)}
            for pid in left | set(procfs.marked(self.mark)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.code is not None:
                break
            time.sleep(0.01)
        for stream in self.streams.values():
            stream.close()
        for name, number in self.ends.ours.items():
            if name not in self.streams:
                with contextlib.suppress(OSError):
                    os.close(number)


class Launcher:
    """Starts daemons for one test, in the forms the command line has."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.daemons: list[Daemon] = []

    def program(self, command: list[str], how: How) -> Daemon:
        """Start any program in the daemon's place."""
        folder = os.path.join(self.folder, f"run{len(self.daemons)}")
        os.mkdir(folder)
        daemon = Daemon(command, how, folder)
        self.daemons.append(daemon)
        return daemon

    def daemon(self, *arguments: str, how: How) -> Daemon:
        """Start the daemon with a command line."""
        return self.program([sys.executable, "-I", "-m", "supervisor", *arguments], how)

    def pause(self, how: How | None = None) -> Daemon:
        """Start pause mode."""
        return self.daemon("pause", how=how or How())

    def services(self, *tables: str, options: tuple[str, ...] = (), how: How | None = None) -> Daemon:
        """Start services from configuration text; without a control socket unless the text or the options have one.

        The default path is one for the whole machine, and tests run side by side.
        """
        wanted = "--control" in options or any(line.startswith("control") for line in "".join(tables).splitlines())
        control = () if wanted else ("--control", "")
        return self.daemon("run", "-c", self.write(*tables), *control, *options, how=how or How())

    def single(self, *command: str, options: tuple[str, ...] = (), how: How | None = None) -> Daemon:
        """Start the single-command form; its records, from level info, are on stderr."""
        shown = ("--log-to", "stderr", "--log-level", "info", "--log-format", "json")
        chosen = how or How()
        on_stderr = replace(chosen, events_on="stderr", pure=False)
        return self.daemon("run", *shown, *options, "--", *command, how=on_stderr)

    def write(self, *tables: str) -> str:
        """Write configuration text to a file; returns its path."""
        path = os.path.join(self.folder, f"config{len(os.listdir(self.folder))}.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(tables))
        return path

    def judge(self) -> None:
        """Stop those that still run, and judge all."""
        for daemon in self.daemons:
            if daemon.checked:
                if daemon.code is None:
                    daemon.stop()
                daemon.check()

    def end(self) -> None:
        """Leave nothing of any run behind."""
        for daemon in self.daemons:
            daemon.end()
