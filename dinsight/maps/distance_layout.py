"""The `distance` layout: distances on the map are, as well as a plane can, those between rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Grid, grid
from dinsight.maps.layouts import Evidence, Guide, robust_units, spread_out
from dinsight.maps.outward import Outward
from dinsight.maps.smacof import between, smacof

DRAWN = 300  # rows that SMACOF draws
ANCHORS = 100  # of those, the ones that other rows are placed by
STEPS, RELAXED = 5, 1.8  # of stress majorisation for a new row
BLUNT = 0.05  # of the cloud's spread: closer to an anchor than this, its pull has no edge
TILE = 256


class Majorisation:
    """Places rows by their distances to anchors: a fixed number of steps down their stress.

    With distances d_j to anchors at y_j the step x -> mean of y_j + d_j (x - y_j) / |x - y_j|
    never raises the stress (SMACOF for one point; I. Borg, P. Groenen, Modern Multidimensional
    Scaling, 2005, ch. 8), and going 1.8 times as far is as safe and faster (J. de Leeuw, W. Heiser,
    1980). Five steps from the linear view, not to the end: a row halfway between two minima moves
    .1 widths of the cloud with 0.1 sigma of noise, and .5 at convergence (Tennessee Eastman), with
    the same trustworthiness.

    `anchors` (a, q) in feature space, `places` (a, 2) of them in the plane, `plane` (q, 2) the
    linear view that a row starts from.
    """

    def __init__(self, anchors: Floats, places: Floats, plane: Floats) -> None:
        self.anchors, self.places, self.plane = anchors, places, plane
        self._step = float(grid(anchors).step.max())
        whole = np.rint(anchors / self._step)
        self._columns = np.ascontiguousarray(whole.T)
        self._squares: Floats = np.einsum("ij,ij->i", whole, whole) * self._step * self._step
        self._blunt = (BLUNT * robust_units(places)[1]) ** 2
        # Columns 1, x and y of the anchors: on a grid, so that sums over them are exact.
        self._pulls = grid(np.vstack([np.ones(len(places)), places.T]))
        self._view = grid(np.ascontiguousarray(plane.T))
        self._mean = np.add.accumulate(places, axis=0)[-1] / len(places)

    def place(self, rows: Grid) -> Floats:
        """Rows (m, q) to the plane (m, 2), in the units of `places`."""
        away = rows.whole @ self._columns  # exact
        away *= (-2.0 * self._step * rows.step)[:, None]
        away += self._squares
        away += rows.squared_norms()[:, None]
        distances = np.sqrt(np.maximum(away, 0.0, out=away), out=away)
        found = rows.whole @ self._view.whole.T  # exact
        found = found * self._view.step * rows.step[:, None]
        for _ in range(STEPS):
            found = found + RELAXED * (self._guttman(distances, found) - found)
        return found

    def _guttman(self, distances: Floats, found: Floats) -> Floats:
        """The next places (m, 2)."""
        across = found[:, :1] - self.places[:, 0]
        across *= across
        along = found[:, 1:] - self.places[:, 1]
        along *= along
        across += along
        across += self._blunt
        ratios = grid(np.divide(distances, np.sqrt(across, out=across), out=across))
        pulls = ratios.whole @ self._pulls.whole.T  # exact
        pulls = pulls * self._pulls.step * (ratios.step / len(self.places))[:, None]
        return np.asarray(self._mean + (found * pulls[:, :1] - pulls[:, 1:]))


class DistanceLayout:
    """Metric MDS of the baseline, with placement by stress and the same push-out as `umap`.

    Distances are those along the ten leading directions: the length outside them as one more
    coordinate changed neither stress nor trustworthiness (within .006 on the public cases and
    their first halves, but for one half that it made .025 worse).
    """

    name: ClassVar[str] = "distance"

    def __init__(self, rows: Majorisation, outward: Outward) -> None:
        self._rows, self._outward = rows, outward

    @classmethod
    def fit(cls, evidence: Evidence) -> tuple[DistanceLayout, Floats]:
        """The layout of baseline rows, all different, and their places (n, 2) on it."""
        drawn = evidence.lead[spread_out(len(evidence.lead), DRAWN)]
        start = np.zeros((len(drawn), 2))
        start[:, : drawn.shape[1]] = drawn[:, :2]
        places = smacof(between(drawn), start)
        plane = np.asarray(np.linalg.lstsq(drawn, places, rcond=None)[0], dtype=np.float64)
        anchors = spread_out(len(drawn), ANCHORS)
        rows = Majorisation(drawn[anchors], places[anchors], plane)
        outward, found = Outward.fit(evidence, _in_tiles(rows, evidence.lead))
        return cls(rows, outward), found

    def place(self, evidence: Evidence) -> Floats:
        """From where stress puts them, outward with their scores."""
        return self._outward.place(self._rows.place(grid(evidence.lead)), evidence)

    def guides(self) -> tuple[Guide, ...]:
        """None: only the distances mean something here."""
        return ()

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "distance_anchors": self._rows.anchors,
            "distance_places": self._rows.places,
            "distance_plane": self._rows.plane,
            **self._outward.arrays(),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> DistanceLayout:
        rows = Majorisation(
            stored["distance_anchors"], stored["distance_places"], stored["distance_plane"]
        )
        return cls(rows, Outward.from_arrays(stored))


def _in_tiles(rows: Majorisation, lead: Floats) -> Floats:
    """Places (n, 2) of many rows (n, q), a tile at a time."""
    starts = range(0, len(lead), TILE)
    return np.concatenate([rows.place(grid(lead[start : start + TILE])) for start in starts])
