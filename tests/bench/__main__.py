"""`python -m tests.bench`: measure, print the tables and what they make of the budgets. Nothing is asserted."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile

from tests.bench.budgets import Tables, verdicts
from tests.bench.forms import Table, make_lab
from tests.bench.measures import MEASURES


def main() -> None:
    """Run the measures and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=20, help="how often each figure is taken (default: 20)")
    parser.add_argument("--orphans", type=int, default=10_000, help="how many orphans (default: 10000)")
    parser.add_argument("--peer", action="append", default=[], help="only these peers; may repeat")
    parser.add_argument("measure", nargs="*", help=f"only these: {' '.join(MEASURES)}")
    arguments = parser.parse_args()
    unknown = set(arguments.measure) - set(MEASURES)
    if unknown:
        parser.error(f"no such measure: {' '.join(sorted(unknown))}; there are {' '.join(MEASURES)}")
    if shutil.which("cc") is None:
        parser.error("a C compiler is needed, for the child that takes the time")
    sys.stderr.write(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with us, and what was made goes
    tables: Tables = {}
    with tempfile.TemporaryDirectory(prefix="pausevisor-bench-") as folder:
        lab = make_lab(folder, rounds=arguments.rounds, orphans=arguments.orphans, names=arguments.peer)
        for name in arguments.measure or MEASURES:
            sys.stderr.write(f"{name} ...\n")
            tables[name] = MEASURES[name](lab)
            if not arguments.json:
                _print_table(name, tables[name])
    if arguments.json:
        _say(json.dumps({"measures": tables, "budgets": verdicts(tables)}, indent=2))
    else:
        _print_budgets(tables)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _print_table(name: str, table: Table) -> None:
    """One table, a line for each form."""
    units = list(dict.fromkeys(unit for row in table.values() for unit in row))
    _say(f"\n{name:34}" + "".join(f"{unit:>20}" for unit in units))
    for form, row in table.items():
        cells = (row.get(unit, "") for unit in units)
        _say(f"  {form:32}" + "".join(f"{cell:>20}" if isinstance(cell, str) else f"{cell:>20.2f}" for cell in cells))


def _print_budgets(tables: Tables) -> None:
    _say("\nbudgets")
    for words, found, met in verdicts(tables):
        mark = {True: "met", False: "MISSED", None: "-"}[met]
        _say(f"  {mark:8}{words:66}{found}")


main()
