"""A client of the control socket, on the standard library's HTTP: others have to understand what the daemon says."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.helpers.patience import PATIENCE


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body, as text."""
        return self.body.decode()

    @property
    def lines(self) -> list[Any]:
        """The body, as lines of JSON."""
        return [json.loads(line) for line in self.body.splitlines()]


class UnixConnection(http.client.HTTPConnection):
    """HTTP through a path."""

    def __init__(self, path: str, timeout: float = PATIENCE) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """See http.client."""
        self.sock = raw(self.path)
        self.sock.settimeout(self.timeout)


def raw(path: str) -> socket.socket:
    """A connection to say anything on."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)  # before the timeout, or a full backlog is an error and not a wait
    except OSError:
        connection.close()
        raise
    connection.settimeout(PATIENCE)
    return connection


def listens(path: str) -> bool:
    """Whether a daemon listens at the path: it stands there a moment before it can be connected to."""
    try:
        raw(path).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


class Client:
    """Asks one daemon, each time on a connection of its own.

    Args:
        at: path of a socket, or host and port.
        headers: sent with each request.
    """

    def __init__(self, at: str | tuple[str, int], headers: Mapping[str, str] | None = None) -> None:
        self.at = at
        self.headers = dict(headers or {})

    def connection(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        """A new connection."""
        if isinstance(self.at, str):
            return UnixConnection(self.at, timeout)
        return http.client.HTTPConnection(*self.at, timeout=timeout)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request; a body that is neither text nor bytes is sent as JSON."""
        connection = self.connection()
        data = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """Ask."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: object = None) -> Answer:
        """Order."""
        return self.ask("POST", path, body)

    def service(self, name: str) -> Any:
        """One service."""
        answer = self.get(f"/v1/services/{name}")
        assert answer.status == 200, answer
        return answer.json

    @contextmanager
    def follow(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """An answer that goes on; its lines are read by iterating."""
        connection = self.connection()
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            assert response.status == 200
            yield response
        finally:
            connection.close()


def next_record(response: http.client.HTTPResponse) -> Any:
    """The next line of JSON of an answer that goes on."""
    line = response.readline()
    assert line, "the answer has ended"
    return json.loads(line)


def until(response: http.client.HTTPResponse, event: str, **fields: object) -> Any:
    """The next record of this kind; others are passed over."""
    while True:
        record = next_record(response)
        if record["event"] == event and all(record.get(name) == value for name, value in fields.items()):
            return record
