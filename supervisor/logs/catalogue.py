"""Every event and its fields: the public interface of the log, as one table.

Names of events and of fields are stable: they are added to, not changed. No record has a field that is not listed.
"""

from msgspec import Struct

from supervisor.logs.fields import (
    ERROR,
    ORIGIN,
    ORPHAN,
    PID,
    PROBE,
    SERVICE,
    SIGNALLED,
    SINK,
    USAGE,
    Field,
    boolean,
    integer,
    optional,
    seconds,
    string,
    strings,
)

STATES = ("stopped", "waiting", "starting", "running", "stopping", "backoff", "completed", "failed")
"""States of a service, as in ``from`` and ``to``."""


class Event(Struct, frozen=True):
    """One event: what it means, its fields beside the common ones, and whether it tells how a process ended.

    ``ending`` adds ``exit_code``, or else ``signal``, ``signal_name`` and ``core_dumped``; ``merged`` says that it may
    have fields of a child's own beside those listed.
    """

    text: str
    fields: dict[str, Field]
    ending: bool = False
    merged: bool = False


EVENTS: dict[str, Event] = {
    "supervisor_started": Event(
        "The daemon, or the pause mode, stands.",
        {
            "version": string("version of pausevisor"),
            "mode": string(
                "`pid1`; `subreaper`: orphans come to us all the same; `plain`: they go to another process",
                values=("pid1", "subreaper", "plain"),
            ),
            "loop": string("event loop; `none` in pause mode", values=("uvloop", "asyncio", "none")),
            "python": string("version of Python"),
            "pid": PID,
            "services": integer("how many services are configured"),
        },
    ),
    "supervisor_warning": Event(
        "Something does not work here, or not as ordered; the daemon does without.",
        {
            "service": optional(SERVICE),
            "message": string("what, and what follows from it"),
        },
    ),
    "control_listening": Event(
        "Clients can connect.",
        {
            "address": string("path of the socket, or address and port"),
            "serves": string(
                "`control`: everything, to whom the kernel says may; `api`: everything, for a token; `health`: probes "
                "and metrics, to everybody",
                values=("control", "api", "health"),
            ),
        },
    ),
    "pause_entered": Event(
        "Nothing is left to supervise: orphans are reaped until the daemon is told to end.",
        {"reason": string("why")},
    ),
    "signal_received": Event(
        "A signal was sent to the daemon.",
        {
            **SIGNALLED,
            "action": string(
                "what it does; `kill` is a second order to shut down",
                values=("shutdown", "kill", "reload", "reopen-logs", "ignore", "forward"),
            ),
            "sender_pid": optional(integer("who sent it, where the kernel says", least=1)),
        },
    ),
    "signal_forwarded": Event(
        "A service was sent a signal.",
        {
            "service": SERVICE,
            "pid": PID,
            **SIGNALLED,
            "scope": string("whom it reaches", values=("process", "group", "tree")),
        },
    ),
    "service_frozen": Event(
        "Nothing in the control group of a service runs any more, by order; nobody judges it meanwhile.",
        {"service": SERVICE, "pid": PID},
    ),
    "service_thawed": Event(
        "A service that was frozen goes on, by order or because it is to end.",
        {"service": SERVICE, "pid": PID},
    ),
    "service_state_changed": Event(
        "A service went from one state to another.",
        {
            "service": SERVICE,
            "from": string("state before", values=STATES),
            "to": string("state now", values=STATES),
            "reason": string("why"),
            "need": optional(string("service that it waits for, or that has failed it")),
        },
    ),
    "child_started": Event(
        "The program of a service runs: exec succeeded.",
        {
            "service": SERVICE,
            "pid": PID,
            "command": strings("program and arguments"),
            "attempt": integer("number of this start, from 1", least=1),
        },
    ),
    "child_exited": Event(
        "The main process of a service has ended and is reaped. Its output stands before this record.",
        {
            "service": SERVICE,
            "pid": PID,
            "expected": boolean("whether it was told to end, or ended in a way that counts as success"),
            "duration_s": seconds("how long it ran, seconds"),
            **USAGE,
            "oom_killed": boolean("whether the kernel killed it for want of memory"),
            "tail": optional(
                strings(
                    "last lines of its output (`tail` of each stream, at most 4 KiB), when the end was not expected"
                )
            ),
        },
        ending=True,
    ),
    "child_stopped": Event(
        "The main process of a service was stopped by a signal; it is alive.",
        {"service": SERVICE, "pid": PID, **SIGNALLED},
    ),
    "child_continued": Event(
        "The main process of a service was continued.",
        {"service": SERVICE, "pid": PID, **SIGNALLED},
    ),
    "child_spawn_failed": Event(
        "The program of a service could not be started.",
        {
            "service": SERVICE,
            "stage": Field({"type": "string", "minLength": 1}, "step that failed: `fork`, `chdir`, `exec` and others"),
            "errno": Field({"type": "string", "pattern": "^([A-Z][A-Z0-9]*|[0-9]+)$"}, "name of the error, `ENOENT`"),
            "error": ERROR,
            "retry": optional(boolean("whether it is tried again for lack of resources")),
        },
    ),
    "orphan_exited": Event(
        "A process that was handed to us, because its parent had ended, has ended and is reaped. Where many end at "
        "once, all are reaped first.",
        {**ORPHAN, **USAGE, "origin": ORIGIN},
        ending=True,
    ),
    "orphan_stopped": Event("An orphan was stopped by a signal.", {**ORPHAN, **SIGNALLED, "origin": ORIGIN}),
    "orphan_continued": Event("An orphan was continued.", {**ORPHAN, **SIGNALLED, "origin": ORIGIN}),
    "restart_scheduled": Event(
        "A service will be started again.",
        {
            "service": SERVICE,
            "delay_s": seconds("in so many seconds"),
            "attempt": integer("number of that start, from 1", least=1),
            "reason": string("why"),
        },
    ),
    "service_ready": Event(
        "A service is ready, by what its `ready` asks.",
        {
            "service": SERVICE,
            "pid": PID,
            "probe": PROBE,
            "duration_s": seconds("since its program was started, seconds"),
        },
    ),
    "service_status": Event(
        "A service said something of itself, by sd_notify(3); level `debug`.",
        {
            "service": SERVICE,
            "pid": PID,
            "status": optional(string("its `STATUS=`")),
            "error_number": optional(integer("its `ERRNO=`")),
        },
    ),
    "probe_failed": Event(
        "A probe of a service failed; for readiness only when the error is another one than before.",
        {
            "service": SERVICE,
            "pid": PID,
            "probe": PROBE,
            "kind": string("what it was for", values=("ready", "health")),
            "error": ERROR,
            "failures": optional(integer("so many in a row", least=1)),
        },
    ),
    "health_changed": Event(
        "A service is unhealthy: its probe failed as often in a row as `health` allows; or it is well again.",
        {"service": SERVICE, "pid": PID, "healthy": boolean("whether it is well"), "probe": optional(PROBE)},
    ),
    "watchdog_expired": Event(
        "A service was silent for longer than its `watchdog` allows, or asked for this itself; it gets ABRT.",
        {
            "service": SERVICE,
            "pid": PID,
            "watchdog_s": optional(seconds("what it allows, seconds; missing when the service asked for this")),
        },
    ),
    "run_finished": Event(
        "A run of a scheduled service is over.",
        {
            "service": SERVICE,
            "attempt": integer("number of this start, from 1", least=1),
            "succeeded": boolean("whether it ended well"),
            "reason": string("how it ended: `success`, `exit-code`, `signal` and others"),
            "exit_code": integer("its exit code, 128 and the number of the signal that killed it", most=255),
            "duration_s": seconds("how long it took, seconds"),
            "scheduled_for": optional(string("the time it was planned for; missing for one that was ordered")),
        },
    ),
    "run_skipped": Event(
        "A run of a scheduled service does not take place.",
        {"service": SERVICE, "scheduled_for": string("the time it was planned for"), "reason": string("why")},
    ),
    "output": Event(
        "A line that a child wrote.",
        {
            "service": SERVICE,
            "pid": integer("process that was given the stream; a descendant may have written to it too", least=1),
            "stream": string("which", values=("stdout", "stderr")),
            "message": optional(
                string(
                    "the line, without its newline; bytes that are not UTF-8 are U+FFFD. With `json` the child's own "
                    "`message`, if it has one"
                )
            ),
            "json": optional(Field({"type": "object"}, 'with `json = "embed"`: the object that the line is')),
            "id": optional(integer("of a split line: `seq` of its first record", least=1)),
            "part": optional(integer("of a split line: number of this piece, from 1", least=1)),
            "parts": optional(integer("of a split line: number of its pieces, always there in the last", least=1)),
        },
        merged=True,
    ),
    "log_lines_dropped": Event(
        "Records were lost before this one: their numbers are missing. With `sink`, what was lost is what that sink "
        "should have got, and no number is missing here.",
        {
            "service": optional(SERVICE),
            "sink": optional(SINK),
            "count": integer("how many", least=1),
            "reason": string(
                "the reader was too slow, the disk or file is full, the reader is gone, another error, or lines of a "
                "service that is not to wait",
                values=("blocked", "no_space", "closed", "io_error", "overflow"),
            ),
        },
    ),
    "sink_failed": Event(
        "A sink does not work. What it is to get waits, as much as has room; it is tried again.",
        {"sink": SINK, "error": ERROR, "retry_s": seconds("in so many seconds, and then less and less often")},
    ),
    "sink_recovered": Event(
        "A sink works again; what has waited is written.",
        {"sink": SINK, "down_s": seconds("how long it did not work, seconds")},
    ),
    "logs_reopened": Event("Log files were opened again.", {"sinks": strings("which")}),
    "config_loaded": Event("The configuration was read.", {"sources": strings("files, in the order of reading")}),
    "config_reloaded": Event(
        "A changed configuration is in force.",
        {
            "added": strings("services that are new"),
            "changed": strings("services that have changed"),
            "removed": strings("services that are gone"),
        },
    ),
    "config_rejected": Event(
        "A changed configuration is wrong; what was in force stays in force.",
        {"errors": strings("all errors, each with file and key")},
    ),
    "shutdown_started": Event("The daemon begins to stop everything.", {"reason": string("why")}),
    "shutdown_finished": Event(
        "Nothing is left; the last record.",
        {
            "exit_code": integer("exit code of the daemon", most=255),
            "duration_s": seconds("since `shutdown_started`, seconds"),
            "killed": strings("services and other processes that were late and got KILL"),
        },
    ),
    "internal_error": Event(
        "A defect of the daemon; it goes on.",
        {"where": string("what it was doing"), "error": ERROR},
    ),
}
"""All events by name."""
