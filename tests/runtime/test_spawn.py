"""Starting real programs: what they start with, and what is said when they can't."""

import errno
import os
import re
import resource
import signal
import stat
from collections.abc import Callable

import pytest

from supervisor.core.spec import Transparent
from supervisor.runtime.spawn import STAGES, Launch, SpawnError, find_program, spawn
from tests.helpers import procfs
from tests.runtime.isolated import run_isolated
from tests.runtime.spawning import ENVIRONMENT, Spawner, signal_set, signals

INTERNAL = {32, 33}
"""The C library's own signals, which its posix_spawn(3) leaves ignored; no program can use them."""

# What a program starts with


def test_a_program_starts_clean(spawner: Spawner) -> None:
    """Own session and group, no signal blocked or ignored, three descriptors, its environment and directory alone."""
    os.mkdir(os.path.join(spawner.folder, "srv"))
    directory = os.path.join(spawner.folder, "srv")
    with open(os.devnull, encoding="ascii") as ours:
        os.set_inheritable(ours.fileno(), False)
        found = spawner.describe(directory=directory)
    assert (found["session"], found["group"], found["parent"]) == (found["pid"], found["pid"], os.getpid())
    assert signals("SigBlk", found) == set()
    assert signals("SigIgn", found) - INTERNAL <= {signal.SIGPIPE, signal.SIGXFSZ}  # its own interpreter ignores those
    assert sorted(found["descriptors"]) == ["0", "1", "2"]
    assert {key: found["environment"].get(key) for key in ENVIRONMENT} == ENVIRONMENT
    assert set(found["environment"]) <= {*ENVIRONMENT, "LC_CTYPE"}  # by its own interpreter, see PEP 538
    assert found["directory"] == os.path.realpath(directory)


def test_not_even_pipe_is_ignored(spawner: Spawner) -> None:
    """Python ignores PIPE and XFSZ; a program that we start does not inherit that."""
    code, output = spawner.run("grep", "^SigIgn", "/proc/self/status")
    assert code == 0
    assert signal_set(output.split()[1]) - INTERNAL == set()


def test_the_daemon_itself_stays_at_the_root(spawner: Spawner) -> None:
    """Neither a program that was started nor one that was not leaves us in its directory."""
    os.chdir("/usr")
    assert spawner.run("true", directory=spawner.folder)[0] == 0
    assert os.getcwd() == "/"
    spawner.fails(spawner.launch("/nonexistent", directory=spawner.folder))
    assert os.getcwd() == "/"
    spawner.fails(spawner.launch("true", directory="/nonexistent"))
    assert os.getcwd() == "/"


@pytest.mark.parametrize("argument", ["", "--", "a b", "*", "$HOME", "new\nline", "\udcff", "ä", "x" * 100_000])
def test_arguments_arrive_as_they_are(spawner: Spawner, argument: str) -> None:
    """No shell looks at them."""
    path = os.path.join(spawner.folder, "arguments")
    script = spawner.file("script", b'#!/bin/sh\nprintf "%s\\n" "$#" "$1" > "$2"\n')
    assert spawner.run(script, argument, path)[0] == 0
    with open(path, "rb") as file:
        assert file.read() == b"2\n" + os.fsencode(argument) + b"\n"


@pytest.mark.parametrize("value", ["", "a=b", "%s%n", "new\nline", "\udcff", "x" * 120_000])
def test_variables_arrive_as_they_are(spawner: Spawner, value: str) -> None:
    """Empty, odd and large values too, and in one program's environment only."""
    code, output = spawner.run("sh", "-c", 'printf %s "$ODD"', environment={**ENVIRONMENT, "ODD": value})
    assert (code, output) == (0, value.replace("\udcff", "\ufffd"))
    assert "ODD" not in os.environ


INHERIT = """
import json, os, signal
from supervisor.core.spec import Transparent
from supervisor.runtime.spawn import Launch, spawn
ignored = {signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM}
for number in ignored:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
transparent = None
if sys.argv[1] != "service":
    transparent = Transparent(frozenset({10, 14}), sys.argv[1] == "session")
environment = {"PATH": os.environ["PATH"]}
if sys.argv[2] == "fork":
    environment["LISTEN_PID"] = str(os.getpid())
command = ("cat", "/proc/self/status", "/proc/self/environ")
pid = spawn(Launch(command=command, directory="/", environment=environment, transparent=transparent))
print("GROUP", os.getpgid(pid), os.getsid(pid), flush=True)
os.waitpid(pid, 0)
print("\\nCHILD", pid, os.getsid(0), os.getpid())
"""


@pytest.mark.parametrize("way", ["spawn", "fork"])
@pytest.mark.parametrize("kind", ["service", "session", "group"])
def test_what_is_passed_on(kind: str, way: str) -> None:
    """The single command gets the mask and the ignored signals that we were given; a service gets neither.

    Both ways of starting a program, and with and without a session of its own.
    """
    done = run_isolated(INHERIT, kind, way)
    assert (done.stderr, done.returncode) == ("", 0)
    words = [re.split("[:=\\s]+", line) for line in re.split("[\\n\\0]", done.stdout)]
    found = {name: values for name, *values in words}
    assert signal_set(found["SigBlk"][0]) == (set() if kind == "service" else {10, 14})
    assert signal_set(found["SigIgn"][0]) - INTERNAL == (set() if kind == "service" else {1, 12, 15})
    child, own_session, daemon = found["CHILD"][:3]
    assert found["GROUP"][:2] == [child, own_session if kind == "group" else child]
    assert found["Pid"] == [child]
    assert found.get("LISTEN_PID") == ([child] if way == "fork" else None)
    assert child != daemon


def test_a_listen_pid_that_is_not_ours_stays(spawner: Spawner) -> None:
    """Only the number that means this very process is rewritten."""
    code, output = spawner.run("sh", "-c", "echo $LISTEN_PID", environment={**ENVIRONMENT, "LISTEN_PID": "1"})
    assert (code, output) == (0, "1\n")


# Descriptors


SHOW_DESCRIPTORS = """
import os
for number in map(int, sorted(os.listdir("/proc/self/fd"), key=int)):
    try:
        target = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        continue
    if not target.endswith("/fd"):
        print(number, target)
"""


class Files:
    """Files that are open under given numbers of a process of their own, named by these."""

    SOURCE = """
import os
from supervisor.core.spec import Transparent
from supervisor.runtime.spawn import Launch, spawn
from supervisor.runtime.confinement import confine
from supervisor.core.spec import Isolation
folder, places, way, script = sys.argv[1], eval(sys.argv[2]), sys.argv[3], sys.argv[4]
os.set_inheritable(1, False)
for number in places.values():
    fd = os.open(f"{folder}/{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    if fd != number:
        os.dup2(fd, number, inheritable=False)
        os.close(fd)
before = sorted(os.listdir("/proc/self/fd"))
confinement = confine(Isolation(nice=os.nice(0)), None, None) if way == "fork" else None
pid = spawn(Launch(command=(sys.executable, "-I", "-S", "-c", script), directory="/", environment={},
    streams={1: 1, **places}, confinement=confinement))
assert sorted(os.listdir("/proc/self/fd")) == before, "descriptors leak"
assert os.waitpid(pid, 0)[1] == 0
"""

    @classmethod
    def placed(cls, folder: str, places: dict[int, int], way: str) -> dict[int, int]:
        """Which of our numbers each number of the program is, by what it has open from 3 on."""
        done = run_isolated(cls.SOURCE, folder, repr(places), way, SHOW_DESCRIPTORS)
        assert (done.stderr, done.returncode) == ("", 0)
        lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
        return {int(number): int(os.path.basename(target)) for number, target in lines if int(number) > 2}


@pytest.mark.parametrize("way", ["spawn", "fork"])
@pytest.mark.parametrize(
    "places",
    [
        {3: 20},
        {3: 20, 7: 21},
        {20: 20},
        {3: 4, 4: 3},
        {3: 4, 4: 5, 5: 3},
        {5: 4, 4: 3},
        {3: 4, 4: 4},
        {3: 20, 20: 20},
        {30: 20, 20: 30, 25: 25},
        {3: 20, 4: 20},
    ],
    ids=str,
)
def test_descriptors_get_their_numbers(tmp_path: os.PathLike[str], places: dict[int, int], way: str) -> None:
    """Whatever number a descriptor has here, it has the wanted one there, and nobody else has any.

    Also when it is in its place already, and when two have to change places. Ours are as before.
    """
    assert Files.placed(os.fspath(tmp_path), places, way) == places


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_no_descriptor_to_lift_another_out_of_the_way(way: str) -> None:
    """A stage of its own, which may go through later; nothing is left open."""
    source = f"""
import os, resource, fcntl
import supervisor.runtime.fork
from supervisor.core.spec import Isolation
from supervisor.runtime.confinement import confine
from supervisor.runtime.spawn import Launch, SpawnError, spawn
first = os.open("/dev/null", os.O_RDONLY)
second = os.dup(first)
last = os.dup(first)
resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, last + 1))
try:
    spawn(Launch(command=("true",), directory="/", environment={{}}, streams={{first: second, second: first}},
        confinement=confine(Isolation(nice=os.nice(0)), None, None) if {way == "fork"} else None))
except SpawnError as error:
    print(error.stage, error.number, error.transient)
"""
    done = run_isolated(source)
    assert (done.stdout, done.stderr) == (f"descriptors {errno.EMFILE} True\n", "")


# Finding the program


def test_a_program_is_searched_for_as_execvp_does(spawner: Spawner) -> None:
    """The first in the path that may be executed: folders, other files and missing folders are passed over."""
    for folder in ("directory/tool", "plain", "right", "later"):
        os.makedirs(os.path.join(spawner.folder, folder))
    spawner.file("plain/tool", b"#!/bin/sh\nexit 1\n", 0o644)
    spawner.file("right/tool", b"#!/bin/sh\nexit 42\n")
    spawner.file("later/tool", b"#!/bin/sh\nexit 43\n")
    names = ("missing", "directory", "plain", "right", "later")
    path = ":".join(os.path.join(spawner.folder, name) for name in names)
    assert spawner.run("tool", environment={"PATH": path})[0] == 42
    assert find_program("tool", path) == os.path.join(spawner.folder, "right/tool")


def test_an_empty_entry_of_the_path_is_the_working_directory(spawner: Spawner) -> None:
    """As POSIX has it, and the directory is the program's own."""
    spawner.file("tool", b"#!/bin/sh\nexit 42\n")
    assert spawner.run("tool", environment={"PATH": "/bin:"}, directory=spawner.folder)[0] == 42


def test_a_name_with_a_slash_is_not_searched_for(spawner: Spawner) -> None:
    """It is a path, relative to the program's directory."""
    spawner.file("bin/tool", b"#!/bin/sh\nexit 42\n")
    assert spawner.run("bin/tool", directory=spawner.folder)[0] == 42
    assert spawner.run("./bin/tool", directory=spawner.folder)[0] == 42


def test_without_a_path_the_usual_places_are_searched(spawner: Spawner) -> None:
    """An environment without PATH still finds the system's programs."""
    assert spawner.run("true", environment={})[0] == 0


@pytest.mark.parametrize("name", ["", "no-such-program-anywhere"])
def test_a_name_that_is_nowhere_is_not_found(spawner: Spawner, name: str) -> None:
    """ENOENT, exit code 127, with the places that were searched; an empty name is nowhere too, as in execvp(3)."""
    error = spawner.fails(spawner.launch(name))
    assert (error.stage, errno.errorcode[error.number], error.exit_code) == ("exec", "ENOENT", 127)
    assert ENVIRONMENT["PATH"] in str(error) or not name


def test_a_name_that_may_not_be_executed_is_refused(spawner: Spawner) -> None:
    """EACCES and 126 when the path has only files that may not be executed; the file is named."""
    path = spawner.file("tool", b"#!/bin/sh\n", 0o644)
    error = spawner.fails(spawner.launch("tool", environment={"PATH": f"/nonexistent:{spawner.folder}"}))
    assert (error.number, error.exit_code) == (errno.EACCES, 126)
    assert repr(path) in str(error)


# Texts and interpreters


def test_a_text_without_an_interpreter_line_runs_by_the_shell(spawner: Spawner) -> None:
    """As under execvp(3), with its arguments, also when it was found by the path."""
    spawner.file("text", b'test "$1" = "a b" && exit 42\n')
    assert spawner.run(os.path.join(spawner.folder, "text"), "a b")[0] == 42
    assert spawner.run("text", "a b", environment={"PATH": spawner.folder})[0] == 42


@pytest.mark.parametrize("line", [b"#!/nonexistent/python", b"#! /nonexistent/python -u", b"#!\t/nonexistent/python\t"])
def test_a_missing_interpreter_is_named(spawner: Spawner, line: bytes) -> None:
    """To say "no such file" about a script that is there helps nobody: the interpreter is what does not exist."""
    path = spawner.file("script", line + b"\nexit 0\n")
    error = spawner.fails(spawner.launch(path))
    assert (error.stage, error.number, error.exit_code) == ("exec", errno.ENOENT, 127)
    assert "its interpreter '/nonexistent/python' does not exist" in str(error)
    assert repr(path) in str(error)


# Failures


def _missing(spawner: Spawner) -> Launch:
    return spawner.launch("/nonexistent/tool")


def _plain(spawner: Spawner) -> Launch:
    return spawner.launch(spawner.file("plain", b"x", 0o644))


def _directory(spawner: Spawner) -> Launch:
    return spawner.launch(spawner.folder)


def _loop(spawner: Spawner) -> Launch:
    path = os.path.join(spawner.folder, "loop")
    os.symlink(path, path)
    return spawner.launch(path)


def _long_name(spawner: Spawner) -> Launch:
    return spawner.launch("/" + "x" * 5000)


def _too_big(spawner: Spawner) -> Launch:
    return spawner.launch("/bin/true", *["x" * 100_000] * 30)


def _not_a_folder(spawner: Spawner) -> Launch:
    return spawner.launch(spawner.file("plain", b"x") + "/tool")


def _broken_binary(spawner: Spawner) -> Launch:
    return spawner.launch(spawner.file("binary", b"\x7fELF" + bytes(100)), command=("/bin/sh/",))


FAILURES: dict[str, tuple[Callable[[Spawner], Launch], int, int]] = {
    "missing": (_missing, errno.ENOENT, 127),
    "no x bit": (_plain, errno.EACCES, 126),
    "directory": (_directory, errno.EACCES, 126),
    "link loop": (_loop, errno.ELOOP, 126),
    "long name": (_long_name, errno.ENAMETOOLONG, 126),
    "too big": (_too_big, errno.E2BIG, 126),
    "file as folder": (_not_a_folder, errno.ENOTDIR, 127),
    "trailing slash": (_broken_binary, errno.ENOTDIR, 127),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_told_in_words(spawner: Spawner, kind: str) -> None:
    """Stage, errno, path and words; nothing is left: no process, no descriptor."""
    make, number, code = FAILURES[kind]
    launch = make(spawner)
    before = sorted(os.listdir("/proc/self/fd"))
    error = spawner.fails(launch)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert (error.stage, errno.errorcode[error.number], error.exit_code) == ("exec", errno.errorcode[number], code)
    assert not error.transient
    assert str(error).startswith(f"{STAGES['exec']} ")
    assert os.strerror(number) in str(error)
    assert launch.command[0] in str(error)
    assert procfs.zombies(os.getpid()) == []


def test_a_directory_is_called_one(spawner: Spawner) -> None:
    """To say "permission denied" about a folder that anybody may enter helps nobody."""
    assert "it is a directory" in str(spawner.fails(spawner.launch(spawner.folder)))


def test_a_program_that_is_being_written_is_busy(spawner: Spawner) -> None:
    """ETXTBSY, and it is started when the writer is done."""
    with open("/bin/true", "rb") as file:
        path = spawner.file("busy", file.read())
    with open(path, "ab"):
        error = spawner.fails(spawner.launch(path))
        assert (error.number, error.exit_code) == (errno.ETXTBSY, 126)
    assert spawner.run(path)[0] == 0


@pytest.mark.parametrize(
    ("directory", "number"),
    [("/nonexistent", errno.ENOENT), ("/bin/sh", errno.ENOTDIR), ("/" + "x" * 300, errno.ENAMETOOLONG)],
)
def test_a_directory_that_is_none_is_a_stage_of_its_own(spawner: Spawner, directory: str, number: int) -> None:
    """The directory is named, the code is 1: the program is not at fault."""
    error = spawner.fails(spawner.launch("true", directory=directory))
    assert (error.stage, errno.errorcode[error.number], error.exit_code) == ("chdir", errno.errorcode[number], 1)
    assert repr(directory) in str(error)


FORK_FAILURES = """
import errno, os, resource
from supervisor.runtime.spawn import Launch, SpawnError, spawn
def launch(**settings):
    environment = {"PATH": "/bin:/usr/bin", "LISTEN_PID": str(os.getpid())}
    given = {"command": ("true",), "directory": "/", "environment": environment, **settings}
    return Launch(**given)
def fails(**settings):
    before = sorted(os.listdir("/proc/self/fd"))
    try:
        spawn(launch(**settings))
    except SpawnError as error:
        assert sorted(os.listdir("/proc/self/fd")) == before, "descriptors leak"
        print(error.stage, errno.errorcode[error.number], error.exit_code, error.pid is not None, sep="|", end="|")
        print(error)
        if error.pid is not None:
            assert os.waitstatus_to_exitcode(os.waitpid(error.pid, 0)[1]) == 127
    else:
        print("started")
"""


@pytest.mark.parametrize(
    ("call", "start", "words"),
    [
        ("fails(command=('/nonexistent/tool',))", "exec|ENOENT|127|True|", "'/nonexistent/tool'"),
        ("fails(command=('/tmp',))", "exec|EACCES|126|True|", "it is a directory"),
        ("fails(command=('/bin/true', *['x' * 100000] * 30))", "exec|E2BIG|126|True|", "Argument list too long"),
        ("fails(directory='/nonexistent')", "chdir|ENOENT|1|True|", "'/nonexistent'"),
        ("fails(terminal=0)", "terminal|ENOTTY|1|True|", STAGES["terminal"]),
        (
            "resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4)); os.dup(0)\nfails()",
            "fork|EMFILE|1|False|",
            "Too many open files",
        ),
    ],
)
def test_a_forked_failure_comes_back_through_the_pipe(call: str, start: str, words: str) -> None:
    """Each stage of the child is told with its errno, and the process that tried is named for the reaper."""
    if "NOFILE" in call:
        call = call.replace("fails()", "limited()")
        call = (
            "def limited():\n    try:\n        spawn(launch())\n    except SpawnError as error:\n"
            "        print(error.stage, errno.errorcode[error.number], error.exit_code, error.pid is not None, "
            "sep='|', end='|')\n        print(error)\n" + call
        )
    done = run_isolated(FORK_FAILURES + call)
    assert done.stderr == ""
    assert done.stdout.startswith(start), done.stdout
    assert words in done.stdout


def test_a_forked_text_runs_by_the_shell(spawner: Spawner) -> None:
    """The second way to start a program knows what the first one knows."""
    path = spawner.file("text", b'echo "text $1 $0"\n')
    source = f"pid = spawn(launch(command=({path!r}, 'a b')))\nos.waitpid(pid, 0)\n"
    done = run_isolated(FORK_FAILURES + source)
    assert (done.stdout, done.stderr) == (f"text a b {path}\n", "")


LIMITS = """
import errno, os, resource
from supervisor.runtime.spawn import Launch, SpawnError, spawn
import supervisor.runtime.fork  # the user below may not be able to read it
os.setgroups([]) if os.geteuid() == 0 else None
if os.geteuid() == 0:
    os.setresgid(54321, 54321, 54321)
    os.setresuid(54321, 54321, 54321)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
environment = {"PATH": "/bin:/usr/bin"}
if sys.argv[1] == "fork":
    environment["LISTEN_PID"] = str(os.getpid())
try:
    spawn(Launch(command=("true",), directory="/", environment=environment))
except SpawnError as error:
    print(error.stage, errno.errorcode[error.number], error.exit_code, error.transient)
"""


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_out_of_processes_is_transient(way: str) -> None:
    """EAGAIN is the machine's, not the program's: it may go through later."""
    done = run_isolated(LIMITS, way)
    assert (done.stdout, done.stderr) == ("fork EAGAIN 1 True\n", "")


def test_no_descriptor_leaks(spawner: Spawner) -> None:
    """Neither starts nor failures leave any: their number is the same after a hundred of each."""
    before = sorted(os.listdir("/proc/self/fd"))
    script = spawner.file("script", b"#!/nonexistent/interpreter\n")
    for _ in range(25):
        spawner.wait(spawner.start(spawner.launch("true")))
        for launch in (
            spawner.launch("no-such-program"),
            spawner.launch(script),
            spawner.launch(spawner.folder),
            spawner.launch("true", directory="/nonexistent"),
        ):
            spawner.fails(launch)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_reader_sees_the_end_of_a_program_that_never_was(spawner: Spawner) -> None:
    """No process that failed to start holds the pipe for its output open."""
    reader, writer = os.pipe()
    with pytest.raises(SpawnError):
        spawn(spawner.launch("/nonexistent", streams={1: writer}))
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_words(stage: str) -> None:
    """A complete sentence about it, to which subject, reason and hint are added."""
    error = SpawnError(stage, errno.EPERM, "/x", "because")
    assert str(error) == f"{STAGES[stage]} '/x': Operation not permitted (because)"
    assert str(SpawnError(stage, errno.EPERM)) == f"{STAGES[stage]}: Operation not permitted"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE])
def test_what_is_transient(number: int) -> None:
    """A lack of processes, memory or descriptors, when the machine is asked for them; not a program's own trouble."""
    assert SpawnError("fork", number).transient
    assert SpawnError("output", number).transient
    assert not SpawnError("exec", number).transient
    assert not SpawnError("fork", errno.EPERM).transient


def test_limits_and_umask_are_left_alone(spawner: Spawner) -> None:
    """What nobody configured is as we were given it."""
    found = spawner.describe()
    assert found["limits"]["RLIMIT_NOFILE"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))
    umask = os.umask(0o22)
    os.umask(umask)
    assert int(found["status"]["Umask"], 8) == umask


def test_a_transparent_launch_inherits_the_streams(spawner: Spawner) -> None:
    """Streams that the launch does not name are ours."""
    path = os.path.join(spawner.folder, "description.json")
    found = spawner.describe(streams={}, transparent=Transparent())
    assert os.path.exists(path)
    assert set(found["descriptors"]) == {"0", "1", "2"}
    assert stat.S_IFMT(os.fstat(1).st_mode)
    assert found["descriptors"]["1"] == os.readlink("/proc/self/fd/1")
