"""The same image under docker."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.containers import host
from tests.containers.docker import Docker
from tests.containers.engine import Engine
from tests.containers.image import EXAMPLE, IMAGE
from tests.containers.podman import Podman
from tests.containers.programs import MOUNT, program
from tests.containers.test_services import wait_answers
from tests.helpers.settings import service

pytestmark = [pytest.mark.container, pytest.mark.timeout(120, func_only=True)]

NO_NETWORK = "--network=none"


@pytest.fixture(scope="module")
def engine(workspace: str, podman: Podman) -> Iterator[Docker]:
    """A docker daemon that has been given the images as podman built them."""
    host.require("dockerd", "docker")
    with Docker(os.path.join(workspace, "docker")) as docker:
        archive = os.path.join(workspace, "images.tar")
        save = ("save", "--quiet", "--format", "docker-archive", "--multi-image-archive", "--output", archive)
        podman(*save, IMAGE, EXAMPLE)
        docker("load", "--quiet", "--input", archive)
        os.unlink(archive)
        for image in (IMAGE, EXAMPLE):
            docker("tag", f"localhost/{image}", image)
        yield docker


@pytest.fixture
def docker(engine: Docker) -> Iterator[Engine]:
    """The engine; the test's containers are gone afterwards."""
    yield engine
    engine.remove_containers()


def test_pause_stops_with_status_zero(docker: Engine) -> None:
    """With nothing configured the container pauses until docker stops it."""
    container = docker.start(IMAGE, options=(NO_NETWORK,))
    container.wait_event("pause_entered")
    container.stop()
    assert container.wait() == 0
    container.check()


def test_services_run_under_the_default_seccomp_profile(
    docker: Engine, services: Callable[..., tuple[str, ...]]
) -> None:
    """Docker's filter of system calls stops nothing that we need: start, output, restart and stop work."""
    flaky = service("flaky", *program("actor", "any=exit:1"), restart="always", restart_delay="10ms")
    container = docker.start(IMAGE, options=(NO_NETWORK, *MOUNT, *services(flaky)))
    first = container.wait_event("output", service="flaky", message="ready")
    assert "Seccomp:\t2" in container.exec("cat", "/proc/1/status").splitlines()
    container.exec("kill", "-USR1", str(first["pid"]))
    container.wait_event("child_started", service="flaky", attempt=2)
    container.stop()
    assert container.wait() == 0
    container.check()


def test_nginx_and_redis_answer_and_stop(docker: Engine) -> None:
    """The example with two servers works as under podman."""
    container = docker.start(EXAMPLE, options=(NO_NETWORK,))
    wait_answers(container)
    container.stop()
    assert container.wait() == 0
    container.check()


def test_single_command_status_is_the_containers(docker: Engine) -> None:
    """`docker run IMAGE run -- COMMAND` gives the command's output and status."""
    done = docker.attempt("run", "--rm", NO_NETWORK, IMAGE, "run", "--", "sh", "-c", "echo out; exit 3")
    assert (done.stdout, done.returncode) == ("out\n", 3)
