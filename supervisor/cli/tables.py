"""The table of services: as plain text for pipes, and by rich for terminals. Both show the same cells."""

from __future__ import annotations

from supervisor.cli import words
from supervisor.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from supervisor.cli.screen import Screen
    from supervisor.cli.words import Service


class Column(Record):
    """One column.

    Attributes:
        cell: what stands in it.
        right: it is a number.
        spare: is left out the earlier the higher this is, where there is no room; 0 for never.
    """

    name: str
    cell: Callable[[Service], str]
    right: bool = False
    spare: int = 0


COLUMNS = (
    Column("NAME", lambda one: one["name"]),
    Column("STATE", lambda one: one["state"]),
    Column("PID", lambda one: _or_dash(one["pid"]), right=True, spare=1),
    Column("UPTIME", lambda one: words.duration(one["uptime_s"]), right=True, spare=2),
    Column("RESTARTS", lambda one: _or_dash(one["restarts"]), right=True, spare=3),
    Column("CPU", lambda one: words.processor_time(one["cpu_s"]), right=True, spare=5),
    Column("MEMORY", lambda one: words.size(one["rss_bytes"]), right=True, spare=4),
    Column("READY", words.readiness),
    Column("WHY", words.why),
)

_GAP = 2
_LEAST_WHY = 16
"""Characters that the last column should have, or other columns go."""

_RICH = {"good": "green", "busy": "yellow", "bad": "bold red", "rest": "dim"}


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def plain(listed: Sequence[Service]) -> str:
    """Aligned text with a head line; every cell but the last is one word, so that ``awk`` finds its way."""
    rows = [[column.name for column in COLUMNS], *([column.cell(one) for column in COLUMNS] for one in listed)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    return "".join(_plain_line(row, widths) for row in rows)


def _plain_line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column.right else cell.ljust(width)
        for column, cell, width in zip(COLUMNS, row, widths, strict=True)
    ]
    return (" " * _GAP).join(cells).rstrip() + "\n"


def pretty(listed: Sequence[Service], screen: Screen) -> list[str]:
    """Lines for a terminal, in colour where it may be; the head line is the first."""
    from io import StringIO  # noqa: PLC0415 - for terminals only, as rich

    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    columns, widths = _fitting(listed, screen.width)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["right", "left"] = "right" if column.right else "left"
        table.add_column(column.name, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for one in listed:
        table.add_row(*(Text(column.cell(one), _cell_style(column, one)) for column in columns))
    console = Console(
        file=StringIO(),
        width=screen.width,
        force_terminal=screen.colours,
        color_system="standard" if screen.colours else None,
        no_color=not screen.colours,
        legacy_windows=False,
    )
    with console.capture() as captured:
        console.print(table, end="")
    return [line.rstrip() for line in captured.get().splitlines()]


def _cell_style(column: Column, one: Service) -> str:
    if column.name in ("STATE", "READY"):
        unready = column.name == "READY" and words.readiness(one) == "-"
        return "dim" if unready else _RICH.get(words.style(one), "")
    if column.name == "NAME":
        return "dim" if words.style(one) == "rest" else "bold"
    return ""


def _fitting(listed: Sequence[Service], width: int) -> tuple[list[Column], list[int]]:
    """The columns for which there is room, and the width of each; the last one gets what is left."""
    columns = list(COLUMNS[:-1])
    natural = {column.name: max([len(column.name), *(len(column.cell(one)) for one in listed)]) for column in COLUMNS}
    last = natural[COLUMNS[-1].name]
    for column in sorted(COLUMNS, key=lambda column: -column.spare):
        if column.spare and sum(natural[one.name] + _GAP for one in columns) + min(last, _LEAST_WHY) > width:
            columns.remove(column)
    widths = [natural[column.name] for column in columns]
    left = width - sum(one + _GAP for one in widths)
    return [*columns, COLUMNS[-1]], [*widths, max(1, min(last, left))]
