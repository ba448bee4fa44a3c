"""Loading a configuration: files in, settings or all their problems out.

The way is: read every file, gather the names of all services, read every value by the tables of
:mod:`supervisor.config.fields`, and, when nothing was wrong, put the specs together. Nothing is started, printed or
changed here, so a reload that fails leaves everything as it was.
"""

from __future__ import annotations

from supervisor.config.assemble import assemble
from supervisor.config.destinations import SharedFiles
from supervisor.config.fields import FILE, homes
from supervisor.config.places import default_sources
from supervisor.config.problems import ConfigError, Invalid, Place, Problem, Scope, printable
from supervisor.config.replicas import reader, with_number
from supervisor.config.signal_names import signal_number
from supervisor.config.sources import Source, read_sources
from supervisor.config.together import check_cycles, check_together
from supervisor.core.record import Record
from supervisor.core.signals import signal_name
from supervisor.core.spec import ControlSpec, FleetSpec, LogSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

__all__ = ["ConfigError", "Problem", "Settings", "default_sources", "load"]


class Settings(Record):
    """A configuration: the daemon and its services, its log, the absolute paths of the files, and who may ask where."""

    fleet: FleetSpec
    log: LogSpec
    sources: tuple[str, ...]
    control: ControlSpec = ControlSpec()


def load(paths: Sequence[str], environ: Mapping[str, str], directory: str) -> Settings:
    """Load a configuration.

    Args:
        paths: files, or folders of which the ``*.toml`` are read by name; none is fine, and means the defaults.
        environ: the environment the daemon was given: for expansion, and for services to inherit.
        directory: absolute path of the directory the daemon was started in; relative paths start there.

    Raises:
        ConfigError: with everything that is wrong.
    """
    scope = Scope(environ=with_number(environ, 1), directory=directory, homes=homes())
    sources = read_sources(paths, scope)
    if not scope.problems:
        scope.services = frozenset(key for _, section, key in _keys(sources) if section == "services")
    _note_duplicates(sources, scope)
    check_cycles(sources, scope)
    files = []
    shared = SharedFiles()
    for source in sources:
        place = Place(source.path, "", scope)
        try:
            files.append(FILE.parse(source.document, place))
        except Invalid:
            continue  # what was wrong is noted, and raised below with the rest
        shared.note(files[-1], source.path, place)
    if not scope.problems:
        check_together(sources, files, scope)
    if scope.problems:
        order = {printable(source.path): number for number, source in enumerate(sources)}
        raise ConfigError(sorted(scope.problems, key=lambda problem: order.get(problem.file, -1)))
    readers = {
        name: reader(name, source.document["services"][name], source.path, scope)
        for source, file in zip(sources, files, strict=True)
        for name, values in file.get("services", {}).items()
        if "replicas" in values
    }
    fleet, log, control = assemble(files, scope, environ, readers)
    return Settings(fleet, log, tuple(source.path for source in sources), control)


def _keys(sources: Sequence[Source]) -> Iterator[tuple[Source, str, str]]:
    """Every key of every section of the top level, as written; what is no section is left to the tables to refuse."""
    for source in sources:
        for section in FILE.fields:
            table: Any = source.document.get(section)
            if isinstance(table, dict):
                for key in table:
                    yield source, section, key


def _note_duplicates(sources: Sequence[Source], scope: Scope) -> None:
    """Note what is set twice: in two files, or, for a signal, by two of its names."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for source, section, key in _keys(sources):
        number = signal_number(key) if section == "signals" else None
        name = key if number is None else signal_name(number)
        if (section, name) not in first:
            first[section, name] = (source.path, key)
            continue
        earlier_path, earlier_key = first[section, name]
        found = "already" if key == earlier_key else f"the same signal as {earlier_key},"
        verb = "defined" if section == "services" else "set"
        Place(source.path, section, scope).inside(key).refuse(f"{found} {verb} in {earlier_path}; keep one of the two")
