"""The keys of a service about what its process may do and have: user, limits, capabilities, environment files."""

from supervisor.config.shapes import Field

ISOLATION: tuple[Field, ...] = ()
