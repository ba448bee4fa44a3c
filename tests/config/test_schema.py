"""The JSON Schema against the loader, the specs and the manual: one format, told four times."""

import json
import os
import re
import tomllib
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.fields import LOG, SUPERVISOR
from supervisor.config.output_fields import SERVICE_LOG
from supervisor.config.problems import Place, Scope
from supervisor.config.schema import config_schema
from supervisor.config.service_fields import SERVICE
from supervisor.config.shapes import Field, Table
from supervisor.core.signals import CATCHABLE, NUMBERS, RTMAX, RTMIN
from supervisor.core.spec import FleetSpec, LogSpec, ServiceLog, ServiceSpec
from tests.config.loading import WEB, accepts, load_text, web
from tests.config.test_load import EVERYTHING

VALIDATOR = jsonschema.Draft202012Validator(config_schema())
MANUAL = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "configuration.md")

VALUES: list[Any] = [
    True,
    False,
    -1,
    0,
    1,
    5,
    255,
    256,
    10**30,
    1.5,
    float("inf"),
    "",
    " ",
    "x",
    "5",
    "0.5s",
    "10s",
    "1m30s",
    "30s1m",
    "5 s",
    "5S",
    "-5s",
    "1ms",
    "1.s",
    "12345678901234s",
    "16KiB",
    "16kb",
    "0.5MB",
    "1GiB ",
    "SIGTERM",
    "TERM",
    "sigterm",
    "15",
    "SIGKILL",
    "SIGSTOP",
    "CHLD",
    "SIGCLD",
    "RTMIN",
    "SIGRTMIN+3",
    "SIGRTMIN+31",
    "SIGRTMAX-30",
    "SIGRTMAX+1",
    "none",
    "log",
    "inherit",
    "null",
    "always",
    "json",
    "info",
    "stdout",
    "exit",
    "shutdown",
    "forward",
    "process",
    "a\0b",
    "a/b",
    "..",
    "a" * 64,
    "a" * 65,
    "a" * 131_071,
    "a" * 131_072,
    [],
    [""],
    ["x"],
    ["x", ""],
    ["x", 1],
    ["a\0b"],
    [0, 143, "SIGTERM"],
    [256],
    [True],
    ["SIGSTOP"],
    {},
    {"A": "b"},
    {"A": 1},
    {"": "b"},
    {"A=B": "b"},
    {"count": 1},
    {"count": 0},
    {"within": "1s"},
    {"count": 1, "within": "1s", "x": 1},
    {"forward": "SIGUSR1"},
    {"forward": "SIGKILL", "services": ["x"]},
    {"forward": "SIGUSR1", "services": []},
    {"forward": "SIGUSR1", "service": ["x"]},
    {"SIGTERM": "ignore"},
    {"SIGTERM": "x"},
    {"SIGCHLD": "ignore"},
    {"term": "ignore"},
    -20,
    19,
    20,
    1.25,
    8192,
    2**63 - 1,
    2**63,
    4_194_304,
    4_194_305,
    "0022",
    "0888",
    "01000",
    "nobody",
    "a:b",
    "${X:-y}",
    "-/x",
    "-",
    "--",
    "infinity",
    "unlimited",
    "0-3",
    ["kill", "CAP_KILL", "cap_kill", "KILL"],
    ["Cap_Kill"],
    ["net"],
    [0, "1-3"],
    ["1"],
    [8192],
    ["-/x", "x"],
    ["-"],
    {"nofile": 5, "core": "infinity", "as": "1GiB"},
    {"nofile": "1GiB"},
    {"nofile": {"soft": 1, "hard": 2}},
    {"nofile": {"soft": 1}},
    {"core": {"soft": "1KiB", "hard": "unlimited"}},
    {"files": 5},
    {"memory-max": "200MiB", "pids-max": 100, "cpu-max": 1.5},
    {"pids-max": 0},
    {"cpu-max": 0},
    {"cpu-max": 2},
]
"""Values of every kind, right here and wrong there; those that only the loader can judge are left out."""


def rows() -> list[tuple[str, Field]]:
    """Every key of every table of the top level, with the table."""
    return [(name, field) for name, table in TABLES.items() for field in table.fields.values()]


TABLES: dict[str, Table[Any]] = {"supervisor": SUPERVISOR, "log": LOG, "services": SERVICE, "lines": SERVICE_LOG}
"""``lines`` is the table ``log`` of a service."""

HEADINGS = {"services": "## `[services.NAME]`", "lines": "### Lines"}


def document_with(table: str, key: str, value: object) -> dict[str, Any]:
    """The least document in which a key has a value."""
    if table == "services":
        return {"services": {"web": {"command": ["x"], key: value}}}
    if table == "lines":
        return {"services": {"web": {"command": ["x"], "log": {key: value}}}}
    return {table: {key: value}}


def test_the_schema_is_a_schema() -> None:
    """It holds to the draft it names, and JSON can write it."""
    jsonschema.Draft202012Validator.check_schema(config_schema())
    assert json.loads(json.dumps(config_schema())) == config_schema()


@pytest.mark.parametrize("text", ["", WEB, EVERYTHING])
def test_right_files_pass(text: str) -> None:
    """What the loader takes, the schema takes."""
    load_text(text, {"NAME": "n"})
    VALIDATOR.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "path",
    [(), ("supervisor",), ("log",), ("services", "web"), ("services", "web", "restart-limit"), ("signals", "HUP")],
)
def test_unknown_keys_fail(path: tuple[str, ...]) -> None:
    """At every level a key that is not known is refused."""
    document: dict[str, Any] = {
        "supervisor": {},
        "log": {},
        "signals": {"HUP": {"forward": "SIGHUP"}},
        "services": {"web": {"command": ["x"], "restart-limit": {}}},
    }
    VALIDATOR.validate(document)
    inner = document
    for key in path:
        inner = inner[key]
    inner["unknown"] = "x"
    assert not VALIDATOR.is_valid(document)
    assert not accepts(document)


@pytest.mark.parametrize(("table", "field"), [pytest.param(*row, id=f"{row[0]}.{row[1].key}") for row in rows()])
def test_schema_and_loader_agree_on_values(table: str, field: Field) -> None:
    """For every key and values of every kind: the schema takes it when the loader does, and refuses it when not."""
    for value in VALUES:
        document = document_with(table, field.key, value)
        assert VALIDATOR.is_valid(document) is accepts(document), (field.key, value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_schema_and_loader_agree_on_sections(value: object) -> None:
    """The same for what a whole table, a service, a signal's action or a nested value may be."""
    for document in (
        {"supervisor": value},
        {"signals": value},
        {"signals": {"HUP": value}},
        {"log": value},
        {"services": value},
        {"services": {"web": value}},
        {"services": {"web": {"command": ["x"], "environment": {"A": value}}}},
        {"services": {"web": {"command": ["x", value]}}},
        {"services": {"web": {"command": ["x"], "restart-limit": {"count": value}}}},
        {"services": {"web": {"command": ["x"], "success-exit-status": [value]}}},
        {"signals": {"HUP": {"forward": value}}},
    ):
        assert VALIDATOR.is_valid(document) is accepts(document), document


@pytest.mark.parametrize("name", [value for value in VALUES if isinstance(value, str)])
def test_schema_and_loader_agree_on_names(name: str) -> None:
    """The same for the names of services, signals and variables."""
    for document in (
        {"services": {name: {"command": ["x"]}}},
        {"signals": {name: "ignore"}},
        {"services": {"web": {"command": ["x"], "environment": {name: "x"}}}},
    ):
        assert VALIDATOR.is_valid(document) is accepts(document), document


@pytest.mark.parametrize("prefix", ["", "SIG"])
def test_schema_and_loader_agree_on_signals(prefix: str) -> None:
    """The schema's pattern lists the very names that the loader takes."""
    names = [name.removeprefix("SIG") for name in NUMBERS] + ["IOT", "CLD", "POLL", "RTMIN", "RTMAX"]
    names += [f"RTMIN+{offset}" for offset in range(RTMAX - RTMIN + 2)]
    names += [f"RTMAX-{offset}" for offset in range(RTMAX - RTMIN + 2)]
    taken = 0
    for name in names:
        document = document_with("services", "stop-signal", prefix + name)
        assert VALIDATOR.is_valid(document) is accepts(document), name
        taken += accepts(document)
    # All but STOP; three by a second name, the first and the last real-time one by three, the others by two.
    assert taken == len(CATCHABLE) + 1 + 3 + (RTMAX - RTMIN + 1) + 2


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from([*SERVICE.fields, "x"]), st.sampled_from(VALUES), max_size=6),
    st.dictionaries(st.sampled_from([*SUPERVISOR.fields, "x"]), st.sampled_from(VALUES), max_size=3),
)
def test_schema_and_loader_agree_on_documents(service: dict[str, Any], supervisor: dict[str, Any]) -> None:
    """What holds for each value alone holds for many together."""
    document = {"supervisor": supervisor, "services": {"web": {"command": "x", **service}}}
    if {"restart-delay", "restart-max-delay"} <= service.keys():
        del service["restart-delay"]  # the schema cannot compare the two
        del document["services"]["web"]["restart-delay"]
    assert VALIDATOR.is_valid(document) is accepts(document)


@settings(deadline=None)
@given(st.from_regex(r"[0-9.]{1,4}(d|h|m|s|ms)([0-9]{1,2}(m|s|ms))?", fullmatch=True))
def test_schema_and_loader_agree_on_durations(text: str) -> None:
    """Anything that looks like a duration is one for both, or for neither."""
    document = {"supervisor": {"stop-timeout": text}}
    if float(re.match("[0-9]*", text)[0] or 0) > 3650 and "d" in text:  # type: ignore[index]
        return  # longer than the schema can tell
    assert VALIDATOR.is_valid(document) is accepts(document)


@pytest.mark.parametrize(
    ("spec", "table"),
    [
        (FleetSpec(), SUPERVISOR),
        (LogSpec(), LOG),
        (ServiceSpec(name="x", command=("x",)), SERVICE),
        (ServiceLog(), SERVICE_LOG),
    ],
)
def test_documented_defaults_are_the_real_ones(spec: object, table: Table[dict[str, Any]]) -> None:
    """What a row names as the default is what holds when the key is absent."""
    place = Place("file", "", Scope(environ={}, directory="/", homes={}))
    checked = 0
    for field in table.fields.values():
        if field.default is not None and hasattr(spec, field.name):
            assert field.kind.parse(field.default, place) == getattr(spec, field.name), field.key
            checked += 1
    assert checked >= 2


def test_documented_defaults_of_derived_values() -> None:
    """The same for the keys whose value is no attribute of its own."""
    text = "".join(
        f"{key} = {json.dumps(SERVICE.fields[key].default)}\n" for key in ("inherit-environment", "success-exit-status")
    )
    assert web(text, {"A": "1"}) == web("", {"A": "1"})
    daemon = f'[supervisor]\nstop-timeout = "{SUPERVISOR.fields["stop-timeout"].default}"\n'
    assert load_text(daemon + WEB).fleet == load_text(WEB).fleet


def toml(value: object) -> str:
    """A default as the manual writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


@pytest.mark.parametrize(("table", "field"), [pytest.param(*row, id=f"{row[0]}.{row[1].key}") for row in rows()])
def test_the_manual_has_every_key(table: str, field: Field) -> None:
    """Every key has its row in the manual, in the section of its table, with its default and its choices."""
    heading = HEADINGS.get(table, f"## `[{table}]`")
    with open(MANUAL, encoding="utf-8") as file:
        section = re.split(r"\n##+ ", file.read().split(f"{heading}\n")[1])[0]
    (row,) = re.findall(rf"^\| `{re.escape(field.key)}` \|.*$", section, re.MULTILINE)
    if field.default is not None:
        assert f"| `{toml(field.default)}` |" in row
    for word in getattr(field.kind, "words", ()):
        assert f'`"{word}"`' in row


def test_the_manual_has_no_other_key() -> None:
    """No row is left of a key that went away."""
    with open(MANUAL, encoding="utf-8") as file:
        described = set(re.findall(r"^\| `([a-z-]+)` \|.*\|.*\|.*\|$", file.read(), re.MULTILINE))
    assert described == {field.key for _, field in rows()}


@pytest.mark.parametrize(("page", "least"), [("configuration.md", 4), ("isolation.md", 4)])
def test_the_examples_of_the_manual_load(page: str, least: int) -> None:
    """Every example in the manual is a file that the loader takes."""
    with open(os.path.join(os.path.dirname(MANUAL), page), encoding="utf-8") as file:
        examples = re.findall(r"^```toml\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
    assert len(examples) >= least
    for example in examples:
        assert load_text(example).sources


def test_the_examples_of_the_page_about_sinks_load() -> None:
    """So is every example there."""
    with open(os.path.join(os.path.dirname(MANUAL), "sinks.md"), encoding="utf-8") as file:
        examples = re.findall(r"^```toml\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        assert load_text(example).sources
