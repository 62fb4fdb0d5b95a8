"""Sensor faults of rows: columns that stand still. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinsight.maps import Map

ROWS = 32
LEAST_ROWS = 5


@dataclass(frozen=True)
class Fault:
    column: int
    kind: str
    value: float
    rows: int


def faults(fitted: Map, rows: NDArray[np.float32]) -> list[Fault]:
    flat = (rows == rows[0]).all(axis=0) & (fitted.typical[2] > fitted.typical[1])
    return [Fault(int(c), "flat", float(rows[-1, c]), len(rows)) for c in np.flatnonzero(flat)]


def explained(fitted: Map, row: NDArray[np.float32], found: Sequence[Fault]) -> float:
    return float(fitted.explain(row).contribution[[f.column for f in found]].sum())


def sentence(fitted: Map, found: Sequence[Fault]) -> str:
    return ", ".join(
        f"{fitted.features[f.column]} stands still at {f.value:.4g}" for f in found[:3]
    )
