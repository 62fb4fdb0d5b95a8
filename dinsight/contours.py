"""The densities that the page draws contours of: a baseline's, and a stream's points'.

Both are shares of their densest cell, so that one set of levels fits every cloud.
"""

from __future__ import annotations

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dinsight import feed
from dinsight.density import BINS, Extent, Grid, density_grid, extent_of, smooth
from dinsight.models import Point
from dinsight.streams import Found

SPREADS = 4  # standard deviations around the mean that the grid covers at most
ROOM = 1.25  # times the widest side of what is covered, so that the outermost contour closes


def of_baseline(places: np.ndarray) -> Grid:
    """Of a map's baseline, (n, 2)."""
    x, y = places[:, 0], places[:, 1]
    grid = density_grid(x, y, extent=square(extent_of(x, y)))
    return Grid(grid.x, grid.y, as_shares(grid.z))


def of_stream(session: Session, stream: Found) -> Grid | None:
    """Of the points of a stream's epoch, binned by PostgreSQL; None while there are none."""
    reach = _reach(session, stream)
    if reach is None:
        return None
    extent = square(reach, ROOM)
    z = as_shares(smooth(feed.cells(session, stream, extent, BINS)))
    steps = (np.arange(BINS) + 0.5) / BINS
    x = extent.x_low + steps * (extent.x_high - extent.x_low)
    y = extent.y_low + steps * (extent.y_high - extent.y_low)
    return Grid(x, y, z)


def square(extent: Extent, room: float = 1.0) -> Extent:
    """The square around an extent: with square cells, a round cloud has round contours."""
    x, y = (extent.x_low + extent.x_high) / 2, (extent.y_low + extent.y_high) / 2
    side = max(extent.x_high - extent.x_low, extent.y_high - extent.y_low, 1e-3)
    half = room * side / 2
    return Extent(x - half, x + half, y - half, y + half)


def as_shares(density: np.ndarray) -> np.ndarray:
    peak = float(density.max())
    return density / peak if peak else density


def _reach(session: Session, stream: Found) -> Extent | None:
    """Where the points are, but not all the way to a far outlier."""
    columns = [
        function(column)
        for column in (Point.x, Point.y)
        for function in (func.min, func.max, func.avg, func.stddev_pop)
    ]
    found = session.execute(
        select(*columns).where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
    ).one()
    if found[0] is None:
        return None
    sides: list[float] = []
    for at in (0, 4):  # the statistics of x, then those of y
        low, high, mean, spread = (float(value) for value in found[at : at + 4])
        sides += [max(low, mean - SPREADS * spread), min(high, mean + SPREADS * spread)]
    return Extent(*sides)
