"""Densities of both sets of points, binned on a fixed grid for the map's contours."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dinsight import feed, packing
from dinsight.models import Point
from dinsight.streams import Found
from layouts.figures import Density

BINS = 64
BLUR = 1.5  # cells, the standard deviation of the smoothing
ROOM = 1.25  # times the widest side of the cloud
SPREADS = 4  # standard deviations around the mean that the grid covers at most
MOST_KEPT = 16

Extent = tuple[float, float, float, float]  # left, right, bottom, top

_kept: dict[str, Density] = {}


def baseline_density(sha256: str, places: np.ndarray) -> Density:
    """The density of a map's baseline, kept because a map never changes."""
    if sha256 not in _kept:
        while len(_kept) >= MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[sha256] = density_of(places)
    return _kept[sha256]


def density_of(places: np.ndarray) -> Density:
    low, high = places.min(axis=0), places.max(axis=0)
    extent = bounds(low, high, places.mean(axis=0), places.std(axis=0))
    left, right, bottom, top = extent
    counts, _, _ = np.histogram2d(
        places[:, 1], places[:, 0], bins=BINS, range=((bottom, top), (left, right))
    )
    x, y = centres(extent)
    return Density(x.tolist(), y.tolist(), smooth(counts).round(4).tolist())


def monitor_density(session: Session, stream: Found) -> dict[str, Any] | None:
    """The density of a stream's points, packed; None while there are none."""
    columns = [
        function(column)
        for function in (func.min, func.max, func.avg, func.stddev_pop)
        for column in (Point.x, Point.y)
    ]
    found = session.execute(
        select(*columns).where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
    ).one()
    if found[0] is None:
        return None
    low, high, mean, spread = np.array(found, dtype=float).reshape(4, 2)
    extent = bounds(low, high, mean, spread)
    grid = smooth(feed.cells(session, stream, extent, BINS))
    x, y = centres(extent)
    return {"x": x.tolist(), "y": y.tolist(), "z": packing.levels(grid)}


def bounds(low: np.ndarray, high: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Extent:
    """What the grid covers: a square with some room, but not the way to a far outlier."""
    low, high = np.maximum(low, mean - SPREADS * spread), np.minimum(high, mean + SPREADS * spread)
    x, y = (low + high) / 2
    half = ROOM * max(float((high - low).max()), 1e-3) / 2
    return float(x - half), float(x + half), float(y - half), float(y + half)


def centres(extent: Extent) -> tuple[np.ndarray, np.ndarray]:
    """The middles of the grid's cells."""
    left, right, bottom, top = extent
    steps = (np.arange(BINS) + 0.5) / BINS
    return left + steps * (right - left), bottom + steps * (top - bottom)


def smooth(counts: np.ndarray) -> np.ndarray:
    """Blurred by a Gaussian, as a share of the densest cell."""
    blurred: np.ndarray = _kernel() @ counts @ _kernel().T
    peak = float(blurred.max())
    return blurred / peak if peak else blurred


@functools.cache
def _kernel() -> np.ndarray:
    cells = np.arange(BINS)
    weights = np.exp(-0.5 * ((cells[:, None] - cells[None, :]) / BLUR) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
