"""The three questions of an orchestrator: does it live, is it ready, has it started?"""

from starlette.requests import Request
from starlette.responses import Response

from supervisor.control.replies import json_response
from supervisor.control.subject import Subject
from supervisor.control.view import has_started, is_up, not_ready


class Probes:
    """Answers from the states of the services; 200 for yes and 503 for no."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    async def live(self, _: Request) -> Response:
        """Whether the loop turns, which is what an answer shows."""
        return json_response({"live": True})

    async def ready(self, _: Request) -> Response:
        """Whether every service that is wanted runs, and can, and the daemon is not on its way down."""
        fleet = self._subject.fleet
        waiting = await not_ready(fleet)
        ready = is_up(fleet) and not waiting
        return json_response(
            {"ready": ready, "draining": not is_up(fleet), "not_ready": waiting}, 200 if ready else 503
        )

    async def started(self, _: Request) -> Response:
        """Whether every service has been up, or has ended, at one time."""
        fleet = self._subject.fleet
        started = has_started(fleet)
        waiting = {} if started else await not_ready(fleet)
        return json_response({"started": started, "not_ready": waiting}, 200 if started else 503)
