"""One feature that the rest of its row does not explain: what a distance over all of them hides."""

from __future__ import annotations

import numpy as np

from dinsight.maps.exact import Floats, grid

NOISE = 0.2  # in spreads: residuals below it are as good as none


def isolation(residual: Floats, still: Floats, spread: Floats) -> Floats:
    """How far each feature stands out of its row, shape (m, p + c).

    A distance adds up all columns, so that a fault in one bin of 1,024 drowns in the noise of the
    others: 24 of its standard deviations may pass unseen. Here every column's residual (m, p)
    given the others is taken in units of its `spread` (p,) on unseen healthy rows, over the root
    mean square of the rest of its row without its largest: an externally studentized residual
    (R. Cook, S. Weisberg, Residuals and Influence in Regression, 1982), which is large where one
    column disagrees with its row and small where a whole row is off, which the distance sees.
    Constant columns `still` (m, c) count in their own units.

    >>> quiet = isolation(np.array([[0.1, -0.2, 0.1]]), np.empty((1, 0)), np.ones(3))
    >>> loud = isolation(np.array([[0.1, -5.0, 0.1]]), np.empty((1, 0)), np.ones(3))
    >>> bool(loud.max() > 20 * quiet.max()), int(loud.argmax())
    (True, 1)
    """
    own = np.abs(residual / spread)
    if still.shape[1]:
        own = np.concatenate([own, np.abs(still)], axis=1)
    largest = own.max(axis=1)
    others = np.maximum(grid(own).squared_norms() - largest * largest, 0.0)
    others /= max(own.shape[1] - 1, 1)
    own /= np.sqrt(others + NOISE * NOISE)[:, None]
    return np.asarray(own)
