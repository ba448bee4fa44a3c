"""From a service's spec to a running process: environment, restrictions, streams, terminal, and the spawn.

What some services ask for and most do not (a user, limits, files to read at each start, a control group) is in modules
of its own, imported when the first service asks.
"""

from __future__ import annotations

from supervisor.core.record import replace
from supervisor.core.spec import Output, ServiceSpec
from supervisor.runtime.process import close_descriptors, open_null
from supervisor.runtime.spawn import Launch, SpawnError, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.core.spec import Destination
    from supervisor.runtime.confinement import Confinement
    from supervisor.runtime.ports import Capture, Groups, Pipe, Watches


def _nobody(_secret: str, _service: str) -> None:
    """There is no log to redact."""


class ProgramLauncher:
    """Starts programs.

    Args:
        capture: reads the streams that go to the log.
        terminal: the terminal that the single command gets, if there is one.
        launched: called after the first start of the single command.
        watches: who finds out how services are, and hands them descriptors and variables for that.
        redact: told every secret, and whose it is, before the program that gets it starts.
        groups: the control groups of the services that have one.
        output_closed: called when all output is read, at the end.
    """

    def __init__(  # noqa: PLR0913 - all that a start brings together
        self,
        capture: Capture,
        terminal: int | None,
        launched: Callable[[], None],
        *,
        watches: Watches | None = None,
        redact: Callable[[str, str], None] = _nobody,
        groups: Groups | None = None,
        output_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._capture = capture
        self._terminal = terminal
        self._launched = launched
        self._watches = watches
        self._redact = redact
        self._groups = groups
        self._output_closed = output_closed
        self._null = open_null()

    def launch(self, spec: ServiceSpec) -> int:
        """Start the service's program; its pid, which is also its process group.

        Raises:
            SpawnError: it could not be started, and nothing is left behind.
        """
        if self._watches is None:
            pid = self._launch(spec, {}, {})
        else:
            try:
                variables, descriptors = self._watches.prepare(spec)
            except OSError as error:
                raise SpawnError("notification", error.errno or 0) from None
            try:
                pid = self._launch(spec, variables, descriptors)
            except BaseException:
                self._watches.discard(spec)
                raise
            self._watches.started(spec, pid)
        if spec.transparent is not None:
            self._launched()
        return pid

    def launch_command(self, spec: ServiceSpec, command: tuple[str, ...]) -> int:
        """Start another command as this service would be: its user, directory, environment, limits, control group.

        Its streams come from and go to nowhere. The process is the caller's: nothing here remembers its pid, so see
        to it that its end is awaited, :meth:`~supervisor.runtime.children.Children.helper`.

        Raises:
            SpawnError: it could not be started; where it has a pid, that process is about to end.
        """
        return self._spawn(replace(spec, command=command, transparent=None), dict.fromkeys(range(3), self._null), {})

    def last_words(self, pid: int) -> list[str]:
        """The process is dead: write out what it had written; its last lines."""
        return self._capture.drain(pid)

    def change_output(self, specs: Sequence[ServiceSpec]) -> None:
        """Do with the lines of these services from now on what the specs say; their processes go on."""
        self._capture.change(
            {
                (spec.name, stream): (spec.log, target if isinstance(target, tuple) else None)
                for spec in specs
                for stream, target in (("stdout", spec.stdout), ("stderr", spec.stderr))
            }
        )

    def close_output(self) -> None:
        """Write out all that is left, and read no more; give the control groups back."""
        self._capture.close()
        if self._groups is not None:
            self._groups.close()
        self._output_closed()

    def _launch(self, spec: ServiceSpec, variables: dict[str, str], descriptors: dict[int, int]) -> int:
        """Start it with its streams."""
        pipes: dict[int, Pipe] = {}
        try:
            for fd, stream, target in ((1, "stdout", spec.stdout), (2, "stderr", spec.stderr)):
                if target is Output.LOG or isinstance(target, tuple):
                    pipes[fd] = self._open(spec, stream, target if isinstance(target, tuple) else None)
            streams = {**self._streams(spec, pipes), **descriptors}
            pid = self._spawn(spec, streams, variables)
        except BaseException:
            for pipe in pipes.values():
                self._capture.discard(pipe)
            raise
        for pipe in pipes.values():
            self._capture.bind(pipe, pid)
        return pid

    def _open(self, spec: ServiceSpec, stream: str, places: tuple[Output | Destination, ...] | None) -> Pipe:
        try:
            return self._capture.open(spec.name, stream, spec.log, places)
        except OSError as error:
            raise SpawnError("output", error.errno or 0) from None

    def _streams(self, spec: ServiceSpec, pipes: dict[int, Pipe]) -> dict[int, int]:
        streams = {fd: pipe.write_fd for fd, pipe in pipes.items()}
        if spec.transparent is None:
            streams[0] = self._null
        streams |= {fd: self._null for fd, target in ((1, spec.stdout), (2, spec.stderr)) if target is Output.NULL}
        return streams

    def _spawn(self, spec: ServiceSpec, streams: dict[int, int], variables: dict[str, str]) -> int:
        """Start it, with all that is to be known of this start only."""
        isolation = spec.isolation
        cgroup = None
        login: dict[str, str | None] = {}
        confinement: Confinement | None = None
        try:
            if spec.cgroup is not None and self._groups is not None:
                cgroup = self._groups.enter(spec)
            if isolation is not None or cgroup is not None:
                from supervisor.runtime.accounts import identify  # noqa: PLC0415 - few services need it
                from supervisor.runtime.confinement import confine  # noqa: PLC0415

                identity = identify(isolation)
                login = identity.variables if identity is not None else {}
                confinement = confine(isolation, identity, cgroup)
            environment = spec.environment
            if login or spec.environment_files or spec.secret_files:
                from supervisor.runtime.environment import complete_environment  # noqa: PLC0415 - few services need it

                environment = complete_environment(spec, login, lambda secret: self._redact(secret, spec.name))
            return spawn(
                Launch(
                    command=spec.command,
                    directory=spec.directory,
                    environment={**environment, **variables} if variables else environment,
                    streams=streams,
                    transparent=spec.transparent,
                    terminal=self._terminal if spec.transparent is not None else None,
                    umask=isolation.umask if isolation is not None else None,
                    confinement=confinement,
                )
            )
        except OSError as error:
            # nothing of the program's own: no descriptor for what is read or imported on the way
            raise SpawnError("fork", error.errno or 0) from None
        finally:
            if cgroup is not None:
                close_descriptors([cgroup])
