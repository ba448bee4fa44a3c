"""The OpenAPI document: it is valid, published, complete, and the daemon keeps to it."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from supervisor.control.openapi import document
from supervisor.control.orders import VERBS
from supervisor.control.schemas import SERVICE
from tests.control.conftest import StartControlled
from tests.helpers.settings import service, table
from tests.runtime.isolated import ROOT

PUBLISHED = os.path.join(ROOT, "config", "openapi.json")


def test_the_published_file_is_up_to_date() -> None:
    """``config/openapi.json`` is what ``python -m supervisor.control.openapi`` writes."""
    ran = subprocess.run(
        [sys.executable, "-m", "supervisor.control.openapi"], capture_output=True, check=True, cwd=ROOT
    )
    with open(PUBLISHED, "rb") as file:
        assert file.read() == ran.stdout


def test_it_is_served(control: StartControlled) -> None:
    """The daemon hands out the same document."""
    _, client = control(service("web", "sleep", "1000"))
    with open(PUBLISHED, encoding="utf-8") as file:
        assert client.get("/openapi.json").json == json.load(file)


def test_every_route_is_in_it() -> None:
    """What the application answers is what the document has, and nothing else."""
    with open(os.path.join(ROOT, "supervisor", "control", "routes.py"), encoding="utf-8") as file:
        source = file.read()
    found = set(re.findall(r'Route\("([^"]+)"', source))
    found |= {"/v1/services/{name}", "/v1/services/{name}/signal", "/v1/services/{name}/scale"}
    found |= {f"/v1/services/{{name}}/{what}" for what in ("rolling-restart", "freeze", "thaw")}
    found |= {f"/v1/services/{{name}}/{verb}" for verb in VERBS}
    assert set(document()["paths"]) == found


def test_all_references_are_there() -> None:
    """No schema is named that does not exist, and none exists that nobody names."""
    text = json.dumps(document())
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) == set(document()["components"]["schemas"])
    for schema in document()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_services_are_as_described(control: StartControlled) -> None:
    """What is told of services in several states fits the schema, field by field."""
    daemon, client = control(
        table("supervisor", on_failure="ignore", when_done="pause"),
        service("web", "sleep", "1000"),
        service("bad", "sh", "-c", "exit 3", restart="never"),
        service("killed", "sh", "-c", "kill -KILL $$", restart="never"),
        service("again", "false", restart_delay="60s"),
    )
    daemon.wait_events(3, "child_exited")
    validator = jsonschema.Draft202012Validator(SERVICE)
    for one in client.get("/v1/services").json["services"]:
        validator.validate(one)
        assert list(one) == list(SERVICE["properties"])


def adapted() -> dict[str, Any]:
    """The document for who asks at random: nothing that never ends, and names that there are."""
    found: dict[str, Any] = json.loads(json.dumps(document()))
    for path in ("/v1/events", "/v1/logs"):
        operation = found["paths"][path]["get"]
        operation["parameters"] = [one for one in operation["parameters"] if one["name"] != "follow"]
    for item in found["paths"].values():
        for parameter in item.get("parameters", ()):
            parameter["schema"] = {"anyOf": [{"enum": ["web", "bad"]}, {"type": "string", "minLength": 1}]}
    return found


@pytest.mark.timeout(300)
def test_asked_at_random(control: StartControlled, folder: str, free_port: int) -> None:
    """Hundreds of requests that the document allows, and hundreds that it does not: the daemon keeps to it.

    Status 504 is an answer to who waits for a millisecond, so ``not_a_server_error`` is judged by the log: a mistake of
    ours is a record there.
    """
    for name, content in (("token", "a-token"), ("openapi.json", json.dumps(adapted()))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
    address = f"127.0.0.1:{free_port}"
    settings = table(
        "supervisor",
        on_failure="ignore",
        when_done="pause",
        listen=address,
        listen_token_file=os.path.join(folder, "token"),
    )
    bad = service("bad", "false", restart="never")
    daemon, client = control(settings, service("web", "sleep", "1000"), bad)
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        "run",
        os.path.join(folder, "openapi.json"),
    ]
    options = {
        "--url": f"http://{address}",
        "--header": "Authorization: Bearer a-token",
        "--checks": "all",
        "--exclude-checks": "not_a_server_error,ignored_auth",
        "--exclude-path": "/v1/shutdown",
        "--phases": "coverage,fuzzing",
        "--max-examples": "10",
        "--request-timeout": "20",
    }
    arguments = [word for pair in options.items() for word in pair]
    ran = subprocess.run([*command, *arguments, "--no-color"], capture_output=True, text=True, check=False, cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert client.get("/livez").status == 200
    assert daemon.events("internal_error") == []
