"""How long the tests wait."""

PATIENCE = 60.0
"""Seconds until something awaited counts as missing: far above anything real, for slow and busy machines.

It costs nothing where all is well, and a machine that others use as well stands still for many seconds at times.
"""
