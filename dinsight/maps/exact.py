"""Arithmetic that gives the same bits for a row, whatever batch, thread count or BLAS it met.

A sum of floats depends on its order, and BLAS chooses the order by the shape of the batch, the
number of threads and the processor. A sum whose every product and partial sum is exactly
representable does not. So both factors of a product are put on a grid of integers, narrow enough
that the whole sum fits in the 53 bits of a float64: then BLAS keeps its speed and has nothing left
to round (the idea of error-free slicing: Ozaki, Ogita, Oishi, Rump, Numerical Algorithms 59,
2012). What follows such a product must be elementwise IEEE arithmetic (+ - * / sqrt), which
numpy computes alike for one element and a million; no exp, log or hypot, which differ by processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

SIGNIFICAND = 53
MOST_BITS = 24  # what a stored float32 holds exactly
LN2 = 0.6931471805599453
SQRT_HALF = 0.7071067811865476


@dataclass(frozen=True)
class Grid:
    """A matrix as whole numbers and one power of two a row.

    `whole` (m, d) holds integers as float64, `step` (m,) what one of them is worth.
    """

    whole: Floats
    step: Floats

    def squared_norms(self) -> Floats:
        """|row|², shape (m,): an exact sum of squares, rounded once."""
        squares: Floats = np.einsum("ij,ij->i", self.whole, self.whole)
        return squares * self.step * self.step


@cache
def bits_for(terms: int) -> int:
    """How many bits a factor may have so that a sum of `terms` products is exact.

    >>> bits_for(1024), bits_for(16_377), bits_for(8)
    (21, 19, 24)
    """
    return min(MOST_BITS, (SIGNIFICAND - max(terms - 1, 0).bit_length()) // 2)


def grid(values: Floats) -> Grid:
    """Put each row of (m, d) on a grid of its own, `bits_for(d)` bits below its largest entry.

    >>> g = grid(np.array([[3.0, -1.5, 0.1]]))
    >>> bool(abs(g.whole * g.step - [[3.0, -1.5, 0.1]]).max() < 3e-7)
    True
    """
    if values.shape[1] == 0:
        return Grid(np.zeros(values.shape), np.ones(len(values)))
    peak = np.maximum(values.max(axis=1), -values.min(axis=1))
    exponent = np.frexp(peak)[1] - bits_for(values.shape[1])
    whole = values * np.ldexp(1.0, -exponent)[:, None]
    return Grid(np.rint(whole, out=whole), np.ldexp(1.0, exponent))


def sum_in_order(values: Floats) -> Floats:
    """Sum (m, k) over k strictly from left to right, which a plain `sum` does not promise.

    >>> sum_in_order(np.array([[1.0, 2.0, 3.0]])).tolist()
    [6.0]
    """
    total: Floats = np.add.accumulate(values, axis=1)[:, -1]
    return total


def log(values: Floats) -> Floats:
    """Natural logarithm of positive numbers, from + - * / alone, to about 1e-12.

    >>> x = np.array([1e-300, 0.5, 1.0, 3.0, 1e300])
    >>> bool(np.allclose(log(x), np.log(x), rtol=1e-12, atol=0))
    True
    """
    fraction, exponent = np.frexp(values)
    low = fraction < SQRT_HALF
    fraction = np.where(low, fraction * 2.0, fraction)
    exponent = exponent - low
    ratio = (fraction - 1.0) / (fraction + 1.0)
    square = ratio * ratio
    series = square / 17.0
    for odd in range(15, 0, -2):
        series += 1.0 / odd
        if odd > 1:
            series *= square
    return exponent * LN2 + 2.0 * ratio * series


def as_float32(values: Floats) -> Floats32:
    """Round once to float32, and keep what lies beyond its range at its largest number.

    >>> as_float32(np.array([1e300, 0.1])).tolist()
    [3.4028234663852886e+38, 0.10000000149011612]
    """
    most = float(np.finfo(np.float32).max)
    return np.asarray(np.minimum(np.maximum(values, -most), most), dtype=np.float32)
