"""Fixtures of the black-box tests: a launcher of daemons, both event loops, PID namespaces where the host has them."""

import functools
import importlib.util
import os
import signal
import socket
import subprocess
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.harness import How, Launcher, namespace_command
from tests.helpers.patience import PATIENCE

# What a change has to pass is the same each time: the examples of a property are, and how long one takes means nothing
# on a busy machine. To look further than that, with other examples each time: pytest --hypothesis-profile=search
_unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", _unhurried, derandomize=True, database=None)
settings.register_profile("search", _unhurried, derandomize=False, print_blob=True)
settings.load_profile("same")

_FAILED = pytest.StashKey[bool]()

LOOPS = ["asyncio"] + (["uvloop"] if importlib.util.find_spec("uvloop") else [])

# Who starts the tests in the background, or by nohup(1), ignores signals: what the daemons here inherit is the tests'
# own business, and not that of the shell above.
for _signal in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the other interpreters are tested with: they differ in asyncio, and not in uvloop."""
    parser.addoption(
        "--one-of-each",
        action="store_true",
        help="run a test that is made for both event loops and both places with asyncio and as PID 1 only",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, with --one-of-each, every test with uvloop or beside another init."""
    if not config.getoption("--one-of-each"):
        return
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        parameters = item.name.rstrip("]").split("[")[-1].split("-")
        (left_out if {"uvloop", "beside"} & set(parameters) else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note a failure, so that the daemons of a failed test are ended without being judged as well."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
def start(tmp_path: os.PathLike[str], request: pytest.FixtureRequest) -> Iterator[Launcher]:
    """Start daemons; at the end each is stopped, judged by what holds for every run, and cleared away."""
    launcher = Launcher(os.fspath(tmp_path))
    try:
        yield launcher
        if not request.node.stash.get(_FAILED, False):
            launcher.judge()
    finally:
        launcher.end()


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nobody listens, and that nobody else is given: who reuses addresses, as servers do, may have it.

    It is bound here and not listened to, so that a connection to it is refused until somebody else listens there.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """Each of the event loops the daemon runs on."""
    return str(request.param)


@functools.cache
def namespace_problem(*, new_user: bool) -> str:
    """Why no PID namespace can be made here; empty where it can."""
    command = [*namespace_command(new_user=new_user), "true"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except OSError as error:
        return str(error)
    return tried.stderr.strip() if tried.returncode else ""


def need_namespace(*, new_user: bool = False) -> None:
    """Skip where this host lets us make no such namespace; in CI that counts as a failure."""
    problem = namespace_problem(new_user=new_user)
    if problem and os.environ.get("CI"):
        pytest.fail(f"no PID namespace: {problem}")
    if problem:
        pytest.skip(f"no PID namespace on this host: {problem}")


@pytest.fixture
def pid1() -> How:
    """The daemon as PID 1 of a namespace of its own."""
    need_namespace()
    return How(pid1=True)


@pytest.fixture
def user_namespace() -> How:
    """The daemon as PID 1, and as the root user of a user namespace."""
    need_namespace(new_user=True)
    return How(launcher=tuple(namespace_command(new_user=True)))


@pytest.fixture(params=["pid1", "beside"])
def place(request: pytest.FixtureRequest) -> How:
    """Both places the daemon runs in: PID 1 of a namespace, and under another init."""
    if request.param == "pid1":
        chosen: How = request.getfixturevalue("pid1")
        return chosen
    return How()
