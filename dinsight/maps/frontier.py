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
LEVELS = 24
OUTWARD = 2.0  # units of the drawing for each factor e of the score beyond the limit
EDGE = 0.999  # the share of the cloud's points that are no further from the others than the limit
CIRCLE_SHARE, CIRCLE_MARGIN = 0.99, 1.05  # no row beyond the limit is drawn inside this circle


@dataclass(frozen=True)
class Frontier:
    """Contours of equal distance from the cloud, as radii in every direction from its centre.

    The distance of a place from the cloud is the mean distance to its 10 nearest points. A row at
    the alarm limit is drawn where that is what the loosest 0.1 % of the cloud have among
    themselves, or on a circle that holds 99 % of the cloud with a margin, whichever is further:
    so it is seen to leave where the cloud is round, and where it is long or in islands. From there
    it goes outward with the logarithm of the score, so that a score of 1e38 is still on the paper.

    `centre` (2,) is the cloud's median; `levels` (l,) are distances, ascending; `radii` (a, l) the
    outermost radius about the centre at which each is reached, for directions at equal steps of the
    pseudo-angle below; `circle` that circle's radius.
    """

    centre: Floats
    levels: Floats
    radii: Floats
    circle: float

    @classmethod
    def fit(cls, cloud: Floats) -> Frontier:
        """Trace the contours of a cloud (n, 2)."""
        from scipy.spatial import cKDTree

        centre = np.asarray(np.median(cloud, axis=0))
        cloud = cloud - centre
        lengths = np.sqrt((cloud**2).sum(axis=1))
        tree = cKDTree(cloud)
        near = np.arange(1, min(NEAREST, len(cloud)) + 1)
        edge = float(np.quantile(tree.query(cloud, near)[0].mean(axis=1), EDGE))
        most = float(lengths.max()) + edge + REACH
        radii = np.linspace(0.0, most, RADII)
        places = (
            directions(np.linspace(0.0, 4.0, ANGLES, endpoint=False, dtype=np.float64))[:, None, :]
            * radii[:, None]
        )
        away = tree.query(places.reshape(-1, 2), near)[0].mean(axis=1).reshape(ANGLES, RADII)
        # Seen from outside, the first time a distance is met: monotone along each direction.
        away = np.minimum.accumulate(away[:, ::-1], axis=1)[:, ::-1]
        levels = np.concatenate([[edge], edge + np.geomspace(0.01, REACH, LEVELS - 1)])
        return cls(
            centre,
            levels,
            np.stack([_outermost(line, radii, levels) for line in away]),
            CIRCLE_MARGIN * float(np.quantile(lengths, CIRCLE_SHARE)),
        )

    def surrounds(self, cloud: Floats) -> bool:
        """Whether all of it is outside the circle about a cloud's median that holds 99 % of it."""
        centre = np.median(cloud, axis=0)
        radius = np.quantile(np.sqrt(((cloud - centre) ** 2).sum(axis=1)), CIRCLE_SHARE)
        aside = np.sqrt(((centre - self.centre) ** 2).sum())
        return bool(self.circle > radius + aside)

    def beyond(self, scores: Floats) -> Floats:
        """How much further out than a row at its limit scores (m,) are drawn; (m,), 0 below it."""
        if (scores > 1.0).any():  # log(1) is exactly 0, so that a calm batch may skip it
            return OUTWARD * log(np.maximum(scores, 1.0))
        return np.zeros(len(scores))

    def place(self, direction: Floats, beyond: Floats) -> Floats:
        """Places (m, 2) in unit directions (m, 2) of rows that are `beyond` (m,) the limit.

        Continuous, and further out with `beyond`.
        """
        contour = self._contour(pseudo_angle(direction), self.levels[0] + beyond)
        radius = np.maximum(contour, self.circle + beyond)
        return np.asarray(self.centre + radius[:, None] * direction)

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
            "frontier_centre": self.centre,
            "frontier_levels": self.levels,
            "frontier_radii": self.radii,
            "frontier_circle": np.float64(self.circle),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Frontier:
        return cls(
            stored["frontier_centre"],
            stored["frontier_levels"],
            stored["frontier_radii"],
            float(stored["frontier_circle"]),
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
