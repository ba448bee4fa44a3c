"""Waiting for clients: until something has happened, the client has gone, or the time is up."""

import asyncio
from typing import Any

from starlette.types import Receive


async def first_done(*futures: "asyncio.Future[Any]", within: float | None = None) -> None:
    """Return when the first of these is done, or after so many seconds; none of them is cancelled."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    for future in futures:
        future.add_done_callback(wake)
    timer = loop.call_later(within, wake) if within is not None else None
    try:
        await woken
    finally:
        for future in futures:
            future.remove_done_callback(wake)
        if timer is not None:
            timer.cancel()


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone; what it sends until then is not looked at."""
    while (await receive())["type"] != "http.disconnect":
        pass
