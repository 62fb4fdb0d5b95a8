"""The distance of a row from the healthy machine: Ledoit-Wolf shrinkage, whitened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Grid, grid

LEAST_VARIANCE = 1e-6  # in squared units; keeps a singular, hardly shrunk covariance invertible
NO_VARIANCE = 1e-10  # directions below this share of the largest are rounding


@dataclass(frozen=True)
class Shrinkage:
    """How far the sample covariance is pulled towards the identity.

    O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88, 2004. `rho` in 0..1, `mean` the mean variance of a column:
    covariance = (1 - rho) * sample + rho * mean * identity.
    """

    rho: float
    mean: float

    @property
    def floor(self) -> float:
        """The variance of every direction that the sample does not span."""
        return max(self.rho * self.mean, LEAST_VARIANCE)


def shrinkage(product: Floats, lengths: Floats, columns: int) -> Shrinkage:
    """Ledoit-Wolf from the smaller of the two products of the centred rows (n, d).

    `product` is Z Zᵀ (n, n) or Zᵀ Z (d, d), which have the same trace and Frobenius norm;
    `lengths` (n,) is |row|². Equals sklearn.covariance.LedoitWolf.
    """
    rows = len(lengths)
    mean = float(lengths.sum()) / (rows * columns)
    if columns == 1:
        return Shrinkage(0.0, mean)
    frobenius = float(np.einsum("ij,ij->", product, product)) / rows**2
    noise = (float(lengths @ lengths) / rows - frobenius) / (columns * rows)
    distance = frobenius / columns - mean * mean
    noise = min(noise, distance)
    return Shrinkage(noise / distance if noise > 0.0 else 0.0, mean)


def smaller_product(rows: Floats) -> Floats:
    """Z Zᵀ (n, n) when n < d, else Zᵀ Z (d, d): 16,377 columns are no problem, 500 rows are few."""
    count, columns = rows.shape
    return np.asarray(rows @ rows.T if count < columns else rows.T @ rows)


@dataclass(frozen=True)
class Spectrum:
    """The shrunk covariance of centred rows, as its directions, largest variance first.

    `directions` (d, r) is orthonormal, `variances` (r,) those of the sample; the d - r other
    directions have `shrunk.floor` alone.

    >>> z = np.random.default_rng(0).standard_normal((6, 9))
    >>> spectrum = Spectrum.fit(z - z.mean(axis=0))
    >>> spectrum.directions.shape
    (9, 5)
    """

    directions: Floats
    variances: Floats
    shrunk: Shrinkage

    @classmethod
    def fit(cls, centred: Floats, product: Floats | None = None) -> Spectrum:
        """Decompose the `smaller_product` of centred rows (n, d), which may be given."""
        rows, columns = centred.shape
        product = smaller_product(centred) if product is None else product
        shrunk = shrinkage(product, np.einsum("ij,ij->i", centred, centred), columns)
        variances, vectors = np.linalg.eigh(product / rows)
        variances, vectors = variances[::-1], vectors[:, ::-1]
        if rows < columns:
            kept = variances > NO_VARIANCE * variances[0]
            variances, vectors = variances[kept], vectors[:, kept]
            vectors = centred.T @ (vectors / np.sqrt(rows * variances))
        return cls(vectors, np.maximum(variances, 0.0), shrunk)

    def deviations(self) -> Floats:
        """Standard deviation (r,) of the shrunk covariance along each direction."""
        kept = (1.0 - self.shrunk.rho) * self.variances
        return np.sqrt(kept + self.shrunk.floor)

    def covariance(self) -> Floats:
        """The shrunk covariance (d, d) itself: for checks, not for wide data."""
        excess = (1.0 - self.shrunk.rho) * self.variances
        spanned = (self.directions * excess) @ self.directions.T
        return spanned + self.shrunk.floor * np.eye(len(self.directions))


@dataclass(frozen=True)
class Measured:
    """What the metric says of rows: `lead` (m, q), coordinates along the leading directions in
    scaled units, and `distance` (m,), Mahalanobis."""

    lead: Floats
    distance: Floats


@dataclass(frozen=True)
class Metric:
    """Mahalanobis distance from the centre, the same bits for a row in any batch.

    `directions` (p, r) float64 holds whole numbers worth `steps` (r,) each, see `exact.grid`; a
    row's distance is |W z|² over the spanned directions, plus what lies outside the span over the
    floor, plus the constant columns in their own units. `spans` says that nothing lies outside.
    """

    directions: Floats
    steps: Floats
    deviations: Floats
    floor: float
    leading: int

    @classmethod
    def fit(cls, spectrum: Spectrum, leading: int) -> Metric:
        """Put the directions on the grid; `leading` of them are kept for neighbours."""
        on_grid = grid(np.ascontiguousarray(spectrum.directions.T))
        return cls(
            np.ascontiguousarray(on_grid.whole.T),
            on_grid.step,
            spectrum.deviations(),
            spectrum.shrunk.floor,
            min(leading, len(on_grid.step)),
        )

    @property
    def spans(self) -> bool:
        rows, columns = self.directions.shape
        return bool(rows == columns)

    def measure(self, moving: Floats, still: Floats) -> Measured:
        """Scaled rows (m, p) and constant columns (m, c) to coordinates and distances."""
        rows = grid(moving)
        along = rows.whole @ self.directions  # exact, so any BLAS gives these bits
        along *= self.steps
        step = rows.step
        lead = along[:, : self.leading] * step[:, None]
        squared = np.zeros(len(moving))
        if not self.spans:
            inside = grid(along).squared_norms() * step * step
            squared = np.maximum(rows.squared_norms() - inside, 0.0) / self.floor
        along /= self.deviations
        white = grid(along)
        squared += Grid(white.whole, white.step * step).squared_norms()
        if still.shape[1]:
            squared += grid(still).squared_norms()
        return Measured(lead, np.sqrt(squared))

    def arrays(self) -> dict[str, Any]:
        """What is stored: the whole numbers fit in float32 exactly, at half the size."""
        return {
            "metric_directions": self.directions.astype(np.float32),
            "metric_steps": self.steps,
            "metric_deviations": self.deviations,
            "metric_floor": np.float64(self.floor),
            "metric_leading": np.int64(self.leading),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Metric:
        return cls(
            stored["metric_directions"].astype(np.float64),
            stored["metric_steps"],
            stored["metric_deviations"],
            float(stored["metric_floor"]),
            int(stored["metric_leading"]),
        )
