"""Making the event loop, without what we never use: TLS.

asyncio and uvloop import :mod:`ssl` with everything behind it: 4.5 MB, a sixth of the daemon's memory, and 20 ms.
asyncio is built to do without it; uvloop looks up a dozen of its names while it is imported. So for the time of the
import a stand-in answers to those names. Afterwards :mod:`ssl` itself can be imported by anybody; only TLS through
this loop is not to be had, and the daemon speaks none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """Answers with an exception class to any name, and to the error numbers with OpenSSL's own."""

    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_SYSCALL = 5
    PROTOCOL_TLS_SERVER = 17
    CERT_NONE = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


@contextmanager
def without_tls(*others: str) -> Iterator[None]:
    """While something is imported, :mod:`ssl` is a stand-in, and hashlib has no OpenSSL but the interpreter's own code.

    What was imported before stays what it was.

    Args:
        others: names of modules for which there is a stand-in as well.
    """
    stand_ins = {"_hashlib": None, **{name: _StandIn(name) for name in ("ssl", *others)}}
    absent = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    modules: dict[str, Any] = sys.modules
    modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


def make_loop(name: str) -> Any:
    """A new event loop, ``uvloop`` or ``asyncio``.

    Raises:
        ImportError: it is not installed.
    """
    with without_tls():
        if name == "uvloop":
            import uvloop  # noqa: PLC0415 - after the first programs run

            return uvloop.new_event_loop()
        import asyncio  # noqa: PLC0415 - after the first programs run

        return asyncio.new_event_loop()
