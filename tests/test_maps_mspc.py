"""Hotelling's T² and SPE: the classic arithmetic, honest limits, and the plane drawn from them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from dinsight import maps
from dinsight.maps.calibration import held_out_blocks
from dinsight.maps.layouts import Evidence, Guide
from dinsight.maps.metric import smaller_product
from dinsight.maps.mspc import ProcessModel, held_out_statistics
from dinsight.maps.mspc_layout import MspcLayout
from tests.machines import machine, places

DATA = Path(__file__).parents[2] / "shared" / "data" / "tep_braatz"
RUN, FAULT_FROM = 960, 160  # samples of each test run of the Tennessee Eastman process
# Missed detections of T² and SPE (PCA): L. Chiang, E. Russell, R. Braatz, Fault Detection and
# Diagnosis in Industrial Systems, 2001.
PUBLISHED = {1: (0.008, 0.003), 4: (0.956, 0.038), 5: (0.775, 0.746)}


def read(path: Path) -> np.ndarray:
    with path.open(newline="") as file:
        next(csv.reader(file))
        return np.loadtxt(file, delimiter=",", ndmin=2)


@pytest.mark.skipif(not DATA.is_dir(), reason="the public data is not at ../shared/data")
def test_missed_detections_are_those_published_for_the_tennessee_eastman_process() -> None:
    baseline, monitor = read(DATA / "baseline.csv"), read(DATA / "monitor.csv")
    labels = read(DATA / "labels.csv").astype(int)
    fault, sample, anomalous = labels[:, 2], labels[:, 3], labels[:, 1] == 1
    assert list(dict.fromkeys(fault.tolist())) == [0, 1, 4, 5, 8, 11, 3]
    assert (sample == np.tile(np.arange(RUN), 7)).all()
    assert (anomalous == ((fault > 0) & (sample >= FAULT_FROM))).all()
    centre, spread = baseline.mean(axis=0), baseline.std(axis=0, ddof=1)
    model = ProcessModel.fit((baseline - centre) / spread, 11)
    figures = np.stack(model.statistics((monitor - centre) / spread), axis=1)
    # 99 % of the 960 fault-free test rows: the tenth highest is the limit.
    limits = np.sort(figures[fault == 0], axis=0)[-10]
    for number, published in PUBLISHED.items():
        rows = figures[(fault == number) & anomalous]
        assert len(rows) == RUN - FAULT_FROM
        assert (rows <= limits).mean(axis=0) == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize(("rows", "width"), [(40, 8), (20, 50), (10, 9), (12, 10), (11, 10)])
def test_held_out_figures_are_those_of_models_that_did_not_see_the_rows(
    rows: int, width: int
) -> None:
    scaled = np.random.default_rng(rows).standard_normal((rows, width))
    blocks = held_out_blocks(rows)
    t2, spe = held_out_statistics(scaled, smaller_product(scaled), 3, blocks)
    for block in blocks:
        model = ProcessModel.fit(np.delete(scaled, block, axis=0), 3)
        expected = model.statistics(scaled[block])
        np.testing.assert_allclose(t2[block], expected[0], rtol=1e-9)
        np.testing.assert_allclose(spe[block], expected[1], rtol=1e-9)


def test_components_that_the_rows_do_not_span_are_left_out() -> None:
    line = np.outer(np.arange(8.0), [1.0, 2.0, 2.0])
    model = ProcessModel.fit(line, 3)
    assert model.directions.shape == (3, 1)
    assert model.statistics(line)[1] == pytest.approx(0, abs=1e-20)


def test_about_one_unseen_healthy_row_in_a_hundred_is_beyond_each_line() -> None:
    """Wide data: chi-squared, or limits from rows that the model saw, would flag nearly all."""
    fitted = maps.fit(machine(150, 1), "mspc")
    found = places(fitted.place(machine(2_000, 2)))
    beyond = (found > 0).mean(axis=0)
    assert (beyond < 0.03).all()
    assert (fitted.coordinates[:, 1] < -0.1).all()  # while those that it saw are well within


def layout(variances: list[float], limits: list[float]) -> MspcLayout:
    return MspcLayout(np.array(variances), np.array(limits))


def evidence(lead: list[list[float]], squared: list[float]) -> Evidence:
    return Evidence(
        np.array(lead), np.array(squared), np.ones(len(squared)), np.zeros(len(squared))
    )


def test_limits_are_lines_through_the_origin_and_a_unit_is_a_factor_e() -> None:
    plane = layout([4.0, 1.0], [9.0, 2.0])
    # T² = 16/4 + 5 = 9 and SPE = 23 - 21 = 2: at both limits.
    root = 5.0**0.5
    found = plane.place(evidence([[4.0, root], [40.0, 0.0]], [23.0, 1600.0 + 2e6]))
    assert found[0] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert found[1] == pytest.approx(np.log([400 / 9, 1e6]) - np.log(1.1), abs=3e-3)
    assert plane.guides() == (Guide("x", 0.0, "T² limit"), Guide("y", 0.0, "SPE limit"))


def test_nothing_is_at_infinity() -> None:
    plane = layout([4.0, 1.0], [9.0, 2.0])
    found = plane.place(evidence([[0.0, 0.0], [1e76, -1e76]], [0.0, 1e153]))
    assert found[0] == pytest.approx(np.log([1 / 11, 1 / 11]))
    assert (found[1] < 400).all()
    assert (found[1] > 300).all()


def test_only_directions_that_vary_more_than_a_column_are_components() -> None:
    random = np.random.default_rng(3)
    common = random.normal(size=(200, 2))
    rows = np.hstack([common @ [[1, 1, 0, 0], [0, 0, 1, 1]], np.empty((200, 0))])
    rows = (rows + 0.3 * random.normal(size=(200, 4))).astype(np.float32)
    fitted = maps.fit(rows, "mspc")
    assert fitted.plane.arrays()["mspc_variances"].shape == (2,)


def test_a_broken_correlation_shows_in_spe_and_a_strong_common_move_in_t2() -> None:
    fitted = maps.fit(machine(300, 1, width=20), "mspc")
    healthy = machine(50, 2, width=20)
    mixing = np.random.default_rng(99).normal(size=(4, 20))
    moved = (healthy + 8 * mixing[0]).astype(np.float32)
    broken = healthy.copy()
    broken[:, 3] += 12
    common, alone = places(fitted.place(moved)), places(fitted.place(broken))
    assert (common[:, 0] > 0).all()
    assert (common[:, 0] > common[:, 1]).all()
    assert (alone[:, 1] > 0).all()
    assert (alone[:, 1] > alone[:, 0]).all()
