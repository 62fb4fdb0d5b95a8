"""Metric multidimensional scaling: places whose distances are those of feature space."""

from __future__ import annotations

import numpy as np

from dinsight.maps.exact import Floats

ITERATIONS = 150


def smacof(distances: Floats, start: Floats, iterations: int = ITERATIONS) -> Floats:
    """Places (n, 2) that approximate symmetric `distances` (n, n), from a start (n, 2).

    Minimises raw stress, the sum of (|x_i - x_j| - d_ij)², by a fixed number of Guttman transforms,
    none of which can raise it (J. de Leeuw, "Applications of convex analysis to multidimensional
    scaling", 1977; I. Borg, P. Groenen, Modern Multidimensional Scaling, 2005, ch. 8). Nothing is
    drawn at random: the same input gives the same places.

    >>> d = np.array([[0.0, 3, 4], [3, 0, 5], [4, 5, 0]])
    >>> x = smacof(d, np.array([[0.0, 0], [1, 0], [0, 1]]))
    >>> np.round(np.sqrt(((x[:, None] - x) ** 2).sum(axis=2)), 6).tolist()
    [[0.0, 3.0, 4.0], [3.0, 0.0, 5.0], [4.0, 5.0, 0.0]]
    """
    places = start
    for _ in range(iterations):
        ratio = np.zeros_like(distances)
        np.divide(distances, (drawn := between(places)), out=ratio, where=drawn > 0.0)
        places = (places * ratio.sum(axis=1)[:, None] - ratio @ places) / len(places)
    return places


def stress(distances: Floats, places: Floats) -> float:
    """Kruskal's stress-1: 0 when places (n, 2) have exactly these distances (n, n).

    >>> stress(np.array([[0.0, 2], [2, 0]]), np.array([[0.0, 0], [1, 0]]))
    1.0
    """
    drawn = between(places)
    return float(np.sqrt(((drawn - distances) ** 2).sum() / (drawn**2).sum()))


def between(places: Floats) -> Floats:
    """Euclidean distances (n, n) of rows (n, q) of any width, without cancellation."""
    squared = np.zeros((len(places), len(places)))
    for column in places.T:
        away = column[:, None] - column
        squared += away * away
    return np.sqrt(squared)
