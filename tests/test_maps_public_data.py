"""What the map promises, on public machines: see the design's table of cases."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from dinsight import maps

DATA = Path(__file__).parents[2] / "shared" / "data"
CASES = {"cwru_48k_de_load0": 0.97, "femto_b1_1": 1.0}  # least share of worn rows in alarm

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the public data is not at ../shared/data"
)


def read(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open(newline="") as file:
        header = next(csv.reader(file))
        return header, np.loadtxt(file, delimiter=",", dtype=np.float32, ndmin=2)


def auroc(values: np.ndarray, labels: np.ndarray) -> float:
    ranks = rankdata(values[labels >= 0])
    worn = labels[labels >= 0] == 1
    count = worn.sum()
    return float((ranks[worn].sum() - count * (count + 1) / 2) / (count * (~worn).sum()))


@pytest.mark.parametrize("case", CASES)
def test_a_worn_machine_is_seen_to_leave_the_cloud(case: str) -> None:
    features, baseline = read(DATA / case / "baseline.csv")
    _, monitor = read(DATA / case / "monitor.csv")
    with (DATA / case / "labels.csv").open(newline="") as file:
        labels = np.array([int(row["label"]) for row in csv.DictReader(file)])
    fitted = maps.fit(baseline, features=features)
    found = fitted.place(monitor)
    away = np.hypot(
        found.x[:, None] - fitted.coordinates[:, 0], found.y[:, None] - fitted.coordinates[:, 1]
    )
    planar = np.sort(away, axis=1)[:, :10].mean(axis=1)
    assert auroc(planar, labels) >= auroc(found.score, labels) - 0.02
    assert auroc(found.score, labels) >= 0.99
    levels, _ = maps.judge(fitted.rule, maps.LevelState(), found.score)
    assert (levels[labels == 0] == maps.Level.ALARM).mean() <= 0.01
    assert (levels[labels == 1] == maps.Level.ALARM).mean() >= CASES[case]
