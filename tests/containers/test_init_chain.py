"""A database, its migration and its client: the image of config/containers/postgres, as its readers would run it."""

import pytest

from tests.containers.conftest import Start
from tests.containers.image import CHAIN

pytestmark = [pytest.mark.container, pytest.mark.timeout(180, func_only=True)]


def test_each_starts_when_what_it_needs_is_there(start: Start) -> None:
    """The data folder, then the server, then the migration, then the client; down in the reverse."""
    container = start(image=CHAIN)
    container.wait_event("service_ready", service="db")
    container.wait_event("service_state_changed", service="app", to="running")
    for count in (1, 2):
        container.wait_event("output", service="app", message=f"     {count}")
    users = container.python(
        "import os; print(*sorted({os.stat(f'/proc/{p}').st_uid for p in os.listdir('/proc') if p.isdigit()}))"
    )
    assert {"0", "65534"} < set(users.split())
    container.stop()
    assert container.wait() == 0
    records = container.check()
    order = [(record["event"], record.get("service")) for record in records]
    steps = [
        ("child_started", "init"),
        ("child_exited", "init"),
        ("child_started", "db"),
        ("service_ready", "db"),
        ("child_started", "migrate"),
        ("child_exited", "migrate"),
        ("child_started", "app"),
        ("shutdown_started", None),
        ("child_exited", "app"),
        ("child_exited", "db"),
        ("shutdown_finished", None),
    ]
    assert [order.index(step) for step in steps] == sorted(order.index(step) for step in steps)
    assert records[-1]["killed"] == []


def test_a_migration_that_fails_keeps_the_client_from_starting(start: Start) -> None:
    """Its exit code ends the container, the client's record names it, and the database is stopped in order."""
    broken = "sed s/visits.*timestamptz/nonsense/ /etc/pausevisor/pausevisor.toml >/tmp/broken.toml"
    script = f"{broken}; exec pausevisor run -c /tmp/broken.toml"
    container = start("-c", script, image=CHAIN, options=("--entrypoint", "sh"))
    assert container.wait() == 1
    records = container.check()
    changes = [record for record in records if record["event"] == "service_state_changed"]
    (failed,) = [record for record in changes if (record["service"], record["to"]) == ("app", "failed")]
    assert (failed["reason"], failed["need"]) == ("need-failed", "migrate")
    assert "app" not in [record["service"] for record in records if record["event"] == "child_started"]
