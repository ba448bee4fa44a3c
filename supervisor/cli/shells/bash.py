"""Completion for bash."""

from __future__ import annotations

from supervisor.cli.shells.tables import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor.cli.shells.tables import Command

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
    if [[ $before == = ]]; then before=${{COMP_WORDS[COMP_CWORD - 2]}}; fi
    if [[ $word == = ]]; then word=; before=${{COMP_WORDS[COMP_CWORD - 1]}}; fi
    if [[ -n ${{value_of[$before]-}} ]]; then __pausevisor_offer "${{value_of[$before]}}" "$word" "$control"; return; fi
    if [[ $word == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word"); return; fi
    if ((position >= ${{#kinds[@]}})); then position=$((${{#kinds[@]}} - 1)); fi
    if ((position >= 0)); then __pausevisor_offer "${{kinds[position]}}" "$word" "$control"; fi
}}

complete -F _pausevisor pausevisor
"""


def script(known: list[Command]) -> str:
    """The script, for these commands."""
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
        signals=SIGNALS,
        commands=" ".join([*(command.name for command in known), "--help", "--version"]),
        cases="\n".join(cases),
    )


def _joined(value: tuple[str, ...] | str) -> str:
    return value if isinstance(value, str) else " ".join(value)
