"""Users and groups: whom a service runs as, looked up at each start.

The lookup is the C library's, so it knows all that nsswitch.conf(5) names; pwd and grp are imported for a service that
asks for a user or a group, and for no other.
"""

from __future__ import annotations

import errno
import os

from supervisor.core.record import Record
from supervisor.runtime.failure import SpawnError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd
    from types import ModuleType

    from supervisor.core.spec import Isolation
    from supervisor.runtime.fork import Step

_CAP_SETUID = 7
_NO_SHELLS = ("nologin", "false")
"""Programs in the place of a shell that are none: for them systemd sets no ``SHELL`` either."""


class Identity(Record):
    """Whom a process becomes; None leaves alone.

    Attributes:
        words: user, group and supplementary groups as they were configured, for messages.
        groups: the supplementary groups.
        variables: what a login as this user would set, ``HOME``, ``USER``, ``LOGNAME`` and ``SHELL``; None for what
            it would not, and what was inherited would be wrong.
    """

    words: tuple[str, str, str] = ("", "", "")
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    variables: dict[str, str | None] = {}  # noqa: RUF012 - copied for each record

    def group_steps(self) -> list[Step]:
        """Become a member of the groups."""
        steps: list[Step] = []
        if self.groups is not None:
            groups = self.groups
            steps.append(("supplementary-groups", self.words[2], lambda: os.setgroups(groups)))
        if self.gid is not None:
            gid = self.gid
            steps.append(("group", self.words[1], lambda: os.setresgid(gid, gid, gid)))
        return steps

    def user_steps(self, libc: ModuleType | None) -> list[Step]:
        """Become the user, without any capability unless that is root."""
        if self.uid is None:
            return []
        uid = self.uid
        steps: list[Step] = [("user", self.words[0], lambda: os.setresuid(uid, uid, uid))]
        if uid != 0 and libc is not None:
            steps.append(("capabilities", "", lambda: libc.set_capabilities(0, 0, 0)))
        return steps


def identify(isolation: Isolation | None) -> Identity | None:
    """Whom these settings name; None when they name nobody.

    A user that is the daemon's own, without further groups, changes nothing: so it works without any privilege.

    Raises:
        SpawnError: there is no such user or group, or nobody can become it from here.
    """
    if isolation is None or (isolation.user, isolation.group, isolation.supplementary_groups) == (None, None, None):
        return None
    names = isolation.supplementary_groups
    words = (isolation.user or "", isolation.group or "", ", ".join(names or ()))
    gid = None if isolation.group is None else _group(isolation.group, "group")
    groups = None if names is None else tuple(_group(name, "supplementary-groups") for name in names)
    if isolation.user is None:
        return Identity(words=words, gid=gid, groups=groups)
    uid, account = _account(isolation.user)
    variables = _variables(isolation.user, account)
    if uid == os.getuid() == os.geteuid():
        return Identity(words=words, uid=uid, gid=gid, groups=groups, variables=variables)
    _require_possible(isolation.user, uid)
    if gid is None:
        if account is None:
            hint = "it is not in the user database, so group has to be set as well"
            raise SpawnError("user", errno.ENOENT, isolation.user, hint)
        gid = account.pw_gid
    if groups is None:
        groups = (gid,) if account is None else tuple(os.getgrouplist(account.pw_name, gid))
    return Identity(words=words, uid=uid, gid=gid, groups=groups, variables=variables)


def _account(user: str) -> tuple[int, pwd.struct_passwd | None]:
    """Number and entry of a user; a number needs no entry."""
    import pwd  # noqa: PLC0415 - few services have a user

    try:
        account = pwd.getpwuid(int(user)) if _is_number(user) else pwd.getpwnam(user)
    except KeyError:
        if _is_number(user):
            return int(user), None
        raise SpawnError("user", errno.ENOENT, user, "there is no such user") from None
    return account.pw_uid, account


def _group(group: str, stage: str) -> int:
    if _is_number(group):
        return int(group)
    import grp  # noqa: PLC0415 - few services have a group

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SpawnError(stage, errno.ENOENT, group, "there is no such group") from None


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _variables(user: str, account: pwd.struct_passwd | None) -> dict[str, str | None]:
    name = user if account is None else account.pw_name
    home = account.pw_dir if account is not None else "/"
    shell: str | None = (account.pw_shell if account is not None else "") or "/bin/sh"  # passwd(5)
    if shell is not None and os.path.basename(shell) in _NO_SHELLS:
        shell = None
    return {"HOME": home or "/", "USER": name, "LOGNAME": name, "SHELL": shell}


def _require_possible(user: str, uid: int) -> None:
    """The child would be refused as well, but by its first step, setgroups(2), and without a reason.

    Raises:
        SpawnError: we may not become this user.
    """
    from supervisor.runtime.libc import capabilities  # noqa: PLC0415 - ctypes, only where it is asked for

    if not capabilities()[0] >> _CAP_SETUID & 1:
        hint = f"the daemon runs as uid {os.geteuid()} and has not the capability setuid"
        raise SpawnError("user", errno.EPERM, user, hint)
    if not _is_mapped(uid):
        raise SpawnError("user", errno.EINVAL, user, f"uid {uid} is not mapped in this user namespace")


def _is_mapped(uid: int) -> bool:
    """Whether our user namespace knows this number; user_namespaces(7)."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            ranges = [tuple(map(int, line.split())) for line in file]
    except OSError:
        return True  # no /proc: the kernel will say
    return any(first <= uid < first + count for first, _, count in ranges)
