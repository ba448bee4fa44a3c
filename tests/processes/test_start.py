"""A start that fails: before anything runs it is said in words, and after that nothing is left running."""

import json
import os

from tests.helpers import procfs
from tests.helpers.settings import service
from tests.runtime.isolated import run_isolated

RUN = """
import runpy
runpy.run_module("supervisor", run_name="__main__")
"""
NO_LOOP = f"""
import os
from supervisor.runtime import loops
def no_memory(name):
    raise OSError(12, os.strerror(12))
loops.make_loop = no_memory
{RUN}"""


def test_programs_don_t_outlive_a_start_that_fails(tmp_path: os.PathLike[str]) -> None:
    """The loop can't be made when programs run already: they are killed, it is said, and the exit code is 70."""
    path = os.path.join(tmp_path, "web.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write('[supervisor]\ncontrol = ""\n' + service("web", "sleep", "1000"))
    done = run_isolated(NO_LOOP, "run", "-c", path, "--log-format", "json")
    assert done.returncode == 70
    assert "Cannot allocate memory" in done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    (pid,) = [record["pid"] for record in records if record["event"] == "child_started"]
    procfs.wait_until(lambda: not procfs.alive(pid), "the program is gone")
    assert [record["where"] for record in records if record["event"] == "internal_error"] == ["start"]


def test_too_few_descriptors_are_said_in_words(tmp_path: os.PathLike[str]) -> None:
    """However few there are, from the first that lets the interpreter start: no talk of a bug, and nothing runs."""
    path = os.path.join(tmp_path, "web.toml")
    with open(path, "w", encoding="utf-8") as file:
        control = os.path.join(tmp_path, "control.sock")
        file.write(f'[supervisor]\ncontrol = "{control}"\n' + service("web", "sleep", "1000"))
    for number in (5, 6, 7, 8, 12, 20):
        done = run_isolated(RUN, "run", "-c", path, launcher=["prlimit", f"--nofile={number}:{number}"])
        assert "nothing was started" in done.stderr, (number, done.stderr)
        assert "bug" not in done.stderr
