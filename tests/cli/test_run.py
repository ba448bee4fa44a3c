"""run and pause as real processes: what is said when they can't start, and that nothing was started then."""

import os
from collections.abc import Callable

import pytest

from tests.cli.running import run, shell
from tests.runtime.isolated import run_isolated

Write = Callable[..., str]


@pytest.fixture
def mark(tmp_path: os.PathLike[str]) -> str:
    """A file that every program of these tests makes, so that a start can't hide."""
    return os.path.join(tmp_path, "started")


def good(mark: str) -> str:
    """A service that leaves its mark and ends."""
    return f'[services.web]\ncommand = ["touch", "{mark}"]\nrestart = "never"\n'


def test_a_good_configuration_runs(write: Write, mark: str) -> None:
    """The mark is made, and the daemon ends when every service has finished: the tests below can fail."""
    assert run("run", "-c", write(good(mark))).code == 0
    assert os.path.exists(mark)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[services.db]\n", ["services.db", "command"]),
        ('[services.db]\ncommand = ["x"]\nrestart = "often"\n', ["services.db.restart", "often", "on-failure"]),
        ('[services.db]\ncommand = ["x"]\nneeds = ["nowhere"]\n[supervisor]\nmain = "gone"\n', ["gone"]),
        ('[supervisor]\non-failure = 3\n[signals]\nSIGFOO = "ignore"\n', ["supervisor.on-failure", "SIGFOO"]),
        ("this is no toml", ["line 4"]),
    ],
)
def test_a_bad_configuration_starts_nothing(write: Write, mark: str, more: str, words: list[str]) -> None:
    """Exit code 78; every error at once on stderr, nothing on stdout, no traceback, and no service was started."""
    path = write(good(mark) + more)
    done = run("run", "-c", path)
    assert (done.code, done.stdout) == (78, "")
    assert "nothing was started" in done.stderr
    assert path in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert not os.path.exists(mark)


def test_all_files_are_read_before_anything_is_said(write: Write, mark: str) -> None:
    """Errors of several files come together, a service defined twice among them."""
    first = write(good(mark) + "nonsense = 1\n", "first.toml")
    second = write(good(mark), "second.toml")
    done = run("run", "-c", first, "-c", second, "-c", "/nonexistent/third.toml")
    assert done.code == 78
    assert all(
        word in done.stderr for word in ("nonsense", first, second, "/nonexistent/third.toml", "already defined")
    )
    assert not os.path.exists(mark)


def test_a_bad_configuration_beside_a_command_starts_neither(write: Write, mark: str) -> None:
    """The command does not run either."""
    done = run("run", "-c", write("nonsense = 1\n"), "--", "touch", mark)
    assert done.code == 78
    assert not os.path.exists(mark)


@pytest.mark.parametrize("path", ["/nonexistent/log", "/dev/null/log", "/"])
@pytest.mark.parametrize("form", ["services", "single", "pause"])
def test_a_log_that_cant_be_written_starts_nothing(write: Write, mark: str, form: str, path: str) -> None:
    """Exit code 78, and the path with what the kernel said: better than a daemon nobody hears."""
    forms = {
        "services": ["run", "--log-to", path, "-c", write(good(mark))],
        "single": ["run", "--log-to", path, "--", "touch", mark],
        "pause": ["pause", "--log-to", path],
    }
    done = run(*forms[form])
    assert (done.code, done.stdout) == (78, "")
    assert repr(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert not os.path.exists(mark)


@pytest.mark.parametrize("arguments", [["run", "--nonsense"], ["run", "touch"], ["run", "--"], ["nonsense"], []])
def test_a_wrong_command_line_starts_nothing(arguments: list[str], write: Write, mark: str) -> None:
    """Exit code 2, with a hint, whatever else is right."""
    given = [*arguments, "-c", write(good(mark))] if arguments[:1] == ["run"] and "--" not in arguments else arguments
    done = run(*given)
    assert (done.code, done.stdout) == (2, "")
    assert "--help" in done.stderr
    assert not os.path.exists(mark)


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_configuration_from_a_shells_substitution(write: Write, mark: str, verb: str) -> None:
    """What ``-c <(...)`` makes is a FIFO behind a descriptor: that is said, and not that there is nothing."""
    fifo = f"{mark}.fifo"
    os.mkfifo(fifo)
    done = run(verb, "-c", "/dev/fd/5", "-c", write(good(mark)), launcher=shell(f"exec 5<>{fifo}"))
    assert done.code == 78
    assert "/dev/fd/5: is a FIFO; allowed: a regular file" in done.stderr
    assert not os.path.exists(mark)


def test_a_configuration_behind_a_descriptor(write: Write, mark: str) -> None:
    """A regular file is read by way of it, and no program has the descriptor."""
    script = f"touch {mark}; test ! -e /proc/self/fd/5"
    path = write(f'[services.web]\ncommand = ["sh", "-c", "{script}"]\nrestart = "never"\n')
    assert run("run", "-c", "/dev/fd/5", launcher=shell(f"exec 5<{path}")).code == 0
    assert os.path.exists(mark)


@pytest.mark.parametrize("closed", ["exec 2>&-", "exec >&- 2>&-", "exec <&- >&- 2>&-"])
def test_exit_codes_need_no_stream(closed: str) -> None:
    """With nobody to tell, the exit code says it all the same: bad configuration, wrong command line."""
    assert run("run", "-c", "/nonexistent", launcher=shell(closed)).code == 78
    assert run("run", "--nonsense", launcher=shell(closed)).code == 2
    assert run("run", "--log-to", "/nonexistent/x", "--", "true", launcher=shell(closed)).code == 78


@pytest.mark.parametrize("closed", ["exec <&-", "exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"])
def test_a_command_runs_without_streams(closed: str, mark: str) -> None:
    """Closed streams are no reason not to run, and none of ours takes their number."""
    script = f"touch {mark}; ls -l /proc/self/fd | grep -c 'pipe\\|socket\\|anon' > {mark}.count; exit 3"
    assert run("run", "--", "sh", "-c", script, launcher=shell(closed)).code == 3
    assert os.path.exists(mark)


def test_the_single_commands_streams_are_its_own() -> None:
    """Nothing of ours is on stdout, and nothing on stderr when nothing is wrong."""
    done = run("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.code, done.stdout, done.stderr) == (3, "out\n", "err\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["/nonexistent"], 127),
        ([""], 127),
        (["/"], 126),
    ],
)
def test_the_commands_status_is_ours(command: list[str], code: int) -> None:
    """As a shell would have it, and as tini returns it."""
    assert run("run", "--", *command).code == code


@pytest.mark.parametrize(("code", "ours"), [("3", 0), ("4", 4)])
def test_a_code_may_count_as_success(code: str, ours: int) -> None:
    """It is exchanged for 0, others are not."""
    assert run("run", "--success-exit-code", "3", "--", "sh", "-c", f"exit {code}").code == ours


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_sockets_that_are_not_there_are_no_mistake(mark: str, count: int) -> None:
    """A manager that promised more sockets than it opened leaves the command running, with its own pid to look for."""
    launcher = shell(f"export LISTEN_PID=$$ LISTEN_FDS={count}; exec 3</dev/null")
    script = f'test "$LISTEN_PID" = $$ && touch {mark}'
    done = run("run", "--", "sh", "-c", script, launcher=launcher)
    assert (done.code, done.stderr) == (0, "")
    assert os.path.exists(mark)


WITHOUT_UVLOOP = """
import runpy
sys.modules["uvloop"] = None
sys.argv[1:] = ["run", "--loop", "uvloop", "--", "touch", sys.argv[1]]
runpy.run_module("supervisor", run_name="__main__")
"""


def test_a_loop_that_is_not_installed_is_told_before_anything_starts(mark: str) -> None:
    """Asked for uvloop where there is none: an error in words, and no program that is left running without us."""
    done = run_isolated(WITHOUT_UVLOOP, mark)
    assert done.returncode in {2, 78}
    assert "uvloop" in done.stderr
    assert "Traceback" not in done.stderr
    assert not os.path.exists(mark)


@pytest.mark.parametrize("limit", range(6, 24))
def test_a_start_without_descriptors_ends_or_is_honest(mark: str, limit: int) -> None:
    """However few descriptors there are: either the command runs and its status is ours, or nothing was started.

    What may not happen is a command that runs, and a daemon that says it does not, dies, or never sees its end.
    """
    launcher = shell(f'ulimit -n {limit}; set -- timeout --signal=KILL 10 "$@"')
    done = run("run", "--success-exit-code", "3", "--", "touch", mark, launcher=launcher)
    started = os.path.exists(mark)
    assert done.code == 0 if started else done.code in {1, 70, 78}, done
    assert not (started and "nothing was started" in done.stderr), done
    assert "Traceback" not in done.stderr


def test_no_end_is_missed_when_descriptors_run_out(write: Write) -> None:
    """With every descriptor in use by other services' output, the main service's end is still seen, and is ours."""
    quiet = 'stdout = "null"\nstderr = "null"\nrestart = "never"\n'
    main = f'[services.main]\ncommand = ["sh", "-c", "sleep 1; exit 3"]\n{quiet}'
    greedy = "".join(f'[services.s{number}]\ncommand = ["sleep", "100"]\nstderr = "null"\n' for number in range(50))
    path = write(f'[supervisor]\nmain = "main"\n{main}{greedy}')
    done = run("run", "-c", path, launcher=shell('ulimit -n 50; set -- timeout --signal=KILL 15 "$@"'))
    assert "Too many open files" in done.stdout
    assert '"internal_error"' not in done.stdout
    assert done.code == 3
