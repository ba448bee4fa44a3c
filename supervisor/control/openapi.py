"""The OpenAPI 3.1 document of the API: what is served at ``/openapi.json``, and committed as ``config/openapi.json``.

Made of tables, as the API is::

    python -m supervisor.control.openapi > config/openapi.json
"""

import sys

from starlette.requests import Request
from starlette.responses import Response

from supervisor import __version__
from supervisor.control.schemas import SCHEMAS, STATE, STRING, Schema, is_, object_, ref
from supervisor.control.view import FAULTS
from supervisor.logs.encode import encode

_JSON = "application/json"

_NOT_READY = {
    "type": "object",
    "additionalProperties": {"enum": [*STATE["enum"], *FAULTS]},
    "description": "the others, each with its state, or with what is wrong with it though it runs",
}

_NAME: Schema = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query(name: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _globs(name: str, text: str) -> Schema:
    schema = {"type": "array", "items": {"type": "string", "maxLength": 256}, "maxItems": 64}
    return _query(name, schema, text) | {"style": "form", "explode": True}


_BOOLEAN: Schema = {"type": "boolean"}
_SECONDS: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e9}
_WAITING = [
    _query("wait", _BOOLEAN, "answer when it is done, and not at once"),
    _query("timeout", _SECONDS, "how long to wait at most, seconds; the order stands when it is over"),
]


def _answer(text: str, schema: Schema | None = None, media_type: str = _JSON) -> Schema:
    return {"description": text, **({"content": {media_type: {"schema": schema}}} if schema else {})}


def _problem(text: str) -> Schema:
    return _answer(text, ref("Problem"), "application/problem+json")


def _operation(identity: str, text: str, answers: dict[int, Schema], **more: object) -> Schema:
    responses = {str(status): answer for status, answer in answers.items()}
    return {"operationId": identity, "summary": text, **more, "responses": {**responses, "401": _NO_TOKEN}}


_NO_TOKEN = _problem("Over TCP: the token was not shown")
_NO_SERVICE = _problem("There is no such service")
_MALFORMED = _problem("A parameter is not what is allowed")
_ONE_OR_MORE: Schema = {"oneOf": [ref("Service"), ref("Services")]}


def _order(verb: str, text: str) -> Schema:
    return {
        "parameters": [_NAME],
        "post": _operation(
            f"{verb}_service",
            text,
            {
                200: _answer("It is done; of a replicated service all instances", _ONE_OR_MORE),
                202: _answer("It is ordered", ref("Accepted")),
                400: _MALFORMED,
                404: _NO_SERVICE,
                409: _problem("It ended otherwise, or the daemon is shutting down"),
                504: _problem("It is not done in time; the order stands"),
            },
            parameters=_WAITING,
        ),
    }


def _probe(identity: str, text: str, properties: dict[str, Schema]) -> Schema:
    schema = object_(properties)
    return {"get": _operation(identity, text, {200: _answer("Yes", schema), 503: _answer("No", schema)})}


_LINES: Schema = {"type": "string", "description": "one record a line, as in docs/events.md"}
_STREAM = {
    "description": "The records",
    "content": {"application/x-ndjson": {"schema": _LINES}, "text/event-stream": {"schema": _LINES}},
}

PATHS: dict[str, Schema] = {
    "/v1/version": {"get": _operation("version", "What runs, and since when", {200: _answer("It", ref("Version"))})},
    "/v1/services": {
        "get": _operation(
            "list_services",
            "All services, or those whose names match",
            {200: _answer("The services", ref("Services")), 400: _MALFORMED},
            parameters=[_globs("name", "pattern of names; may repeat")],
        )
    },
    "/v1/services/{name}": {
        "parameters": [_NAME],
        "get": _operation(
            "get_service",
            "One service; of a replicated one all instances",
            {200: _answer("It", _ONE_OR_MORE), 404: _NO_SERVICE},
        ),
    },
    "/v1/services/{name}/start": _order("start", "Start a service; a failed one gets its full chances again"),
    "/v1/services/{name}/stop": _order("stop", "Stop a service; it stays down until an order starts it"),
    "/v1/services/{name}/restart": _order("restart", "Stop a service and start it again"),
    "/v1/services/{name}/kill": _order("kill", "Kill a service at once; it stays down until an order starts it"),
    "/v1/services/{name}/signal": {
        "parameters": [_NAME],
        "post": _operation(
            "signal_service",
            "Send a service a signal",
            {
                200: _answer("It is sent", ref("Accepted")),
                404: _NO_SERVICE,
                409: _problem("There is no process"),
                413: _problem("The body is too long"),
                422: _problem("The body is not what is wanted"),
            },
            requestBody={"required": True, "content": {_JSON: {"schema": ref("SignalOrder")}}},
        ),
    },
    "/v1/services/{name}/freeze": {
        "parameters": [_NAME],
        "post": _operation(
            "freeze_service",
            "Let nothing in the control group of a service run, and judge nothing of it meanwhile",
            {
                200: _answer("It stands still", ref("Accepted")),
                404: _NO_SERVICE,
                409: _problem("There is no process, or no control group of its own"),
            },
        ),
    },
    "/v1/services/{name}/thaw": {
        "parameters": [_NAME],
        "post": _operation(
            "thaw_service",
            "Let a service go on that was frozen; nothing where it was not",
            {200: _answer("It goes on", ref("Accepted")), 404: _NO_SERVICE},
        ),
    },
    "/v1/services/{name}/scale": {
        "parameters": [_NAME],
        "post": _operation(
            "scale_service",
            "Have more or fewer instances of a replicated service, until the configuration is read again",
            {
                200: _answer("It is done: the instances there are now", ref("Services")),
                202: _answer("It is ordered", ref("Accepted")),
                400: _MALFORMED,
                404: _NO_SERVICE,
                409: _problem("It has no replicas, an instance has failed, or the daemon is shutting down"),
                413: _problem("The body is too long"),
                422: _problem("The body is not what is wanted"),
                504: _problem("It is not done in time; the order stands"),
            },
            parameters=_WAITING,
            requestBody={"required": True, "content": {_JSON: {"schema": ref("ScaleOrder")}}},
        ),
    },
    "/v1/services/{name}/rolling-restart": {
        "parameters": [_NAME],
        "post": _operation(
            "rolling_restart",
            "Restart the instances of a service one at a time, each when the one before is ready",
            {
                200: _answer("It is done; of a replicated service all instances", _ONE_OR_MORE),
                202: _answer("It has begun", ref("Accepted")),
                400: _MALFORMED,
                404: _NO_SERVICE,
                409: _problem("An instance has not come up, one is under way, or the daemon is shutting down"),
                504: _problem("It is not done in time; the order stands"),
            },
            parameters=_WAITING,
        ),
    },
    "/v1/events": {
        "get": _operation(
            "events",
            "The events: those that are kept, those that come, or both",
            {200: _STREAM, 400: _MALFORMED},
            parameters=[
                _query(
                    "since",
                    {"type": "integer", "minimum": 0, "maximum": 2**53},
                    "begin after the record with this `seq`; when that is no longer kept, a record `events_missed` "
                    "with `from` and `to` comes first",
                ),
                _query("follow", _BOOLEAN, "stay, and get what comes; without since only that"),
                _globs("service", "pattern of names of services; may repeat"),
                _globs("event", "pattern of names of events; may repeat"),
            ],
        )
    },
    "/v1/logs": {
        "get": _operation(
            "logs",
            "The last lines of the services, those that come, or both",
            {200: _STREAM, 400: _MALFORMED},
            parameters=[
                _globs("service", "pattern of names of services; may repeat"),
                _query(
                    "tail",
                    {"type": "integer", "minimum": 0, "maximum": 10_000},
                    "how many of the last lines of each service, of those that are kept; 10 when absent",
                ),
                _query("follow", _BOOLEAN, "stay, and get what comes; `lines_missed` says how many came too fast"),
                _query("stream", {"enum": ["stdout", "stderr"]}, "of this stream only"),
            ],
        )
    },
    "/v1/logs/reopen": {
        "post": _operation(
            "reopen_logs",
            "Open the log files again, which somebody has moved",
            {202: _answer("It begins", object_({"accepted": {"const": True}}))},
        )
    },
    "/v1/plan": {
        "get": _operation(
            "plan",
            "What a reload would change",
            {200: _answer("It", ref("Changes")), 422: _problem("The configuration is wrong")},
        )
    },
    "/v1/orders": {
        "post": _operation(
            "order_services",
            "Start, stop, restart or kill several services; stops and restarts go against the order of their needs",
            {
                200: _answer("It is done: the services as they are now", ref("Services")),
                202: _answer("It is ordered", ref("Ordered")),
                400: _MALFORMED,
                404: _problem("There is no such service; nothing was done"),
                409: _problem("It ended otherwise, or the daemon is shutting down"),
                413: _problem("The body is too long"),
                422: _problem("The body is not what is wanted"),
                504: _problem("It is not done in time; the order stands"),
            },
            parameters=_WAITING,
            requestBody={"required": True, "content": {_JSON: {"schema": ref("SeveralOrder")}}},
        )
    },
    "/v1/reload": {
        "post": _operation(
            "reload",
            "Put the configuration as it is in the files now in force",
            {
                200: _answer("What changes", ref("Changes")),
                400: _MALFORMED,
                409: _problem("A service has not come up, or the daemon is shutting down"),
                422: _problem("The configuration is wrong; nothing has changed"),
                504: _problem("It is not done in time; the order stands"),
            },
            parameters=_WAITING,
        )
    },
    "/v1/shutdown": {
        "post": _operation(
            "shutdown",
            "End the daemon, in order",
            {202: _answer("It begins", object_({"accepted": {"const": True}}))},
        )
    },
    "/livez": _probe("livez", "Does the daemon live?", {"live": _BOOLEAN}),
    "/readyz": _probe(
        "readyz",
        "Is every service that is wanted running, and the daemon not on its way down?",
        {"ready": _BOOLEAN, "draining": is_("boolean", "on its way down"), "not_ready": _NOT_READY},
    ),
    "/startupz": _probe(
        "startupz",
        "Was every service up, or had ended, at one time?",
        {"started": _BOOLEAN, "not_ready": _NOT_READY},
    ),
    "/metrics": {
        "get": _operation(
            "metrics", "Metrics, in the text format of Prometheus", {200: _answer("They", STRING, "text/plain")}
        )
    },
    "/openapi.json": {
        "get": _operation("openapi", "This document", {200: _answer("It", {"type": "object"})}),
    },
}


def document() -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pausevisor",
            "version": __version__,
            "description": "Asking the daemon, and giving it orders, through its control socket.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": PATHS,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


async def serve_document(_: Request) -> Response:
    """The document, as an answer."""
    return Response(encode(document()), media_type=_JSON)


if __name__ == "__main__":
    import json

    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
