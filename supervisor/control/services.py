"""The endpoints about services."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from supervisor.control import query
from supervisor.control.ends import good_end, orders_done
from supervisor.control.problems import ProblemError
from supervisor.control.replies import json_response
from supervisor.control.subject import Subject
from supervisor.control.view import SLICE, View, is_well, matcher_of_services, names_of
from supervisor.core.signals import parse_signal, signal_name
from supervisor.core.spec import StopScope
from supervisor.logs.encode import encode


class SignalOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of an order to signal; a number may be written as JSON Schema has whole numbers: 15, and 15.0 too.

    The scope is one of :class:`StopScope`, which is none of the enumerations that msgspec knows.
    """

    signal: str | float
    scope: Literal["process", "group", "tree"] | None = None


class SeveralOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of an order to several services."""

    order: Literal["start", "stop", "restart", "kill"]
    services: list[str]


class ScaleOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of an order to scale; 3.0 is a whole number too."""

    replicas: Annotated[float, msgspec.Meta(ge=0, le=1000, multiple_of=1)]


class Services:
    """Asking about services, and giving them orders."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    async def all(self, request: Request) -> "ServiceList":
        """All services, or those whose names match."""
        is_meant = matcher_of_services(query.matcher(request, "name"))
        return ServiceList(self._subject, [name for name in self._subject.fleet.services if is_meant(name)])

    async def one(self, request: Request) -> Response:
        """One service; all instances of a replicated one."""
        names = self._subject.orders.resolve(request.path_params["name"])
        return self._views(request, names)

    def order(self, verb: str) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of one verb."""

        async def ordered(request: Request) -> Response:
            wait, within = query.flag(request, "wait"), query.seconds(request, "timeout")
            orders = self._subject.orders
            attempts = orders.give(verb, orders.resolve(request.path_params["name"]))
            if wait:
                return await self._wait(request, verb, {verb: attempts}, within, tuple(attempts))
            return json_response(self._accepted(request, tuple(attempts)), 202)

        return ordered

    async def several(self, request: Request) -> Response:
        """An order to several services, which are stopped and restarted against the order of their needs."""
        wait, within = query.flag(request, "wait"), query.seconds(request, "timeout")
        order = await query.body(request, SeveralOrder)
        attempts = self._subject.orders.give(order.order, self._subject.orders.resolve_all(order.services))
        if wait:
            return await self._wait(request, order.order, {order.order: attempts}, within, tuple(attempts))
        return json_response({"accepted": True, "services": {name: self._state(name) for name in attempts}}, 202)

    async def signal(self, request: Request) -> Response:
        """Send a signal to the main process, or as far as its stop-scope says."""
        order = await query.body(request, SignalOrder)
        wanted = order.signal
        try:
            number = parse_signal(
                str(int(wanted)) if isinstance(wanted, float) and wanted.is_integer() else str(wanted)
            )
        except ValueError as error:
            raise ProblemError(422, str(error)) from None
        names = self._subject.orders.resolve(request.path_params["name"])
        self._subject.orders.signal(names, number, None if order.scope is None else StopScope(order.scope))
        sent = {"signal": number, "signal_name": signal_name(number)}
        return json_response({**self._accepted(request, names), **sent})

    async def freeze(self, request: Request) -> Response:
        """Let a service stand still."""
        names = self._subject.orders.resolve(request.path_params["name"])
        self._subject.orders.freeze(names)
        return json_response(self._accepted(request, names))

    async def thaw(self, request: Request) -> Response:
        """Let it go on."""
        names = self._subject.orders.resolve(request.path_params["name"])
        self._subject.orders.thaw(names)
        return json_response(self._accepted(request, names))

    async def scale(self, request: Request) -> Response:
        """Have more or fewer instances of a replicated service."""
        wait, within = query.flag(request, "wait"), query.seconds(request, "timeout")
        order = await query.body(request, ScaleOrder)
        base = request.path_params["name"]
        up, gone = self._subject.orders.scale(base, int(order.replicas))
        names = names_of(self._subject.fleet, base)
        if not wait:
            return json_response(self._accepted(request, names), 202)
        return await self._wait(request, "scale", {"start": up, "stop": gone}, within, names)

    async def rolling(self, request: Request) -> Response:
        """Restart the instances of a service one at a time, each when the one before is ready."""
        wait, within = query.flag(request, "wait"), query.seconds(request, "timeout")
        name = request.path_params["name"]
        names = self._subject.orders.resolve(name)
        rolling = self._subject.rolling.begin(name)
        if not wait:
            return json_response(self._accepted(request, names), 202)
        await good_end(self._subject, request, "rolling-restart", rolling, within)
        return self._views(request, names)

    async def _wait(
        self,
        request: Request,
        verb: str,
        attempts: dict[str, dict[str, int]],
        within: float | None,
        names: tuple[str, ...],
    ) -> Response:
        """The answer when orders are carried out: by the verb whose end is waited for, what they returned."""
        await orders_done(self._subject, request, verb, attempts, within)
        return self._views(request, names)

    def _views(self, request: Request, names: tuple[str, ...]) -> Response:
        fleet = self._subject.fleet
        views = [self._subject.view(name) for name in names if name in fleet.services]
        if names == (request.path_params.get("name"),):
            if not views:
                raise ProblemError(404, "a reload has removed the service meanwhile")
            return json_response(views[0])
        return json_response({"services": views, "ok": all(is_well(fleet, view) for view in views)})

    def _accepted(self, request: Request, names: tuple[str, ...]) -> View:
        name = request.path_params["name"]
        accepted: View = {"service": name, "accepted": True}
        if names == (name,):
            return accepted | {"state": self._state(name)}
        return accepted | {"state": None, "services": {name: self._state(name) for name in names}}

    def _state(self, name: str) -> str:
        service = self._subject.fleet.services.get(name)
        return service.state.value if service is not None else "removed"


class ServiceList:
    """Many services, in slices: nobody waits for a thousand of them, neither the daemon nor its memory."""

    def __init__(self, subject: Subject, names: list[str]) -> None:
        self._subject = subject
        self._fleet = subject.fleet
        self._names = names

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """The answer, by ASGI."""
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        ok = True
        opening = b'{"services":['
        for start in range(0, len(self._names), SLICE):
            slice_ = [name for name in self._names[start : start + SLICE] if name in self._fleet.services]
            views = [self._subject.view(name) for name in slice_]
            ok = ok and all(is_well(self._fleet, view) for view in views)
            if views:
                body = opening + b",".join(map(encode, views))
                await send({"type": "http.response.body", "body": body, "more_body": True})
                opening = b","
                await asyncio.sleep(0)
        end = (opening if opening != b"," else b"") + (b'],"ok":true}' if ok else b'],"ok":false}')
        await send({"type": "http.response.body", "body": end, "more_body": False})
