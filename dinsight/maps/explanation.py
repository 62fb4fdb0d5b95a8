"""Why a row is where it is: what each feature adds to its distance, and in which bands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats
from dinsight.maps.metric import Metric
from dinsight.maps.scaling import Scaling

BIN = re.compile(r"(f_|freq_)(.+)$", re.IGNORECASE)
OF_LARGEST, OF_MEAN, OF_ALL = 0.1, 3.0, 0.05  # a feature drives the score from these shares on
MOST_OUT, LEAST_GAIN = 64, 0.005
GAP = 2  # bins that far apart still belong to one band: a single bin between may be calm


@dataclass(frozen=True)
class Band:
    """Adjacent features that are associated with a score.

    `first` and `last` are columns, `share` of the whole contribution, `z` the signed deviation of
    its strongest feature, `low` and `high` in Hz where the header says so.
    """

    first: int
    last: int
    label: str
    share: float
    z: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Explanation:
    """What is associated with a row's score; never a cause.

    `score` is the larger of `whole`, the distance over all features, and `isolated`, the one
    feature that the others explain least, each in units of its limit. `contribution` (d,) sums to
    1, `z` (d,) is the signed deviation from the baseline's mean in its spread, `expected` (d,) what
    the other features of the row predict, in the column's unit.
    """

    score: float
    whole: float
    isolated: float
    contribution: Floats
    z: Floats
    expected: Floats

    def bands(self, features: Sequence[str], most: int = 8) -> list[Band]:
        """The driving bands, strongest first; features that are no bins stand alone."""
        numbers = [bin_number(name) for name in features]
        spectrum = all(number is not None for number in numbers)
        order = np.argsort([number or 0.0 for number in numbers], kind="stable")
        if not spectrum:
            order = np.arange(len(features))
        driving = self.contribution[order] >= self._least()
        found = [
            self._band(features, order[list(run)])
            for run in _runs(np.flatnonzero(driving), GAP if spectrum else 0)
        ]
        return sorted(found, key=lambda band: -band.share)[:most]

    def _least(self) -> float:
        largest = float(self.contribution.max())
        notable = min(OF_MEAN / len(self.contribution), OF_ALL)
        return min(max(notable, OF_LARGEST * largest), largest)

    def _band(self, features: Sequence[str], columns: NDArray[np.int64]) -> Band:
        strongest = columns[np.argmax(self.contribution[columns])]
        first, last = int(columns[0]), int(columns[-1])
        low, high = hertz(features[first]), hertz(features[last])
        return Band(
            first=first,
            last=last,
            label=_label(features[first], features[last]),
            share=float(self.contribution[columns].sum()),
            z=float(self.z[strongest]),
            low=low,
            high=high,
        )


def explain(
    scaling: Scaling, metric: Metric, row: NDArray[np.float32], score: tuple[float, float]
) -> Explanation:
    """Explain a row (d,) whose evidences, `whole` and `isolated`, are known."""
    moving, still = scaling.apply(row[None, :])
    found = reconstruct(metric, moving[0], metric.measure(moving, still).residual[0])
    z = np.empty(len(row))
    z[~scaling.still], z[scaling.still] = moving[0], still[0]
    contribution, predicted = np.empty(len(row)), np.zeros(len(row))
    contribution[~scaling.still] = found.contribution
    contribution[scaling.still] = still[0] * still[0]
    predicted[~scaling.still] = found.predicted
    total = float(contribution.sum())
    return Explanation(
        score=max(score),
        whole=score[0],
        isolated=score[1],
        contribution=contribution / total if total > 0.0 else np.full(len(row), 1.0 / len(row)),
        z=z,
        expected=scaling.centre + predicted * scaling.unit,
    )


@dataclass(frozen=True)
class Reconstruction:
    """`contribution` (p,) to the squared distance, `predicted` (p,) values, in scaled units."""

    contribution: Floats
    predicted: Floats


def reconstruct(metric: Metric, row: Floats, residual: Floats) -> Reconstruction:
    """Take the features out of a scaled row (p,) one by one, the most telling first.

    A feature's contribution is the part of the squared distance that vanishes when it is replaced
    by what the features that are still in predict: c_i = r_i² / P_ii with r = P (x - m) and P the
    inverse covariance of those. The first is that of reconstruction-based contribution (C. Alcala,
    S. J. Qin, Automatica 45, 2009), which names a single faulty sensor rightly where
    (x - m)_i r_i smears it over its neighbours; taking it out before the next is named does the
    same for several (a pivoted Cholesky factorisation of P). It ends when a feature would take
    less than half a per cent; what is left is shared in proportion.
    """
    own, left = metric.own_precision(), residual.copy()
    contribution, out = np.zeros(len(row)), np.zeros(len(row), dtype=bool)
    factors: list[Floats] = []
    total = float(row @ residual)
    while len(factors) < min(MOST_OUT, len(row) - 1):
        gains = np.where(out, 0.0, left * left / own)
        worst = int(gains.argmax())
        if gains[worst] <= LEAST_GAIN * total:
            break
        factor = metric.precision_of(worst)
        for before in factors:
            factor -= before * before[worst]
        factor /= np.sqrt(own[worst])
        contribution[worst] = gains[worst]
        left -= factor * (left[worst] / np.sqrt(own[worst]))
        out[worst] = True
        own = np.where(out, 1.0, np.maximum(own - factor * factor, np.finfo(np.float64).tiny))
        factors.append(factor)
    predicted = row - left / own
    predicted[out] = row[out] - _jointly(metric, residual, np.flatnonzero(out))
    rest = np.where(out, 0.0, left * left / own)
    if rest.sum() > 0.0:
        contribution += rest * (max(total - float(contribution.sum()), 0.0) / rest.sum())
    return Reconstruction(contribution, predicted)


def _jointly(metric: Metric, residual: Floats, out: NDArray[np.int64]) -> Floats:
    """How far the features taken `out` (k,) are from what all others predict of them together."""
    if len(out) == 0:
        return np.empty(0)
    among = np.stack([metric.precision_of(int(column))[out] for column in out])
    return np.asarray(np.linalg.solve(among, residual[out]))


def bin_number(name: str) -> float | None:
    """The number of a spectral bin: 12 of `f_12`, 50.5 of `freq_50.5`; None for other columns.

    >>> bin_number("freq_50.5"), bin_number("f_12"), bin_number("pressure")
    (50.5, 12.0, None)
    """
    found = BIN.match(name)
    try:
        return float(found.group(2)) if found else None
    except ValueError:
        return None


def hertz(name: str) -> float | None:
    """The frequency that a header tells: only `freq_<x>` does."""
    return bin_number(name) if name.lower().startswith("freq_") else None


def _label(first: str, last: str) -> str:
    low, high = hertz(first), hertz(last)
    if low is not None and high is not None:
        return f"{low:g} Hz" if first == last else f"{low:g}–{high:g} Hz"
    return first if first == last else f"{first}–{last}"


def _runs(places: NDArray[np.int64], gap: int) -> Iterator[range]:
    """Runs of ascending places that are at most `gap` apart, as ranges over all between.

    >>> [list(run) for run in _runs(np.array([1, 2, 4, 9]), 2)]
    [[1, 2, 3, 4], [9]]
    """
    if len(places) == 0:
        return
    ends = np.flatnonzero(np.diff(places) > gap)
    starts = np.concatenate([[0], ends + 1])
    for start, end in zip(starts, np.concatenate([ends, [len(places) - 1]]), strict=True):
        yield range(int(places[start]), int(places[end]) + 1)
