"""Measurements that need a process of their own: long fits, and peak memory.

`python -m benchmarks.apart fits|wide ROWSxCOLUMNS,... LAYOUT...` prints JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks import measures
from benchmarks.contenders import umap_alone
from benchmarks.speed import FitTime, fit_time, machine
from dinsight import maps

ROOT = Path(__file__).parents[1]
Shape = tuple[int, int]
REFERENCE: Shape = (800, 1_024)
LONG: Shape = (20_000, 1_024)
WIDE: Shape = (500, 16_377)
LONG_ROWS = 4_096  # above it, umap-learn searches neighbours another way, with other code
REPEATS = 3
WIDE_REPEATS = 20


@dataclass(frozen=True)
class Wide:
    """A wide baseline: fit in seconds, peak memory of the whole process in MB before and after
    the fit, and the seconds that one row takes to be placed."""

    layout: str
    shape: Shape
    fit: float
    before: float
    peak: float
    row: float


def fits(layouts: Sequence[str], shapes: Sequence[Shape] = (REFERENCE, LONG)) -> list[FitTime]:
    """Fit baselines of these shapes in another process."""
    found = _run("fits", shapes, layouts)
    return [FitTime(tuple(each["shape"]), each["ours"], each["alone"]) for each in found]


def wide(layout: str, shape: Shape = WIDE) -> Wide:
    """Fit one wide baseline in another process."""
    found = _run("wide", [shape], [layout])
    return Wide(**{**found, "shape": tuple(found["shape"])})


def _run(what: str, shapes: Sequence[Shape], layouts: Sequence[str]) -> Any:
    sizes = ",".join(f"{rows}x{columns}" for rows, columns in shapes)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.apart", what, sizes, *layouts]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def measure_fits(layouts: Sequence[str], shapes: Sequence[Shape]) -> list[FitTime]:
    """Warm up, then fit each shape; the long ones once."""
    _warm_up(layouts)
    umap_alone(machine(40, 6))
    if max(rows for rows, _ in shapes) > LONG_ROWS:
        umap_alone(machine(LONG_ROWS + 1, 6))
    return [
        fit_time(machine(*shape), layouts, 1 if shape[0] > LONG_ROWS else REPEATS)
        for shape in shapes
    ]


def measure_wide(layout: str, shape: Shape) -> Wide:
    """Warm up, fit, place."""
    _warm_up([layout])
    rows, unseen = machine(*shape), machine(WIDE_REPEATS + 1, shape[1], seed=2)
    before = _peak()
    started = perf_counter()
    fitted = maps.fit(rows, layout)
    fit, peak = perf_counter() - started, _peak()
    at = iter(range(len(unseen)))
    with threadpool_limits(1, user_api="blas"):
        row = measures.seconds(lambda: fitted.place(unseen[[next(at)]]), WIDE_REPEATS)
    return Wide(layout, shape, fit, before, peak, row)


def _warm_up(layouts: Sequence[str]) -> None:
    """Compile and import what the fits need."""
    for layout in layouts:
        maps.fit(machine(40, 6), layout)


def _peak() -> float:
    """The most memory that this process ever held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    what, sizes, *layouts = arguments
    shapes = [
        (int(rows), int(columns)) for rows, columns in (s.split("x") for s in sizes.split(","))
    ]
    if what == "fits":
        print(json.dumps([asdict(each) for each in measure_fits(layouts, shapes)]))
    else:
        print(json.dumps(asdict(measure_wide(layouts[0], shapes[0]))))


if __name__ == "__main__":
    main(sys.argv[1:])
