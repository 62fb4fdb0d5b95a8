"""The main job over HTTP: a baseline goes up, is fitted, rows are posted, points are read."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from flask.testing import FlaskClient

from dinsight import maps
from dinsight.accounts import Identity
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy
from tests.test_api_auth import bearer, login


class Api:
    """A signed-in client of the API."""

    def __init__(self, client: FlaskClient, email: str) -> None:
        self._client = client
        self._headers = bearer(login(client, email)["access_token"])

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        headers = {**self._headers, **more.pop("headers", {})}
        return self._client.open(f"/api/v1{path}", method=method, headers=headers, **more)

    def upload(self, *contents: bytes, **form: str) -> Any:
        files = [(io.BytesIO(content), f"part_{n}.csv") for n, content in enumerate(contents)]
        return self("POST", "/analyze", data={"files": files, **form})

    def post(self, baseline_id: int, content: bytes, **more: Any) -> Any:
        form = more.pop("form", {})
        data = {"file": (io.BytesIO(content), more.pop("name", "monitor_batch_1.csv")), **form}
        return self("POST", f"/monitor/{baseline_id}", data=data, **more)

    def fitted(self, baseline_id: int, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self("GET", f"/analyze/{baseline_id}/status").json["data"]
            if status["status"] in {"completed", "failed"}:
                return dict(status)
            time.sleep(0.1)
        raise AssertionError(f"not fitted in {seconds} s: {status}")


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.fixture
def theirs(client: FlaskClient, other: Identity) -> Api:
    return Api(client, other.email)


def test_from_upload_to_points(api: Api, services: Services) -> None:
    services.jobs.start()
    answer = api.upload(csv(BASELINE[:70]), csv(BASELINE[70:]), name="Pump 7")
    assert answer.status_code == 200
    assert answer.json["code"] == 200
    number = answer.json["data"]["id"]
    assert api("GET", f"/dinsight/{number}").json["data"]["dinsight_x"] == []
    assert api.fitted(number)["status"] == "completed"
    baseline = api("GET", f"/dinsight/{number}").json["data"]
    assert len(baseline["dinsight_x"]) == len(baseline["dinsight_y"]) == 120
    assert (baseline["name"], baseline["map"], baseline["features"]) == ("Pump 7", "distance", 12)
    assert baseline["feature_names"] == list(FEATURES)
    listed = api("GET", "/dinsight").json["data"]
    assert listed["ids"] == [number]
    assert (listed["baselines"][0]["rows"], listed["baselines"][0]["features"]) == (120, 12)
    assert api.post(number, csv(BASELINE[[3]])).json["data"]["last_seq"] == 1
    point = api("GET", f"/monitor/{number}").json[0]
    assert point["dinsight_x"] == pytest.approx(baseline["dinsight_x"][3], rel=1e-6)


def test_a_client_that_knows_only_the_reference_works(
    api: Api, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    assert (
        api("PUT", f"/streaming/{number}/config", json={"latest_glow_count": 5}).status_code == 200
    )
    rows = np.concatenate([healthy(20), failing(10)])
    for start in range(0, len(rows), 5):
        header, *lines = csv(rows[start : start + 5]).decode().splitlines()
        text = "\n".join(
            [header, *(",".join(f"{float(cell):g}" for cell in line.split(",")) for line in lines)]
        )
        answer = api.post(number, ("\ufeff" + text.replace("\n", "\r\n")).encode())
        assert answer.status_code == 200
        assert answer.json["success"] is True
    points = api("GET", f"/monitor/{number}").json
    assert [point["process_order"] for point in points] == list(range(1, 31))
    assert points[-1]["level"] == "alarm"
    assert points[0]["source_file"] == "monitor_batch_1.csv"
    assert points[0]["monitor_values"] == pytest.approx(rows[0].tolist(), rel=1e-5)
    assert points[0]["created_at"].endswith("Z")
    columns = api("GET", f"/monitor/{number}/coordinates").json
    assert columns["dinsight_id"] == number
    assert columns["dinsight_x"] == [point["dinsight_x"] for point in points]
    status = api("GET", f"/streaming/{number}/status").json["data"]
    assert (status["streamed_points"], status["level"], status["total_points"]) == (
        30,
        "alarm",
        None,
    )


def test_points_are_read_from_a_cursor_and_without_values(
    api: Api, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    assert api("GET", f"/monitor/{number}").json == []
    api.post(number, csv(healthy(9)))
    page = api("GET", f"/monitor/{number}?after=3&limit=4&values=0").json
    assert [point["process_order"] for point in page] == [4, 5, 6, 7]
    assert page[0]["monitor_values"] == []
    newest = api("GET", f"/streaming/{number}/latest?limit=2").json["data"]
    assert [point["seq"] for point in newest["points"]] == [9, 8]
    after = api("GET", f"/streaming/{number}/latest?after=1:7").json["data"]
    assert [point["seq"] for point in after["points"]] == [8, 9]
    clamped = api("GET", f"/streaming/{number}/latest?limit=5000").json["data"]
    assert clamped["limit"] == 1000


def test_points_are_sent_many_at_a_time(api: Api, baseline_id: int) -> None:
    """Every piece costs a hand-over between threads: 0.4 ms, where a point costs 0.02."""
    api.post(baseline_id, csv(healthy(700)))
    answer = api("GET", f"/monitor/{baseline_id}?values=0")
    pieces = list(answer.response)
    assert [point["process_order"] for point in orjson.loads(b"".join(pieces))] == [*range(1, 701)]
    assert 2 <= len(pieces) <= 5


def test_a_key_replays_the_answer_and_a_reset_raises_the_epoch(
    api: Api, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    key = {"Idempotency-Key": "k1"}
    first = api.post(number, csv(healthy(2)), headers=key)
    assert api.post(number, csv(healthy(2)), headers=key).json == first.json
    other = api.post(number, csv(healthy(3)), headers=key)
    assert (other.status_code, other.json["error"]["code"]) == (422, "KEY_REUSED")
    reset = api("DELETE", f"/streaming/{number}/reset").json["data"]
    assert (reset["deleted_points"], reset["epoch"]) == (2, 2)
    old = api.post(number, csv(healthy(1)), form={"epoch": "1"})
    assert (old.status_code, old.json["error"]["code"]) == (409, "EPOCH_CHANGED")
    assert api("GET", f"/monitor/{number}").json == []


def test_control_reaches_the_sender_in_its_answers(
    api: Api, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    for action, told in [("pause", "hold"), ("resume", "run"), ("stop", "stop"), ("start", "run")]:
        api("POST", f"/streaming/{number}/control", json={"action": action})
        assert api.post(number, csv(healthy(1))).json["data"]["control"] == told


@pytest.mark.parametrize(
    ("content", "status", "code", "message"),
    [
        (b"", 400, "EMPTY_FILE", "empty"),
        (csv(healthy(1)).replace(b"f_3", b"g_3"), 400, "COLUMNS_MISSING", "missing f_3"),
        (csv(healthy(2))[:-2] + b"x\n", 400, "CELL_INVALID", "line 3, column f_11"),
    ],
)
def test_a_batch_that_is_wrong_is_a_4xx_and_stores_nothing(
    api: Api,
    make_baseline: Callable[..., int],
    user: Identity,
    content: bytes,
    status: int,
    code: str,
    message: str,
) -> None:
    number = make_baseline(user)
    answer = api.post(number, content)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert message in answer.json["message"]
    assert api("GET", f"/monitor/{number}").json == []


def test_an_upload_is_checked_before_it_is_answered(api: Api) -> None:
    refused = api.upload(csv(healthy(3)).replace(b"\n", b"\nx", 2))
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "CELL_INVALID")
    assert "part_0.csv: line 2, column f_0" in refused.json["message"]
    unequal = api.upload(csv(healthy(3)), csv(healthy(3)[:, :4], FEATURES[:4]))
    assert "part_1.csv has other feature columns" in unequal.json["message"]
    nothing = api("POST", "/analyze", data={"name": "x"})
    assert (nothing.status_code, "field `files`" in nothing.json["message"]) == (400, True)
    layout = api.upload(csv(healthy(3)), map="tsne")
    assert "There is no map 'tsne'" in layout.json["message"]
    assert api("GET", "/dinsight").json["data"]["ids"] == []


def test_what_is_wrong_further_down_makes_the_baseline_failed(api: Api, services: Services) -> None:
    services.jobs.start()
    lines = csv(healthy(150)).splitlines()
    lines[140] = lines[140].replace(b",", b",oops", 1)
    number = api.upload(b"\n".join(lines)).json["data"]["id"]
    status = api.fitted(number)
    assert status["status"] == "failed"
    assert "line 141, column f_1" in status["error_message"]
    answer = api.post(number, csv(healthy(1)))
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "BASELINE_FAILED")


def test_a_baseline_too_small_to_map_says_what_is_needed(api: Api, services: Services) -> None:
    services.jobs.start()
    number = api.upload(csv(healthy(1))).json["data"]["id"]
    status = api.fitted(number)
    assert status["status"] == "failed"
    assert "rows" in status["error_message"]


def test_over_the_upload_limit_is_413(
    api: Api, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    body += b"f_0\n" + b"1\n" * (11 * 1024 * 1024) + b"\r\n--x--\r\n"
    form = "multipart/form-data; boundary=x"
    answer = api("POST", f"/monitor/{number}", data=body, content_type=form)
    assert (answer.status_code, answer.json["success"]) == (413, False)


def test_another_users_baseline_answers_as_one_that_does_not_exist(
    api: Api, theirs: Api, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    api.post(number, csv(healthy(2)))
    for who, target in ((theirs, number), (api, 999_999), (api, 2**31 - 1), (api, 10**20)):
        answers = [
            who("GET", f"/dinsight/{target}"),
            who("DELETE", f"/dinsight/{target}"),
            who("GET", f"/analyze/{target}/status"),
            who.post(target, csv(healthy(1))),
            who("GET", f"/monitor/{target}"),
            who("GET", f"/monitor/{target}/coordinates"),
            who("GET", f"/streaming/{target}/status"),
            who("GET", f"/streaming/{target}/latest"),
            who("DELETE", f"/streaming/{target}/reset"),
            who("PUT", f"/streaming/{target}/config", json={"total_points": 1}),
            who("POST", f"/streaming/{target}/control", json={"action": "stop"}),
            who("POST", f"/dinsight/{target}/refit", json={"map": "mspc"}),
            who("GET", f"/dinsight/{target}/report"),
            who("GET", f"/monitor/{target}/points/1/explain"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 14
    assert theirs("GET", "/dinsight").json["data"]["ids"] == []
    status = api("GET", f"/streaming/{number}/status").json["data"]
    assert (status["streamed_points"], status["status"]) == (2, "streaming")


def test_a_deleted_baseline_is_gone_with_its_points(
    api: Api, make_baseline: Callable[..., int], user: Identity
) -> None:
    number = make_baseline(user)
    api.post(number, csv(healthy(2)))
    assert api("DELETE", f"/dinsight/{number}").status_code == 200
    assert api("GET", f"/monitor/{number}").status_code == 404


def test_points_are_the_same_singly_in_batches_and_after_a_reload(
    api: Api, make_baseline: Callable[..., int], user: Identity, fitted: maps.Map
) -> None:
    number = make_baseline(user)
    rows = np.concatenate([healthy(40, seed=11), failing(20, seed=12)])
    for row in rows:
        api.post(number, csv(row[None]), form={"stream": "single"})
    for start in range(0, len(rows), 7):
        api.post(number, csv(rows[start : start + 7]), form={"stream": "sevens"})
    reloaded = maps.load(fitted.to_bytes()).place(rows)
    single, sevens = (
        [
            (point["dinsight_x"], point["dinsight_y"], point["score"])
            for point in api("GET", f"/monitor/{number}?stream={name}").json
        ]
        for name in ("single", "sevens")
    )
    assert single == sevens
    assert np.array_equal(np.float32([point[0] for point in single]), reloaded.x)


def test_a_baseline_is_refitted_without_a_new_upload(api: Api, services: Services) -> None:
    services.jobs.start()
    number = api.upload(csv(BASELINE), map="mspc").json["data"]["id"]
    api.fitted(number)
    shown = api("GET", f"/dinsight/{number}").json["data"]
    assert (shown["map"], shown["refit"]) == ("mspc", None)
    api.post(number, csv(healthy(2)))
    same = api("POST", f"/dinsight/{number}/refit", json={"map": "mspc"})
    assert (same.status_code, same.json["error"]["code"]) == (409, "MAP_UNCHANGED")
    none = api("POST", f"/dinsight/{number}/refit", json={"map": "tsne"})
    assert (none.status_code, none.json["error"]["code"]) == (400, "UNKNOWN_LAYOUT")
    assert api("POST", f"/dinsight/{number}/refit", json={}).status_code == 422

    answer = api("POST", f"/dinsight/{number}/refit", json={"map": "distance"})
    assert answer.status_code == 202
    assert answer.json["data"]["id"] == number
    assert answer.json["message"] == f"Baseline {number} is being refitted as distance."
    deadline = time.monotonic() + 60
    status: dict[str, Any] = {}
    while time.monotonic() < deadline:
        status = api("GET", f"/analyze/{number}/status").json["data"]
        assert (status["status"], status["progress"]) == ("completed", 100)
        if status["refit"]["status"] == "completed":
            break
        time.sleep(0.02)
    assert (status["map"], status["refit"]["progress"]) == ("distance", 100)
    after = api("GET", f"/dinsight/{number}").json["data"]
    assert (after["map"], after["dinsight_x"] != shown["dinsight_x"]) == ("distance", True)
    assert api("GET", "/dinsight").json["data"]["baselines"][0]["map"] == "distance"
    assert api("GET", f"/dinsight/{number}/report").json["data"]["map"] == "distance"
    assert api("GET", f"/monitor/{number}").json == []
    late = api.post(number, csv(healthy(1)), form={"epoch": "1"})
    assert (late.status_code, late.json["error"]["details"]["reason"]) == (409, "refit")
    assert api.post(number, csv(healthy(1))).json["data"]["epoch"] == 2


@pytest.mark.parametrize("layout", maps.LAYOUTS)
def test_the_map_is_chosen_at_the_upload(api: Api, services: Services, layout: str) -> None:
    services.jobs.start()
    number = api.upload(csv(BASELINE), map=layout).json["data"]["id"]
    assert api.fitted(number)["map"] == layout
    assert api("GET", f"/dinsight/{number}").json["data"]["map"] == layout


def test_sensitivity_is_set_and_told(api: Api, baseline_id: int) -> None:
    path = f"/streaming/{baseline_id}"
    set_ = api("PUT", f"{path}/config", json={"sensitivity_factor": 4}).json["data"]
    told = api("GET", f"{path}/status").json["data"]
    assert set_["sensitivity_factor"] == told["sensitivity_factor"] == 4.0
    assert set_["alarm_limit"] == told["alarm_limit"] < 1.0
    cost = told["false_alarms_per_day"]
    assert cost["low"] <= cost["expected"] <= cost["high"]
    assert cost["rows_per_second"] == 1.0
    wish = {"false_alarms_per_day": cost["expected"]}
    again = api("PUT", f"{path}/config", json=wish).json["data"]
    assert again["sensitivity_factor"] == pytest.approx(4.0, abs=0.1)
    for wrong in ({"sensitivity_factor": 6}, {"false_alarms_per_day": -1}):
        refused = api("PUT", f"{path}/config", json=wrong)
        assert (refused.status_code, refused.json["error"]["code"]) == (400, "INVALID_REQUEST")
        assert next(iter(wrong)) in refused.json["message"]


def test_the_new_doors_stand_in_the_document(api: Api) -> None:
    paths = api("GET", "/openapi.json").json["paths"]
    for path, method in (
        ("/api/v1/dinsight/{baseline_id}/refit", "post"),
        ("/api/v1/dinsight/{baseline_id}/report", "get"),
        ("/api/v1/anomaly/detect", "post"),
        ("/api/v1/monitor/{baseline_id}/points/{seq}/explain", "get"),
    ):
        assert paths[path][method]["summary"]


def test_health(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ready"}
