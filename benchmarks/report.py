"""From tables to the console and to Markdown."""

from __future__ import annotations

import math
import os
import platform
import sys
import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import dinsight

PACKAGES = ("numpy", "scipy", "umap-learn", "numba", "scikit-learn")
CONSOLE_WIDTH = 190
SETUP = "numbers = range(1_000_000); n = 0"


@dataclass(frozen=True)
class Table:
    """A topic: a title, what its figures mean, and rows of text under named columns."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def figure(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is none.

    >>> figure(0.12345), figure(float("nan"))
    ('0.123', '-')
    """
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def met(holds: bool) -> str:
    """The word for whether a goal is met."""
    return "met" if holds else "NOT MET"


def percent(value: float) -> str:
    """A share as a percentage, or a dash.

    >>> percent(0.1234), percent(float("nan"))
    ('12.3 %', '-')
    """
    return "-" if math.isnan(value) else f"{value * 100:.1f} %"


def versions() -> str:
    """What the figures were measured with, in one line."""
    parts = [f"Python {platform.python_version()}", f"dinsight {dinsight.__version__}"]
    parts += [f"{name} {version(name)}" for name in PACKAGES]
    return ", ".join([*parts, f"{os.cpu_count()} CPUs"])


def markdown(heading: str, about: Sequence[str], tables: Sequence[Table]) -> str:
    """The whole report as a Markdown page."""
    parts = [f"# {heading}", *about]
    parts += [f"## {table.title}\n\n{table.note}\n\n{_grid(table)}" for table in tables]
    return "\n\n".join(parts) + "\n"


def _grid(table: Table) -> str:
    lines = [table.columns, tuple("---" for _ in table.columns), *table.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def show(heading: str, about: Sequence[str], tables: Sequence[Table]) -> None:
    """Print the report on the console."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(width=None if sys.stdout.isatty() else CONSOLE_WIDTH, highlight=False)
    console.print(f"\n[bold]{heading}[/bold]")
    for line in about:
        console.print(line, markup=False)
    for table in tables:
        grid = RichTable(title=f"\n{table.title}", caption=table.note, title_justify="left")
        grid.caption_justify = "left"
        for column in table.columns:
            grid.add_column(column)
        for row in table.rows:
            grid.add_row(*row)
        console.print(grid)


def opening(now: datetime, busy: float, notes: Sequence[str]) -> list[str]:
    """The first lines of the report; `busy` is the machine's load before the run."""
    when = f"Measured {now:%Y-%m-%d %H:%M} UTC"
    pace = f"a loop of a million additions takes {_pace() * 1e3:.0f} ms"
    return [f"{when} with {versions()}; load before the run {busy:.1f}; {pace}.", *notes]


def _pace() -> float:
    """Seconds for a loop of Python's own: the same machine is not as fast every day."""
    return min(timeit.repeat("for _ in numbers: n += 1", SETUP, repeat=5, number=1))
