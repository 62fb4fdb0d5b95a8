"""The fitted map as a whole; what every layout keeps to is in `test_maps_layouts`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dinsight import maps
from dinsight.errors import BaselineTooSmall, UnknownLayout
from tests.machines import BASELINE, WIDTH, machine, places


@pytest.fixture(scope="module")
def fitted() -> maps.Map:
    return maps.fit(BASELINE)


def test_minus_zero_is_zero() -> None:
    rows = machine(12, 3, width=5)
    rows[4, 2] = 0.0
    small = maps.fit(rows)
    again = rows[[4]]
    again[0, 2] = -0.0
    assert places(small.place(again)).tobytes() == small.coordinates[[4]].tobytes()


def test_healthy_rows_stay_below_the_limit_and_a_fault_does_not(fitted: maps.Map) -> None:
    healthy = machine(400, 10)
    healthy[:, 7] = 3.0
    levels, _ = maps.judge(fitted.rule, maps.LevelState(), fitted.place(healthy).score)
    assert (levels == maps.Level.ALARM).mean() <= 0.01
    broken = healthy.copy()
    broken[:, 40:60] += 4
    levels, _ = maps.judge(fitted.rule, maps.LevelState(), fitted.place(broken).score)
    assert (levels[4:] == maps.Level.ALARM).all()


def test_an_archive_with_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", format=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        maps.load((tmp_path / "evil.npz").read_bytes())


def test_an_empty_batch_has_no_places(fitted: maps.Map) -> None:
    assert fitted.place(np.empty((0, WIDTH), dtype=np.float32)).score.shape == (0,)


def test_another_number_of_columns_is_refused(fitted: maps.Map) -> None:
    with pytest.raises(ValueError, match="160 features"):
        fitted.place(np.zeros((2, WIDTH - 1), dtype=np.float32))


@pytest.mark.parametrize("rows", [np.ones((1, 4)), machine(4, 1, width=4), np.ones((500, 4))])
def test_too_few_different_rows_are_refused_with_what_is_needed(rows: np.ndarray) -> None:
    with pytest.raises(BaselineTooSmall, match="at least 5 different rows"):
        maps.fit(rows.astype(np.float32))


def test_a_layout_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownLayout, match="choose one of umap"):
        maps.fit(BASELINE, layout="globe")


def test_progress_is_told_and_ends_at_a_hundred() -> None:
    told: list[tuple[int, str]] = []
    maps.fit(
        machine(20, 1, width=4), progress=lambda percent, message: told.append((percent, message))
    )
    percents = [percent for percent, _ in told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert all(message for _, message in told)
