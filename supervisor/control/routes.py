"""The application: which endpoint answers which path, to whom, and how errors look."""

from _operator import _compare_digest
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from supervisor.control.daemon import DaemonEndpoints
from supervisor.control.following import Following
from supervisor.control.health import Probes
from supervisor.control.listener import Listener
from supervisor.control.metrics import Metrics
from supervisor.control.openapi import serve_document
from supervisor.control.orders import VERBS
from supervisor.control.problems import ProblemError, on_problem
from supervisor.control.services import Services
from supervisor.control.subject import Subject


def application(subject: Subject, listener: Listener) -> Starlette:
    """What is served on one listener: everything, or probes and metrics only."""
    routes = [*_health_routes(subject)]
    if listener.serves != "health":
        routes += _api_routes(subject)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(TokenMiddleware, token=listener.token)] if listener.token else [],
        exception_handlers={ProblemError: on_problem, HTTPException: _on_http_error, Exception: _on_mistake},
    )
    app.router.redirect_slashes = False  # a path is what it is, and no Host header leads anybody anywhere
    return app


def _health_routes(subject: Subject) -> Sequence[BaseRoute]:
    probes = Probes(subject)
    return [
        Route("/livez", probes.live),
        Route("/readyz", probes.ready),
        Route("/startupz", probes.started),
        Route("/metrics", Metrics(subject).serve),
    ]


def _api_routes(subject: Subject) -> Sequence[BaseRoute]:
    services, daemon, following = Services(subject), DaemonEndpoints(subject), Following(subject)
    one = "/v1/services/{name}"
    return [
        Route("/v1/version", daemon.version),
        Route("/v1/services", services.all),
        Route(one, services.one),
        *[Route(f"{one}/{verb}", services.order(verb), methods=["POST"]) for verb in VERBS],
        Route(f"{one}/signal", services.signal, methods=["POST"]),
        Route(f"{one}/freeze", services.freeze, methods=["POST"]),
        Route(f"{one}/thaw", services.thaw, methods=["POST"]),
        Route(f"{one}/scale", services.scale, methods=["POST"]),
        Route(f"{one}/rolling-restart", services.rolling, methods=["POST"]),
        Route("/v1/orders", services.several, methods=["POST"]),
        Route("/v1/events", following.events),
        Route("/v1/logs", following.logs),
        Route("/v1/logs/reopen", daemon.reopen, methods=["POST"]),
        Route("/v1/plan", daemon.plan),
        Route("/v1/reload", daemon.reload, methods=["POST"]),
        Route("/v1/shutdown", daemon.shutdown, methods=["POST"]),
        Route("/openapi.json", serve_document),
    ]


class TokenMiddleware:
    """Lets in who shows the token; in a time that does not tell how much of it was right."""

    def __init__(self, app: ASGIApp, token: bytes) -> None:
        self._app = app
        self._expected = b"Bearer " + token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        shown = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if _compare_digest(shown, self._expected):
            await self._app(scope, receive, send)
            return
        problem = ProblemError(
            401, "a token is needed: Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
        )
        await problem.response()(scope, receive, send)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """What the router has to say: no such path, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if "Allow" in headers:  # made of a set, in any order
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    path = request.scope["path"]
    details = {404: f"there is nothing at {path}", 405: f"{path} takes {headers.get('Allow')}, and no {request.method}"}
    return ProblemError(error.status_code, details.get(error.status_code, error.detail), headers=headers).response()


async def _on_mistake(_: Request, _error: Exception) -> Response:
    """A mistake of ours; it is in the log by the name of internal_error."""
    return ProblemError(500, "a defect of the daemon, which goes on; its log says more").response()
