"""The endpoints about the daemon itself."""

import time

from starlette.requests import Request
from starlette.responses import Response

from supervisor.control import query
from supervisor.control.problems import ProblemError
from supervisor.control.records import Entry
from supervisor.control.reloading import RejectedError
from supervisor.control.replies import json_response
from supervisor.control.streams import Follow
from supervisor.control.subject import Subject
from supervisor.control.view import View, is_up
from supervisor.core import events as ev
from supervisor.core.plan import Changes
from supervisor.logs.encode import timestamp

_SSE = "text/event-stream"


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

    async def events(self, request: Request) -> Follow:
        """The events: those that are kept, those that come, or both."""
        is_service, is_event = query.matcher(request, "service"), query.matcher(request, "event")
        by_service = "service" in request.query_params
        since, follow = query.number(request, "since"), query.flag(request, "follow")
        sse = _SSE in request.headers.get("accept", "")
        resumed = request.headers.get("last-event-id", "")
        if since is None and sse and resumed.isascii() and resumed.isdigit() and len(resumed) <= 16:
            since = int(resumed)
        ring = self._subject.ring
        if since is None:
            since = ring.last if follow else ring.lost
        elif since > ring.last:
            since = 0  # the number of another run of the daemon: all of this one is news

        def wanted(entry: Entry) -> bool:
            record = entry.record
            service = record.get("service")
            if by_service and not (isinstance(service, str) and is_service(service)):
                return False
            return is_event(str(record["event"]))

        return Follow(ring, since, wanted, follow=follow, sse=sse)

    async def plan(self, _: Request) -> Response:
        """What a reload would change."""
        try:
            return json_response(_changes_view(self._subject.reloader.plan()))
        except RejectedError as error:
            raise _rejected(error) from None

    async def reload(self, _: Request) -> Response:
        """Put the configuration as it is in the files now in force."""
        if not is_up(self._subject.fleet):
            raise ProblemError(409, "the daemon is shutting down")
        try:
            return json_response(_changes_view(self._subject.reloader.apply()))
        except RejectedError as error:
            raise _rejected(error) from None

    async def shutdown(self, _: Request) -> Response:
        """End the daemon, in order."""
        self._subject.driver.handle(ev.ShutdownRequested("ordered by a client"))
        return json_response({"accepted": True}, 202)


def _rejected(error: RejectedError) -> ProblemError:
    return ProblemError(422, "the configuration is wrong; what is in force stays in force", errors=error.errors)


def _changes_view(changes: Changes) -> View:
    return {
        "added": changes.added,
        "removed": changes.removed,
        "changed": {
            name: {"keys": change.keys, "action": change.action.value} for name, change in changes.changed.items()
        },
        "supervisor": {"keys": changes.settings},
    }
