"""Limits from rows that the model did not see.

A chi-squared limit would flag 20 to 100 % of unseen healthy rows, because a covariance estimated
from few rows fits those rows too well. So the baseline is cut into contiguous blocks of time, each
is measured by a metric fitted on the other blocks, and the limits are taken from those distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats
from dinsight.maps.levels import LevelRule
from dinsight.maps.metric import shrinkage, smaller_product

BLOCKS = 5
ALARM_SHARE = 0.99
WARNING_SHARE = 0.95
CALM_SHARE = 0.4  # below this share of unseen healthy scores a row stays among its neighbours
FULL_SHARE = 0.6  # above this one its place says its score; see `frontier`
LEAST_BLEND = 0.05
LEAVE_SHARE = 0.75  # an alarm is left by three in four healthy rows, whatever the hysteresis
HYSTERESIS, MOST_HYSTERESIS = 0.9, 0.99


@dataclass(frozen=True)
class Calibration:
    """The alarm limit as a distance, and the scores that unseen healthy rows had.

    `alarm` is the whitened distance that is score 1; `unseen` (u,) sorted scores.
    """

    alarm: float
    unseen: Floats

    @classmethod
    def fit(cls, scaled: Floats, product: Floats | None = None) -> Calibration:
        """Calibrate on scaled baseline rows (n, d), n >= 2, in the order of time.

        `product` is their `smaller_product`, where it is known.
        """
        distances = unseen_distances(
            scaled, smaller_product(scaled) if product is None else product
        )
        alarm = limit(distances, ALARM_SHARE)
        return cls(alarm, np.sort(distances) / alarm)

    def rule(self) -> LevelRule:
        """Limits and hysteresis of the levels, in scores.

        In wide data all distances are alike (healthy rows may sit at 0.9 of their limit), so that
        a hysteresis of 0.9 would never let go; it is raised to where healthy rows are.
        """
        warning = min(limit(self.unseen, WARNING_SHARE), 1.0)
        usual = float(np.quantile(self.unseen, LEAVE_SHARE))
        hysteresis = min(max(HYSTERESIS, usual / warning), MOST_HYSTERESIS)
        return LevelRule(warning=warning, hysteresis=hysteresis)

    def blend(self) -> tuple[float, float]:
        """The scores between which a place turns from its neighbours' to its score's."""
        full = min(float(np.quantile(self.unseen, FULL_SHARE)), 1.0 - LEAST_BLEND)
        calm = min(float(np.quantile(self.unseen, CALM_SHARE)), full - LEAST_BLEND)
        return max(calm, 0.0), full

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {"calibration_alarm": np.float64(self.alarm), "calibration_unseen": self.unseen}

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Calibration:
        return cls(float(stored["calibration_alarm"]), stored["calibration_unseen"])


def limit(values: Floats, share: float) -> float:
    """The value that a share of further healthy values should stay below.

    The larger of the empirical quantile and of the prediction limit of a log-normal (Student's t
    with the uncertainty of mean and spread: Hahn and Meeker, Statistical Intervals, 1991). The
    first follows heavy tails; the second keeps a handful of rows from promising a tail they
    never saw.

    >>> round(limit(np.linspace(1, 2, 1001), 0.99), 1)
    2.3
    """
    from scipy.stats import t

    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    count = len(values)
    reach = float(t.ppf(share, count - 1)) * float(logs.std(ddof=1)) * np.sqrt(1 + 1 / count)
    return max(float(np.quantile(values, share)), float(np.exp(logs.mean() + reach)))


def unseen_distances(scaled: Floats, product: Floats) -> Floats:
    """Each row's distance under the metric of the other blocks, shape (n,).

    No decomposition: with covariance a ZᵀZ + b I, the distance follows from a Cholesky solve with
    the smaller of the Gram matrix and the covariance (Woodbury), both made once for all blocks.
    """
    rows, columns = scaled.shape
    blocks = np.array_split(np.arange(rows), min(BLOCKS, rows))
    measure = _by_gram if rows < columns else _by_covariance
    return np.concatenate([measure(scaled, product, block) for block in blocks])


def _by_gram(scaled: Floats, gram: Floats, block: NDArray[np.int64]) -> Floats:
    others = np.setdiff1d(np.arange(len(scaled)), block)
    inner = gram[np.ix_(others, others)]
    cross = gram[np.ix_(block, others)]
    means, mean = inner.mean(axis=0), float(inner.mean())
    own = gram[block, block] - 2.0 * cross.mean(axis=1) + mean
    cross = cross - cross.mean(axis=1)[:, None] - means + mean
    inner = inner - means[:, None] - means + mean
    shrunk = shrinkage(inner, inner.diagonal().copy(), scaled.shape[1])
    floor = shrunk.floor
    if shrunk.rho >= 1.0:
        return np.asarray(np.sqrt(np.maximum(own, 0.0) / floor))
    ridge = floor * len(others) / (1.0 - shrunk.rho)
    inside = _quadratic(inner + ridge * np.eye(len(others)), cross)
    return np.asarray(np.sqrt(np.maximum(own - inside, 0.0) / floor))


def _by_covariance(scaled: Floats, product: Floats, block: NDArray[np.int64]) -> Floats:
    held = scaled[block]
    rows, columns = len(scaled) - len(block), scaled.shape[1]
    mean = (scaled.sum(axis=0) - held.sum(axis=0)) / rows
    inner = product - held.T @ held - rows * np.outer(mean, mean)
    lengths = np.einsum("ij,ij->i", scaled, scaled) - 2.0 * (scaled @ mean) + mean @ mean
    shrunk = shrinkage(inner, np.delete(lengths, block), columns)
    covariance = (1.0 - shrunk.rho) / rows * inner + shrunk.floor * np.eye(columns)
    return np.sqrt(_quadratic(covariance, held - mean))


def _quadratic(matrix: Floats, rows: Floats) -> Floats:
    """rowᵀ matrix⁻¹ row for each row (m, k) of a positive definite matrix (k, k)."""
    from scipy.linalg import cho_factor, solve_triangular

    factor, lower = cho_factor(matrix, lower=True, check_finite=False)
    solved: Floats = solve_triangular(factor, rows.T, lower=lower, check_finite=False)
    return np.asarray(np.einsum("ij,ij->j", solved, solved))
