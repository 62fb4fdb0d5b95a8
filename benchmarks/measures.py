"""What a map is measured by. Pure functions of places, scores and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.int64]

NEAREST = 10
HEALTHY, WORN = 0, 1  # labels; anything else is left out of every figure


def auroc(values: NDArray[np.floating], labels: Labels) -> float:
    """The chance that a worn row has a larger value than a healthy one; ties count half.

    The Mann-Whitney statistic over the number of pairs (J. Hanley, B. McNeil, Radiology 143,
    1982). NaN where one of the two is missing.

    >>> auroc(np.array([1.0, 2.0, 3.0, 9.0]), np.array([0, 1, 1, -1]))
    1.0
    >>> auroc(np.array([1.0, 1.0]), np.array([0, 1]))
    0.5
    """
    healthy, worn = values[labels == HEALTHY], values[labels == WORN]
    if not len(healthy) or not len(worn):
        return float("nan")
    ranks = rankdata(np.concatenate([worn, healthy]))[: len(worn)].sum()
    return float((ranks - len(worn) * (len(worn) + 1) / 2) / (len(worn) * len(healthy)))


def from_cloud(cloud: NDArray[np.floating], places: NDArray[np.floating]) -> Floats:
    """Mean distance (m,) of places (m, 2) to the 10 nearest points of a cloud (n, 2).

    >>> from_cloud(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 0.0]])).tolist()
    [1.0]
    """
    nearest = np.arange(1, min(NEAREST, len(cloud)) + 1)
    distances, _ = cKDTree(cloud).query(places, nearest)
    return np.asarray(distances.mean(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Circle:
    """The circle about a cloud's median that holds 99 % of its points.

    >>> circle = Circle.about(np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]))
    >>> circle.outside(np.array([[0.5, 0.5], [0.0, 3.0]])).tolist()
    [False, True]
    """

    centre: Floats
    radius: float

    @classmethod
    def about(cls, cloud: NDArray[np.floating]) -> Circle:
        """The circle of a cloud (n, 2)."""
        centre = np.median(cloud.astype(np.float64), axis=0)
        return cls(centre, float(np.quantile(np.linalg.norm(cloud - centre, axis=1), 0.99)))

    @property
    def width(self) -> float:
        """One width of the cloud, in map units."""
        return 2.0 * self.radius

    def radii(self, places: NDArray[np.floating]) -> Floats:
        """Distance (m,) of places (m, 2) from the centre."""
        return np.asarray(np.linalg.norm(places - self.centre, axis=1), dtype=np.float64)

    def outside(self, places: NDArray[np.floating]) -> Flags:
        """Which of the places (m, 2) lie outside."""
        return np.asarray(self.radii(places) > self.radius)


@dataclass(frozen=True)
class Pair:
    """Baseline rows and other rows in one space: (n, d) and (m, d)."""

    baseline: NDArray[np.floating]
    rows: NDArray[np.floating]

    def distances(self) -> Floats:
        """From each row to each baseline row, (m, n)."""
        return np.asarray(cdist(self.rows, self.baseline), dtype=np.float64)


def trustworthiness(feature_space: Pair, plane: Pair, k: int = NEAREST) -> float:
    """Whether rows stand in the plane beside those baseline rows that they resemble; 1 at best.

    J. Venna, S. Kaski, "Local multidimensional scaling", Neural Networks 19, 2006, for rows that
    are not in the baseline: the k nearest baseline rows in the plane, each by its rank among all
    n baseline rows in feature space. 0 is the worst that n rows allow. NaN without rows.

    >>> line = np.arange(6.0)[:, None]
    >>> trustworthiness(Pair(line, line[:1]), Pair(line, line[:1]), k=2)
    1.0
    >>> trustworthiness(Pair(line, line[:1]), Pair(line, line[5:]), k=2)
    0.0
    """
    count, rows = len(plane.baseline), len(plane.rows)
    k = min(k, count // 2)
    if rows == 0 or k == 0:
        return float("nan")
    shown = np.argsort(plane.distances(), axis=1, kind="stable")[:, :k]
    order = np.argsort(feature_space.distances(), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, count + 1)[None, :], axis=1)
    excess = np.maximum(np.take_along_axis(ranks, shown, axis=1) - k, 0).sum()
    return float(1.0 - 2.0 * excess / (rows * k * (2 * count - 3 * k + 1)))


def rising(values: Floats) -> float:
    """Share of the rows (m, s) whose values rise from each step to the next.

    >>> rising(np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 3.0]]))
    0.5
    """
    return float((np.diff(values, axis=1) > 0).all(axis=1).mean())


def differing(some: NDArray[np.float32], others: NDArray[np.float32]) -> int:
    """How many rows (m, c) differ in a single bit.

    >>> a = np.array([[1.0, 0.0], [2.0, 0.0]], dtype=np.float32)
    >>> differing(a, a), differing(a, a * np.float32(-1))
    (0, 2)
    """
    return int((some.view(np.uint32) != others.view(np.uint32)).any(axis=1).sum())


def first(flags: Flags) -> int | None:
    """The index of the first that holds.

    >>> first(np.array([False, True, True])), first(np.array([False]))
    (1, None)
    """
    return int(flags.argmax()) if flags.any() else None


def share(flags: Flags) -> float:
    """The share that holds; NaN of nothing.

    >>> share(np.array([True, False]))
    0.5
    """
    return float(flags.mean()) if len(flags) else float("nan")


def even(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` indices, at even steps.

    >>> even(10, 4).tolist(), even(3, 10).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of a piece of work, after one run that does not count."""
    work()
    return float(np.median([elapsed(work) for _ in range(repeats)]))


def elapsed(work: Callable[[], object]) -> float:
    """How long it takes, in seconds."""
    started = perf_counter()
    work()
    return perf_counter() - started
