"""Metrics: what a scraper reads, checked with the parser of Prometheus' own library."""

import os
import re
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.control.client import Client, listens
from tests.control.conftest import StartControlled
from tests.harness import Launcher
from tests.helpers import procfs
from tests.helpers.settings import program, service, table
from tests.runtime.isolated import ROOT

IGNORE = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000")

Key = tuple[str, tuple[tuple[str, str], ...]]


def scrape(client: Client) -> dict[Key, float]:
    """All series."""
    answer = client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples), "a series stands there twice"
    return found


def value(found: dict[Key, float], name: str, **labels: str) -> float:
    """One series."""
    return found["pausevisor_" + name, tuple(sorted(labels.items()))]


def test_the_daemon(control: StartControlled) -> None:
    """What it is, how it does, and its services by state."""
    daemon, client = control(IGNORE, WEB, service("bad", "false", restart="never"))
    daemon.wait_event("child_exited")
    found = scrape(client)
    started = daemon.wait_event("supervisor_started")
    labels = {name: str(started[name]) for name in ("version", "mode", "loop", "python")}
    assert value(found, "info", **labels) == 1
    assert value(found, "services", state="running") == 1
    assert value(found, "services", state="failed") == 1
    assert value(found, "services", state="waiting") == 0
    assert value(found, "zombies_reaped_total") == 1
    assert value(found, "shutting_down") == 0
    assert value(found, "resident_memory_bytes") > 10 * 2**20
    assert value(found, "cpu_seconds_total") > 0
    assert 0 <= value(found, "loop_lag_seconds") < 5
    assert value(found, "events_total", event="child_exited") == 1


def test_services(control: StartControlled) -> None:
    """State, starts, ends by code and signal, output and usage of each service."""
    daemon, client = control(
        IGNORE,
        WEB,
        service("talk", "sh", "-c", "echo one; echo two >&2; exit 3", restart="never"),
        service("killed", "sh", "-c", "kill -KILL $$", restart="never"),
        service("none", "/nonexistent", restart="never"),
    )
    daemon.wait_events(2, "child_exited")
    client.post("/v1/services/web/restart?wait=true")
    found = scrape(client)
    assert value(found, "service_state", service="web", state="running") == 1
    assert value(found, "service_state", service="web", state="failed") == 0
    assert value(found, "service_state", service="talk", state="failed") == 1
    assert (
        value(found, "service_starts_total", service="web"),
        value(found, "service_starts_total", service="talk"),
    ) == (
        2,
        1,
    )
    assert value(found, "service_restarts_total", service="web") == 1
    assert value(found, "service_exits_total", service="web", exit_code="", signal="SIGTERM") == 1
    assert value(found, "service_exits_total", service="talk", exit_code="3", signal="") == 1
    assert value(found, "service_exits_total", service="killed", exit_code="", signal="SIGKILL") == 1
    assert value(found, "service_spawn_failures_total", service="none") == 1
    assert value(found, "service_log_lines_total", service="talk") == 2
    assert value(found, "service_log_bytes_total", service="talk") == 8
    assert value(found, "service_uptime_seconds", service="web") > 0
    assert value(found, "service_uptime_seconds", service="talk") == 0
    assert value(found, "service_resident_memory_bytes", service="web") > 0


def test_counted_whatever_the_log_level_is(start: Launcher, path: str) -> None:
    """Orphans and ends are counted from the start, though nobody writes them down."""
    bad = service("bad", "sh", "-c", "(sleep 0.1 &) ; exit 1", restart="never")
    daemon = start.services(IGNORE, WEB, bad, options=("--control", path, "--log-level", "critical"))
    procfs.wait_until(lambda: listens(path), "the daemon listens")
    client = Client(path)
    procfs.wait_until(lambda: value(scrape(client), "orphans_exited_total") == 1, "the orphan")
    found = scrape(client)
    assert value(found, "zombies_reaped_total") == 2
    assert value(found, "service_exits_total", service="bad", exit_code="1", signal="") == 1
    assert daemon.records == []


def test_time_adds_no_series(control: StartControlled) -> None:
    """A service that is restarted again and again has as many series as before."""
    storm = service("storm", "sh", "-c", "exit 1", restart_delay="0s", restart_limit="none")
    daemon, client = control(IGNORE, WEB, storm)
    daemon.wait_events(20, "child_exited")
    before = scrape(client)
    daemon.wait_events(300, "child_exited")
    after = scrape(client)
    assert before.keys() == after.keys()
    exits = {"service": "storm", "exit_code": "1", "signal": ""}
    assert value(after, "service_exits_total", **exits) >= 300
    counters = [key for key in before if key[0].endswith("_total")]
    assert all(before[key] <= after[key] for key in counters)
    client.post("/v1/services/storm/stop?wait=true")


def test_a_service_that_is_gone_takes_its_series_along(control: StartControlled, folder: str) -> None:
    """Removed by a reload, nothing of it is left."""
    path = f"{folder}/services.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(service("gone", *program("actor", "any=exit:5")))
    daemon, client = control(IGNORE, WEB, options=("-c", path))
    daemon.wait_line("ready")
    with open(path, "w", encoding="utf-8") as file:
        file.write("")
    assert client.post("/v1/reload").status == 200
    procfs.wait_until(lambda: len(client.get("/v1/services").json["services"]) == 1, "the service is gone")
    assert not [key for key in scrape(client) if ("service", "gone") in key[1]]


def test_names_are_escaped(control: StartControlled) -> None:
    """What a service may be called is safe in a label."""
    _, client = control(IGNORE, service('"A.b-c_1"', "sleep", "1000"))
    assert value(scrape(client), "service_state", service="A.b-c_1", state="running") == 1


def test_a_thousand_services(control: StartControlled) -> None:
    """Ten thousand series are written in pieces: others are answered meanwhile, and each metric has one head."""
    settings = [service(f"s{n}", "sleep", "1000", stdout="null", stderr="null") for n in range(1000)]
    _, client = control(*settings)
    client.get("/metrics")
    scraping = client.connection()
    scraping.request("GET", "/metrics")
    assert client.get("/livez").status == 200
    text = scraping.getresponse().read().decode()
    scraping.close()
    heads = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    assert text.count('pausevisor_service_state{service="s999"') == 8
    assert sum(1 for _ in text_string_to_metric_families(text)) == len(heads)


@pytest.mark.container
def test_as_promtool_sees_it(control: StartControlled) -> None:
    """Prometheus' own tool finds nothing to complain of."""
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is missing: tests/containers/setup installs it"
    daemon, client = control(IGNORE, WEB, service("bad", "false", restart="never"))
    daemon.wait_event("child_exited")
    metrics = client.get("/metrics").body
    checked = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_documentation_names_them_all(control: StartControlled) -> None:
    """The table in ``docs/api.md`` has the metrics there are, with their kinds."""
    _, client = control(IGNORE, WEB)
    with open(os.path.join(ROOT, "docs", "api.md"), encoding="utf-8") as file:
        documented = re.findall(r"^\| `(pausevisor_\w+)` \| (\w+) \|", file.read(), re.MULTILINE)
    heads = re.findall(r"^# TYPE (\w+) (\w+)$", client.get("/metrics").text, re.MULTILINE)
    assert sorted(documented) == sorted(heads)
