"""The OpenAPI 3.1 document of the API: what is served at ``/openapi.json``, and committed as ``config/openapi.json``.

Made of tables, as the API is::

    python -m supervisor.control.openapi > config/openapi.json
"""

import sys
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from supervisor import __version__
from supervisor.core.signals import NUMBERS, RTMAX
from supervisor.core.spec import Kind, StopScope
from supervisor.core.states import Desired, Reason, State
from supervisor.logs.encode import encode

Schema = dict[str, Any]

_JSON = "application/json"


def _values(members: Any) -> list[str]:
    return [member.value for member in members]


def _maybe(kind: str, text: str, **more: object) -> Schema:
    return {"type": [kind, "null"], "description": text, **more}


def _is(kind: str, text: str, **more: object) -> Schema:
    return {"type": kind, "description": text, **more}


def _object(properties: dict[str, Schema], text: str = "", *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        **({"description": text} if text else {}),
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema, text: str) -> Schema:
    return {"type": "array", "items": items, "description": text}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_STRING: Schema = {"type": "string"}
_STATE: Schema = {"enum": _values(State)}
_TIME = {"format": "date-time"}

SERVICE = _object(
    {
        "name": _is("string", "its name; of an instance with its number, `web#1`"),
        "base": _is("string", "the name it was configured by"),
        "replica": _maybe("integer", "number of the instance", minimum=1),
        "kind": {"enum": _values(Kind), "description": "what it is for"},
        "state": {"enum": _values(State), "description": "what it is"},
        "desired": {"enum": _values(Desired), "description": "what is wanted of it"},
        "reason": {"enum": _values(Reason), "description": "why it is in its state"},
        "need": _maybe("string", "what it waits for, or what has failed it"),
        "ready": _is("boolean", "whether it is running"),
        "healthy": _maybe("boolean", "whether its health probes say that it is well; null where there are none"),
        "pid": _maybe("integer", "its main process, in the PID namespace of the daemon", minimum=1),
        "attempt": _is("integer", "how often its program was started", minimum=0),
        "restarts": _is("integer", "the same without the first start", minimum=0),
        "started_at": _maybe("string", "when its process was started", **_TIME),
        "uptime_s": _maybe("number", "for how long its process runs, seconds", minimum=0),
        "exit_code": _maybe("integer", "how its last process ended, if it exited by itself", minimum=0, maximum=255),
        "signal": _maybe("integer", "the signal that killed its last process, otherwise", minimum=1, maximum=64),
        "signal_name": _maybe("string", "name of that signal"),
        "cpu_s": _maybe("number", "CPU time of its process and the children it waited for, seconds", minimum=0),
        "rss_bytes": _maybe("integer", "resident memory of its process", minimum=0),
        "status_text": _maybe("string", "what it says of itself; sd_notify(3)"),
        "next_run": _maybe("string", "when a scheduled service runs next"),
        "needs": _list(_STRING, "the services it needs"),
        "command": _list(_STRING, "program and arguments"),
    },
    "One service. What is not known is null. The environment is not shown.",
)

_SERVICES = _object(
    {
        "services": _list(_ref("Service"), "in the order of their definition"),
        "ok": _is("boolean", "whether all of these are as they should be: see /readyz"),
    }
)

_ACCEPTED = _object(
    {
        "service": _is("string", "what was asked for"),
        "accepted": {"const": True},
        "state": {"enum": [*_values(State), "removed", None], "description": "its state now; null for several"},
        "services": {
            "type": "object",
            "additionalProperties": {"enum": [*_values(State), "removed"]},
            "description": "of a replicated service, the states of its instances",
        },
        "signal": _is("integer", "number of the signal that was sent"),
        "signal_name": _is("string", "name of that signal"),
    },
    optional=("services", "signal", "signal_name"),
)

_CHANGES = _object(
    {
        "added": _list(_STRING, "services that are new"),
        "removed": _list(_STRING, "services that are gone"),
        "changed": {
            "type": "object",
            "additionalProperties": _object(
                {
                    "keys": _list(_STRING, "the keys that differ"),
                    "action": {"enum": ["restart", "signal", "none"], "description": "what becomes of its process"},
                }
            ),
        },
        "signalled": _list(_STRING, "services that do not change, but get their reload-signal"),
        "supervisor": _object({"keys": _list(_STRING, "keys of the daemon's own that differ")}),
    }
)

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": _STRING,
        "title": _STRING,
        "status": {"type": "integer"},
        "detail": _is("string", "what is wrong, in words"),
        "services": _list(_STRING, "the services it is about"),
        "errors": _list(_STRING, "all that is wrong"),
    },
    "required": ["type", "title", "status", "detail"],
}

_VERSION = _object(
    {
        "version": _is("string", "of pausevisor"),
        "pid": _is("integer", "of the daemon"),
        "mode": {"enum": ["pid1", "subreaper", "plain"]},
        "loop": {"enum": ["uvloop", "asyncio"]},
        "python": _STRING,
        "started_at": _is("string", "when the daemon started", **_TIME),
        "uptime_s": _is("number", "for how long it runs, seconds", minimum=0),
    }
)

_NOT_READY = {"type": "object", "additionalProperties": _STATE, "description": "the others, with their states"}

_REAL_TIME = r"RTMIN(\+([0-9]|[12][0-9]|30))?|RTMAX(-([0-9]|[12][0-9]|30))?"

_SIGNAL_ORDER = _object(
    {
        "signal": {
            "oneOf": [
                {"type": "string", "pattern": f"^(SIG)?({'|'.join(name[3:] for name in NUMBERS)}|{_REAL_TIME})$"},
                {"type": "integer", "minimum": 1, "maximum": RTMAX, "not": {"enum": [32, 33]}},
            ],
            "description": "name or number: `SIGHUP`, `HUP`, `RTMIN+1`, 1",
        },
        "scope": {
            "enum": [*_values(StopScope), None],
            "description": "whom it reaches; null for the service's own stop-scope",
        },
    },
    optional=("scope",),
)

_SCALE_ORDER = _object(
    {"replicas": _is("integer", "how many instances there are to be", minimum=0, maximum=1000)},
)

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
    return _answer(text, _ref("Problem"), "application/problem+json")


def _operation(identity: str, text: str, answers: dict[int, Schema], **more: object) -> Schema:
    responses = {str(status): answer for status, answer in answers.items()}
    return {"operationId": identity, "summary": text, **more, "responses": {**responses, "401": _NO_TOKEN}}


_NO_TOKEN = _problem("Over TCP: the token was not shown")
_NO_SERVICE = _problem("There is no such service")
_MALFORMED = _problem("A parameter is not what is allowed")
_ONE_OR_MORE: Schema = {"oneOf": [_ref("Service"), _ref("Services")]}


def _order(verb: str, text: str) -> Schema:
    return {
        "parameters": [_NAME],
        "post": _operation(
            f"{verb}_service",
            text,
            {
                200: _answer("It is done; of a replicated service all instances", _ONE_OR_MORE),
                202: _answer("It is ordered", _ref("Accepted")),
                400: _MALFORMED,
                404: _NO_SERVICE,
                409: _problem("It ended otherwise, or the daemon is shutting down"),
                504: _problem("It is not done in time; the order stands"),
            },
            parameters=_WAITING,
        ),
    }


def _probe(identity: str, text: str, properties: dict[str, Schema]) -> Schema:
    schema = _object(properties)
    return {"get": _operation(identity, text, {200: _answer("Yes", schema), 503: _answer("No", schema)})}


_LINES: Schema = {"type": "string", "description": "one record a line, as in docs/events.md"}
_STREAM = {
    "description": "The records",
    "content": {"application/x-ndjson": {"schema": _LINES}, "text/event-stream": {"schema": _LINES}},
}

PATHS: dict[str, Schema] = {
    "/v1/version": {"get": _operation("version", "What runs, and since when", {200: _answer("It", _ref("Version"))})},
    "/v1/services": {
        "get": _operation(
            "list_services",
            "All services, or those whose names match",
            {200: _answer("The services", _ref("Services")), 400: _MALFORMED},
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
                200: _answer("It is sent", _ref("Accepted")),
                404: _NO_SERVICE,
                409: _problem("There is no process"),
                413: _problem("The body is too long"),
                422: _problem("The body is not what is wanted"),
            },
            requestBody={"required": True, "content": {_JSON: {"schema": _ref("SignalOrder")}}},
        ),
    },
    "/v1/services/{name}/scale": {
        "parameters": [_NAME],
        "post": _operation(
            "scale_service",
            "Have more or fewer instances of a replicated service, until the configuration is read again",
            {
                200: _answer("It is done: the instances there are now", _ref("Services")),
                202: _answer("It is ordered", _ref("Accepted")),
                400: _MALFORMED,
                404: _NO_SERVICE,
                409: _problem("It has no replicas, an instance has failed, or the daemon is shutting down"),
                413: _problem("The body is too long"),
                422: _problem("The body is not what is wanted"),
                504: _problem("It is not done in time; the order stands"),
            },
            parameters=_WAITING,
            requestBody={"required": True, "content": {_JSON: {"schema": _ref("ScaleOrder")}}},
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
            {202: _answer("It begins", _object({"accepted": {"const": True}}))},
        )
    },
    "/v1/plan": {
        "get": _operation(
            "plan",
            "What a reload would change",
            {200: _answer("It", _ref("Changes")), 422: _problem("The configuration is wrong")},
        )
    },
    "/v1/reload": {
        "post": _operation(
            "reload",
            "Put the configuration as it is in the files now in force",
            {
                200: _answer("What changes", _ref("Changes")),
                409: _problem("The daemon is shutting down"),
                422: _problem("The configuration is wrong; nothing has changed"),
            },
        )
    },
    "/v1/shutdown": {
        "post": _operation(
            "shutdown",
            "End the daemon, in order",
            {202: _answer("It begins", _object({"accepted": {"const": True}}))},
        )
    },
    "/livez": _probe("livez", "Does the daemon live?", {"live": _BOOLEAN}),
    "/readyz": _probe(
        "readyz",
        "Is every service that is wanted running, and the daemon not on its way down?",
        {"ready": _BOOLEAN, "draining": _is("boolean", "on its way down"), "not_ready": _NOT_READY},
    ),
    "/startupz": _probe(
        "startupz",
        "Was every service up, or had ended, at one time?",
        {"started": _BOOLEAN, "not_ready": _NOT_READY},
    ),
    "/metrics": {
        "get": _operation(
            "metrics", "Metrics, in the text format of Prometheus", {200: _answer("They", _STRING, "text/plain")}
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
            "schemas": {
                "Service": SERVICE,
                "Services": _SERVICES,
                "Accepted": _ACCEPTED,
                "Changes": _CHANGES,
                "Version": _VERSION,
                "SignalOrder": _SIGNAL_ORDER,
                "ScaleOrder": _SCALE_ORDER,
                "Problem": _PROBLEM,
            },
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
