"""The densities that the page draws contours of: a baseline's, and a stream's points'.

Both are shares of their densest cell, so that one set of levels fits every cloud.
"""

from __future__ import annotations

import numpy as np

from dinsight import cells
from dinsight.cells import Cells, square
from dinsight.density import BINS, SMOOTHING, Grid, density_grid, extent_of, smooth

ROOM = 1.25  # times the widest side of what is covered, so that the outermost contour closes


def of_baseline(places: np.ndarray) -> Grid:
    """Of a map's baseline, (n, 2)."""
    x, y = places[:, 0], places[:, 1]
    grid = density_grid(x, y, extent=square(extent_of(x, y)))
    return Grid(grid.x, grid.y, as_shares(grid.z))


def of_cells(counted: Cells) -> Grid | None:
    """Of points counted by cell; None while there are none within reach."""
    if not len(counted.column):
        return None
    found = cells.raster(counted, square(cells.bulk(counted), ROOM), BINS)
    bins = len(found.counts)
    counts = found.counts.sum(axis=2).astype(np.float64)
    z = as_shares(smooth(counts, SMOOTHING * bins / BINS))
    steps = (np.arange(bins) + 0.5) / bins
    x_low, x_high, y_low, y_high = found.extent
    return Grid(x_low + steps * (x_high - x_low), y_low + steps * (y_high - y_low), z)


def as_shares(density: np.ndarray) -> np.ndarray:
    peak = float(density.max())
    return density / peak if peak else density
