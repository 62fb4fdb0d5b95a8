"""How many false alarms a limit is expected to give, as an interval; and the limit for a number.

What is known is how unseen healthy rows scored: a few hundred of them, which cannot promise one
false alarm a day at one row a second (zero seen in 800 rows is still compatible with hundreds a
day, one row at a time). An alarm needs several rows in a row, and that can: five in a row are rare
even where one is not, unless the rows hang together. So three things are estimated, each with its
interval: the share of rows over the limit, how much a row resembles the one before, and from both
how often a run that long begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dinsight.maps.calibration import ALARM_SHARE, held_out_blocks, limit
from dinsight.maps.exact import Floats

DEFAULT_FACTOR, LEAST_FACTOR, MOST_FACTOR = 3.0, 0.5, 5.0
CONFIDENCE = 0.9
DAY = 86_400.0
SERIES = 1 << 18
COUNTED = 50  # events from which a rate is read; below, it is extrapolated
RESEMBLANCE_STEP = 0.02
MOST_RESEMBLANCE = 0.98
MOST_SHARE = 0.5  # with more rows over the limit an alarm hardly ends, so that few begin
MOST_LIMIT = 20.0


@dataclass(frozen=True)
class Expectation:
    """False alarms per day at `rows_per_second`: expected, and a 90 % interval."""

    per_day: float
    low: float
    high: float
    rows_per_second: float


def share_at(factor: float) -> float:
    """The share of healthy rows over the limit at a sensitivity factor of 0.5 to 5.

    Each step of 2 is a factor of ten: 1 % at 3, where the alarm limit is, and 10 % at 5.

    >>> [round(share_at(factor), 4) for factor in (1, 3, 5)]
    [0.001, 0.01, 0.1]
    """
    return float((1.0 - ALARM_SHARE) * 10.0 ** ((factor - DEFAULT_FACTOR) / 2.0))


def limit_at(unseen: Floats, factor: float) -> float:
    """The score limit of a sensitivity factor: 1 at 3, lower above."""
    if factor == DEFAULT_FACTOR:
        return 1.0
    return limit(unseen, 1.0 - share_at(factor)) / limit(unseen, ALARM_SHARE)


def expected(
    unseen: Floats, score_limit: float, persistence: int, rows_per_second: float
) -> Expectation:
    """False alarms per day at a limit, from the scores (u,) of unseen rows in the order of time."""
    found = resemblances(unseen)
    usual = found[1]
    low, middle, high = shares_over(unseen, score_limit, usual)
    day = DAY * rows_per_second
    # Rows that hang together make long runs likelier and short ones rarer: either end may be it.
    return Expectation(
        per_day=day * runs(middle, usual, persistence),
        low=day * min(runs(low, like, persistence) for like in found),
        high=day * max(runs(high, like, persistence) for like in found),
        rows_per_second=rows_per_second,
    )


def limit_for(unseen: Floats, per_day: float, persistence: int, rows_per_second: float) -> float:
    """The score limit at which that many false alarms a day are expected.

    Not below the score that half of the healthy rows exceed, nor above 20.
    """

    def too_many(score_limit: float) -> bool:
        found = expected(unseen, score_limit, persistence, rows_per_second)
        return found.per_day > per_day

    return _bisect(too_many, float(np.quantile(unseen, MOST_SHARE)), MOST_LIMIT)


def shares_over(
    unseen: Floats, score_limit: float, resemblance: float
) -> tuple[float, float, float]:
    """The share of healthy rows over a limit: low, expected, high.

    Expected is the larger of what was seen and of what a log-normal predicts for the next row; the
    interval is Clopper and Pearson's, Biometrika 26, 1934, for as many independent rows as rows
    that hang together are worth.
    """
    from scipy.stats import beta, t

    seen = float(np.mean(unseen > score_limit))
    rows = max(len(unseen) * (1.0 - resemblance) / (1.0 + resemblance), 2.0)
    over = seen * rows
    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(beta.ppf(tail, over, rows - over + 1)) if over else 0.0
    high = float(beta.ppf(1.0 - tail, over + 1, rows - over)) if over < rows else 1.0
    logs = np.log(np.maximum(unseen, np.finfo(np.float64).tiny))
    spread = max(float(logs.std(ddof=1)) * np.sqrt(1.0 + 1.0 / rows), np.finfo(np.float64).tiny)
    further = float(t.sf((np.log(score_limit) - logs.mean()) / spread, len(unseen) - 1))
    return low, min(max(further, seen, low), high), high


def resemblances(unseen: Floats) -> tuple[float, float, float]:
    """How much a row's score resembles the one before: low, estimate, high; 0 to 0.98.

    The correlation of neighbours within the blocks of calibration, its interval by Fisher's
    transformation (R. A. Fisher, Metron 1, 1921).
    """
    logs = np.log(np.maximum(unseen, np.finfo(np.float64).tiny))
    parts = [logs[block] - logs[block].mean() for block in held_out_blocks(len(logs))]
    before = np.concatenate([part[:-1] for part in parts])
    after = np.concatenate([part[1:] for part in parts])
    power = float(np.sqrt((before @ before) * (after @ after)))
    found = float(before @ after) / power if power > 0.0 else 0.0
    if len(before) <= 4:
        return 0.0, max(min(found, MOST_RESEMBLANCE), 0.0), MOST_RESEMBLANCE
    centre = np.arctanh(min(max(found, -MOST_RESEMBLANCE), MOST_RESEMBLANCE))
    reach = 1.645 / np.sqrt(len(before) - 3)
    low, high = np.tanh(centre - reach), np.tanh(centre + reach)
    return max(float(low), 0.0), max(found, 0.0), max(min(float(high), MOST_RESEMBLANCE), 0.0)


def runs(share: float, resemblance: float, persistence: int) -> float:
    """How often, a row, a run of `persistence` rows over a limit begins.

    `share` of rows is over the limit and a row correlates with the next by `resemblance`: a
    Gaussian series of first order, simulated once with a fixed seed. Where it counts fewer than 50
    runs the logarithm is carried on against that of the share. Over half the rows count as half.

    >>> round(runs(0.5, 0.0, 1), 2)
    0.25
    """
    if share <= 0.0:
        return 0.0
    share = min(share, MOST_SHARE)
    step = round(min(resemblance, MOST_RESEMBLANCE) / RESEMBLANCE_STEP)
    inside, before = _series(step, persistence)
    from scipy.stats import norm

    def count(of: float) -> int:
        threshold = float(norm.isf(of))
        return int(_above(inside, threshold) - _above(before, threshold))

    if (counted := count(share)) >= COUNTED:
        return counted / SERIES
    low, high = _reliable(step, persistence)
    if share >= low:
        return max(counted, 1) / SERIES
    slope = np.log(count(high) / count(low)) / np.log(high / low)
    return float(count(low) / SERIES * (share / low) ** slope)


@lru_cache(maxsize=8)  # 4 MB each
def _series(step: int, persistence: int) -> tuple[Floats, Floats]:
    """Sorted: the least of the last `persistence` values, and of the last `persistence` + 1."""
    from scipy.signal import lfilter

    resemblance = step * RESEMBLANCE_STEP
    noise = np.random.default_rng(20_240_229).standard_normal(SERIES)
    noise[1:] *= np.sqrt(1.0 - resemblance * resemblance)
    series = lfilter([1.0], [1.0, -resemblance], noise)
    least = series
    for back in range(1, persistence):
        least = np.minimum(least[1:], series[: len(series) - back])
    return np.sort(least), np.sort(np.minimum(least[1:], least[:-1]))


@lru_cache(maxsize=64)
def _reliable(step: int, persistence: int) -> tuple[float, float]:
    """Two shares whose runs are still counted: the least such, and three times that."""
    from scipy.stats import norm

    inside, before = _series(step, persistence)

    def enough(share: float) -> bool:
        threshold = float(norm.isf(share))
        return bool(_above(inside, threshold) - _above(before, threshold) >= COUNTED)

    low = _bisect(lambda share: not enough(share), 1e-7, 0.3)
    return low, min(3.0 * low, 0.4)


def _above(ascending: Floats, threshold: float) -> int:
    return len(ascending) - int(np.searchsorted(ascending, threshold, side="right"))


def _bisect(low_side: Callable[[float], bool], low: float, high: float) -> float:
    """The least value for which `low_side` no longer holds, to a thousandth; in logarithm."""
    if low_side(high):
        return high
    while high / low > 1.001:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if low_side(middle) else (low, middle)
    return high
