"""Run a few lines of Python in a process of their own: for what must not happen to the tests' own process."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from tests.helpers.patience import PATIENCE

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The source tree."""


def run_isolated(
    source: str,
    *arguments: str,
    launcher: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
) -> "subprocess.CompletedProcess[str]":
    """Run the source in an isolated interpreter that finds the source tree; ``sys`` is imported already.

    Args:
        source: statements.
        arguments: its ``sys.argv[1:]``.
        launcher: a command line that runs its arguments.
        environment: variables added to the tests' own.
        pass_fds: descriptors that it gets too.
    """
    prologue = f"import sys\nsys.path.insert(0, {ROOT!r})\n"
    return subprocess.run(
        [*launcher, sys.executable, "-I", "-c", prologue + source, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **(environment or {})},
        pass_fds=pass_fds,
    )
