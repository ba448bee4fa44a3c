"""What a process does to itself between fork and exec, so that its program can do no more than it is meant to.

:func:`confine` turns the settings of a service into numbers, in the daemon, where names can be looked up and a
failure has words. :meth:`Confinement.steps` is the order in which the child applies them. The order is the point:
what needs a privilege comes before the privilege goes.
"""

from __future__ import annotations

import errno
import os

from supervisor.core.record import Record, replace
from supervisor.runtime.failure import SpawnError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from supervisor.core.spec import Isolation
    from supervisor.runtime.accounts import Identity
    from supervisor.runtime.fork import Step

_OOM_SCORE = "/proc/self/oom_score_adj"


class Confinement(Record):
    """What the child does to itself; None, empty and false leave alone.

    Attributes:
        cgroup: descriptor of the ``cgroup.procs`` of its control group.
        limits: name, number, soft and hard limit of each; -1 is infinity.
        identity: whom it becomes.
        dropped: capabilities that leave the bounding set.
        kept: mask of the capabilities that may stay inheritable; None for all.
        libc: :mod:`supervisor.runtime.libc`, where a step needs it: nothing is imported in the child.
    """

    cgroup: int | None = None
    oom_score_adjust: int | None = None
    limits: tuple[tuple[str, int, int, int], ...] = ()
    nice: int | None = None
    cpu_affinity: tuple[int, ...] = ()
    identity: Identity | None = None
    dropped: tuple[int, ...] = ()
    kept: int | None = None
    no_new_privileges: bool = False
    libc: ModuleType | None = None

    def steps(self) -> list[Step]:
        """The steps, in their order.

        1. The control group, so that all that follows is accounted to it. Its file was opened by the daemon, and the
           kernel asks for the rights of who opened it.
        2. What root alone may do: lower the OOM score (CAP_SYS_RESOURCE; the file itself belongs to root as soon as
           the process has changed its user), raise a hard limit (CAP_SYS_RESOURCE), a niceness below 0 (CAP_SYS_NICE).
        3. Groups, for they need CAP_SETGID, and that goes with the user.
        4. The bounding set, which needs CAP_SETPCAP; after it not even a set-user-ID program brings back what is gone.
        5. The user: real, effective and saved, or it could go back. The kernel clears permitted, effective and ambient
           capabilities then, unless securebits say otherwise, but not the inheritable ones: all are cleared by name.
        6. No new privileges last: from here on nothing is gained by executing anything.
        """
        steps: list[Step] = []
        if self.cgroup is not None:
            cgroup = self.cgroup
            steps.append(("cgroup", "", lambda: os.write(cgroup, b"0")))
        if self.oom_score_adjust is not None:
            score = self.oom_score_adjust
            steps.append(("oom-score-adjust", str(score), lambda: _set_oom_score(score)))
        steps += self._limit_steps()
        if self.nice is not None:
            nice = self.nice
            steps.append(("nice", str(nice), lambda: os.setpriority(os.PRIO_PROCESS, 0, nice)))
        if self.cpu_affinity:
            numbers = ",".join(map(str, self.cpu_affinity))
            steps.append(("cpu-affinity", numbers, lambda: os.sched_setaffinity(0, self.cpu_affinity)))
        if self.identity is not None:
            steps += self.identity.group_steps()
        steps += self._capability_steps()
        if self.identity is not None:
            steps += self.identity.user_steps(self.libc)
        if self.no_new_privileges and self.libc is not None:
            libc = self.libc
            steps.append(("no-new-privileges", "", lambda: libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)))
        return steps

    def _limit_steps(self) -> list[Step]:
        if not self.limits:
            return []
        import resource  # noqa: PLC0415 - in the daemon, not in the child

        def limit(number: int, soft: int, hard: int) -> None:
            try:
                resource.setrlimit(number, (soft, hard))
            except ValueError:
                # The interpreter's way to say EINVAL, which can't be (the soft limit is no higher than the hard one),
                # and EPERM.
                raise PermissionError(errno.EPERM, "") from None

        return [
            ("limits", name, lambda number=number, soft=soft, hard=hard: limit(number, soft, hard))  # type: ignore[misc]
            for name, number, soft, hard in self.limits
        ]

    def _capability_steps(self) -> list[Step]:
        if self.kept is None or self.libc is None:
            return []
        libc, kept = self.libc, self.kept

        def drop() -> None:
            for number in self.dropped:
                libc.prctl(libc.PR_CAPBSET_DROP, number)
            effective, permitted, inheritable = libc.capabilities()
            # what is inheritable and not in the bounding set would come back with root's next exec
            libc.set_capabilities(effective, permitted, inheritable & kept)

        return [("capabilities", "", drop)]


def _set_oom_score(score: int) -> None:
    fd = os.open(_OOM_SCORE, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(score).encode())
    except OSError as error:
        # Not the file: the setting is what is refused.
        raise OSError(error.errno, "") from None
    finally:
        os.close(fd)


def confine(isolation: Isolation | None, identity: Identity | None, cgroup: int | None) -> Confinement | None:
    """What these settings come to in a child; None when it has nothing to do to itself.

    Args:
        isolation: the settings.
        identity: whom it becomes, of these settings.
        cgroup: descriptor of its control group's ``cgroup.procs``.

    Raises:
        SpawnError: something is not known on this machine.
    """
    confinement = Confinement(cgroup=cgroup, identity=identity)
    if isolation is not None:
        kept, dropped = _capabilities(isolation)
        confinement = replace(
            confinement,
            oom_score_adjust=isolation.oom_score_adjust,
            limits=_limits(isolation),
            nice=isolation.nice,
            cpu_affinity=isolation.cpu_affinity,
            dropped=dropped,
            kept=kept,
            no_new_privileges=isolation.no_new_privileges,
        )
    if confinement == Confinement():
        return None
    if identity is None and confinement.kept is None and not confinement.no_new_privileges:
        return confinement
    from supervisor.runtime import libc  # noqa: PLC0415 - ctypes, only where it is asked for

    return replace(confinement, libc=libc)


def _limits(isolation: Isolation) -> tuple[tuple[str, int, int, int], ...]:
    if not isolation.limits:
        return ()
    import resource  # noqa: PLC0415 - few services have limits

    found = []
    for name, (soft, hard) in isolation.limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise SpawnError("limits", errno.EINVAL, name, "there is no such limit on this machine")
        found.append((name, number, soft, hard))
    return tuple(found)


def _capabilities(isolation: Isolation) -> tuple[int | None, tuple[int, ...]]:
    """The mask of those to keep, None for all, and those to drop: in the bounding set now, and not named."""
    if isolation.capabilities is None:
        return None, ()
    from supervisor.core.capabilities import CAPABILITIES  # noqa: PLC0415 - few services name any
    from supervisor.runtime import libc  # noqa: PLC0415 - ctypes, only where it is asked for

    kept = {CAPABILITIES.index(name) for name in isolation.capabilities}
    dropped = []
    for number in range(64):
        try:
            present = libc.prctl(libc.PR_CAPBSET_READ, number)
        except OSError:
            break  # EINVAL: this kernel knows no capability of this number, nor above
        if present and number not in kept:
            dropped.append(number)
    return sum(1 << number for number in kept), tuple(dropped)
