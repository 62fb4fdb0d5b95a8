"""Where a row's nearest baseline rows lie: the part of its place that says what it is like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Grid, grid, sum_in_order

NEIGHBOURS = 10
NEAREST = 1e-12  # of a row's own squared length: closer than rounding can tell


class Neighbours:
    """The weighted mean of the places of the nearest landmarks.

    `landmarks` (n, q) coordinates in feature space, `places` (n, 2) in the plane. With squared
    distances d_1² <= ... <= d_(k+1)² the weights are (d_(k+1)² - d_j²)² / d_j²: at least 1/d², so
    that a row near a landmark is near its place, and zero at the (k+1)-th with a zero slope, so
    that a change of the neighbour set moves nothing (Shepard's method, modified: R. Franke,
    G. Nielson, Int. J. Numer. Methods Eng. 15, 1980). `k` is `NEIGHBOURS` or what the rows allow.

    >>> near = Neighbours(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0, 0], [1, 0], [2, 0]]))
    >>> near.mean(grid(np.array([[1.0], [0.5]]))).tolist()
    [[1.0, 0.0], [0.5, 0.0]]
    """

    def __init__(self, landmarks: Floats, places: Floats) -> None:
        self.landmarks, self.places = landmarks, places
        self._count = min(NEIGHBOURS, len(landmarks) - 1)
        self._step = float(grid(landmarks).step.max())  # one for all, so that a row has one scale
        whole = np.rint(landmarks / self._step)
        self._columns = np.ascontiguousarray(whole.T)
        self._squares: Floats = np.einsum("ij,ij->i", whole, whole) * self._step * self._step

    def mean(self, rows: Grid) -> Floats:
        """Rows (m, q) to the plane (m, 2)."""
        own = rows.squared_norms()[:, None]
        away = rows.whole @ self._columns  # exact
        away *= (-2.0 * self._step * rows.step)[:, None]
        away += self._squares  # |row - landmark|² less |row|², which would drown the differences
        near, which = nearest(away, self._count + 1)
        gap = near[:, -1:] - near
        squared = np.maximum(near + own, NEAREST * own + np.finfo(np.float64).tiny)
        weights = (gap * (gap / squared))[:, :-1]
        total = sum_in_order(weights)
        weights[total <= 0.0] = 1.0  # all equally far: nothing to choose between them
        weights /= sum_in_order(weights)[:, None]
        places = self.places[which[:, :-1]]
        mean: Floats = np.add.accumulate(places * weights[:, :, None], axis=1)[:, -1]
        return mean


def nearest(away: Floats, count: int) -> tuple[Floats, NDArray[np.intp]]:
    """The `count` smallest of each row (m, n), ascending, and where; among equals the earlier.

    >>> nearest(np.array([[3.0, 1.0, 2.0, 1.0]]), 3)[1].tolist()
    [[1, 3, 2]]
    """
    which = np.argpartition(away, count - 1, axis=1)[:, :count]
    which.sort(axis=1)
    row = np.arange(len(away))[:, None]
    near = away[row, which]
    order = near.argsort(axis=1, kind="stable")
    return near[row, order], which[row, order]
