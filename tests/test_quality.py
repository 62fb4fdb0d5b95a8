"""Sensors that stand still or are clipped, told from machines that do so by themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dinsight import maps, quality
from dinsight.quality import FLAT, SATURATED, Fault
from tests.factories import FEATURES, healthy

ROWS = quality.ROWS


def test_healthy_rows_have_no_fault(fitted: maps.Map) -> None:
    assert quality.faults(fitted, healthy(ROWS, seed=11)) == []


@pytest.mark.parametrize("rows", [5, 9, ROWS])
def test_a_sensor_that_stands_still_is_found_once_it_does_for_longer_than_usual(
    fitted: maps.Map, rows: int
) -> None:
    values = healthy(ROWS, seed=11)
    values[-rows:, 4] = values[-rows, 4]
    assert quality.faults(fitted, values) == [Fault(4, FLAT, float(values[-1, 4]), rows)]
    assert quality.faults(fitted, values[: ROWS - rows + 4]) == []


def test_a_sensor_that_rests_by_itself_needs_to_rest_longer(fitted: maps.Map) -> None:
    stillest = fitted.stillest.copy()
    stillest[4] = 5
    slow = dataclasses.replace(fitted, stillest=stillest)
    values = healthy(ROWS, seed=11)
    values[-16:, 4] = 5.0
    assert quality.faults(slow, values) == []
    values[-17:, 4] = 5.0
    assert [fault.rows for fault in quality.faults(slow, values)] == [17]


def test_a_column_that_never_moved_cannot_be_stuck(fitted: maps.Map) -> None:
    extremes = fitted.extremes.copy()
    extremes[:, 4] = 5.0
    still = dataclasses.replace(fitted, extremes=extremes)
    values = healthy(ROWS, seed=11)
    values[:, 4] = 5.0
    assert quality.faults(still, values) == []


def test_a_sensor_at_its_limit_is_clipped(fitted: maps.Map) -> None:
    values = healthy(ROWS, seed=11)
    limit = float(np.float32(fitted.extremes[1, 4] + 1))
    values[::2, 4] = values[-1, 4] = limit
    (fault,) = quality.faults(fitted, values)
    assert (fault.column, fault.kind, fault.value, fault.rows) == (4, SATURATED, limit, 17)
    values[:, 4] = np.minimum(values[:, 4], fitted.extremes[1, 4] - 1)  # within what is usual
    assert quality.faults(fitted, values) == []


@pytest.mark.parametrize(("rows", "at_the_limit"), [(ROWS, ROWS // 2), (11, 6), (ROWS - 1, 16)])
def test_a_sensor_is_clipped_from_half_of_the_rows_on(
    fitted: maps.Map, rows: int, at_the_limit: int
) -> None:
    limit = float(np.float32(fitted.extremes[1, 4] + 1))

    def shown(count: int) -> list[Fault]:
        values = healthy(rows, seed=11)
        values[np.arange(rows - 1, -1, -2)[:count], 4] = limit  # every other row: not flat
        return quality.faults(fitted, values)

    assert shown(at_the_limit) == [Fault(4, SATURATED, limit, at_the_limit)]
    assert shown(at_the_limit - 1) == []


def test_the_fit_learns_how_long_a_column_rests() -> None:
    values = healthy(60)
    values[10:17, 3] = 4.5
    values[:, 5] = 2.0
    fitted = maps.load(maps.fit(values, features=FEATURES).to_bytes())
    assert fitted.stillest.tolist() == [7 if c == 3 else 60 if c == 5 else 1 for c in range(12)]
    assert np.array_equal(fitted.extremes, [values.min(axis=0), values.max(axis=0)])


def test_without_the_faulty_column_the_row_scores_as_before(fitted: maps.Map) -> None:
    row = healthy(1, seed=11)[0]
    usual = fitted.place(row[None]).score[0]
    row[4] += 9
    odd = fitted.place(row[None]).score[0]
    assert odd > 2
    assert quality.score_without(fitted, row, [Fault(4, FLAT, 0.0, 9)]) < usual + 0.2
    assert quality.score_without(fitted, row, [Fault(5, FLAT, 0.0, 9)]) > 1
    assert quality.score_without(fitted, row, []) == odd


def test_the_words_name_a_few_sensors(fitted: maps.Map) -> None:
    stuck = [Fault(column, FLAT, 0.25, 32) for column in range(12)]
    assert quality.sentence(fitted, stuck[:1]) == "f_0 stands still at 0.25 (32 rows)."
    assert quality.sentence(fitted, stuck[:5]) == (
        "f_0 stands still at 0.25 (32 rows), f_1 stands still at 0.25 (32 rows), "
        "f_2 stands still at 0.25 (32 rows) and 2 more."
    )
    assert quality.sentence(fitted, stuck) == "All 12 readings stand still (32 rows)."
    clipped = [Fault(1, SATURATED, 10.0, 20)]
    assert quality.sentence(fitted, clipped) == "f_1 is clipped at 10 (20 rows)."
