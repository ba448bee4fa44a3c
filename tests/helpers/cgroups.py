"""Whether this machine lets us make control groups of version 2."""

import os

import pytest

from supervisor.runtime.hierarchy import UnavailableError, own_group


def _problem() -> str:
    """Why no group can be made here; empty where it can."""
    try:
        path = f"{own_group()}/pausevisor-test-{os.getpid()}"
        os.mkdir(path)
        os.rmdir(path)
    except (UnavailableError, OSError) as error:
        return str(error)
    return ""


PROBLEM = _problem()
WRITABLE = pytest.mark.skipif(bool(PROBLEM), reason=f"no cgroup v2 to write: {PROBLEM}")
