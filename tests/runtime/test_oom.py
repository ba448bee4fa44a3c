"""Kills for lack of memory, by the counters of our real cgroup membership under a folder of the tests' own."""

import os

import pytest

from supervisor.runtime import oom
from supervisor.runtime.oom import OomWatch


def memberships() -> list[tuple[str, str]]:
    """The cgroups that count kills for this very process: ``v2`` or ``v1``, and the path; see cgroups(7)."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    found = [("v2", path) for hierarchy, _, path in lines if hierarchy == "0"]
    return found + [("v1", path) for _, controllers, path in lines if "memory" in controllers.split(",")]


class Counter:
    """The counter file of our own cgroup, where the watch looks for it."""

    def __init__(self, root: str) -> None:
        version, path = memberships()[0]
        folder = os.path.join(root, version, path.strip("/"))
        os.makedirs(folder, exist_ok=True)
        self._path = os.path.join(folder, "memory.events.local" if version == "v2" else "memory.oom_control")

    def write(self, kills: int) -> None:
        """The kernel has counted so many kills."""
        with open(self._path, "w", encoding="ascii") as file:
            file.write(f"low 0\nhigh 0\nmax 7\noom 9\noom_kill {kills}\noom_group_kill 5\n")


@pytest.fixture
def root(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Stands for /sys/fs/cgroup, which tests can't make the kernel count in."""
    monkeypatch.setattr(oom, "_V2_ROOTS", (os.path.join(tmp_path, "v2"),))
    monkeypatch.setattr(oom, "_V1_ROOT", os.path.join(tmp_path, "v1"))
    return os.fspath(tmp_path)


@pytest.fixture
def counter(root: str) -> Counter:
    """Our own cgroup's counter, which stands at 3 before we start."""
    counter = Counter(root)
    counter.write(3)
    return counter


def test_kills_before_our_time_are_not_ours(counter: Counter) -> None:
    """What was counted before the daemon started explains no death."""
    watch = OomWatch()
    assert watch.killed(os.getpid()) is False
    counter.write(3)
    assert watch.killed(os.getpid()) is False


def test_each_kill_explains_one_death(counter: Counter) -> None:
    """Two kills explain two deaths; the third was somebody's signal."""
    watch = OomWatch()
    counter.write(5)
    assert [watch.killed(os.getpid()) for _ in range(3)] == [True, True, False]
    counter.write(6)
    assert watch.killed(os.getpid()) is True


@pytest.mark.parametrize("text", ["", "oom_kill\n", "oom_kill x\n", "oom_kill -1\n", "oom_killer 9\n"])
def test_a_counter_that_cant_be_read_says_nothing(counter: Counter, text: str) -> None:
    """An empty, odd or missing counter is no kill, and no error."""
    watch = OomWatch()
    with open(counter._path, "w", encoding="ascii") as file:  # noqa: SLF001 - its own test
        file.write(text)
    assert watch.killed(os.getpid()) is False
    os.unlink(counter._path)  # noqa: SLF001
    assert watch.killed(os.getpid()) is False


def test_without_cgroups_nothing_can_be_said(root: str) -> None:
    """Where none is mounted, no death is called a kill for memory."""
    assert os.path.isdir(root)
    assert OomWatch().killed(os.getpid()) is False


def test_a_process_that_is_gone_was_not_killed_for_memory(counter: Counter) -> None:
    """Its membership can't be read any more, so nothing is claimed."""
    watch = OomWatch()
    counter.write(9)
    assert watch.killed(2**22 + 1) is False


def test_a_service_with_a_group_of_its_own(counter: Counter, tmp_path: os.PathLike[str]) -> None:
    """Its counter comes first, and counts from nothing again when the group was made anew."""
    path = os.path.join(tmp_path, "memory.events.local")

    def write(kills: int) -> None:
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(f"oom 7\noom_kill {kills}\n")
        os.rename(f"{path}.new", path)  # another file by the same name: another group

    watch = OomWatch()
    write(1)
    assert [watch.killed(os.getpid(), path) for _ in range(2)] == [True, False]
    write(1)
    assert [watch.killed(os.getpid(), path) for _ in range(2)] == [True, False]
    counter.write(4)
    assert watch.killed(os.getpid(), path) is True  # the limit that was met was the daemon's own
    os.unlink(path)
    assert watch.killed(os.getpid(), path) is False


def test_the_nearest_group_that_counts(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In v2 a group without the memory controller is accounted to the nearest one above that has it."""
    membership = os.path.join(root, "membership")
    with open(membership, "w", encoding="ascii") as file:
        file.write("0::/a/b/c\n")
    monkeypatch.setattr(oom, "_OURS", membership)
    os.makedirs(os.path.join(root, "v2/a/b/c"))
    assert oom.counter_files(membership) == []
    for folder, name in (("", "memory.events"), ("a", "memory.events.local"), ("a/b", "memory.events.local")):
        path = os.path.join(root, "v2", folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("oom_kill 0\n")
        assert list(map(os.path.normpath, oom.counter_files(membership))) == [path]
