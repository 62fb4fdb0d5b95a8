"""How far from the cloud a score is drawn: the part of a place that says how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, log

NEAREST = 10  # the distance from the cloud is the mean distance to this many of its points
ANGLES, RADII = 128, 192
REACH = 4.0  # the table ends this far outside the limit; beyond, a circle is a good contour
LEVELS = 48
OUTWARD = 2.0  # map units for each factor e of the score beyond the limit
USUAL, EDGE = 0.5, 0.999  # shares of the cloud's points: where the frontier starts and the limit is
CIRCLE_SHARE, CIRCLE_MARGIN = 0.99, 1.1  # no row beyond the limit is drawn inside this circle
EARLY = 0.85  # of the limit's radius: how far out the frontier begins, as far as it is a circle's


@dataclass(frozen=True)
class Frontier:
    """Contours of equal distance from the cloud, as radii in every direction from its centre.

    The distance of a place from the cloud is the mean distance to its 10 nearest points. A row at
    the alarm limit is drawn where that is what the loosest 0.1 % of the cloud have among
    themselves, or on a circle that holds 99 % of the cloud with a margin, whichever is further:
    so it is seen to leave where the cloud is round, and where it is long or in islands. From there
    it goes outward with the logarithm of the score, so that a score of 1e38 is still on the paper.

    Below the limit the radius is halfway between the contour's, which orders places by their
    score, and a fixed share of the limit's. Within the cloud the contours alone are ragged: a
    small change of the score would be a leap (in a trial on Tennessee Eastman with 0.1 sigma of
    noise 38 of 26,880 rows moved more than .3 widths of the cloud; with this and the later turn of
    `outward` 12 did, and the AUROC of the planar distance went from .901 to .896).

    `levels` (l,) are distances, ascending; `radii` (a, l) the outermost radius at which each is
    reached, for directions at equal steps of the pseudo-angle below; `circle` that circle's radius.
    """

    levels: Floats
    radii: Floats
    circle: float

    @classmethod
    def fit(cls, cloud: Floats) -> Frontier:
        """Trace the contours of a cloud (n, 2) that is centred on zero."""
        from scipy.spatial import cKDTree

        tree = cKDTree(cloud)
        near = np.arange(1, min(NEAREST, len(cloud)) + 1)
        own = tree.query(cloud, near)[0].mean(axis=1)
        start, edge = np.quantile(own, [USUAL, EDGE]).tolist()
        edge = max(edge, start * (1 + 1e-6))
        lengths = np.sqrt((cloud**2).sum(axis=1))
        circle = CIRCLE_MARGIN * float(np.quantile(lengths, CIRCLE_SHARE))
        most = float(lengths.max()) + edge + REACH
        radii = np.linspace(0.0, most, RADII)
        places = (
            directions(np.linspace(0.0, 4.0, ANGLES, endpoint=False, dtype=np.float64))[:, None, :]
            * radii[:, None]
        )
        away = tree.query(places.reshape(-1, 2), near)[0].mean(axis=1).reshape(ANGLES, RADII)
        # Seen from outside, the first time a distance is met: monotone along each direction.
        away = np.minimum.accumulate(away[:, ::-1], axis=1)[:, ::-1]
        levels = np.concatenate(
            [np.linspace(start, edge, LEVELS // 2), edge + np.geomspace(0.01, REACH, LEVELS // 2)]
        )
        return cls(levels, np.stack([_outermost(line, radii, levels) for line in away]), circle)

    def radius(self, turn: Floats, scores: Floats, full: float) -> Floats:
        """Radius (m,) of scores (m,) in the directions of pseudo-angles (m,).

        Continuous, and never falling as the score rises above `full`.
        """
        start, edge = self.levels[0], self.levels[LEVELS // 2 - 1]
        within = np.minimum(np.maximum((scores - full) / (1.0 - full), 0.0), 1.0)
        beyond = np.zeros(len(scores))
        if (scores > 1.0).any():  # log(1) is exactly 0, so that a calm batch may skip it
            beyond += OUTWARD * log(np.maximum(scores, 1.0))
        levels = np.concatenate([edge + beyond, start + within * (edge - start)])
        outer, contour = self._contour(np.concatenate([turn, turn]), levels).reshape(2, -1)
        limit = np.maximum(outer, self.circle + beyond)
        early = (1.0 - within) * contour + within * limit
        return np.asarray(0.5 * (early + (EARLY + (1.0 - EARLY) * within) * limit))

    def _contour(self, turn: Floats, distance: Floats) -> Floats:
        """Radius (m,) at which pseudo-angles (m,) have a distance (m,) from the cloud."""
        turn = turn * (ANGLES / 4.0)
        left = turn.astype(np.int64)
        share = turn - left
        left %= ANGLES
        right = (left + 1) % ANGLES
        level = np.searchsorted(self.levels, distance, side="right") - 1
        level = np.minimum(np.maximum(level, 0), len(self.levels) - 2)
        base, upper = self.levels[level], self.levels[level + 1]
        across = np.minimum((distance - base) / (upper - base), 1.0)
        inner, outer = (
            (1.0 - share) * self.radii[left, edge] + share * self.radii[right, edge]
            for edge in (level, level + 1)
        )
        beyond = np.maximum(distance - self.levels[-1], 0.0)
        return np.asarray((1.0 - across) * inner + across * outer + beyond)

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "frontier_levels": self.levels,
            "frontier_radii": self.radii,
            "frontier_circle": np.float64(self.circle),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Frontier:
        return cls(
            stored["frontier_levels"], stored["frontier_radii"], float(stored["frontier_circle"])
        )


def pseudo_angle(direction: Floats) -> Floats:
    """A direction (m, 2) as a number in 0..4 that grows with its angle, by division alone.

    >>> pseudo_angle(np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [1.0, -1.0]])).tolist()
    [0.0, 1.0, 2.0, 3.5]
    """
    x, y = direction[:, 0], direction[:, 1]
    size = np.maximum(np.abs(x) + np.abs(y), np.finfo(np.float64).tiny)
    slope = y / size
    return np.asarray(np.where(x < 0.0, 2.0 - slope, np.where(y < 0.0, 4.0 + slope, slope)))


def directions(turns: Floats) -> Floats:
    """Unit vectors (m, 2) of pseudo-angles (m,): the inverse of `pseudo_angle`.

    >>> directions(np.array([0.0, 1.0])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    turns = turns % 4.0
    y = np.where(turns < 1.0, turns, np.where(turns < 3.0, 2.0 - turns, turns - 4.0))
    x = np.where(turns < 2.0, 1.0 - turns, turns - 3.0)
    return np.asarray(np.stack([x, y], axis=1) / np.sqrt(x * x + y * y)[:, None])


def _outermost(away: Floats, radii: Floats, levels: Floats) -> Floats:
    """The largest radius at which a line's distance, never falling, is at most each level.

    A line that never comes so close to the cloud is met where it comes closest.
    """
    levels = np.maximum(levels, away[0])
    low = np.clip(np.searchsorted(away, levels, side="right") - 1, 0, len(radii) - 2)
    rise = np.maximum(away[low + 1] - away[low], np.finfo(np.float64).tiny)
    share = np.clip((levels - away[low]) / rise, 0.0, 1.0)
    return np.asarray(radii[low] + share * (radii[low + 1] - radii[low]))
