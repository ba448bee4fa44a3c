"""The rooms of the code: who may import whom, what nobody may call, and what the start path does without."""

import ast
import os
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import need_namespace
from tests.harness import namespace_command
from tests.runtime.isolated import ROOT, run_isolated

PACKAGE = os.path.join(ROOT, "supervisor")

CORE_LIBRARIES = {
    "__future__",
    "_collections",
    "collections",
    "collections.abc",
    "enum",
    "heapq",
    "typing",
}
"""All that the pure room may use: none of it does I/O, knows the time or the processes."""

_LOWER = {"core", "config", "logs", "runtime"}
NEIGHBOURS = {
    "core": {"core"},
    "config": {"core", "config"},
    "logs": {"core", "logs"},
    "runtime": {"core", "runtime"},
    "pause": {"root", "pause", *_LOWER},
    "control": {"root", "core", "control", "config", "logs", "runtime"},
    "app": {"root", "app", "control", *_LOWER},
    "cli": {"root", "cli", "app", "pause", "control", *_LOWER},
    "__main__": {"root", "cli", "pause", "config"},
    "root": set[str](),
}
"""Rooms each room may import; ``root`` is the package itself, which holds the version."""

FORBIDDEN_MODULES = {"subprocess", "multiprocessing", "pty"}
FORBIDDEN_NAMES = {
    "system",
    "popen",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "subprocess_exec",
    "subprocess_shell",
    "import_module",
    "__import__",
}
WAITING_NAMES = {"wait", "wait3", "wait4", "waitid", "waitpid"}
SIGNALLING_NAMES = {"kill", "killpg", "kill_group", "pidfd_send_signal"}

START_PATH_DOES_WITHOUT = {
    "asyncio",
    "uvloop",
    "structlog",
    "logging",
    "dataclasses",
    "inspect",
    "json",
    "subprocess",
    "difflib",
    "shlex",
    "random",
    "pathlib",
    "tempfile",
    "socket",
    "ssl",
    "shutil",
    "msgspec",
    "uuid",
    "decimal",
    "argparse",
    "collections",
    "contextlib",
    "datetime",
    "enum",
    "functools",
    "gettext",
    "importlib",
    "re",
    "string",
    "tomllib",
    "types",
    "typing",
    "warnings",
}
"""What is loaded only when the first programs run: together it takes longer than all the rest of the start."""

PAUSE_DOES_WITHOUT = {*START_PATH_DOES_WITHOUT, "ctypes", "_ctypes"}
"""What the pause mode never loads: it has ten megabytes to live in."""


def modules() -> Iterator[str]:
    """Paths of all modules, relative to the package."""
    for folder, _, files in os.walk(PACKAGE):
        yield from (os.path.relpath(os.path.join(folder, name), PACKAGE) for name in files if name.endswith(".py"))


def room_of(path: str) -> str:
    """Room of a module, by its path within the package."""
    first = path.split(os.sep, maxsplit=1)[0].removesuffix(".py")
    return "root" if first == "__init__" else first


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything imported anywhere in a module, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if module in {"supervisor", "os"}:
                yield from (f"{module}.{alias.name}" for alias in node.names)
            else:
                yield module


def imported_room(name: str) -> str:
    """Room that an import of ``supervisor.…`` reaches."""
    second = name.split(".")[1] if "." in name else ""
    return second if second in NEIGHBOURS else "root"


def import_faults(room: str, tree: ast.AST) -> Iterator[str]:
    """Imports that the room may not have."""
    for name in imports(tree):
        if name.startswith("."):
            yield f"relative import {name}"
        elif name.split(".")[0] == "supervisor":
            if imported_room(name) not in NEIGHBOURS[room]:
                yield f"{room} imports {name}"
        elif room == "core" and name not in CORE_LIBRARIES:
            yield f"core imports {name}"
        elif name.split(".")[0] in FORBIDDEN_MODULES:
            yield f"import of {name}"


def mentioned(node: ast.AST) -> set[str]:
    """Attribute, or names imported one by one, that a node speaks of."""
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.ImportFrom):
        return {alias.name for alias in node.names}
    return {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else set()


def is_negative(node: ast.expr) -> bool:
    """Whether an argument is written as a negative number, or as 0: a whole group, or everything there is."""
    return isinstance(node, ast.UnaryOp | ast.Constant) and not (isinstance(node, ast.Constant) and bool(node.value))


def call_faults(path: str, tree: ast.AST) -> Iterator[str]:
    """Calls that nobody may make, and those that only the seam to the kernel may."""
    for node in ast.walk(tree):
        found = mentioned(node)
        yield from (f"use of {name}" for name in found & FORBIDDEN_NAMES)
        if path != os.path.join("runtime", "kernel.py") and not isinstance(node, ast.Name):
            yield from (f"waits by {name} outside the seam" for name in found & WAITING_NAMES)
        if isinstance(node, ast.Call) and node.args and mentioned(node.func) & SIGNALLING_NAMES:
            yield from ("signals a negative pid" for argument in node.args[:1] if is_negative(argument))


def faults(path: str, source: str) -> list[str]:
    """All that is wrong with a module, by its path within the package."""
    tree = ast.parse(source)
    return [*import_faults(room_of(path), tree), *call_faults(path, tree)]


@pytest.mark.parametrize("path", sorted(modules()))
def test_each_module_keeps_to_its_room(path: str) -> None:
    """Imports go down only, the core is pure, and nobody spawns, waits or signals past the seam."""
    with open(os.path.join(PACKAGE, path), encoding="utf-8") as file:
        assert faults(path, file.read()) == []


@pytest.mark.parametrize("room", sorted(NEIGHBOURS))
def test_every_room_exists(room: str) -> None:
    """The table of rooms names no room that is not there, so that it can't go stale."""
    assert room in {room_of(path) for path in modules()}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/fleet.py", "import os"),
        ("core/fleet.py", "def f():\n    from time import monotonic"),
        ("core/fleet.py", "from supervisor.runtime import kernel"),
        ("core/fleet.py", "from supervisor import runtime"),
        ("core/fleet.py", "from supervisor import __version__"),
        ("core/fleet.py", "from . import spec"),
        ("config/load.py", "from supervisor.logs.sink import Sink"),
        ("logs/sink.py", "import supervisor.runtime.kernel"),
        ("runtime/driver.py", "from supervisor.cli.main import fail"),
        ("app.py", "from supervisor.cli import main"),
        ("pause.py", "def f():\n    from supervisor.app import run"),
        ("runtime/spawn.py", "import subprocess"),
        ("runtime/spawn.py", "os.system('x')"),
        ("runtime/loops.py", "loop.subprocess_exec(x)"),
        ("app.py", "asyncio.create_subprocess_exec('x')"),
        ("runtime/reaper.py", "os.waitpid(-1, 0)"),
        ("runtime/reaper.py", "from os import wait4"),
        ("runtime/kernel.py", "os.kill(-1, 9)"),
        ("runtime/kernel.py", "os.killpg(0, 9)"),
        ("config/load.py", "importlib.import_module('supervisor.cli')"),
    ],
)
def test_the_walk_finds_what_is_planted(path: str, source: str) -> None:
    """Each kind of fault is found, in a function too: the test above can fail."""
    assert faults(path.replace("/", os.sep), source) != []


# Asks for nothing to be patched: the interpreter itself tells of the first spawn, before it happens.
FIRST_SPAWN = """
import os
before = set(sys.modules)
seen = []
def hook(event, arguments):
    if event in ("os.posix_spawn", "os.fork", "os.exec") and not seen:
        seen.append(event)
        os.write(2, ("MODULES " + " ".join(set(sys.modules) - before) + "\\n").encode())
sys.addaudithook(hook)
import _signal
inherited = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
from supervisor.cli.main import main
main(sys.argv[1:], frozenset())
"""


def first_spawn_modules(arguments: list[str], launcher: list[str]) -> set[str]:
    """Top-level names of the modules that the daemon has loaded when it starts its first program."""
    done = run_isolated(FIRST_SPAWN, *arguments, launcher=launcher)
    lines = [line for line in done.stderr.splitlines() if line.startswith("MODULES ")]
    assert lines, f"nothing was started: {done}"
    return {name.split(".")[0] for name in lines[0].split()[1:]} | set(lines[0].split()[1:])


WATCHED = """
ready = { notify = true }
health = { http = "http://127.0.0.1:80/" }
watchdog = "30s"
"""


@pytest.fixture(params=["single", "service", "watched", "files"])
def command_line(request: pytest.FixtureRequest, tmp_path: os.PathLike[str]) -> list[str]:
    """A short run in each form: one command; a service with its output captured and a control socket; one watched."""
    if request.param == "single":
        return ["run", "--", "true"]
    path = os.path.join(tmp_path, "service.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'[supervisor]\ncontrol = "{os.path.join(tmp_path, "control.sock")}"\n')
        file.write('[services.web]\ncommand = ["true"]\nrestart = "never"\nstop-timeout = "2s"\n')
        file.write(WATCHED if request.param == "watched" else "")
        if request.param == "files":
            file.write(f'stdout = {{ file = "{tmp_path}/web.log" }}\n[log]\nto = "{tmp_path}/events.log"\n')
    return ["run", "-c", path]


def test_the_first_program_starts_before_the_loop_is_imported(command_line: list[str]) -> None:
    """Nothing slow is loaded when the first program starts: the start budget is met by what is not imported."""
    loaded = first_spawn_modules(command_line, [])
    assert "supervisor" in loaded
    assert loaded & START_PATH_DOES_WITHOUT == set()


@pytest.mark.namespace
def test_as_pid_1_ctypes_waits_too(command_line: list[str]) -> None:
    """As PID 1 nobody has to be asked for the orphans, so the first program starts without ctypes."""
    need_namespace()
    loaded = first_spawn_modules(command_line, namespace_command())
    assert "supervisor" in loaded
    assert loaded & {*START_PATH_DOES_WITHOUT, "ctypes", "_ctypes"} == set()


def test_pause_mode_loads_light_modules_only() -> None:
    """Importing the pause mode loads none of the heavy modules, so that it stays within its memory."""
    source = "before = set(sys.modules)\nimport supervisor.pause\nprint(*(set(sys.modules) - before))\n"
    done = run_isolated(source)
    assert (done.stderr, done.returncode) == ("", 0)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "supervisor" in loaded
    assert loaded & PAUSE_DOES_WITHOUT == set()


def test_the_blocking_statement_comes_first() -> None:
    """The entry point blocks signals before it imports anything but the builtin module that can."""
    with open(os.path.join(PACKAGE, "__main__.py"), encoding="utf-8") as file:
        body = ast.parse(file.read()).body
    docstring, builtin, block = body[:3]
    assert isinstance(docstring, ast.Expr)
    assert isinstance(builtin, ast.Import)
    assert [alias.name for alias in builtin.names] == ["_signal"]
    assert "_signal" in sys.builtin_module_names
    assert "pthread_sigmask" in ast.unparse(block)
