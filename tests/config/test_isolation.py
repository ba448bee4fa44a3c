"""The keys about what a service may do and have: what each takes, and how it refuses the rest."""

import pytest

from supervisor.config.isolation_kinds import BYTES, COUNTS
from supervisor.core.capabilities import CAPABILITIES
from supervisor.core.spec import Cgroup, Isolation
from tests.config.loading import WEB, problems, web

USER = "the name of a user, or a number from 0 to 4294967294"
GROUP = "the name of a group, or a number from 0 to 4294967294"
UMASK = 'octal digits in quotes, from "0" to "0777", such as "0027"'
SIZE = 'a whole number, a size such as "64MiB", or "infinity"'
COUNT = 'a whole number, or "infinity"'
BOTH = ", or a table such as { soft = 1024, hard = 4096 }"
CAPABILITY = 'the name of a capability such as "net_bind_service", see capabilities(7)'
UNITS = "units: B, KiB, MiB, GiB, KB, MB, GB"
FILE = 'a path, with "-" before it for a file that may be missing'
PROCESSORS = 'a list of numbers of processors and ranges of them, such as [0, "2-3"]'
CGROUP = 'true, false, or a table such as { memory-max = "200MiB", pids-max = 100, cpu-max = 1.5 }'


def isolation(lines: str, environ: dict[str, str] | None = None) -> Isolation:
    """What these lines of a service come to."""
    found = web(lines, environ).isolation
    assert found is not None
    return found


def test_without_any_of_them_there_is_nothing() -> None:
    """A service that asks for nothing has no record of it: so it needs no fork."""
    assert web("").isolation is None
    assert web("no-new-privileges = false\nlimits = {}").isolation is None
    assert web("").cgroup is None
    assert web("cgroup = false").cgroup is None


@pytest.mark.parametrize(
    ("line", "user"),
    [
        ('user = "www-data"', "www-data"),
        ("user = 0", "0"),
        ("user = 4294967294", "4294967294"),
        ('user = "1000"', "1000"),
        ('user = "${WHO}"', "me"),
        ('user = "${NOBODY:-nobody}"', "nobody"),
        ('user = "j.doe$"', "j.doe$"),
    ],
)
def test_users(line: str, user: str) -> None:
    """A name or a number, with variables put in; whether there is such a user is found out at the start."""
    assert isolation(line, {"WHO": "me"}).user == user


@pytest.mark.parametrize(
    ("text", "mask"), [("0", 0), ("7", 7), ("22", 0o22), ("022", 0o22), ("0022", 0o22), ("0777", 0o777)]
)
def test_umasks(text: str, mask: int) -> None:
    """Octal digits, with or without leading zeros."""
    assert isolation(f'umask = "{text}"').umask == mask


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        ("nofile = 65536", {"nofile": (65536, 65536)}),
        ('core = "infinity"', {"core": (-1, -1)}),
        ('nproc = "unlimited"', {"nproc": (-1, -1)}),
        ('memlock = "64MiB"', {"memlock": (2**26, 2**26)}),
        ('stack = { soft = "8MiB", hard = "infinity" }', {"stack": (2**23, -1)}),
        ("cpu = { soft = 1, hard = 1 }", {"cpu": (1, 1)}),
        ('cpu = { hard = "infinity", soft = "infinity" }', {"cpu": (-1, -1)}),
        ("core = 0\nnofile = 9223372036854775807", {"core": (0, 0), "nofile": (2**63 - 1, 2**63 - 1)}),
    ],
)
def test_limits(line: str, limits: dict[str, tuple[int, int]]) -> None:
    """A number for both, or a table; -1 is no limit."""
    assert isolation(f"[services.web.limits]\n{line}").limits == limits


@pytest.mark.parametrize("name", [*BYTES, *COUNTS])
def test_every_limit_is_one_of_the_kernels(name: str) -> None:
    """The names are those of this machine, in small letters."""
    import resource  # noqa: PLC0415 - of this test alone

    assert hasattr(resource, f"RLIMIT_{name.upper()}")
    assert isolation(f"limits.{name} = 1").limits == {name: (1, 1)}


def test_no_limit_is_missing() -> None:
    """All that Python knows here can be set; OFILE is another name of NOFILE."""
    import resource  # noqa: PLC0415 - of this test alone

    known = {name[7:].lower() for name in dir(resource) if name.startswith("RLIMIT_")} - {"ofile"}
    assert known == {*BYTES, *COUNTS}


@pytest.mark.parametrize("text", ["net_raw", "cap_net_raw", "NET_RAW", "CAP_NET_RAW"])
def test_capabilities(text: str) -> None:
    """With or without the prefix, small or in capitals."""
    assert isolation(f'capabilities = ["{text}"]').capabilities == ("net_raw",)


def test_no_capability_at_all_is_something_else_than_all() -> None:
    """An empty list takes everything away."""
    assert isolation("capabilities = []").capabilities == ()
    assert isolation("nice = 0").capabilities is None
    assert isolation("supplementary-groups = []").supplementary_groups == ()


def test_the_numbers_of_capabilities() -> None:
    """Their places are the kernel's numbers: a few that are known, the last one, and no name twice."""
    assert [CAPABILITIES.index(name) for name in ("chown", "kill", "setuid", "sys_admin", "sys_resource")] == [
        *(0, 5, 7, 21, 24)
    ]
    assert CAPABILITIES[40] == "checkpoint_restore"
    assert len(set(CAPABILITIES)) == len(CAPABILITIES) == 41


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("[0]", (0,)), ('["0-2"]', (0, 1, 2)), ('[3, "1-2", 2, "0-0"]', (0, 1, 2, 3)), ("[8191]", (8191,))],
)
def test_processors(text: str, numbers: tuple[int, ...]) -> None:
    """Numbers and ranges, each once."""
    assert isolation(f"cpu-affinity = {text}").cpu_affinity == numbers


@pytest.mark.parametrize(
    ("text", "cgroup"),
    [
        ("true", Cgroup()),
        ("{}", Cgroup()),
        ('{ memory-max = "64KiB" }', Cgroup(memory_max=65536)),
        ("{ pids-max = 1, cpu-max = 2 }", Cgroup(pids_max=1, cpu_max=2.0)),
        ("{ cpu-max = 0.01 }", Cgroup(cpu_max=0.01)),
    ],
)
def test_control_groups(text: str, cgroup: Cgroup) -> None:
    """True is a group without limits."""
    assert web(f"cgroup = {text}").cgroup == cgroup


def test_files() -> None:
    """Paths are made absolute, a minus stays before; variables are put in."""
    files = 'environment-files = ["a.env", "-b.env", "/c/../d", "-${X}/e", "./-f"]'
    spec = web(f'{files}\nsecret-files = {{ A = "s", B = "${{X}}/s" }}', {"X": "/x"})
    assert spec.environment_files == ("/start/a.env", "-/start/b.env", "/c/../d", "-/x/e", "/start/-f")
    assert spec.secret_files == {"A": "/start/s", "B": "/x/s"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("user = true", f"user: found a boolean; allowed: {USER}; write it in quotes"),
        ("user = -1", f"user: found -1; allowed: {USER}"),
        ("user = 4294967295", f"user: found 4294967295; allowed: {USER}"),
        ('user = "4294967295"', f'user: found "4294967295"; allowed: {USER}'),
        ('user = "99999999999999999999"', f'user: found "99999999999999999999"; allowed: {USER}'),
        ('user = ""', f"user: found an empty string; allowed: {USER}"),
        ('user = "a:b"', f'user: found "a:b"; allowed: {USER}'),
        ('user = "a b"', f'user: found "a b"; allowed: {USER}'),
        ('user = "${BOTH}"', f"user: no such thing after expansion; allowed: {USER}"),
        ('user = ["a"]', f"user: found a list; allowed: {USER}"),
        ('group = "a/b"', f'group: found "a/b"; allowed: {GROUP}'),
        (
            'supplementary-groups = "a"',
            'supplementary-groups: found "a"; allowed: a list of names and numbers of groups',
        ),
        (
            'supplementary-groups = ["a", 1.5]',
            f"supplementary-groups[1]: found a float; allowed: {GROUP}; write it in quotes",
        ),
        ("umask = 22", f"umask: found 22; allowed: {UMASK}"),
        ("umask = 0o22", f"umask: found 18; allowed: {UMASK}"),
        ('umask = "0o22"', f'umask: found "0o22"; allowed: {UMASK}'),
        ('umask = "8"', f'umask: found "8"; allowed: {UMASK}'),
        ('umask = "1000"', f'umask: found "1000"; allowed: {UMASK}'),
        ('umask = "u=rwx"', f'umask: found "u=rwx"; allowed: {UMASK}'),
        ("nice = -21", "nice: found -21; allowed: a whole number from -20 to 19"),
        ("nice = 20", "nice: found 20; allowed: a whole number from -20 to 19"),
        ("oom-score-adjust = 1001", "oom-score-adjust: found 1001; allowed: a whole number from -1000 to 1000"),
        ("limits = 5", "limits: found 5; allowed: a table"),
        ("limits.NOFILE = 5", "limits.NOFILE: unknown key; did you mean 'nofile'?"),
        ("limits.nofiles = 5", "limits.nofiles: unknown key; did you mean 'nofile'?"),
        ("limits.nofile = -1", f"limits.nofile: found -1; allowed: {COUNT}"),
        ("limits.nofile = 9223372036854775808", f"limits.nofile: found 9223372036854775808; allowed: {COUNT}"),
        ("limits.nofile = true", f"limits.nofile: found true; allowed: {COUNT}{BOTH}"),
        ("limits.nofile = 1.5", f"limits.nofile: found 1.5; allowed: {COUNT}{BOTH}"),
        ('limits.nofile = "64KiB"', f'limits.nofile: found "64KiB"; allowed: {COUNT}'),
        ('limits.core = "64K"', f'limits.core: found "64K"; allowed: {SIZE}; did you mean "64KB"?'),
        ('limits.core = "none"', f'limits.core: found "none"; allowed: {SIZE}'),
        ("limits.core = { soft = 1 }", f"limits.core.hard: missing; allowed: {SIZE}"),
        ("limits.core = { soft = 2, hard = 1 }", "limits.core.soft: above hard; allowed: as much, or less"),
        ('limits.core = { soft = "infinity", hard = 1 }', "limits.core.soft: above hard; allowed: as much, or less"),
        ("limits.core = { soft = 1, hard = 1, max = 1 }", "limits.core.max: unknown key; known keys: soft, hard"),
        ("capabilities = true", 'capabilities: found true; allowed: a list of names such as ["net_bind_service"]'),
        ("capabilities = [10]", f"capabilities[0]: found 10; allowed: {CAPABILITY}"),
        (
            'capabilities = ["net_bind_servise"]',
            f'capabilities[0]: found "net_bind_servise"; allowed: {CAPABILITY}; did you mean "net_bind_service"?',
        ),
        (
            'capabilities = ["Cap_Kill"]',
            f'capabilities[0]: found "Cap_Kill"; allowed: {CAPABILITY}; did you mean "kill"?',
        ),
        ('capabilities = ["all"]', f'capabilities[0]: found "all"; allowed: {CAPABILITY}'),
        ("no-new-privileges = 1", "no-new-privileges: found 1; allowed: true or false"),
        ("cpu-affinity = 0", f"cpu-affinity: found 0; allowed: {PROCESSORS}"),
        ('cpu-affinity = "0-3"', f'cpu-affinity: found "0-3"; allowed: {PROCESSORS}'),
        ("cpu-affinity = []", f"cpu-affinity: found an empty list; allowed: {PROCESSORS}"),
        ("cpu-affinity = [-1]", "cpu-affinity[0]: found -1; allowed: a whole number from 0 to 8191"),
        ('cpu-affinity = [0, "3-1"]', 'cpu-affinity[1]: found "3-1"; allowed: a range from 0 to 8191 such as "2-3"'),
        ('cpu-affinity = ["0-9000"]', 'cpu-affinity[0]: found "0-9000"; allowed: a range from 0 to 8191 such as "2-3"'),
        ('cpu-affinity = ["1"]', 'cpu-affinity[0]: found "1"; allowed: a range from 0 to 8191 such as "2-3"'),
        ("cgroup = 1", f"cgroup: found 1; allowed: {CGROUP}"),
        (
            'cgroup = { memory-max = "1KiB" }',
            f'cgroup.memory-max: found "1KiB"; allowed: a size from "64KiB" to "1048576GiB" ({UNITS})',
        ),
        ("cgroup = { pids-max = 0 }", "cgroup.pids-max: found 0; allowed: a whole number from 1 to 4194304"),
        ("cgroup = { cpu-max = 0 }", "cgroup.cpu-max: found 0; allowed: a number from 0.01 to 8192"),
        ("cgroup = { cpu-max = nan }", "cgroup.cpu-max: found nan; allowed: a number from 0.01 to 8192"),
        ("cgroup = { cpu-max = true }", "cgroup.cpu-max: found true; allowed: a number from 0.01 to 8192"),
        ("cgroup = { memory = 1 }", "cgroup.memory: unknown key; did you mean 'memory-max'?"),
        ('environment-files = "a.env"', 'environment-files: found "a.env"; allowed: a list of paths'),
        (
            'environment-files = ["-"]',
            f"environment-files[0]: found an empty string; allowed: {FILE}",
        ),
        ('secret-files = ["/x"]', "secret-files: found a list; allowed: a table"),
        ('secret-files = { A = "" }', "secret-files.A: found an empty string; allowed: a path"),
        ("secret-files = { A = 5 }", "secret-files.A: found an integer; allowed: a path; write it in quotes"),
        (
            'secret-files = { "A=B" = "x" }',
            'secret-files."A=B": found a name with "="; allowed: the name of an environment variable, without "="',
        ),
    ],
)
def test_wrong_values(line: str, problem: str) -> None:
    """Every key says what it found, and what it takes."""
    assert problems(WEB + line, {"BOTH": "a:b"}) == [f"services.web.{problem}"]


def test_all_problems_at_once() -> None:
    """Each key of them notes its own."""
    found = problems(
        f'{WEB}user = true\nnice = 99\numask = 5\nlimits = {{ a = 1, core = "x" }}\ncapabilities = ["x", "y"]'
    )
    assert [problem.split(":")[0].removeprefix("services.web.") for problem in found] == [
        *("user", "nice", "umask", "limits.a", "limits.core", "capabilities[0]", "capabilities[1]")
    ]
