"""What a reliability engineer wants to be warned of before rows become normal.

Rows that are far from normal may be a fault; many of them outweigh the machine that the baseline
was recorded of; a limit that became much looser sees faults later. Nothing is refused: a person
decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinsight.maps import Map
from dinsight.models import Json

FAR = 10.0  # times the alarm limit
LOOSER = 1.5  # times the change that the map in force alarms at
PROBES = 64
REACH = 20.0  # spreads that a probe is moved by, at first
SEED = 20


@dataclass(frozen=True)
class Loosening:
    """How much larger a change must be until it alarms: of a typical fault, and of the worst."""

    typical: float
    worst: float


def of_rows(
    peaks: Sequence[float], medians: Sequence[float], rows: int, baseline: int
) -> list[Json]:
    """Of rows that are to be added: their scores over the limit, their number, the baseline's.

    >>> [each["code"] for each in of_rows([12.0, 30.0], [2.0, 11.0], 300, 120)]
    ['FAR', 'OUTNUMBER']
    """
    found = []
    far = sum(median > FAR for median in medians)
    if far:
        found.append(
            _finding(
                "problem",
                "FAR",
                f"{far:,} of {len(medians):,} proposals score more than {FAR:g} times the alarm "
                f"limit (the highest row {max(peaks):,.0f} times): so far away a fault is likelier "
                "than a new normal.",
                "Look at their points first: which bands drive them, and what the machine did.",
            )
        )
    if rows > baseline:
        found.append(
            _finding(
                "warning",
                "OUTNUMBER",
                f"{rows:,} rows would be added to {baseline:,}: the new ones outweigh the old.",
                "Refuse some, or record a new baseline where the machine itself was changed.",
            )
        )
    return found


def of_limits(loosening: Loosening) -> list[Json]:
    """Of a version that would see faults later than the one that it is compared with."""
    if loosening.typical <= LOOSER:
        return []
    return [
        _finding(
            "problem",
            "LOOSER",
            f"A typical change must be {loosening.typical:.1f} times as large until it alarms "
            f"({loosening.worst:.1f} times in the worst direction).",
            "Discard it and refuse the rows that are furthest away, or accept that small faults "
            "are seen later.",
        )
    ]


def loosening(older: Map, newer: Map, rows: NDArray[np.float32]) -> Loosening:
    """How much larger a change must be to alarm on the newer map, from rows (m, d) of both.

    Each probe is a row that one band, or all features at random, are moved of, in the older
    baseline's spreads, far enough that both maps score it by its distance alone: a score is in
    alarm limits, so the ratio of the two is that of the limits. Deterministic.
    """
    spread = np.maximum(older.typical[2] - older.typical[1], np.finfo(np.float32).tiny) / 3.29
    random = np.random.default_rng(SEED)
    ways = _ways(random, len(spread)) * spread
    start = rows[random.integers(0, len(rows), PROBES)].astype(np.float64)
    probes = (start + REACH * ways).astype(np.float32)
    before, after = (each.place(probes).score.astype(np.float64) for each in (older, newer))
    ratio = before / np.maximum(after, np.finfo(np.float64).tiny)
    return Loosening(float(np.median(ratio)), float(ratio.max()))


def _ways(random: np.random.Generator, columns: int) -> NDArray[np.float64]:
    """Directions (PROBES, columns): half of them a band of neighbouring features, half all."""
    ways = random.normal(size=(PROBES, columns))
    width = max(1, columns // 50)
    for way in ways[: PROBES // 2]:
        at = int(random.integers(0, columns - width + 1))
        kept = way[at : at + width].copy()
        way[:] = 0.0
        way[at : at + width] = np.sign(kept[0]) * 1.0
    return ways


def _finding(severity: str, code: str, message: str, action: str) -> Json:
    return {"severity": severity, "code": code, "message": message, "action": action}
