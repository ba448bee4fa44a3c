"""The configuration room: files into :class:`~supervisor.core.spec.FleetSpec`, or all their errors at once.

Imports go to :mod:`supervisor.core` only. Nothing here prints, exits or starts anything.
"""
