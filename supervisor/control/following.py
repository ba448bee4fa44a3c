"""The endpoints about what was written: events, and lines of the services."""

from starlette.requests import Request

from supervisor.control import query
from supervisor.control.records import Record
from supervisor.control.streams import Source, Stream
from supervisor.control.subject import Subject
from supervisor.control.view import matcher_of_services

_SSE = "text/event-stream"
_TAIL = 10
"""Lines of each service that come first, unless asked for otherwise."""

_LONGEST_TAIL = 10_000


class Following:
    """Reading what the log has, and going on with it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    async def events(self, request: Request) -> Stream:
        """The events: those that are kept, those that come, or both."""
        is_meant = matcher_of_services(query.matcher(request, "service"))
        is_event = query.matcher(request, "event")
        by_service = "service" in request.query_params
        since, follow, sse = query.number(request, "since"), query.flag(request, "follow"), _wants_sse(request)
        if since is None and sse:
            since = _last_event(request)
        ring = self._subject.ring
        if since is None:
            since = ring.last if follow else ring.lost
        elif since > ring.last:
            since = 0  # the number of another run of the daemon: all of this one is news

        def wanted(record: Record) -> bool:
            service = record.get("service")
            if by_service and not (isinstance(service, str) and is_meant(service)):
                return False
            return is_event(str(record["event"]))

        return Stream(Source(ring, since, wanted, _events_missed), follow=follow, sse=sse)

    async def logs(self, request: Request) -> Stream:
        """The last lines of the services, those that come, or both."""
        is_meant = matcher_of_services(query.matcher(request, "service"))
        stream = query.word(request, "stream", ("stdout", "stderr"))
        tail = query.number(request, "tail", most=_LONGEST_TAIL)
        follow, sse = query.flag(request, "follow"), _wants_sse(request)
        lines = self._subject.lines

        def wanted(record: Record) -> bool:
            return stream in (None, record["stream"]) and is_meant(str(record["service"]))

        names = [name for name in self._subject.fleet.services if is_meant(name)]
        count = _TAIL if tail is None else tail
        last = [record for name in names for record in lines.last(name, count) if wanted(record)]
        last.sort(key=_time)
        if not follow:
            return Stream(first=last, sse=sse)
        ring = lines.enter()
        source = Source(ring, ring.last, wanted, _lines_missed)
        return Stream(source, first=last, follow=True, sse=sse, ended=lines.leave)


def _wants_sse(request: Request) -> bool:
    return _SSE in request.headers.get("accept", "")


def _last_event(request: Request) -> int | None:
    """Where a browser's EventSource was when it lost the connection."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None


def _events_missed(first: int, last: int) -> Record:
    return {"event": "events_missed", "from": first, "to": last}


def _lines_missed(first: int, last: int) -> Record:
    return {"event": "lines_missed", "count": last - first + 1}


def _time(record: Record) -> str:
    return str(record["timestamp"])
