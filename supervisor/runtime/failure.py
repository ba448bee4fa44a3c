"""Why a program could not be started: a stage, an errno, and words for both.

Every stage has its words here, and a test holds that it has. Where a stage is about a setting, it has the name of the
key in the configuration.
"""

import errno
import os

STAGES = {
    "notification": "cannot make the channel by which it tells how it is",
    "output": "cannot make the pipes for its output",
    "environment": "cannot read its environment file",
    "secret": "cannot read its secret",
    "user": "cannot become its user",
    "group": "cannot become a member of its group",
    "supplementary-groups": "cannot take its supplementary groups",
    "fork": "cannot create a process",
    "session": "cannot make its session",
    "terminal": "cannot give it the terminal",
    "descriptors": "cannot give it its descriptors",
    "cgroup": "cannot put it into its control group",
    "oom-score-adjust": "cannot set its oom-score-adjust",
    "limits": "cannot set its limit",
    "nice": "cannot set its nice value",
    "cpu-affinity": "cannot set its cpu-affinity",
    "umask": "cannot set its umask",
    "capabilities": "cannot take capabilities away from it",
    "no-new-privileges": "cannot deny it new privileges",
    "chdir": "cannot change to its working directory",
    "signals": "cannot set its signal mask",
    "exec": "cannot execute its program",
}
"""What went wrong at each stage, in words."""

TRANSIENT = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""The machine is out of processes, memory or descriptors."""


class SpawnError(Exception):
    """A program could not be started.

    Attributes:
        stage: a key of :data:`STAGES`.
        number: the errno.
        subject: the path or name it is about, empty when there is none.
        hint: more, where more is known (the missing interpreter, for one).
        pid: the process that tried and is about to end, None when there never was one.
    """

    pid: int | None = None

    def __init__(self, stage: str, number: int, subject: str = "", hint: str = "") -> None:
        self.stage = stage
        self.number = number
        self.subject = subject
        self.hint = hint
        words = f"{STAGES[stage]}{f' {subject!r}' if subject else ''}: {os.strerror(number)}"
        super().__init__(f"{words} ({hint})" if hint else words)

    @property
    def transient(self) -> bool:
        """Whether the machine was out of something, so that the same call may go through later."""
        return self.stage != "exec" and self.number in TRANSIENT

    @property
    def exit_code(self) -> int:
        """What a shell would return: 127 for a program not found, 126 for one that can't be executed, else 1."""
        if self.stage != "exec":
            return 1
        return 127 if self.number in (errno.ENOENT, errno.ENOTDIR) else 126
