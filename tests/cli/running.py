"""Run the command line as a real process and look at what any user sees: exit code and two streams."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from tests.helpers.patience import PATIENCE
from tests.runtime.isolated import ROOT

COMMAND = [sys.executable, "-m", "supervisor"]
"""From the source tree, whether or not it is installed."""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tests' own environment, in which the source tree is found and nothing is configured."""
    kept = {key: text for key, text in os.environ.items() if not key.startswith(("PAUSEVISOR_", "NOTIFY_", "LISTEN_"))}
    return {**kept, "PYTHONPATH": ROOT, **(extra or {})}


def run(
    *arguments: str,
    launcher: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
) -> Outcome:
    """Run one command to its end.

    Args:
        arguments: after the program's name.
        launcher: a command line that runs its arguments, such as ``sh -c '... exec "$@"' sh``.
        variables: added to the environment.
        stdout: where its standard output goes instead of into the outcome.
    """
    done = subprocess.run(
        [*launcher, *COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
        env=environment(variables),
    )
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Outcome(code, (done.stdout or b"").decode(errors="replace"), done.stderr.decode(errors="replace"))


def shell(script: str) -> tuple[str, ...]:
    """A launcher: a shell that arranges something and then becomes the command."""
    return ("sh", "-c", f'{script}; exec "$@"', "sh")
