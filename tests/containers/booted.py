"""A booted Debian with systemd as its init, in a container of systemd-nspawn, and pausevisor as a unit in it."""

import glob
import os
import shutil
import subprocess
import zipfile
from typing import Self

import pytest

from tests.containers import host
from tests.containers.base import Base
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE

PREFIX = "/opt/pausevisor"
"""Where the unit file expects the virtual environment."""

UNIT = os.path.join(host.REPOSITORY, "systemd", "pausevisor.service")

_BOOTED = {"running", "degraded"}


class Machine:
    """The tree, and once entered, the machine that has booted from it."""

    def __init__(self, folder: str, base: Base) -> None:
        self.tree = os.path.join(folder, "tree")
        self._console = os.path.join(folder, "console")
        os.makedirs(self.tree)
        host.run("tar", "--extract", "--file", base.archive, "--directory", self.tree)
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def install(self, wheels: str) -> None:
        """Install pausevisor from wheels into a virtual environment, and its unit."""
        host.run("chroot", self.tree, "python3", "-m", "venv", "--without-pip", PREFIX)
        (packages,) = glob.glob(f"{self.tree}{PREFIX}/lib/python3*/site-packages")
        for wheel in glob.glob(os.path.join(wheels, "*.whl")):
            zipfile.ZipFile(wheel).extractall(packages)
        shutil.copy(UNIT, os.path.join(self.tree, "etc", "systemd", "system"))
        # A unit that is mentioned by an active one stays loaded when it ends, and what it ended with can be asked.
        self.write("/etc/systemd/system/basic.target.d/keep.conf", "[Unit]\nAfter=pausevisor.service\n")

    def write(self, path: str, text: str) -> None:
        """Write a file in the tree."""
        full = self.tree + path
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def __enter__(self) -> Self:
        options = ["--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe"]
        with open(self._console, "wb") as console:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", *options, "--directory", self.tree, "--boot", "systemd.unit=basic.target"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        procfs.wait_until(self._is_up, "systemd has booted")
        return self

    def _is_up(self) -> bool:
        if self._nspawn is None or self._nspawn.poll() is not None:
            pytest.fail(f"the machine did not boot:\n{self.console()}")
        children = procfs.children(self._nspawn.pid)
        self._leader = children[-1] if children else 0
        return bool(children) and self.attempt("systemctl", "is-system-running").stdout.strip() in _BOOTED

    def __exit__(self, *_: object) -> None:
        if self._nspawn is not None:
            self._nspawn.terminate()  # nspawn has the machine shut down, and ends with it
            try:
                self._nspawn.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        host.remove_tree(self.tree)

    def console(self) -> str:
        """What the machine has written on its console."""
        with open(self._console, encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def attempt(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program in the machine that may fail."""
        enter = ["nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--net", "--pid"]
        return host.attempt([*enter, *command])

    def __call__(self, *command: str) -> str:
        """Run a program in the machine; returns its stdout."""
        done = self.attempt(*command)
        if done.returncode:
            journal = self.attempt("journalctl", "--no-pager", "--lines=40", "--unit=pausevisor").stdout
            pytest.fail(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}\n{journal}")
        return done.stdout.removesuffix("\n")

    def show(self, *names: str) -> dict[str, str]:
        """Properties of the unit."""
        lines = self("systemctl", "show", "pausevisor", *(f"--property={name}" for name in names)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def journal(self) -> list[str]:
        """The lines that the unit's processes have written."""
        return self("journalctl", "--no-pager", "--output=cat", "--unit=pausevisor", "_COMM=python3").splitlines()

    def wait_journal(self, text: str) -> None:
        """Wait until the unit has written a line with this text."""
        procfs.wait_until(lambda: any(text in line for line in self.journal()), f"{text!r} in the journal")
