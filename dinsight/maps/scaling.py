"""Scaling: what one unit of each column is worth before columns are compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats

SPECTRUM = re.compile(r"f_\d+$|freq_", re.IGNORECASE)
STILL = 1e-6  # a spread below this share of the value is float32 rounding, not movement
FLOOR_OF_VALUE = 1e-4  # a constant sensor's unit: 1 % of its value is then 100 units
FLOOR_OF_FAMILY = 1e-2  # a constant bin's unit, in median spreads of the moving bins
MARGIN_OF_FAMILY = 1e-4  # a bin that moves less than this share of the median is constant


@dataclass(frozen=True)
class Scaling:
    """Every column in units of its own spread; constant columns in units of a variance floor.

    Bins of one spectrum (`f_<n>`, `freq_<x>`) share a physical unit and could keep it. They are
    standardised like mixed sensors, because that did as well or better on the public cases (AUROC
    of the score 1.00 both ways on CWRU and FEMTO spectra, .911 against .887 on Tennessee Eastman),
    and because the largest bins otherwise hide the others. What the family decides is the floor of
    a constant column: in a spectrum 1 % of the median spread of its moving bins (or 0.01 % of its
    value, if that is more); for a sensor 0.01 % of its value, or, at zero, 1 % of the median.

    `centre` (d,) in units of the column, `unit` (d,) likewise and positive, `still` (d,) bool.

    >>> rows = np.array([[1.0, 7.0], [3.0, 7.0], [5.0, 7.0]], dtype=np.float32)
    >>> scaling = Scaling.fit(rows)
    >>> scaling.still.tolist(), scaling.family
    ([False, True], 'mixed')
    >>> moving, still = scaling.apply(np.array([[3.0, 7.07]], dtype=np.float32))
    >>> moving.tolist(), round(float(still[0, 0]))
    ([[0.0]], 100)
    """

    centre: Floats
    unit: Floats
    still: NDArray[np.bool_]
    family: str

    @classmethod
    def fit(cls, values: NDArray[np.float32], features: Sequence[str] | None = None) -> Scaling:
        """Learn the units from baseline rows (n, d), finite float32."""
        spectrum = features is not None and all(SPECTRUM.match(name) for name in features)
        centre = values.mean(axis=0, dtype=np.float64)
        spread = _spread(values, centre)
        still = spread <= STILL * np.abs(centre)
        if still.all():
            still = spread == 0.0
        typical = float(np.median(spread[~still])) if not still.all() else 1.0
        if spectrum:
            still |= spread <= MARGIN_OF_FAMILY * typical
        value_floor = FLOOR_OF_VALUE * np.abs(centre)
        family_floor = FLOOR_OF_FAMILY * typical
        if spectrum:
            floor = np.maximum(value_floor, family_floor)
        else:
            floor = np.where(value_floor > 0.0, value_floor, family_floor)
        unit = np.where(still, floor, spread)
        return cls(centre, unit, still, "spectrum" if spectrum else "mixed")

    def apply(self, rows: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Rows (m, d) as scaled moving columns (m, p) and scaled constant ones (m, d - p)."""
        scaled = rows.astype(np.float64)
        scaled -= self.centre
        scaled /= self.unit
        if not self.still.any():
            return scaled, scaled[:, :0]
        return scaled[:, ~self.still], scaled[:, self.still]

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "scaling_centre": self.centre,
            "scaling_unit": self.unit,
            "scaling_still": self.still,
            "scaling_family": np.array(self.family),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, Any]) -> Scaling:
        return cls(
            stored["scaling_centre"],
            stored["scaling_unit"],
            stored["scaling_still"],
            str(stored["scaling_family"]),
        )


def _spread(values: NDArray[np.float32], centre: Floats) -> Floats:
    """Standard deviation of each column, in blocks of columns so that memory stays small."""
    spread = np.empty(values.shape[1])
    block = max(1, 4_000_000 // len(values))
    for start in range(0, values.shape[1], block):
        part = slice(start, start + block)
        away = values[:, part].astype(np.float64) - centre[part]
        spread[part] = np.sqrt(np.einsum("ij,ij->j", away, away) / len(values))
    return spread
