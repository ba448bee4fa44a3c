"""Each kind of value: what it takes, and the words with which it refuses."""

import pathlib
import re

import pytest

from supervisor.config.fields import FILE
from supervisor.config.kinds import absolute
from supervisor.config.load import ConfigError, load
from supervisor.config.service_fields import SERVICE
from supervisor.config.signal_names import signal_number
from supervisor.core import signals
from supervisor.core.spec import FileSink, JournaldSink, Output, RestartLimit, SyslogSink
from tests.config.loading import WEB, load_text, problems, web

DURATION = 'a duration such as "10s" or "1m30s" (units: ms, s, m, h, d)'
SIZE = 'a size from "256B" to "1MiB" (units: B, KiB, MiB, GiB, KB, MB, GB)'
SIGNAL = 'the name of a signal, such as "SIGTERM" or "SIGRTMIN+3"'
COMMAND = 'a list of strings such as ["nginx", "-g", "daemon off;"], or one string'
LIMIT = '"none", or a table such as { count = 5, within = "60s" }'
SINK = "a table with one of the keys file, journald and syslog"
OUTPUT = f"log, inherit, null, {SINK}, or a list of these"
FILE_SIZE = '"none", or a size from "1B" to "1024GiB" (units: B, KiB, MiB, GiB, KB, MB, GB)'
ADDRESS = 'an address such as "udp://127.0.0.1:514", "tcp://loghost:601" or "unix:/dev/log"'
ACTION = (
    'shutdown, reload, reopen-logs, ignore, forward, or a table such as { forward = "SIGUSR2", services = ["web"] }'
)
INHERIT = 'true, false, or a list of names and globs such as ["LANG", "APP_*"]'
STATUSES = 'a list of exit codes (0 to 255) and names of signals, such as [0, 143, "SIGTERM"]'
NAME = 'a name of 1 to 64 letters, digits, "_", "-" and ".", that begins with a letter, a digit or "_"'


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("200ms", 0.2),
        ("0.5ms", 0.0005),
        ("8s", 8.0),
        ("1.1s", 1.1),
        ("1m30s", 90.0),
        ("1h0.5m", 3630.0),
        ("1d2h3m4s5ms", 93784.005),
        ("3650d", 315360000.0),
        ("007s", 7.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number with a unit, or several from the largest unit to the smallest."""
    assert web(f'stop-timeout = "{text}"').stop_timeout == seconds


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("5", f'found 5; allowed: {DURATION}; did you mean "5s"?'),
        ("0", f'found 0; allowed: {DURATION}; did you mean "0s"?'),
        ("1.5", f'found 1.5; allowed: {DURATION}; did you mean "1.5s"?'),
        ('"5"', f'found "5"; allowed: {DURATION}; did you mean "5s"?'),
        ('"5 S"', f'found "5 S"; allowed: {DURATION}; did you mean "5s"?'),
        ('"1m30"', f'found "1m30"; allowed: {DURATION}; did you mean "1m30s"?'),
        ('"1m 30s"', f'found "1m 30s"; allowed: {DURATION}; did you mean "1m30s"?'),
        ("-5", f"found -5; allowed: {DURATION}"),
        ('"-5s"', f'found "-5s"; allowed: {DURATION}'),
        ("inf", f"found inf; allowed: {DURATION}"),
        ("nan", f"found nan; allowed: {DURATION}"),
        ("1e400", f"found inf; allowed: {DURATION}"),
        ('"inf"', f'found "inf"; allowed: {DURATION}'),
        ('"1e3s"', f'found "1e3s"; allowed: {DURATION}'),
        ('""', f'found ""; allowed: {DURATION}'),
        ('"s"', f'found "s"; allowed: {DURATION}'),
        ('".5s"', f'found ".5s"; allowed: {DURATION}'),
        ('"5sec"', f'found "5sec"; allowed: {DURATION}'),
        ('"30s1m"', f'found "30s1m"; allowed: {DURATION}'),
        ('"1s1s"', f'found "1s1s"; allowed: {DURATION}'),
        ('"٣s"', f'found "٣s"; allowed: {DURATION}'),
        ('"5s\\n"', f'found "5s\\n"; allowed: {DURATION}'),
        ('"3651d"', 'found "3651d"; allowed: at most 3650d'),
        ('"999999999999d"', 'found "999999999999d"; allowed: at most 3650d'),
        ("true", f"found true; allowed: {DURATION}"),
        ('["5s"]', f"found a list; allowed: {DURATION}"),
        ("{ s = 5 }", f"found a table; allowed: {DURATION}"),
        ("10:00:00", f"found a date or time; allowed: {DURATION}"),
        ("0x" + "f" * 5000, f"found a number of very many digits; allowed: {DURATION}"),
    ],
)
def test_wrong_durations(toml: str, message: str) -> None:
    """What is no duration is refused, with the unit that is probably missing; no arithmetic is lost on the way."""
    assert problems(f"{WEB}stop-timeout = {toml}") == [f"services.web.stop-timeout: {message}"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("256B", 256), ("16KiB", 16384), ("1MiB", 1048576), ("0.5MiB", 524288), ("0.001GB", 1000000), ("1.5KB", 1500)],
)
def test_sizes(text: str, size: int) -> None:
    """A size is a number with a unit, by 1024 or by 1000."""
    assert load_text(f'[log]\nmax-record = "{text}"').log.max_record == size


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("16384", f'found 16384; allowed: {SIZE}; did you mean "16384B"?'),
        ('"16K"', f'found "16K"; allowed: {SIZE}; did you mean "16KB"?'),
        ('"16Ki"', f'found "16Ki"; allowed: {SIZE}; did you mean "16KiB"?'),
        ('"16kb"', f'found "16kb"; allowed: {SIZE}'),
        ('"255B"', f'found "255B"; allowed: {SIZE}'),
        ('"1.1MiB"', f'found "1.1MiB"; allowed: {SIZE}'),
        ('"-1KiB"', f'found "-1KiB"; allowed: {SIZE}'),
        ("true", f"found true; allowed: {SIZE}"),
    ],
)
def test_wrong_sizes(toml: str, message: str) -> None:
    """A size without unit, with an unknown one, or out of bounds is refused."""
    assert problems(f"[log]\nmax-record = {toml}") == [f"log.max-record: {message}"]


@pytest.mark.parametrize(
    ("name", "number"), [("SIGQUIT", 3), ("QUIT", 3), ("SIGKILL", 9), ("SIGRTMIN+3", 37), ("RTMAX", 64), ("IOT", 6)]
)
def test_signals(name: str, number: int) -> None:
    """A signal is written by its name, with or without SIG."""
    assert web(f'stop-signal = "{name}"').stop_signal == number


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("15", f'found 15; allowed: {SIGNAL}; did you mean "SIGTERM"?'),
        ('"15"', f'found "15"; allowed: {SIGNAL}; did you mean "SIGTERM"?'),
        ('"term"', f'found "term"; allowed: {SIGNAL}; did you mean "SIGTERM"?'),
        ('" TERM"', f'found " TERM"; allowed: {SIGNAL}; did you mean "SIGTERM"?'),
        ('"SIGTREM"', f'found "SIGTREM"; allowed: {SIGNAL}; did you mean "SIGTERM"?'),
        ('"SIGRTMIN+31"', f'found "SIGRTMIN+31"; allowed: {SIGNAL}; did you mean "SIGRTMIN"?'),
        ('""', f'found ""; allowed: {SIGNAL}'),
        ("99", f"found 99; allowed: {SIGNAL}"),
        ("true", f"found true; allowed: {SIGNAL}"),
        ('"STOP"', "SIGSTOP cannot end a process; allowed: any other signal"),
    ],
)
def test_wrong_stop_signals(toml: str, message: str) -> None:
    """A number, another spelling, or a signal that ends nothing is refused, with the name that was meant."""
    assert problems(f"{WEB}stop-signal = {toml}") == [f"services.web.stop-signal: {message}"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('SIGKILL = "ignore"', "signals.SIGKILL: SIGKILL cannot be handled by any process"),
        ('STOP = "ignore"', "signals.STOP: SIGSTOP cannot be handled by any process"),
        ('CLD = "ignore"', "signals.CLD: SIGCHLD cannot be configured: by it the daemon learns of its children"),
        ('SIGUSR3 = "ignore"', f'signals.SIGUSR3: found "SIGUSR3"; allowed: {SIGNAL}; did you mean "SIGUSR2"?'),
        ('15 = "ignore"', f'signals.15: found "15"; allowed: {SIGNAL}; did you mean "SIGTERM"?'),
        ('HUP = "relaod"', f'signals.HUP: found "relaod"; allowed: {ACTION}; did you mean "reload"?'),
        ("HUP = 1", f"signals.HUP: found 1; allowed: {ACTION}"),
        ("HUP = {}", f"signals.HUP.forward: missing; allowed: {SIGNAL}"),
        ('HUP = { forward = "X" }', f'signals.HUP.forward: found "X"; allowed: {SIGNAL}'),
        ('HUP = { forward = "INT", service = [] }', "signals.HUP.service: unknown key; did you mean 'services'?"),
        (
            'HUP = { forward = "INT", services = "web" }',
            'signals.HUP.services: found "web"; allowed: a list of names of services',
        ),
        (
            'HUP = { forward = "INT", services = [] }',
            "signals.HUP.services: found an empty list; allowed: a list of names of services",
        ),
        (
            'HUP = { forward = "INT", services = ["web", "wep"] }',
            'signals.HUP.services[1]: found "wep"; allowed: the name of a configured service; did you mean "web"?',
        ),
    ],
)
def test_wrong_signal_tables(line: str, problem: str) -> None:
    """Signals that cannot be handled, unknown actions and unknown services are refused."""
    assert problems(f"{WEB}[signals]\n{line}") == [problem]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", f"command: missing; allowed: {COMMAND}"),
        ("command = 5", f"command: found 5; allowed: {COMMAND}"),
        ("command = []", f"command: no program: the command is empty; allowed: {COMMAND}"),
        ('command = " "', f"command: no program: the command is empty; allowed: {COMMAND}"),
        ('command = [""]', f"command: no program: the first word is empty; allowed: {COMMAND}"),
        ('command = ["${EMPTY}"]', f"command: no program: the first word is empty; allowed: {COMMAND}"),
        ("command = \"''\"", f"command: no program: the first word is empty; allowed: {COMMAND}"),
        ('command = ["a", 5]', "command[1]: found an integer; allowed: a string; write it in quotes"),
        ('command = ["a", ["b"]]', "command[1]: found a list; allowed: a string"),
        ('command = ["a", "b\\u0000c"]', "command[1]: found a NUL character; allowed: a string without one"),
        ('command = "a b\\u0000c"', "command: found a NUL character; allowed: a string without one"),
        ('command = "a \'b"', "command: cannot be split into words: no closing quotation"),
        ("command = 'a \\'", "command: cannot be split into words: no escaped character"),
        (f'command = "{"a" * 131072}"', "command: longer than 131071 characters; write it as a list"),
    ],
)
def test_wrong_commands(line: str, problem: str) -> None:
    """A command without a program, or one that no program could be given, is refused."""
    assert problems(f"[services.web]\n{line}", {"EMPTY": ""}) == [f"services.web.{problem}"]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('["a", "b c", ""]', ("a", "b c", "")),
        ('"a \\"b c\\" d\\\\ e \'f\'"', ("a", "b c", "d e", "f")),
        ('"sh -c \\"a | b && $X > #c\\""', ("sh", "-c", "a | b && $X > #c")),
        ('"a # b"', ("a", "#", "b")),
        ('"${TWO} x${TWO}"', ("one two", "xone two")),
        ('["${TWO}", "$$ $${X} $"]', ("one two", "$$ ${X} $")),
    ],
)
def test_commands(toml: str, words: tuple[str, ...]) -> None:
    """A list is taken as it is, a string is split as a shell does; variables never make further words."""
    assert load_text(f"[services.web]\ncommand = {toml}", {"TWO": "one two"}).fleet.services["web"].command == words


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('restart = "sometimes"', 'restart: found "sometimes"; allowed: never, on-failure, always'),
        ("restart = true", "restart: found true; allowed: never, on-failure, always"),
        ('stop-scope = "grp"', 'stop-scope: found "grp"; allowed: process, group, tree'),
        ("stdout = 1", f"stdout: found 1; allowed: {OUTPUT}"),
        ("stdout = {}", f"stdout: found none, but nothing; allowed: {SINK}"),
        ('stdout = { fiel = "/x" }', f"stdout: found none, but fiel; allowed: {SINK}"),
        ('stdout = { file = "/x", journald = true }', f"stdout: found all of file, journald; allowed: {SINK}"),
        ('stdout = { file = "/x/" }', 'stdout.file: found "/x", a folder; allowed: the path of a file'),
        (
            'stdout = { file = "/dev/stdout" }',
            'stdout.file: found "/dev/stdout", which is no file of its own; allowed: a file, or "log" or "inherit"',
        ),
        (
            'stdout = { file = "/x/{name}.log" }',
            'stdout.file: found "/x/{name}.log"; allowed: {service} and nothing else in braces',
        ),
        (
            'stdout = { file = "/x", max-size = 5 }',
            f'stdout.max-size: found 5; allowed: {FILE_SIZE}; did you mean "5B"?',
        ),
        (
            'stdout = { file = "/x", max-age = "0s" }',
            'stdout.max-age: found "0s"; allowed: a duration longer than 0s',
        ),
        ('stdout = { file = "/x", keep = -1 }', "stdout.keep: found -1; allowed: a whole number from 0 to 1000"),
        ('stdout = { file = "/x", format = "xml" }', 'stdout.format: found "xml"; allowed: text, json'),
        ("stdout = []", 'stdout: found an empty list; allowed: a list of "log" and tables'),
        (
            'stdout = ["log", "null"]',
            'stdout[1]: found "null"; allowed: "log", for others stand alone, or a table',
        ),
        (
            'stdout = ["log", "log"]',
            "stdout[1]: stands in the list already; every place gets each line once",
        ),
        (
            'stdout = [{ file = "/x" }, { file = "/x", keep = 1 }]',
            "stdout[1]: stands in the list already; every place gets each line once",
        ),
        (
            "stdout = { journald = false }",
            "stdout.journald: found false; allowed: true, or the path of the journal's socket",
        ),
        ('stdout = { syslog = "tls://x" }', f'stdout.syslog: found "tls://x"; allowed: {ADDRESS}'),
        ('stdout = { syslog = "udp://::1" }', f'stdout.syslog: found "udp://::1"; allowed: {ADDRESS}'),
        ('stdout = { syslog = "udp://h:0" }', f'stdout.syslog: found "udp://h:0"; allowed: {ADDRESS}'),
        ('stdout = { syslog = "udp://h:65536" }', f'stdout.syslog: found "udp://h:65536"; allowed: {ADDRESS}'),
        ('stdout = { syslog = "udp://u@h" }', f'stdout.syslog: found "udp://u@h"; allowed: {ADDRESS}'),
        ('stdout = { syslog = "unix:dev/log" }', f'stdout.syslog: found "unix:dev/log"; allowed: {ADDRESS}'),
        ('stderr = "/dev/null"', 'stderr: found "/dev/null"; allowed: log, inherit, null'),
        ('restart-limit = "no"', f'restart-limit: found "no"; allowed: {LIMIT}'),
        ("restart-limit = 5", f"restart-limit: found 5; allowed: {LIMIT}"),
        ("restart-limit = { count = 0 }", "restart-limit.count: found 0; allowed: a whole number from 1 to 1000000"),
        (
            "restart-limit = { count = 1.5 }",
            "restart-limit.count: found 1.5; allowed: a whole number from 1 to 1000000",
        ),
        ('restart-limit.within = "0s"', 'restart-limit.within: found "0s"; allowed: a duration longer than 0s'),
        ("restart-limit.max = 1", "restart-limit.max: unknown key; known keys: count, within"),
        (
            'restart-delay = "2s"\nrestart-max-delay = "1s"',
            "restart-max-delay: shorter than restart-delay; allowed: as long, or longer",
        ),
        ("success-exit-status = 1", f"success-exit-status: found 1; allowed: {STATUSES}"),
        ("success-exit-status = [256]", "success-exit-status[0]: found 256; allowed: a whole number from 0 to 255"),
        ("success-exit-status = [0, -1]", "success-exit-status[1]: found -1; allowed: a whole number from 0 to 255"),
        (
            "success-exit-status = [true]",
            'success-exit-status[0]: found true; allowed: an exit code from 0 to 255, or a name such as "SIGTERM"',
        ),
        (
            'success-exit-status = ["143"]',
            f'success-exit-status[0]: found "143"; allowed: {SIGNAL}',
        ),
        ('success-exit-status = ["SIGSTOP"]', "success-exit-status[0]: SIGSTOP ends no process"),
        ('inherit-environment = "yes"', f'inherit-environment: found "yes"; allowed: {INHERIT}'),
        (
            "inherit-environment = [1]",
            "inherit-environment[0]: found an integer; allowed: a string; write it in quotes",
        ),
        ('inherit-environment = [""]', "inherit-environment[0]: found an empty string; allowed: a string"),
        ('directory = ""', "directory: found an empty string; allowed: a path"),
        ('directory = "${EMPTY}"', "directory: found an empty string after expansion; allowed: a path"),
        ("directory = 5", "directory: found an integer; allowed: a path; write it in quotes"),
        ('environment = ["A=1"]', "environment: found a list; allowed: a table"),
        ("environment.PORT = 8080", "environment.PORT: found an integer; allowed: a string; write it in quotes"),
        ("environment.DEBUG = true", "environment.DEBUG: found a boolean; allowed: a string; write it in quotes"),
        ("environment.A = []", "environment.A: found a list; allowed: a string"),
        (
            'environment."A=B" = "x"',
            'environment."A=B": found a name with "="; allowed: the name of an environment variable, without "="',
        ),
        (
            'environment."" = "x"',
            'environment."": found an empty string; allowed: the name of an environment variable, without "="',
        ),
        ('comand = "x"', "comand: unknown key; did you mean 'command'?"),
        ('restart_delay = "1s"', "restart_delay: unknown key; did you mean 'restart-delay'?"),
        ('Restart = "never"', "Restart: unknown key; did you mean 'restart'?"),
        ('when-done = "exit"', "when-done: unknown key; it belongs in [supervisor]"),
        ('level = "info"', "level: unknown key; it belongs in [log]"),
        ("zzz = 1", f"zzz: unknown key; known keys: {', '.join(SERVICE.fields)}"),
    ],
)
def test_wrong_values_of_a_service(line: str, problem: str) -> None:
    """Every key of a service says what it found, and what it takes."""
    assert problems(WEB + line, {"EMPTY": ""}) == [f"services.web.{problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[supervisor]\nmain = "wbe"', 'supervisor.main: found "wbe"; allowed: the name of a configured service'),
        ("[supervisor]\nmain = 5", "supervisor.main: found 5; allowed: the name of a configured service"),
        ('[supervisor]\non-failure = "exit"', 'supervisor.on-failure: found "exit"; allowed: shutdown, ignore'),
        ('[supervisor]\nwhen-done = "stop"', 'supervisor.when-done: found "stop"; allowed: exit, pause'),
        ("[supervisor]\nstop-timout = 1", "supervisor.stop-timout: unknown key; did you mean 'stop-timeout'?"),
        ("supervisor = 5", "supervisor: found 5; allowed: a table"),
        ('[log]\nformat = "xml"', 'log.format: found "xml"; allowed: json, logfmt, console'),
        (
            '[log]\nlevel = "warn"',
            'log.level: found "warn"; allowed: debug, info, warning, error, critical; did you mean "warning"?',
        ),
        ("[log]\nto = 1", f"log.to: found 1; allowed: stdout, stderr, a path, {SINK}, or a list of these"),
        (
            '[log]\nto = ["stdout", "stderr"]',
            "log.to: both stdout and stderr; allowed: one of them, and any number of others",
        ),
        ('[log]\nto = { file = "/x", format = "json" }', "log.to.format: unknown key; it belongs in [log]"),
        ('[log]\nto = { file = "/x/{service}" }', 'log.to.file: found "/x/{service}"; allowed: a path without braces'),
        ('[log]\nto = ""', "log.to: found an empty string; allowed: stdout, stderr, a path"),
        ("[[services.web]]", "services.web: found a list; allowed: a table"),
        ("services = 1", "services: found 1; allowed: a table"),
        ("[service.web]", "service: unknown key; did you mean 'services'?"),
        ('main = "web"', "main: unknown key; it belongs in [supervisor]"),
        ('stop-timeout = "1s"', "stop-timeout: unknown key; it belongs in [supervisor] or [services.NAME]"),
        ("[web]", f"web: unknown key; known keys: {', '.join(FILE.fields)}"),
        ('"a.b\\"\\n" = 1', f'"a.b\\"\\n": unknown key; known keys: {", ".join(FILE.fields)}'),
    ],
)
def test_wrong_values_elsewhere(text: str, problem: str) -> None:
    """The other tables, and what stands outside of them, likewise."""
    first, *_ = problems(f"{text}\n[services.wxyz]\ncommand='x'" if "main = " in text else text)
    assert first == problem


def test_main_without_services() -> None:
    """With no service at all there is no name to be near to."""
    assert problems('[supervisor]\nmain = "web"') == [
        'supervisor.main: found "web"; allowed: no name, for no service is configured'
    ]


@pytest.mark.parametrize("name", ["a", "A", "_", "0", "web-1.2_x", "a..", "x" * 64])
def test_service_names(name: str) -> None:
    """Names that are safe as part of a path or a label are taken."""
    assert list(load_text(f'[services."{name}"]\ncommand = "x"').fleet.services) == [name]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("..", ".."),
        (".", "."),
        (".hidden", ".hidden"),
        ("a/b", "a/b"),
        ("../x", "../x"),
        ("a\\nb", "a\\nb"),
        ("a\\n", "a\\n"),
        ("a b", "a b"),
        ("", ""),
        ("é", "é"),
        ("🐙", "🐙"),
        ("web#1", "web#1"),
        ("x" * 65, "x" * 60 + "…"),
        ("x" * 1000, "x" * 60 + "…"),
    ],
)
def test_unsafe_service_names(name: str, shown: str) -> None:
    """Every other name is refused, and shown shortened and without control characters."""
    assert problems(f'[services."{name}"]\ncommand = "x"') == [f'services."{shown}": found "{shown}"; allowed: {NAME}']


def test_a_name_that_is_a_bare_key_is_not_quoted() -> None:
    """A key path is written as TOML needs it, and not with more quotes than that."""
    assert problems('[services.-x]\ncommand = "x"') == [f'services.-x: found "-x"; allowed: {NAME}']


def test_success_status_is_the_whole_list() -> None:
    """The list replaces the default; a name is a death by signal, and a number is never one."""
    assert web('success-exit-status = ["SIGTERM", 143]').success_codes == frozenset({143})
    assert web('success-exit-status = ["SIGTERM", 143]').success_signals == frozenset({15})
    assert web("success-exit-status = []").success_codes == frozenset()
    assert web("").success_codes == frozenset({0})


def test_half_a_restart_limit() -> None:
    """Either part of the limit has its default."""
    assert web("restart-limit.count = 1").restart_limit == RestartLimit(count=1)
    assert web('restart-limit.within = "1s"').restart_limit == RestartLimit(within=1.0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("www", "/start/www"),
        ("./www/", "/start/www"),
        (".", "/start"),
        ("/srv", "/srv"),
        ("../www", "/start/../www"),
        ("/srv/../x", "/srv/../x"),
        ("${HOME}/www", "/root/www"),
    ],
)
def test_directories(path: str, expected: str) -> None:
    """A relative directory starts where the daemon did; ``..`` stays, since symbolic links decide what it means."""
    assert web(f'directory = "{path}"', {"HOME": "/root"}).directory == expected
    assert absolute("/start", expected) == expected


@pytest.mark.parametrize(
    ("value", "to"),
    [("stdout", "stdout"), ("stderr", "stderr"), ("./stdout", "/start/stdout"), ("x.log", "/start/x.log")],
)
def test_log_destinations(value: str, to: str) -> None:
    """Two words name the standard streams; anything else is a path."""
    assert load_text(f'[log]\nto = "{value}"').log.to == to


@pytest.mark.parametrize("number", sorted(signals.CATCHABLE - {signals.SIGCHLD}))
def test_every_signal_can_be_configured(number: int) -> None:
    """Every signal that the daemon can handle is a key, by the name that events give it."""
    name = signals.signal_name(number)
    assert number in load_text(f'[signals]\n"{name}" = "ignore"').fleet.signals
    assert signal_number(name) == number


def test_examples_in_messages_are_right() -> None:
    """What the messages recommend is taken when it is followed."""
    for text in (DURATION, SIZE, SIGNAL):
        assert re.search(r'"[^"]+"', text)
    assert web(f"restart-limit = {LIMIT.split('such as ')[1]}").restart_limit == RestartLimit()
    assert "PATH" in web(f"inherit-environment = {INHERIT.split('such as ')[1]}").environment
    assert web(f"success-exit-status = {STATUSES.split('such as ')[1]}").success_signals == frozenset({15})
    load_text(f"{WEB}[signals]\nHUP = {ACTION.split('such as ')[1]}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"log"', Output.LOG),
        ('"null"', Output.NULL),
        ('{ file = "/x" }', (FileSink("/x"),)),
        (
            (
                '{ file = "log/${X}.{service}", max-size = "1KiB", max-age = "1d", keep = 0, compress = true,'
                ' format = "json" }'
            ),
            (FileSink("/start/log/y.{service}", 1024, 86400.0, 0, compress=True, json=True),),
        ),
        ('{ file = "/x", max-size = "none", max-age = "none" }', (FileSink("/x", None),)),
        ("{ journald = true }", (JournaldSink(),)),
        ('{ journald = "/s" }', (JournaldSink("/s"),)),
        ('{ syslog = "udp://10.0.0.1" }', (SyslogSink("udp", "10.0.0.1", 514, 3),)),
        ('{ syslog = "tcp://[::1]:601/", facility = "local7" }', (SyslogSink("tcp", "::1", 601, 23),)),
        ('{ syslog = "tcp://${X}" }', (SyslogSink("tcp", "y"),)),
        ('{ syslog = "unix:/dev/log", format = "rfc3164" }', (SyslogSink("unix", "/dev/log", 0, legacy=True),)),
        ('["log", { journald = true }]', (Output.LOG, JournaldSink())),
    ],
)
def test_where_output_goes(value: str, expected: object) -> None:
    """A word, a table that says by its first key what it is, or a list."""
    assert web(f"stdout = {value}", {"X": "y"}).stdout == expected


@pytest.mark.parametrize(
    ("value", "to", "targets"),
    [
        ('"stderr"', "stderr", ()),
        ('"x.log"', "/start/x.log", ()),
        ('{ file = "x.log" }', "", (FileSink("/start/x.log"),)),
        (
            '["stdout", "x.log", { journald = true }]',
            "stdout",
            (FileSink("/start/x.log", None), JournaldSink()),
        ),
    ],
)
def test_where_the_log_goes(value: str, to: str, targets: object) -> None:
    """A word or a path as ever; of a table or a list the word, and the others as targets. A path is not rotated."""
    log = load_text(f"[log]\nto = {value}").log
    assert (log.to, log.targets) == (to, targets)


def test_a_file_is_rotated_in_one_way() -> None:
    """Streams may share a file, in whatever configuration file they stand, if they agree about its limits."""
    same = f'{WEB}stdout = {{ file = "/x/web" }}\nstderr = {{ file = "/x/{{service}}" }}\n'
    assert load_text(same).fleet.services["web"].stderr == (FileSink("/x/{service}"),)
    (problem,) = problems(f'{same}[services.db]\ncommand = "db"\nstdout = {{ file = "/x/web", keep = 1 }}')
    assert re.fullmatch(
        'services.db.stdout: "/x/web" is written with other settings by services.web.stdout in /.*; '
        "allowed: the same settings, or two files",
        problem,
    )
    (problem,) = problems(f'{same}[services.db]\ncommand = "db"\nstdout = {{ file = "/x/y/../web", keep = 1 }}')
    assert 'services.db.stdout: "/x/web" is written with other settings by' in problem


@pytest.mark.parametrize("to", ['"/x/web"', '{ file = "/x/./web" }', '["stdout", "/x/web"]'])
def test_the_log_has_its_files_for_itself(to: str) -> None:
    """Whatever the order in which both are written, and how the path is spelled; a device is no file."""
    log, service = f"[log]\nto = {to}\n", f'{WEB}stdout = {{ file = "/x/{{service}}" }}\n'
    allowed = 'allowed: another file, or "log" for lines to the log'
    for text in (log + service, service + log):
        (problem,) = problems(text)
        assert re.fullmatch(f'services.web.stdout: "/x/web" is written by log.to in /.* as well; {allowed}', problem)
    devices = load_text(f'[log]\nto = "/dev/null"\n{WEB}stdout = {{ file = "/dev/null" }}')
    assert devices.log.to == "/dev/null"


def test_the_log_has_its_files_for_itself_in_another_file(tmp_path: pathlib.Path) -> None:
    """A service that is read before the log is what the log is told about."""
    (tmp_path / "1.toml").write_text(f'{WEB}stdout = {{ file = "/x/web" }}\n')
    (tmp_path / "2.toml").write_text('[log]\nto = "/x/web"\n')
    with pytest.raises(ConfigError) as caught:
        load([str(tmp_path)], {}, "/")
    (problem,) = caught.value.problems
    assert (problem.key, '"/x/web" is written by services.web.stdout in' in problem.message) == ("log.to", True)
