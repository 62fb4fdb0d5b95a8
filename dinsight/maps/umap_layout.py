"""The `umap` layout: UMAP draws the baseline; new rows go among their neighbours, and outward."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Floats32, grid, log
from dinsight.maps.layouts import Evidence, Guide, in_robust_units, spread_out
from dinsight.maps.neighbours import Neighbours, nearest
from dinsight.maps.outward import Outward

SEED = 20_240_229
GRAPH_NEIGHBOURS = 15
# umap.umap_.find_ab_params(spread=1.0, min_dist=0.1): written down so that no fit can move them.
CURVE_A, CURVE_B = 1.576943460405378, 0.8950608781227859
MOST_LANDMARKS = 5_000
ISLAND = 1.5  # times the median distance from the centre: further out, radii are logarithmic
TILE = 1_024


class UmapLayout:
    """UMAP of the baseline, with placement that keeps far rows far.

    L. McInnes, J. Healy, J. Melville, "UMAP", arXiv:1802.03426. Neighbours are found along the ten
    leading directions, not in the whitened space: there, with fewer rows than columns, all rows
    are equally far from each other and nothing of the structure is left (trustworthiness of
    unseen healthy rows of CWRU and FEMTO, k = 10, before any push: whitened .39-.57, all scaled
    columns .78-.81, ten directions .81-.83; UMAP.transform .82 and .78).
    """

    name: ClassVar[str] = "umap"

    def __init__(self, neighbours: Neighbours, outward: Outward) -> None:
        self._neighbours, self._outward = neighbours, outward

    @classmethod
    def fit(cls, evidence: Evidence) -> tuple[UmapLayout, Floats]:
        """The layout of baseline rows, all different, at least 3, and their places (n, 2) on it.

        Above 5,000 UMAP draws an even selection, and the others start among their neighbours.
        """
        landmarks = evidence.lead[spread_out(len(evidence.lead), MOST_LANDMARKS)]
        neighbours = Neighbours(landmarks, with_islands_near(in_robust_units(draw(landmarks))))
        outward, places = Outward.fit(evidence, _drawn(neighbours, evidence))
        return cls(neighbours, outward), places

    def place(self, evidence: Evidence) -> Floats:
        """From among their neighbours, outward with their scores."""
        return self._outward.place(self._neighbours.mean(grid(evidence.lead)), evidence)

    def guides(self) -> tuple[Guide, ...]:
        """None: a direction on this map has no meaning of its own."""
        return ()

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "umap_landmarks": self._neighbours.landmarks,
            "umap_places": self._neighbours.places,
            **self._outward.arrays(),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> UmapLayout:
        return cls(
            Neighbours(stored["umap_landmarks"], stored["umap_places"]),
            Outward.from_arrays(stored),
        )


def _drawn(neighbours: Neighbours, evidence: Evidence) -> Floats:
    """Where the baseline rows themselves are drawn, (n, 2)."""
    places = np.empty((len(evidence.lead), 2))
    for start in range(0, len(places), TILE):
        tile = slice(start, start + TILE)
        places[tile] = neighbours.mean(grid(evidence.lead[tile]))
    places[spread_out(len(places), MOST_LANDMARKS)] = neighbours.places
    return places


def with_islands_near(places: Floats) -> Floats:
    """Places (n, 2) in robust units, with radii r above 1.5 drawn at 1.5 (1 + log(r / 1.5)).

    UMAP keeps apart what is not connected, but how far apart means nothing; a healthy start-up
    drawn five units away would only make the rest of the map small, and leave room within the
    cloud's radius for sick rows (FEMTO: 13 % of them were outside it, and all with this and the
    circle of `frontier`).

    >>> with_islands_near(np.array([[0.0, -1.0], [1.5 * np.e, 0.0]])).tolist()
    [[0.0, -1.0], [3.0, 0.0]]
    """
    lengths = np.maximum(np.sqrt((places * places).sum(axis=1)), ISLAND)
    return np.asarray(places * (ISLAND * (1.0 + log(lengths / ISLAND)) / lengths)[:, None])


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
