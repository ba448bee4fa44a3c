"""The programs that are compared, and how each is told to run one child: as a single command, and as a service."""

import compileall
import dataclasses
import functools
import importlib.util
import os
import py_compile
import shutil
import sys
from collections.abc import Callable

from tests.helpers import settings

REPOSITORY = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))

Command = list[str]

_ALWAYS = {"none", "pausevisor"}
_PROGRAMS = {"s6": "s6-svscan", "runit": "runsv"}


@dataclasses.dataclass(frozen=True)
class Peer:
    """One program.

    Attributes:
        name: as in the tables.
        single: command line that runs a command given after it; None where there is no such form.
        service: writes its configuration for one restarted service into a folder; returns the command line.
        pause: command line that runs nothing and reaps.
    """

    name: str
    single: Command | None = None
    service: Callable[[str, str], Command] | None = None
    pause: Command | None = None


def found_peers(folder: str) -> list[Peer]:
    """Ours and every peer that is installed; ``none`` is the child without any supervisor."""
    peers = [
        Peer("none", single=[]),
        _ours("pausevisor", [image_start(folder)]),
        Peer("tini", single=["tini", "--"]),
        Peer("dumb-init", single=["dumb-init", "--"]),
        Peer("catatonit", single=["catatonit", "--"], pause=["catatonit", "-P"]),
        Peer("s6", service=_s6),
        Peer("runit", service=_runit),
        Peer("supervisord", service=_supervisord),
    ]
    return [peer for peer in peers if peer.name in _ALWAYS or shutil.which(_PROGRAMS.get(peer.name, peer.name))]


def unit_peer() -> Peer:
    """Ours as a virtual environment and a systemd unit start it."""
    return _ours("pausevisor -m", [sys.executable, "-I", "-m", "supervisor"])


def _ours(name: str, start: Command) -> Peer:
    def service(folder: str, helper: str) -> Command:
        path = os.path.join(folder, "pausevisor.toml")
        limit = {"count": 1_000_000, "within": "1s"}
        with open(path, "w", encoding="utf-8") as file:
            file.write(settings.service("child", helper, restart="always", restart_delay="0s", restart_limit=limit))
        return [*start, "run", "-c", path]

    return Peer(name, single=[*start, "run", "--"], service=service, pause=[*start, "pause"])


@functools.cache
def image_start(folder: str) -> str:
    """The start of the container image, made the same way from what this interpreter has installed."""
    prefix = os.path.join(folder, "image")
    library, command = os.path.join(prefix, "lib"), os.path.join(prefix, "pausevisor")
    for name in ("supervisor", "msgspec", "structlog", "uvloop"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            shutil.copytree(os.path.dirname(spec.origin), os.path.join(library, name))
    compileall.compile_dir(library, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    with open(os.path.join(REPOSITORY, "config", "containers", "pausevisor"), encoding="utf-8") as file:
        script = file.read()
    with open(command, "w", encoding="utf-8") as file:
        file.write(script.replace("/opt/pausevisor/bin/python3", interpreter()).replace("/opt/pausevisor/lib", library))
    os.chmod(command, 0o755)
    return command


def interpreter() -> str:
    """This interpreter's own executable, beyond any virtual environment."""
    return os.path.realpath(sys.executable)


def _s6(folder: str, helper: str) -> Command:
    _link(os.path.join(folder, "scan", "child"), helper)
    return ["s6-svscan", os.path.join(folder, "scan")]


def _runit(folder: str, helper: str) -> Command:
    _link(os.path.join(folder, "child"), helper)
    return ["runsv", os.path.join(folder, "child")]


def _link(folder: str, helper: str) -> None:
    """A service folder whose ``run`` is the helper itself: no shell in between."""
    os.makedirs(folder)
    os.symlink(helper, os.path.join(folder, "run"))


def _supervisord(folder: str, helper: str) -> Command:
    path = os.path.join(folder, "supervisord.conf")
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "user=root",
        f"logfile={folder}/log",
        f"pidfile={folder}/pid",
        f"childlogdir={folder}",
        "[program:child]",
        f"command={helper}",
        "autorestart=true",
        "startsecs=0",
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return ["supervisord", "--configuration", path]
