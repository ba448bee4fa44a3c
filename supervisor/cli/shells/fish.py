"""Completion for fish."""

from __future__ import annotations

from supervisor.cli.shells.tables import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.shells.tables import Command, Option

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


def script(known: list[Command]) -> str:
    """The script, for these commands."""
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
        "signal": f"-a '{SIGNALS}'",
        "any": "",
    }
    return offered[value] if isinstance(value, str) else f"-a '{' '.join(value)}'"


def _fish_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
