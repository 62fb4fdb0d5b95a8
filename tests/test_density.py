"""The density behind the contours."""

from __future__ import annotations

import numpy as np
import pytest

from dinsight.density import density_grid, extent_of


def cloud(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(seed).standard_normal((2, rows)).astype(np.float32)
    return x, y


def test_the_density_is_a_share_a_square_unit() -> None:
    x, y = cloud(200_000)
    grid = density_grid(x, y, extent=(-6, 6, -4, 4), bins=64)
    assert grid.z.sum() * (12 / 64) * (8 / 64) == pytest.approx(1, abs=1e-3)
    expected = np.exp(-(grid.x**2) / 2) * np.exp(-(grid.y**2) / 2)[:, None] / (2 * np.pi)
    assert np.abs(grid.z - expected).max() < 0.02


def test_rows_of_z_are_y_and_columns_are_x() -> None:
    grid = density_grid(np.full(5, 3.0), np.full(5, -2.0), extent=(-4, 4, -4, 4), bins=32)
    row, column = np.unravel_index(grid.z.argmax(), grid.z.shape)
    assert grid.x[column] == pytest.approx(3, abs=0.25)
    assert grid.y[row] == pytest.approx(-2, abs=0.25)


def test_points_outside_count_in_the_total_only() -> None:
    x = np.array([0.0, 0.0, 1e30, -1e30])
    grid = density_grid(x, np.zeros(4), extent=(-1, 1, -1, 1), bins=16)
    assert np.isfinite(grid.z).all()
    assert grid.z.sum() * (2 / 16) ** 2 == pytest.approx(0.5)


def test_the_kernel_smooths_and_can_be_left_out() -> None:
    x, y = cloud(500)
    rough = density_grid(x, y, extent=(-4, 4, -4, 4), smoothing=0.0)
    smooth = density_grid(x, y, extent=(-4, 4, -4, 4), smoothing=3.0)
    assert np.abs(np.diff(smooth.z)).max() < np.abs(np.diff(rough.z)).max() / 5
    assert smooth.z.sum() == pytest.approx(rough.z.sum())


def test_no_points_have_no_density() -> None:
    empty = np.empty(0)
    assert density_grid(empty, empty, extent=extent_of(empty, empty)).z.max() == 0


@pytest.mark.parametrize("outlier", [1e6, -1e6, np.inf, np.nan])
def test_an_outlier_neither_breaks_nor_flattens_the_extent(outlier: float) -> None:
    x, y = cloud(1_000)
    calm = extent_of(x, y)
    x[3] = outlier
    found = extent_of(x, y)
    assert np.isfinite(found).all()
    assert found == pytest.approx(calm, abs=0.5)
    assert density_grid(x, y, extent=found).z.max() > 0.1


def test_the_extent_covers_both_sets() -> None:
    x, y = cloud(300)
    both = extent_of(x, y, x + 20, y - 30)
    assert both.x_low < x.min() and both.x_high > x.max() + 20
    assert both.y_low < y.min() - 30 and both.y_high > y.max()


def test_a_single_point_has_an_extent_around_it() -> None:
    found = extent_of(np.array([5.0]), np.array([-7.0]))
    assert found.x_low < 5 < found.x_high
    assert found.y_low < -7 < found.y_high
    assert density_grid(np.array([5.0]), np.array([-7.0]), extent=found).z.max() > 0
