"""The contract by the letter: whole answers, and what is the same for every door."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from dinsight.accounts import Identity
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy
from tests.test_api_auth import bearer, login
from tests.test_api_main_job import Api

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


def success(answer: Any, status: int = 200) -> Any:
    """The data of an answer that is a success and holds nothing else."""
    assert (answer.status_code, set(answer.json)) == (status, {"success", "data"})
    assert answer.json["success"] is True
    return answer.json["data"]


def refusal(answer: Any, status: int, code: str, message: str, **details: Any) -> None:
    error = {"code": code, "message": message, "details": details}
    assert answer.status_code == status
    assert answer.json == {"success": False, "message": message, "error": error}


# --- streams, from the first question to the last ---


def test_a_stream_that_has_not_begun_has_a_whole_status(api: Api, baseline_id: int) -> None:
    status = success(api("GET", f"/streaming/{baseline_id}/status"))
    cost = status.pop("false_alarms_per_day")
    assert cost["low"] <= cost["expected"] <= cost["high"]
    assert status.pop("map_id") >= 1
    assert status == {
        **{"baseline_id": baseline_id, "stream": "default", "status": "not_started"},
        **{"is_streaming": False, "is_active": False, "stale": False},
        **{"streamed_points": 0, "total_points": None, "progress_percentage": None},
        **{"baseline_points": 120, "version": 1, "last_update": None, "latest_glow_count": 10},
        **{"batch_size": None, "delay_seconds": None, "rate": None},
        **{"epoch": 1, "run_epoch": 1, "carried_points": 0, "last_seq": 0},
        **{"level": "healthy", "score": None, "sensitivity_factor": 3.0, "alarm_limit": 1.0},
        **{"level_since": None, "areas_revision": ""},
        "alerts": {
            **{"active": 0, "unacknowledged": 0, "open": 0},
            **{"severity": None, "revision": 0},
        },
    }


def test_a_receipt_tells_what_was_stored_and_what_to_do_next(api: Api, baseline_id: int) -> None:
    api.post(baseline_id, csv(healthy(3)))
    receipt = success(api.post(baseline_id, csv(failing(40)), form={"epoch": "1"}))
    assert receipt.pop("score") > 1
    assert receipt == {
        **{"id": baseline_id, "stream": "default", "points_processed": 40, "epoch": 1},
        **{"first_seq": 4, "last_seq": 43, "control": "run", "anomalies": 40, "level": "alarm"},
    }


def test_progress_is_of_what_was_declared(api: Api, baseline_id: int) -> None:
    declared = {"total_points": 8, "batch_size": 2, "delay_seconds": 0.5, "latest_glow_count": 3}
    configured = success(api("PUT", f"/streaming/{baseline_id}/config", json=declared))
    assert configured == {
        **{"baseline_id": baseline_id, "stream": "default", **declared},
        **{"sensitivity_factor": 3.0, "alarm_limit": 1.0},
    }
    told = []
    for _ in range(4):
        api.post(baseline_id, csv(healthy(2)))
        status = success(api("GET", f"/streaming/{baseline_id}/status"))
        told.append((status["streamed_points"], status["progress_percentage"], status["status"]))
    assert told == [
        (2, 25.0, "streaming"),
        (4, 50.0, "streaming"),
        (6, 75.0, "streaming"),
        (8, 100.0, "completed"),
    ]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("batch_size", 0, "batch_size must be a whole number from 1 to 1,000,000."),
        ("batch_size", 2.5, "batch_size must be a whole number from 1 to 1,000,000."),
        ("delay_seconds", "2", "delay_seconds must be a number from 0 to 86,400."),
        ("latest_glow_count", True, "latest_glow_count must be a whole number from 0 to 1,000."),
        ("total_points", -1, "total_points must be a whole number, or null where it is not known."),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_its_bounds(
    api: Api, baseline_id: int, field: str, value: Any, message: str
) -> None:
    before = success(api("PUT", f"/streaming/{baseline_id}/config", json={"batch_size": 5.0}))
    refused = api("PUT", f"/streaming/{baseline_id}/config", json={field: value})
    refusal(refused, 400, "INVALID_REQUEST", message)
    assert before["batch_size"] == 5
    assert success(api("PUT", f"/streaming/{baseline_id}/config", json={})) == before


def test_points_have_the_same_fields_wherever_they_are_read(api: Api, baseline_id: int) -> None:
    content = csv(healthy(1), metadata=["=1+1, ünd"])
    api.post(baseline_id, content, name="monitor_batch_7.csv")
    (point,) = api("GET", f"/monitor/{baseline_id}").json
    assert MOMENT.fullmatch(point["created_at"])
    assert point == {
        **{name: point[name] for name in ("dinsight_x", "dinsight_y", "score", "created_at")},
        **{"level": "healthy", "monitor_values": pytest.approx(healthy(1)[0].tolist())},
        **{"source_file": "monitor_batch_7.csv", "metadata": {"note": "=1+1, ünd"}},
        "process_order": 1,
    }
    page = success(api("GET", f"/streaming/{baseline_id}/latest"))
    shared = ("dinsight_x", "dinsight_y", "score", "level", "metadata", "created_at")
    assert page == {
        "points": [{"seq": 1, **{name: point[name] for name in shared}}],
        **{"total": 1, "limit": 100, "offset": 0, "next": None},
    }
    assert api("GET", f"/monitor/{baseline_id}/coordinates").json == {
        **{"dinsight_id": baseline_id, "metadata": [point["metadata"]]},
        **{"dinsight_x": [point["dinsight_x"]], "dinsight_y": [point["dinsight_y"]]},
    }


def test_pages_of_the_newest_points_and_the_way_on_from_a_cursor(
    api: Api, baseline_id: int
) -> None:
    api.post(baseline_id, csv(healthy(7)))

    def page(query: str) -> tuple[list[int], int, int, int, Any]:
        data = success(api("GET", f"/streaming/{baseline_id}/latest?{query}"))
        seqs = [point["seq"] for point in data["points"]]
        return seqs, data["total"], data["limit"], data["offset"], data["next"]

    assert page("limit=3") == ([7, 6, 5], 7, 3, 0, 3)
    assert page("limit=3&offset=3") == ([4, 3, 2], 7, 3, 3, 6)
    assert page("limit=3&offset=6") == ([1], 7, 3, 6, None)
    assert page("limit=3&offset=9") == ([], 7, 3, 9, None)
    assert page("limit=1001")[2] == 1000
    assert page("limit=3&after=1:0") == ([1, 2, 3], 7, 3, 0, "1:3")
    assert page("limit=3&after=1:6") == ([7], 7, 3, 0, "1:7")
    assert page("after=1:7") == ([], 7, 100, 0, "1:7")
    success(api("DELETE", f"/streaming/{baseline_id}/reset"))
    api.post(baseline_id, csv(healthy(2)))
    assert page("after=1:7") == ([1, 2], 2, 100, 0, "2:2")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit must be a whole number of at least 1."),
        ("limit=1.5", "limit must be a whole number of at least 1."),
        ("offset=-1", "offset must be a whole number of at least 0."),
        ("after=7", "A cursor is `epoch:seq`, such as 1:250."),
        ("after=١:٢", "A cursor is `epoch:seq`, such as 1:250."),
        ("stream=a/b", "A stream's name has 1 to 64 letters, digits, blanks or any of _.:+-"),
    ],
)
def test_a_question_that_is_not_understood_says_why(
    api: Api, baseline_id: int, query: str, message: str
) -> None:
    answer = api("GET", f"/streaming/{baseline_id}/latest?{query}")
    refusal(answer, 400, "INVALID_REQUEST", message)


def test_actions_and_a_reset_answer_with_the_state_after_them(api: Api, baseline_id: int) -> None:
    path = f"/streaming/{baseline_id}"
    api.post(baseline_id, csv(healthy(2)))
    states = {
        **{"pause": "paused", "resume": "streaming", "stop": "stopped"},
        **{"complete": "completed", "start": "streaming"},
    }
    for action, state in states.items():
        answer = api("POST", f"{path}/control", json={"action": action, "stream": None})
        assert success(answer) == {"status": state, "stream": "default", "epoch": 1}
    unknown = api("POST", f"{path}/control", json={"action": "explode"})
    message = "There is no action 'explode': choose one of start, resume, pause, stop, complete."
    refusal(unknown, 400, "INVALID_REQUEST", message)
    reset = success(api("DELETE", f"{path}/reset"))
    assert reset == {"deleted_points": 2, "epoch": 2, "stream": "default"}
    late = api.post(baseline_id, csv(healthy(1)), form={"epoch": "1"})
    message = "The stream was reset: this batch belongs to an earlier run."
    refusal(late, 409, "EPOCH_CHANGED", message, epoch=2, sent=1, reason="reset")


def test_streams_of_a_name_are_streams_of_their_own(api: Api, baseline_id: int) -> None:
    assert success(api.post(baseline_id, csv(healthy(2)), form={"stream": "B"}))["stream"] == "B"
    assert success(api.post(baseline_id, csv(healthy(1))))["last_seq"] == 1
    counts = {
        name: success(api("GET", f"/streaming/{baseline_id}/status{name}"))["streamed_points"]
        for name in ("", "?stream=B", "?stream=default")
    }
    assert counts == {"": 1, "?stream=B": 2, "?stream=default": 1}


def test_sessions_list_present_and_past_epochs_of_all_streams(api: Api, baseline_id: int) -> None:
    path = f"/streaming/{baseline_id}/sessions"
    first = success(api("GET", path))
    (begun,) = first.pop("sessions")
    assert first == {
        **{"baseline_id": baseline_id, "total": 1},
        **{"limit": 100, "offset": 0, "next": None},
    }
    assert MOMENT.fullmatch(begun.pop("started_at"))
    assert begun.pop("map_id") >= 1
    assert begun == {
        **{"stream": "default", "epoch": 1, "current": True, "map": "distance", "points": 0},
        **{"first_seq": None, "last_seq": None, "ended_at": None},
        **{"first_point_at": None, "last_point_at": None},
        **{"run": 1, "worst": None, "readings_from": None, "ended_by": None},
    }
    api.post(baseline_id, csv(healthy(3)))
    api.post(baseline_id, csv(healthy(2)))
    api("DELETE", f"/streaming/{baseline_id}/reset")
    api.post(baseline_id, csv(healthy(1)), form={"stream": "B"})
    points = api("GET", f"/monitor/{baseline_id}?stream=B").json

    listed = success(api("GET", path))
    b, now, past = listed["sessions"]
    assert (listed["total"], listed["next"]) == (3, None)
    assert [(each["stream"], each["epoch"], each["points"]) for each in (b, now, past)] == [
        ("B", 1, 1),
        ("default", 2, 0),
        ("default", 1, 5),
    ]
    assert [each["current"] for each in (b, now, past)] == [True, True, False]
    assert (b["first_point_at"], b["last_point_at"]) == (points[0]["created_at"],) * 2
    assert (now["first_seq"], now["last_seq"], now["last_point_at"]) == (None, None, None)
    assert (past["first_seq"], past["last_seq"], past["map"]) == (1, 5, "distance")
    assert (past["worst"], past["readings_from"], past["ended_by"]) == ("healthy", 1, "reset")
    assert (past["run"], now["run"], now["ended_by"]) == (1, 2, None)
    assert past["first_point_at"] < past["last_point_at"] <= past["ended_at"] == now["started_at"]
    page = success(api("GET", f"{path}?limit=1&offset=1"))
    assert (page["sessions"], page["total"], page["next"]) == ([now], 3, 2)


# --- baselines ---


def test_an_upload_and_its_status_carry_the_code(api: Api, services: Services) -> None:
    services.jobs.start()
    answer = api.upload(csv(BASELINE), name="Pump 7")
    number = answer.json["data"]["id"]
    message = f"Baseline {number} was received and is being fitted."
    assert answer.json == {
        **{"success": True, "code": 200, "message": message},
        "data": {"id": number, "message": message},
    }
    assert api.fitted(number)["status"] == "completed"
    assert api("GET", f"/analyze/{number}/status").json == {
        **{"success": True, "code": 200},
        "data": {
            **{"id": number, "status": "completed", "progress": 100, "status_message": "Ready"},
            **{"error_message": None, "map": "distance", "refit": None},
        },
    }


def test_a_baseline_is_described_alike_everywhere(api: Api, baseline_id: int) -> None:
    renamed = success(api("PATCH", f"/dinsight/{baseline_id}", json={"name": " Pump 8 "}))
    assert MOMENT.fullmatch(renamed["created_at"])
    assert renamed == {
        **{"id": baseline_id, "name": "Pump 8", "status": "completed", "rows": 120},
        **{
            "features": 12,
            "map": "distance",
            "version": 1,
            "refit": None,
            "created_at": renamed["created_at"],
        },
    }
    listed = success(api("GET", "/dinsight"))
    assert listed == {"ids": [baseline_id], "baselines": [renamed]}
    whole = success(api("GET", f"/dinsight/{baseline_id}"))
    assert (whole["name"], whole["features"], whole["feature_names"]) == (
        *("Pump 8", 12),
        list(FEATURES),
    )
    removed = success(api("DELETE", f"/dinsight/{baseline_id}"))
    message = f"Baseline {baseline_id} was deleted."
    assert removed == {"id": baseline_id, "message": message}
    gone = api("GET", f"/dinsight/{baseline_id}")
    refusal(gone, 404, "BASELINE_NOT_FOUND", "There is no such baseline.")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"name": " "}, 400, "A baseline's name has 1 to 200 printable characters."),
        ({"name": "x" * 201}, 400, "A baseline's name has 1 to 200 printable characters."),
        ({"name": "a\nb"}, 422, "name: It holds a control character."),
        ({}, 422, "name: Missing data for required field."),
        ([], 422, "The body must be a JSON object."),
    ],
)
def test_a_name_that_cannot_be_used_changes_nothing(
    api: Api, baseline_id: int, body: Any, status: int, message: str
) -> None:
    answer = api("PATCH", f"/dinsight/{baseline_id}", json=body)
    assert (answer.status_code, answer.json["message"]) == (status, message)
    assert success(api("GET", f"/dinsight/{baseline_id}"))["name"] == "Pump 7"


def test_nobody_renames_or_lists_what_is_anothers(
    client: FlaskClient, other: Identity, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    theirs = Api(client, other.email)
    for target in (number, 999_999, 10**20):
        for answer in (
            theirs("PATCH", f"/dinsight/{target}", json={"name": "mine now"}),
            theirs("GET", f"/streaming/{target}/sessions"),
        ):
            refusal(answer, 404, "BASELINE_NOT_FOUND", "There is no such baseline.")
    mine = Api(client, user.email)
    assert success(mine("GET", f"/dinsight/{number}"))["name"] == "Pump 7"


# --- what is the same for every door ---


def test_a_body_that_is_no_json_is_refused_by_its_type(client: FlaskClient) -> None:
    answer = client.post("/api/v1/auth/login", data={"email": "a@b", "password": "long enough"})
    message = "Send the body as JSON, with Content-Type application/json."
    refusal(answer, 415, "UNSUPPORTED_MEDIA_TYPE", message)


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/dinsight", "/api//v1/dinsight"]
)
def test_no_path_of_the_api_shows_the_page(client: FlaskClient, api: Api, path: str) -> None:
    token = api._headers
    for headers in ({}, token):
        refusal(client.get(path, headers=headers), 404, "NOT_FOUND", f"There is no {path} here.")


def test_every_refusal_has_the_one_shape_and_the_request_id(
    client: FlaskClient, api: Api, baseline_id: int
) -> None:
    given = {"X-Request-ID": "gateway-7"}
    answers = [
        client.get("/api/v1/dinsight", headers=given),
        client.get("/api/v1/typo", headers=given),
        client.get("/api/v1/auth/login", headers=given),
        api("GET", f"/streaming/{baseline_id}/latest?limit=x", headers=given),
        api("POST", "/anomaly/detect", json={}, headers=given),
        api("POST", f"/monitor/{baseline_id}", headers={**given, "Content-Encoding": "zip"}),
        api("PUT", f"/streaming/{baseline_id}/config", data=b"x" * 5_000_000, headers=given),
    ]
    assert [answer.status_code for answer in answers] == [401, 404, 405, 400, 422, 415, 413]
    for answer in answers:
        body: Any = answer.json
        assert answer.mimetype == "application/json"
        assert answer.headers["X-Request-ID"] == "gateway-7"
        assert (set(body), set(body["error"])) == (
            {"success", "message", "error"},
            {"code", "message", "details"},
        )
        assert body["success"] is False
        assert body["message"] == body["error"]["message"] != ""


def test_what_nobody_foresaw_is_a_500_that_tells_nothing_but_its_id(
    client: FlaskClient, user: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {**bearer(login(client, user.email)["access_token"]), "X-Request-ID": "gateway-8"}

    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("dinsight.baselines.list_visible", fail)
    answer = client.get("/api/v1/dinsight", headers=headers)
    refusal(answer, 500, "INTERNAL_ERROR", "The server met an error; its log says which.")
    assert answer.headers["X-Request-ID"] == "gateway-8"


def test_numbers_beyond_all_measure_are_still_numbers(api: Api, baseline_id: int) -> None:
    huge = np.full((2, len(FEATURES)), 3.4e38, np.float32) * np.float32([[1], [-1]])
    success(api.post(baseline_id, csv(huge)))
    for path in ("/monitor/{}", "/monitor/{}/points/1/explain", "/streaming/{}/latest"):
        text = api("GET", path.format(baseline_id)).text
        assert "NaN" not in text
        assert "Infinity" not in text
    for point in api("GET", f"/monitor/{baseline_id}").json:
        assert all(isinstance(point[name], float) for name in ("dinsight_x", "dinsight_y", "score"))


def test_times_are_utc_whatever_the_clock_of_the_database(api: Api, baseline_id: int) -> None:
    api.post(baseline_id, csv(healthy(1)))
    moment = success(api("GET", f"/streaming/{baseline_id}/status"))["last_update"]
    assert MOMENT.fullmatch(moment)
    assert abs(dt.datetime.fromisoformat(moment) - dt.datetime.now(dt.UTC)) < dt.timedelta(60)
