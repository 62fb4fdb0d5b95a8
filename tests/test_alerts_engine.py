"""When rules raise and end: by rows, by seconds, over any split, as the words say it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dinsight.alerts import engine
from dinsight.alerts.engine import REJOIN_SECONDS, Condition, Rows, State, Transition, run

HEALTHY, WARNING, ALARM = 0, 1, 2


def rows(scores: list[float], levels: list[int] | None = None, **more: Any) -> Rows:
    at = np.asarray(more.pop("at", range(len(scores))), np.float64)
    return Rows(at, np.array(scores, np.float32), np.array(levels or [0] * len(scores)), **more)


def told(condition: Condition, given_rows: Rows, state: State | None = None) -> list[Any]:
    return [tuple(each) for each in run(condition, state or State(), given_rows)[0]]


def test_a_level_rule_follows_the_level() -> None:
    levels = [HEALTHY, WARNING, ALARM, ALARM, WARNING, HEALTHY]
    given_rows = rows([0.0] * 6, levels)
    assert told(Condition(level=ALARM), given_rows) == [("raised", 2), ("cleared", 4)]
    assert told(Condition(level=WARNING), given_rows) == [("raised", 1), ("cleared", 5)]


def test_a_score_rule_ends_below_its_hysteresis() -> None:
    condition = Condition(score=1.0, hysteresis=0.8)
    assert told(condition, rows([1.1, 0.9, 0.81, 0.79])) == [("raised", 0), ("cleared", 3)]


def test_n_of_m_rows_raise_it_and_m_quiet_ones_end_it() -> None:
    condition = Condition(score=1.0, needed=3, window=5)
    scores = [2, 0, 2, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]
    assert told(condition, rows(list(map(float, scores)))) == [("raised", 4), ("cleared", 14)]


def test_all_rows_of_so_many_seconds_raise_it_and_end_it() -> None:
    condition = Condition(score=1.0, seconds=10.0)
    at = [0, 4, 8, 9, 13, 19, 20, 25, 31]
    scores = [2, 2, 0, 2, 2, 2, 0, 0, 0]
    assert told(condition, rows(list(map(float, scores)), at=at)) == [("raised", 5), ("cleared", 8)]


def test_what_comes_back_soon_is_the_same_alert_and_later_another() -> None:
    scores, at = [2.0, 0.0, 2.0, 0.0, 2.0], [0, 1, 2, 3, 3 + REJOIN_SECONDS + 1]
    assert told(Condition(score=1.0), rows(scores, at=at)) == [
        *(("raised", 0), ("cleared", 1), ("raised_again", 2), ("cleared", 3), ("raised", 4)),
    ]


def test_rows_in_a_normal_area_do_not_count() -> None:
    muted = np.array([True, True, False, True])
    given_rows = rows([2.0] * 4, muted=muted)
    assert told(Condition(score=1.0), given_rows) == [("raised", 2), ("cleared", 3)]


def test_one_that_was_ended_by_hand_waits_until_it_has_been_over() -> None:
    state = State(waiting=True)
    assert told(Condition(score=1.0), rows([2.0, 2.0, 0.5, 2.0]), state) == [("raised", 3)]


def test_nothing_wrong_changes_nothing() -> None:
    state = State(ended=5.0)
    assert run(Condition(score=1.0, needed=2, window=3), state, rows([0.2])) == ([], state)


conditions = st.one_of(
    st.builds(
        lambda needed, more, level: Condition(level=level, needed=needed, window=needed + more),
        st.integers(1, 4),
        st.integers(0, 4),
        st.sampled_from([WARNING, ALARM]),
    ),
    st.builds(
        lambda needed, more, share: Condition(
            score=1.0, needed=needed, window=needed + more, hysteresis=share
        ),
        st.integers(1, 4),
        st.integers(0, 4),
        st.sampled_from([0.5, 0.9, 1.0]),
    ),
    st.builds(lambda seconds: Condition(score=1.0, seconds=seconds), st.sampled_from([3.0, 400.0])),
)
readings = st.lists(
    st.tuples(
        st.sampled_from([0.2, 0.7, 0.95, 1.0, 1.5, 9.0]),
        st.integers(0, 2),
        st.sampled_from([0.0, 0.5, 2.0, 500.0, 700.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


def of_readings(found: list[tuple[float, int, float, bool]]) -> Rows:
    scores, levels, gaps, muted = map(np.array, zip(*found, strict=True))
    return Rows(np.cumsum(gaps, dtype=np.float64), scores.astype(np.float32), levels, muted)


def part(given_rows: Rows, start: int, end: int) -> Rows:
    muted = None if given_rows.muted is None else given_rows.muted[start:end]
    columns = (given_rows.at, given_rows.score, given_rows.level)
    return Rows(*(column[start:end] for column in columns), muted)


def plainly(condition: Condition, given_rows: Rows) -> list[Transition]:
    """The same row by row, as the words of the module say it."""
    meets, holds = engine._flags(condition, given_rows)
    at = given_rows.at
    found: list[Transition] = []
    active, ended = False, None
    for i in range(len(at)):
        if condition.seconds is None:
            window = range(max(0, i - condition.window + 1), i + 1)
            due = bool(meets[i]) and sum(bool(meets[j]) for j in window) >= condition.needed
            over = not any(holds[j] for j in range(i - condition.window + 1, i + 1) if j >= 0)
        else:
            due = _for_seconds(meets, at, i, condition.seconds)
            over = _for_seconds(~holds, at, i, condition.seconds)
        if active and over:
            found.append(Transition("cleared", i))
            active, ended = False, at[i]
        elif not active and due:
            again = ended is not None and at[i] - ended <= REJOIN_SECONDS
            found.append(Transition("raised_again" if again else "raised", i))
            active = True
    return found


def _for_seconds(flags: Any, at: Any, i: int, seconds: float) -> bool:
    j = i
    while j >= 0 and flags[j]:
        if at[i] - at[j] >= seconds:
            return True
        j -= 1
    return False


@given(conditions, readings)
def test_it_does_what_its_words_say(condition: Condition, found: Any) -> None:
    given_rows = of_readings(found)
    assert run(condition, State(), given_rows)[0] == plainly(condition, given_rows)


@given(conditions, readings, st.sets(st.integers(1, 39)))
def test_a_split_anywhere_changes_nothing(condition: Condition, found: Any, cuts: set[int]) -> None:
    given_rows = of_readings(found)
    whole, end = run(condition, State(), given_rows)
    edges = [0, *sorted(cut for cut in cuts if cut < len(found)), len(found)]
    state, together = State(), []
    for start, stop in itertools.pairwise(edges):
        transitions, state = run(condition, state, part(given_rows, start, stop))
        state = State.from_dict(state.to_dict())
        together += [Transition(kind, start + row) for kind, row in transitions]
    assert (together, state) == (whole, end)


@pytest.mark.parametrize("condition", [Condition(level=ALARM), Condition(score=1.0, seconds=9.0)])
def test_a_state_is_little_where_nothing_is_wrong(condition: Condition) -> None:
    _, state = run(condition, State(), rows([0.1] * 50))
    assert state.to_dict() == {}
