"""Finding out how services are: what they say of themselves, and what probes find. The core decides what follows.

:mod:`supervisor.runtime.watches` is the door. Behind it :mod:`~supervisor.runtime.watching.channels` owns what services
write to (sockets and pipes), and :mod:`~supervisor.runtime.watching.probing` asks those that don't tell.
"""
