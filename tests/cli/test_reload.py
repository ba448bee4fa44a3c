"""reload: the plan, carrying it out, and what is wrong."""

import json
import os
import re
from collections.abc import Callable

from tests.cli.conftest import Talking
from tests.cli.talking import Talker
from tests.harness import Daemon, Launcher
from tests.helpers.settings import service, table

QUIET = table("supervisor", on_failure="ignore", when_done="pause")
WEB = service("web", "sleep", "1000")
OLD = service("old", "sleep", "1000")

Rewrite = Callable[..., None]


def begin(talk: Talking, start: Launcher, *tables: str) -> tuple[Daemon, Talker, Rewrite]:
    """A daemon, who talks to it, and what writes its configuration again."""
    daemon, say = talk(QUIET, *tables)
    daemon.wait_events(len(tables), "child_started")
    path = next(name for name in os.listdir(start.folder) if name.endswith(".toml"))

    def rewrite(*again: str) -> None:
        with open(os.path.join(start.folder, path), "w", encoding="utf-8") as file:
            file.write("".join([QUIET, *again]))

    return daemon, say, rewrite


def test_a_plan_and_what_becomes_of_it(talk: Talking, start: Launcher) -> None:
    """First what would change, with nothing changed; then it is changed, and then nothing is left to change."""
    daemon, say, rewrite = begin(talk, start, WEB, OLD, service("db", "sleep", "1000"))
    rewrite(
        service("web", "sleep", "2000"),
        service("new", "sleep", "1000"),
        service("db", "sleep", "1000", restart="always"),
    )
    plan = say("reload", "--dry-run")
    assert plan.code == 0
    assert plan.stdout.splitlines() == [
        "added    new  is started",
        "removed  old  is stopped",
        "changed  web  command: is restarted",
        "changed  db   restart: goes on as it is",
    ]
    assert "nothing was changed" in plan.stderr
    assert len(daemon.events("child_started")) == 3
    done = say("reload")
    assert (done.code, done.stdout, done.stderr) == (0, plan.stdout, "")
    daemon.wait_event("child_started", service="new")
    daemon.wait_event("child_exited", service="old")
    daemon.wait_events(2, "child_started", service="web")
    assert say("reload").stdout == "nothing changes\n"


def test_the_daemons_own_settings(talk: Talking, start: Launcher) -> None:
    """They are told as well, and need no restart of anything."""
    _, say, rewrite = begin(talk, start, WEB)
    rewrite(WEB, table("log"))
    with open(
        next(os.path.join(start.folder, name) for name in os.listdir(start.folder) if "toml" in name), "w"
    ) as file:
        file.write(QUIET.replace("[supervisor]", '[supervisor]\nshutdown-timeout = "3s"') + WEB)
    assert say("reload", "--dry-run").stdout == "changed  [supervisor]  shutdown-timeout: in force at once\n"


def test_what_no_reload_changes(talk: Talking, start: Launcher) -> None:
    """The log and the control sockets are opened at the start: that the new words wait is said, and in the log too."""
    daemon, say, rewrite = begin(talk, start, WEB)
    rewrite(WEB, table("log", level="error", to="/nowhere", schema="ecs"))
    line = "later    [supervisor]  log.to, log.schema: not before the daemon is started again"
    now = "changed  [supervisor]  log.level: in force at once"
    assert set(say("reload", "--dry-run").stdout.splitlines()) == {now, line}
    rewrite(WEB, table("log", to="/nowhere", schema="ecs"))
    assert say("reload").stdout == f"{line}\n"
    warning = daemon.wait_event("supervisor_warning")
    assert warning["message"] == "not in force before the daemon is started again: log.to, log.schema"


def test_level_and_patterns_of_the_log(talk: Talking, start: Launcher) -> None:
    """They are in force at once, for events and for lines, of those too that go on; and so when they are taken back."""
    speaking = service(
        "web", "sh", "-c", "trap 'echo token=abc; echo token=abc >&2' USR1; while :; do sleep 0.05; done"
    )
    ready = service("db", "sh", "-c", "trap 'echo heard' USR1; echo armed; while :; do sleep 0.05; done")
    speaking = (
        speaking.replace("while", "echo armed; while") + 'log = { level = { stdout = "info", stderr = "error" } }\n'
    )
    daemon, say, rewrite = begin(talk, start, speaking, ready)
    daemon.wait_events(2, "output", message="armed")

    def spoken(level: str) -> str:
        count = len(daemon.events("output", service="web", level=level))
        assert say("signal", "USR1", "web").code == 0
        return str(daemon.wait_events(count + 1, "output", service="web", level=level)[-1]["message"])

    assert spoken("error") == spoken("info") == "token=abc"
    daemon.wait_events(4, "output", message="token=abc")
    rewrite(speaking, ready, table("log", level="warning", redact=["token=[a-z]+"]))
    done = say("reload")
    assert (done.code, done.stdout) == (0, "changed  [supervisor]  log.level, log.redact: in force at once\n")
    reloaded = len(daemon.events("config_loaded"))
    quiet = [len(daemon.events("output", level="info")), len(daemon.events("signal_forwarded"))]
    assert spoken("error") == "[redacted]"
    assert [len(daemon.events("output", level="info")), len(daemon.events("signal_forwarded"))] == quiet
    assert say("reload").stdout == "nothing changes\n"
    rewrite(speaking, ready, table("log", level="debug"))
    daemon.signal("HUP")
    daemon.wait_events(reloaded + 1, "config_loaded")
    assert spoken("info") == "token=abc"


def test_what_does_not_come_up(talk: Talking, start: Launcher) -> None:
    """It is waited for what has changed, and its failure is the reload's, whose words say why; or nobody waits."""
    daemon, say, rewrite = begin(talk, start, WEB)
    late = {"restart_delay": "1h", "restart_max_delay": "1h", "ready": {"file": "/nonexistent"}}
    rewrite(WEB, service("bad", "sh", "-c", "exit 3", **late), service("db", "sleep", "1000"))
    done = say("reload")
    assert done.code == 1
    assert re.fullmatch(
        "added    bad  is started; exit code 3, starts again in [0-9hm]+s?\nadded    db   is started\n", done.stdout
    )
    assert done.stderr == "pausevisor: reload failed: bad; what they wrote: pausevisor logs bad\n"
    rewrite(WEB, service("slow", "sleep", "1000", **late), service("ill", "/nowhere", restart="never"))
    found = say.json("reload", "--timeout", "3s", code=1)
    assert found["outcomes"] == {"slow": "late", "ill": "failed", "bad": "done", "db": "done"}
    rewrite(WEB, service("slow", "sleep", "2000", **late))
    done = say("reload", "--no-wait")
    assert (done.code, done.stdout) == (0, "removed  ill   is stopped\nchanged  slow  command: is restarted\n")
    daemon.wait_events(2, "child_started", service="slow")


def test_json(talk: Talking, start: Launcher) -> None:
    """The plan as the API has it, and whether it was carried out."""
    _, say, rewrite = begin(talk, start, WEB)
    rewrite(service("web", "sleep", "2000"))
    expected = {
        "ok": True,
        "added": [],
        "removed": [],
        "changed": {"web": {"keys": ["command"], "action": "restart"}},
        "signalled": [],
        "supervisor": {"keys": [], "at_start": []},
    }
    assert say.json("reload", "--dry-run") == {**expected, "applied": False, "outcomes": {}}
    assert say.json("reload") == {**expected, "applied": True, "outcomes": {"web": "done"}}


def test_who_is_told_by_a_signal(talk: Talking, start: Launcher) -> None:
    """A service that does not change, and has a ``reload-signal``, is named as well."""
    armed = ["sh", "-c", "trap 'echo told' HUP; echo armed; while :; do sleep 0.05; done"]
    daemon, say, _ = begin(talk, start, service("proxy", *armed, reload_signal="SIGHUP"))
    daemon.wait_line("armed")
    done = say("reload")
    assert (done.code, done.stdout) == (0, "told     proxy  does not change; gets its reload-signal\n")
    daemon.wait_line("told")


def test_what_is_wrong(talk: Talking, start: Launcher) -> None:
    """Exit code 78; all of it on stderr, nothing is changed; as JSON on stdout where that was asked for."""
    daemon, say, rewrite = begin(talk, start, WEB)
    rewrite('[services.web]\ncomand = ["x"]\nrestart = "perhaps"\n')
    for arguments in (["reload"], ["reload", "--dry-run"]):
        done = say(*arguments)
        assert (done.code, done.stdout) == (78, "")
        assert "services.web.comand" in done.stderr
        assert "services.web.restart" in done.stderr
        assert "what is in force stays in force" in done.stderr
        found = json.loads(say(*arguments, "--json").stdout)
        assert (found["ok"], found["applied"]) == (False, False)
        assert len(found["errors"]) >= 3
    assert len(daemon.events("child_started")) == 1
    assert daemon.events("child_exited") == []
