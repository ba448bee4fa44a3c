"""Where lines go beside the daemon's own log: files that are rotated, the journal of systemd, syslog daemons.

Imported only when a configuration asks for one of them. A sink that does not work is tried again, for ever and less
and less often; what it is to get waits in a bounded buffer, what has no room there is counted and told, and nobody
else waits for it (:mod:`~supervisor.logs.sinks.buffered`). What may block runs in a thread
(:mod:`~supervisor.logs.sinks.workers`).
"""
