"""The distance of a row from the healthy machine: Ledoit-Wolf shrinkage, whitened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Grid, grid

LEAST_VARIANCE = 1e-6  # in squared units; keeps a singular, hardly shrunk covariance invertible
NO_VARIANCE = 1e-10  # directions below this share of the largest are rounding
# Directions that are kept apart; the others share their mean variance. It bounds the time of one
# row (a pass over the directions and back) and changes no figure of the benchmark's cases.
MOST_DIRECTIONS = 256


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

    `directions` (d, r) is orthonormal, `variances` (r,) those of the shrunk covariance along them,
    `rest` the mean variance of the d - r other directions. That is the Ledoit-Wolf covariance
    itself up to `MOST_DIRECTIONS` directions, and above it with one variance for the many small
    ones (as in probabilistic principal components: M. Tipping, C. Bishop, J. R. Stat. Soc. B 61,
    1999).

    >>> z = np.random.default_rng(0).standard_normal((6, 9))
    >>> spectrum = Spectrum.fit(z - z.mean(axis=0))
    >>> spectrum.directions.shape
    (9, 5)
    """

    directions: Floats
    variances: Floats
    rest: float
    shrunk: Shrinkage

    @classmethod
    def fit(
        cls, centred: Floats, product: Floats | None = None, most: int = MOST_DIRECTIONS
    ) -> Spectrum:
        """Decompose the `smaller_product` of centred rows (n, d), which may be given."""
        rows, columns = centred.shape
        product = smaller_product(centred) if product is None else product
        shrunk = shrinkage(product, np.einsum("ij,ij->i", centred, centred), columns)
        sample, vectors = np.linalg.eigh(product / rows)
        sample, vectors = sample[::-1], vectors[:, ::-1]
        sample = np.maximum(sample, 0.0)
        kept = min(most, int(np.count_nonzero(sample > NO_VARIANCE * sample[0])), len(sample))
        if rows >= columns and columns <= most:
            kept = columns
        others = columns - kept
        rest = float(sample[kept:].sum()) / others if others else 0.0
        vectors, sample = vectors[:, :kept], sample[:kept]
        if rows < columns:
            vectors = centred.T @ (vectors / np.sqrt(rows * sample))
        full = 1.0 - shrunk.rho
        return cls(vectors, full * sample + shrunk.floor, full * rest + shrunk.floor, shrunk)

    def covariance(self) -> Floats:
        """The covariance (d, d) itself: for checks, not for wide data."""
        spanned = (self.directions * (self.variances - self.rest)) @ self.directions.T
        return spanned + self.rest * np.eye(len(self.directions))


@dataclass(frozen=True)
class Measured:
    """What the metric says of rows.

    `lead` (m, q) coordinates along the leading directions in scaled units, `squared` (m,) the
    squared length of the scaled row, `distance` (m,) Mahalanobis, `residual` (m, p) the row times
    the inverse covariance: what each moving column has that the others do not explain.
    """

    lead: Floats
    squared: Floats
    distance: Floats
    residual: Floats


@dataclass(frozen=True)
class Metric:
    """Mahalanobis distance from the centre, the same bits for a row in any batch.

    `directions` (p, r) float64 holds whole numbers worth `steps` (r,) each, see `exact.grid`; a
    row's squared distance is |W z|² over the directions, plus what lies outside their span over
    the variance `rest`, plus the constant columns in their own units.
    """

    directions: Floats
    steps: Floats
    variances: Floats
    rest: float
    leading: int

    @classmethod
    def fit(cls, spectrum: Spectrum, leading: int) -> Metric:
        """Put the directions on the grid; `leading` of them are kept for neighbours."""
        on_grid = grid(np.ascontiguousarray(spectrum.directions.T))
        return cls(
            np.ascontiguousarray(on_grid.whole.T),
            on_grid.step,
            spectrum.variances,
            spectrum.rest,
            min(leading, len(on_grid.step)),
        )

    @property
    def spans(self) -> bool:
        """Whether no direction lies outside the kept ones."""
        rows, columns = self.directions.shape
        return bool(rows == columns)

    def measure(self, moving: Floats, still: Floats) -> Measured:
        """Scaled rows (m, p) and constant columns (m, c), see `Scaling.apply`."""
        rows = grid(moving)
        along = rows.whole @ self.directions  # exact, so any BLAS gives these bits
        along *= self.steps
        step = rows.step
        lead = along[:, : self.leading] * step[:, None]
        length = rows.squared_norms()
        squared = np.zeros(len(moving))
        if not self.spans:
            inside = grid(along).squared_norms() * step * step
            squared = np.maximum(length - inside, 0.0) / self.rest
        residual = self._residual(moving, along, step)
        along /= self._deviations
        white = grid(along)
        squared += Grid(white.whole, white.step * step).squared_norms()
        if still.shape[1]:
            constant = grid(still).squared_norms()
            squared += constant
            length = length + constant
        return Measured(lead, length, np.sqrt(squared), residual)

    def _residual(self, moving: Floats, along: Floats, step: Floats) -> Floats:
        """The rows (m, p) times the inverse covariance."""
        weighed = grid(along * self._weights)
        residual = weighed.whole @ self.directions.T  # exact
        residual *= (weighed.step * step)[:, None]
        if not self.spans:
            residual += moving * self._outside
        return np.asarray(residual)

    @cached_property
    def _outside(self) -> float:
        """The precision of every direction that is not kept."""
        return 0.0 if self.spans else 1.0 / self.rest

    @cached_property
    def _weights(self) -> Floats:
        """What the precision along each direction is more than outside, per step (r,)."""
        return self.steps * (1.0 / self.variances - self._outside)

    @cached_property
    def _deviations(self) -> Floats:
        return np.sqrt(self.variances)

    def precision_of(self, column: int) -> Floats:
        """One column (p,) of the inverse covariance."""
        weights = self.steps * self._weights
        found: Floats = self.directions @ (weights * self.directions[column])
        found[column] += self._outside
        return found

    def own_precision(self) -> Floats:
        """The diagonal (p,) of the inverse covariance: one over what a column has of its own."""
        weights = self.steps * self._weights
        diagonal: Floats = np.einsum("ij,ij,j->i", self.directions, self.directions, weights)
        return diagonal + self._outside

    def reach_of_noise(self) -> Floats:
        """What unit noise in every column makes of the residual (p,) of each: |row of P|."""
        outside, precision = self._outside, 1.0 / self.variances
        weights = self.steps * self.steps * (precision * precision - outside * outside)
        squared: Floats = np.einsum("ij,ij,j->i", self.directions, self.directions, weights)
        return np.sqrt(np.maximum(squared + outside * outside, 0.0))

    def arrays(self) -> dict[str, Any]:
        """What is stored: the whole numbers fit in float32 exactly, at half the size."""
        return {
            "metric_directions": self.directions.astype(np.float32),
            "metric_steps": self.steps,
            "metric_variances": self.variances,
            "metric_rest": np.float64(self.rest),
            "metric_leading": np.int64(self.leading),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Metric:
        return cls(
            stored["metric_directions"].astype(np.float64),
            stored["metric_steps"],
            stored["metric_variances"],
            float(stored["metric_rest"]),
            int(stored["metric_leading"]),
        )
