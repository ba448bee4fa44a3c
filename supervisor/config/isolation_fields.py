"""The keys of a service about what its process may do and have: user, limits, capabilities, environment files."""

from __future__ import annotations

from supervisor.config.kinds import Count, Flag, Kind, Path, VariableName
from supervisor.config.problems import Place
from supervisor.config.shapes import ByType, Field, ListOf, Map, Table
from supervisor.config.units import Size
from supervisor.core.spec import Cgroup, Isolation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Late:
    """A kind of :mod:`supervisor.config.isolation_kinds`, which is imported with the first file that uses one.

    Args:
        name: of the kind.
        arguments: what it is made with.
    """

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        self.arguments = arguments

    def _kind(self) -> Kind[Any]:
        from supervisor.config import isolation_kinds  # noqa: PLC0415 - few files use any, and the first child waits

        kind: Kind[Any] = getattr(isolation_kinds, self.name)(*self.arguments)
        return kind

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return self._kind().allowed

    def parse(self, value: object, at: Place) -> Any:
        """See :meth:`Kind.parse`."""
        return self._kind().parse(value, at)

    def schema(self) -> dict[str, object]:
        """See :meth:`Kind.schema`."""
        return self._kind().schema()


_GROUP = Late("Account", "group")
_CGROUP = 'true, false, or a table such as { memory-max = "200MiB", pids-max = 100, cpu-max = 1.5 }'

RESTRICTIONS = (
    Field(
        "user",
        Late("Account", "user"),
        "Whom it runs as; sets HOME, USER, LOGNAME and SHELL. When absent, as the daemon. Variables are put in.",
    ),
    Field("group", _GROUP, "Its group; when absent, that of user. Variables are put in."),
    Field(
        "supplementary-groups",
        ListOf(_GROUP, "a list of names and numbers of groups"),
        "All its other groups; when absent, those of user. Variables are put in.",
    ),
    Field("umask", Late("Umask"), "The mask of the modes of the files it makes; when absent, the daemon's."),
    Field("nice", Count(-20, 19), "Its niceness; when absent, the daemon's."),
    Field(
        "limits", Late("limits"), "Its resource limits, soft and hard; what is absent is as the daemon's. setrlimit(2)."
    ),
    Field(
        "oom-score-adjust",
        Count(-1000, 1000),
        "How likely the kernel kills it for lack of memory; when absent, as likely as the daemon.",
    ),
    Field(
        "no-new-privileges",
        Flag(),
        "Whether executing a program never gives it privileges it has not, by set-user-ID bits or file capabilities.",
        default=False,
    ),
    Field(
        "capabilities",
        ListOf(Late("Capability"), 'a list of names such as ["net_bind_service"]'),
        "The capabilities it may ever have: its bounding set; when absent, the daemon's.",
    ),
    Field("cpu-affinity", Late("Processors"), "The processors it runs on; when absent, the daemon's."),
)
"""What becomes of a service's :class:`~supervisor.core.spec.Isolation`, key by key."""

ISOLATION = (
    Field(
        "environment-files",
        ListOf(Late("EnvironmentFile"), "a list of paths"),
        'Files of environment variables, read at each start; "-" before the path of one that may be missing. '
        "Variables are put in.",
    ),
    Field(
        "secret-files",
        Map(VariableName(), Path()),
        "Environment variables whose value is the content of a file, read at each start and never shown. "
        "Variables are put in.",
    ),
    *RESTRICTIONS,
    Field(
        "cgroup",
        ByType(
            {
                bool: Late("Switch", Cgroup),
                dict: Table(
                    (
                        Field("memory-max", Size((2**16, "64KiB"), (2**50, "1048576GiB")), "The most memory."),
                        Field("pids-max", Count(1, 4_194_304), "The most processes and threads."),
                        Field("cpu-max", Late("Fraction", 0.01, 8192), "The most processor time, in processors."),
                    ),
                    Cgroup,
                ),
            },
            _CGROUP,
        ),
        "Whether it has a control group of its own, and what that is held to; where cgroup v2 is writable.",
        default=False,
    ),
)


def gather(values: dict[str, Any]) -> None:
    """Put the values of these keys together, as :class:`~supervisor.core.spec.ServiceSpec` has them.

    Args:
        values: of a service, by attribute; changed.
    """
    given: Mapping[str, Any] = {row.name: values.pop(row.name) for row in RESTRICTIONS if row.name in values}
    isolation = Isolation(**given)
    if isolation != Isolation():
        values["isolation"] = isolation
