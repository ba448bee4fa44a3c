"""The shell: one seam to the kernel, the one reaper, signals, spawning, timers, and the mailbox that applies events.

It does what the core decided. Imports go to :mod:`supervisor.core` only (and to what it is handed by ``app``).
"""
