"""Expected false alarms: against series that were made to have a known rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dinsight import maps
from dinsight.maps import false_alarms
from dinsight.maps.levels import LevelRule, LevelState, judge


def scores(rows: int, resemblance: float, seed: int = 0) -> np.ndarray:
    """Log-normal scores around 0.7 that hang together from row to row."""
    noise = np.random.default_rng(seed).standard_normal(rows)
    noise[1:] *= np.sqrt(1 - resemblance**2)
    return np.asarray(0.7 * np.exp(0.15 * lfilter([1.0], [1.0, -resemblance], noise)))


@pytest.mark.parametrize("resemblance", [0.0, 0.5, 0.8])
@pytest.mark.parametrize(("limit", "persistence"), [(0.95, 1), (0.8, 3), (0.75, 5)])
def test_the_interval_holds_what_comes_nine_times_in_ten(
    resemblance: float, limit: float, persistence: int
) -> None:
    over = scores(500_000, resemblance, seed=2_000) > limit
    inside = np.lib.stride_tricks.sliding_window_view(over, persistence).all(axis=1)
    came = (inside[1:] & ~inside[:-1]).mean()
    found = [
        false_alarms.expected(scores(800, resemblance, seed), limit, persistence, 1 / 86_400)
        for seed in range(40)
    ]
    assert np.mean([one.low <= came <= one.high for one in found]) >= 0.75
    assert came / 1.5 < np.median([one.per_day for one in found]) < came * 1.5


def test_few_rows_promise_nothing_but_persistence_does() -> None:
    """800 rows, none over the limit: one row at a time may still mean hundreds a day at 1 Hz."""
    unseen = scores(800, 0.2)
    limit = float(unseen.max()) * 1.001
    single = false_alarms.expected(unseen, limit, 1, 1.0)
    lasting = false_alarms.expected(unseen, limit, 5, 1.0)
    assert single.low == 0
    assert single.high > 100
    assert lasting.high < 1
    assert lasting.low <= lasting.per_day <= lasting.high


def test_rows_that_hang_together_give_more_false_alarms() -> None:
    calm, sticky = (
        false_alarms.expected(scores(2_000, resemblance), 0.9, 5, 1.0) for resemblance in (0, 0.9)
    )
    assert sticky.per_day > 100 * calm.per_day


def test_the_limit_for_a_number_of_alarms_gives_that_number() -> None:
    unseen = scores(1_000, 0.3)
    for per_day in (0.01, 1.0, 50.0):
        limit = false_alarms.limit_for(unseen, per_day, 5, 1.0)
        assert false_alarms.expected(unseen, limit, 5, 1.0).per_day <= per_day
        assert false_alarms.expected(unseen, limit * 0.99, 5, 1.0).per_day >= per_day


def test_a_higher_factor_detects_more() -> None:
    unseen = scores(500, 0.3)
    factors = np.linspace(0.5, 5, 10)
    limits = [false_alarms.limit_at(unseen, factor) for factor in factors]
    assert limits == sorted(limits, reverse=True)
    assert false_alarms.limit_at(unseen, 3.0) == 1.0
    rates = [false_alarms.expected(unseen, limit, 5, 1.0).per_day for limit in limits]
    assert rates == sorted(rates)


def test_a_map_moves_both_levels_with_its_alarm_limit() -> None:
    rows = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    fitted = maps.fit(rows)
    rule = fitted.rule_at(0.8)
    assert (rule.alarm, rule.warning) == (0.8, fitted.rule.warning * 0.8)
    assert (rule.persistence, rule.hysteresis) == (
        fitted.rule.persistence,
        fitted.rule.hysteresis,
    )
    assert fitted.limit_at(5) < 1 < fitted.limit_at(0.5)
    assert fitted.false_alarms(1.0, 2.0).per_day == 2 * fitted.false_alarms(1.0, 1.0).per_day
    assert fitted.limit_for(10, 1.0) < fitted.limit_for(0.1, 1.0)


def test_levels_do_alarm_about_as_often_as_expected() -> None:
    """The rule itself, hysteresis included: it joins runs, so it alarms at most that often."""
    unseen, further = scores(3_000, 0.6, seed=3), scores(300_000, 0.6, seed=4)
    rule = LevelRule(warning=0.8, alarm=0.85, hysteresis=0.9)
    alarmed = judge(rule, LevelState(), further)[0] == 2
    came = float((alarmed[1:] & ~alarmed[:-1]).mean())
    found = false_alarms.expected(unseen, rule.alarm, rule.persistence, 1 / 86_400)
    assert found.per_day / 4 < came < found.high


@pytest.mark.parametrize("unseen", [np.full(40, 0.5), np.array([0.4, 0.5, 0.6, 0.7, 0.5])])
def test_few_or_equal_scores_still_have_an_answer(unseen: np.ndarray) -> None:
    found = false_alarms.expected(unseen, 1.0, 5, 1.0)
    assert 0 <= found.low <= found.per_day <= found.high
    assert np.isfinite([found.low, found.per_day, found.high]).all()
    assert np.isfinite(false_alarms.limit_for(unseen, 1.0, 5, 1.0))
