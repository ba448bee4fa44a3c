"""The fakes replace all of what they stand for."""

import inspect

import pytest

from supervisor.runtime.kernel import Kernel
from tests.runtime.fakes import FakeClock, FakeKernel, FakeLoop, UnexpectedCallError

PUBLIC = sorted(name for name, _ in inspect.getmembers(Kernel, inspect.isfunction) if not name.startswith("_"))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_fake_kernel_replaces_every_method(name: str) -> None:
    """No method of the seam reaches the real kernel, and each takes what the real one takes."""
    assert name in vars(FakeKernel)
    real, fake = getattr(Kernel, name), getattr(FakeKernel, name)
    assert list(inspect.signature(fake).parameters) == list(inspect.signature(real).parameters)


def test_the_fake_kernel_refuses_what_no_test_expects() -> None:
    """To wait for what is no zombie, or to signal everybody, raises and is remembered."""
    kernel = FakeKernel(FakeClock())
    pid = kernel.add("web").pid
    for wrong in (
        lambda: kernel.reap(pid),
        lambda: kernel.consume_stop(pid),
        lambda: kernel.kill(-1, 9),
        lambda: kernel.kill_group(0, 9),
    ):
        with pytest.raises(UnexpectedCallError):
            wrong()
    assert len(kernel.unexpected) == 4


def test_orphans_come_to_us() -> None:
    """As under a subreaper: who loses its parent becomes our child."""
    kernel = FakeKernel(FakeClock())
    parent = kernel.add("parent").pid
    child = kernel.add("child", parent).pid
    kernel.exits(parent)
    assert kernel.children(1) == [parent, child]


def test_the_fake_loop_takes_time_from_timer_to_timer() -> None:
    """Timers run in order, at their time, and one that was called off does not."""
    clock = FakeClock(0.0)
    loop = FakeLoop(clock)
    seen: list[tuple[str, float]] = []
    loop.call_later(2, lambda: seen.append(("second", clock.now)))
    loop.call_later(1, lambda: seen.append(("first", clock.now)))
    loop.call_later(1.5, lambda: seen.append(("never", clock.now))).cancel()
    loop.advance(5)
    assert seen == [("first", 1.0), ("second", 2.0)]
    assert clock.now == 5
