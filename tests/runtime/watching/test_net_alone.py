"""What of connecting probes needs no loop of the tests' own: status lines, and a network namespace."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.runtime.watching.net import judge
from tests.conftest import need_namespace
from tests.harness import namespace_command
from tests.helpers.patience import PATIENCE
from tests.runtime.isolated import ROOT

PROLOGUE = """
import socket, sys
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
    file.write("40000 40001")
"""
"""The kernel has no other port for our end than the one that is probed, or the one beside it."""

PLAIN = """
with socket.socket() as plain:
    print(plain.connect_ex(("127.0.0.1", 40000)))
"""

PROBE = """
sys.path.insert(0, sys.argv[1])
import asyncio
from supervisor.runtime.watching.net import TcpChecker
loop = asyncio.new_event_loop()
told = []
TcpChecker(loop, "127.0.0.1", 40000).start(told.append)
while not told:
    loop.call_soon(loop.stop)
    loop.run_forever()
print(told[0])
"""


def in_network(source: str) -> str:
    """What a program prints in a network namespace of its own, where it may set the range of ports."""
    inner = [sys.executable, "-c", PROLOGUE + source, ROOT]
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inner]
    done = subprocess.run(
        [*namespace_command(), *command], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.namespace
def test_nobody_connects_to_himself() -> None:
    """A port from which our own end may be taken is not taken for a service because TCP connects it to itself."""
    need_namespace()
    if os.geteuid():
        pytest.skip("only root may set the range of ports, in a network namespace of its own")
    if in_network(PLAIN) != "0":
        pytest.skip("this kernel chooses another port")
    assert in_network(PROBE) == "Connection refused"


@given(st.binary(max_size=80))
def test_any_status_line(line: bytes) -> None:
    """Whatever a server sends: all is well, or there are words that any log can take."""
    found = judge(line)
    assert found == "" or (found.isprintable() and len(found) < 120)
    if found == "":
        assert line.startswith(b"HTTP/1.")
