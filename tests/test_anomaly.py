"""Comparing two datasets: the rows of one on the map of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from dinsight import fitting, maps
from dinsight.accounts import Identity
from dinsight.models import Baseline
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, failing, healthy
from tests.test_api_main_job import Api

Add = Callable[..., int]


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.fixture
def theirs(client: FlaskClient, other: Identity) -> Api:
    return Api(client, other.email)


@pytest.fixture
def add(services: Services, user: Identity, made: fitting.Made) -> Add:
    """Stores rows as a fitted dataset; which map it has of its own does not matter here."""

    def store(values: np.ndarray, features: tuple[str, ...] = FEATURES) -> int:
        with services.sessions.begin() as session:
            baseline = Baseline(owner_id=user.id, name="B", status="completed", layout=maps.DEFAULT)
            session.add(baseline)
            session.flush()
            rows = fitting.Rows(features, values, [{}] * len(values))
            fitting.store(session, baseline.id, rows, made)
            return baseline.id

    return store


def detect(api: Api, baseline_id: int, comparison_id: int, **more: Any) -> Any:
    ids = {"baseline_dataset_id": baseline_id, "comparison_dataset_id": comparison_id}
    return api("POST", "/anomaly/detect", json=ids | more)


def test_every_point_is_placed_judged_and_counted(
    api: Api, baseline_id: int, add: Add, fitted: maps.Map
) -> None:
    rows = np.concatenate([healthy(30, seed=21), failing(10, seed=22)])
    answer = detect(api, baseline_id, add(rows), sensitivity_factor=3)
    assert answer.status_code == 200
    assert answer.json["success"] is True
    data = answer.json["data"]
    points = data["anomalous_points"]
    placed = fitted.place(rows)
    assert [point["index"] for point in points] == list(range(40))
    assert [point["x"] for point in points] == pytest.approx(placed.x.tolist())
    assert [point["y"] for point in points] == pytest.approx(placed.y.tolist())
    assert [point["is_anomaly"] for point in points] == (placed.score > 1.0).tolist()
    assert all(point["is_anomaly"] for point in points[30:])
    assert data["total_points"] == 40
    assert data["anomaly_count"] == int((placed.score > 1.0).sum())
    assert data["anomaly_percentage"] == pytest.approx(100 * data["anomaly_count"] / 40)
    assert (data["sensitivity_factor"], data["sensitivity_level"]) == (3.0, "medium")
    own = fitted.coordinates.astype(float).mean(axis=0)
    assert data["baseline_centroid"] == pytest.approx({"x": own[0], "y": own[1]})
    centre = data["comparison_centroid"]
    assert centre == pytest.approx({"x": placed.x.mean(), "y": placed.y.mean()})
    gap = np.hypot(centre["x"] - own[0], centre["y"] - own[1])
    assert data["centroid_distance"] == pytest.approx(gap)


@pytest.mark.parametrize("factor", [0.5, 1.7, 3, 4.4, 5])
def test_a_point_is_anomalous_exactly_where_its_distance_is_above_the_threshold(
    api: Api, baseline_id: int, add: Add, fitted: maps.Map, factor: float
) -> None:
    data = detect(api, baseline_id, add(BASELINE), sensitivity_factor=factor).json["data"]
    threshold, alarm = data["anomaly_threshold"], fitted.calibration.alarm
    assert threshold == pytest.approx(fitted.limit_at(factor) * alarm)
    for point in data["anomalous_points"]:
        assert point["is_anomaly"] == (point["mahalanobis_distance"] > threshold)
        assert point["mahalanobis_distance"] == pytest.approx(point["score"] * alarm)


def test_a_higher_factor_detects_more(api: Api, baseline_id: int, add: Add) -> None:
    number = add(healthy(200, seed=31))
    answers = [
        detect(api, baseline_id, number, sensitivity_factor=factor).json["data"]
        for factor in (0.5, 3, 5)
    ]
    counts = [answer["anomaly_count"] for answer in answers]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    assert [answer["sensitivity_level"] for answer in answers] == ["low", "medium", "high"]


def test_statistics_tell_healthy_rows_from_others(api: Api, baseline_id: int, add: Add) -> None:
    same = detect(api, baseline_id, add(healthy(100, seed=41))).json["data"]["statistics"]
    worse = detect(api, baseline_id, add(failing(100, seed=42))).json["data"]["statistics"]
    assert same["baseline"] == worse["baseline"]
    assert (same["baseline"]["count"], same["comparison"]["count"]) == (120, 100)
    assert 0.7 < same["median_ratio"] < 1.4
    assert worse["median_ratio"] > 3
    assert same["expected_anomaly_percentage"] < 5
    for name in ("mean", "std", "min", "p5", "median", "p95", "max"):
        assert worse["comparison"][name] > 0


def test_features_are_matched_by_name_and_others_are_left_out(
    api: Api, baseline_id: int, add: Add
) -> None:
    rows = failing(9)
    plain = detect(api, baseline_id, add(rows)).json["data"]
    order = np.random.default_rng(0).permutation(len(FEATURES))
    extra = np.concatenate([rows[:, order], np.full((9, 1), 7, np.float32)], axis=1)
    names = tuple(FEATURES[i] for i in order)
    mixed = detect(api, baseline_id, add(extra, (*names, "f_99"))).json["data"]
    assert mixed["anomalous_points"] == plain["anomalous_points"]


def test_missing_features_are_named(api: Api, baseline_id: int, add: Add) -> None:
    number = add(healthy(6)[:, :10], FEATURES[:10])
    answer = detect(api, baseline_id, number)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "COLUMNS_MISSING")
    assert answer.json["message"] == (
        f"Baseline {number} cannot be compared: expected 12 features, got 10; missing f_10, f_11"
    )


@pytest.mark.parametrize("factor", [0, 0.49, 5.01, "3", True, None, [3]])
def test_a_factor_that_makes_no_sense_is_refused(api: Api, baseline_id: int, factor: Any) -> None:
    answer = detect(api, baseline_id, baseline_id, sensitivity_factor=factor)
    assert answer.status_code in {400, 422}
    assert "sensitivity_factor" in answer.json["message"]


@pytest.mark.parametrize("body", [{}, {"baseline_dataset_id": 1}, {"baseline_dataset_id": "a"}])
def test_a_body_without_both_datasets_is_refused(api: Api, body: Any) -> None:
    assert api("POST", "/anomaly/detect", json=body).status_code == 422


def test_anothers_dataset_is_not_there_whichever_it_is(
    api: Api, theirs: Api, baseline_id: int, make_baseline: Callable[..., int], other: Identity
) -> None:
    own = make_baseline(other)
    for asked in ((baseline_id, own), (own, baseline_id), (own, 2**62), (-1, own)):
        answer = detect(theirs, *asked)
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "BASELINE_NOT_FOUND")
    assert detect(theirs, own, own).status_code == 200


def test_a_dataset_that_is_not_fitted_has_to_be_waited_for(
    services: Services, api: Api, baseline_id: int, add: Add
) -> None:
    number = add(BASELINE)
    with services.sessions.begin() as session:
        session.execute(update(Baseline).where(Baseline.id == number).values(status="processing"))
    for asked in ((baseline_id, number), (number, baseline_id)):
        answer = detect(api, *asked)
        assert (answer.status_code, answer.json["error"]["code"]) == (409, "BASELINE_NOT_READY")


def test_many_points_come_in_pieces_that_are_one_document(
    api: Api, baseline_id: int, add: Add
) -> None:
    number = add(np.tile(BASELINE, (40, 1)))
    answer = detect(api, baseline_id, number)
    assert len(list(answer.response)) > 4
    points = detect(api, baseline_id, number).json["data"]["anomalous_points"]
    assert [point["index"] for point in points] == list(range(4800))
