"""Every measure by its name."""

from collections.abc import Callable

from tests.bench.costs import idle
from tests.bench.forms import Lab, Table
from tests.bench.loggers import lines
from tests.bench.many import thousand
from tests.bench.orphans import burst, storm
from tests.bench.times import latency, restart, start, term, window

MEASURES: dict[str, Callable[[Lab], Table]] = {
    measure.__name__: measure
    for measure in (start, term, restart, idle, thousand, storm, burst, window, latency, lines)
}
