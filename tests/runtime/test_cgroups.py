"""Control groups of services, in the machine's own cgroup v2: what is in them, how they end, and what can't be had.

Controllers are another matter: few test machines have them there, see ``tests/containers/test_cgroups.py``.
"""

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from supervisor.core.spec import Cgroup, ServiceSpec
from supervisor.runtime import hierarchy
from supervisor.runtime.cgroups import ControlGroups, read_lines
from supervisor.runtime.confinement import confine
from supervisor.runtime.failure import SpawnError
from supervisor.runtime.hierarchy import UnavailableError, own_group
from tests.helpers import procfs
from tests.helpers.cgroups import WRITABLE
from tests.runtime.isolated import run_isolated
from tests.runtime.spawning import ENVIRONMENT, Spawner

WEB = ServiceSpec(name="web", command=("web",), cgroup=Cgroup())


class Ground:
    """Groups, processes in them, and what was warned of."""

    def __init__(self, spawner: Spawner) -> None:
        self.warnings: list[str] = []
        self.groups = ControlGroups(self.warnings.append, list)
        self.spawner = spawner

    def start(self, *command: str, spec: ServiceSpec = WEB) -> int:
        """A process in the service's group; its pid."""
        fd = self.groups.enter(spec)
        assert fd is not None, self.warnings
        try:
            launch = self.spawner.launch(*command, confinement=confine(None, None, fd), environment=ENVIRONMENT)
            return self.spawner.start(launch)
        finally:
            os.close(fd)

    @property
    def folder(self) -> str:
        """Where the groups are."""
        return f"{own_group()}/pausevisor-{os.getpid()}"

    def listed(self) -> list[str]:
        """The groups that there are."""
        return sorted(name for name in os.listdir(self.folder) if os.path.isdir(f"{self.folder}/{name}"))

    def state(self, field: str) -> str:
        """``populated`` or ``frozen`` of the group, as the kernel says."""
        return dict(line.split() for line in read_lines(f"{self.folder}/web.service/cgroup.events"))[field]

    def freeze(self) -> None:
        """Freeze the group, as an administrator may, or a container engine."""
        with open(f"{self.folder}/web.service/cgroup.freeze", "w", encoding="ascii") as file:
            file.write("1")


@pytest.fixture
def ground(spawner: Spawner) -> Iterator[Ground]:
    """Groups of this process; at the end there is none."""
    ground = Ground(spawner)
    yield ground
    ground.groups.kill("web")
    for pid in tuple(spawner.pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        spawner.wait(pid)
    if os.path.exists(f"{ground.folder}/web.service"):
        procfs.wait_until(lambda: ground.state("populated") == "0", "those that are not ours to reap have gone")
    ground.groups.close()
    assert not os.path.exists(ground.folder)


@WRITABLE
def test_a_process_starts_in_its_group(ground: Ground) -> None:
    """From its first instruction on; the file by which it was put there is not passed on."""
    pid = ground.start("sleep", "100")
    assert ground.groups.members("web") == [pid]
    (line,) = [line for line in read_lines(f"/proc/{pid}/cgroup") if line.startswith("0::")]
    assert line.endswith(f"/pausevisor-{os.getpid()}/web.service")
    assert not any("cgroup" in link for link in procfs.descriptors(pid).values())
    assert ground.warnings == []


@WRITABLE
def test_a_group_ends_with_its_last_process(ground: Ground) -> None:
    """While an orphan is in it, it stays; it goes when that has ended and somebody looks."""
    pid = ground.start("sh", "-c", "setsid sleep 100 & exec sleep 0")
    ground.spawner.wait(pid)
    (orphan,) = ground.groups.members("web")
    ground.groups.left("web")
    ground.groups.tidy()
    assert ground.listed() == ["web.service"]
    os.kill(orphan, signal.SIGKILL)
    procfs.wait_until(lambda: ground.state("populated") == "0", "the group is empty")
    ground.groups.tidy()
    assert ground.listed() == []
    assert ground.groups.members("web") == []


@WRITABLE
def test_a_group_that_orphans_keep_is_used_again(ground: Ground) -> None:
    """The next start finds it as it is, and it is not removed under it."""
    ground.spawner.wait(ground.start("sh", "-c", "setsid sleep 100 & exec sleep 0"))
    ground.groups.left("web")
    pid = ground.start("sleep", "100")
    assert len(ground.groups.members("web")) == 2
    ground.groups.tidy()
    assert pid in ground.groups.members("web")


@WRITABLE
def test_kill_leaves_nobody(ground: Ground) -> None:
    """Not even what forks without end and has left session and parents."""
    ground.start("sh", "-c", "while :; do setsid sh -c 'sleep 100 & sleep 100' & done")
    procfs.wait_until(lambda: len(ground.groups.members("web")) > 20, "it forks")
    assert ground.groups.kill("web") is True
    procfs.wait_until(lambda: ground.state("populated") == "0", "the group is empty")


@WRITABLE
def test_whose_a_process_is(ground: Ground) -> None:
    """Of a living one, of one in a group below, and of a zombie, also when the group is removed already."""
    pid = ground.start("sleep", "100")
    assert ground.groups.owner(pid) == "web"
    below = f"{ground.folder}/web.service/below"
    os.mkdir(below)
    with open(f"{below}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(pid))
    assert ground.groups.owner(pid) == "web"
    os.kill(pid, signal.SIGKILL)
    procfs.wait_until(lambda: procfs.state(pid) == "Z", "it is a zombie")
    assert ground.groups.owner(pid) == "web"
    procfs.wait_until(lambda: ground.state("populated") == "0", "the group is empty")
    os.rmdir(below)
    ground.groups.left("web")
    assert ground.listed() == []
    assert ground.groups.owner(pid) == "web"
    assert ground.groups.owner(os.getpid()) is None
    assert ground.groups.owner(2**22 + 1) is None


@WRITABLE
def test_freezing_and_thawing(ground: Ground) -> None:
    """A frozen group does not run, is killed all the same, and runs when it is thawed, entered or left, by whomever."""
    pid = ground.start("sleep", "100")
    ground.groups.freeze("web")
    procfs.wait_until(lambda: ground.state("frozen") == "1", "the group is frozen")
    os.kill(pid, signal.SIGTERM)
    ground.groups.thaw("web")
    assert ground.spawner.wait(pid) == -signal.SIGTERM
    ground.freeze()
    pid = ground.start("sleep", "0")
    assert ground.spawner.wait(pid) == 0
    pid = ground.start("sleep", "100")
    ground.freeze()
    assert ground.groups.kill("web") is True
    assert ground.spawner.wait(pid) == -signal.SIGKILL
    pid = ground.start("sleep", "0.1")
    ground.groups.freeze("web")
    ground.groups.left("web")
    assert ground.spawner.wait(pid) == 0


@WRITABLE
def test_services_without_a_group(ground: Ground) -> None:
    """There is nobody in it, nothing to kill and to thaw; only freezing is an error."""
    assert ground.groups.enter(ServiceSpec(name="plain", command=("x",))) is None
    assert ground.groups.members("plain") == []
    assert ground.groups.kill("plain") is False
    ground.groups.thaw("plain")
    ground.groups.left("plain")
    assert ground.groups.oom_counter("plain") is None
    with pytest.raises(LookupError):
        ground.groups.freeze("plain")
    assert not os.path.exists(ground.folder)


@WRITABLE
@pytest.mark.parametrize("name", ["cgroup.procs", "supervisor", "memory.max", "web#1", "a" * 64])
def test_names_are_no_files_of_the_kernels(ground: Ground, name: str) -> None:
    """A service may have any name that the configuration allows."""
    pid = ground.start("sleep", "100", spec=ServiceSpec(name=name, command=("x",), cgroup=Cgroup()))
    assert ground.groups.members(name) == [pid]
    assert ground.listed() == [f"{name}.service"]
    assert ground.groups.kill(name) is True
    ground.spawner.wait(pid)
    ground.groups.left(name)


@WRITABLE
def test_limits_without_controllers_are_said_once(ground: Ground) -> None:
    """The service runs; each limit that does nothing is named, with the service and the reason."""
    available = read_lines(f"{own_group()}/cgroup.controllers")
    missing = [name for name in ("memory", "pids", "cpu") if name not in " ".join(available).split()]
    if not missing:
        pytest.skip("all controllers are in cgroup v2 here")
    limited = ServiceSpec(name="web", command=("x",), cgroup=Cgroup(memory_max=2**30, pids_max=100, cpu_max=1.0))
    for _ in range(2):
        ground.spawner.wait(ground.start("sleep", "0", spec=limited))
    assert [warning.split(" of web has no effect here: ")[0] for warning in ground.warnings] == [
        f"{name}-max" for name in missing
    ]
    assert all("cgroup.controllers does not have it" in warning for warning in ground.warnings)


@WRITABLE
def test_a_start_that_fails_leaves_no_descriptor(ground: Ground) -> None:
    """The group that was made for it is removed with the others."""
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(SpawnError) as caught:
        ground.start("/nonexistent")
    os.waitpid(caught.value.pid or 0, 0)
    assert sorted(os.listdir("/proc/self/fd")) == before
    ground.groups.left("web")
    assert ground.listed() == []


# Where it can't be had


def unavailable(source: str, *launcher: str) -> str:
    """What is warned of in a process that was put into some situation by this source."""
    done = run_isolated(
        "import os\nfrom supervisor.core.spec import Cgroup, ServiceSpec\n"
        "from supervisor.runtime.cgroups import ControlGroups\n"
        f"{source}\n"
        "groups = ControlGroups(print, lambda: [])\n"
        "for _ in range(2):\n"
        "    assert groups.enter(ServiceSpec(name='web', command=('x',), cgroup=Cgroup())) is None\n"
        "groups.close()\n",
        launcher=launcher,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


@WRITABLE
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize(
    ("arrange", "reason"),
    [
        ("umount -a -t cgroup2", "cgroup v2 is not mounted"),
        ("mount -o remount,ro,bind $V2", "Read-only file system (%s/pausevisor-"),
        ("mount -t tmpfs none /proc", "No such file or directory (/proc/self/cgroup)"),
    ],
)
def test_a_machine_without(arrange: str, reason: str) -> None:
    """It is said once why there are none, and services run without."""
    point = own_group()
    said = unavailable("", "unshare", "--mount", "sh", "-c", f'V2={point}; {arrange} && exec "$@"', "sh")
    expected = f"services can't have control groups of their own here: {reason.replace('%s', point.rstrip('/'))}"
    assert said.startswith(expected)
    assert said.count("\n") == 1
    assert said.endswith("; they run without\n")


@WRITABLE
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_may_not() -> None:
    """A daemon that is not root is refused by the kernel, with its reason."""
    source = "import supervisor.runtime.hierarchy\nos.setresuid(65534, 65534, 65534)"
    assert "Permission denied" in unavailable(source)


MOUNTS = "24 1 0:22 / /proc rw - proc proc rw\n"


@pytest.mark.parametrize(
    ("group", "mounts", "found"),
    [
        ("/", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "/sys/fs/cgroup"),
        ("/a.slice/b", "30 1 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 c rw", "/sys/fs/cgroup/a.slice/b"),
        ("/docker/1", "30 1 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 c ro", "/sys/fs/cgroup"),
        ("/docker/1/x", "30 1 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 c ro", "/sys/fs/cgroup/x"),
        ("/x", "30 1 0:26 / /a\\040b rw - cgroup2 c rw", "/a b/x"),
        ("/x", "30 1 0:26 /y /y rw - cgroup2 c rw\n31 1 0:26 / /z rw - cgroup2 c rw", "/z/x"),
        ("/docker/12", "30 1 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 c ro", None),
        ("/../x", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 c rw", None),
        ("/x", "30 1 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids", None),
        (None, "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 c rw", None),
    ],
)
def test_where_our_group_is(monkeypatch: pytest.MonkeyPatch, group: str | None, mounts: str, found: str | None) -> None:
    """By our membership and the mounts, as namespaces and bind mounts show them; else there is a reason."""
    files = {"/proc/self/mountinfo": f"{MOUNTS}{mounts}", "/proc/self/cgroup": "4:pids:/elsewhere"}
    if group is not None:
        files["/proc/self/cgroup"] += f"\n0::{group}"
    # the kernel can't be made to say all of this on one machine
    monkeypatch.setattr(hierarchy, "read_lines", lambda path: files[path].splitlines())
    if found is not None:
        assert own_group() == found
        return
    with pytest.raises(UnavailableError):
        own_group()
