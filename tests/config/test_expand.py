"""Expansion of variables: the forms, their errors, and that no value ever gets into a message."""

import pytest

from supervisor.config.load import ConfigError
from tests.config.loading import WEB, load_text, problems, web

ENVIRON = {"X": "value", "EMPTY": "", "REF": "${X} $$", "A_1": "one"}
FORMS = "allowed: ${NAME}, ${NAME:-default} or ${NAME:?message}"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${X}", "value"),
        ("a${X}b${A_1}c", "avaluebonec"),
        ("${EMPTY}", ""),
        ("${X:-default}", "value"),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${UNSET:-a b/c$d}", "a b/c$d"),
        ("${UNSET:-a$$b}", "a$b"),
        ("${X:?message}", "value"),
        ("$$", "$"),
        ("$$$$", "$$"),
        ("$${X}", "${X}"),
        ("$$${X}", "$value"),
        ("$X", "$X"),
        ("$", "$"),
        ("a$", "a$"),
        ("$ {X}", "$ {X}"),
        ("$(date)", "$(date)"),
        ("{X}", "{X}"),
        ("${X}}", "value}"),
        ("${REF}", "${X} $$"),
    ],
)
def test_forms(text: str, result: str) -> None:
    """Each form becomes what the manual says; what was put in is not searched again."""
    assert web(f"environment.V = '{text}'", ENVIRON).environment["V"] == result
    if "$$$" not in text and "$$" not in text.replace("$${", ""):
        assert command(f"['x', '{text}']")[1] == result


def command(words: str) -> tuple[str, ...]:
    """The command that these words are loaded as."""
    return load_text(f"[services.web]\ncommand = {words}", ENVIRON).fleet.services["web"].command


def test_a_shells_own_pid_reaches_the_shell() -> None:
    """In a command ``$$`` is a dollar only where it keeps a brace from being ours."""
    words = command("['sh', '-c', 'kill -TERM $$; echo $${X} ${X} $$$$']")
    assert words[2] == "kill -TERM $$; echo ${X} value $$$$"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "${UNSET}",
            "the environment variable UNSET is not set; set it, or give a default: ${UNSET:-default}",
        ),
        ("${UNSET:?}", "the environment variable UNSET is not set"),
        ("${UNSET:?needed for x}", "the environment variable UNSET is not set: needed for x"),
        ("${EMPTY:?needed}", "the environment variable EMPTY is empty: needed"),
        ("a ${X", f'"${{" is never closed; {FORMS}, or "$${{" for the characters themselves'),
        ("${", f'"${{" is never closed; {FORMS}, or "$${{" for the characters themselves'),
        ("${}", f'found "${{"; {FORMS}'),
        ("${ X }", f'found "${{ "; {FORMS}'),
        ("${1}", f'found "${{1"; {FORMS}'),
        ("${X-default}", f'found "${{X-"; {FORMS}'),
        ("${X:=default}", f'found "${{X:"; {FORMS}'),
        ("${X:}", f'found "${{X:"; {FORMS}'),
        ("${X.y}", f'found "${{X."; {FORMS}'),
        ("${é}", f'found "${{é"; {FORMS}'),
        ("${UNSET:-${X}}", 'the default of ${UNSET:-...} holds "{"; expansions do not nest'),
    ],
)
def test_errors(text: str, message: str) -> None:
    """A malformed form, or a variable that is not there, is a problem that names it."""
    assert problems(f"{WEB}environment.V = '{text}'", ENVIRON) == [f"services.web.environment.V: {message}"]


def test_a_default_with_braces_is_refused_even_when_unused() -> None:
    """A default is wrong whether or not it is needed: the same file must not fail on another day."""
    assert problems(f"{WEB}environment.V = '${{X:-${{EMPTY}}}}'", ENVIRON) == [
        'services.web.environment.V: the default of ${X:-...} holds "{"; expansions do not nest'
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"{WEB}environment.A = '${{S}} ${{UNSET}}'",
        f"{WEB}environment.A = '${{S}}${{X-${{S}}}}'",
        f"{WEB}environment.PASSWORD = 4242",
        f"{WEB}environment.A = '${{NUL}}'",
        "[services.web]\ncommand = ['${NUL}', 1]",
        f"{WEB}directory = '${{NUL}}'",
        "[log]\nto = '${NUL}'",
    ],
)
def test_values_never_get_into_messages(text: str) -> None:
    """A secret stays one, however wrong the string it stands in."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, {"S": "secret-4242", "NUL": "secret\x004242"})
    assert "4242" not in str(caught.value)


@pytest.mark.parametrize("key", ["restart", "stop-signal", "stop-timeout", "stdout"])
def test_other_strings_are_not_expanded(key: str) -> None:
    """Words of the format itself are written, not computed."""
    (problem,) = problems(f"{WEB}{key} = '${{X}}'", {"X": "log"})
    assert problem.startswith(f'services.web.{key}: found "${{X}}"; allowed: ')


def test_names_are_not_expanded() -> None:
    """The name of a variable is written, not computed."""
    assert web("environment.'${X}' = '1'", {"X": "Y"}).environment["${X}"] == "1"


def test_bytes_that_are_no_text_pass_through() -> None:
    """A variable may hold any byte: what Python read as surrogates is given to the service unchanged."""
    assert web("environment.V = '${X}'", {"X": "\udcff"}).environment["V"] == "\udcff"
