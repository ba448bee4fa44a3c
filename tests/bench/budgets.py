"""The budgets, and what the tables make of them: ratios in one run, never times of this machine alone."""

from collections.abc import Callable

from tests.bench.forms import Row, Table

Tables = dict[str, Table]


def verdicts(tables: Tables) -> list[tuple[str, str, bool | None]]:
    """Each budget in words, what was found, and whether it is met; None where a peer or a measure is missing."""
    found: list[tuple[str, str, bool | None]] = []
    for words, of in _BUDGETS:
        try:
            text, met = of(tables)
        except (KeyError, TypeError, ZeroDivisionError):
            found.append((words, "not measured", None))
        else:
            found.append((words, text, met))
    return found


def _figure(tables: Tables, measure: str, name: str, unit: str = "ms") -> float:
    row: Row = tables[measure][name]
    value = row[unit]
    if isinstance(value, str):
        raise KeyError(name)
    return value


def _at_most(value: float, limit: float, unit: str) -> tuple[str, bool]:
    return f"{value:.2f} of {limit:.2f} {unit}", value <= limit


def _at_least(value: float, limit: float, unit: str) -> tuple[str, bool]:
    return f"{value:.2f} of {limit:.2f} {unit}", value >= limit


def _start(form: str) -> Callable[[Tables], tuple[str, bool]]:
    def of(tables: Tables) -> tuple[str, bool]:
        bare = _figure(tables, "start", "interpreter -I -S")
        return _at_most(_figure(tables, "start", form) / bare, 4, "x the bare interpreter")

    return of


def _start_against_supervisord(tables: Tables) -> tuple[str, bool]:
    ratio = _figure(tables, "start", "supervisord") / _figure(tables, "start", "pausevisor service")
    return f"{ratio:.1f} x faster", ratio >= 10


def _term_median(tables: Tables) -> tuple[str, bool]:
    ours = max(_figure(tables, "term", f"pausevisor {form}") for form in ("run --", "service"))
    return _at_most(ours - _figure(tables, "term", "none"), 1, "ms more than none")


def _term_worst(tables: Tables) -> tuple[str, bool]:
    worst = max(_figure(tables, "term", f"pausevisor {form}", "worst_ms") for form in ("run --", "service"))
    return _at_most(worst, 3, "ms")


def _restart_time(tables: Tables) -> tuple[str, bool]:
    return _at_most(_figure(tables, "restart", "pausevisor"), 4, "ms")


def _restart_against_runit(tables: Tables) -> tuple[str, bool]:
    return _at_most(_figure(tables, "restart", "pausevisor") / _figure(tables, "restart", "runit"), 1, "x runit")


def _idle(unit: str, form: str, limit: float, words: str) -> Callable[[Tables], tuple[str, bool]]:
    return lambda tables: _at_most(_figure(tables, "idle", f"pausevisor {form}", unit), limit, words)


def _thousand(unit: str, output: str, limit: float, words: str) -> Callable[[Tables], tuple[str, bool]]:
    return lambda tables: _at_most(_figure(tables, "thousand", f"pausevisor, output to {output}", unit), limit, words)


def _storm(unit: str, limit: float, words: str) -> Callable[[Tables], tuple[str, bool]]:
    return lambda tables: _at_most(_figure(tables, "storm", "pausevisor, each reported", unit), limit, words)


def _storm_cpu(name: str) -> Callable[[Tables], tuple[str, bool]]:
    def of(tables: Tables) -> tuple[str, bool]:
        ratio = _figure(tables, "storm", name, "cpu_ms") / _figure(tables, "storm", "tini", "cpu_ms")
        return _at_most(ratio, 5, "x tini")

    return of


def _burst_drained(tables: Tables) -> tuple[str, bool]:
    unit = "drained_ms"
    ratio = _figure(tables, "burst", "pausevisor, each reported", unit) / _figure(tables, "burst", "tini", unit)
    return _at_most(ratio, 2, "x tini")


def _burst_term(tables: Tables) -> tuple[str, bool]:
    return _at_most(_figure(tables, "burst", "pausevisor, each reported", "term_worst_ms"), 20, "ms")


def _window(form: str) -> Callable[[Tables], tuple[str, bool]]:
    def of(tables: Tables) -> tuple[str, bool]:
        unit = "kept_after_ms"
        bare = _figure(tables, "window", "interpreter -I -S", unit)
        return _at_most(_figure(tables, "window", form, unit) / bare, 1.5, "x the bare interpreter")

    return of


def _latency(tables: Tables) -> tuple[str, bool]:
    return _at_most(_figure(tables, "latency", "pausevisor", "median_ms"), 0.5, "ms")


def _lines(form: str, limit: float) -> Callable[[Tables], tuple[str, bool]]:
    unit = "million_lines_a_second"
    return lambda tables: _at_least(_figure(tables, "lines", f"pausevisor, {form}", unit), limit, "million a second")


def _lines_against_s6(form: str) -> Callable[[Tables], tuple[str, bool]]:
    def of(tables: Tables) -> tuple[str, bool]:
        ours, theirs = (_figure(tables, "lines", f"{who}, {form}", "ns_a_line") for who in ("pausevisor", "s6-log"))
        return _at_least(theirs / ours, 1, "x s6-log")

    return of


_BUDGETS: list[tuple[str, Callable[[Tables], tuple[str, bool]]]] = [
    ("start, single command: at most 4 x the bare interpreter", _start("pausevisor run --")),
    ("start, service: at most 4 x the bare interpreter", _start("pausevisor service")),
    ("start: at least 10 x faster than supervisord", _start_against_supervisord),
    ("TERM to handler: within 1 ms of none", _term_median),
    ("TERM to handler: worst within 3 ms", _term_worst),
    ("dead child to successor: at most 4 ms", _restart_time),
    ("dead child to successor: not above runit", _restart_against_runit),
    ("idle: no wake-up", _idle("wakeups_per_minute", "service", 0, "a minute")),
    ("idle: no CPU", _idle("cpu_ms", "service", 0, "ms")),
    ("memory, one service: at most 25 MB", _idle("resident_mib", "service", 25e6 / 2**20, "MiB")),
    ("memory, pause: at most 10 MB", _idle("resident_mib", "pause", 10e6 / 2**20, "MiB")),
    ("memory, 1,000 services, output to null: at most 32 MB", _thousand("resident_mib", "null", 32e6 / 2**20, "MiB")),
    (
        "memory, 1,000 services, every line captured: at most 45 MB",
        _thousand("resident_mib", "log", 45e6 / 2**20, "MiB"),
    ),
    ("1,000 services: no wake-up", _thousand("wakeups_per_minute", "log", 0, "a minute")),
    ("1,000 services: all up within 1.5 s of CPU", _thousand("up_cpu_ms", "log", 1500, "ms")),
    ("1,000 services: TERM reaches the last within 0.5 s", _thousand("term_last_ms", "log", 500, "ms")),
    ("1,000 services: all down in 2 s", _thousand("down_ms", "log", 2000, "ms")),
    ("orphans, full rate: at most 500 unreaped", _storm("peak_unreaped", 500, "")),
    ("orphans, full rate: drained within 100 ms", _storm("drained_ms", 100, "ms")),
    ("orphans, full rate: CPU at most 5 x tini", _storm_cpu("pausevisor")),
    ("orphans, full rate, each reported: CPU at most 5 x tini", _storm_cpu("pausevisor, each reported")),
    ("orphans, one instant: drained within 2 x tini", _burst_drained),
    ("orphans, one instant: TERM meanwhile within 20 ms", _burst_term),
    ("lost TERM, pause: at most 1.5 x the bare interpreter", _window("pausevisor pause")),
    ("lost TERM, single command: at most 1.5 x the bare interpreter", _window("pausevisor run --")),
    ("lost TERM, service: at most 1.5 x the bare interpreter", _window("pausevisor service")),
    ("event, kernel to stdout: median under 0.5 ms", _latency),
    ("lines, plain: at least 1.5 million a second of CPU", _lines("to a pipe", 1.5)),
    ("lines, plain, to a pipe: not below s6-log", _lines_against_s6("to a pipe")),
    ("lines, plain, to a file: not below s6-log", _lines_against_s6("to a file")),
    ("lines, JSON merged: at least 0.4 million a second of CPU", _lines("JSON merged, to a pipe", 0.4)),
]
