"""Sensor faults that show in the readings alone: columns that stand still or are clipped. Pure.

What is usual is learnt from the baseline (`Map.stillest`, `Map.extremes`): a sensor that repeats
itself there, because it is quantised or switches slowly, must repeat itself three times as long
before it is taken for stuck. Of a column whose values last `L` rows at most in `n` rows, a stretch
of `3 L` comes by chance once in about `n ** 3` rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinsight.maps import Map

FLAT, SATURATED = "flat", "saturated"
ROWS = 32  # that are looked at
LEAST_ROWS = 5
PATIENCE = 3  # times the longest stretch of the baseline
SMOOTH = 2  # rows of one value at most, of a sensor that never rests: only those are called clipped
NAMED = 3
ROUNDS = 3


@dataclass(frozen=True)
class Fault:
    """A column of the map that shows `value` in `rows` of the rows that were looked at."""

    column: int
    kind: str
    value: float
    rows: int


def faults(fitted: Map, rows: NDArray[np.float32]) -> list[Fault]:
    """The faults that rows (k, d) show, oldest first, up to and including the last of them.

    `flat`: the last rows, at least `LEAST_ROWS`, show one value for longer than is usual.
    `saturated`: at least half of the rows show the one value that is their highest or lowest, which
    lies outside of what the baseline has shown.
    """
    count = len(rows)
    if count < LEAST_ROWS:
        return []
    varies = fitted.extremes[1] > fitted.extremes[0]
    still = _still(rows)
    flat = varies & (still >= np.maximum(LEAST_ROWS, PATIENCE * fitted.stillest + SMOOTH))
    found = [
        Fault(int(column), FLAT, float(rows[-1, column]), int(still[column]))
        for column in np.flatnonzero(flat)
    ]
    smooth = varies & ~flat & (fitted.stillest <= SMOOTH)
    for extreme, beyond in (
        (rows.max(axis=0), rows[-1:].max(axis=0) > fitted.extremes[1]),
        (rows.min(axis=0), rows[-1:].min(axis=0) < fitted.extremes[0]),
    ):
        at = (rows == extreme).sum(axis=0)
        clipped = smooth & beyond & (at >= max(LEAST_ROWS, count / 2)) & (rows[-1] == extreme)
        found += [
            Fault(int(column), SATURATED, float(extreme[column]), int(at[column]))
            for column in np.flatnonzero(clipped)
        ]
    return found


def score_without(fitted: Map, row: NDArray[np.float32], found: Sequence[Fault]) -> float:
    """The score of a row (d,) had its faulty columns shown what the other ones predict of them.

    Where it is high all the same, it is not the faulty sensors that make the row stand out. Shares
    of the score would not tell: a stuck sensor also makes those look odd that move with it.
    """
    columns = sorted({fault.column for fault in found})
    repaired = np.array(row, dtype=np.float32)
    rounds = ROUNDS if len(columns) > 1 else len(columns)
    for _ in range(rounds):  # what is predicted of one depends on the other faulty ones
        repaired[columns] = fitted.explain(repaired).expected[columns]
    return float(fitted.place(repaired[None]).score[0])


def sentence(fitted: Map, found: Sequence[Fault]) -> str:
    """What to say of faults of one kind, such as

    `f_12 stands still at 0.25 (32 rows), and 3 more`.
    """
    if len(found) == len(fitted.features) > 1:
        return f"All {len(found):,} readings stand still ({found[0].rows} rows)."
    verb = "stands still" if found[0].kind == FLAT else "is clipped"
    named = [
        f"{fitted.features[fault.column]} {verb} at {fault.value:.4g} ({fault.rows} rows)"
        for fault in found[:NAMED]
    ]
    more = [f"{len(found) - NAMED:,} more"] if len(found) > NAMED else []
    *first, last = [*named, *more]
    return f"{', '.join(first)} and {last}." if first else f"{last}."


def _still(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """For how many rows up to the last each column has shown the last one's value."""
    differs = rows[::-1] != rows[-1]
    return np.where(differs.any(axis=0), differs.argmax(axis=0), len(rows))
