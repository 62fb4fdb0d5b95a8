"""Limits from rows that the model did not see.

A chi-squared limit would flag 20 to 100 % of unseen healthy rows, because a covariance estimated
from few rows fits those rows too well. So the baseline is cut into contiguous blocks of time, each
is measured by a metric fitted on the other blocks, and the limits are taken from those figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats
from dinsight.maps.isolation import isolation
from dinsight.maps.levels import LevelRule
from dinsight.maps.metric import Measured, Metric, Spectrum, smaller_product

BLOCKS = 5
ALARM_SHARE = 0.99
WARNING_SHARE = 0.95
# The largest of a thousand residuals leaves healthy behaviour first when a machine drifts a
# little: at 99 % it was over its limit in 11 % of FEMTO's unseen healthy rows, at 99.9 % in 3 %,
# and the worn rows of every case stayed as far out.
ISOLATED_SHARE = 0.999
LEAVE_SHARE = 0.75  # an alarm is left by three in four healthy rows, whatever the hysteresis
HYSTERESIS, MOST_HYSTERESIS = 0.9, 0.99
EVERY_BLOCK, THINNING, MOST_GROWTH = 3, 4, 0.2
# Sensors that repeat each other have next to no residual, and noise of a tenth of their spread
# would be called isolated (in 6 % of healthy Tennessee Eastman rows): residuals count from two and
# a half times what it gives. From twice, 1 % more of the worn rows are over the limit, and noise
# moves a row on the map by a third more.
NOISE = 0.25
STEP = 0.1  # of each feature's spread: the noise that slack is counted in
# Where noise hardly moves the score, as in wide data, steps are made longer, so that this share of
# unseen healthy rows has more than so many steps to the limit, and the others are on their way.
NEAR_SHARE, NEAR_STEPS, MOST_NEAR = 0.95, 8.0, 0.97


@dataclass(frozen=True)
class Calibration:
    """The limits of the two evidences, and the scores that unseen healthy rows had.

    `alarm` is the whitened distance and `isolated` the isolation that are score 1, `spread` (p,)
    what the residuals of unseen healthy rows spread over, `unseen` (u,) their scores in the order
    of time; `step` and `alone_steps` (p + c,) how much of its limit a noise of a tenth of each
    feature's spread moves either evidence.

    >>> z = np.random.default_rng(0).standard_normal((200, 3))
    >>> z -= z.mean(axis=0)
    >>> product = smaller_product(z)
    >>> metric = Metric.fit(Spectrum.fit(z, product), leading=1)
    >>> found = Calibration.fit(metric, z, np.empty((200, 0)), product)
    >>> bool(np.mean(found.unseen > 1) <= 0.02)
    True
    """

    alarm: float
    isolated: float
    spread: Floats
    unseen: Floats
    step: float
    alone_steps: Floats

    @classmethod
    def fit(cls, metric: Metric, moving: Floats, still: Floats, product: Floats) -> Calibration:
        """Calibrate `metric` on the scaled baseline rows (n, p), (n, c) that it was fitted to.

        They are in the order of time, n >= 2; `moving` is centred, `product` its
        `smaller_product`.
        """
        distances, residuals = held_out(moving, still, product)
        sample = np.concatenate(held_out_blocks(len(moving))[::EVERY_BLOCK])
        fewer = held_out(moving, still, product, thinned=True, every=EVERY_BLOCK)
        distances *= _growth(distances[sample], fewer[0])
        residuals *= np.float32(_growth(_lengths(residuals[sample]), _lengths(fewer[1])))
        del fewer
        spread = np.sqrt(np.einsum("ij,ij->j", residuals, residuals) / len(residuals))
        reach = metric.reach_of_noise()
        spread = np.maximum(spread, NOISE * reach)
        alone = _isolations(residuals, still, spread)
        alarm, isolated = limit(distances, ALARM_SHARE), limit(alone, ISOLATED_SHARE)
        scores = np.maximum(distances / alarm, alone / isolated)
        joint = limit(scores, ALARM_SHARE)
        alarm, isolated, unseen = alarm * joint, isolated * joint, scores / joint
        least = (1.0 - min(float(np.quantile(unseen, NEAR_SHARE)), MOST_NEAR)) / NEAR_STEPS
        step = STEP * float(np.sqrt(metric.own_precision().mean())) / alarm
        own = np.append(_noise(reach / spread, isolated), np.zeros(still.shape[1]))
        return cls(alarm, isolated, spread, unseen, max(step, least), np.maximum(own, least))

    def whole(self, measured: Measured) -> Floats:
        """The distance over all features, in units of its limit, shape (m,)."""
        return measured.distance / self.alarm

    def alone(self, measured: Measured, still: Floats) -> Floats:
        """The isolation of each feature, in units of its limit, shape (m, p + c)."""
        return isolation(measured.residual, still, self.spread) / self.isolated

    def judge(self, measured: Measured, still: Floats) -> tuple[Floats, Floats]:
        """Score (m,), the larger of both evidences, and slack (m,), the smaller number of steps.

        A row at its limit has no slack; it has as many steps of it as a noise of a tenth of each
        feature's spread, times that number, would typically use up.
        """
        whole, alone = self.whole(measured), self.alone(measured, still)
        score = np.maximum(whole, alone.max(axis=1))
        alone -= 1.0
        alone /= self.alone_steps
        slack = np.minimum((1.0 - whole) / self.step, -alone.max(axis=1))
        return score, np.maximum(slack, 0.0)

    def rule(self) -> LevelRule:
        """Limits and hysteresis of the levels, in scores.

        In wide data all distances are alike (healthy rows may sit at 0.9 of their limit), so that
        a hysteresis of 0.9 would never let go; it is raised to where healthy rows are.
        """
        warning = min(limit(self.unseen, WARNING_SHARE), 1.0)
        usual = float(np.quantile(self.unseen, LEAVE_SHARE))
        hysteresis = min(max(HYSTERESIS, usual / warning), MOST_HYSTERESIS)
        return LevelRule(warning=warning, hysteresis=hysteresis)

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "calibration_alarm": np.float64(self.alarm),
            "calibration_isolated": np.float64(self.isolated),
            "calibration_spread": self.spread,
            "calibration_unseen": self.unseen,
            "calibration_step": np.float64(self.step),
            "calibration_alone_steps": self.alone_steps,
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Calibration:
        return cls(
            float(stored["calibration_alarm"]),
            float(stored["calibration_isolated"]),
            stored["calibration_spread"],
            stored["calibration_unseen"],
            float(stored["calibration_step"]),
            stored["calibration_alone_steps"],
        )


def _noise(reach: Floats, isolated: float) -> Floats:
    """How far a step of noise moves the isolation of each feature, in units of its limit, (p,).

    `reach` (p,) is what unit noise makes of each residual, in its spreads. It moves the feature
    itself and, with few of them, the rest of its row that it is held against.
    """
    rest = np.sqrt((reach * reach).mean() / max(len(reach) - 1, 1))
    return np.asarray(STEP * np.sqrt((reach / isolated) ** 2 + rest * rest))


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


def held_out_blocks(rows: int) -> list[NDArray[np.int64]]:
    """The contiguous blocks of time that are held out in turn."""
    return np.array_split(np.arange(rows), min(BLOCKS, rows))


def held_out(
    moving: Floats, still: Floats, product: Floats, thinned: bool = False, every: int = 1
) -> tuple[Floats, NDArray[np.float32]]:
    """Distances (n,) and residuals (n, p) of rows by the metric of other blocks.

    A row's own block is held out, and with `thinned` every fourth of the other rows too, so that
    the metric knows fewer rows of the same times. Rows of every `every`-th block.
    """
    blocks = held_out_blocks(len(moving))
    rows = sum(len(block) for block in blocks[::every])
    distances, residuals = np.empty(rows), np.empty((rows, moving.shape[1]), dtype=np.float32)
    done = 0
    for number in range(0, len(blocks), every):
        block = blocks[number]
        gone = block
        if thinned:
            gone = np.union1d(block, np.setdiff1d(np.arange(len(moving)), block)[::THINNING])
        others = np.delete(moving, gone, axis=0)
        centre = others.mean(axis=0)
        others -= centre
        inner = _product_without(moving, product, gone, centre)
        metric = Metric.fit(Spectrum.fit(others, inner), leading=1)
        measured = metric.measure(moving[block] - centre, still[block])
        part = slice(done, done := done + len(block))
        distances[part], residuals[part] = measured.distance, measured.residual
    return distances, residuals


def _growth(held: Floats, fewer: Floats) -> float:
    """How much larger figures are under a metric of all rows than of four blocks in five.

    With about as many columns as rows they still change with the number of rows n (by 7 % in a
    trial in which healthy distances differed by 3 %: a fifth of unseen healthy rows were over the
    limit). They are carried on from 0.6 n and 0.8 n rows as a + b / n.
    """
    logs = np.log(np.maximum([held, fewer], np.finfo(np.float64).tiny))
    known, less, everything = 1.0 / 0.8, 1.0 / 0.6, 1.0
    change = float((logs[0] - logs[1]).mean()) * (known - everything) / (less - known)
    return float(np.exp(np.clip(change, -MOST_GROWTH, MOST_GROWTH)))


def _lengths(residuals: NDArray[np.float32]) -> Floats:
    squared: Floats = np.einsum("ij,ij->i", residuals, residuals, dtype=np.float64)
    return np.sqrt(squared)


def _product_without(
    moving: Floats, product: Floats, gone: NDArray[np.int64], centre: Floats
) -> Floats:
    """The `smaller_product` of the other rows, centred: from that of all, not anew."""
    rows, columns = moving.shape
    others = np.delete(np.arange(rows), gone)
    if len(others) < columns <= rows:
        return smaller_product(moving[others] - centre)
    if rows < columns:
        inner = product[np.ix_(others, others)]
        means = inner.mean(axis=0)
        return np.asarray(inner - means[:, None] - means + means.mean())
    held = moving[gone]
    return np.asarray(product - held.T @ held - len(others) * np.outer(centre, centre))


def _isolations(residuals: NDArray[np.float32], still: Floats, spread: Floats) -> Floats:
    """The most isolated feature of all rows, a block at a time: memory."""
    return np.concatenate(
        [
            isolation(residuals[block].astype(np.float64), still[block], spread).max(axis=1)
            for block in held_out_blocks(len(residuals))
        ]
    )
