"""Scaling, shrinkage and calibration, against definitions and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from dinsight.maps.calibration import Calibration, held_out, limit
from dinsight.maps.metric import LEAST_VARIANCE, Metric, Spectrum, smaller_product
from dinsight.maps.scaling import Scaling


def centred(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = random.standard_normal((rows, 3)) @ random.standard_normal((3, columns))
    values += random.standard_normal((rows, columns))
    return np.asarray(values - values.mean(axis=0))


def no_columns(rows: int) -> np.ndarray:
    return np.empty((rows, 0))


@pytest.mark.parametrize(("rows", "columns"), [(40, 7), (12, 30), (20, 20), (6, 50), (50, 1)])
def test_the_shrunk_covariance_is_that_of_scikit_learn(rows: int, columns: int) -> None:
    values = centred(rows, columns)
    expected = LedoitWolf().fit(values)
    spectrum = Spectrum.fit(values)
    assert spectrum.shrunk.rho == pytest.approx(expected.shrinkage_, abs=1e-12)
    floor = LEAST_VARIANCE if columns == 1 else 0.0  # one column is never shrunk
    assert np.abs(spectrum.covariance() - expected.covariance_).max() < floor + 1e-12


@pytest.mark.parametrize(("rows", "columns"), [(40, 7), (12, 30), (6, 50)])
def test_distances_are_mahalanobis_also_outside_the_span(rows: int, columns: int) -> None:
    values = centred(rows, columns)
    unseen = np.random.default_rng(1).standard_normal((25, columns)) * 3
    expected = np.sqrt(LedoitWolf().fit(values).mahalanobis(unseen))
    metric = Metric.fit(Spectrum.fit(values), 10)
    found = metric.measure(unseen, no_columns(25))
    assert found.distance == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize(("rows", "columns"), [(40, 7), (12, 30), (6, 50)])
def test_residuals_are_the_row_times_the_inverse_covariance(rows: int, columns: int) -> None:
    values = centred(rows, columns)
    unseen = np.random.default_rng(1).standard_normal((25, columns)) * 3
    precision = LedoitWolf().fit(values).precision_
    metric = Metric.fit(Spectrum.fit(values), 10)
    found = metric.measure(unseen, no_columns(25)).residual
    assert found == pytest.approx(unseen @ precision, abs=1e-4 * np.abs(unseen @ precision).max())
    assert metric.own_precision() == pytest.approx(np.diag(precision), rel=1e-4)
    assert metric.precision_of(3) == pytest.approx(precision[3], abs=1e-4 * precision[3, 3])


@pytest.mark.parametrize(("rows", "columns"), [(60, 20), (30, 90)])
def test_beyond_the_kept_directions_the_others_share_their_mean_variance(
    rows: int, columns: int
) -> None:
    values = centred(rows, columns)
    whole, cut = Spectrum.fit(values), Spectrum.fit(values, most=8)
    assert cut.directions.shape == (columns, 8)
    assert cut.variances == pytest.approx(whole.variances[:8])
    assert np.trace(cut.covariance()) == pytest.approx(np.trace(whole.covariance()))


def test_leading_coordinates_are_the_principal_components() -> None:
    values = centred(40, 9)
    lead = Metric.fit(Spectrum.fit(values), 4).measure(values, no_columns(40)).lead
    variances = np.linalg.eigvalsh(values.T @ values / 40)[::-1][:4]
    assert (lead**2).mean(axis=0) == pytest.approx(variances, rel=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(40, 7), (23, 60)])
def test_unseen_distances_come_from_a_model_of_the_other_blocks(rows: int, columns: int) -> None:
    values = centred(rows, columns)
    expected = []
    for block in np.array_split(np.arange(rows), 5):
        model = LedoitWolf().fit(np.delete(values, block, axis=0))
        expected.append(np.sqrt(model.mahalanobis(values[block])))
    found, residuals = held_out(values, no_columns(rows), smaller_product(values))
    assert found == pytest.approx(np.concatenate(expected), rel=2e-5)
    last = np.array_split(np.arange(rows), 5)[-1]
    model = LedoitWolf().fit(np.delete(values, last, axis=0))
    away = (values[last] - model.location_) @ model.precision_
    assert residuals[last] == pytest.approx(away, rel=1e-3, abs=1e-3 * np.abs(away).max())


def test_few_rows_promise_less_than_many() -> None:
    many = np.exp(np.random.default_rng(0).normal(size=5_000) * 0.1)
    few = np.exp(np.array([-0.1, 0.0, 0.1, -0.05, 0.05]))
    assert limit(few, 0.99) > few.max() * 1.1
    assert limit(many, 0.99) == pytest.approx(np.quantile(many, 0.99), rel=0.02)


def test_a_heavy_tail_raises_the_limit() -> None:
    values = np.concatenate([np.full(950, 1.0), np.full(50, 10.0)])
    assert limit(values, 0.99) >= 10.0


def test_the_hysteresis_lets_go_of_healthy_rows_that_sit_close_to_their_limit() -> None:
    unseen = np.sort(np.random.default_rng(0).normal(37, 0.6, 400))
    alarm = limit(unseen, 0.99)
    calibration = Calibration(alarm, 1.0, np.ones(1), unseen / alarm, 0.1, np.ones(1))
    rule = calibration.rule()
    leaves_alarm, leaves_warning = rule.hysteresis * rule.alarm, rule.hysteresis * rule.warning
    assert (calibration.unseen < leaves_alarm).mean() > 0.7
    assert (calibration.unseen < leaves_warning).mean() > 0.7


def test_wide_spread_keeps_the_plain_hysteresis() -> None:
    unseen = np.linspace(0.1, 1.0, 100)
    calibration = Calibration(1.0, 1.0, np.ones(1), unseen, 0.1, np.ones(1))
    assert calibration.rule().hysteresis == 0.9


def test_units_are_spreads_and_the_rule_is_told() -> None:
    rows = np.random.default_rng(0).normal([5, -3], [2, 0.1], (500, 2)).astype(np.float32)
    moving, still = Scaling.fit(rows).apply(rows)
    assert moving.std(axis=0) == pytest.approx([1, 1])
    assert still.shape == (500, 0)
    assert Scaling.fit(rows, ("freq_0.5", "FREQ_1.0")).family == "spectrum"
    assert Scaling.fit(rows, ("f_0", "f_1")).family == "spectrum"
    assert Scaling.fit(rows, ("f_0", "flow")).family == "mixed"


def test_a_dead_bin_is_measured_in_the_spread_of_its_spectrum() -> None:
    rows = np.random.default_rng(0).normal(5, 2, (100, 4)).astype(np.float32)
    rows[:, 2] = 1e-9
    scaling = Scaling.fit(rows, ("f_0", "f_1", "f_2", "f_3"))
    assert scaling.still.tolist() == [False, False, True, False]
    assert scaling.unit[2] == pytest.approx(0.02, rel=0.2)


def test_a_sensor_that_only_rounds_is_constant() -> None:
    rows = np.random.default_rng(0).normal(5, 2, (100, 2)).astype(np.float32)
    rows[:, 1] = np.float32(1000) + np.float32(6e-5) * (np.arange(100) % 2)
    assert Scaling.fit(rows).still.tolist() == [False, True]
