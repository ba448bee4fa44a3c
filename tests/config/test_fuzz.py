"""Whatever is in a file: settings or a list of problems come of it, and never anything else."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from supervisor.config.fields import FILE, LOG, SUPERVISOR
from supervisor.config.load import ConfigError, Settings
from supervisor.config.service_fields import SERVICE
from tests.config.loading import load_text

KEYS = [*FILE.fields, *SUPERVISOR.fields, *LOG.fields, *SERVICE.fields, "count", "within", "forward", "HUP", "web"]
WORDS = [
    "x",
    "10s",
    "5",
    "${X}",
    "${X:-y}",
    "${",
    "$$",
    "always",
    "log",
    "SIGTERM",
    "KILL",
    "none",
    "16KiB",
    "a 'b",
    "\0",
]

text = st.text(max_size=8) | st.sampled_from(WORDS)
scalar = text | st.integers() | st.floats() | st.booleans()
name = st.sampled_from(KEYS) | text
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(name, inner, max_size=3), max_leaves=12
)
service = st.dictionaries(st.sampled_from([*SERVICE.fields, "x"]), value, max_size=4)
document = st.fixed_dictionaries(
    {},
    optional={
        "supervisor": st.dictionaries(name, value, max_size=3) | value,
        "signals": st.dictionaries(name, value, max_size=3) | value,
        "log": st.dictionaries(name, value, max_size=3) | value,
        "services": st.dictionaries(name, service, max_size=3) | value,
    },
) | st.dictionaries(name, value, max_size=4)


def write(found: Any) -> str:
    """A value as TOML; strings as JSON has them, which TOML reads but for a character or two, and may refuse."""
    match found:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {write(item)}" for key, item in found.items()) + "}"
        case list():
            return "[" + ", ".join(map(write, found)) + "]"
        case str():
            return json.dumps(found, ensure_ascii=False)
        case bool():
            return "true" if found else "false"
        case _:
            return str(found)


def outcome(content: str | bytes) -> Settings | ConfigError:
    """What comes of a file; anything but the two fails the test."""
    try:
        return load_text(content, {"X": "1"})
    except ConfigError as error:
        refused = error
    assert refused.problems
    assert all(str(problem).isprintable() for problem in refused.problems)
    return refused


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
@example(b"\xff\xfe")
@example(b'"\\ud800" = 1')
@example(b"a = 9223372036854775808")
@example(b"a = 0x" + b"f" * 5000)
def test_random_bytes(content: bytes) -> None:
    """Bytes without any form."""
    outcome(content)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([*"[]{}=.,#\"'\n\\$ ", "[services.", '"""', "'''", "1", *KEYS, *WORDS]), max_size=40))
def test_random_tokens(tokens: list[str]) -> None:
    """What TOML is made of, in any order."""
    outcome("".join(tokens))


@settings(deadline=None, max_examples=300)
@given(document)
def test_random_documents(found: dict[str, Any]) -> None:
    """Documents with the right keys in the right places, or nearly, and any values."""
    outcome("".join(f"{json.dumps(key)} = {write(item)}\n" for key, item in found.items()))


@settings(deadline=None, max_examples=100)
@given(
    st.fixed_dictionaries(
        {
            "command": st.lists(
                st.text(st.characters(exclude_characters="\0$\x7f", exclude_categories=["Cs"]), min_size=1), min_size=1
            )
        },
        optional={
            "restart": st.sampled_from(["never", "on-failure", "always"]),
            "restart-limit": st.just("none") | st.fixed_dictionaries({"count": st.integers(1, 1000)}),
            "success-exit-status": st.lists(st.integers(0, 255) | st.just("SIGTERM")),
            "inherit-environment": st.booleans() | st.lists(st.sampled_from(["A", "B*"])),
            "stop-timeout": st.integers(0, 1000).map("{}ms".format),
        },
    )
)
def test_right_documents(found: dict[str, Any]) -> None:
    """A service of right values loads, and its command arrives as it was written."""
    result = outcome(f"services.web = {write(found)}")
    assert isinstance(result, Settings)
    assert result.fleet.services["web"].command == tuple(found["command"])


def test_both_outcomes_are_within_reach() -> None:
    """The tests above tell something only if they can meet either."""
    assert isinstance(outcome("[services.web]\ncommand = 'x'"), Settings)
    assert isinstance(outcome("[services.web]"), ConfigError)
