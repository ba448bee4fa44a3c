"""Needs, kinds, schedules and replicas: what a file may say of them, and what does not fit together."""

import pytest

from supervisor.config.schedule_kind import MACROS
from supervisor.core.spec import Kind, Need, Overlap, Restart, Schedule, Until
from tests.config.loading import load_text, problems, web

UNTIL = "started, ready, completed"
NEEDS = 'a list of names of services, or a table such as { db = "ready", migrate = "completed" }'
CRON = 'five fields of crontab(5) such as "*/5 * * * *", six with seconds first, or @hourly and the like'


def service(name: str, *lines: str) -> str:
    """A service of a file."""
    return "\n".join((f"[services.{name}]", 'command = "x"', *lines, ""))


def job(schedule: str) -> Schedule:
    """The schedule of a scheduled service."""
    loaded = load_text(service("job", 'kind = "scheduled"', f"schedule = {schedule}")).fleet.services["job"].schedule
    assert loaded is not None
    return loaded


def test_needs_in_every_form() -> None:
    """A list means ready; a table says how far, and whether to restart along."""
    text = service("db") + service("web", 'needs = ["db"]')
    assert load_text(text).fleet.services["web"].needs == {"db": Need()}
    text = service("db") + service("mig", 'kind = "task"')
    text += service("web", 'needs = { db = { until = "started", restart-with = true }, mig = "completed" }')
    assert load_text(text).fleet.services["web"].needs == {
        "db": Need(Until.STARTED, restart_with=True),
        "mig": Need(Until.COMPLETED),
    }
    assert load_text(service("db") + service("web", "needs = { db = {} }")).fleet.services["web"].needs == {
        "db": Need()
    }


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('needs = "db"', [f'services.web.needs: found "db"; allowed: {NEEDS}']),
        (
            'needs = ["dbb"]',
            ['services.web.needs[0]: found "dbb"; allowed: the name of a configured service; did you mean "db"?'],
        ),
        (
            'needs = { db = "redy", dbb = "ready" }',
            [
                'services.web.needs.dbb: found "dbb"; allowed: the name of a configured service; did you mean "db"?',
                f'services.web.needs.db: found "redy"; allowed: {UNTIL}',
            ],
        ),
        ("needs = { db = { until = 1 } }", [f"services.web.needs.db.until: found 1; allowed: {UNTIL}"]),
        (
            'needs = { db = "completed" }',
            ['services.web.needs.db: db has restart = "always": it never completes'],
        ),
        (
            'needs = ["job"]',
            ["services.web.needs.job: job is a scheduled service: it comes and goes, so nothing can wait for it"],
        ),
        ('needs = ["web"]', ["services.web.needs: a cycle, so none of them could start: web needs web"]),
        (
            'needs = ["tool"]',
            ["services.web.needs: a cycle, so none of them could start: web needs tool needs web"],
        ),
        ('schedule = "* * * * *"', ['services.web.schedule: only for kind = "scheduled"']),
        ('kind = "taks"', ['services.web.kind: found "taks"; allowed: service, task, scheduled']),
        (
            'kind = "task"\nrestart = "always"',
            ["services.web.restart: found always; allowed for a task: never, on-failure"],
        ),
        (
            'kind = "scheduled"',
            ['services.web.schedule: missing; allowed: fields of crontab(5) such as "*/5 * * * *"'],
        ),
        ("replicas = 0", ["services.web.replicas: found 0; allowed: a whole number from 1 to 1000"]),
        (
            'kind = "scheduled"\nschedule = "@daily"\nreplicas = 2',
            ["services.web.replicas: not for a scheduled service: one run at a time"],
        ),
    ],
)
def test_what_does_not_fit(lines: str, expected: list[str]) -> None:
    """Each mistake is told at its key, with what is allowed; a cycle is told whole."""
    text = service("web", lines) + service("db", 'restart = "always"') + service("tool", 'needs = ["web"]')
    text += service("job", 'kind = "scheduled"', 'schedule = "@hourly"')
    found = problems(text)
    assert [problem for problem in found if "services.web" in problem] == expected


def test_a_cycle_of_five_across_files_is_told_once() -> None:
    """All of it, from the one that is defined first, in the file of that one."""
    names = "abcde"
    text = "".join(service(name, f'needs = ["{after}"]') for name, after in zip(names, "bcdea", strict=True))
    assert problems(text) == [
        "services.a.needs: a cycle, so none of them could start: a needs b needs c needs d needs e needs a"
    ]


def test_cycles_are_told_with_whatever_else_is_wrong() -> None:
    """One run is enough to see them all: other mistakes, of the same services or of others, hide no cycle."""
    text = service("a", 'needs = ["b", "nope"]', "restart = 3") + service("b", 'needs = { a = "runing" }')
    text += service("c", 'needs = ["c"]') + service("d", "needs = 5") + "[services]\ne = 3\n"
    found = problems(text)
    assert "services.a.needs: a cycle, so none of them could start: a needs b needs a" in found
    assert "services.c.needs: a cycle, so none of them could start: c needs c" in found
    assert len(found) == 7


def test_main_has_one_exit() -> None:
    """Neither a scheduled service nor one with replicas can be the main one."""
    text = '[supervisor]\nmain = "web"\n'
    assert problems(text + service("web", "replicas = 2")) == [
        "supervisor.main: a service with replicas has no exit of its own; allowed: one without"
    ]
    assert problems(text + service("web", 'kind = "scheduled"', 'schedule = "@daily"')) == [
        "supervisor.main: a scheduled service has no end that could end the daemon; allowed: a service or a task"
    ]


def test_replicas_are_read_with_their_numbers() -> None:
    """Each instance has its own name, number and words; what its number makes wrong is told as its own."""
    text = service("w", "replicas = 3", 'environment = { PORT = "900${PAUSEVISOR_REPLICA}" }')
    fleet = load_text(text).fleet
    assert list(fleet.services) == ["w#1", "w#2", "w#3"]
    third = fleet.services["w#3"]
    assert (third.base, third.environment["PORT"]) == ("w", "9003")
    assert (third.environment["PAUSEVISOR_REPLICA"], third.environment["PAUSEVISOR_SERVICE"]) == ("3", "w#3")
    assert fleet.templates["w"](3) == third
    assert fleet.templates["w"](12).environment["PORT"] == "90012"
    assert web('environment = { N = "${PAUSEVISOR_REPLICA}" }').environment["N"] == "1"
    assert "PAUSEVISOR_REPLICA" not in web("").environment
    wrong = service("w", "replicas = 2", 'stop-timeout = "5s"', 'directory = "${PAUSEVISOR_REPLICA:?}"')
    assert load_text(wrong).fleet.services["w#2"].directory == "/start/2"


@pytest.mark.parametrize(
    ("toml", "schedule"),
    [
        ('"*/5 * * * *"', Schedule("*/5 * * * *")),
        ('"30 */5 * * * *"', Schedule("30 */5 * * * *")),
        ('"0 9-17/2 1,15 JAN MON-FRI"', Schedule("0 9-17/2 1,15 JAN MON-FRI")),
        ('"@hourly"', Schedule("0 * * * *")),
        ('{ cron = "@daily" }', Schedule("0 0 * * *")),
        ('"0 0 30 2 *"', Schedule("0 0 30 2 *")),
        (
            '{ cron = "@hourly", timezone = "Europe/Berlin", overlap = "queue", jitter = "5m", start-deadline = "1h" }',
            Schedule("0 * * * *", "Europe/Berlin", Overlap.QUEUE, 300.0, 3600.0),
        ),
    ],
)
def test_schedules(toml: str, schedule: Schedule) -> None:
    """The fields of crontab(5), names for them, and a table that says more. One that never comes is no mistake."""
    assert job(toml) == schedule


def test_scheduled_services_are_not_restarted_by_default() -> None:
    """The next run comes anyway; who wants a failed one tried again says so."""
    text = service("job", 'kind = "scheduled"', 'schedule = "@daily"')
    assert load_text(text).fleet.services["job"].restart is Restart.NEVER
    assert load_text(text + 'restart = "on-failure"').fleet.services["job"].restart is Restart.ON_FAILURE
    assert load_text(text).fleet.services["job"].kind is Kind.SCHEDULED


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("5", f'found 5; allowed: {CRON}, or a table such as {{ cron = "0 3 * * *", timezone = "UTC" }}'),
        ('"* * * *"', f'found "* * * *"; allowed: {CRON}'),
        ('"* * * * * * *"', f'found "* * * * * * *"; allowed: {CRON}'),
        ('"61 * * * *"', f'found "61 * * * *": bad minute; allowed: {CRON}'),
        ('"* * * FOO *"', f'found "* * * FOO *": bad month; allowed: {CRON}'),
        ('"*/0 * * * *"', f'found "*/0 * * * *": bad minute; allowed: {CRON}'),
        ('"L/2-1 * * * *"', f'found "L/2-1 * * * *": bad minute; allowed: {CRON}'),
        ('"* * L-3/2 * *"', f'found "* * L-3/2 * *": bad day-of-month; allowed: {CRON}'),
        (
            '"@reboot"',
            f'found "@reboot"; allowed: five fields of crontab(5), or {", ".join(MACROS)}',
        ),
    ],
)
def test_wrong_schedules(toml: str, message: str) -> None:
    """What is wrong, and what is allowed."""
    assert problems(service("job", 'kind = "scheduled"', f"schedule = {toml}")) == [f"services.job.schedule: {message}"]


def test_wrong_time_zones() -> None:
    """A zone that is not installed, or no name at all, is told as such."""
    for name in ("Mars/Olympus", "../etc/passwd", "Europe"):
        (problem,) = problems(
            service("job", 'kind = "scheduled"', f'schedule = {{ cron = "@daily", timezone = "{name}" }}')
        )
        assert problem.startswith(f'services.job.schedule.timezone: found "{name}"; allowed: the name of a time zone')
