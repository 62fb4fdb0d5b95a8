"""Why a point is where it is: what its score is associated with, read from the stored point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from dinsight import fitting, maps, mapstore, refitting, report_card
from dinsight.accounts import Identity
from dinsight.models import Baseline, FittedMap
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy
from tests.test_api_main_job import Api

Explain = Callable[..., Any]


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.fixture
def theirs(client: FlaskClient, other: Identity) -> Api:
    return Api(client, other.email)


@pytest.fixture
def explain(api: Api, baseline_id: int) -> Explain:
    """Posts a row and gives its explanation."""

    def post(row: np.ndarray, query: str = "", **more: Any) -> Any:
        receipt = api.post(baseline_id, csv(row[None], **more)).json["data"]
        path = f"/monitor/{baseline_id}/points/{receipt['last_seq']}/explain{query}"
        return api("GET", path).json["data"]

    return post


def test_the_bin_that_is_off_is_named_first(explain: Explain, fitted: maps.Map) -> None:
    row = BASELINE[29].copy()
    row[7] += 6
    data = explain(row, metadata=["night shift"])
    assert data["bands"][0]["first_feature"] == data["bands"][0]["last_feature"] == "f_7"
    assert data["bands"][0]["z"] > 0
    first = data["contributions"][0]
    assert (first["feature"], first["index"], first["hz"]) == ("f_7", 7, None)
    assert first["value"] == pytest.approx(float(row[7]), rel=1e-6)
    assert first["expected"] == pytest.approx(float(BASELINE[29, 7]), abs=1.5)
    assert first["low"] < first["median"] < first["high"]
    assert [each["share"] for each in data["contributions"]] == sorted(
        (each["share"] for each in data["contributions"]), reverse=True
    )
    assert sum(each["share"] for each in data["contributions"]) == pytest.approx(1.0)
    assert data["sentence"].split(", ")[1] == "associated with f_7 (higher than usual)."
    assert data["metadata"] == {"note": "night shift"}
    assert data["score"] == pytest.approx(float(fitted.place(row[None]).score[0]), rel=1e-6)
    assert max(data["whole"], data["isolated"]) == pytest.approx(data["score"], rel=1e-5)


def test_bands_are_associated_and_never_called_a_cause(explain: Explain) -> None:
    data = explain(failing(1)[0])
    assert data["bands"][0]["first_feature"] == "f_2"
    assert len(data["bands"]) > 1
    assert " and " in data["sentence"]
    assert "associated with" in data["sentence"]
    assert "cause" not in data["sentence"]


def test_a_healthy_point_is_said_to_be_one(explain: Explain) -> None:
    data = explain(BASELINE[3])
    assert "within healthy behaviour" in data["sentence"]
    assert data["level"] == "healthy"


def test_the_spectrum_stands_beside_the_baselines_band(explain: Explain) -> None:
    row = healthy(1, seed=51)[0]
    spectrum = explain(row)["spectrum"]
    assert spectrum["features"] == list(FEATURES)
    assert np.array_equal(np.float32(spectrum["values"]), row)
    expected = np.quantile(BASELINE, [0.5, 0.05, 0.95], axis=0)
    for name, values in zip(("median", "low", "high"), expected, strict=True):
        assert spectrum[name] == pytest.approx(values.tolist(), rel=1e-5)


def test_the_nearest_baseline_row_is_found_by_its_readings(
    explain: Explain, fitted: maps.Map
) -> None:
    itself = explain(BASELINE[17])["nearest"]
    assert (itself["row"], itself["distance"], itself["metadata"]) == (17, 0.0, {"row": "17"})
    assert np.array_equal(np.float32(itself["values"]), BASELINE[17])
    x, y = (float(value) for value in fitted.coordinates[17])
    assert (itself["dinsight_x"], itself["dinsight_y"]) == (x, y)
    close = explain(BASELINE[17] + np.float32(0.01))["nearest"]
    assert close["row"] == 17
    assert 0 < close["distance"] < 0.2


def test_without_values_the_answer_does_not_grow_with_the_features(explain: Explain) -> None:
    data = explain(failing(1)[0], "?values=0")
    assert data["spectrum"] is None
    assert "values" not in data["nearest"]
    assert len(data["contributions"]) == 12


def test_a_point_that_is_not_there_is_said_to_be_missing(api: Api, baseline_id: int) -> None:
    api.post(baseline_id, csv(healthy(2)))
    for path in ("3/explain", "0/explain", f"{10**20}/explain", "1/explain?epoch=2"):
        answer = api("GET", f"/monitor/{baseline_id}/points/{path}")
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "POINT_NOT_FOUND")
    answer = api("GET", f"/monitor/{baseline_id}/points/1/explain?stream=night")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "STREAM_NOT_FOUND")
    assert api("GET", f"/monitor/{baseline_id}/points/1/explain?epoch=x").status_code == 400


def test_anothers_point_answers_as_one_that_does_not_exist(
    api: Api, theirs: Api, baseline_id: int
) -> None:
    api.post(baseline_id, csv(healthy(1)))
    for number in (baseline_id, 99_999):
        answer = theirs("GET", f"/monitor/{number}/points/1/explain")
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "BASELINE_NOT_FOUND")


def test_a_point_of_before_a_refit_is_explained_by_the_map_that_placed_it(
    services: Services, api: Api, baseline_id: int
) -> None:
    api.post(baseline_id, csv(failing(1)))
    before = api("GET", f"/monitor/{baseline_id}/points/1/explain").json["data"]
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    with services.sessions.begin() as session:
        refitting.adopt(session, baseline_id, made, services.now())
    api.post(baseline_id, csv(failing(1)))
    path = f"/monitor/{baseline_id}/points/1/explain"
    assert api("GET", f"{path}?epoch=1").json["data"] == before
    after = api("GET", path).json["data"]
    assert (after["epoch"], after["nearest"]["dinsight_x"]) != (1, before["nearest"]["dinsight_x"])


def test_a_point_whose_map_is_of_an_earlier_version_cannot_be_explained_any_more(
    services: Services, api: Api, baseline_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post(baseline_id, csv(failing(1)))
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    with services.sessions.begin() as session:
        old = session.get_one(Baseline, baseline_id).map_id
        refitting.adopt(session, baseline_id, made, services.now())
        session.execute(update(FittedMap).where(FittedMap.id == old).values(format=1))
    monkeypatch.setattr(mapstore, "_cache", mapstore.MapCache())
    answer = api("GET", f"/monitor/{baseline_id}/points/1/explain?epoch=1")
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "MAP_OUTDATED")


def test_hertz_are_told_where_the_header_says_so_and_constant_columns_are_fine(
    services: Services, api: Api, user: Identity
) -> None:
    names = tuple(f"freq_{10 * number}" for number in range(12))
    values = BASELINE.copy()
    values[:, 5] = 3.0
    fitted = maps.fit(values, features=names)
    with services.sessions.begin() as session:
        baseline = Baseline(owner_id=user.id, name="B", status="completed", layout=maps.DEFAULT)
        session.add(baseline)
        session.flush()
        rows = fitting.Rows(names, values, [{}] * len(values))
        made = fitting.Made(fitted, 1.0, report_card.write(fitted))
        fitting.store(session, baseline.id, rows, made)
        number = baseline.id
    row = values[0].copy()
    row[5] = 3.5
    api.post(number, csv(row[None], names))
    data = api("GET", f"/monitor/{number}/points/1/explain").json["data"]
    band = data["bands"][0]
    assert (band["label"], band["low_hz"], band["high_hz"]) == ("50 Hz", 50.0, 50.0)
    assert data["contributions"][0]["hz"] == 50.0
    assert data["nearest"]["row"] == 0
