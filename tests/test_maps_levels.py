"""Levels: persistence to enter, hysteresis to leave, and no dependence on batches."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dinsight.maps import Level, LevelRule, LevelState, judge

RULE = LevelRule(warning=0.8)
scores = st.lists(st.sampled_from([0.1, 0.7, 0.73, 0.85, 0.92, 1.0, 1.01, 5.0]), max_size=60)


def levels(values: list[float], rule: LevelRule = RULE) -> list[int]:
    found, _ = judge(rule, LevelState(), np.array(values, dtype=np.float32))
    return [int(level) for level in found]


@given(scores, st.lists(st.integers(0, 60), max_size=6))
def test_splitting_a_batch_anywhere_changes_nothing(values: list[float], cuts: list[int]) -> None:
    whole, end = judge(RULE, LevelState(), np.array(values))
    state, parts = LevelState(), [np.empty(0, dtype=np.uint8)]
    for part in np.split(np.array(values), sorted(min(cut, len(values)) for cut in cuts)):
        part_levels, state = judge(RULE, state, part)
        state = LevelState.from_dict(json.loads(json.dumps(state.to_dict())))
        parts.append(part_levels)
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert state == end


@given(scores)
def test_an_alarm_needs_five_rows_in_a_row_somewhere_before(values: list[float]) -> None:
    above = "".join("x" if value > 1.0 else "." for value in values)
    assert (Level.ALARM in levels(values)) == ("xxxxx" in above)


def test_the_fifth_row_over_the_limit_is_the_first_in_alarm() -> None:
    assert levels([1.2] * 6) == [0, 0, 0, 0, 2, 2]


def test_a_row_at_the_limit_is_not_over_it() -> None:
    assert levels([1.0] * 9, LevelRule(warning=1.0)) == [0] * 9


def test_four_rows_and_one_below_start_again() -> None:
    assert levels([1.2] * 4 + [0.1] + [1.2] * 5) == [0] * 9 + [2]


def test_an_alarm_stays_down_to_its_hysteresis_and_leaves_to_a_warning() -> None:
    assert levels([1.2] * 5 + [0.95, 0.91, 0.89, 0.73, 0.71]) == [0] * 4 + [2, 2, 2, 1, 1, 0]


def test_an_empty_batch_keeps_the_state() -> None:
    state = LevelState(3, 2, True, False)
    found, after = judge(RULE, state, np.empty(0, dtype=np.float32))
    assert found.shape == (0,)
    assert found.dtype == np.uint8
    assert after == state


def test_nothing_stored_is_the_start() -> None:
    assert LevelState.from_dict({}) == LevelState() == LevelState.from_dict(None)
