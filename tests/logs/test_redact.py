"""Secrets never leave, in whatever form and pieces they come; and where there are none, nothing changes."""

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from supervisor.logs.lines import Fragment, Splitter
from supervisor.logs.redact import MARK, PATTERN_REACH, SHORTEST, Redactor
from tests.logs.support import patient

SECRET = 'p@ss "w/o\\rd" é<&>'


def redactor(*secrets: str, patterns: tuple[str, ...] = ()) -> Redactor:
    """One that knows these."""
    made = Redactor(patterns)
    for secret in secrets:
        assert made.add_secret(secret)
    return made


def through(made: Redactor, data: bytes, sizes: list[int], limit: int) -> list[bytes]:
    """The messages of a stream that arrives in such pieces, and whose lines are cut at the limit."""
    splitter, carry, found = Splitter(limit), b"", []
    at = turn = 0
    while at < len(data):
        chunk = data[at : at + sizes[turn % len(sizes)]]
        messages, carry = made.lines(splitter.feed(chunk), carry)
        found += messages
        at += len(chunk)
        turn += 1
    messages, carry = made.lines(splitter.flush(), carry, final=True)
    assert carry == b""
    return found + messages


def whole(messages: list[bytes]) -> bytes:
    """The messages as the lines that they are of."""
    return b"".join(message + (b"" if type(message) is Fragment else b"\n") for message in messages)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET).replace("/", "\\/")[1:-1],
        json.dumps(SECRET).replace("<", "\\u003c").replace("&", "\\u0026").replace(">", "\\u003E")[1:-1],
        json.dumps(json.dumps(SECRET))[1:-1].strip('\\"'),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_forms_of_a_secret(form: str) -> None:
    """As it is, in JSON of every writer and in JSON within JSON, in URLs, and as base64."""
    made = redactor(SECRET)
    messages, _ = made.lines([b"nothing", f"key={form} end".encode(), b"nothing"], b"")
    assert messages[::2] == [b"nothing", b"nothing"]
    text = messages[1].decode()
    assert MARK in text
    assert text.startswith("key=")
    assert not any(part in text for part in ("ss", "rd", "p@", "cEBz"))


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("behind", range(4))
def test_base64_of_more_than_the_secret(before: int, behind: int) -> None:
    """Whatever stands beside it in what is encoded, most of the secret can't be had from what is left."""
    secret = "correct horse battery"
    encoded = base64.b64encode(b"u" * before + secret.encode() + b"v" * behind).decode()
    (message,), _ = redactor(secret).lines([f"Authorization: Basic {encoded}".encode()], b"")
    left = message.decode().replace("Authorization: Basic ", "").replace(MARK, "")
    assert MARK in message.decode()
    assert len(left) <= len(encoded) - len(secret)


def test_a_secret_of_several_lines() -> None:
    """A key with lines is found whole and line by line; its short lines are not."""
    key = "-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\n==\n-----END KEY-----\n"
    made = redactor(key)
    assert made.lines([b"is abcdefghijkl there", b"mnopqrstuvwx", b"=="], b"")[0] == [
        f"is {MARK} there".encode(),
        MARK.encode(),
        b"==",
    ]
    assert made.lines([b"x " + key.strip().encode() + b" y"], b"")[0] == [f"x {MARK} y".encode()]
    assert made.text(json.dumps({"key": key})) == '{"key": "' + MARK + '\\n"}'


@pytest.mark.parametrize("secret", ["", "abc", " \n", "  abc \n"])
def test_a_short_secret_is_refused(secret: str) -> None:
    """What is too short is not looked for, and says so."""
    made = Redactor()
    assert not made.add_secret(secret)
    assert made.lines([b"abc"], b"") == ([b"abc"], b"")


def test_a_secret_within_another() -> None:
    """Of two that begin alike the longer one goes as a whole, whichever came first."""
    for secrets in (("secret", "secretive"), ("secretive", "secret")):
        assert redactor(*secrets).text("a secretive secret") == f"a {MARK} {MARK}"


def test_nothing_to_find_is_nothing_done() -> None:
    """Lines without a secret are the very objects that came."""
    messages = [b"one", b"two \xff", b""]
    assert redactor(SECRET, patterns=("x+y",)).lines(messages, b"")[0] is messages


def test_patterns() -> None:
    """What matches is replaced over its whole length, line by line."""
    made = redactor(patterns=(r"token=\S+", r"^\d{4}-\d{4}$", r"(?i)bearer [a-z.]+", r"(?<=pin )\d+"))
    messages = [b"token=abc token=def x", b"1234-5678", b"x 1234-5678", b"BEARER a.b c", b"pin 12", b"pi\xff 12"]
    mark = MARK.encode()
    assert made.lines(messages, b"")[0] == [
        mark + b" " + mark + b" x",
        mark,
        b"x 1234-5678",
        mark + b" c",
        b"pin " + mark,
        b"pi\xff 12",
    ]


@pytest.mark.parametrize(
    ("pattern", "lines", "found"),
    [
        (r"key=abc(?!\s)", [b"key=abc", b"next"], True),
        (r"\Akey", [b"first", b"key"], True),
        (r"key\Z", [b"key", b"next"], True),
        (r"[^;]++$", [b"a;key", b"b;"], True),
        (r"a[^x]*b", [b"a", b"b"], False),
        (r"^b", [b"a", b"b"], True),
        (r"a$", [b"a", b"b"], True),
    ],
)
def test_a_pattern_sees_one_line(pattern: str, lines: list[bytes], found: bool) -> None:
    """That many lines are looked at together changes nothing of what is found in each."""
    assert (MARK.encode() in b"".join(redactor(patterns=(pattern,)).lines(lines, b"")[0])) is found


def test_fields_of_events() -> None:
    """Strings in every depth are redacted; names that are ours, numbers and keys are not."""
    fields = {
        "service": "swordfish",
        "command": ["psql", "--password=swordfish"],
        "error": "no swordfish",
        "pid": 7,
        "nested": {"swordfish": ("swordfish", 1.5, None)},
    }
    assert redactor("swordfish").fields(fields) == {
        "service": "swordfish",
        "command": ["psql", f"--password={MARK}"],
        "error": f"no {MARK}",
        "pid": 7,
        "nested": {"swordfish": [MARK, 1.5, None]},
    }


def test_the_beginning_of_a_secret_at_the_end_of_a_stream() -> None:
    """Of a secret that its writer did not come to finish, the beginning is not shown either."""
    made = redactor("swordfish")
    assert made.lines([b"password: swordf"], b"", final=True) == ([f"password: {MARK}".encode()], b"")
    assert made.lines([b"password: swo"], b"", final=True) == ([b"password: swo"], b"")
    assert made.lines([b"password: swordf"], b"") == ([b"password: swordf"], b"")


_TEXT = st.text(alphabet='ab "\\/%+\n:{}é', max_size=30)


@patient
@given(
    st.text(alphabet='xyz"\\/ %+é', min_size=SHORTEST, max_size=20),
    st.lists(_TEXT, min_size=1, max_size=8),
    st.lists(st.integers(1, 30), min_size=1),
    st.integers(4, 80),
    st.sampled_from([str, lambda text: json.dumps(text)[1:-1], quote]),
)
def test_a_secret_never_leaks(secret: str, texts: list[str], sizes: list[int], limit: int, form: object) -> None:
    """Wherever a secret is in a stream, however that is read and cut: it is in no message, nor in all joined."""
    assume(len(secret.strip()) >= SHORTEST)
    written = form(secret.strip())  # type: ignore[operator]
    assume(not any(secret.strip() in text for text in texts))
    data = written.join(texts).encode()
    messages = through(redactor(secret), data, sizes, limit)
    joined = whole(messages).decode(errors="replace")
    assert secret.strip() not in joined.replace("\n", "")
    if len(texts) > 1:
        assert written not in joined
        assert joined.count(MARK) >= 1


@patient
@given(
    st.lists(st.sampled_from(["token=abc", "token=", "abc", " ", "x", "\n", "token=" + "y" * 50]), max_size=40),
    st.lists(st.integers(1, 40), min_size=1),
    st.integers(4, 200),
)
def test_a_pattern_never_leaks(parts: list[str], sizes: list[int], limit: int) -> None:
    """A match of a pattern goes wherever a long line is cut: put together again, lines are what they'd be whole."""
    data = "".join(parts).encode()
    made = redactor(patterns=(r"token=\S+",))
    messages = through(made, data, sizes, limit)
    expected = re.sub(r"token=\S+", MARK, data.decode())
    joined = whole(messages).decode()
    assert joined == expected + ("" if expected.endswith("\n") or not expected else "\n")


@patient
@given(st.lists(st.binary(max_size=40), max_size=10), st.lists(st.integers(1, 50), min_size=1), st.integers(4, 60))
def test_other_lines_are_untouched(lines: list[bytes], sizes: list[int], limit: int) -> None:
    """Where nothing is found every byte is as it came, whatever it is."""
    data = b"\n".join(line.replace(b"\r", b"") for line in lines)
    assume(b"zz" not in data)
    messages = through(redactor("zz-zz-zz", patterns=("zz+",)), data, sizes, limit)
    assert whole(messages) == (data if data.endswith(b"\n") or not data else data + b"\n")


def test_what_is_kept_back_is_bounded() -> None:
    """A match without end keeps no more than its beginning in memory."""
    made = redactor(patterns=(r"token=\S+",))
    carry = b""
    written = []
    for piece in (b"a token=", *[b"x" * 5000] * 20):
        messages, carry = made.lines([Fragment(piece)], carry)
        written += messages
        assert len(carry) <= PATTERN_REACH
    messages, carry = made.lines([b" end"], carry)
    assert whole([*written, *messages]) == f"a {MARK} end\n".encode()


def test_other_patterns_from_now_on() -> None:
    """They take the place of those before; the secrets stay, and so does what was kept back of a long line."""
    redactor = Redactor(["1+"])
    assert redactor.add_secret("hush-hush")
    assert redactor.text("11 22 hush-hush") == "[redacted] 22 [redacted]"
    redactor.look_for(["2+"])
    assert redactor.text("11 22 hush-hush") == "11 [redacted] [redacted]"
    pieces, carry = redactor.lines([Fragment(b"x hush-")], b"")
    redactor.look_for([])
    more, _ = redactor.lines([b"hush y"], carry)
    assert b"".join([*pieces, *more]) == b"x [redacted] y"
    none = Redactor(["1+"])
    none.look_for([])
    assert none.text("11") == "11"
    assert none.lines([Fragment(b"11"), b"1"], b"") == ([Fragment(b"11"), b"1"], b"")
