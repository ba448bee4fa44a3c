"""What reads our logs in earnest: rsyslog, logrotate, jq behind an engine's log driver, kubelet's termination message.

And what a stalled disk does, by strace: containerd throttles block devices, and NFS servers go away.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.containers import host
from tests.containers.image import IMAGE
from tests.containers.podman import Podman
from tests.harness import How, Launcher
from tests.helpers import procfs
from tests.helpers.patience import PATIENCE
from tests.helpers.settings import service, signals, table

pytestmark = [pytest.mark.container, pytest.mark.timeout(180, func_only=True)]


@pytest.fixture
def daemons(tmp_path: os.PathLike[str]) -> Iterator[Launcher]:
    """Start daemons on this machine, outside of any container."""
    launcher = Launcher(os.fspath(tmp_path))
    try:
        yield launcher
        launcher.judge()
    finally:
        launcher.end()


def path_in(daemons: Launcher, name: str) -> str:
    """A path in the test's folder."""
    return os.path.join(daemons.folder, name)


def read(path: str) -> str:
    """What a file holds."""
    with open(path, encoding="utf-8") as file:
        return file.read()


# -- rsyslog -----------------------------------------------------------------------------------------------------

RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imudp") module(load="imtcp") module(load="imuxsock" SysSock.Use="off")
template(name="json" type="list" option.jsonf="on") {{
  property(outname="app" name="app-name" format="jsonf")
  property(outname="proc" name="procid" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="pri" name="pri" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
  property(outname="input" name="inputname" format="jsonf")
}}
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imuxsock" socket="{folder}/log" useSpecialParser="off")
input(type="imuxsock" socket="{folder}/local")
action(type="omfile" file="{folder}/out" template="json")
"""


class Rsyslog:
    """A real rsyslogd, that takes all transports and writes what it understood as JSON."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.port = 20_000 + os.getpid() % 10_000
        os.makedirs(folder)
        with open(self._path("conf"), "w", encoding="utf-8") as file:
            file.write(RSYSLOG.format(folder=folder, port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = ["rsyslogd", "-n", "-f", self._path("conf"), "-i", self._path("pid")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        procfs.wait_until(lambda: os.path.exists(self._path("log")), "rsyslogd listens")
        procfs.wait_until(lambda: self._listens("tcp"), "rsyslogd listens")
        procfs.wait_until(lambda: self._listens("udp"), "rsyslogd listens")

    def _listens(self, kind: str) -> bool:
        with open(f"/proc/net/{kind}", encoding="ascii") as file:
            return f":{self.port:04X} " in file.read()

    def stop(self) -> None:
        """Stop it; it writes all it has."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def messages(self, **fields: str) -> list[dict[str, str]]:
        """What it has understood so far, of messages with these fields."""
        try:
            found: list[dict[str, str]] = [json.loads(line) for line in read(self._path("out")).splitlines()]
        except FileNotFoundError:
            return []
        return [one for one in found if all(one[key] == value for key, value in fields.items())]

    def wait(self, count: int, **fields: str) -> list[dict[str, str]]:
        """Wait for so many messages."""
        procfs.wait_until(lambda: len(self.messages(**fields)) >= count, f"{count} messages {fields}")
        return self.messages(**fields)


@pytest.fixture
def rsyslog(tmp_path: os.PathLike[str]) -> Iterator[Rsyslog]:
    """An rsyslogd at work."""
    host.require("rsyslogd")
    made = Rsyslog(os.path.join(tmp_path, "rsyslog"))
    made.start()
    yield made
    made.stop()


def test_rsyslog_understands_every_transport(daemons: Launcher, rsyslog: Rsyslog) -> None:
    """By UDP, TCP and a unix socket rsyslog finds service, process, stream and the line as it was; an event as JSON."""
    places = [
        {"syslog": f"udp://127.0.0.1:{rsyslog.port}"},
        {"syslog": f"tcp://localhost:{rsyslog.port}", "facility": "local3"},
        {"syslog": f"unix:{rsyslog.folder}/log"},
    ]
    script = r"""echo 'one [x] "q" \ é'; echo two; exec sleep infinity"""
    daemon = daemons.services(
        table("log", to=["stdout", places[1]]), service("web", "sh", "-c", script, restart="never", stdout=places)
    )
    pid = str(daemon.wait_event("child_started")["pid"])
    lines = [found for found in rsyslog.wait(6, id="stdout") if found["app"] == "web"]
    assert daemon.stop() == 0
    assert Counter((found["input"], found["msg"]) for found in lines) == Counter(
        (kind, text) for kind in ("imudp", "imtcp", "imuxsock") for text in ('one [x] "q" \\ é', "two")
    )
    assert {found["proc"] for found in lines} == {pid}
    assert {found["pri"] for found in lines if found["input"] == "imtcp"} == {str(19 * 8 + 6)}
    assert all(f'service="web" pid="{pid}" stream="stdout"' in found["data"] for found in lines)
    (exited,) = rsyslog.wait(1, id="child_exited")
    assert json.loads(exited["msg"]) == daemon.wait_event("child_exited")
    rsyslog.wait(1, id="shutdown_finished")


def test_rsyslog_as_it_listens_at_dev_log(daemons: Launcher, rsyslog: Rsyslog) -> None:
    """A local socket as rsyslog makes it by default speaks the older format."""
    place = {"syslog": f"unix:{rsyslog.folder}/local", "format": "rfc3164"}
    daemon = daemons.services(service("web", "echo", "one two", restart="never", stdout=place))
    pid = str(daemon.wait_event("child_started")["pid"])
    assert daemon.wait() == 0
    (found,) = rsyslog.wait(1, input="imuxsock")
    assert (found["app"], found["proc"], found["msg"].strip(), found["pri"]) == ("web", pid, "one two", "30")


def test_rsyslog_is_restarted(daemons: Launcher, rsyslog: Rsyslog) -> None:
    """While it is away lines wait; each arrives once, in order, but for what had been handed to the old connection."""
    script = "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); sleep 0.01; done; echo done >&2; exec sleep infinity"
    place = {"syslog": f"tcp://127.0.0.1:{rsyslog.port}"}
    daemon = daemons.services(service("web", "sh", "-c", script, stdout=place))
    rsyslog.wait(20, id="stdout")
    rsyslog.stop()
    daemon.wait_event("sink_failed")
    rsyslog.start()
    daemon.wait_event("sink_recovered")
    daemon.wait_event("output", message="done")
    rsyslog.wait(1, msg="399")
    assert daemon.stop() == 0
    numbers = [int(found["msg"]) for found in rsyslog.messages(id="stdout")]
    assert numbers == sorted(set(numbers))
    # between the last read of the old rsyslogd and the news of its end a few may be lost: TCP does not tell
    assert len(numbers) > 380
    assert daemon.events("log_lines_dropped") == []


# -- logrotate, disks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["create", "copytruncate"])
def test_logrotate(daemons: Launcher, way: str) -> None:
    """The real logrotate, renaming and signalling, or copying and truncating: the daemon writes on in the new file."""
    host.require("logrotate")
    web = path_in(daemons, "web.log")
    enough, done = path_in(daemons, "enough"), path_in(daemons, "done")
    script = f"i=0; until [ -e {enough} ]; do echo $i; i=$((i+1)); sleep 0.01; done; : > {done}; exec sleep infinity"
    daemon = daemons.services(
        signals({"SIGUSR1": "reopen-logs"}),
        service("web", "sh", "-c", script, stdout={"file": web, "max-size": "none"}),
    )
    configuration, state = path_in(daemons, "logrotate.conf"), path_in(daemons, "state")
    with open(configuration, "w", encoding="utf-8") as file:
        after = f"postrotate\nkill -USR1 {daemon.pid}\nendscript\n" if way == "create" else ""
        file.write(f'"{web}" {{\nrotate 9\nsize 1\n{way}\nsu root root\n{after}}}\n')
    for turn in range(3):
        procfs.wait_until(lambda: os.path.exists(web) and os.stat(web).st_size > 20, "lines are written")
        subprocess.run(["logrotate", "--force", "--state", state, configuration], check=True)
        if way == "create":
            daemon.wait_events(turn + 1, "logs_reopened")
    with open(enough, "w", encoding="utf-8"):
        pass
    procfs.wait_until(lambda: os.path.exists(done), "all is written")
    assert daemon.stop() == 0
    lines = [line for turn in (3, 2, 1) for line in read(f"{web}.{turn}").split()] + read(web).split()
    if way == "create":
        assert lines == [str(number) for number in range(len(lines))]
    else:
        # what comes between copy and truncation is lost, logrotate(8) says so; nothing is torn, doubled or a hole
        assert lines == sorted(set(lines), key=int)
        assert len(lines) > int(lines[-1]) / 2


def test_a_stalled_disk(daemons: Launcher) -> None:
    """With every open, write and sync of the log and of a service's file taking 2 s, TERM is passed on at once."""
    host.require("strace")
    log, web, term = path_in(daemons, "events.log"), path_in(daemons, "web.log"), path_in(daemons, "term")
    program = (
        "import os, signal, time\n"
        f"def stop(*_): open({term!r}, 'w').write(repr(time.monotonic())); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "while True: print('line', flush=True); time.sleep(0.002)"
    )
    configuration = daemons.write(
        table("log", to=log),
        service("web", sys.executable, "-ISc", program, stdout={"file": web, "max-size": "1KB", "compress": True}),
    )
    calls = "openat,write,writev,pwritev2,fsync,fdatasync,rename,unlink,ftruncate"
    tracer = [
        "strace", "--follow-forks", "--quiet=all", "--output=/dev/null", f"--trace-path={log}", f"--trace-path={web}",
        f"--trace={calls}", f"--inject={calls}:delay_enter=2000000",
    ]  # fmt: skip
    command = [*tracer, sys.executable, "-I", "-m", "supervisor", "run", "-c", configuration]
    daemon = daemons.program(command, How())
    daemon.checked = False  # what strace leaves is not ours
    procfs.wait_until(lambda: os.path.exists(web) and os.stat(web).st_size, "the service's lines are written")
    tracee = next(pid for pid in procfs.children(daemon.pid) if procfs.children(pid))  # strace tries itself out first
    sent = time.monotonic()
    os.kill(tracee, signal.SIGTERM)
    procfs.wait_until(lambda: os.path.exists(term) and read(term), "the service has its TERM")
    assert float(read(term)) - sent < 2  # not one of those calls was waited for
    assert daemon.wait() == 0


# -- containers --------------------------------------------------------------------------------------------------


def test_every_line_of_a_containers_log_is_an_object(
    podman: Podman, services: Callable[..., tuple[str, ...]], tmp_path: os.PathLike[str]
) -> None:
    """`podman logs` through `jq`, line by line: events and output are objects with the common fields."""
    host.require("jq")
    script = r"""printf 'plain\n{"json": 1}\n\377\n\n'; echo problem >&2; exit 3"""
    configured = services(service("web", "sh", "-c", script, restart="never"))
    podman.attempt("run", "--name", "jq", *configured, IMAGE)
    raw = os.path.join(tmp_path, "raw")
    logs = podman.attempt("logs", "jq")
    podman("rm", "--force", "jq")
    with open(raw, "w", encoding="utf-8") as file:
        file.write(logs.stdout)
    assert logs.stdout
    for line in logs.stdout.splitlines():
        program = "[.timestamp, .level, .event, .seq] | all(. != null)"
        done = subprocess.run(["jq", "--exit-status", program], input=line, text=True, capture_output=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
    picked = host.run("jq", "--compact-output", 'select(.event == "child_exited") | [.service, .exit_code]', raw)
    assert picked == '["web",3]'


@pytest.fixture
def message(tmp_path: os.PathLike[str]) -> str:
    """An empty file, as kubelet makes it for each container."""
    path = os.path.join(tmp_path, "termination-log")
    with open(path, "w", encoding="utf-8"):
        pass
    os.chmod(path, 0o666)  # as kubelet does, for whatever user the container has
    return path


def ended(podman: Podman, message: str, *arguments: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code of a container that ends by itself, and the message it has left."""
    mount = ("--volume", f"{message}:/dev/termination-log")
    done = podman.attempt("run", "--rm", *mount, *options, IMAGE, *arguments)
    return done.returncode, read(message)


def test_termination_message_of_services(
    podman: Podman, services: Callable[..., tuple[str, ...]], message: str
) -> None:
    """Found by its default path, as any user: who ended the container, why, and the last lines."""
    configured = services(service("web", "sh", "-c", "echo no database; exit 3", restart="never"))
    code, text = ended(podman, message, options=("--user", "1234", "--read-only", *configured))
    assert code == 3
    assert text.startswith("exit code 3: service web has failed\nweb exited with 3, after ")
    assert text.endswith("last lines of web:\nno database\n")


def test_termination_message_of_a_single_command(podman: Podman, message: str) -> None:
    """The single-command form leaves one as well."""
    code, text = ended(podman, message, "run", "--", "sh", "-c", "kill -9 $$")
    assert code == 137
    assert text.startswith("exit code 137: main service main has ended\nmain was killed by SIGKILL")


def test_termination_message_of_a_wrong_configuration(
    podman: Podman, services: Callable[..., tuple[str, ...]], message: str
) -> None:
    """Status 78, and every error is in the message."""
    code, text = ended(podman, message, options=services("[services.web]\ncomand = 'x'\n[log]\nlevel = 'x'\n"))
    assert code == 78
    assert "services.web.comand: unknown key" in text
    assert "log.level: found" in text
