"""Messages of sd_notify(3): what each of them says, and that none does harm."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.core.events import Notified
from supervisor.runtime.watching.parse import MalformedError, parse, says_nothing

KEYS = [
    "READY",
    "RELOADING",
    "STOPPING",
    "STATUS",
    "ERRNO",
    "MAINPID",
    "WATCHDOG",
    "WATCHDOG_USEC",
    "EXTEND_TIMEOUT_USEC",
    "BARRIER",
    "FDSTORE",
]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("READY=1", {"ready": True}),
        ("READY=1\n", {"ready": True}),
        ("RELOADING=1\nMONOTONIC_USEC=123", {"reloading": True}),
        ("STOPPING=1", {"stopping": True}),
        ("WATCHDOG=1", {"watchdog": True}),
        ("WATCHDOG=trigger", {"trigger": True}),
        ("EXTEND_TIMEOUT_USEC=2500000", {"extend": 2.5}),
        ("STATUS=serving 3 of 4\nREADY=1", {"ready": True, "status": "serving 3 of 4"}),
        ("STATUS=", {"status": ""}),
        ("STATUS=a=b", {"status": "a=b"}),
        ("ERRNO=2", {"error": 2}),
        ("MAINPID=4711", {"main_pid": 4711}),
        ("MAINPID=1", {"main_pid": 1}),
    ],
)
def test_each_field(text: str, told: dict[str, object]) -> None:
    """Every field we know becomes its part of the event, together with others or alone."""
    assert parse(text.encode(), "web", 7) == Notified("web", 7, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "READY",
        "READY=",
        "READY=0",
        "READY=2",
        "READY= 1",
        "ready=1",
        " READY=1",
        "XREADY=1",
        "BARRIER=1",
        "FDSTORE=1\nFDNAME=x",
        "WATCHDOG=2",
        "WATCHDOG_USEC=0",
        "WATCHDOG_USEC=1000",
        "NOTIFYACCESS=all",
        "MAINPID=",
        "MAINPID=-1",
        "MAINPID=0x10",
        "MAINPID=1e3",
        "MAINPID=²",
        "MAINPID=٣",
        "MAINPID=" + "9" * 4000,
        "ERRNO=-2",
        "ERRNO=ENOENT",
        "EXTEND_TIMEOUT_USEC=-1",
        "EXTEND_TIMEOUT_USEC=1.5",
        "=1",
        "\ufeffREADY=1",
    ],
)
def test_what_means_nothing(text: str) -> None:
    """Fields that are unknown, or have a value that is none of theirs, are passed over."""
    told = parse(text.encode(), "web", 7)
    assert told == Notified("web", 7)
    assert says_nothing(told)


def test_of_a_key_that_comes_twice_the_first_counts() -> None:
    """As with systemd."""
    told = parse(b"STATUS=a\nSTATUS=b\nMAINPID=5\nMAINPID=6", "web", 7)
    assert (told.status, told.main_pid) == ("a", 5)


def test_a_trailing_nul_is_no_harm() -> None:
    """Some send their string with what ends it in C; anywhere else it makes the message none."""
    assert parse(b"READY=1\0", "web", 7).ready
    for data in (b"READY=1\0\0", b"\0READY=1", b"STATUS=a\0b\nREADY=1"):
        with pytest.raises(MalformedError, match="NUL"):
            parse(data, "web", 7)


def test_status_is_text() -> None:
    """Bytes that are not UTF-8 become U+FFFD, as in the services' output."""
    assert parse(b"STATUS=\xff\xfe!", "web", 7).status == "\ufffd\ufffd!"


def test_an_extension_has_an_end() -> None:
    """Nobody gets more than a year: a time that no clock reaches is a mistake."""
    assert parse(b"EXTEND_TIMEOUT_USEC=999999999999999999", "web", 7).extend == 366 * 86400


@given(st.binary(max_size=300))
@example(b"MAINPID=" + b"9" * 300)
@example(b"STATUS=\xed\xa0\x80")
def test_any_bytes(data: bytes) -> None:
    """Whatever comes: an event about this service, or the one error."""
    try:
        told = parse(data, "web", 7)
    except MalformedError:
        assert b"\0" in data
        return
    assert (told.service, told.pid) == ("web", 7)
    assert told.extend is None or told.extend >= 0
    assert told.main_pid is None or told.main_pid >= 0


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=8) | st.integers().map(str)), max_size=6))
def test_any_fields(fields: list[tuple[str, str]]) -> None:
    """The same for messages that are nearly right."""
    data = "\n".join(f"{key}={value}" for key, value in fields).encode("utf-8", "surrogatepass")
    try:
        told = parse(data, "web", 7)
    except MalformedError:
        return
    assert told.ready is (next((value for key, value in fields if key == "READY"), "").split("\n")[0] == "1")
