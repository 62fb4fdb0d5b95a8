"""The `umap` layout: UMAP draws the baseline; new rows go among their neighbours, and outward."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Floats32, Grid, grid
from dinsight.maps.frontier import Frontier, pseudo_angle
from dinsight.maps.layouts import Evidence
from dinsight.maps.neighbours import Neighbours, nearest

SEED = 20_240_229
GRAPH_NEIGHBOURS = 15
# umap.umap_.find_ab_params(spread=1.0, min_dist=0.1): written down so that no fit can move them.
CURVE_A, CURVE_B = 1.576943460405378, 0.8950608781227859
MOST_LANDMARKS = 5_000
TILE = 1_024


class UmapLayout:
    """UMAP of the baseline, with placement that keeps far rows far.

    L. McInnes, J. Healy, J. Melville, "UMAP", arXiv:1802.03426. Neighbours are found along the ten
    leading directions, not in the whitened space: there, with fewer rows than columns, all rows
    are equally far from each other and nothing of the structure is left (trustworthiness of
    unseen healthy rows of CWRU and FEMTO, k = 10, before any push: whitened .39-.57, all scaled
    columns .78-.81, ten directions .81-.83; UMAP.transform .82 and .78).

    `landmarks` (n, q) and `places` (n, 2) of the rows that UMAP drew, `plane` (q, 2) the linear
    view of it that gives outward directions, `blend` the scores between which a place turns from
    its neighbours' mean to the frontier of its score.
    """

    name: ClassVar[str] = "umap"

    def __init__(
        self,
        neighbours: Neighbours,
        frontier: Frontier,
        plane: Floats,
        blend: tuple[float, float],
    ) -> None:
        self._neighbours, self._frontier = neighbours, frontier
        self._plane, self._blend = plane, blend
        self._view = grid(plane.reshape(1, -1)).whole.reshape(plane.shape)  # a direction's worth

    @classmethod
    def fit(cls, evidence: Evidence, blend: tuple[float, float]) -> UmapLayout:
        """Lay out baseline rows, all different, at least 3; above 5,000 an even selection."""
        landmarks = evidence.lead[landmark_rows(len(evidence.lead))]
        places = in_robust_units(draw(landmarks))
        plane = np.asarray(np.linalg.lstsq(landmarks, places, rcond=None)[0], dtype=np.float64)
        return cls(Neighbours(landmarks, places), Frontier.fit(places), plane, blend)

    def baseline(self, evidence: Evidence) -> Floats:
        """Landmarks where UMAP drew them, the rows between them among their neighbours."""
        places = np.empty((len(evidence.lead), 2))
        for start in range(0, len(places), TILE):
            tile = slice(start, start + TILE)
            places[tile] = self._neighbours.mean(grid(evidence.lead[tile]))
        places[landmark_rows(len(places))] = self._neighbours.places
        return places

    def place(self, evidence: Evidence) -> Floats:
        """Neighbours' mean for the calm half of scores, the frontier for the others."""
        rows = grid(evidence.lead)
        inside = self._neighbours.mean(rows)
        calm, full = self._blend
        share = np.minimum(np.maximum((evidence.score - calm) / (full - calm), 0.0), 1.0)
        share = share * share * (3.0 - 2.0 * share)
        outward = self._outward(rows)
        distance = self._frontier.distance(evidence.score, full)
        away = share * self._frontier.radius(pseudo_angle(outward), distance)
        return np.asarray((1.0 - share)[:, None] * inside + away[:, None] * outward)

    def _outward(self, rows: Grid) -> Floats:
        """The unit direction (m, 2) in which a row leaves the cloud.

        From the linear view, not from the neighbours' mean: noise turns it less (in a trial on
        Tennessee Eastman the worst of 13,440 rows with 0.1 sigma of noise moved .42 widths of the
        cloud, and .73 with the mean added in). A row whose view is zero has no side; its
        neighbours in feature space may leave on another.
        """
        view = rows.whole @ self._view  # exact
        length = np.sqrt(view[:, 0] * view[:, 0] + view[:, 1] * view[:, 1])
        view[length == 0.0] = (1.0, 0.0)
        return np.asarray(view / np.maximum(length, 1.0)[:, None])

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "umap_landmarks": self._neighbours.landmarks,
            "umap_places": self._neighbours.places,
            "umap_plane": self._plane,
            "umap_blend": np.array(self._blend),
            **self._frontier.arrays(),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> UmapLayout:
        calm, full = stored["umap_blend"].tolist()
        return cls(
            Neighbours(stored["umap_landmarks"], stored["umap_places"]),
            Frontier.from_arrays(stored),
            stored["umap_plane"],
            (calm, full),
        )


def landmark_rows(rows: int) -> NDArray[np.int64]:
    """Which of the rows are landmarks: all, or 5,000 at even steps of time.

    >>> len(landmark_rows(12)), len(landmark_rows(20_000)), int(landmark_rows(20_000)[-1])
    (12, 5000, 19999)
    """
    return np.linspace(0, rows - 1, min(rows, MOST_LANDMARKS)).round().astype(np.int64)


def in_robust_units(places: Floats) -> Floats:
    """Centre on the median; one unit is the median distance from there.

    >>> in_robust_units(np.array([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]]))[:, 0].tolist()
    [-1.0, 0.0, 1.0]
    """
    places = places - np.median(places, axis=0)
    return np.asarray(places / np.median(np.sqrt((places**2).sum(axis=1))))


def draw(rows: Floats) -> Floats:
    """UMAP's layout (n, 2) of different rows (n, q), started from their first two coordinates.

    The start is deterministic and keeps the global arrangement (D. Kobak, G. Linderman, Nature
    Biotechnology 39, 2021); a spectral start warns or fails on few rows and separate clusters.
    umap and numba are imported here and nowhere else: placing rows never needs them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap says that tensorflow is not there
        from umap.umap_ import fuzzy_simplicial_set, simplicial_set_embedding

        random = np.random.RandomState(SEED)
        indices, distances = graph(rows, min(GRAPH_NEIGHBOURS, len(rows)))
        data = rows.astype(np.float32)
        edges, _, _ = fuzzy_simplicial_set(
            data, indices.shape[1], random, "euclidean", knn_indices=indices, knn_dists=distances
        )
        places, _ = simplicial_set_embedding(
            data=data,
            graph=edges,
            n_components=2,
            initial_alpha=1.0,
            a=CURVE_A,
            b=CURVE_B,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=None,
            init=_start(rows, random),
            random_state=random,
            metric="euclidean",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
        )
    return np.asarray(places, dtype=np.float64)


def graph(rows: Floats, count: int) -> tuple[NDArray[np.int32], Floats32]:
    """The `count` nearest rows of each row, itself first: indices and distances (n, count)."""
    indices = np.empty((len(rows), count), dtype=np.int32)
    distances = np.empty((len(rows), count), dtype=np.float32)
    lengths = np.einsum("ij,ij->i", rows, rows)
    for start in range(0, len(rows), TILE):
        tile = np.arange(start, min(start + TILE, len(rows)))
        squared = lengths[tile, None] + lengths - 2.0 * (rows[tile] @ rows.T)
        squared[np.arange(len(tile)), tile] = -1.0  # itself first, whatever rounding says
        near, indices[tile] = nearest(squared, count)
        distances[tile] = np.sqrt(np.maximum(near, 0.0))
    return indices, distances


def _start(rows: Floats, random: np.random.RandomState) -> Floats32:
    """Two coordinates to start from; noise for the second where the rows lie on a line."""
    start = np.zeros((len(rows), 2))
    start[:, : rows.shape[1]] = rows[:, :2]
    if np.ptp(start[:, 1]) <= 1e-9 * np.ptp(start[:, 0]):
        start[:, 1] = random.normal(scale=1e-2 * np.ptp(start[:, 0]), size=len(rows))
    return start.astype(np.float32)
