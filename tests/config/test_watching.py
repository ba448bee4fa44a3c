"""Readiness, health and watchdog in a file: what each key takes, what is refused and with which words."""

import json
import os
import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.config.schema import config_schema
from supervisor.core.record import replace
from supervisor.core.spec import (
    CommandProbe,
    FdProbe,
    FileProbe,
    Health,
    HealthAction,
    HttpProbe,
    LogProbe,
    NotifyProbe,
    Ready,
    TcpProbe,
)
from tests.config.loading import WEB, accepts, load_text, problems, web

VALIDATOR = jsonschema.Draft202012Validator(config_schema())

DURATION = 'a duration such as "10s" or "1m30s" (units: ms, s, m, h, d)'
ADDRESS = 'a host and a port (1 to 65535), such as "127.0.0.1:80" or "[::1]:80"'
URL = 'a URL such as "http://127.0.0.1:80/health"'
NO_TLS = 'the daemon speaks no TLS: probe a plain port, or use command = ["curl", "-fsS", "https://..."]'
COUNT = "a whole number from 1 to 1000000"
COMMAND = 'a list of strings such as ["nginx", "-g", "daemon off;"], or one string'
PATTERN = 'a regular expression such as "ready to accept"'
BAD_URLS = "x|http://|http://x:0/|http://u:p@x/|http://x/a b|http://x/#a|HTTP://x/|http://x?a".split("|")
PROBES = "notify, fd, log, tcp, http, command, file"


@pytest.mark.parametrize(
    ("toml", "probe"),
    [
        ("{ notify = true }", NotifyProbe()),
        ("{ fd = 3 }", FdProbe(3)),
        ("{ fd = 1023 }", FdProbe(1023)),
        ('{ log = "ready|up" }', LogProbe("ready|up")),
        ('{ tcp = "127.0.0.1:80" }', TcpProbe("127.0.0.1", 80)),
        ('{ tcp = "localhost:65535" }', TcpProbe("localhost", 65535)),
        ('{ tcp = "[::1]:1" }', TcpProbe("::1", 1)),
        ('{ tcp = "db_1.internal-net:5432" }', TcpProbe("db_1.internal-net", 5432)),
        ('{ tcp = "127.0.0.1:${PORT}" }', TcpProbe("127.0.0.1", 8080)),
        ('{ http = "http://127.0.0.1" }', HttpProbe("127.0.0.1", 80, "/")),
        ('{ http = "http://[::1]:8080/a/b?c=d&e=%20" }', HttpProbe("::1", 8080, "/a/b?c=d&e=%20")),
        ('{ http = "http://web:${PORT}/${PATH_OF:-ok}" }', HttpProbe("web", 8080, "/ok")),
        ('{ command = ["pg_isready", "-q"] }', CommandProbe(("pg_isready", "-q"))),
        ("{ command = \"test -e '/a b'\" }", CommandProbe(("test", "-e", "/a b"))),
        ('{ file = "/run/ready" }', FileProbe("/run/ready")),
        ('{ file = "ready" }', FileProbe("/start/ready")),
    ],
)
def test_each_probe(toml: str, probe: object) -> None:
    """Every kind of readiness, with the defaults for what is asked for; the schema takes them all."""
    spec = web(f"ready = {toml}\n", {"PORT": "8080"})
    assert spec.ready == replace(Ready(NotifyProbe()), probe=probe)
    assert spec.start_timeout == 60
    assert schema_takes(f"ready = {toml}")


def schema_takes(line: str) -> bool:
    """Whether the schema takes a service with this line."""
    import tomllib  # noqa: PLC0415 - as the loader does

    return bool(VALIDATOR.is_valid(tomllib.loads(WEB + line + "\n")))


def test_how_it_is_asked() -> None:
    """Interval and timeout of readiness, and when a start counts as failed."""
    spec = web('ready = { tcp = "x:1", interval = "2s", timeout = "300ms" }\nstart-timeout = "5m"\n')
    assert spec.ready == Ready(TcpProbe("x", 1), interval=2.0, timeout=0.3)
    assert spec.start_timeout == 300
    assert web("ready = { notify = true }\nstart-timeout = 'none'\n").start_timeout is None
    assert web("").start_timeout is None
    assert load_text('[services.job]\nkind = "task"\ncommand = "x"\n').fleet.services["job"].start_timeout is None


def test_health() -> None:
    """All of health, and its defaults."""
    settings = 'http = "http://x/", interval = "30s", timeout = "5s", failures = 1, action = "report"'
    assert web(f"health = {{ {settings} }}\n").health == Health(
        HttpProbe("x", 80, "/"), interval=30.0, timeout=5.0, failures=1, action=HealthAction.REPORT
    )
    assert web('health = { file = "/x" }\n').health == Health(FileProbe("/x"))
    assert web("").health is None


def test_watchdog() -> None:
    """A time, or none."""
    assert web('watchdog = "30s"\n').watchdog == 30
    assert web("").watchdog is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ready = true", f"ready: found true; allowed: a table with one of {PROBES}"),
        ("ready = {}", f"ready: no probe; allowed: exactly one of {PROBES}"),
        ('ready = { interval = "1s" }', f"ready: no probe; allowed: exactly one of {PROBES}"),
        ("ready = { notify = true, fd = 3 }", f"ready: found notify and fd; allowed: exactly one of {PROBES}"),
        ("ready = { notify = false }", "ready.notify: found false; allowed: true"),
        ('ready = { notify = "yes" }', 'ready.notify: found "yes"; allowed: true'),
        (
            'ready = { notify = true, timeout = "5s" }',
            "ready.timeout: has no meaning with notify, for nothing is asked; how long it may take is start-timeout",
        ),
        (
            'ready = { fd = 3, interval = "5s" }',
            "ready.interval: has no meaning with fd, for nothing is asked; how long it may take is start-timeout",
        ),
        ("ready = { fd = 1 }", "ready.fd: found 1, which is its stdout; allowed: a whole number from 3 to 1023"),
        ("ready = { fd = 0 }", "ready.fd: found 0, which is its stdin; allowed: a whole number from 3 to 1023"),
        ("ready = { fd = 1024 }", "ready.fd: found 1024; allowed: a whole number from 3 to 1023"),
        ("ready = { fd = true }", "ready.fd: found true; allowed: a whole number from 3 to 1023"),
        ('ready = { tcp = "80" }', f'ready.tcp: found "80"; allowed: {ADDRESS}'),
        ('ready = { tcp = ":80" }', f'ready.tcp: found ":80"; allowed: {ADDRESS}'),
        ('ready = { tcp = "x:0" }', f'ready.tcp: found "x:0"; allowed: {ADDRESS}'),
        ('ready = { tcp = "x:65536" }', f'ready.tcp: found "x:65536"; allowed: {ADDRESS}'),
        ('ready = { tcp = "x:080" }', f'ready.tcp: found "x:080"; allowed: {ADDRESS}'),
        ('ready = { tcp = "::1:80" }', f'ready.tcp: found "::1:80"; allowed: {ADDRESS}'),
        ('ready = { tcp = "[::g]:80" }', f'ready.tcp: found "[::g]:80"; allowed: {ADDRESS}'),
        ('ready = { tcp = "[:::1]:80" }', f'ready.tcp: found "[:::1]:80"; allowed: {ADDRESS}'),
        ('ready = { tcp = "a b:80" }', f'ready.tcp: found "a b:80"; allowed: {ADDRESS}'),
        ('ready = { tcp = "x:80\\n" }', f'ready.tcp: found "x:80\\n"; allowed: {ADDRESS}'),
        ("ready = { tcp = 80 }", f"ready.tcp: found an integer; allowed: {ADDRESS}; write it in quotes"),
        (
            'ready = { tcp = "x:${SECRET}" }',
            f'ready.tcp: found "x:${{SECRET}}"; allowed: {ADDRESS}, when its variables are put in',
        ),
        (
            'ready = { tcp = "x:${NONE}" }',
            "ready.tcp: the environment variable NONE is not set; set it, or give a default: ${NONE:-default}",
        ),
        (
            'ready = { http = "https://x/" }',
            f'ready.http: found "https://x/"; allowed: {URL}; {NO_TLS}',
        ),
        *(
            (
                f'ready = {{ http = "{url}" }}',
                f'ready.http: found "{url}"; allowed: {URL}, without user, blanks or fragment',
            )
            for url in BAD_URLS
        ),
        ("ready = { command = [] }", f"ready.command: no program: the command is empty; allowed: {COMMAND}"),
        (
            'ready = { log = "(" }',
            'ready.log: found "(", which is no regular expression: missing ), unterminated subpattern at position 0',
        ),
        ('ready = { log = "" }', f"ready.log: found an empty string; allowed: {PATTERN}"),
        ('ready = { file = "" }', "ready.file: found an empty string; allowed: a path"),
        ('ready = { tcp = "x:1", interval = "0s" }', 'ready.interval: found "0s"; allowed: a duration longer than 0s'),
        (
            'ready = { tcp = "x:1", retries = 3 }',
            f"ready.retries: unknown key; known keys: {PROBES}, interval, timeout",
        ),
        ("start-timeout = 5", f'start-timeout: found 5; allowed: {DURATION}, or "none"; did you mean "5s"?'),
        ('start-timeout = "never"', f'start-timeout: found "never"; allowed: {DURATION}, or "none"'),
        ('start-timeout = "0s"', 'start-timeout: found "0s"; allowed: a duration longer than 0s'),
        ("health = {}", "health: no probe; allowed: exactly one of tcp, http, command, file"),
        ('health = { tcp = "x:1", failures = 0 }', f"health.failures: found 0; allowed: {COUNT}"),
        ('health = { tcp = "x:1", action = "kill" }', 'health.action: found "kill"; allowed: restart, report'),
        ('watchdog = "0s"', 'watchdog: found "0s"; allowed: a duration longer than 0s'),
    ],
)
def test_what_is_refused(line: str, expected: str) -> None:
    """Each refusal says where, what was found and what is allowed, and repeats the value of no variable."""
    found = problems(WEB + line + "\n", {"SECRET": "s3cret"})
    assert found == [f"services.web.{expected}"]


def test_all_that_is_wrong_is_told() -> None:
    """Two probes, each wrong in itself, and a wrong limit: nothing hides the rest."""
    found = problems(WEB + 'ready = { tcp = "x", fd = 1, interval = 5 }\nhealth = { fd = 3 }\nwatchdog = 1\n')
    assert [problem.split(":")[0] for problem in found] == [
        "services.web.ready",
        "services.web.ready.tcp",
        "services.web.ready.fd",
        "services.web.ready.interval",
        "services.web.health",
        "services.web.health.fd",
        "services.web.watchdog",
    ]


@pytest.mark.parametrize("kind", ["task", "scheduled"])
def test_only_services_are_watched(kind: str) -> None:
    """What ends by itself is ready when it has ended, and nobody has to look after it."""
    schedule = 'schedule = "@daily"\n' if kind == "scheduled" else ""
    text = f'{WEB}kind = "{kind}"\n{schedule}'
    assert load_text(text + 'start-timeout = "5s"\n').fleet.services["web"].start_timeout == 5
    for line in ("ready = { notify = true }", 'health = { tcp = "x:1" }', 'watchdog = "5s"'):
        (found,) = problems(text + line + "\n")
        assert found.startswith(f'services.web.{line.split()[0]}: not for kind = "{kind}"')


def test_lines_that_nobody_reads_are_not_searched() -> None:
    """Readiness by output needs output that comes to us."""
    line = 'ready = { log = "x" }\n'
    for stream in ("stdout", "stderr"):
        assert web(f'{line}{stream} = "null"\n').ready == Ready(LogProbe("x"))
    (found,) = problems(f'{WEB}{line}stdout = "null"\nstderr = "inherit"\n')
    assert found == 'services.web.ready.log: no line of the service is read; allowed with stdout or stderr = "log"'


_VALUES = st.sampled_from(
    [
        True,
        False,
        0,
        2,
        3,
        1023,
        1024,
        "",
        "x",
        "x:1",
        "[::1]:80",
        "127.0.0.1:65535",
        "x:65536",
        "http://x/",
        "http://x:1/?a",
        "https://x",
        "http://x/#",
        "1s",
        "0.5s",
        "5",
        ["x"],
        [],
        [""],
        {},
        "restart",
        "report",
        "none",
        "a\0b",
        "x\n",
    ]
)
_KEYS = st.sampled_from([*PROBES.split(", "), "interval", "timeout", "failures", "action", "x"])


@given(st.sampled_from(["ready", "health"]), st.dictionaries(_KEYS, _VALUES, max_size=4))
@example("ready", {"log": "x", "command": ["x"], "interval": "1s"})
@example("ready", {"log": "x", "notify": True, "timeout": "1s"})
@example("ready", {"log": "x", "command": ["x"]})
def test_schema_and_loader_agree(key: str, table: dict[str, Any]) -> None:
    """What the schema says of a probe is what the loader does."""
    document = {"services": {"web": {"command": ["x"], key: table}}}
    assert VALIDATOR.is_valid(document) is accepts(document), json.dumps(table)


_GOOD = st.one_of(
    st.just({"notify": True}),
    st.builds(lambda fd: {"fd": fd}, st.integers(3, 1023)),
    st.builds(lambda port: {"tcp": f"127.0.0.1:{port}"}, st.integers(1, 65535)),
    st.builds(lambda port: {"http": f"http://[::1]:{port}/x"}, st.integers(1, 65535)),
)


@given(_GOOD)
def test_what_is_right_is_taken(table: dict[str, Any]) -> None:
    """The test above can meet both: these are right for either."""
    document = {"services": {"web": {"command": ["x"], "ready": table}}}
    assert VALIDATOR.is_valid(document)
    assert accepts(document)


@given(st.text(max_size=30) | st.from_regex(r"[a-z.:\[\]0-9]{1,8}:[0-9]{1,5}", fullmatch=True))
def test_schema_and_loader_agree_on_addresses(text: str) -> None:
    """For any text; only what has variables, or an address in brackets, is judged by the loader alone."""
    if "[" in text or "$" in text:
        return
    document = {"services": {"web": {"command": ["x"], "ready": {"tcp": text}}}}
    assert VALIDATOR.is_valid(document) is accepts(document), text


_PIECES = st.sampled_from(
    ["http://", "x", "a.b", ":", "80", "08", "65535", "65536", "/", "?", "#", " ", "%", "\n", "-", "\u00e4"]
)


@given(st.lists(_PIECES, max_size=7).map("".join))
@example("http://" + "x" * 253)
@example("http://" + "x" * 254)
@example("http://x/" + "y" * 2047)
@example("http://x/" + "y" * 2048)
@example("x:\u0663")
def test_schema_and_loader_agree_on_urls(text: str) -> None:
    """Whatever the pieces make, as a URL and as an address."""
    for probe in ("http", "tcp"):
        document = {"services": {"web": {"command": ["x"], "ready": {probe: text}}}}
        assert VALIDATOR.is_valid(document) is accepts(document), text


def test_the_examples_of_the_page_load() -> None:
    """Every example in the page about readiness is a file that the loader takes."""
    path = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "readiness.md")
    with open(path, encoding="utf-8") as file:
        examples = re.findall(r"^```toml\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
    assert len(examples) >= 5
    for text in examples:
        assert load_text(text).fleet.services
