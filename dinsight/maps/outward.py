"""The push-out of every drawn layout: from a row's own place to where its score belongs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Grid, grid
from dinsight.maps.frontier import Frontier, pseudo_angle

LATER = 0.5  # of the way from the blend's end to the limit: where the turn ends


class Outward:
    """Takes rows from the place that says what they are like to the one that says how bad.

    Calm rows stay at the first, rows near the limit and beyond are on the `Frontier` of their
    score, and the turn between them is smooth. It ends a little above the `blend` of the
    calibration, so that noise in the score does not throw a healthy row across the cloud (on
    Tennessee Eastman, with the frontier's half-even radius, the 99 % quantile of what 0.1 sigma
    moves a row fell from .17 to .12 widths of the cloud and trustworthiness rose by .02, for .005
    of AUROC).

    `plane` (q, 2) is the linear view that gives the outward direction, `calm` and `full` the
    scores where the turn starts and ends.
    """

    def __init__(self, frontier: Frontier, plane: Floats, calm: float, full: float) -> None:
        self.frontier, self.plane = frontier, plane
        self.calm, self.full = calm, full
        self._view = grid(plane.reshape(1, -1)).whole.reshape(plane.shape)  # a direction's worth

    @classmethod
    def fit(cls, lead: Floats, places: Floats, blend: tuple[float, float]) -> Outward:
        """For baseline rows with coordinates (n, q) that were drawn at places (n, 2)."""
        calm, full = blend
        plane = np.asarray(np.linalg.lstsq(lead, places, rcond=None)[0], dtype=np.float64)
        return cls(Frontier.fit(places), plane, calm, full + LATER * (1.0 - full))

    def place(self, inside: Floats, rows: Grid, scores: Floats) -> Floats:
        """From places (m, 2) among the baseline, coordinates (m, q) and scores (m,) to (m, 2)."""
        share = np.minimum(np.maximum((scores - self.calm) / (self.full - self.calm), 0.0), 1.0)
        share = share * share * (3.0 - 2.0 * share)
        outward = self._direction(rows)
        away = share * self.frontier.radius(pseudo_angle(outward), scores, self.full)
        return np.asarray((1.0 - share)[:, None] * inside + away[:, None] * outward)

    def _direction(self, rows: Grid) -> Floats:
        """The unit direction (m, 2) in which a row leaves the cloud.

        From the linear view, not from the place inside: noise turns it less (in a trial on
        Tennessee Eastman the worst of 13,440 rows with 0.1 sigma of noise moved .42 widths of the
        cloud, and .73 with that place added in). A row whose view is zero has no side; its
        neighbours in feature space may leave on another. No continuous map from all sides of the
        cloud to all sides of its drawing is without such rows, so they can only be rare. Leaning
        the view far to one side made them rarer (9 of 26,880 for 35), but cost .03 to .19 of
        trustworthiness.
        """
        view = rows.whole @ self._view  # exact
        length = np.sqrt(view[:, 0] * view[:, 0] + view[:, 1] * view[:, 1])
        view[length == 0.0] = (1.0, 0.0)
        return np.asarray(view / np.maximum(length, 1.0)[:, None])

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "outward_plane": self.plane,
            "outward_turn": np.array([self.calm, self.full]),
            **self.frontier.arrays(),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Outward:
        calm, full = stored["outward_turn"].tolist()
        return cls(Frontier.from_arrays(stored), stored["outward_plane"], calm, full)
