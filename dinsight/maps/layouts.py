"""What a layout is: how baseline rows and new rows find their places in the plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats

Progress = Callable[[int, str], None]


@dataclass(frozen=True)
class Evidence:
    """What a layout is fitted to and places by.

    `lead` (m, q) coordinates along the leading directions in scaled units, `squared` (m,) the
    squared length of the whole scaled row, `score` (m,) distance in units of its alarm limit,
    `slack` (m,) what is left to that limit, in steps of noise (see `Calibration`), 0 beyond it.
    """

    lead: Floats
    squared: Floats
    score: Floats
    slack: Floats


@dataclass(frozen=True)
class Guide:
    """A line to draw on the map: where `axis` equals `at`, in map units, and what it says."""

    axis: Literal["x", "y"]
    at: float
    label: str


class Layout(Protocol):
    """One way to draw the map.

    Map units: the baseline is centred and its median distance from there is 1 (`umap`,
    `distance`); or one unit is a factor e, and the origin is at both limits (`mspc`).
    """

    name: ClassVar[str]

    def place(self, evidence: Evidence) -> Floats:
        """The places (m, 2) of new rows; elementwise or exact arithmetic only (see `exact`)."""

    def guides(self) -> tuple[Guide, ...]:
        """The lines that its plane has, if any."""

    def arrays(self) -> dict[str, Any]:
        """What is stored of it: arrays without objects."""

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Layout:
        """The same layout back."""


def spread_out(rows: int, most: int) -> NDArray[np.int64]:
    """Which of the rows stand for all: every one, or `most` at even steps of time.

    >>> spread_out(4, 9).tolist(), spread_out(7, 3).tolist()
    ([0, 1, 2, 3], [0, 3, 6])
    """
    return np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64)


def in_robust_units(places: Floats) -> Floats:
    """Places (n, 2) centred on their median; one unit is the median distance from there.

    >>> in_robust_units(np.array([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]]))[:, 0].tolist()
    [-1.0, 0.0, 1.0]
    """
    centre, spread = robust_units(places)
    return (places - centre) / spread


def robust_units(places: Floats) -> tuple[Floats, float]:
    """The median (2,) of places (n, 2) and their median distance from it, which is positive."""
    centre = np.asarray(np.median(places, axis=0), dtype=np.float64)
    away = places - centre
    lengths = np.sqrt((away * away).sum(axis=1))
    spread = float(np.median(lengths)) or float(lengths.max()) or 1.0
    return centre, spread
