"""The logs room: records and the children's lines, from capture to a sink that never blocks.

Imports go to :mod:`supervisor.core` only. The pause mode uses :mod:`~supervisor.logs.encode`,
:mod:`~supervisor.logs.sink` and :mod:`~supervisor.logs.journal` alone, so these import nothing heavy.
"""
