"""How fast: a row's place and score, and a map's fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import measures
from benchmarks.cases import Floats32
from benchmarks.contenders import Contender, Standard, umap_alone
from benchmarks.effort import Effort
from dinsight import maps

BATCH = 1_000
BATCH_REPEATS = 15
SLOW_REPEATS = 3
PIECE = 100


@dataclass(frozen=True)
class RowTime:
    """Place and score on one BLAS thread, as the server does it: one row alone, and each of a
    batch of 1,000, in seconds; medians, but for a batch that takes seconds."""

    case: str
    contender: str
    alone: float
    in_batch: float

    @property
    def rows_a_second(self) -> float:
        """In batches of 1,000."""
        return 1.0 / self.in_batch


def row_time(case: str, contender: Contender, rows: Floats32, effort: Effort) -> RowTime:
    """Time a contender on rows it has not seen, a fresh row each time."""
    batch = rows[np.arange(BATCH) % len(rows)]
    at = iter(np.arange(10 * effort.repeats) % len(rows))

    def one() -> object:
        row = next(at)
        return contender.place(rows[row : row + 1])

    with threadpool_limits(1, user_api="blas"):
        alone = measures.seconds(one, SLOW_REPEATS if contender.slow else effort.repeats)
        many = measures.elapsed(lambda: contender.place(batch))
        if not contender.slow:
            many = measures.seconds(lambda: contender.place(batch), BATCH_REPEATS)
    return RowTime(case, contender.name, alone, many / BATCH)


@dataclass(frozen=True)
class FitTime:
    """The fit of a baseline of a size: ours by layout and umap-learn's alone, in seconds."""

    shape: tuple[int, int]
    ours: dict[str, float]
    alone: float

    def ratio(self, layout: str) -> float:
        """Of a layout's fit to umap-learn's alone."""
        return self.ours[layout] / self.alone


def fit_time(rows: Floats32, layouts: Sequence[str], repeats: int) -> FitTime:
    """Fit alternately, warm: medians of so many repeats."""
    ours: dict[str, list[float]] = {layout: [] for layout in layouts}
    alone = []
    scaled = Standard.fit(rows).apply(rows).astype(np.float32)
    for _ in range(repeats):
        alone.append(measures.elapsed(partial(umap_alone, scaled)))
        for layout, times in ours.items():
            times.append(measures.elapsed(partial(maps.fit, rows, layout)))
    medians = {layout: float(np.median(times)) for layout, times in ours.items()}
    return FitTime(rows.shape, medians, float(np.median(alone)))


def machine(rows: int, columns: int, seed: int = 1) -> Floats32:
    """A made-up machine: eight things that move all its columns, and noise on each.

    Made piece by piece: memory is measured after it.
    """
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).standard_normal((8, columns), dtype=np.float32)
    values = np.empty((rows, columns), dtype=np.float32)
    for start in range(0, rows, PIECE):
        part = values[start : start + PIECE]
        part[:] = random.standard_normal(part.shape, dtype=np.float32)
        part += random.standard_normal((len(part), 8), dtype=np.float32) @ mixing
        part += 20.0
    return values
