"""Completion for bash, zsh and fish, from the tables of the parsers: what they know, the shells know."""

from __future__ import annotations

import argparse

from supervisor.cli import arguments, calls
from supervisor.core.record import Record
from supervisor.core.signals import NUMBERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Option(Record):
    """One option.

    Attributes:
        names: all its names.
        help: one line.
        value: what may follow: words, or :data:`KINDS`; None where nothing may.
    """

    names: tuple[str, ...]
    help: str
    value: tuple[str, ...] | str | None = None


class Command(Record):
    """One command: its options, and what each of its words may be; the last of them may repeat."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[tuple[str, ...] | str, ...]


KINDS = ("file", "service", "base", "signal", "any")
"""What a word may be where it is none of a few."""


def commands() -> list[Command]:
    """Every command, from its parser."""
    made = {name: (help_text, arguments.make_parser(name)) for name, help_text in arguments.OWN.items()}
    made |= {name: (help_text, calls.make_parser(name)) for name, help_text in arguments.CLIENTS.items()}
    return [_command(name, help_text, parser) for name, (help_text, parser) in made.items()]


def _command(name: str, help_text: str, parser: argparse.ArgumentParser) -> Command:
    options, words = [], []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to tell what it knows
        if action.help == argparse.SUPPRESS:
            continue
        if action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            options.append(Option(tuple(action.option_strings), action.help or "", value))
        else:
            words.append(_value(action))
    return Command(name, help_text, tuple(options), tuple(words))


def _value(action: argparse.Action) -> tuple[str, ...] | str:
    if action.choices is not None:
        return tuple(map(str, action.choices))
    told: tuple[str, ...] | str = getattr(action, "completes", "any")
    return told


def script(shell: str) -> str:
    """The script of a shell."""
    made: dict[str, Callable[[list[Command]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return made[shell](commands())


def _signals() -> list[str]:
    return [name.removeprefix("SIG") for name in NUMBERS]


# -- bash ----------------------------------------------------------------------------------------------------------

_BASH = """\
# bash completion for pausevisor. Load it by: source <(pausevisor completion bash)

__pausevisor_ask() {{
    local control=$2
    pausevisor completion "$1" ${{control:+--control "$control"}} 2>/dev/null
}}

# What may stand in the place of one word; $1 is its kind.
__pausevisor_offer() {{
    local kind=$1 word=$2 control=$3
    case $kind in
        file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        service) mapfile -t COMPREPLY < <(compgen -W "$(__pausevisor_ask services "$control")" -- "$word") ;;
        base)
            compopt -o nospace
            mapfile -t COMPREPLY < <(compgen -S = -W "$(__pausevisor_ask bases "$control")" -- "$word")
            ;;
        signal) mapfile -t COMPREPLY < <(compgen -W "{signals}" -- "${{word#SIG}}") ;;
        any) ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$word") ;;
    esac
}}

_pausevisor() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command=${{COMP_WORDS[1]}}
    local options= values= places= control= position=0 index
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "{commands}" -- "$word")
        return
    fi
    case $command in
{cases}
        *) return ;;
    esac
    local -A value_of=()
    eval "value_of=($values)"
    local -a kinds=()
    eval "kinds=($places)"
    for ((index = 2; index < COMP_CWORD; index++)); do
        if [[ ${{COMP_WORDS[index]}} == --control ]]; then control=${{COMP_WORDS[index + 1]}}; fi
        if [[ ${{COMP_WORDS[index]}} == -- ]]; then
            if [[ $command == run ]]; then
                if ((index + 1 == COMP_CWORD)); then
                    mapfile -t COMPREPLY < <(compgen -c -- "$word")
                else
                    __pausevisor_offer file "$word"
                fi
            fi
            return
        fi
        if [[ -n ${{value_of[${{COMP_WORDS[index]}}]-}} ]]; then index=$((index + 1)); continue; fi
        if [[ ${{COMP_WORDS[index]}} != -* ]]; then position=$((position + 1)); fi
    done
    if [[ -n ${{value_of[$before]-}} ]]; then __pausevisor_offer "${{value_of[$before]}}" "$word" "$control"; return; fi
    if [[ $word == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word"); return; fi
    if ((position >= ${{#kinds[@]}})); then position=$((${{#kinds[@]}} - 1)); fi
    if ((position >= 0)); then __pausevisor_offer "${{kinds[position]}}" "$word" "$control"; fi
}}

complete -F _pausevisor pausevisor
"""


def _bash(known: list[Command]) -> str:
    cases = []
    for command in known:
        options = " ".join(name for option in command.options for name in option.names)
        values = " ".join(
            f'["{name}"]="{_joined(option.value)}"'
            for option in command.options
            if option.value is not None
            for name in option.names
        )
        places = " ".join(f'"{_joined(word)}"' for word in command.words)
        cases.append(f"        {command.name}) options='{options}' values='{values}' places='{places}' ;;")
    return _BASH.format(
        signals=" ".join(_signals()),
        commands=" ".join([*(command.name for command in known), "--help", "--version"]),
        cases="\n".join(cases),
    )


def _joined(value: tuple[str, ...] | str) -> str:
    return value if isinstance(value, str) else " ".join(value)


# -- zsh -----------------------------------------------------------------------------------------------------------

_ZSH = """\
#compdef pausevisor
# zsh completion for pausevisor. Load it by: source <(pausevisor completion zsh)

__pausevisor_names() {{
    local -a names given
    local at=${{words[(i)--control]}}
    if ((at < CURRENT - 1)); then given=(--control "${{(Q)words[at + 1]}}"); fi
    names=(${{(f)"$(pausevisor completion $1 $given 2>/dev/null)"}})
    compadd "${{@:2}}" -a names
}}

_pausevisor() {{
    local curcontext=$curcontext state line
    local -a commands
    commands=(
{commands}
    )
    if ((CURRENT == 2)); then
        _describe -t commands command commands
        compadd -- --help --version
        return
    fi
    local command=$words[2]
    shift words
    ((CURRENT--))
    case $command in
{cases}
    esac
}}

if [[ $funcstack[1] == _pausevisor ]]; then _pausevisor "$@"; else compdef _pausevisor pausevisor; fi
"""


def _zsh(known: list[Command]) -> str:
    cases = []
    for command in known:
        specs = [spec for option in command.options for spec in _zsh_option(option)]
        specs += [
            f"'{'*' if index == len(command.words) - 1 else ''}:{_zsh_label(word)}:{_zsh_action(word)}'"
            for index, word in enumerate(command.words)
        ]
        if command.name == "run":
            specs.append("'*::command:_normal'")
        body = " \\\n                ".join(["_arguments -s -S", *specs])
        cases.append(f"        {command.name})\n            {body}\n            ;;")
    described = "\n".join(f"        '{command.name}:{_zsh_text(command.help)}'" for command in known)
    return _ZSH.format(commands=described, cases="\n".join(cases))


def _zsh_option(option: Option) -> list[str]:
    text = _zsh_text(option.help)
    value = "" if option.value is None else f":{_zsh_label(option.value)}:{_zsh_action(option.value)}"
    return [f"'*{name}[{text}]{value}'" for name in option.names]


def _zsh_label(value: tuple[str, ...] | str) -> str:
    return value if isinstance(value, str) and value != "any" else "value"


def _zsh_action(value: tuple[str, ...] | str) -> str:
    actions = {
        "file": "_files",
        "service": "__pausevisor_names services",
        "base": "__pausevisor_names bases -S =",
        "signal": f"({' '.join(_signals())})",
        "any": " ",
    }
    return actions[value] if isinstance(value, str) else f"({' '.join(value)})"


def _zsh_text(text: str) -> str:
    for char in "\\[]:":
        text = text.replace(char, "\\" + char)
    return text.replace("'", "'\\''")


# -- fish ----------------------------------------------------------------------------------------------------------

_FISH = """\
# fish completion for pausevisor. Load it by: pausevisor completion fish | source

function __pausevisor_ask
    set -l words (commandline -opc)
    set -l at (contains -i -- --control $words)
    if test -n "$at"; and test (count $words) -gt $at
        pausevisor completion $argv[1] --control $words[(math $at + 1)] 2>/dev/null
    else
        pausevisor completion $argv[1] 2>/dev/null
    end
end

# Whether so many words, beside options, stand behind the command already; the last argument may be "more".
function __pausevisor_at
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test $words[2] = $argv[1]; or return 1
    set -l position 0
    set -l skip 0
    for word in $words[3..]
        if test $skip = 1
            set skip 0
        else if contains -- $word $argv[4..]
            set skip 1
        else if not string match -q -- '-*' $word
            set position (math $position + 1)
        end
    end
    test $position -eq $argv[2]; or test $argv[3] = more -a $position -gt $argv[2]
end

complete -c pausevisor -f
complete -c pausevisor -n '__fish_is_nth_token 1' -l help -d 'show help'
complete -c pausevisor -n '__fish_is_nth_token 1' -l version -d 'show the version'
"""


def _fish(known: list[Command]) -> str:
    lines = []
    for command in known:
        lines.append(
            f"complete -c pausevisor -n '__fish_is_nth_token 1' -a {command.name} -d '{_fish_text(command.help)}'"
        )
        condition = f"__fish_seen_subcommand_from {command.name}"
        lines += [_fish_option(condition, option) for option in command.options]
        valued = " ".join(name for option in command.options if option.value is not None for name in option.names)
        for index, word in enumerate(command.words):
            more = "more" if index == len(command.words) - 1 else "one"
            offered = _fish_value(word)
            if offered:
                lines.append(
                    f"complete -c pausevisor -n '__pausevisor_at {command.name} {index} {more} {valued}' {offered}"
                )
    return _FISH + "\n".join(lines) + "\n"


def _fish_option(condition: str, option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    value = "" if option.value is None else f" -x {_fish_value(option.value)}".rstrip()
    return f"complete -c pausevisor -n '{condition}' {names}{value} -d '{_fish_text(option.help)}'"


def _fish_value(value: tuple[str, ...] | str) -> str:
    offered = {
        "file": "-a '(__fish_complete_path (commandline -ct))'",
        "service": "-a '(__pausevisor_ask services)'",
        "base": "-a '(string replace -r \\$ = (__pausevisor_ask bases))'",
        "signal": f"-a '{' '.join(_signals())}'",
        "any": "",
    }
    return offered[value] if isinstance(value, str) else f"-a '{' '.join(value)}'"


def _fish_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
