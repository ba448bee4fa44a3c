"""Wait statuses against the macros of the C library."""

import os

import pytest

from supervisor.core import wait_status


@pytest.mark.parametrize("status", [code << 8 for code in range(256)] + [s | c for s in range(1, 65) for c in (0, 128)])
def test_agrees_with_the_macros(status: int) -> None:
    """Every exit code and every death by signal reads as the C library reads it."""
    if os.WIFSIGNALED(status):
        assert wait_status.term_signal(status) == os.WTERMSIG(status)
        assert wait_status.core_dumped(status) == os.WCOREDUMP(status)
        assert wait_status.shell_code(status) == 128 + os.WTERMSIG(status)
    else:
        assert os.WIFEXITED(status)
        assert wait_status.term_signal(status) == 0
        assert not wait_status.core_dumped(status)
        assert wait_status.exit_code(status) == wait_status.shell_code(status) == os.WEXITSTATUS(status)


def test_fields_name_either_code_or_signal() -> None:
    """An exit event has an exit code, or a signal with its name and the core flag; never both."""
    assert wait_status.status_fields(3 << 8) == {"exit_code": 3}
    assert wait_status.status_fields(11 | 128) == {"signal": 11, "signal_name": "SIGSEGV", "core_dumped": True}


def test_success_is_by_code_or_by_signal() -> None:
    """A code does not stand for a signal, nor a signal for a code."""
    assert wait_status.is_success(143 << 8, {143}, set())
    assert not wait_status.is_success(15, {143}, set())
    assert wait_status.is_success(15, set(), {15})
    assert not wait_status.is_success(15 << 8, {0}, {15})
