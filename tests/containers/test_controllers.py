"""Limits of control groups, kills for memory and privileges, on a kernel that has them all."""

import json
import os
from typing import Any

import pytest

from tests.containers.kernel import DAEMON, boot
from tests.helpers.records import check_records
from tests.helpers.settings import service, table

pytestmark = [pytest.mark.container, pytest.mark.timeout(180)]

IN_BOX = f"sh -c 'echo 0 >box/cgroup.procs; exec {DAEMON} {{config}}'\necho code $?\n"
AFTER = "find box -mindepth 1 -type d\necho controllers $(cat box/cgroup.subtree_control)\n"
GROUP = "g=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)"


class Run:
    """What one run on that kernel has written."""

    def __init__(self, folder: os.PathLike[str], script: str, *tables: str) -> None:
        config = os.path.join(folder, "services.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(table("supervisor", on_failure="ignore") + "".join(tables))
        self.text = boot(os.fspath(folder), script.replace("{config}", config).replace("{folder}", os.fspath(folder)))
        self.lines = self.text.splitlines()
        self.records: list[dict[str, Any]] = [json.loads(line) for line in self.lines if line.startswith("{")]
        check_records(self.records)

    def said(self, name: str) -> list[str]:
        """What a service wrote, line by line."""
        return [found["message"] for found in self.records if found["event"] == "output" and found["service"] == name]

    def event(self, event: str, name: str) -> dict[str, Any]:
        """The first record of one kind about a service."""
        for found in self.records:
            if found["event"] == event and found["service"] == name:
                return found
        pytest.fail(f"no {event} of {name} in:\n{self.text}")

    @property
    def warnings(self) -> list[str]:
        """What the daemon warned of."""
        return [found["message"] for found in self.records if found["event"] == "supervisor_warning"]


EATER = ("python3", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))")
# the first one asks for the processor alone: it is the first controller that the kernel is asked for
SPINNER = service(
    "spinner",
    *("sh", "-c", f"{GROUP}; cat $g/cpu.max; timeout 2 sh -c 'while :; do :; done'; cat $g/cpu.stat"),
    cgroup={"cpu-max": 0.2},
    restart="never",
)
FORKER = service(
    "forker",
    *("sh", "-c", f"{GROUP}; cat $g/pids.max; for i in 1 2 3 4 5 6; do sleep 0.1 & done; echo more than allowed"),
    cgroup={"pids-max": 4},
    restart="never",
)


def test_limits_hold(tmp_path: os.PathLike[str]) -> None:
    """Memory, processes and processor time, each for its own service; then everything is as it was found."""
    run = Run(
        tmp_path,
        IN_BOX + AFTER,
        SPINNER,
        FORKER,
        service("eater", *EATER, cgroup={"memory-max": "40MiB"}, restart_limit={"count": 1, "within": "60s"}),
        service("free", "sh", "-c", f"{GROUP}; echo $g; cat $g/memory.max", restart="never"),
        service("plain", "sh", "-c", f"{GROUP}; cat $g/memory.max $g/pids.max", cgroup=True, restart="never"),
    )
    assert run.warnings == []
    limit, *stat = run.said("spinner")
    assert limit == "20000 100000"
    used = {name: int(value) for name, value in (line.split() for line in stat)}
    lasted = run.event("child_exited", "spinner")["duration_s"]
    assert used["nr_throttled"] > 0
    assert used["usage_usec"] / 1e6 <= 0.2 * lasted + 0.3
    assert run.said("forker")[0] == "4"
    assert "more than allowed" not in run.said("forker")
    ends = [found for found in run.records if found["event"] == "child_exited" and found["service"] == "eater"]
    assert [(end["signal"], end["oom_killed"]) for end in ends] == [(9, True), (9, True)]
    folder = run.said("free")[0]
    assert folder.startswith("/sys/fs/cgroup/box/pausevisor-")
    assert folder.endswith("/supervisor")
    assert run.said("plain") == ["max", "max"]
    assert run.lines[-2:] == ["code 0", "controllers"]


OWN_CONTAINER = f"""
cat >{{folder}}/first <<'X'
mount -t proc proc /proc
while [ ! -e {{folder}}/go ]; do sleep 0.1; done
exec {DAEMON} {{config}}
X
sh -c 'echo 0 >box/cgroup.procs; exec unshare --pid --fork --mount sh {{folder}}/first' &
outer=$!
until first=$(cat /proc/$outer/task/$outer/children) && [ -n "$first" ]; do sleep 0.1; done
sh -c "echo 0 >box/cgroup.procs; exec nsenter --target $first --pid sleep 1000" &
entering=$!
until visitor=$(cat /proc/$entering/task/$entering/children) && [ -n "$visitor" ]; do sleep 0.1; done
echo $outer >cgroup.procs
echo $entering >cgroup.procs
touch {{folder}}/go
wait $outer
echo code $?
"""
"""The daemon as PID 1 of a container, into which somebody else has come from outside: he descends from nobody there."""


def test_a_container_of_our_own(tmp_path: os.PathLike[str]) -> None:
    """As PID 1 everybody in our group is in our container, and is moved: what does not descend from us as well."""
    run = Run(
        tmp_path,
        f"{OWN_CONTAINER}{AFTER}",
        service("web", "sh", "-c", f"{GROUP}; cat $g/pids.max", cgroup={"pids-max": 7}, restart="never"),
        service("who", "sh", "-c", "cat /sys/fs/cgroup/box/*/supervisor/cgroup.procs", restart="never"),
    )
    assert run.warnings == []
    assert run.said("web") == ["7"]
    assert len(run.said("who")) >= 3  # the daemon, the visitor, and whoever asks
    assert next(found for found in run.records if found["event"] == "supervisor_started")["mode"] == "pid1"
    assert "code 0" in run.lines
    assert run.lines[-1] == "controllers"  # given back, though the visitor was still in the leaf


def test_others_in_our_group_are_left_alone(tmp_path: os.PathLike[str]) -> None:
    """Where strangers share our group it hands nothing down: that is said for each limit, and the services run."""
    run = Run(
        tmp_path,
        "sleep 1000 & echo $! >box/cgroup.procs; stranger=$!\n"
        f"{IN_BOX}{AFTER}echo type $(cat box/cgroup.type)\necho stranger $(cat box/cgroup.procs | grep -c $stranger)\n",
        SPINNER,
        FORKER,
        service("web", "sh", "-c", f"{GROUP}; echo $g", cgroup=True, restart="never"),
    )
    assert [warning.partition(" has no effect")[0] for warning in run.warnings] == [
        "cpu-max of spinner",
        "pids-max of forker",
    ]
    assert all("share our control group /sys/fs/cgroup/box" in warning for warning in run.warnings)
    assert run.said("web")[0].endswith("/web.service")
    assert "more than allowed" in run.said("forker")
    assert run.lines[-4:] == ["code 0", "controllers", "type domain", "stranger 1"]


def test_what_root_with_all_capabilities_may(tmp_path: os.PathLike[str]) -> None:
    """Limits above the daemon's own, niceness and OOM score below: applied before the user is changed."""
    run = Run(
        tmp_path,
        f"ulimit -n 1000\n{IN_BOX}",
        service(
            "web",
            *(
                "sh",
                "-c",
                "ulimit -n; ulimit -Hn; nice; cat /proc/self/oom_score_adj; id -un; grep CapEff /proc/self/status",
            ),
            user="nobody",
            limits={"nofile": {"soft": 2000, "hard": 3000}, "memlock": "infinity"},
            nice=-20,
            oom_score_adjust=-1000,
            cgroup=True,
            restart="never",
        ),
    )
    assert run.said("web") == ["2000", "3000", "-20", "-1000", "nobody", "CapEff:\t0000000000000000"]
