"""Is the arithmetic right? Plain T² and SPE against the published Tennessee Eastman table.

L. Chiang, E. Russell, R. Braatz, "Fault detection and diagnosis in industrial systems", Springer,
2001, missed detection rates of PCA: 11 components of the fault-free training set, a limit for each
statistic from the fault-free test set, where it flags the tenth highest of 960 rows (1 %); faults
begin at row 160 of their file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.cases import Case
from benchmarks.measures import Floats
from dinsight.maps.mspc import ProcessModel

PUBLISHED = {"1": (0.008, 0.003), "4": (0.956, 0.038), "5": (0.775, 0.746)}
COMPONENTS = 11
FAULT_BEGINS = 160
TENTH = 10
CLOSE = 0.01


@dataclass(frozen=True)
class Missed:
    """Missed detection rates of one fault: ours and the published ones, T² and SPE."""

    fault: str
    ours: tuple[float, float]
    published: tuple[float, float]

    @property
    def reproduced(self) -> bool:
        """Within 0.01 of what is published."""
        pairs = zip(self.ours, self.published, strict=True)
        return all(abs(one - other) <= CLOSE for one, other in pairs)


def suits(case: Case) -> bool:
    """Whether a case is the Tennessee Eastman process: its faults, 960 rows each."""

    return all((case.fault == fault).sum() == 960 for fault in ("0", *PUBLISHED))


def missed(case: Case) -> list[Missed]:
    """Fit to the baseline, limit by the fault-free rows, and count what stays below."""
    mean = case.baseline.mean(axis=0, dtype=np.float64)
    deviation = case.baseline.std(axis=0, dtype=np.float64, ddof=1)
    model = ProcessModel.fit((case.baseline - mean) / deviation, COMPONENTS)

    def statistics(fault: str) -> Floats:
        rows = (case.monitor[case.fault == fault] - mean) / deviation
        return np.stack(model.statistics(rows), axis=1)

    limits = np.sort(statistics("0"), axis=0)[-TENTH]
    found = []
    for fault, published in PUBLISHED.items():
        t2, spe = (statistics(fault)[FAULT_BEGINS:] <= limits).mean(axis=0).tolist()
        found.append(Missed(fault, (t2, spe), published))
    return found
