"""Syslog: the format by RFC 5424, and datagrams and streams to sockets of ours; rsyslog is in the container tests."""

import contextlib
import errno
import json
import os
import re
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.spec import SyslogSink
from supervisor.logs.lines import Fragment
from supervisor.logs.sinks import sockets
from supervisor.logs.sinks.buffered import CAPACITY
from supervisor.logs.sinks.syslog import SyslogTarget, address_of, legacy_message, shortened, syslog_message
from tests.helpers.patience import PATIENCE
from tests.logs.sinks.support import Bench, Receiver
from tests.logs.support import STAMP_TEXT, patient

LINE = {
    "timestamp": STAMP_TEXT, "level": "info", "event": "output", "seq": 5, "service": "web", "pid": 7,
    "stream": "stdout", "message": "one two",
}  # fmt: skip

_NAME = r'[^\x00-\x20"=\]\x7f-\U0010ffff]{1,32}'
_ELEMENT = rf'\[{_NAME}(?: {_NAME}="(?:[^"\\\]]|\\.)*")*\]'
MESSAGE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?P<host>[!-~]{1,255}) "
    rf"(?P<app>[!-~]{{1,48}}) (?P<proc>[!-~]{{1,128}}) (?P<id>[!-~]{{1,32}}) (?P<data>(?:{_ELEMENT})+) (?P<text>.*)",
    re.DOTALL,
)
"""RFC 5424, section 6."""


def parse(message: bytes) -> dict[str, str]:
    """The parts of a message."""
    found = MESSAGE.fullmatch(message.decode())
    assert found, message
    return found.groupdict()


def texts(messages: list[bytes]) -> list[str]:
    """What they say."""
    return [parse(message)["text"] for message in messages]


def test_a_line() -> None:
    """The message is the line as it was; who wrote it is in the header and in the structured data."""
    assert (
        syslog_message(LINE, 3, "box", 9)
        == (
            f"<30>1 {STAMP_TEXT} box web 7 stdout "
            '[meta sequenceId="9"][pausevisor@32473 event="output" service="web" pid="7" stream="stdout"] one two'
        ).encode()
    )


def test_more_than_a_line() -> None:
    """An event, and a line that was JSON, are one JSON object, with all their fields."""
    event = {"timestamp": STAMP_TEXT, "level": "error", "event": "config_rejected", "seq": 1, "errors": ["x"]}
    found = parse(syslog_message(event, 16, "box", 1))
    assert (found["pri"], found["app"], found["id"]) == (str(16 * 8 + 3), "pausevisor", "config_rejected")
    assert json.loads(found["text"]) == event
    merged = {**LINE, "user": "x"}
    assert json.loads(parse(syslog_message(merged, 3, "box", 1))["text"]) == merged


@patient
@given(
    service=st.text(),
    message=st.text(),
    stream=st.text(),
    hostname=st.text(),
    level=st.sampled_from(["debug", "info", "warning", "error", "critical", "other"]),
)
def test_every_message_is_of_the_format(service: str, message: str, stream: str, hostname: str, level: str) -> None:
    """Whatever is in the fields, the message can be taken apart, and says what was said."""
    record = {**LINE, "service": service, "message": message, "stream": stream, "level": level}
    found = parse(syslog_message(record, 23, hostname, 2**31 - 1))
    assert found["text"].encode() == message.encode("utf-8", "replace")
    assert 0 <= int(found["pri"]) <= 191


def test_the_local_format() -> None:
    """What syslog(3) writes to /dev/log: time of the day, tag and process, no host."""
    message = legacy_message(LINE, 3).decode()
    assert re.fullmatch(r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d web\[7\]: one two", message)


@patient
@given(text=st.text(min_size=50), limit=st.integers(200, 400))
def test_what_is_cut_says_so(text: str, limit: int) -> None:
    """A message that is cut fits, is of the format still, not torn within a character, and says how long it was."""
    message = syslog_message({**LINE, "message": text * 10}, 3, "box", 1)
    short = shortened(message, limit)
    assert len(short) <= limit
    found = parse(short)
    assert f'[pausevisor@32473 cut="{len(message)}" event=' in found["data"]
    assert (text * 10).startswith(found["text"])


@pytest.mark.parametrize(
    ("spec", "address"),
    [
        (SyslogSink("udp", "::1", 514), "udp://[::1]:514"),
        (SyslogSink("tcp", "loghost", 601), "tcp://loghost:601"),
        (SyslogSink("unix", "/dev/log", 0), "unix:/dev/log"),
    ],
)
def test_addresses(spec: SyslogSink, address: str) -> None:
    """A sink is called in records as the configuration calls it."""
    assert address_of(spec) == address


def test_who_waits_loses_nothing_to_a_full_buffer(on: Bench) -> None:
    """What was read while there was room is taken whole; what others give is cut off there."""
    made = SyslogTarget(SyslogSink("tcp", "127.0.0.1", 9), on.tell, on.workers)
    made.lines("web", 1, "stdout", [b"y"] * 16384, whole=True)
    assert (made.pending > CAPACITY, made.lost) == (True, {})
    made.lines("web", 1, "stdout", [b"y"] * 10)
    assert made.lost == {"blocked": 10}


# -- datagrams ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["udp", "unix"])
def receiver(request: pytest.FixtureRequest, tmp_path: os.PathLike[str]) -> Iterator[Receiver]:
    """A socket in the daemon's place, of both kinds."""
    made = Receiver(os.path.join(tmp_path, "log") if request.param == "unix" else None)
    yield made
    made.close()


def spec_of(receiver: Receiver) -> SyslogSink:
    """Its address."""
    if receiver.port:
        return SyslogSink("udp", "127.0.0.1", receiver.port)
    return SyslogSink("unix", str(receiver.socket.getsockname()), 0)


def target(on: Bench, spec: SyslogSink) -> SyslogTarget:
    """A target at work."""
    made: SyslogTarget = on.add(SyslogTarget(spec, on.tell, on.workers))
    return made


def test_datagrams_arrive(on: Bench, receiver: Receiver) -> None:
    """Each line is a message of its own; the pieces of a long one name each other."""
    made = target(on, spec_of(receiver))
    made.lines("web", 7, "stdout", [b"one", Fragment(b"tw"), b"o"])
    on.until(lambda: len(receiver.read()) == 3, "all arrive")
    assert texts(receiver.messages) == ["one", "tw", "o"]
    data = [parse(message)["data"] for message in receiver.messages]
    assert [re.findall(r'sequenceId="(\d+)"', found)[0] for found in data] == ["1", "2", "3"]
    assert 'part="1"' in data[1]
    assert 'part="2" parts="2"' in data[2]
    assert on.told == []


def test_a_datagram_that_is_too_long(on: Bench, receiver: Receiver) -> None:
    """The kernel refuses it, so as much as it takes is sent, and says how much there was; what follows is whole."""
    made = target(on, spec_of(receiver))
    made.records([{**LINE, "message": "x" * 400_000}, {**LINE, "message": "next"}])
    on.until(lambda: len(receiver.read()) == 2, "both arrive")
    long, following = texts(receiver.messages)
    assert 10_000 < len(long) < 400_000
    assert 'cut="400' in parse(receiver.messages[0])["data"]
    assert following == "next"


def test_nobody_listens(on: Bench, receiver: Receiver) -> None:
    """It is found out, told once, tried again, and what has waited arrives when somebody listens."""
    spec = spec_of(receiver)
    address = receiver.socket.getsockname()
    receiver.close()
    if spec.transport == "unix":
        os.unlink(spec.host)
    made = target(on, spec)
    made.lines("web", 7, "stdout", [b"lost"])
    on.until(lambda: on.events("sink_failed"), "the failure is told")
    made.lines("web", 7, "stdout", [b"one", b"two"])
    on.turn(1.2)
    again = Receiver(spec.host) if spec.transport == "unix" else receiver_at(address)
    on.until(lambda: "two" in texts(again.read()), "all arrive")
    on.until(lambda: on.events("sink_recovered"), "the recovery is told")
    assert len(on.events("sink_failed")) == len(on.events("sink_recovered")) == 1
    # of a datagram that nobody took only the error is left that followed
    assert texts(again.messages) == (["one", "two"] if spec.transport == "udp" else ["lost", "one", "two"])
    assert on.lost() == (1 if spec.transport == "udp" else 0)
    again.close()


def receiver_at(address: tuple[str, int]) -> Receiver:
    """A socket at an address that was in use."""
    made = Receiver()
    made.socket.close()
    made.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.socket.setblocking(False)
    made.socket.bind(address)
    return made


# -- streams -----------------------------------------------------------------------------------------------------


class Server:
    """A daemon that takes counted messages from a stream, as RFC 6587 says, and reads no faster than it is told."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.listener = socket.create_server(
            ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=socket.AddressFamily(family)
        )
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.connection: socket.socket | None = None
        self.connections = 0
        self.messages: list[bytes] = []
        self._rest = b""

    def read(self, limit: int = 1 << 20) -> list[bytes]:
        """All messages so far; reads at most ``limit`` bytes more."""
        if self.connection is None and select.select([self.listener], [], [], 0)[0]:
            self.connection = self.listener.accept()[0]
            self.connection.setblocking(False)
            self.connections += 1
            self._rest = b""
        if self.connection is not None:
            with contextlib.suppress(BlockingIOError):
                self._rest += self.connection.recv(limit)
            self._split()
        return self.messages

    def _split(self) -> None:
        while found := re.match(rb"([1-9]\d*) ", self._rest):
            end = found.end() + int(found[1])
            if len(self._rest) < end:
                return
            self.messages.append(self._rest[found.end() : end])
            self._rest = self._rest[end:]
        assert re.fullmatch(rb"\d*", self._rest), self._rest[:100]

    def hang_up(self) -> None:
        """Close the connection."""
        assert self.connection is not None
        self.connection.close()
        self.connection = None

    def close(self) -> None:
        """Nobody listens any more."""
        self.listener.close()
        if self.connection is not None:
            self.hang_up()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server at work."""
    made = Server()
    yield made
    made.close()


def test_a_stream(on: Bench, server: Server) -> None:
    """Messages are counted, not separated: a newline in one is nothing special."""
    made = target(on, SyslogSink("tcp", "127.0.0.1", server.port))
    made.records([{**LINE, "message": "two\nlines"}, {**LINE, "message": "é"}])
    on.until(lambda: len(server.read()) == 2, "all arrive")
    assert texts(server.messages) == ["two\nlines", "é"]
    assert on.told == []


def test_a_stream_whose_reader_is_slow(on: Bench, server: Server) -> None:
    """What was sent in part goes on where it was; capture is asked to stop, and to go on; all arrives in order."""
    drained = []
    made = target(on, SyslogSink("tcp", "127.0.0.1", server.port))
    made.on_drain(lambda: drained.append(made.pending))
    sent = 0
    while not is_blocked(made):
        made.lines("web", 7, "stdout", [b"%05d " % number + b"x" * 5000 for number in range(sent, sent + 20)])
        sent += 20
        on.turn(0)
    on.until(lambda: len(server.read(50_000)) == sent, "all arrive")
    assert [int(text[:5]) for text in texts(server.messages)] == list(range(sent))
    assert drained
    assert on.told == []
    assert server.connections == 1


def is_blocked(made: SyslogTarget) -> bool:
    """Whether it is blocked now (the type checker takes an attribute for constant)."""
    return made.blocked


def test_a_connection_that_breaks(on: Bench, server: Server) -> None:
    """The message under way is sent again whole on the next connection; there is never more than one."""
    made = target(on, SyslogSink("tcp", "127.0.0.1", server.port))
    made.lines("web", 7, "stdout", [b"one"])
    on.until(server.read, "it arrives")
    server.hang_up()
    on.until(lambda: on.events("sink_failed"), "it is noticed, with nothing to send")
    made.lines("web", 7, "stdout", [b"two", b"three"])
    on.until(lambda: len(server.read()) == 3, "all arrive")
    assert texts(server.messages) == ["one", "two", "three"]
    assert server.connections == 2
    on.until(lambda: len(on.told) > 1, "the recovery is told")
    assert [event for event, _ in on.told] == ["sink_failed", "sink_recovered"]
    on.turn(0.3)
    assert not select.select([server.listener], [], [], 0)[0]


def test_a_connection_that_breaks_within_a_message(on: Bench, server: Server) -> None:
    """Half a message is no message: it comes again from its beginning."""
    made = target(on, SyslogSink("tcp", "127.0.0.1", server.port))
    on.until(lambda: server.read() or server.connection, "it connects")
    made.lines("web", 7, "stdout", [b"%d " % number + b"x" * 9000 for number in range(100)])
    while not made._offset:  # noqa: SLF001 - that a part is out can't be seen from outside
        made.lines("web", 7, "stdout", [b"y" * 9000] * 10)
        on.turn(0)
    assert made._offset  # noqa: SLF001 - the same
    server.read(100_000)
    server.hang_up()
    before = len(server.messages)
    on.until(lambda: not made.pending and server.read() and not server_has_more(server), "the rest arrives")
    after = texts(server.messages[before:])
    assert after
    numbers = [int(text.split()[0]) for text in texts(server.messages) if text[0] != "y"]
    assert numbers == sorted(set(numbers))


def server_has_more(server: Server) -> bool:
    """Whether something can be read now."""
    return server.connection is not None and bool(select.select([server.connection], [], [], 0.05)[0])


def test_nobody_accepts(on: Bench, server: Server) -> None:
    """A refused connection is told once and tried again."""
    port = server.port
    server.close()
    made = target(on, SyslogSink("tcp", "127.0.0.1", port))
    made.lines("web", 7, "stdout", [b"one"])
    on.until(lambda: on.events("sink_failed"), "the failure is told")
    assert on.events("sink_failed")[0]["error"] == "Connection refused"
    again = Server()
    again.listener.close()
    again.listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
    again.listener.setblocking(False)
    on.until(lambda: len(again.read()) == 1, "it arrives")
    on.until(lambda: len(on.told) > 1, "the recovery is told")
    assert [event for event, _ in on.told] == ["sink_failed", "sink_recovered"]
    again.close()


def test_somebody_accepts_and_hangs_up(on: Bench, server: Server) -> None:
    """A balancer with nobody behind it is no daemon: it is not taken for one again and again, and tried less often."""
    made = target(on, SyslogSink("tcp", "127.0.0.1", server.port))
    failures: list[int] = []

    def hung_up() -> bool:
        made.lines("web", 7, "stdout", [b"one"])
        return accept_and_hang_up(server)

    while len(failures) < 5:
        on.until(hung_up, "it connects again")
        failures.append(made._failures)  # noqa: SLF001 - each doubles the delay
    assert failures == [0, 1, 2, 3, 4]
    assert [event for event, _ in on.told if event != "log_lines_dropped"] == ["sink_failed"]


def accept_and_hang_up(server: Server) -> bool:
    """Do so if somebody connects."""
    if not select.select([server.listener], [], [], 0)[0]:
        return False
    server.listener.accept()[0].close()
    return True


def test_a_connection_that_is_never_made(on: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not answer at all is given up after a time, and tried again."""
    monkeypatch.setattr(sockets, "_CONNECT_TIMEOUT", 0.1)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):  # the queue of a listener that never accepts fills up; further SYNs are dropped
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        made = target(on, SyslogSink("tcp", "127.0.0.1", full.getsockname()[1]))
        made.lines("web", 7, "stdout", [b"one"])
        on.until(lambda: on.events("sink_failed"), "the failure is told")
        assert on.events("sink_failed")[0]["error"] == "the connection was not made in time"
        for one in waiting:
            one.close()


def test_names_are_looked_up_in_a_thread(on: Bench, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop does not wait for name servers; of several addresses the first that answers is taken."""
    asked = []
    real = socket.getaddrinfo

    def answer(host: str, *arguments: Any, **named: Any) -> list[Any]:
        asked.append((host, threading.current_thread() is threading.main_thread()))
        return [*real("::1", *arguments, **named), *real("127.0.0.1", *arguments, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    made = target(on, SyslogSink("tcp", "loghost", server.port))
    made.lines("web", 7, "stdout", [b"one"])
    on.until(lambda: len(server.read()) == 1, "it arrives")
    assert asked == [("loghost", False)]


def test_a_name_that_is_not_known(on: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, in the resolver's words."""

    def answer(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    made = target(on, SyslogSink("udp", "loghost", 514))
    made.lines("web", 7, "stdout", [b"one"])
    on.until(lambda: on.events("sink_failed"), "the failure is told")
    assert on.events("sink_failed")[0]["error"] == "Name or service not known"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_end_of_a_short_life(on: Bench, transport: str) -> None:
    """What a daemon that ends at once has said arrives: the end connects, if nobody has yet."""
    server, receiver = Server(), Receiver()
    port = server.port if transport == "tcp" else receiver.port
    made = SyslogTarget(SyslogSink(transport, "localhost", port), on.tell, on.workers)
    made.attach(on.loop)
    made.lines("web", 7, "stdout", [b"one"] * 100)
    assert made.flush(PATIENCE)
    made.close()
    reader = server if transport == "tcp" else receiver
    on.until(lambda: len(reader.read()) == 100, "all arrive")
    server.close()
    receiver.close()
    assert on.told == []


def test_a_socket_of_another_kind(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """A stream in the place of a datagram socket is told, and tried again."""
    path = os.path.join(tmp_path, "log")
    with socket.socket(socket.AF_UNIX) as stream:
        stream.bind(path)
        stream.listen()
        target(on, SyslogSink("unix", path, 0))
        on.until(lambda: on.events("sink_failed"), "the failure is told")
    assert on.events("sink_failed")[0]["error"] == os.strerror(errno.EPROTOTYPE)
