"""Loading: the specs that come of files, alone and together, and all problems at once."""

import os
import pathlib
import subprocess
import sys

import pytest

from supervisor.config.load import ConfigError, Problem, Settings, load
from supervisor.config.service_fields import SERVICE
from supervisor.core import signals
from supervisor.core.spec import (
    DEFAULT_SIGNALS,
    Cgroup,
    FleetSpec,
    Forward,
    Ignore,
    Isolation,
    LogSpec,
    OnFailure,
    Output,
    Reload,
    Restart,
    RestartLimit,
    ServiceSpec,
    Shutdown,
    StopScope,
    WhenDone,
)
from tests.config.loading import WEB, load_text, problems, web, write

EVERYTHING = """
[supervisor]
main = "web"
on-failure = "ignore"
when-done = "pause"
stop-timeout = "3s"
shutdown-timeout = "1m30s"
drain-delay = "250ms"

[signals]
SIGHUP = "ignore"
USR1 = "forward"
SIGUSR2 = { forward = "SIGHUP", services = ["web", "job", "web"] }
"SIGRTMIN+1" = { forward = "SIGKILL" }
QUIT = "reload"
ALRM = "shutdown"

[log]
format = "logfmt"
level = "debug"
to = "logs/${NAME}.log"
max-record = "1KiB"

[services.web]
command = ["web", "--home=${HOME_OF_WEB:-/srv}"]
directory = "www"
environment = { PORT = "${PORT:-8080}", EMPTY = "" }
inherit-environment = ["LANG", "APP_*"]
environment-files = ["web.env", "-/etc/${NAME}.env"]
secret-files = { PASSWORD = "/run/secrets/password" }
user = "${NAME_OF_USER:-nobody}"
group = 12
supplementary-groups = ["adm", "0"]
umask = "0027"
nice = -5
limits = { nofile = 65536, core = 0, as = "1GiB", cpu = "unlimited", nproc = { soft = 10, hard = "infinity" } }
oom-score-adjust = 500
no-new-privileges = true
capabilities = ["net_bind_service", "CAP_CHOWN", "cap_kill", "SETUID"]
cpu-affinity = [3, "0-1"]
cgroup = { memory-max = "200MiB", pids-max = 100, cpu-max = 1.5 }
restart = "always"
restart-delay = "1s"
restart-max-delay = "2m"
restart-reset-after = "1h"
restart-limit = { count = 2, within = "1d" }
success-exit-status = [0, 143, "SIGTERM"]
stop-signal = "SIGQUIT"
stop-scope = "tree"
stop-timeout = "0s"
stdout = "inherit"
stderr = "null"

[services.job]
command = "job 'one word' ${NAME} \\"$X\\""
restart-limit = "none"
"""


HEAVY = (
    "asyncio dataclasses difflib fnmatch inspect json logging pathlib random shlex socket structlog subprocess "
    "tempfile tomllib uvloop"
)
"""What a start does not need before its first child runs, or only for some files."""


def test_the_import_is_light() -> None:
    """Loading imports no more than it needs at once, for the first child waits for it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import supervisor.core.spec; before = set(sys.modules); "
        "import supervisor.config.load; print(*(set(sys.modules) - before))"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    ran = subprocess.run([sys.executable, "-I", "-c", code, root], capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert "supervisor.config.fields" in imported
    assert "supervisor.config.schema" not in imported
    assert imported.isdisjoint(HEAVY.split())


def test_nothing_is_the_defaults() -> None:
    """Without any path the fleet is empty and everything has its default."""
    assert load([], {}, "/") == Settings(FleetSpec(), LogSpec(), ())


def test_everything() -> None:
    """Every key of the format arrives in the specs."""
    environ = {"LANG": "C", "APP_A": "1", "OTHER": "2", "NAME": "two words", "PATH": "/bin"}
    settings = load_text(EVERYTHING, environ)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert settings.fleet.services == {
        "web": ServiceSpec(
            name="web",
            command=("web", "--home=/srv"),
            directory="/start/www",
            environment={
                "LANG": "C",
                "APP_A": "1",
                "PORT": "8080",
                "EMPTY": "",
                "PAUSEVISOR_SERVICE": "web",
                "PATH": path,
            },
            environment_files=("/start/web.env", "-/etc/two words.env"),
            secret_files={"PASSWORD": "/run/secrets/password"},
            explicit=frozenset({"PORT", "EMPTY", "PAUSEVISOR_SERVICE"}),
            isolation=Isolation(
                user="nobody",
                group="12",
                supplementary_groups=("adm", "0"),
                umask=0o027,
                nice=-5,
                limits={
                    "nofile": (65536, 65536),
                    "core": (0, 0),
                    "as": (2**30, 2**30),
                    "cpu": (-1, -1),
                    "nproc": (10, -1),
                },
                oom_score_adjust=500,
                no_new_privileges=True,
                capabilities=("net_bind_service", "chown", "kill", "setuid"),
                cpu_affinity=(0, 1, 3),
            ),
            cgroup=Cgroup(memory_max=200 * 2**20, pids_max=100, cpu_max=1.5),
            restart=Restart.ALWAYS,
            restart_delay=1.0,
            restart_max_delay=120.0,
            restart_reset_after=3600.0,
            restart_limit=RestartLimit(2, 86400.0),
            success_codes=frozenset({0, 143}),
            success_signals=frozenset({signals.SIGTERM}),
            stop_signal=signals.SIGQUIT,
            stop_scope=StopScope.TREE,
            stop_timeout=0.0,
            stdout=Output.INHERIT,
            stderr=Output.NULL,
        ),
        "job": ServiceSpec(
            name="job",
            command=("job", "one word", "two words", "$X"),
            directory="/start",
            environment={**environ, "PAUSEVISOR_SERVICE": "job"},
            explicit=frozenset({"PAUSEVISOR_SERVICE"}),
            restart_limit=None,
            stop_timeout=3.0,
        ),
    }
    assert settings.log == LogSpec(format="logfmt", level="debug", to="/start/logs/two words.log", max_record=1024)


def test_settings_of_the_daemon() -> None:
    """The daemon's own keys arrive, and signals that the file does not name keep their defaults."""
    fleet = load_text(EVERYTHING, {"NAME": "n"}).fleet
    assert (fleet.main, fleet.on_failure, fleet.when_done) == ("web", OnFailure.IGNORE, WhenDone.PAUSE)
    assert (fleet.shutdown_timeout, fleet.drain_delay) == (90.0, 0.25)
    assert fleet.signals == {
        **DEFAULT_SIGNALS,
        signals.SIGHUP: Ignore(),
        signals.SIGUSR1: Forward(),
        signals.SIGUSR2: Forward(signals.SIGHUP, ("web", "job")),
        35: Forward(signals.SIGKILL),
        signals.SIGQUIT: Reload(),
        14: Shutdown(),
    }


def test_the_default_signals_stay_as_they_are() -> None:
    """What a file says of a signal is for its own fleet, not for the next one."""
    load_text('[signals]\nTERM = "ignore"')
    assert load([], {}, "/").fleet.signals[signals.SIGTERM] == Shutdown()


def test_a_service_has_its_own_environment() -> None:
    """Two services share no dictionary, so that nothing done to one reaches the other."""
    services = load_text(f'{WEB}[services.b]\ncommand = ["b"]', {"A": "1"}).fleet.services
    assert services["web"].environment is not services["b"].environment


def test_services_keep_the_order_of_their_definition() -> None:
    """Services come as they were written, for that is the order in which they start and are listed."""
    text = "".join(f'[services.{name}]\ncommand = "x"\n' for name in ("z", "a", "m"))
    assert list(load_text(text).fleet.services) == ["z", "a", "m"]


def test_max_delay_is_never_below_a_long_delay() -> None:
    """A restart delay above the default maximum raises it, since nobody asked for less."""
    assert web('restart-delay = "5m"').restart_max_delay == 300.0
    assert web('restart-delay = "1s"').restart_max_delay == 30.0


def test_several_files_make_one_configuration(tmp_path: pathlib.Path) -> None:
    """Sections may be spread over files as long as no key comes twice; a reference may go from file to file."""
    folder = write(
        tmp_path,
        a='[supervisor]\nmain = "web"\n[signals]\nUSR1 = "ignore"\n[log]\nlevel = "error"',
        b=f'[supervisor]\nstop-timeout = "1s"\n[signals]\nUSR2 = "ignore"\n[log]\nmax-record = "1KB"\n{WEB}',
        c="[services.other]\ncommand = 'other'",
    )
    settings = load([folder], {}, "/")
    assert settings.fleet.main == "web"
    assert {name: spec.stop_timeout for name, spec in settings.fleet.services.items()} == {"web": 1.0, "other": 1.0}
    assert settings.fleet.signals[signals.SIGUSR1] == settings.fleet.signals[signals.SIGUSR2] == Ignore()
    assert settings.log == LogSpec(level="error", max_record=1000)
    assert settings.sources == tuple(f"{folder}/{name}.toml" for name in "abc")


def test_what_two_files_set_is_refused(tmp_path: pathlib.Path) -> None:
    """A service or a key that two files hold is a problem that names both, whether its value is right or not."""
    folder = write(
        tmp_path,
        a=f'{WEB}[supervisor]\nmain = "web"\n[log]\nlevel = "info"\n[signals]\nTERM = "ignore"',
        b=f'{WEB}[supervisor]\nmain = "nope"\n[log]\nlevel = "info"\n[signals]\nSIGTERM = "ignore"',
    )
    with pytest.raises(ConfigError) as caught:
        load([folder], {}, "/")
    first = f"in {folder}/a.toml; keep one of the two"
    assert {(problem.key, problem.message) for problem in caught.value.problems} == {
        ("services.web", f"already defined {first}"),
        ("supervisor.main", f"already set {first}"),
        ("supervisor.main", 'found "nope"; allowed: the name of a configured service'),
        ("log.level", f"already set {first}"),
        ("signals.SIGTERM", f"the same signal as TERM, set {first}"),
    }
    assert {problem.file for problem in caught.value.problems} == {f"{folder}/b.toml"}


def test_a_signal_by_two_names_is_refused() -> None:
    """One file cannot say two things of a signal either."""
    (problem,) = problems('[signals]\nSIGTERM = "ignore"\nTERM = "reload"')
    assert problem.startswith("signals.TERM: the same signal as SIGTERM, set in ")


def test_all_problems_at_once_in_the_order_of_the_files(tmp_path: pathlib.Path) -> None:
    """One run tells everything: what no file could be read for, syntax, keys, values, references."""
    folder = write(tmp_path, a="[services.web]\nrestart = 1\nx = 2\n", b="oops", c='[supervisor]\nmain = "web"\ny = 1')
    with pytest.raises(ConfigError) as caught:
        load([folder, "missing.toml"], {}, folder)
    assert [(os.path.basename(problem.file), problem.key) for problem in caught.value.problems] == [
        ("missing.toml", ""),
        ("b.toml", ""),
        ("a.toml", "services.web.restart"),
        ("a.toml", "services.web.x"),
        ("a.toml", "services.web.command"),
        ("c.toml", "supervisor.y"),
    ]
    assert str(caught.value).split("\n") == [str(problem) for problem in caught.value.problems]


def test_a_reference_is_not_judged_while_a_file_is_unreadable(tmp_path: pathlib.Path) -> None:
    """The service may be in the file that could not be read: its absence is no second problem."""
    folder = write(tmp_path, a="[services.web", b='[supervisor]\nmain = "web"')
    with pytest.raises(ConfigError) as caught:
        load([folder], {}, "/")
    assert [os.path.basename(problem.file) for problem in caught.value.problems] == ["a.toml"]


def test_a_reference_to_a_service_with_problems_is_right() -> None:
    """A service that is wrong in itself is there all the same."""
    assert problems('[supervisor]\nmain = "web"\n[services.web]\n') == [
        f"services.web.command: missing; allowed: {SERVICE.fields['command'].kind.allowed}"
    ]


def test_a_problem_as_text() -> None:
    """A problem is one line: file, key, message; without key it is about the file."""
    assert str(Problem("a.toml", "log.to", "wrong")) == "a.toml: log.to: wrong"
    assert str(Problem("a.toml", "", "wrong")) == "a.toml: wrong"


def test_a_problem_shows_no_control_characters(tmp_path: pathlib.Path) -> None:
    """Names of files, keys and messages can hold line ends and escapes: none of them gets through."""
    path = os.fsencode(tmp_path) + b"/a\n\xff.toml"
    with open(path, "wb") as file:
        file.write(b'"k\\n\\u001b" = 1\n[services.web]\ncommand = "${X:?one\\ntwo\\u2028}"')
    with pytest.raises(ConfigError) as caught:
        load([os.fsdecode(path)], {}, "/")
    lines = str(caught.value).split("\n")
    assert len(lines) == len(caught.value.problems) == 2
    assert all(line.isprintable() for line in lines)


def test_a_flood_of_problems_ends(tmp_path: pathlib.Path) -> None:
    """A file full of nonsense yields all its problems, without a search for what each might have meant."""
    folder = write(tmp_path, a=WEB + "".join(f"restart-dela{number} = 1\n" for number in range(5000)))
    with pytest.raises(ConfigError) as caught:
        load([folder], {}, "/")
    assert len(caught.value.problems) == 5000
    assert "did you mean 'restart-delay'" in caught.value.problems[0].message
    assert "did you mean" not in caught.value.problems[-1].message


def test_main_service_is_not_restarted_unless_it_is_said() -> None:
    """The exit of the main service ends the daemon: only a restart policy that is written down comes before that."""
    text = '[supervisor]\nmain = "web"\n[services.web]\ncommand = "web"\n[services.log]\ncommand = "log"\n'
    assert load_text(text).fleet.services["web"].restart is Restart.NEVER
    assert load_text(text).fleet.services["log"].restart is Restart.ON_FAILURE
    policy = text.replace('"web"\n[services.log]', '"web"\nrestart = "always"\n[services.log]')
    assert load_text(policy).fleet.services["web"].restart is Restart.ALWAYS
