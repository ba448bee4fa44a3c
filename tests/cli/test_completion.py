"""Completion, by the real shells, of a command line that is asked for and not written down twice."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from supervisor.cli.arguments import CLIENTS, OWN
from supervisor.cli.calls import ADDERS
from supervisor.cli.shells.tables import KINDS, commands
from tests.cli.conftest import Talking
from tests.cli.running import environment, run
from tests.cli.talking import Running
from tests.helpers.settings import service, table
from tests.runtime.isolated import ROOT

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
SERVICES = [service(name, "sleep", "1000") for name in ("web", "worker", "database")]

Complete = Callable[[str], set[str]]

CASES = [
    ("st", {"status", "start", "stop"}),
    ("sta", {"status", "start"}),
    ("stop w", {"web", "worker"}),
    ("stop web d", {"database"}),
    ("stop --timeout 3s web wo", {"worker"}),
    ("stop --ti", {"--timeout"}),
    ("restart --ro", {"--rolling"}),
    ("signal US", {"USR1", "USR2"}),
    ("signal HUP wo", {"worker"}),
    ("signal HUP --scope ", {"process", "group", "tree"}),
    ("logs --stream std", {"stdout", "stderr"}),
    ("run --log-level wa", {"warning"}),
    ("ping --re", {"--ready"}),
    ("completion z", {"zsh"}),
    ("check -c {root}/pyproj", {"{root}/pyproject.toml"}),
]


@pytest.fixture
def shell(talk: Talking, tmp_path: os.PathLike[str]) -> dict[str, str]:
    """Services whose names are there to be completed, and the environment in which a shell finds ``pausevisor``."""
    _, say = talk(QUIET, *SERVICES)
    folder = os.path.join(tmp_path, "bin")
    os.mkdir(folder)
    command = os.path.join(folder, "pausevisor")
    with open(command, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {sys.executable} -m supervisor "$@"\n')
    os.chmod(command, 0o755)
    for name in ("bash", "zsh", "fish"):
        with open(os.path.join(tmp_path, name), "w", encoding="utf-8") as file:
            file.write(run("completion", name).stdout)
    path = f"{folder}:{os.environ['PATH']}"
    home = {"HOME": os.fspath(tmp_path), "XDG_CONFIG_HOME": os.fspath(tmp_path), "XDG_DATA_HOME": os.fspath(tmp_path)}
    return {**environment(), **say.told, **home, "PATH": path, "SCRIPTS": os.fspath(tmp_path)}


def need(name: str) -> None:
    """Skip where there is no such shell."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")


def output(command: list[str], variables: dict[str, str]) -> str:
    """What a shell prints."""
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL
    )
    return done.stdout


def bash(line: str, variables: dict[str, str]) -> set[str]:
    """What bash would offer: its words are made as readline makes them, and the function it would call is called."""
    script = """
source "$SCRIPTS/bash"
read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ $(complete -p pausevisor) == *'-F _pausevisor '* ]] || exit 1
_pausevisor 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
    return set(output(["bash", "--norc", "-c", script, "bash", line], variables).split())


def fish(line: str, variables: dict[str, str]) -> set[str]:
    """What fish says that it would offer."""
    script = "source $SCRIPTS/fish; complete -C $argv[1]"
    found = output(["fish", "--no-config", "-c", script, line], variables)
    return {offer.split("\t")[0] for offer in found.splitlines()}


@pytest.mark.parametrize(("line", "expected"), CASES)
@pytest.mark.parametrize("ask", [bash, fish])
def test_what_is_offered(
    shell: dict[str, str], ask: Callable[[str, dict[str, str]], set[str]], line: str, expected: set[str]
) -> None:
    """Commands, options, their values, names of services that the daemon was asked for, and paths."""
    need(ask.__name__)
    assert ask("pausevisor " + line.format(root=ROOT), shell) == {word.format(root=ROOT) for word in expected}


@pytest.mark.parametrize("ask", [bash, fish])
def test_the_daemon_that_the_line_names_is_asked(
    shell: dict[str, str], ask: Callable[[str, dict[str, str]], set[str]]
) -> None:
    """Another socket has other services: none here."""
    need(ask.__name__)
    assert ask("pausevisor stop --control /nowhere w", shell) == set()
    path = shell.pop("PAUSEVISOR_CONTROL")
    assert ask(f"pausevisor stop --control {path} w", shell) == {"web", "worker"}


def test_every_option_is_offered(shell: dict[str, str]) -> None:
    """Each option of each parser, in bash and in fish."""
    for command in commands():
        expected = {name for option in command.options for name in option.names}
        assert bash(f"pausevisor {command.name} -", shell) >= expected, command.name
    need("fish")
    for command in commands():
        expected = {name for option in command.options for name in option.names if name.startswith("--")}
        assert fish(f"pausevisor {command.name} --", shell) >= expected, command.name


def test_in_zsh(shell: dict[str, str]) -> None:
    """On a terminal, by the tabulator: a command, names of services, a signal, an option."""
    need("zsh")
    settings = os.path.join(shell["SCRIPTS"], ".zshrc")
    with open(settings, "w", encoding="utf-8") as file:
        file.write("autoload -Uz compinit; compinit -u -D; source $SCRIPTS/zsh; PS1='ready> '; setopt no_beep\n")
    shell["ZDOTDIR"] = shell["SCRIPTS"]
    running = Running(["zsh", "-i"], {**shell, "TERM": "dumb"}, ("terminal", "terminal"), (200, 50))
    try:
        running.wait_for("ready> ", running.keyboard)
        cases = (
            ("pausevisor shutd\t", "shutdown"),
            ("pausevisor stop da\t", "database"),
            ("pausevisor signal WIN\t", "WINCH"),
            ("pausevisor signal HUP wo\t", "worker"),
            ("pausevisor restart --rol\t", "--rolling"),
            ("pausevisor stop w\t\t", "worker"),
            ("pausevisor run -- trunc\t", "truncate"),
            ("pausevisor run -- ls /etc/passw\t", "/etc/passwd"),
        )
        for number, (typed, expected) in enumerate(cases):
            running.press(typed)
            running.wait_for(expected, running.keyboard)
            running.press(f"\x15print -r -- 'over'-{number}\r")  # as typed it has quotes: only what is printed has none
            running.wait_for(f"over-{number}")
            running.keyboard.raw.clear()
    finally:
        running.press("\x15exit\r")
        running.end()


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_shell_takes_the_script(name: str, tmp_path: os.PathLike[str]) -> None:
    """Without a complaint, though nobody has configured anything."""
    need(name)
    script = os.path.join(tmp_path, "script")
    with open(script, "w", encoding="utf-8") as file:
        file.write(run("completion", name).stdout)
    done = subprocess.run([name, "-n", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_are_given_to_shells_only_when_there_are_some(talk: Talking) -> None:
    """One a line; nothing, and no complaint, where there is no daemon: a shell could show it to nobody."""
    _, say = talk(QUIET, *SERVICES)
    assert say("completion", "services").stdout == "web\nworker\ndatabase\n"
    assert say("completion", "bases").stdout == "web\nworker\ndatabase\n"
    done = run("completion", "services", "--control", "/nowhere")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


def test_a_hanging_daemon_is_not_waited_for(talk: Talking) -> None:
    """Who has pressed the tabulator gets nothing after a second, and not a shell that hangs."""
    daemon, say = talk(QUIET, *SERVICES)
    daemon.freeze()
    done = say("completion", "services")
    assert (done.code, done.stdout) == (0, "")
    daemon.signal("CONT")


def test_an_unknown_shell() -> None:
    """A mistake of usage, with what there is."""
    done = run("completion", "csh")
    assert (done.code, "bash, zsh, fish" in done.stderr) == (2, True)


def test_every_command_has_a_parser() -> None:
    """Help, parsers and completion speak of the same commands, and every kind of word is one that shells know."""
    assert set(ADDERS) == set(CLIENTS)
    assert [command.name for command in commands()] == [*OWN, *CLIENTS]
    for command in commands():
        for word in [*command.words, *(option.value for option in command.options if option.value is not None)]:
            assert not isinstance(word, str) or word in KINDS
