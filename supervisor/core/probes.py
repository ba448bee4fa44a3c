"""What a probe looks at, in the words of a record."""

from supervisor.core.spec import CommandProbe, FdProbe, FileProbe, HttpProbe, LogProbe, NotifyProbe, Probe, TcpProbe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def describe(probe: Probe) -> str:
    """Kind and target: ``tcp 127.0.0.1:80``, ``notify``, ``file /run/web.ready``; a command by its program's name."""
    return _WORDS[type(probe)](probe)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_WORDS: "dict[type, Callable[[Any], str]]" = {
    NotifyProbe: lambda _: "notify",
    FdProbe: lambda probe: f"fd {probe.fd}",
    TcpProbe: lambda probe: f"tcp {_address(probe.host, probe.port)}",
    HttpProbe: lambda probe: f"http {_address(probe.host, probe.port)}{probe.path}",
    CommandProbe: lambda probe: f"command {probe.command[0]}",
    LogProbe: lambda probe: f"log {probe.pattern}",
    FileProbe: lambda probe: f"file {probe.path}",
}
