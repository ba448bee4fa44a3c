"""Reading what clients send: query parameters and bodies. What is wrong is said, with what is allowed."""

import math
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from supervisor.control.problems import ProblemError

LONGEST_BODY = 2**20
"""Bytes of a request's body."""

_LONGEST_GLOB = 256
_MOST_GLOBS = 64
_WORDS = {"true": True, "1": True, "false": False, "0": False}

T = TypeVar("T", bound=msgspec.Struct)


def flag(request: Request, name: str) -> bool:
    """A boolean parameter, ``true`` or ``false``; false when absent.

    Raises:
        ProblemError: 400, it is something else.
    """
    text = request.query_params.get(name, "false")
    if text not in _WORDS:
        raise ProblemError(400, f"{name}={text!r}: allowed are true and false")
    return _WORDS[text]


def number(request: Request, name: str, *, least: int = 0, most: int = 2**53) -> int | None:
    """A whole number; None when absent.

    Raises:
        ProblemError: 400, it is something else.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        raise ProblemError(400, f"{name}={text!r}: a whole number from {least} to {most} is allowed")
    return int(text)


def word(request: Request, name: str, allowed: tuple[str, ...]) -> str | None:
    """One of a few words; None when absent.

    Raises:
        ProblemError: 400, it is something else.
    """
    text = request.query_params.get(name)
    if text is not None and text not in allowed:
        raise ProblemError(400, f"{name}={text!r}: allowed are {' and '.join(allowed)}")
    return text


def seconds(request: Request, name: str) -> float | None:
    """A time in seconds, more than 0; None when absent.

    Raises:
        ProblemError: 400, it is something else.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1e9:
        raise ProblemError(400, f"{name}={text!r}: a number of seconds above 0 is allowed")
    return value


def matcher(request: Request, name: str) -> Callable[[str], bool]:
    """Whether a text matches one of the globs that a parameter, which may repeat, gives; true when there is none.

    Raises:
        ProblemError: 400, there are too many, or one is too long.
    """
    globs = request.query_params.getlist(name)
    if len(globs) > _MOST_GLOBS or any(len(glob) > _LONGEST_GLOB for glob in globs):
        raise ProblemError(400, f"{name}: at most {_MOST_GLOBS} patterns of {_LONGEST_GLOB} characters are allowed")
    if not globs:
        return lambda _: True
    return lambda text: any(fnmatchcase(text, glob) for glob in globs)


async def body(request: Request, kind: type[T]) -> T:
    """The body, as JSON of this form; an empty one counts as ``{}``.

    Raises:
        ProblemError: 413, it is too long; 422, it is no JSON, or has another form.
    """
    data = await _whole_body(request)
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProblemError(422, f"the body is not what is wanted: {error}") from None


async def _whole_body(request: Request) -> bytes:
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > LONGEST_BODY:
                raise ProblemError(
                    413, f"the body is longer than {LONGEST_BODY} bytes", headers={"Connection": "close"}
                )
    except ClientDisconnect:
        raise ProblemError(400, "the body ended before its end") from None
    return bytes(data)
