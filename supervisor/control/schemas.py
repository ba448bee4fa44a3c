"""What is in the bodies of the API, as JSON Schema: the tables that the OpenAPI document is made of."""

from typing import Any

from supervisor.core.signals import NUMBERS, RTMAX
from supervisor.core.spec import Kind, StopScope
from supervisor.core.states import Desired, Reason, State

Schema = dict[str, Any]


def values(members: Any) -> list[str]:
    """The words of an enumeration."""
    return [member.value for member in members]


def maybe(kind: str, text: str, **more: object) -> Schema:
    """A value of this type, or null."""
    return {"type": [kind, "null"], "description": text, **more}


def is_(kind: str, text: str, **more: object) -> Schema:
    """A value of this type."""
    return {"type": kind, "description": text, **more}


def object_(properties: dict[str, Schema], text: str = "", *, optional: tuple[str, ...] = ()) -> Schema:
    """An object with these members and no others; all are there but the optional ones."""
    return {
        "type": "object",
        **({"description": text} if text else {}),
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def list_(items: Schema, text: str) -> Schema:
    """A list."""
    return {"type": "array", "items": items, "description": text}


def ref(name: str) -> Schema:
    """One of the schemas that have a name."""
    return {"$ref": f"#/components/schemas/{name}"}


STRING: Schema = {"type": "string"}
STATE: Schema = {"enum": values(State)}
_TIME = {"format": "date-time"}

SERVICE = object_(
    {
        "name": is_("string", "its name; of an instance with its number, `web#1`"),
        "base": is_("string", "the name it was configured by"),
        "replica": maybe("integer", "number of the instance", minimum=1),
        "kind": {"enum": values(Kind), "description": "what it is for"},
        "state": {"enum": values(State), "description": "what it is"},
        "desired": {"enum": values(Desired), "description": "what is wanted of it"},
        "reason": {"enum": values(Reason), "description": "why it is in its state"},
        "need": maybe("string", "what it waits for, or what has failed it"),
        "stops_after": list_(STRING, "it is to stop, and waits until these are down; ten of them at most"),
        "ready": is_("boolean", "whether it is running"),
        "healthy": maybe("boolean", "whether its health probes say that it is well; null without them or a process"),
        "pid": maybe("integer", "its main process, in the PID namespace of the daemon", minimum=1),
        "attempt": is_("integer", "how often its program was started", minimum=0),
        "restarts": is_("integer", "the same without the first start", minimum=0),
        "restart_in_s": maybe("number", "when it is tried again, seconds from now", minimum=0),
        "started_at": maybe("string", "when its process was started", **_TIME),
        "uptime_s": maybe("number", "for how long its process runs, seconds", minimum=0),
        "exit_code": maybe("integer", "how its last process ended, if it exited by itself", minimum=0, maximum=255),
        "signal": maybe("integer", "the signal that killed its last process, otherwise", minimum=1, maximum=64),
        "signal_name": maybe("string", "name of that signal"),
        "cpu_s": maybe("number", "CPU time of its process and the children it waited for, seconds", minimum=0),
        "rss_bytes": maybe("integer", "resident memory of its process", minimum=0),
        "suspended": maybe("boolean", "whether a signal has stopped its process, which waits for SIGCONT"),
        "frozen": is_("boolean", "whether nothing in its control group runs, by order"),
        "status_text": maybe("string", "what it says of itself; sd_notify(3)"),
        "next_run": maybe("string", "when a scheduled service runs next"),
        "needs": list_(STRING, "the services it needs"),
        "command": list_(STRING, "program and arguments"),
    },
    "One service. What is not known is null. The environment is not shown.",
)

_SERVICES = object_(
    {
        "services": list_(ref("Service"), "in the order of their definition"),
        "ok": is_("boolean", "whether all of these are as they should be: see /readyz"),
    }
)

_ACCEPTED = object_(
    {
        "service": is_("string", "what was asked for"),
        "accepted": {"const": True},
        "state": {"enum": [*values(State), "removed", None], "description": "its state now; null for several"},
        "services": {
            "type": "object",
            "additionalProperties": {"enum": [*values(State), "removed"]},
            "description": "of a replicated service, the states of its instances",
        },
        "signal": is_("integer", "number of the signal that was sent"),
        "signal_name": is_("string", "name of that signal"),
    },
    optional=("services", "signal", "signal_name"),
)

_CHANGES = object_(
    {
        "added": list_(STRING, "services that are new"),
        "removed": list_(STRING, "services that are gone"),
        "changed": {
            "type": "object",
            "additionalProperties": object_(
                {
                    "keys": list_(STRING, "the keys that differ"),
                    "action": {"enum": ["restart", "signal", "none"], "description": "what becomes of its process"},
                }
            ),
        },
        "signalled": list_(STRING, "services that do not change, but get their reload-signal"),
        "supervisor": object_(
            {
                "keys": list_(STRING, "keys of the daemon's own that differ"),
                "at_start": list_(STRING, "those of the log and the control sockets, in force after the next start"),
            }
        ),
    }
)

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": STRING,
        "title": STRING,
        "status": {"type": "integer"},
        "detail": is_("string", "what is wrong, in words"),
        "services": list_(STRING, "the services it is about"),
        "results": list_(ref("Service"), "services for which an order ended otherwise, as they were then"),
        "untouched": list_(STRING, "the services that were not begun with because of that"),
        "errors": list_(STRING, "all that is wrong"),
        "changes": ref("Changes"),
    },
    "required": ["type", "title", "status", "detail"],
}

_VERSION = object_(
    {
        "version": is_("string", "of pausevisor"),
        "pid": is_("integer", "of the daemon"),
        "mode": {"enum": ["pid1", "subreaper", "plain"]},
        "loop": {"enum": ["uvloop", "asyncio"]},
        "python": STRING,
        "started_at": is_("string", "when the daemon started", **_TIME),
        "uptime_s": is_("number", "for how long it runs, seconds", minimum=0),
    }
)


_REAL_TIME = r"RTMIN(\+([0-9]|[12][0-9]|30))?|RTMAX(-([0-9]|[12][0-9]|30))?"

_SIGNAL_ORDER = object_(
    {
        "signal": {
            "oneOf": [
                {"type": "string", "pattern": f"^(SIG)?({'|'.join(name[3:] for name in NUMBERS)}|{_REAL_TIME})$"},
                {"type": "integer", "minimum": 1, "maximum": RTMAX, "not": {"enum": [32, 33]}},
            ],
            "description": "name or number: `SIGHUP`, `HUP`, `RTMIN+1`, 1",
        },
        "scope": {
            "enum": [*values(StopScope), None],
            "description": "whom it reaches; null for the service's own stop-scope",
        },
    },
    optional=("scope",),
)

_SCALE_ORDER = object_(
    {"replicas": is_("integer", "how many instances there are to be", minimum=0, maximum=1000)},
)

_SEVERAL_ORDER = object_(
    {
        "order": {"enum": ["start", "stop", "restart", "kill"]},
        "services": list_(STRING, "names; that of a replicated service means all its instances"),
    },
)

_ORDERED = object_(
    {
        "accepted": {"const": True},
        "services": {
            "type": "object",
            "additionalProperties": {"enum": [*values(State), "removed"]},
            "description": "the states of the services now",
        },
    }
)

SCHEMAS: dict[str, Schema] = {
    "Service": SERVICE,
    "Services": _SERVICES,
    "Accepted": _ACCEPTED,
    "Changes": _CHANGES,
    "Version": _VERSION,
    "Ordered": _ORDERED,
    "SeveralOrder": _SEVERAL_ORDER,
    "SignalOrder": _SIGNAL_ORDER,
    "ScaleOrder": _SCALE_ORDER,
    "Problem": _PROBLEM,
}
"""Those that have a name; see :func:`ref`."""
