"""Trying a rule on rows that are past gives what it would have raised, however they are read."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dinsight.alerts.engine import Condition, Rows
from dinsight.back_trial import Trial


def of(scores: list[float], gap: float = 1.0) -> Rows:
    at = np.arange(len(scores)) * gap + 1_000.0
    return Rows(at, np.array(scores, np.float32), np.zeros(len(scores), np.uint8))


def tried(condition: Condition, rows: Rows, *cuts: int, first: int = 1) -> dict[str, Any]:
    trial = Trial(condition, first_seq=first)
    edges = [0, *sorted(cuts), len(rows.at)]
    for start, end in itertools.pairwise(edges):
        if end > start:
            part = Rows(rows.at[start:end], rows.score[start:end], rows.level[start:end])
            trial.add(part, first + start)
    return trial.result()


def test_it_counts_alerts_and_says_how_long_before_the_end_the_first_came() -> None:
    found = tried(Condition(score=1.0), of([0.5, 2.0, 3.0, 0.5, 0.5, 2.5, 0.5]), first=11)
    assert (found["alerts"], found["times"], found["rows"]) == (1, 2, 7)
    assert (found["lead_seconds"], found["lead_rows"], found["at_once"]) == (5.0, 6, False)
    (alert,) = found["listed"]
    assert (alert["opened_seq"], alert["cleared_seq"], alert["times"]) == (12, 17, 2)
    assert (alert["peak"], alert["peak_seq"]) == (3.0, 13)
    assert alert["opened_at"] == "1970-01-01T00:16:41Z"
    assert found["share"] == 3 / 7


def test_rows_that_came_at_one_moment_say_nothing_about_time() -> None:
    found = tried(Condition(score=1.0), of([0.5] * 20 + [2.0] * 10, gap=0.0))
    assert (found["at_once"], found["lead_seconds"], found["alerts_per_day"]) == (True, None, None)
    assert found["lead_rows"] == 10


def test_a_rule_that_raises_nothing_says_so() -> None:
    found = tried(Condition(score=9.0), of([0.5, 2.0]))
    assert (found["alerts"], found["lead_rows"], found["listed"]) == (0, None, [])


@given(
    st.lists(st.sampled_from([0.2, 0.95, 1.5, 4.0]), min_size=1, max_size=60),
    st.sets(st.integers(1, 59)),
    st.sampled_from(
        [
            Condition(score=1.0),
            Condition(score=1.0, needed=2, window=4),
            Condition(score=1.0, seconds=3),
        ]
    ),
)
def test_pieces_give_the_same_as_the_whole(
    scores: list[float], cuts: set[int], condition: Condition
) -> None:
    rows = of(scores)
    inside = [cut for cut in cuts if cut < len(scores)]
    assert tried(condition, rows, *inside) == tried(condition, rows)
