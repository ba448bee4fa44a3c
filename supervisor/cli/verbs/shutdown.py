"""``pausevisor shutdown``: the end of the daemon and of all services, waited for."""

from __future__ import annotations

import json
import os
import select
import time

from supervisor.cli import asking, interrupts
from supervisor.cli.progress import REFRESH, Progress
from supervisor.cli.screen import look, write
from supervisor.cli.talk import EX_FAILED, say
from supervisor.cli.words import AT_REST
from supervisor.control.client import PATIENCE, ClientError
from supervisor.control.listener import peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.cli.calls import Call
    from supervisor.control.client import Client, Exchange


def shutdown(call: Call) -> int:
    """Order it, and wait until the daemon is gone; 0, or 1 when it is not in time."""
    client = asking.client_of(call)
    if not call.waits:
        asking.post(client, "/v1/shutdown")
        _tell(call, done=False, last={}, took=0.0)
        return 0
    interrupts.catch()
    try:
        return _wait(call, client)
    except interrupts.Interrupted:
        say("not waiting any longer; the shutdown goes on")
        interrupts.die()


def _wait(call: Call, client: Client) -> int:
    began = time.monotonic()
    deadline = None if call.timeout is None else began + call.timeout
    events = client.begin("GET", "/v1/events?follow=true")
    while not events.status:
        events.pump(PATIENCE)
    daemon = _handle_of(client)
    services = asking.services(client)
    progress = Progress(look(2), {one["name"]: one["state"] for one in services if one["state"] not in AT_REST})
    asking.post(client, "/v1/shutdown")
    try:
        last = _read(events, progress, deadline)
    finally:
        progress.clear()
    gone = last is not None and _is_gone(daemon, deadline)
    if not gone:
        say("the daemon is not gone in time; the shutdown goes on")
    _tell(call, done=gone, last=last or {}, took=time.monotonic() - began)
    return 0 if gone else EX_FAILED


def _handle_of(client: Client) -> int:
    """A descriptor that becomes readable when the daemon is gone; -1 where the kernel gives none.

    It is asked for while the daemon holds the other end of the connection, so the pid is its own. The pid is 0 where
    the daemon is in a PID namespace that we don't see.
    """
    connection, _ = client.connect()
    try:
        return os.pidfd_open(peer(connection)[0])
    except (OSError, ValueError):
        return -1
    finally:
        connection.close()


def _read(events: Exchange, progress: Progress, deadline: float | None) -> dict[str, Any] | None:
    """Read events to their end; the last record, or None when the end is late."""
    last: dict[str, Any] = {}
    while not events.complete:
        limit = None if deadline is None else max(0.0, deadline - time.monotonic())
        refresh = REFRESH if progress.is_shown else limit
        ready, _, _ = select.select([events], [], [], refresh if limit is None else min(limit, refresh or 0))
        if ready:
            try:
                events.pump(0)
            except ClientError:
                return last  # it ends as soon as its last word is out
        for line in events.lines():
            record = json.loads(line)
            progress.event(record)
            if record.get("to") in AT_REST and record["event"] == "service_state_changed":
                progress.done(record["service"], "done")
            last = record if record["event"] == "shutdown_finished" else last
        if limit == 0:
            return None
        progress.draw()
    return last


def _is_gone(daemon: int, deadline: float | None) -> bool:
    if daemon < 0:
        return True  # its last word is that it is
    limit = PATIENCE if deadline is None else max(0.0, deadline - time.monotonic())
    try:
        return bool(select.select([daemon], [], [], limit)[0])
    finally:
        os.close(daemon)


def _tell(call: Call, *, done: bool, last: dict[str, Any], took: float) -> None:
    killed = last.get("killed", [])
    if call.json:
        answer = {"ok": done or not call.waits, "ended": done, "exit_code": last.get("exit_code"), "killed": killed}
        write(json.dumps(answer, indent=2) + "\n")
    elif not call.waits:
        write("the shutdown has begun\n")
    elif done:
        code = f" with exit code {last['exit_code']}" if "exit_code" in last else ""
        late = f"; had to be killed: {', '.join(map(str, killed))}" if killed else ""
        write(f"the daemon has ended{code} after {took:.1f} s{late}\n")
