"""What a process is restricted to, looked at in real ones: whom it is, what it may, and that it can't go back."""

import errno
import os
import pwd
import re
import resource
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from supervisor.core.spec import Isolation
from supervisor.runtime.accounts import identify
from supervisor.runtime.confinement import Confinement, confine
from supervisor.runtime.failure import SpawnError
from supervisor.runtime.spawn import Launch
from tests.helpers import procfs
from tests.runtime.isolated import run_isolated
from tests.runtime.spawning import Spawner

if TYPE_CHECKING:
    from supervisor.runtime.fork import Step

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
NOBODY = pwd.getpwnam("nobody")
SHOW = (
    "cat",
    "/proc/self/status",
    "/proc/self/limits",
    "/proc/self/oom_score_adj",
)


def confined(spawner: Spawner, *command: str, launch: dict[str, Any] | None = None, **settings: Any) -> Launch:
    """The launch of a command under these restrictions."""
    isolation = Isolation(**settings)
    confinement = confine(isolation, identify(isolation), None)
    return spawner.launch(*command, confinement=confinement, umask=isolation.umask, **(launch or {}))


def run(spawner: Spawner, *command: str, launch: dict[str, Any] | None = None, **settings: Any) -> tuple[int, str]:
    """Run a command under these restrictions; exit code and standard output."""
    made = confined(spawner, *command, launch=launch, **settings)
    return spawner.run(*command, **{name: getattr(made, name) for name in ("confinement", "umask", "directory")})


def status(spawner: Spawner, **settings: Any) -> dict[str, str]:
    """What the kernel says of a process under these restrictions, by field."""
    code, output = run(spawner, *SHOW, **settings)
    assert code == 0
    lines = re.findall(r"^([\w ]+?)(?::|  +)(.*)$", output, re.MULTILINE)
    return {name: " ".join(value.split()) for name, value in lines}


def fails(spawner: Spawner, **settings: Any) -> SpawnError:
    """The error of a start under these restrictions; nothing is left behind but what the reaper is told of."""
    before = sorted(procfs.descriptors(os.getpid()))
    try:
        error = spawner.fails(confined(spawner, "true", **settings))
    except SpawnError as refused:
        error = refused
    if error.pid is not None:
        assert os.waitstatus_to_exitcode(os.waitpid(error.pid, 0)[1]) == 127
    assert sorted(procfs.descriptors(os.getpid())) == before
    return error


@pytest.fixture
def open_folder() -> Iterator[str]:
    """A folder that everybody may enter, as those of the tests are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield folder


# Users and groups


@ROOT
def test_a_user_cannot_go_back(spawner: Spawner) -> None:
    """All four ids are the user's, the groups are its own and none of root's, and no capability is left."""
    found = status(spawner, user="nobody")
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert found["Uid"] == f"{uid} {uid} {uid} {uid}"
    assert found["Gid"] == f"{gid} {gid} {gid} {gid}"
    assert set(map(int, found["Groups"].split())) == set(os.getgrouplist("nobody", gid))
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(found[name], 16) == 0, name


@ROOT
@pytest.mark.parametrize(
    "attempt", ["os.setuid(0)", "os.setreuid(0, 0)", "os.setresgid(0, 0, 0)", "os.setgroups([0])", "os.seteuid(0)"]
)
def test_no_way_back_to_root(spawner: Spawner, attempt: str) -> None:
    """What tries to be root again is refused by the kernel."""
    tried = f"import os\ntry:\n {attempt}\nexcept PermissionError:\n print('refused')"
    assert run(spawner, "/usr/bin/python3", "-c", tried, user="nobody") == (0, "refused\n")


@ROOT
def test_inheritable_capabilities_go_too() -> None:
    """Some engines give root inheritable capabilities; a user keeps none, and a bounding set holds for root as well."""
    source = f"""
import ctypes
import os
from supervisor.runtime import libc
from supervisor.core.spec import Isolation
from supervisor.runtime.accounts import identify
from supervisor.runtime.confinement import confine
from supervisor.runtime.spawn import Launch, spawn
effective, permitted, _ = libc.capabilities()
libc.set_capabilities(effective, permitted, 1 << 0 | 1 << 5)
for number in (0, 5):
    assert ctypes.CDLL(None).prctl(47, 2, number, 0, 0) == 0  # PR_CAP_AMBIENT_RAISE
for settings in ({{"user": "nobody"}}, {{"capabilities": ("kill",)}}, {{"user": "{os.getuid()}"}}):
    isolation = Isolation(**settings)
    pid = spawn(Launch(command=("grep", "^Cap", "/proc/self/status"), directory="/", environment=dict(os.environ),
        confinement=confine(isolation, identify(isolation), None)))
    os.waitpid(pid, 0)
"""
    done = run_isolated(source)
    assert (done.stderr, done.returncode) == ("", 0)
    masks = [int(line.split()[1], 16) for line in done.stdout.splitlines()]
    nobody, bounded, same = masks[:5], masks[5:10], masks[10:]
    assert [nobody[index] for index in (0, 1, 2, 4)] == [0, 0, 0, 0]
    assert bounded == [1 << 5, 1 << 5, 1 << 5, 1 << 5, 1 << 5]
    assert same[4] == 1 << 0 | 1 << 5  # root as root: nothing is taken away


@ROOT
def test_groups_as_they_are_named(spawner: Spawner) -> None:
    """By name or by number; the supplementary ones are those of the list alone."""
    found = status(spawner, user="nobody", group="daemon", supplementary_groups=("adm", "12345"))
    assert found["Gid"].split()[0] == "1"
    assert found["Groups"] == "4 12345"
    assert status(spawner, user="nobody", supplementary_groups=())["Groups"] == ""


@ROOT
def test_a_group_without_a_user(spawner: Spawner) -> None:
    """The user stays."""
    found = status(spawner, group="nogroup")
    assert found["Uid"].split()[0] == str(os.getuid())
    assert set(found["Gid"].split()) == {"65534"}
    assert int(found["CapEff"], 16) != 0


@ROOT
def test_a_number_without_an_entry(spawner: Spawner) -> None:
    """It needs a group; that one is its only one."""
    found = status(spawner, user="54321", group="54321")
    assert (found["Uid"].split()[2], found["Gid"].split()[2], found["Groups"]) == ("54321", "54321", "54321")
    error = fails(spawner, user="54321")
    assert (error.stage, error.number, error.pid) == ("user", errno.ENOENT, None)
    assert "'54321'" in str(error)
    assert "group has to be set" in str(error)


@pytest.mark.parametrize(
    ("settings", "stage", "words"),
    [
        ({"user": "no-such-user"}, "user", "'no-such-user': No such file or directory (there is no such user)"),
        ({"group": "no-such-group"}, "group", "'no-such-group': No such file or directory (there is no such group)"),
        ({"supplementary_groups": ("daemon", "no-such-group")}, "supplementary-groups", "'no-such-group'"),
    ],
)
def test_names_that_are_nobodys(spawner: Spawner, settings: dict[str, Any], stage: str, words: str) -> None:
    """The name is told, at its own stage; no process was made."""
    error = fails(spawner, **settings)
    assert (error.stage, error.number, error.pid, error.exit_code) == (stage, errno.ENOENT, None, 1)
    assert words in str(error)
    assert not error.transient


def test_what_a_login_sets() -> None:
    """Home, names and shell of the entry; no shell where it is none."""
    identity = identify(Isolation(user=str(NOBODY.pw_uid))) if os.geteuid() == 0 else None
    if identity is not None:
        assert identity.variables == {"HOME": "/nonexistent", "USER": "nobody", "LOGNAME": "nobody", "SHELL": None}
    ourselves = pwd.getpwuid(os.getuid())
    own = identify(Isolation(user=ourselves.pw_name))
    assert own is not None
    assert own.variables["HOME"] == ourselves.pw_dir
    assert own.variables["SHELL"] == ourselves.pw_shell
    assert (own.gid, own.groups) == (None, None)


@ROOT
def test_the_login_of_a_number() -> None:
    """Nobody knows more about it than its number."""
    identity = identify(Isolation(user="54321", group="1"))
    assert identity is not None
    assert identity.variables == {"HOME": "/", "USER": "54321", "LOGNAME": "54321", "SHELL": "/bin/sh"}


def test_who_asks_for_nobody_is_left_alone() -> None:
    """No identity, and no confinement where nothing is asked for: such a service needs no fork."""
    assert identify(None) is None
    assert identify(Isolation(nice=1)) is None
    assert confine(None, None, None) is None
    assert confine(Isolation(), None, None) is None
    assert confine(Isolation(umask=0o77), None, None) is None


# The rest of the restrictions


def test_the_umask_is_lent(spawner: Spawner) -> None:
    """With and without a fork; our own is the same afterwards, also when the start fails."""
    ours = os.umask(0o22)
    os.umask(ours)
    for settings in ({"umask": 0o137}, {"umask": 0o137, "nice": os.nice(0)}):
        assert status(spawner, **settings)["Umask"] == "0137"
        assert procfs.status(os.getpid())["Umask"] == f"{ours:04o}"
    spawner.fails(spawner.launch("/nonexistent", umask=0o777))
    assert procfs.status(os.getpid())["Umask"] == f"{ours:04o}"


def test_limits(spawner: Spawner) -> None:
    """Soft and hard; what is not named is as ours."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    found = status(spawner, limits={"nofile": (20, hard), "core": (0, 0), "fsize": (4096, -1), "nproc": (1000, 2000)})
    assert found["Max open files"].split()[:2] == ["20", str(hard)]
    assert found["Max core file size"].split()[:2] == ["0", "0"]
    assert found["Max file size"].split()[:2] == ["4096", "unlimited"]
    assert found["Max processes"].split()[:2] == ["1000", "2000"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == hard


def test_a_limit_on_open_files_comes_after_the_streams(spawner: Spawner) -> None:
    """Descriptors that are handed over are there, however few the program may open."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, False)
    isolation = Isolation(limits={"nofile": (1, 1)})
    streams = {0: writer, 1: writer, 2: writer, 30: writer}
    made = spawner.launch("/bin/true", streams=streams, confinement=confine(isolation, None, None))
    pid = spawner.start(made)
    os.close(writer)
    assert os.read(reader, 100) != b""  # the loader could open nothing, and says so where it was told to
    os.close(reader)
    assert spawner.wait(pid) == 127


def test_priorities_and_processors(spawner: Spawner) -> None:
    """Niceness, OOM score and processors are the process's own; ours are as before."""
    ours = (os.nice(0), os.sched_getaffinity(0))
    last = max(os.sched_getaffinity(0))
    code, output = run(
        spawner,
        *("sh", "-c", "nice; cat /proc/self/oom_score_adj; grep Cpus_allowed_list /proc/self/status"),
        nice=min(os.nice(0) + 3, 19),
        oom_score_adjust=700,
        cpu_affinity=(last,),
    )
    assert (code, output.split()) == (0, [str(min(ours[0] + 3, 19)), "700", "Cpus_allowed_list:", str(last)])
    assert (os.nice(0), os.sched_getaffinity(0)) == ours


def test_no_new_privileges(spawner: Spawner) -> None:
    """The kernel's own flag; ours stays off."""
    assert status(spawner, no_new_privileges=True)["NoNewPrivs"] == "1"
    assert status(spawner)["NoNewPrivs"] == procfs.status(os.getpid())["NoNewPrivs"]


@ROOT
def test_the_bounding_set(spawner: Spawner) -> None:
    """It is what was named, and no more; of a user as well as of root."""
    names = ("net_bind_service", "kill")
    wanted = 1 << 10 | 1 << 5
    root = status(spawner, capabilities=names)
    assert [int(root[name], 16) for name in ("CapBnd", "CapPrm", "CapEff")] == [wanted] * 3
    user = status(spawner, capabilities=names, user="nobody")
    assert [int(user[name], 16) for name in ("CapBnd", "CapPrm", "CapEff")] == [wanted, 0, 0]
    none = status(spawner, capabilities=())
    assert [int(none[name], 16) for name in ("CapBnd", "CapPrm", "CapEff")] == [0, 0, 0]


@ROOT
def test_directory_and_program_are_looked_for_as_the_user(spawner: Spawner, open_folder: str) -> None:
    """A directory that only the user may enter, a program that only root may see: by the user's rights."""
    spawner.folder = open_folder
    own = os.path.join(spawner.folder, "own")
    os.mkdir(own, 0o700)
    os.chown(own, NOBODY.pw_uid, NOBODY.pw_gid)
    assert run(spawner, "pwd", launch={"directory": own}, user="nobody", no_new_privileges=True) == (0, own + "\n")
    secret = os.path.join(spawner.folder, "secret")
    os.mkdir(secret, 0o700)
    error = fails(spawner, user="nobody", launch={"directory": secret})
    assert (error.stage, error.number) == ("chdir", errno.EACCES)
    assert repr(secret) in str(error)
    spawner.file("secret/tool", b"#!/bin/sh\nexit 1\n")
    spawner.file("open/tool", b"#!/bin/sh\nexit 42\n")
    path = {"PATH": f"{secret}:{os.path.join(spawner.folder, 'open')}"}
    made = confined(spawner, "tool", user="nobody", launch={"environment": path})
    assert spawner.wait(spawner.start(made)) == 42
    hidden = confined(spawner, "tool", user="nobody", launch={"environment": {"PATH": secret}})
    failed = spawner.fails(hidden)
    assert (failed.stage, failed.number, failed.exit_code) == ("exec", errno.ENOENT, 127)
    assert f"'tool': No such file or directory (searched in {secret})" in str(failed)
    os.waitpid(failed.pid or 0, 0)


# Refusals


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cpu_affinity": (8000, 8001)}, "cpu-affinity EINVAL '8000,8001'"),
        ({"limits": {"nofile": (2**62, 2**62)}}, "limits EPERM 'nofile'"),
        ({"limits": {"core": (0, 0), "nofile": (2**62, 2**62), "cpu": (9, 9)}}, "limits EPERM 'nofile'"),
    ],
)
def test_what_the_kernel_refuses_is_named(spawner: Spawner, settings: dict[str, Any], words: str) -> None:
    """The setting and its value; the process that tried is told to the reaper."""
    error = fails(spawner, **settings)
    assert f"{error.stage} {errno.errorcode[error.number]} {error.subject!r}" == words
    assert error.pid is not None


REFUSED = """
import errno, os
from supervisor.core.spec import Isolation
from supervisor.runtime import accounts, confinement, fork, libc
from supervisor.runtime.spawn import Launch, SpawnError, spawn
import grp, pwd, resource
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
def fails(**settings):
    isolation = Isolation(**settings)
    before = sorted(os.listdir("/proc/self/fd"))
    try:
        made = confinement.confine(isolation, accounts.identify(isolation), None)
        pid = spawn(Launch(command=("true",), directory="/", environment={"PATH": "/bin"}, confinement=made))
    except SpawnError as error:
        print(error.stage, errno.errorcode[error.number], error)
        pid = error.pid
    else:
        print("started")
    if pid is not None:
        os.waitpid(pid, 0)
    assert sorted(os.listdir("/proc/self/fd")) == before, "descriptors leak"
"""


@ROOT
@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (
            "user='daemon'",
            "user EPERM cannot become its user 'daemon': Operation not permitted (the daemon runs as uid 65534 and has",
        ),
        ("user='root'", "user EPERM cannot become its user 'root': "),
        ("user='nobody'", "started"),
        ("user='65534'", "started"),
        ("user='nobody', no_new_privileges=True, nice=19", "started"),
        ("group='daemon'", "group EPERM cannot become a member of its group 'daemon': Operation not permitted"),
        ("group='nogroup'", "started"),
        (
            "supplementary_groups=('adm', '5')",
            "supplementary-groups EPERM cannot take its supplementary groups 'adm, 5'",
        ),
        ("nice=-1", "nice EACCES cannot set its nice value '-1': Permission denied"),
        ("limits={'core': (0, 0), 'nofile': (100, 101)}", "limits EPERM cannot set its limit 'nofile': Operation not"),
        (
            "oom_score_adjust=-1000",
            "oom-score-adjust EACCES cannot set its oom-score-adjust '-1000': Permission denied",
        ),
        ("capabilities=('kill',)", "capabilities EPERM cannot take capabilities away from it: Operation not permitted"),
    ],
)
def test_what_others_than_root_may_not(settings: str, found: str) -> None:
    """Each refusal names the setting; what changes nothing works without any privilege."""
    done = run_isolated(f"{REFUSED}fails({settings})")
    assert done.stderr == ""
    assert done.stdout.startswith(found), done.stdout


UNMAPPED = """
from supervisor.core.spec import Isolation
from supervisor.runtime.accounts import identify
from supervisor.runtime.failure import SpawnError
print(identify(Isolation(user="root")).uid)
try:
    identify(Isolation(user="nobody"))
except SpawnError as error:
    print(error.stage, error)
"""


@ROOT
def test_a_user_that_is_not_mapped() -> None:
    """In a user namespace there are few; whoever is not there is refused with that reason, and root itself is not."""
    done = run_isolated(UNMAPPED, launcher=["unshare", "-Ur"])
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith("0\nuser cannot become its user 'nobody': Invalid argument (uid 65534 is not mapped")


@ROOT
@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("limits", {"limits": {"nofile": (2**62, 2**62)}}),
        ("exec", {"nice": 1, "command": "/nonexistent"}),
        ("chdir", {"nice": 1, "directory": "/nonexistent"}),
        ("user", {"user": "no-such-user"}),
        ("cpu-affinity", {"cpu_affinity": (8000,)}),
    ],
)
def test_failures_leave_nothing(spawner: Spawner, stage: str, settings: dict[str, Any]) -> None:
    """After thirty failures at any stage there are as many descriptors as before, and no process."""
    command, directory = settings.pop("command", "true"), settings.pop("directory", "/")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(30):
        with pytest.raises(SpawnError) as caught:
            spawner.start(confined(spawner, command, launch={"directory": directory}, **settings))
        assert caught.value.stage == stage
        if caught.value.pid is not None:
            os.waitpid(caught.value.pid, 0)
    assert sorted(os.listdir("/proc/self/fd")) == before


class Broken(Confinement):
    """Steps that fail by something else than an error of the kernel's."""

    error: type[BaseException] = MemoryError

    def steps(self) -> "list[Step]":
        """One that goes well, and one that does not."""

        def fail() -> None:
            raise self.error

        return [("nice", "", lambda: None), ("limits", "as", fail)]


@pytest.mark.parametrize(
    ("error", "number"),
    [(MemoryError, errno.ENOMEM), (ValueError, errno.EINVAL), (KeyboardInterrupt, errno.ENOMEM)],
)
def test_a_child_never_returns(spawner: Spawner, error: type[BaseException], number: int) -> None:
    """Whatever happens to it before its program: it ends, with a report; it is not taken for one that was started."""
    failed = spawner.fails(spawner.launch("true", confinement=Broken(error=error)))
    assert (failed.stage, failed.subject, failed.number) == ("limits", "as", number)
    assert os.waitstatus_to_exitcode(os.waitpid(failed.pid or 0, 0)[1]) == 127
