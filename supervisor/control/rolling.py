"""Restarting the instances of a service one at a time, each when the one before is ready.

Once ordered it goes on, whether or not the client that ordered it stays. The first instance that does not come up again
is the last that is touched: the others go on serving.
"""

import asyncio
from collections.abc import Callable

from supervisor.control.orders import End, Orders
from supervisor.control.problems import ProblemError


class Rolling:
    """The restarts under way, one for each service at most.

    Args:
        orders: carries out the single ones.
        warn: told why one has come to an early end.
    """

    def __init__(self, orders: Orders, warn: Callable[[str], None]) -> None:
        self._orders = orders
        self._warn = warn
        self._under_way: dict[str, asyncio.Task[End]] = {}

    def begin(self, name: str) -> "asyncio.Task[End]":
        """Begin with the first instance.

        Raises:
            ProblemError: 404, there is no such service; 409, one is under way already, or nothing is started any more.
        """
        names = self._orders.wanted(self._orders.resolve(name))
        if name in self._under_way:
            raise ProblemError(409, f"a rolling restart of {name} is under way already")
        if names:
            first = self._orders.give("restart", names[:1])
            task = asyncio.ensure_future(self._roll(name, names, first))
        else:
            task = asyncio.ensure_future(_nothing())
        self._under_way[name] = task
        task.add_done_callback(lambda _: self._under_way.pop(name, None))
        return task

    async def _roll(self, name: str, names: tuple[str, ...], attempts: dict[str, int]) -> End:
        for position, one in enumerate(names):
            try:
                failed = await self._orders.done("restart", attempts or self._orders.give("restart", (one,)))
            except ProblemError as error:  # the daemon is on its way down, or a reload has removed the instance
                failed, reason = [one], error.detail
            else:
                reason = f"{one} has not come up"
            attempts = {}
            if failed:
                left = names[position + 1 :]
                if not self._orders.is_closing:  # else the last record may be written already, and it says more
                    words = ", ".join(left) or "none"
                    self._warn(f"the rolling restart of {name} has ended early: {reason}; not restarted: {words}")
                return End(failed, left)
        return End()


async def _nothing() -> End:
    return End()
