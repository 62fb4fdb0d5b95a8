"""The exact products, on which the sameness of single rows and batches rests."""

from __future__ import annotations

import numpy as np
import pytest

from dinsight.maps.exact import bits_for, grid, log


@pytest.mark.parametrize("terms", [1, 2, 8, 52, 1_024, 16_377, 20_000])
def test_the_largest_product_that_a_grid_allows_is_still_exact(terms: int) -> None:
    """Kills a budget of one bit too many: an odd last unit would be rounded away."""
    largest = 2.0 ** bits_for(terms)
    assert terms * largest * largest <= 2.0**53
    rows = grid(np.full((1, terms), 1.0))
    assert np.abs(rows.whole).max() <= largest


@pytest.mark.parametrize("width", [3, 64, 1_024])
def test_a_product_of_grids_is_the_product_of_integers(width: int) -> None:
    random = np.random.default_rng(width)
    left = grid(random.standard_normal((9, width)) * 10.0 ** random.integers(-30, 30, (9, 1)))
    right = grid(random.standard_normal((7, width)))
    expected = left.whole.astype(np.int64) @ right.whole.astype(np.int64).T
    assert (left.whole @ right.whole.T == expected).all()
    squares = (left.whole.astype(np.int64) ** 2).sum(axis=1)
    assert (left.squared_norms() == squares * left.step * left.step).all()


def test_a_grid_keeps_seven_digits_of_the_largest_entry() -> None:
    values = np.random.default_rng(0).standard_normal((20, 1_024))
    on_grid = grid(values)
    error = np.abs(on_grid.whole * on_grid.step[:, None] - values).max(axis=1)
    assert (error <= np.abs(values).max(axis=1) * 2.0**-20).all()


def test_a_row_of_zeros_is_a_row_of_zeros() -> None:
    assert grid(np.zeros((2, 5))).squared_norms().tolist() == [0.0, 0.0]


def test_log_increases_without_a_gap_where_the_power_of_two_changes() -> None:
    values = np.sort(
        np.concatenate([np.linspace(0.6, 3, 5_000), 2.0 ** np.arange(-9, 9) * 0.5**0.5])
    )
    assert (np.diff(log(values)) >= 0).all()
    assert np.allclose(log(values), np.log(values), rtol=0, atol=1e-12)
    assert log(np.ones(1)).tolist() == [0.0]
