"""From a service's spec to a running process: its streams, its terminal, and the spawn."""

from __future__ import annotations

from supervisor.core.spec import Output, ServiceSpec
from supervisor.runtime.process import open_null
from supervisor.runtime.spawn import Launch, SpawnError, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.runtime.ports import Capture, Pipe


class ProgramLauncher:
    """Starts programs.

    Args:
        capture: reads the streams that go to the log.
        terminal: the terminal that the single command gets, if there is one.
        launched: called after the first start of the single command.
        output_closed: called when all output is read, at the end.
    """

    def __init__(
        self,
        capture: Capture,
        terminal: int | None,
        launched: Callable[[], None],
        output_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._capture = capture
        self._terminal = terminal
        self._launched = launched
        self._output_closed = output_closed
        self._null = open_null()

    def launch(self, spec: ServiceSpec) -> int:
        """Start the service's program; its pid, which is also its process group.

        Raises:
            SpawnError: it could not be started, and nothing is left behind.
        """
        pipes: dict[int, Pipe] = {}
        try:
            for fd, stream, target in ((1, "stdout", spec.stdout), (2, "stderr", spec.stderr)):
                if target is Output.LOG:
                    pipes[fd] = self._capture.open(spec.name, stream)
                elif isinstance(target, tuple):
                    pipes[fd] = self._capture.open(spec.name, stream, target)
            pid = spawn(self._launch(spec, pipes))
        except BaseException as error:
            for pipe in pipes.values():
                self._capture.discard(pipe)
            if isinstance(error, OSError):
                raise SpawnError("output", error.errno or 0) from None
            raise
        for pipe in pipes.values():
            self._capture.bind(pipe, pid)
        if spec.transparent is not None:
            self._launched()
        return pid

    def last_words(self, pid: int) -> list[str]:
        """The process is dead: write out what it had written; its last lines."""
        return self._capture.drain(pid)

    def close_output(self) -> None:
        """Write out all that is left, and read no more."""
        self._capture.close()
        self._output_closed()

    def _launch(self, spec: ServiceSpec, pipes: dict[int, Pipe]) -> Launch:
        streams = {fd: pipe.write_fd for fd, pipe in pipes.items()}
        if spec.transparent is None:
            streams[0] = self._null
        streams |= {fd: self._null for fd, target in ((1, spec.stdout), (2, spec.stderr)) if target is Output.NULL}
        return Launch(
            command=spec.command,
            directory=spec.directory,
            environment=spec.environment,
            streams=streams,
            transparent=spec.transparent,
            terminal=self._terminal if spec.transparent is not None else None,
        )
