"""Making the event loop, without what we never use: TLS.

asyncio and uvloop import :mod:`ssl` with everything behind it: 4.5 MB, a sixth of the daemon's memory, and 20 ms.
asyncio is built to do without it; uvloop looks up a dozen of its names while it is imported. So for the time of the
import a stand-in answers to those names. Afterwards :mod:`ssl` itself can be imported by anybody; only TLS through
this loop is not to be had, and the daemon speaks none.
"""

import sys
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """Answers with an exception class to any name, and to the error numbers with OpenSSL's own."""

    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_SYSCALL = 5

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


def make_loop(name: str) -> Any:
    """A new event loop, ``uvloop`` or ``asyncio``.

    Raises:
        ImportError: it is not installed.
    """
    stands_in = "ssl" not in sys.modules
    if stands_in:
        sys.modules["ssl"] = _StandIn("ssl")
    try:
        if name == "uvloop":
            import uvloop  # noqa: PLC0415 - after the first programs run

            return uvloop.new_event_loop()
        import asyncio  # noqa: PLC0415 - after the first programs run

        return asyncio.new_event_loop()
    finally:
        if stands_in:
            del sys.modules["ssl"]
