"""The API over TCP: off unless configured, and only with the token."""

import os

import pytest

from tests.control.client import Client
from tests.control.conftest import StartControlled
from tests.harness import Daemon
from tests.helpers.settings import service, table

WEB = service("web", "sleep", "1000")
TOKEN = "a-token-of-thirty-two-characters"


@pytest.fixture
def api(control: StartControlled, folder: str, free_port: int) -> tuple[Daemon, Client, Client]:
    """A daemon that listens on a port: a client that has the token, and one that has none."""
    path = os.path.join(folder, "token")
    with open(path, "w", encoding="utf-8") as file:
        file.write(TOKEN + "\n")
    daemon, _ = control(table("supervisor", listen=f"127.0.0.1:{free_port}", listen_token_file=path), WEB)
    daemon.wait_event("control_listening", address=f"127.0.0.1:{free_port}", serves="api")
    at = ("127.0.0.1", free_port)
    return daemon, Client(at, {"Authorization": f"Bearer {TOKEN}"}), Client(at)


def test_with_the_token(api: tuple[Daemon, Client, Client]) -> None:
    """Everything is as through the socket."""
    _, client, _ = api
    assert client.service("web")["state"] == "running"
    assert client.post("/v1/services/web/restart?wait=true").json["attempt"] == 2
    assert client.get("/livez").status == 200


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        f"bearer {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        "Bearer \xe9",
    ],
)
def test_without_the_token(api: tuple[Daemon, Client, Client], shown: str | None) -> None:
    """Nothing is told, nothing is done, and the way in is named; the token is in no answer and no record."""
    daemon, client, stranger = api
    if shown is not None:
        stranger = Client(stranger.at, {"Authorization": shown})
    for method, path in (("GET", "/v1/services"), ("POST", "/v1/shutdown"), ("GET", "/livez"), ("GET", "/nothing")):
        answer = stranger.ask(method, path)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert TOKEN not in answer.text
    assert client.service("web")["state"] == "running"
    assert TOKEN not in str(daemon.records)
