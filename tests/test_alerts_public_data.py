"""What the rules that every baseline has raise of public machines, run by run."""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
import pytest

from dinsight import fitting, maps, report_card
from dinsight.accounts import Identity
from dinsight.models import Baseline
from dinsight.services import Services
from tests.alerts_kit import Plant
from tests.test_maps_public_data import DATA, read

BATCH = 8
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public data is not at ../shared/data"),
]
# Fault 3 of the Tennessee Eastman process, which no published statistic sees either.
UNSEEN = {("tep_braatz", "3")}


@dataclass(frozen=True)
class Case:
    features: list[str]
    baseline: np.ndarray
    runs: dict[str, np.ndarray]
    healthy: dict[str, np.ndarray]


def case_of(name: str) -> Case:
    features, baseline = read(DATA / name / "baseline.csv")
    _, monitor = read(DATA / name / "monitor.csv")
    with (DATA / name / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    of_run = np.array([row.get("fault") or row.get("condition") or "all" for row in rows])
    labels = np.array([int(row["label"]) for row in rows])
    runs = {str(run): of_run == run for run in dict.fromkeys(of_run)}
    return Case(
        features,
        baseline,
        {run: monitor[which] for run, which in runs.items()},
        {run: labels[which] == 0 for run, which in runs.items()},
    )


def plant_of(services: Services, who: Identity, case: Case) -> Plant:
    fitted = maps.fit(case.baseline, features=case.features)
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    with services.sessions.begin() as session:
        baseline = Baseline(owner_id=who.id, name="Public", status="completed", layout=maps.DEFAULT)
        session.add(baseline)
        session.flush()
        told: list[dict[str, str]] = [{} for _ in case.baseline]
        rows = fitting.Rows(tuple(case.features), case.baseline, told)
        fitting.store(session, baseline.id, rows, made)
        return Plant(services, who, baseline.id, case.features)


def play(plant: Plant, stream: str, rows: np.ndarray) -> None:
    for start in range(0, len(rows), BATCH):
        plant.send(rows[start : start + BATCH], stream, after=60.0 * BATCH)


@pytest.mark.parametrize("name", ["tep_braatz", "femto_b1_1", "cwru_48k_de_load0", "skab_valve1_0"])
def test_public_machines_raise_anomalies_where_they_fail_and_nothing_about_their_data(
    services: Services, user: Identity, name: str
) -> None:
    case = case_of(name)
    plant = plant_of(services, user, case)
    for run, rows in case.runs.items():
        stream = run.replace("@", "-")
        play(plant, stream, rows)
        found = plant.alerts(stream=stream)
        assert {alert["alert_type"] for alert in found} <= {"anomaly"}
        assert not any(case.healthy[run][alert["opened_seq"] - 1] for alert in found)
        fails = not case.healthy[run].all() and (name, run) not in UNSEEN
        assert bool(found) == fails


@pytest.mark.parametrize("column", [0, 20, 45])
def test_a_sensor_of_a_healthy_plant_that_gets_stuck_is_no_anomaly(
    services: Services, user: Identity, column: int
) -> None:
    case = case_of("tep_braatz")
    plant = plant_of(services, user, case)
    rows = case.runs["0"][:256].copy()
    rows[100:, column] = rows[100, column]
    play(plant, "stuck", rows)
    (alert,) = plant.alerts()
    assert (alert["alert_type"], alert["rule"]["kind"]) == ("data_quality", "flat")
    assert alert["message"].startswith(f"{case.features[column]} stands still")
    assert 105 <= alert["opened_seq"] <= 128
