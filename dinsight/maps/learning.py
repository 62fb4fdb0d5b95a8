"""Fitting a map: from the rows of a baseline to what is stored."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.errors import BaselineTooSmall, UnknownLayout
from dinsight.maps.calibration import Calibration
from dinsight.maps.exact import Floats32, as_float32
from dinsight.maps.identity import Identity
from dinsight.maps.layouts import Evidence, Progress
from dinsight.maps.metric import Metric, Spectrum, smaller_product
from dinsight.maps.model import TILE, Map, measure
from dinsight.maps.registry import DEFAULT, FIT, LAYOUTS
from dinsight.maps.scaling import Scaling

LEAST_ROWS = 5
LEADING = 10  # directions that neighbours are found along
# The metric of a wide and long baseline is learnt from an even selection of rows.
MOST_ROWS, MOST_ROWS_WIDE = 20_000, 2_000


def fit(
    values: NDArray[Any],
    layout: str = DEFAULT,
    *,
    features: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Map:
    """Fit a map to baseline rows (n, d), finite float32, in the order of time.

    Raises BaselineTooSmall under five different rows, UnknownLayout for a name not in LAYOUTS.
    One thread, whatever the settings, so that two fits of a file give the same map.

    >>> rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    >>> fitted = fit(rows, "distance")
    >>> broken = fitted.place(rows[:1] + [[0.0, 9.0, 0.0, 0.0]])
    >>> bool(broken.score[0] > 1), int(fitted.explain(rows[0] + [0, 9, 0, 0]).contribution.argmax())
    (True, 1)
    """
    from threadpoolctl import threadpool_limits

    if layout not in LAYOUTS:
        raise UnknownLayout(f"There is no map {layout!r}: choose one of {', '.join(LAYOUTS)}.")
    rows = np.ascontiguousarray(values, dtype=np.float32)
    names = tuple(features) if features is not None else _numbered(rows.shape[1])
    tell = progress or (lambda percent, message: None)
    with threadpool_limits(limits=1):
        return _fit(rows, layout, names, tell)


def _fit(rows: Floats32, layout: str, features: tuple[str, ...], tell: Progress) -> Map:
    identity = Identity.of(rows)
    different = rows[identity.first]
    if len(different) < LEAST_ROWS:
        raise BaselineTooSmall(
            f"A map needs at least {LEAST_ROWS} different rows of healthy operation; "
            f"this baseline has {len(different)} (of {len(rows)} in all)."
        )
    tell(5, "Learning the units of the columns")
    scaling = Scaling.fit(different, features)
    sample, still = scaling.apply(different[_selection(different.shape)])
    sample -= sample.mean(axis=0)
    tell(10, "Learning how the columns move together")
    product = smaller_product(sample)
    metric = Metric.fit(Spectrum.fit(sample, product), LEADING)
    tell(30, "Finding the limits on rows held back")
    calibration = Calibration.fit(metric, sample, still, product)
    del still
    evidence = _measure_all(scaling, metric, calibration, different)
    tell(50, "Drawing the map")
    plane, drawn = FIT[layout](evidence, sample, product)
    places = as_float32(drawn)
    tell(100, "Fitted")
    return Map(
        layout=layout,
        features=features,
        coordinates=places[identity.of_row],
        scores=as_float32(evidence.score)[identity.of_row],
        typical=_typical(rows),
        extremes=np.stack([rows.min(axis=0), rows.max(axis=0)]),
        stillest=_stillest(rows),
        lead=as_float32(evidence.lead)[identity.of_row],
        rule=calibration.rule(),
        scaling=scaling,
        metric=metric,
        calibration=calibration,
        identity=identity,
        plane=plane,
    )


def _measure_all(
    scaling: Scaling, metric: Metric, calibration: Calibration, rows: Floats32
) -> Evidence:
    tiles = [
        measure(scaling, metric, calibration, rows[start : start + TILE])
        for start in range(0, len(rows), TILE)
    ]
    return Evidence(
        np.concatenate([tile.lead for tile in tiles]),
        np.concatenate([tile.squared for tile in tiles]),
        np.concatenate([tile.score for tile in tiles]),
        np.concatenate([tile.slack for tile in tiles]),
    )


def _typical(rows: Floats32) -> Floats32:
    """Median, 5 % and 95 % quantile of each column; in blocks of columns, for memory."""
    found = np.empty((3, rows.shape[1]), dtype=np.float32)
    block = max(1, 4_000_000 // len(rows))
    for start in range(0, rows.shape[1], block):
        part = slice(start, start + block)
        found[:, part] = np.quantile(rows[:, part], [0.5, 0.05, 0.95], axis=0)
    return found


def _stillest(rows: Floats32) -> NDArray[np.int32]:
    """The longest stretch of rows, in the order of time, in which each column shows one value."""
    run = np.ones(rows.shape[1], dtype=np.int32)
    longest = run.copy()
    for before, row in itertools.pairwise(rows):
        run = np.where(row == before, run + 1, 1).astype(np.int32)
        np.maximum(longest, run, out=longest)
    return longest


def _selection(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The rows that the metric is learnt from: all, or an even selection."""
    rows, columns = shape
    most = MOST_ROWS if columns <= MOST_ROWS_WIDE else MOST_ROWS_WIDE
    return np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64)


def _numbered(columns: int) -> tuple[str, ...]:
    return tuple(f"column_{number}" for number in range(columns))


def warm_up(layout: str = DEFAULT) -> None:
    """Fit a tiny data set, so that what a fit loads and compiles is there before the first."""
    fit(np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32), layout)
