"""Completion for zsh."""

from __future__ import annotations

from supervisor.cli.shells.tables import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.shells.tables import Command, Option

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
    local -a known
    known=(
{commands}
    )
    if ((CURRENT == 2)); then
        _describe -t commands command known
        compadd -- --help --version
        return
    fi
    local command=$words[2]
    shift words
    ((CURRENT--))
    local at=${{words[(i)--]}}
    if [[ $command == run ]] && ((at < CURRENT)); then
        shift $at words
        ((CURRENT -= at))
        if ((CURRENT == 1)); then _command_names -e; else _normal; fi
        return
    fi
    case $command in
{cases}
    esac
}}

if [[ $funcstack[1] == _pausevisor ]]; then _pausevisor "$@"; else compdef _pausevisor pausevisor; fi
"""


def script(known: list[Command]) -> str:
    """The script, for these commands."""
    cases = []
    for command in known:
        specs = [spec for option in command.options for spec in _zsh_option(option)]
        specs += [
            f"'{'*' if index == len(command.words) - 1 else ''}:{_zsh_label(word)}:{_zsh_action(word)}'"
            for index, word in enumerate(command.words)
        ]
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
        "service": " __pausevisor_names services",
        "base": " __pausevisor_names bases -S =",
        "signal": f"({SIGNALS})",
        "any": " ",
    }
    return actions[value] if isinstance(value, str) else f"({' '.join(value)})"


def _zsh_text(text: str) -> str:
    for char in "\\[]:":
        text = text.replace(char, "\\" + char)
    return text.replace("'", "'\\''")
