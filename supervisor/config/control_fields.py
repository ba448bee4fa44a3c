"""The keys of ``[supervisor]`` that say where the daemon can be asked and given orders."""

from __future__ import annotations

from supervisor.config.kinds import Path, Text
from supervisor.config.problems import Place
from supervisor.config.shapes import Field
from supervisor.core.spec import ControlSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class SocketPath(Path):
    """A path, made absolute, or nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = 'a path, or "" for none'

    def parse(self, value: object, at: Place) -> str:
        """Read a path; see :meth:`Kind.parse`."""
        return "" if value == "" else super().parse(value, at)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return Text().schema()


class Address:
    """A numeric address and a port, ``127.0.0.1:9500`` or ``[::1]:9500``. Nothing is looked up: no name is needed."""

    allowed = 'a numeric address and a port, such as "127.0.0.1:9500" or "[::1]:9500"'

    def parse(self, value: object, at: Place) -> tuple[str, int]:
        """Read an address; see :meth:`Kind.parse`."""
        if not isinstance(value, str):
            raise at.wrong(value, self.allowed)
        host, _, port = value.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1] if ":" in host else ""
        elif ":" in host:
            host = ""
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535 and _is_numeric(host)):
            raise at.wrong(value, self.allowed)
        return host, int(port)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return {"type": "string", "pattern": r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"}


def _is_numeric(host: str) -> bool:
    import _socket  # noqa: PLC0415 - only where a port is configured

    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in host else _socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


CONTROL_FIELDS = (
    Field(
        "control",
        SocketPath(),
        'The path of the control socket, "" for none; when absent /run/pausevisor.sock, else '
        "$XDG_RUNTIME_DIR/pausevisor.sock, else none with a warning.",
        attribute="socket",
    ),
    Field(
        "control-group",
        Text(expanded=True, empty=False, allowed="the name or number of a group"),
        "The group whose members may use the control socket as well as its owner and root.",
        attribute="group",
    ),
    Field("listen", Address(), "An address and port for the same over TCP; listen-token-file has to go with it."),
    Field(
        "listen-token-file",
        Path(),
        "The file with the token that clients have to show over TCP.",
        attribute="token_file",
    ),
    Field(
        "listen-health",
        Address(),
        "An address and port for the probes and the metrics only, which anybody may ask for.",
        attribute="health",
    ),
)
"""One row a key; see :mod:`supervisor.config.fields`."""

_NAMES = tuple(field.name for field in CONTROL_FIELDS)


def check_control(values: Mapping[str, Any], at: Place) -> None:
    """Over TCP the kernel does not say who is there: without a token anybody could give orders."""
    if "listen" in values and "token_file" not in values:
        at.inside("listen").refuse("needs listen-token-file beside it, the file with the token that clients show")


def control_spec(values: dict[str, Any]) -> ControlSpec:
    """Where the daemon listens, of the values given in ``[supervisor]``; they are taken out of them."""
    return ControlSpec(**{name: values.pop(name) for name in _NAMES if name in values})
