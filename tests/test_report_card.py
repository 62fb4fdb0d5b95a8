"""The report card: each weakness of a baseline is found, named and comes with what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from dinsight import maps, report_card
from dinsight.accounts import Identity
from dinsight.models import Baseline, FittedMap, Stream
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy
from tests.test_api_main_job import Api


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.fixture
def theirs(client: FlaskClient, other: Identity) -> Api:
    return Api(client, other.email)


def card(values: np.ndarray, features: tuple[str, ...] = FEATURES) -> dict[str, Any]:
    return report_card.write(maps.fit(values, layout="mspc", features=features))


def codes(found: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in found["findings"]}


def test_a_good_baseline_has_no_warning() -> None:
    found = card(healthy(600))
    assert (found["rows"], found["features"], found["family"]) == (600, 12, "spectrum")
    assert "warning" not in codes(found).values()
    assert "problem" not in codes(found).values()
    assert found["false_alarms_per_day"]["rows_per_second"] == 1.0
    expected = found["false_alarms_per_day"]
    assert expected["low"] <= expected["expected"] <= expected["high"]


def test_few_rows_are_a_warning_with_what_to_do() -> None:
    found = card(healthy(99))
    assert codes(found)["FEW_ROWS"] == "warning"
    (finding,) = (each for each in found["findings"] if each["code"] == "FEW_ROWS")
    assert finding["message"].startswith("99 rows:")
    assert "at least 100 rows" in finding["action"]
    assert "FEW_ROWS" not in codes(card(healthy(100)))


@pytest.mark.parametrize(("copies", "severity"), [(5, "info"), (60, "warning")])
def test_duplicates_are_counted_and_numbered(copies: int, severity: str) -> None:
    values = np.concatenate([BASELINE, BASELINE[:copies]])
    found = card(values)
    assert found["duplicates"]["count"] == copies
    assert found["duplicates"]["rows"] == list(range(120, 120 + copies))[:20]
    assert codes(found)["DUPLICATES"] == severity


def test_dead_columns_are_named() -> None:
    values = BASELINE.copy()
    values[:, [3, 8]] = 4.5
    found = card(values)
    assert found["dead_columns"] == {"count": 2, "names": ["f_3", "f_8"]}
    assert codes(found)["DEAD_COLUMNS"] == "info"
    values[:, 2:10] = 4.5
    assert codes(card(values))["DEAD_COLUMNS"] == "warning"


def test_a_machine_that_changed_meanwhile_is_seen_block_by_block() -> None:
    values = healthy(300)
    values[240:] += np.float32(3)
    found = card(values)
    assert found["drift"]["found"] is True
    blocks = found["drift"]["blocks"]
    assert [(block["first_row"], block["last_row"]) for block in blocks] == [
        (0, 59), (60, 119), (120, 179), (180, 239), (240, 299)
    ]  # fmt: skip
    assert blocks[4]["median_score"] > 2 * blocks[1]["median_score"]
    (finding,) = (each for each in found["findings"] if each["code"] == "DRIFT")
    assert "rows 240 to 299" in finding["message"]


def test_a_rise_that_is_certain_but_small_is_no_drift() -> None:
    scores = np.random.default_rng(0).normal(0.9, 0.005, 500)
    scores[400:] *= 1.02
    found = report_card.drift(scores, np.arange(500))
    assert found["effect"] > 0.14
    assert found["found"] is False
    scores[400:] *= 1.05
    assert report_card.drift(scores, np.arange(500))["found"] is True


def test_foreign_rows_are_found_where_they_stand() -> None:
    values = healthy(300)
    values[[40, 41, 200]] = failing(3)
    found = card(values)
    assert found["contamination"]["count"] == 3
    assert set(found["contamination"]["rows"]) == {40, 41, 200}
    assert codes(found)["CONTAMINATION"] == "warning"


def test_healthy_rows_are_not_suspected() -> None:
    for seed in range(5):
        found = card(healthy(200, seed=seed))
        assert (found["contamination"]["count"], found["drift"]["found"]) == (0, False)


def test_five_rows_have_a_card_too() -> None:
    found = card(healthy(5))
    assert codes(found)["FEW_ROWS"] == "warning"
    assert len(found["drift"]["blocks"]) == 5


def test_the_worst_comes_first() -> None:
    values = np.concatenate([healthy(50), failing(5)])
    order = [finding["severity"] for finding in card(values)["findings"]]
    ranks = ["problem", "warning", "info"]
    assert order == sorted(order, key=ranks.index)


# ---- read ----


def test_the_card_is_read_with_its_map_and_streams(
    services: Services, api: Api, baseline_id: int
) -> None:
    for stream in ("default", "night"):
        api.post(baseline_id, csv(healthy(2)), form={"stream": stream})
    with services.sessions.begin() as session:
        arrivals = [[0.0, 0], [10.0, 50]]
        session.execute(update(Stream).where(Stream.name == "night").values(arrivals=arrivals))
    data = api("GET", f"/dinsight/{baseline_id}/report").json["data"]
    assert (data["baseline_id"], data["name"], data["map"]) == (baseline_id, "Pump 7", "distance")
    assert (data["rows"], data["fit_seconds"], data["format"]) == (120, 1.0, maps.FORMAT)
    assert len(data["sha256"]) == 64
    assert data["fitted_at"].endswith("Z")
    one, night = data["streams"]
    assert (one["stream"], one["false_alarms_per_day"]["rows_per_second"]) == ("default", 1.0)
    assert (night["stream"], night["false_alarms_per_day"]["rows_per_second"]) == ("night", 5.0)
    usual, fast = (each["false_alarms_per_day"]["expected"] for each in (one, night))
    assert fast == pytest.approx(5 * usual)


def test_anothers_card_answers_as_one_that_does_not_exist(
    api: Api, theirs: Api, baseline_id: int
) -> None:
    for number in (baseline_id, 99_999, 10**20):
        answer = theirs("GET", f"/dinsight/{number}/report")
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "BASELINE_NOT_FOUND")


def test_an_unfinished_baseline_has_no_card_yet(
    services: Services, api: Api, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        session.execute(update(Baseline).values(status="processing"))
    answer = api("GET", f"/dinsight/{baseline_id}/report")
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "BASELINE_NOT_READY")


def test_a_fit_writes_the_card(api: Api, services: Services) -> None:
    services.jobs.start()
    number = api.upload(csv(healthy(60)), map="mspc").json["data"]["id"]
    assert api.fitted(number)["status"] == "completed"
    data = api("GET", f"/dinsight/{number}/report").json["data"]
    assert "FEW_ROWS" in codes(data)
    assert data["fit_seconds"] > 0
    with services.sessions() as session:
        row = session.query(FittedMap).one()
        assert row.report["rows"] == 60
