"""The cases: a healthy machine's rows, what came after, and which of it was anomalous."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measures import HEALTHY, WORN, Floats, Labels
from dinsight import readings

Floats32 = NDArray[np.float32]

GIVEN, HELD_OUT, SAMPLE = "given", "held out", "sample"
FILES = ("baseline.csv", "monitor.csv", "labels.csv")
PAIR = "test-baseline.csv", "test-monitoring.csv"
SHIFTED_ROW = 29  # the one row of D'insight's own pair that differs materially; see its README
LIMITS = readings.Limits(rows=1_000_000, columns=20_000)
TRANSITION = -1


@dataclass(frozen=True)
class Case:
    """One machine.

    `baseline` (n, d) and `monitor` (m, d) in the order of time, `labels` (m,) 0 healthy, 1
    anomalous, else left out; `life` (m,) the fraction of the machine's life, NaN where unknown,
    `fault` (m,) which condition a row is from, where the labels say so.
    """

    name: str
    kind: str
    features: tuple[str, ...]
    baseline: Floats32
    monitor: Floats32
    labels: Labels
    life: Floats
    fault: NDArray[np.str_]

    @property
    def healthy(self) -> Floats32:
        """The healthy rows that no fit has seen."""
        return np.asarray(self.monitor[self.labels == HEALTHY])

    def only(self, name: str, rows: NDArray[np.bool_]) -> Case:
        """The same machine with some of its monitor rows."""
        return replace(
            self,
            name=name,
            kind=HELD_OUT,
            monitor=self.monitor[rows],
            labels=self.labels[rows],
            life=self.life[rows],
            fault=self.fault[rows],
        )

    def half(self) -> Case:
        """Fitted to the first half of the baseline; the other half comes first in the monitor."""
        rows = len(self.baseline) // 2
        unseen = len(self.baseline) - rows
        return replace(
            self,
            name=f"{self.name}, half",
            kind=HELD_OUT,
            baseline=self.baseline[:rows],
            monitor=np.concatenate([self.baseline[rows:], self.monitor]),
            labels=np.concatenate([np.full(unseen, HEALTHY), self.labels]),
            life=np.concatenate([np.full(unseen, np.nan), self.life]),
            fault=np.concatenate([np.full(unseen, "", dtype=np.str_), self.fault]),
        )


def folders(data: Path) -> Iterator[Path]:
    """The folders that hold a case, by name."""
    for folder in sorted(data.iterdir()) if data.is_dir() else []:
        if any(all((folder / file).is_file() for file in files) for files in (FILES, PAIR)):
            yield folder


def read(folder: Path) -> Case:
    """The case of a folder: baseline, monitor and labels, or D'insight's own pair."""
    labelled = (folder / FILES[0]).is_file()
    names = FILES if labelled else PAIR
    baseline = readings.parse((folder / names[0]).read_bytes(), limits=LIMITS)
    monitor = readings.parse(
        (folder / names[1]).read_bytes(), limits=LIMITS, expected=baseline.features
    ).values
    rows = list(_labels(folder / FILES[2])) if labelled else _one_row(len(monitor))
    return Case(
        name=folder.name,
        kind=GIVEN,
        features=tuple(baseline.features),
        baseline=baseline.values,
        monitor=monitor,
        labels=np.array([int(row["label"]) for row in rows], dtype=np.int64),
        life=np.array([float(row.get("life_fraction", "nan")) for row in rows]),
        fault=np.array([row.get("fault", "") for row in rows], dtype=np.str_),
    )


def _labels(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def _one_row(rows: int) -> list[dict[str, str]]:
    return [{"label": str(WORN if row == SHIFTED_ROW else HEALTHY)} for row in range(rows)]


def variants(case: Case) -> Iterator[Case]:
    """Held out: derived from a given case, so that no one tunes to the case as it stands.

    Half the baseline, where that leaves enough of it and labels are more than one row; and one
    fault at a time, after the rows of no fault.
    """
    if (case.labels == WORN).sum() > 1:
        yield case.half()
    faults = sorted({fault for fault in case.fault.tolist() if fault not in {"", "0"}}, key=int)
    for fault in faults:
        yield case.only(f"{case.name}, fault {fault}", np.isin(case.fault, ["0", fault]))


def sample_machines() -> Iterator[Case]:
    """The project's own sample machine in every condition.

    What is wrong grows from `ONSET` on, from nothing: the first third of that time counts neither
    as healthy nor as anomalous.
    """
    from simulator import sample

    for condition in sample.CONDITIONS:
        baseline, _, monitor, _ = sample.spectra(condition)
        time = np.arange(len(monitor)) / len(monitor)
        worn = sample.ONSET + (1.0 - sample.ONSET) / 3.0
        labels = np.where(time < sample.ONSET, HEALTHY, np.where(time < worn, TRANSITION, WORN))
        if condition == "healthy":
            labels = np.full(len(monitor), HEALTHY)
        yield Case(
            name=f"sample machine, {condition}",
            kind=SAMPLE,
            features=tuple(f"freq_{line * sample.STEP_HZ:.2f}" for line in range(sample.LINES)),
            baseline=baseline.astype(np.float32),
            monitor=monitor.astype(np.float32),
            labels=labels.astype(np.int64),
            life=time,
            fault=np.full(len(monitor), "", dtype=np.str_),
        )
