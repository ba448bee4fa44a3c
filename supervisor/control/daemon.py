"""The endpoints about the daemon itself."""

import time

from starlette.requests import Request
from starlette.responses import Response

from supervisor.control import query
from supervisor.control.ends import orders_done
from supervisor.control.problems import ProblemError
from supervisor.control.reloading import RejectedError
from supervisor.control.replies import json_response
from supervisor.control.subject import Subject
from supervisor.control.view import View, is_up
from supervisor.core import events as ev
from supervisor.core.plan import Action, Changes
from supervisor.logs.encode import timestamp


class DaemonEndpoints:
    """Asking the daemon about itself, and giving it orders."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    async def version(self, _: Request) -> Response:
        """What runs, and since when."""
        about = self._subject.about
        return json_response(
            {
                "version": about.version,
                "pid": about.pid,
                "mode": about.mode,
                "loop": about.loop,
                "python": about.python,
                "started_at": timestamp(about.started_at),
                "uptime_s": round(time.monotonic() - about.started, 6),
            }
        )

    async def plan(self, _: Request) -> Response:
        """What a reload would change."""
        try:
            return json_response(_changes_view(self._subject.reloader.plan()))
        except RejectedError as error:
            raise self._rejected(error) from None

    async def reload(self, request: Request) -> Response:
        """Put the configuration as it is in the files now in force."""
        wait, within = query.flag(request, "wait"), query.seconds(request, "timeout")
        subject = self._subject
        if not is_up(subject.fleet):
            raise ProblemError(409, "the daemon is shutting down")
        try:
            changes = subject.reloader.apply(subject.driver.handle)
        except RejectedError as error:
            raise self._rejected(error) from None
        view = _changes_view(changes)
        if wait:
            await orders_done(subject, request, "reload", self._awaited(changes), within, changes=view)
        return json_response(view)

    def _awaited(self, changes: Changes) -> dict[str, dict[str, int]]:
        """Who is to be up, and who to be gone; what an order has stopped stays so, changed or not."""
        restarted = [name for name, change in changes.changed.items() if change.action is Action.RESTART]
        up = (*changes.added, *self._subject.orders.wanted(restarted))
        return {"start": dict.fromkeys(up, 0), "stop": dict.fromkeys(changes.removed, 0)}

    def _rejected(self, error: RejectedError) -> ProblemError:
        errors = self._subject.without_secrets(error.errors)
        return ProblemError(422, "the configuration is wrong; what is in force stays in force", errors=errors)

    async def reopen(self, _: Request) -> Response:
        """Open the log files again, which somebody has moved."""
        self._subject.reopen_logs()
        return json_response({"accepted": True}, 202)

    async def shutdown(self, _: Request) -> Response:
        """End the daemon, in order."""
        self._subject.driver.handle(ev.ShutdownRequested("ordered by a client"))
        return json_response({"accepted": True}, 202)


def _changes_view(changes: Changes) -> View:
    return {
        "added": changes.added,
        "removed": changes.removed,
        "changed": {
            name: {"keys": change.keys, "action": change.action.value} for name, change in changes.changed.items()
        },
        "signalled": changes.signalled,
        "supervisor": {"keys": changes.settings, "at_start": changes.at_start},
    }
