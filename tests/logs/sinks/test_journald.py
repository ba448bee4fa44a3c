"""The native protocol of journald, as a socket of ours gets it; the real one is in the container tests."""

import errno
import fcntl
import mmap
import os
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.spec import JournaldSink
from supervisor.logs.lines import Fragment
from supervisor.logs.sinks.journald import JournaldTarget, encode_entry
from tests.logs.sinks.support import Bench, Receiver
from tests.logs.support import patient


def entry(data: bytes) -> dict[str, list[bytes]]:
    """An entry taken apart as https://systemd.io/JOURNAL_NATIVE_PROTOCOL says."""
    fields: dict[str, list[bytes]] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        fields.setdefault(key.decode(), []).append(value)
        data = rest
    return fields


values = st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.lists(st.text(), max_size=3))


@patient
@given(st.dictionaries(st.text(min_size=1), values, max_size=8))
def test_every_record_is_an_entry(record: dict[str, Any]) -> None:
    """Whatever the fields are called and hold, journald can take the entry apart, and takes the names of its fields."""
    fields = entry(encode_entry(record))
    assert len(fields["MESSAGE"]) == len(fields["PRIORITY"]) == 1
    for name in fields:
        assert set(name) <= set(string.ascii_uppercase + string.digits + "_")
        assert len(name) <= 64
        assert name[0] not in "_0123456789"
    for name, value in record.items():
        if isinstance(value, str) and name.isascii() and name.isalnum() and len(name) < 50:
            assert (
                value.encode("utf-8", "replace")
                in fields["MESSAGE" if name == "message" else f"PAUSEVISOR_{name.upper()}"]
            )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"message": "said", "msg": "short"}, b"said"),
        ({"msg": "short", "a": 1}, b"short"),
        ({"a": {"b": [1]}, "c": "d e"}, b'a={"b":[1]} c=d e'),
        ({}, b""),
    ],
)
def test_the_message_of_an_object(fields: dict[str, object], message: bytes) -> None:
    """What it says; without that what it holds, and not what every line has."""
    head = {
        "timestamp": "t",
        "level": "info",
        "event": "output",
        "seq": 3,
        "service": "web",
        "pid": 7,
        "stream": "stdout",
    }
    assert entry(encode_entry(head | fields))["MESSAGE"] == [message]


def test_the_fields_of_a_line() -> None:
    """A line is the message, under the name of its service; all fields are there under our prefix."""
    record = {
        "timestamp": "t", "level": "warning", "event": "output", "seq": 3, "service": "web", "pid": 7,
        "stream": "stderr", "message": "two\nlines", "user.id": {"a": 1},
    }  # fmt: skip
    assert entry(encode_entry(record)) == {
        "MESSAGE": [b"two\nlines"],
        "PRIORITY": [b"4"],
        "SYSLOG_FACILITY": [b"3"],
        "SYSLOG_IDENTIFIER": [b"web"],
        "SYSLOG_PID": [b"7"],
        "PAUSEVISOR_TIMESTAMP": [b"t"],
        "PAUSEVISOR_LEVEL": [b"warning"],
        "PAUSEVISOR_EVENT": [b"output"],
        "PAUSEVISOR_SEQ": [b"3"],
        "PAUSEVISOR_SERVICE": [b"web"],
        "PAUSEVISOR_PID": [b"7"],
        "PAUSEVISOR_STREAM": [b"stderr"],
        "PAUSEVISOR_USER_ID": [b'{"a":1}'],
    }


def test_the_message_of_an_event() -> None:
    """An event has words for a message: its name and its fields."""
    record = {"timestamp": "t", "level": "error", "event": "child_exited", "seq": 3, "service": "web", "tail": ["a b"]}
    fields = entry(encode_entry(record))
    assert fields["MESSAGE"] == [b'child_exited service=web tail=["a b"]']
    assert fields["PRIORITY"] == [b"3"]
    assert entry(encode_entry({"event": "pause_entered"}))["SYSLOG_IDENTIFIER"] == [b"pausevisor"]


def test_not_more_fields_than_journald_takes() -> None:
    """An entry of too many fields would be refused as a whole."""
    assert sum(map(len, entry(encode_entry({f"key{n}": n for n in range(3000)})).values())) == 1000


@pytest.fixture
def journal(tmp_path: os.PathLike[str]) -> Iterator[Receiver]:
    """A socket in journald's place."""
    made = Receiver(os.path.join(tmp_path, "socket"))
    yield made
    made.close()


def path_of(journal: Receiver) -> str:
    """Where it is."""
    return str(journal.socket.getsockname())


def test_lines_arrive(on: Bench, journal: Receiver) -> None:
    """Each line is a datagram; a long one in pieces is several that know each other."""
    target = on.add(JournaldTarget(JournaldSink(path_of(journal)), on.tell))
    target.lines("web", 7, "stdout", [b"one", Fragment(b"tw"), b"o"])
    on.until(lambda: len(journal.read()) == 3, "all arrive")
    entries = [entry(data) for data in journal.messages]
    assert [found["MESSAGE"] for found in entries] == [[b"one"], [b"tw"], [b"o"]]
    assert entries[1]["PAUSEVISOR_ID"] == entries[2]["PAUSEVISOR_ID"]
    assert entries[2]["PAUSEVISOR_PARTS"] == [b"2"]
    assert on.told == []


def test_large_entries_are_passed_as_sealed_memory(on: Bench, journal: Receiver) -> None:
    """What is too large for a datagram comes as a memfd that nobody can change any more."""
    target = on.add(JournaldTarget(JournaldSink(path_of(journal)), on.tell))
    target.records([{"event": "output", "message": "x" * 500_000}])
    on.until(journal.read, "it arrives")
    assert journal.messages == [b""]
    (fd,) = journal.descriptors
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as memory:
        assert entry(memory[:])["MESSAGE"] == [b"x" * 500_000]
    with pytest.raises(OSError, match="Operation not permitted") as caught:
        os.write(fd, b"y")
    assert caught.value.errno == errno.EPERM
    assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SEAL
    os.close(fd)
    assert on.told == []


def test_a_journal_that_is_slow(on: Bench, journal: Receiver) -> None:
    """Nothing blocks while its queue is full; all arrives as it reads."""
    target = on.add(JournaldTarget(JournaldSink(path_of(journal)), on.tell))
    target.lines("web", 7, "stdout", [b"%d" % number for number in range(1000)])
    assert target.pending
    on.until(lambda: len(journal.read()) == 1000, "all arrive")
    assert [entry(data)["MESSAGE"] for data in journal.messages] == [[b"%d" % number] for number in range(1000)]
    assert on.told == []


def test_a_journal_that_is_restarted(on: Bench, journal: Receiver, tmp_path: os.PathLike[str]) -> None:
    """While nobody listens entries wait; the failure and the recovery are told, once each."""
    path = path_of(journal)
    target = on.add(JournaldTarget(JournaldSink(path), on.tell))
    target.lines("web", 7, "stdout", [b"one"])
    on.until(journal.read, "it arrives")
    journal.close()
    target.lines("web", 7, "stdout", [b"two"])
    on.until(lambda: on.told, "the failure is told")
    assert on.events("sink_failed")[0]["sink"] == f"journald:{path}"
    os.unlink(path)
    later = Receiver(path)
    target.lines("web", 7, "stdout", [b"three"])
    on.until(lambda: len(later.read()) == 2, "all arrive")
    on.until(lambda: on.events("sink_recovered"), "the recovery is told")
    assert [entry(data)["MESSAGE"] for data in later.messages] == [[b"two"], [b"three"]]
    assert len(on.told) == 2
    later.close()
    assert os.path.dirname(path) == os.fspath(tmp_path)


def test_no_journal_at_all(on: Bench, tmp_path: os.PathLike[str]) -> None:
    """It is told at once, what has no room is counted, and the end does not wait for it."""
    target = on.add(JournaldTarget(JournaldSink(os.path.join(tmp_path, "none")), on.tell))
    on.until(lambda: on.told, "the failure is told")
    sent = 0
    while not target.lost:
        target.lines("web", 7, "stdout", [b"x" * 10_000] * 10)
        sent += 10
    assert not target.flush(10)
    target.tell()
    assert on.lost() == sent
    assert {fields["reason"] for fields in on.events("log_lines_dropped")} == {"closed"}
