"""One feature alone: what a distance over a thousand features would hide is seen and named."""

from __future__ import annotations

import numpy as np
import pytest

from dinsight import maps
from dinsight.maps.explanation import Explanation

WIDTH = 800
NAMES = tuple(f"freq_{number * 2.5}" for number in range(WIDTH))


def spectra(rows: int, seed: int) -> np.ndarray:
    """Healthy spectra: neighbouring bins move together, each with noise of its own."""
    random = np.random.default_rng(seed)
    load = random.normal(size=(rows, 6)) @ np.random.default_rng(7).normal(size=(6, WIDTH))
    smooth = np.apply_along_axis(np.convolve, 1, load, np.ones(5) / 5, "same")
    return (20 + 2 * smooth + random.normal(size=(rows, WIDTH))).astype(np.float32)


BASELINE = spectra(150, 1)


@pytest.fixture(scope="module")
def fitted() -> maps.Map:
    return maps.fit(BASELINE, features=NAMES)


def shifted(rows: np.ndarray, sigmas: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Each row with one random bin shifted, and which bin."""
    bins = np.random.default_rng(seed).integers(0, WIDTH, len(rows))
    moved = rows.copy()
    moved[np.arange(len(rows)), bins] += (sigmas * BASELINE.std(axis=0)[bins]).astype(np.float32)
    return moved, bins


def test_a_single_bin_is_over_the_limit_where_the_distance_alone_is_not(fitted: maps.Map) -> None:
    rows, _ = shifted(spectra(60, 5), 4)
    found = [fitted.explain(row) for row in rows]
    assert np.mean([one.whole > 1 for one in found]) < 0.3
    assert (fitted.place(rows).score > 1).mean() > 0.8


def test_the_same_shift_of_a_known_row_is_seen_earlier(fitted: maps.Map) -> None:
    assert (fitted.place(shifted(BASELINE, 5)[0]).score > 1).mean() > 0.9


def test_healthy_rows_are_not_isolated(fitted: maps.Map) -> None:
    score = fitted.place(spectra(400, 6)).score
    assert (score > 1).mean() <= 0.05
    assert not maps.judge(fitted.rule, maps.LevelState(), score)[0].any()


@pytest.mark.parametrize("direction", [1, -1])
def test_the_shifted_bin_is_named_first(fitted: maps.Map, direction: int) -> None:
    rows, bins = shifted(BASELINE[:60], 5 * direction)
    found = [fitted.explain(row) for row in rows]
    assert [int(one.contribution.argmax()) for one in found] == bins.tolist()
    for one, column in zip(found, bins, strict=True):
        band = one.bands(NAMES)[0]
        assert band.first <= column <= band.last
        assert np.sign(band.z) in {0, direction} or abs(one.z[column]) < 1
    row, column = rows[0], bins[0]
    spread = BASELINE.std(axis=0)[column]
    assert abs(found[0].expected[column] - BASELINE[0, column]) < 2 * spread
    assert abs(row[column] - found[0].expected[column]) > 3 * spread


def test_evidences_make_the_score_and_contributions_the_whole(fitted: maps.Map) -> None:
    rows = np.concatenate([spectra(20, 8), shifted(spectra(20, 9), 8)[0]])
    for row, score in zip(rows, fitted.place(rows).score, strict=True):
        one = fitted.explain(row)
        assert np.float32(max(one.whole, one.isolated)) == score == np.float32(one.score)
        assert one.contribution.sum() == pytest.approx(1)
        assert (one.contribution >= 0).all()


def test_a_dead_sensor_that_moves_is_named(fitted: maps.Map) -> None:
    rows = BASELINE.copy()
    rows[:, 11] = 4.0
    dead = maps.fit(rows, features=NAMES)
    moved = rows[3].copy()
    moved[11] = 4.5
    one = dead.explain(moved)
    assert int(one.contribution.argmax()) == 11
    assert one.expected[11] == pytest.approx(4.0)
    assert dead.place(moved[None]).score[0] > 1


def test_several_faults_are_named_before_any_innocent_feature() -> None:
    """Sensors that move together: taking one out must not put its fault on the others."""
    random = np.random.default_rng(4)
    mixing = random.normal(size=(3, 12))
    rows = random.normal(size=(200, 3)) @ mixing + 0.1 * random.normal(size=(200, 12))
    fitted = maps.fit(rows[:150].astype(np.float32))
    for row in rows[150:]:
        broken = row.copy()
        broken[[2, 9]] += [5, -4]
        found = fitted.explain(broken.astype(np.float32))
        assert set(np.argsort(-found.contribution)[:2].tolist()) == {2, 9}
        assert found.expected[[2, 9]] == pytest.approx(row[[2, 9]], abs=0.5)
        assert found.contribution[[2, 9]].sum() > 0.9


def explanation(contribution: list[float]) -> Explanation:
    shares = np.array(contribution) / sum(contribution)
    return Explanation(1.0, 1.0, 0.5, shares, np.arange(len(shares)) - 3.0, shares)


def test_adjacent_bins_are_one_band_across_a_calm_one_between() -> None:
    names = [f"freq_{number}" for number in (10, 20, 30, 40, 50, 60, 70, 80)]
    bands = explanation([0, 5, 0, 6, 0, 0, 0, 30]).bands(names)
    assert [(band.label, band.low, band.high) for band in bands] == [
        ("80 Hz", 80.0, 80.0),
        ("20–40 Hz", 20.0, 40.0),
    ]
    assert [round(band.share, 3) for band in bands] == [0.732, 0.268]
    assert bands[1].z == 0.0  # of its strongest bin, 40 Hz


def test_bands_follow_the_numbers_of_the_bins_not_the_order_of_the_file() -> None:
    band = explanation([1, 0, 0, 0, 1]).bands(["f_3", "f_9", "f_0", "f_7", "f_4"])[0]
    assert (band.label, band.first, band.last, band.low) == ("f_3–f_4", 0, 4, None)


def test_sensors_stand_alone() -> None:
    bands = explanation([4, 4, 1]).bands(["pressure", "flow", "f_1"])
    assert [band.label for band in bands] == ["pressure", "flow", "f_1"]
