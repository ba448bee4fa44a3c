"""Importing what serves HTTP, at the first connection: a piece a turn of the loop, in the order of need.

All of it takes a hundred milliseconds and more, and a daemon that nobody asks never pays. Done at once it would keep a
TERM waiting for as long; done in a thread it would need a second stack and a second heap, fail where the machine is out
of processes, and meet the fork of a spawn half way through an import. So each step is one import of some milliseconds,
and between two of them the loop goes round.

Without OpenSSL, as everything here: see :mod:`supervisor.runtime.loops`. And without uvicorn's command line, which its
package imports, click and multiprocessing with it: 1.5 MB and a tenth of the time.
"""

import gc
from collections.abc import Iterator

from supervisor.runtime.loops import without_tls


def http_stack() -> Iterator[None]:
    """The steps; when they are done, :mod:`supervisor.control.server` is imported.

    Raises:
        ImportError: something is not installed.
    """
    steps = _imports()
    gc.disable()  # until all is there: collecting in between finds nothing, and takes longer than a step
    try:
        while True:
            with without_tls("uvicorn.main"):
                if next(steps, _DONE) is _DONE:
                    break
            yield
    finally:
        gc.freeze()  # what was imported lives to the end: later collections need not look at it
        gc.enable()


_DONE = object()


def _imports() -> Iterator[None]:
    # ruff: noqa: F401, PLC0415 - importing is all that is done here, and late is the point
    import email.utils

    yield
    import email.parser

    yield
    import http.client

    yield
    import http.cookies

    yield
    import h11

    yield
    import msgspec

    yield
    import logging.handlers

    yield
    import logging.config

    yield
    import tempfile

    yield
    import anyio

    yield
    import uvicorn.config

    yield
    import uvicorn.protocols.http.h11_impl

    yield
    import hashlib

    yield
    import hmac

    yield
    import anyio.to_thread

    yield
    import starlette.requests

    yield
    import starlette.responses

    yield
    import starlette.applications

    yield
    import supervisor.runtime.driver  # the daemon has it; who measures the steps alone has not

    yield
    import supervisor.control.services

    yield
    import supervisor.control.metrics

    yield
    import supervisor.control.routes

    yield
    import supervisor.control.server
