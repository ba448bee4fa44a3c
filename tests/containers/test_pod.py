"""Pods: the image as infra container, the pause; and the daemon as one of several containers of a shared namespace."""

from collections.abc import Callable, Iterator

import pytest

from tests.containers.base import NAME as BASE
from tests.containers.conftest import Start
from tests.containers.engine import Container, Engine
from tests.containers.image import IMAGE
from tests.containers.podman import Podman
from tests.containers.programs import MOUNT, program
from tests.helpers.procfs import wait_until
from tests.helpers.settings import service

pytestmark = [pytest.mark.container, pytest.mark.timeout(120, func_only=True)]

POD = "pod"


@pytest.fixture
def pause(podman: Podman) -> Iterator[Container]:
    """A pod that shares its PID namespace, with the project's image as its infra container."""
    podman("pod", "create", "--name", POD, "--infra-image", IMAGE, "--infra-name", "infra", "--share", "pid,net,ipc")
    podman("pod", "start", POD)
    infra = podman.follow("infra")
    infra.wait_event("pause_entered")
    yield infra
    podman.remove_containers()
    podman.attempt("pod", "rm", "--force", "--time", "0", POD)


def other(podman: Engine, *command: str) -> Container:
    """Another container in the pod, that is not ours."""
    return podman.start(BASE, *command, options=("--pod", POD, *MOUNT))


def test_pause_is_the_first_process_of_the_pod(pause: Container) -> None:
    """The infra container's pausevisor is PID 1, in pause mode, though nothing told it so."""
    assert pause.wait_event("supervisor_started")["mode"] == "pid1"
    neighbour = other(pause.engine, "sleep", "infinity")
    assert "supervisor" in neighbour.processes()[1] or "pausevisor" in neighbour.processes()[1]


def test_pause_reaps_and_reports_another_containers_orphans(pause: Container) -> None:
    """A process whose parent dies in any container becomes the pause's child, and its end is reported."""
    neighbour = other(pause.engine, *program("orphans", "20"))
    wait_until(lambda: len(pause.events("orphan_exited", exit_code=7)) >= 20, "all orphans reported")
    assert "<defunct>" not in " ".join(neighbour.processes().values())


def test_pause_reports_an_orphan_stopped_and_continued(pause: Container) -> None:
    """Stop and continue of what it has adopted are seen as well."""
    neighbour = other(pause.engine, *program("orphans", "1", "stay"))
    wait_until(lambda: len(_adopted(neighbour)) == 1, "the orphan has the pause as its parent")
    (orphan,) = _adopted(neighbour)
    neighbour.exec("kill", "-STOP", str(orphan))
    assert pause.wait_event("orphan_stopped", pid=orphan)["signal_name"] == "SIGSTOP"
    neighbour.exec("kill", "-CONT", str(orphan))
    pause.wait_event("orphan_continued", pid=orphan)
    neighbour.exec("kill", "-TERM", str(orphan))
    assert pause.wait_event("orphan_exited", pid=orphan)["signal_name"] == "SIGTERM"


def test_stopping_the_pod_ends_the_pause_with_status_zero(pause: Container) -> None:
    """`pod stop` is TERM for the pause, and its log ends with the word that it has ended."""
    other(pause.engine, *program("actor", "TERM=exit:0"))
    pause.engine("pod", "stop", "--time", "5", POD)
    assert pause.wait() == 0
    assert pause.check()[-1]["event"] == "shutdown_finished"


def test_killing_the_pause_ends_the_pod(pause: Container) -> None:
    """The kernel kills a PID namespace with its first process: that is why this one must not die by accident."""
    neighbour = other(pause.engine, *program("actor", "any=stay"))
    pause.kill("KILL")
    assert pause.wait() == 137
    assert neighbour.wait() == 137


def test_daemon_beside_others_signals_only_its_own(
    pause: Container, start: Start, services: Callable[..., tuple[str, ...]]
) -> None:
    """In a shared PID namespace, its shutdown ends its services and their stray children, and nobody else."""
    neighbour = other(pause.engine, *program("actor", "any=stay"))
    options = services(service("stray", *program("orphans", "2", "stay")), service("plain", "sleep", "infinity"))
    ours = start(options=(*options, "--pod", POD))
    assert ours.wait_event("supervisor_started")["mode"] == "subreaper"
    ours.wait_event("output", service="stray", message="done")
    before = neighbour.processes()
    assert len(before) >= 7  # the pause, the neighbour, the daemon, two services, two strays
    ours.stop()
    assert ours.wait() == 0
    ours.check()
    after = neighbour.processes()
    theirs = {pid for pid, command in before.items() if pid == 1 or "actor.py" in command}
    assert set(after) == theirs
    neighbour_log = neighbour.engine("logs", neighbour.name).split()
    assert neighbour_log == ["ready"], "a signal reached another container"


def _adopted(container: Container) -> list[int]:
    """Pids of the orphans that are children of the pause."""
    rows = [line.split(None, 2) for line in container.exec("ps", "-eo", "pid=,ppid=,args=").splitlines()]
    return [int(pid) for pid, parent, args in rows if parent == "1" and "orphans.py" in args]
