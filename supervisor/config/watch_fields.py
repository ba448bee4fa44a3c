"""The keys of a service about how it is: readiness, health, watchdog."""

from supervisor.config.shapes import Field

WATCHING: tuple[Field, ...] = ()
