"""JSON Schema of a configuration file, made from the tables that read it.

It is for editors and for checks in a pipeline. Some rules have no form in JSON Schema (``main`` names a service that
exists, a variable is set, 3650 days are the most); ``pausevisor check`` knows them all. Not imported by the daemon.
"""

from supervisor.config.fields import FILE


def config_schema() -> dict[str, object]:
    """JSON Schema, draft 2020-12, of one file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pausevisor configuration",
        "description": "Configuration of the pausevisor process supervisor, as TOML.",
        **FILE.schema(),
    }
