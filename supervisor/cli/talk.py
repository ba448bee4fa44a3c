"""What clients say on stderr, and the exit codes that go with it. Imports next to nothing: ping is one of them."""

from __future__ import annotations

import os

from supervisor.control.client import ClientError, ForbiddenError, LostError, SilentError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

EX_FAILED = 1
"""What was asked for failed, or not all is well."""

EX_USAGE = 2
EX_UNAVAILABLE = 69
"""sysexits.h: there is no daemon, or there is none any more."""

EX_NOPERM = 77
"""sysexits.h: the daemon, or the kernel, does not let us."""

EX_CONFIG = 78

_NOWHERE = (
    "Say where it is by --control PATH or $PAUSEVISOR_CONTROL. The pause mode, and a daemon with nothing but a "
    "COMMAND, have no control socket unless they were given --control."
)


class FailedError(Exception):
    """The command has failed: what is said on stderr, and the exit code."""

    def __init__(self, message: str, code: int = EX_FAILED) -> None:
        self.code = code
        super().__init__(message)


def say(message: str) -> None:
    """Tell people something; if nobody listens, so be it."""
    try:
        os.write(2, f"pausevisor: {message}\n".encode("utf-8", "replace"))
    except OSError:
        return


def explain(error: ClientError) -> FailedError:
    """The words and the exit code for what came between us and the daemon."""
    if isinstance(error, UnreachableError):
        looked = "".join(f"\n  {path}: {why}" for path, why in error.tried)
        return FailedError(f"no daemon is there; looked for it at{looked}\n{_NOWHERE}", EX_UNAVAILABLE)
    if isinstance(error, ForbiddenError):
        return FailedError(
            f"{error}: it is for its owner, for root, and for members of the control-group; we are user {os.geteuid()}",
            EX_NOPERM,
        )
    if isinstance(error, LostError | SilentError):
        return FailedError(str(error), EX_UNAVAILABLE)
    return FailedError(str(error))


def leave(code: int) -> NoReturn:
    """Exit, without taking down what took no time to put up."""
    os._exit(code)
