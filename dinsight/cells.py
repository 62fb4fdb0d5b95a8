"""Points counted by cell on a fixed lattice: what densities are made of, however many points.

The lattice is the baseline's, so that nothing drawn on it moves when points come; only cells that
hold a point are kept, so that one far outlier costs one cell and no resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dinsight.density import Extent, extent_of

ACROSS = 256  # cells across the baseline's square
REACH = 64 * ACROSS  # cells from the baseline's corner; what is farther is counted, not placed
MOST = 50_000  # cells that hold a point; above, four neighbours become one

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Lattice(NamedTuple):
    """The low corner of the cell (0, 0) and the side of a cell, in map units."""

    x: float
    y: float
    side: float


@dataclass(frozen=True)
class Cells:
    """`column` (n,), `row` (n,) of the cells that hold points; `counts` (n, 2): how many normal and
    how many anomalous ones; `far` points are beyond `REACH`.

    A side of these cells is 2 ** `halvings` of those of the lattice.
    """

    lattice: Lattice
    column: Ints
    row: Ints
    counts: Ints
    far: int = 0
    halvings: int = 0

    @property
    def side(self) -> float:
        return self.lattice.side * 2.0**self.halvings

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.far


@dataclass(frozen=True)
class Raster:
    """Counts on a whole square of cells, (b, b, 2), rows along y, from the extent's low corner."""

    extent: Extent
    counts: Ints


def lattice_of(places: NDArray[Any]) -> Lattice:
    """The lattice of a map, given its baseline's places (n, 2)."""
    extent = square(extent_of(places[:, 0], places[:, 1]))
    return Lattice(extent.x_low, extent.y_low, (extent.x_high - extent.x_low) / ACROSS)


def none(lattice: Lattice) -> Cells:
    empty = np.empty(0, np.int64)
    return Cells(lattice, empty, empty, np.empty((0, 2), np.int64))


def add(cells: Cells, column: Ints, row: Ints, counts: Ints) -> Cells:
    """The cells with more points in them, which are given by cells of the lattice.

    >>> one, two = np.array([1]), np.array([2])
    >>> found = add(none(Lattice(0.0, 0.0, 1.0)), one, two, np.array([[3, 0]]))
    >>> add(found, one, two, np.array([[4, 1]])).counts.tolist()
    [[7, 1]]
    """
    near = (np.abs(column) < REACH) & (np.abs(row) < REACH)
    far = cells.far + int(counts[~near].sum())
    columns = np.concatenate([cells.column, column[near] >> cells.halvings])
    rows = np.concatenate([cells.row, row[near] >> cells.halvings])
    sums = np.concatenate([cells.counts, counts[near]])
    halvings = cells.halvings
    columns, rows, sums = _merged(columns, rows, sums)
    while len(columns) > MOST:
        columns, rows, sums = _merged(columns >> 1, rows >> 1, sums)
        halvings += 1
    return Cells(cells.lattice, columns, rows, sums, far, halvings)


def count(cells: Cells, x: NDArray[Any], y: NDArray[Any], anomalous: NDArray[Any]) -> Cells:
    """The cells with these points, (m,) each, in them as well."""
    lattice = cells.lattice
    column = _index(np.asarray(x, np.float64) - lattice.x, lattice.side)
    row = _index(np.asarray(y, np.float64) - lattice.y, lattice.side)
    bad = np.asarray(anomalous, bool)
    return add(cells, column, row, np.column_stack([~bad, bad]).astype(np.int64))


def raster(cells: Cells, extent: Extent, most: int) -> Raster:
    """The cells of a square around an extent, four to one as often as it takes for `most` a side.

    A cell of the raster is always a whole number of cells: no pattern appears that is not there.
    """
    x, y, _ = cells.lattice
    wide = max(extent.x_high - extent.x_low, extent.y_high - extent.y_low, cells.side)
    halvings = max(0, int(np.ceil(np.log2(wide / cells.side / (most - 1)))))
    step = cells.side * 2**halvings
    left = int(np.floor((extent.x_low - x) / step))
    low = int(np.floor((extent.y_low - y) / step))
    bins = int(np.floor(max((extent.x_high - x) / step - left, (extent.y_high - y) / step - low)))
    bins = min(bins + 1, most)
    column, row = (cells.column >> halvings) - left, (cells.row >> halvings) - low
    inside = (column >= 0) & (column < bins) & (row >= 0) & (row < bins)
    counts = np.zeros((bins, bins, 2), np.int64)
    np.add.at(counts, (row[inside], column[inside]), cells.counts[inside])
    x_low, y_low = x + left * step, y + low * step
    return Raster(Extent(x_low, x_low + bins * step, y_low, y_low + bins * step), counts)


def rasters(cells: Cells, most: int) -> list[Raster]:
    """All cells as few rasters: the baseline's surroundings, then what is left robustly, then all.

    Each cell is in one of them, so that nothing disappears, and the finest one does not depend on
    where outliers are.
    """
    x, y, side = cells.lattice
    wide = side * ACROSS
    around = Extent(x - wide / 2, x + 1.5 * wide, y - wide / 2, y + 1.5 * wide)
    chosen: tuple[Callable[[Cells], Extent], ...] = (lambda _: around, bulk, bounds)
    found = []
    for choose in chosen:
        if not len(cells.column):
            break
        made = raster(cells, choose(cells), most)
        inside = _inside(cells, made.extent)
        if inside.any():
            found.append(made)
        cells = replace(
            cells,
            column=cells.column[~inside],
            row=cells.row[~inside],
            counts=cells.counts[~inside],
        )
    return found


def bulk(cells: Cells) -> Extent:
    """Where the points are, but not all the way to a few far ones."""
    x, y = centres(cells)
    weights = cells.counts.sum(axis=1)
    # As many copies as tell the quartiles apart; a cell never loses its only one.
    copies = np.ceil(weights * min(1.0, 20_000 / weights.sum())).astype(np.int64)
    return extent_of(np.repeat(x, copies), np.repeat(y, copies))


def bounds(cells: Cells) -> Extent:
    """Where all of the points are."""
    x, y = centres(cells)
    half = cells.side / 2
    return Extent(x.min() - half, x.max() + half, y.min() - half, y.max() + half)


def centres(cells: Cells) -> tuple[Floats, Floats]:
    """The middles of the cells, in map units."""
    x, y, _ = cells.lattice
    across, up = cells.column.astype(np.float64) + 0.5, cells.row.astype(np.float64) + 0.5
    return np.asarray(x + across * cells.side), np.asarray(y + up * cells.side)


def square(extent: Extent, room: float = 1.0) -> Extent:
    """The square around an extent: with square cells, a round cloud has round contours."""
    x, y = (extent.x_low + extent.x_high) / 2, (extent.y_low + extent.y_high) / 2
    side = max(extent.x_high - extent.x_low, extent.y_high - extent.y_low, 1e-3)
    half = room * side / 2
    return Extent(x - half, x + half, y - half, y + half)


def _inside(cells: Cells, extent: Extent) -> NDArray[np.bool_]:
    x, y = centres(cells)
    across = (x > extent.x_low) & (x < extent.x_high)
    return np.asarray(across & (y > extent.y_low) & (y < extent.y_high))


def _index(away: Floats, side: float) -> Ints:
    """The cell that a coordinate is in; what is out of reach, wherever, is just out of reach."""
    at = np.nan_to_num(np.floor(away / side), nan=REACH)
    return np.asarray(np.clip(at, -REACH, REACH).astype(np.int64))


def _merged(column: Ints, row: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
    """Each cell once, with what all of it counts."""
    key = (row << 32) + column
    kept, first, place = np.unique(key, return_index=True, return_inverse=True)
    sums = np.zeros((len(kept), 2), np.int64)
    np.add.at(sums, place, counts)
    return column[first], row[first], sums
