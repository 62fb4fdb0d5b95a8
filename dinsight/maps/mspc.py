"""The process engineer's two figures: Hotelling's T² and the squared prediction error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats
from dinsight.maps.metric import NO_VARIANCE, smaller_product


@dataclass(frozen=True)
class ProcessModel:
    """Principal components of healthy operation.

    T² is the squared distance from the centre along the components, each in its own standard
    deviations; SPE (also Q) is the squared length of what the components leave over (J. Jackson,
    G. Mudholkar, Technometrics 21, 1979; L. Chiang, E. Russell, R. Braatz, Fault Detection and
    Diagnosis in Industrial Systems, 2001, ch. 4).

    `centre` (d,), `directions` (d, a) orthonormal, `variances` (a,) positive, largest first.

    >>> rows = np.array([[-3.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    >>> model = ProcessModel.fit(rows, 1)
    >>> t2, spe = model.statistics(np.array([[5.0, 2.0]]))
    >>> round(float(t2[0]), 6), round(float(spe[0]), 6)
    (3.75, 4.0)
    """

    centre: Floats
    directions: Floats
    variances: Floats

    @classmethod
    def fit(cls, scaled: Floats, components: int) -> ProcessModel:
        """Fit to scaled rows (n, d), n >= 2, in any units that are comparable between columns.

        The `components` (1 or more) are fewer where the rows do not span so many directions.
        """
        centre = scaled.mean(axis=0)
        centred = scaled - centre
        variances, vectors = leading(smaller_product(centred), len(scaled), components)
        if len(scaled) < scaled.shape[1]:
            vectors = centred.T @ vectors / np.sqrt(variances * (len(scaled) - 1))
        return cls(centre, vectors, variances)

    def statistics(self, rows: Floats) -> tuple[Floats, Floats]:
        """T² (m,) and SPE (m,) of scaled rows (m, d)."""
        centred = rows - self.centre
        along = centred @ self.directions
        left = centred - along @ self.directions.T
        return (along**2 / self.variances).sum(axis=1), np.einsum("ij,ij->i", left, left)


def leading(product: Floats, rows: int, components: int) -> tuple[Floats, Floats]:
    """Variances (a,) and eigenvectors (k, a) of a `smaller_product` (k, k), largest first."""
    from scipy.linalg import eigh

    size = len(product)
    found, vectors = eigh(product, subset_by_index=[max(size - components, 0), size - 1])
    found, vectors = found[::-1] / (rows - 1), vectors[:, ::-1]
    kept = found > NO_VARIANCE * max(float(found[0]), np.finfo(np.float64).tiny)
    return np.asarray(found[kept]), np.asarray(vectors[:, kept])


def held_out_statistics(
    scaled: Floats, product: Floats, components: int, blocks: list[NDArray[np.int64]]
) -> tuple[Floats, Floats]:
    """T² (n,) and SPE (n,) of each row by the `ProcessModel` of the rows outside its block.

    `product` is the `smaller_product` of `scaled` (n, d); with fewer rows than columns nothing of
    the width d is touched again.
    """
    t2, spe = np.empty(len(scaled)), np.empty(len(scaled))
    by_rows = len(product) == len(scaled) < scaled.shape[1]
    for block in blocks:
        if by_rows:
            t2[block], spe[block] = _by_gram(product, components, block)
        else:
            model = _without(scaled, product, components, block)
            t2[block], spe[block] = model.statistics(scaled[block])
    return t2, spe


def _by_gram(gram: Floats, components: int, block: NDArray[np.int64]) -> tuple[Floats, Floats]:
    others = np.delete(np.arange(len(gram)), block)
    inner, cross = gram[np.ix_(others, others)], gram[np.ix_(block, others)]
    means, mean = inner.mean(axis=0), float(inner.mean())
    own = gram[block, block] - 2.0 * cross.mean(axis=1) + mean
    cross = cross - cross.mean(axis=1)[:, None] - means + mean
    inner = inner - means[:, None] - means + mean
    variances, vectors = leading(inner, len(others), components)
    along = cross @ vectors / np.sqrt(variances * (len(others) - 1))
    squares = along**2
    return (squares / variances).sum(axis=1), np.maximum(own - squares.sum(axis=1), 0.0)


def _without(
    scaled: Floats, product: Floats, components: int, block: NDArray[np.int64]
) -> ProcessModel:
    held = scaled[block]
    rows = len(scaled) - len(block)
    if rows < scaled.shape[1]:
        return ProcessModel.fit(np.delete(scaled, block, axis=0), components)
    centre = (scaled.sum(axis=0) - held.sum(axis=0)) / rows
    inner = product - held.T @ held - rows * np.outer(centre, centre)
    variances, vectors = leading(inner, rows, components)
    return ProcessModel(centre, vectors, variances)
