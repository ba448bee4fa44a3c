"""pausevisor: an async process supervisor, made to be PID 1 of a container.

The rooms, and who may import whom (imports go down only)::

    cli, app, pause -> runtime, logs, config -> core

This module imports nothing: as PID 1 the first statement that runs after the interpreter's own start-up has to
block signals (see :mod:`supervisor.__main__`), and every import before it widens the window in which one is lost.
"""

__version__ = "0.1.0"
