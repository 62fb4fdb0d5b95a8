"""The OpenAPI document says what the routes are, and real answers are what it says."""

from __future__ import annotations

import datetime as dt
import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from dinsight.accounts import Identity
from dinsight.services import Services
from tests.conftest import make_user
from tests.factories import BASELINE, PASSWORD, csv, failing, healthy
from tests.openapi_kit import METHODS, OUTSIDE, Document, as_documented, template
from tests.postgres_kit import eventually
from tests.test_api_main_job import Api

WITHOUT_BODY = {
    *("/api/v1/auth/logout", "/api/v1/users/{user_id}/link"),
    "/api/v1/dinsight/{baseline_id}/versions/{version}/adopt",
    "/api/v1/channels/{channel_id}/test",
}
OPEN = {"/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/refresh"}


@pytest.fixture
def document(client: FlaskClient) -> Document:
    return Document(client)


class Checked(Api):
    """A signed-in client that holds every answer against the document, and notes it."""

    def __init__(self, client: FlaskClient, email: str) -> None:
        super().__init__(client, email)
        self._document = Document(client)
        self.seen: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        answer: TestResponse = super().__call__(method, path, **more)
        where = template(self._client.application, method, f"/api/v1{path}")
        assert self._document.faults(method, where, answer) == [], (method, path, answer.text[:500])
        if answer.status_code < 300:
            self.seen.add((method, where))
        return answer


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Checked:
    return Checked(client, user.email)


def test_every_route_stands_in_the_document_and_nothing_else(
    client: FlaskClient, document: Document
) -> None:
    rules = [
        rule
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and not rule.websocket and rule.endpoint not in OUTSIDE
    ]
    routed = {
        (method, as_documented(rule.rule)) for rule in rules for method in METHODS & rule.methods
    }

    assert {(method, path) for method, path, _ in document.operations()} == routed
    for rule in rules:
        item = document.json["paths"][as_documented(rule.rule)]
        named = {(each["name"], each["in"]) for each in item.get("parameters", [])}
        assert named == {(name, "path") for name in rule.arguments}, rule.rule


def test_the_document_is_openapi_31_and_its_references_lead_somewhere(document: Document) -> None:
    assert document.json["openapi"].startswith("3.1.")
    assert (document.json["info"]["title"], document.json["info"]["version"]) != ("", "")

    def look(part: Any) -> None:
        if isinstance(part, dict):
            document.resolved(part)
            if "schema" in part and isinstance(part["schema"], dict):
                Draft202012Validator.check_schema(part["schema"])
        for inner in part.values() if isinstance(part, dict) else part:
            if isinstance(inner, dict | list):
                look(inner)

    look(document.json)
    for schema in document.json["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_operation_is_described_in_full(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in document.operations()]
    assert len(set(names)) == len(names)
    for method, path, operation in document.operations():
        where = f"{method} {path}"
        assert operation["summary"], where
        codes = set(operation["responses"])
        assert {code for code in codes if code < "300"}, where
        assert {"500", "503"} <= codes, where
        assert ("401" in codes) or path == "/api/v1/auth/register", where
        assert ("404" in codes) or "{" not in path, where
        for answer in map(document.resolved, operation["responses"].values()):
            assert all(content["schema"] for content in answer["content"].values()), where
            assert answer["content"], where
            assert "X-Request-ID" in answer["headers"], where
        if method in {"POST", "PUT", "PATCH"} and path not in WITHOUT_BODY:
            assert operation["requestBody"]["content"], where


def test_the_document_says_who_may_pass(client: FlaskClient, document: Document) -> None:
    schemes = document.json["components"]["securitySchemes"]
    assert {name: (each["type"], each.get("in")) for name, each in schemes.items()} == {
        "token": ("http", None),
        "key": ("http", None),
        "cookie": ("apiKey", "cookie"),
        "csrf": ("apiKey", "header"),
    }
    for method, path, operation in document.operations():
        answer = client.open(re.sub(r"\{\w+\}", "1", path), method=method)
        closed = answer.status_code == 401 and path not in OPEN
        assert ("security" in operation) == closed, (method, path)
        if closed:
            assert operation["security"] == [
                {"token": []},
                {"key": []},
                {"cookie": [], "csrf": []},
            ]


def test_examples_are_what_they_are_examples_of(document: Document) -> None:
    found = 0
    for method, path, operation in document.operations():
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for part in map(document.resolved, contents):
            for content in part.get("content", {}).values():
                if "example" in content:
                    found += 1
                    faults = document.validator(content["schema"]).iter_errors(content["example"])
                    assert [error.message for error in faults] == [], (method, path)
    assert found >= 10


def test_the_answers_of_the_main_job_are_as_described(
    api: Checked, services: Services, client: FlaskClient, document: Document
) -> None:
    services.jobs.start()
    number = api.upload(csv(BASELINE), name="Pump 7").json["data"]["id"]
    other = api.upload(csv(healthy(80, seed=3)), map="mspc").json["data"]["id"]
    for baseline in (number, other):
        assert api.fitted(baseline)["status"] == "completed"
    monitor(api, number, other)
    notify(api, number)
    be_alarmed(api, number)
    manage(api, number, other)
    sign_in_and_out(api)
    make_user(services, "boss@example.com", role="admin")
    boss = Checked(client, "boss@example.com")
    administer(boss)

    seen = api.seen | boss.seen
    assert {(method, path) for method, path, _ in document.operations()} - seen == set()


def monitor(api: Checked, number: int, other: int) -> None:
    stream = f"/streaming/{number}"
    api("GET", f"{stream}/status")
    api("GET", f"{stream}/latest?after=1:0")
    api("PUT", f"{stream}/config", json={"total_points": 40, "delay_seconds": 0.5, "batch_size": 2})
    assert api("PUT", f"{stream}/config", json={"latest_glow_count": -1}).status_code == 400
    key = {"Idempotency-Key": "k1"}
    api.post(number, csv(healthy(2)), headers=key)
    assert api.post(number, csv(healthy(3)), headers=key).status_code == 422
    api.post(number, csv(failing(12), metadata=["a,b"] * 12))
    assert api.post(number, b"").status_code == 400
    assert api.post(other, csv(healthy(1)), form={"epoch": "7"}).status_code == 409
    api("GET", f"/monitor/{number}")
    api("GET", f"/monitor/{number}?values=0&limit=1")
    api("GET", f"/monitor/{number}/coordinates")
    assert api("GET", f"/monitor/{number}?values=2").status_code == 400
    api("GET", f"/monitor/{number}/points/3/explain")
    api("GET", f"/monitor/{number}/points/3/explain?values=0")
    assert api("GET", f"/monitor/{number}/points/99/explain").status_code == 404
    for page in ("", "?limit=1&offset=1", "?trend=0"):
        api("GET", f"/machines{page}")
    assert api("GET", "/machines?trend=2").status_code == 400
    for kind in ("csv", "jsonl", "parquet"):
        api("GET", f"{stream}/export?format={kind}&features=1")
    assert api("GET", f"{stream}/export?format=xls").status_code == 400
    assert api("GET", f"{stream}/export?epoch=9").status_code == 404
    for page in ("", "?limit=5000&offset=3", "?after=1:3"):
        api("GET", f"{stream}/latest{page}")
    shown = {"name": "Idle", "kind": "ellipse"}
    round_ = {"geometry": {"x": 0, "y": 0, "rx": 1, "ry": 2}}
    area = api("POST", f"/dinsight/{number}/areas", json={**shown, **round_}).json["data"]["id"]
    assert api("POST", f"/dinsight/{number}/areas", json=shown).status_code == 422
    drawn = {"geometry": {"points": [[0, 0], [1, 0], [0, 1]]}, "kind": "lasso"}
    api("PUT", f"/dinsight/{number}/areas/{area}", json=drawn)
    api("GET", f"/dinsight/{number}/areas")
    api("DELETE", f"/dinsight/{number}/areas/{area}")
    assert api("DELETE", f"/dinsight/{number}/areas/{area}").status_code == 404
    api("GET", f"{stream}/compare?with_baseline={other}")
    api("GET", f"{stream}/compare?after=1:3&limit=2")
    assert api("GET", f"{stream}/compare?with_baseline=999999").status_code == 404
    for action in ("pause", "resume", "stop", "complete", "start"):
        api("POST", f"{stream}/control", json={"action": action})
    assert api("POST", f"{stream}/control", json={"action": "explode"}).status_code == 400
    api("GET", f"{stream}/status")
    replay(api, number)
    review(api, number)
    compared = {"baseline_dataset_id": number, "comparison_dataset_id": other}
    api("POST", "/anomaly/detect", json=compared)
    assert api("POST", "/anomaly/detect", json={}).status_code == 422


def review(api: Checked, number: int) -> None:
    """New normal rows: proposed, refused, made a version that is compared, adopted, discarded."""
    path = f"/dinsight/{number}"
    rows = {"epoch": 1, "first": 1, "last": 3, "note": "the new bearing"}
    (first,) = api("POST", f"{path}/candidates", json=rows).json["data"]["candidates"]
    assert api("POST", f"{path}/candidates", json=rows).status_code == 409
    assert api("POST", f"{path}/candidates", json={**rows, "last": "x"}).status_code == 400
    assert api("POST", f"{path}/candidates", json={"epoch": 1}).status_code == 422
    api("DELETE", f"{path}/candidates/{first['id']}")
    assert api("DELETE", f"{path}/candidates/{first['id']}").status_code == 404
    assert api("POST", f"{path}/versions", json={"candidates": [first["id"]]}).status_code == 404
    api("POST", f"{path}/candidates", json=rows)
    for state in ("", "?state=refused", "?state=taken"):
        api("GET", f"{path}/candidates{state}")
    assert api("GET", f"{path}/candidates?state=lost").status_code == 400
    api("POST", f"{path}/versions", json={"note": "second"})
    api("GET", f"{path}/versions")
    assert eventually(
        lambda: api("GET", f"{path}/versions").json["data"]["versions"][0]["state"] == "review"
    )
    api("GET", f"{path}/versions/compare")
    api("GET", f"{path}/versions/compare?a=2&b=1&stream=default&days=30")
    assert api("GET", f"{path}/versions/compare?a=2&b=2").status_code == 400
    assert api("GET", f"{path}/versions/compare?a=1&b=9").status_code == 404
    api("POST", f"{path}/versions/2/adopt")
    assert api("DELETE", f"{path}/versions/2").status_code == 409
    api("POST", f"{path}/versions/1/adopt")
    api("DELETE", f"{path}/versions/2")
    api.post(number, csv(healthy(3)))


def replay(api: Checked, number: int) -> None:
    path = f"/streaming/{number}/replay"
    api("GET", path)
    file = {"file": (io.BytesIO(csv(healthy(3))), "night.csv"), "delay": "0.5", "batch_size": "2"}
    assert api("POST", path, data=file).status_code == 202
    api("GET", path)
    stored = api("GET", f"{path}/files").json["data"]["files"][0]["id"]
    assert api("POST", path, json={"stored": stored}).status_code == 409
    assert api("DELETE", f"{path}/files/{stored}").status_code == 409
    api("DELETE", path)
    assert api("POST", path, json={"stored": 999_999}).status_code == 404
    assert api("POST", path, json={"sample": "perhaps"}).status_code == 422
    assert api("POST", path, json={}).status_code == 400
    api("DELETE", f"{path}/files/{stored}")


def manage(api: Checked, number: int, other: int) -> None:
    stream = f"/streaming/{number}"
    api("GET", f"/dinsight/{number}/report")
    api("PATCH", f"/dinsight/{number}", json={"name": "Pump 8"})
    api("POST", f"/dinsight/{other}/refit", json={"map": "distance"})
    screens = f"/dinsight/{number}/displays"
    api("POST", screens, json={"name": "hall 4", "stream": "*"})
    wall = api("POST", screens, json={"name": "hall 3"}).json["data"]["id"]
    assert api("POST", screens, json={"name": ""}).status_code in {400, 422}
    api("GET", screens)
    api("DELETE", f"{screens}/{wall}")
    assert api("DELETE", f"{screens}/{wall}").status_code == 404
    api("GET", "/dinsight")
    api("GET", f"/dinsight/{number}")
    api("DELETE", f"{stream}/reset")
    api("GET", f"{stream}/sessions")
    api("GET", f"{stream}/playback?epoch=1&first=3&count=5")
    api("GET", f"{stream}/timeline?epoch=1")
    assert api("GET", f"{stream}/playback?epoch=99").status_code == 404
    assert api("GET", f"{stream}/timeline?epoch=0").status_code == 400
    api("DELETE", f"/dinsight/{other}")
    assert api("GET", f"/dinsight/{other}").status_code == 404


def be_alarmed(api: Checked, number: int) -> None:
    rules = f"/alerts/rules?baseline_id={number}"
    known = {rule["kind"]: rule for rule in api("GET", rules).json["data"]["rules"]}
    assert set(known) == {"level", "flat", "saturated", "missing", "stale"}
    wish = {"baseline_id": number, "name": "Climbs", "kind": "score", "score": 0.5}
    made = api("POST", "/alerts/rules", json={**wish, "needed": 2, "window": 3}).json["data"]
    for wrong in ({"kind": "mood"}, {"score": None}, {"needed": 4, "window": 3}, {"name": ""}):
        assert api("POST", "/alerts/rules", json={**wish, **wrong}).status_code == 400
    api("PUT", f"/alerts/rules/{made['id']}", json={"severity": "critical"})
    assert api("PUT", f"/alerts/rules/{made['id']}", json={"seconds": 0}).status_code == 400
    api.post(number, csv(failing(6)), form={"stream": "alarmed"})
    listed = api("GET", f"/alerts?baseline_id={number}&stream=alarmed").json["data"]
    assert {alert["title"] for alert in listed["alerts"]} == {"Climbs", "Failing"}
    first = f"/alerts/{listed['alerts'][0]['id']}"
    api("GET", first)
    api("POST", f"{first}/acknowledge", json={"message": "seen"})
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=8)).isoformat().replace("+00:00", "Z")
    api("POST", f"{first}/shelve", json={"until": soon})
    assert api("POST", f"{first}/shelve", json={"until": "tomorrow"}).status_code == 400
    api("POST", f"{first}/verdict", json={"verdict": "real", "message": "worn"})
    assert api("POST", f"{first}/verdict", json={"verdict": "odd"}).status_code == 400
    api("POST", f"{first}/resolve", json={})
    api("GET", "/alerts?status=resolved&severity=critical&since=2026-01-01T00:00:00Z")
    assert api("GET", "/alerts?status=gone").status_code == 400
    assert api("GET", "/alerts?since=yesterday").status_code == 400
    backwards = "/alerts?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z"
    assert "since must come before until" in api("GET", backwards).text
    api("GET", "/alerts/quality")
    assert api("GET", "/alerts/quality?until=2000-01-01T00:00:00").status_code == 400
    trials, tried = f"/streaming/{number}/back-tests", {"kind": "score", "score": 0.5}
    asked = api("POST", trials, json={"stream": "alarmed", "rule": tried})
    assert asked.status_code == 202
    trial = f"/back-tests/{asked.json['data']['id']}"
    assert eventually(lambda: api("GET", trial).json["data"]["status"] == "completed", 60)
    api("GET", trials)
    assert api("POST", trials, json={"rule": {"kind": "stale"}}).status_code == 400
    assert api("POST", trials, json={"rule": {"kind": 5}}).status_code == 422
    api("DELETE", trial)
    assert api("GET", trial).status_code == 404
    api("DELETE", f"/alerts/rules/{made['id']}")
    assert api("GET", "/alerts/999999").status_code == 404
    assert api("GET", "/alerts/rules").status_code == 400


def notify(api: Checked, number: int) -> None:
    hook = {"kind": "webhook", "target": "https://example.com/alerts", "baseline_id": number}
    made = api("POST", "/channels", json=hook).json["data"]
    assert made["secret"].startswith("dw_")
    path = f"/channels/{made['id']}"
    for wrong in ({"target": "ftp://example.com"}, {"kind": "pigeon"}, {"kind": "email"}):
        assert api("POST", "/channels", json={**hook, **wrong}).status_code == 422
    assert api("POST", "/channels", json={**hook, "baseline_id": 999_999}).status_code == 404
    api("GET", "/channels")
    assert api("POST", f"{path}/test").status_code == 202
    api("GET", f"{path}/notices")
    api("GET", "/channels")
    api("PUT", path, json={"enabled": False, "baseline_id": None, "least_severity": "high"})
    assert api("PUT", path, json={"least_severity": "huge"}).status_code == 422
    api("DELETE", path)
    assert api("DELETE", path).status_code == 404


def administer(boss: Checked) -> None:
    boss("GET", "/users")
    invited = {"email": "colleague@example.com", "full_name": "A colleague"}
    made = boss("POST", "/users", json=invited).json["data"]["user"]["id"]
    assert boss("POST", "/users", json=invited).status_code == 409
    boss("PATCH", f"/users/{made}", json={"role": "admin", "disabled": True})
    assert boss("PATCH", "/users/999999", json={"role": "user"}).status_code == 404
    boss("PATCH", f"/users/{made}", json={"disabled": False})
    boss("POST", f"/users/{made}/link")
    boss("GET", "/audit?limit=5&from=2026-01-01T00:00:00Z&action=sign-in")
    assert boss("GET", "/audit?from=yesterday").status_code == 400
    boss("PATCH", "/users/profile", json={"full_name": "The boss"})
    wanted = {"current_password": PASSWORD, "new_password": "a new and better one"}
    boss("PUT", "/users/password", json=wanted)


def sign_in_and_out(api: Checked) -> None:
    api("GET", "/users/profile")
    assert api("GET", "/users").status_code == 403
    assert api("GET", "/audit").status_code == 403
    made = api("POST", "/auth/keys", json={"name": "gateway"}).json["data"]
    api("GET", "/auth/keys")
    api("DELETE", f"/auth/keys/{made['id']}")
    body = {"email": "new@example.com", "password": PASSWORD}
    assert api("POST", "/auth/register", json=body).status_code == 201
    assert api("POST", "/auth/register", json=body).status_code == 409
    tokens = api("POST", "/auth/login", json=body).json["data"]
    assert api("POST", "/auth/login", json={**body, "password": "x"}).status_code == 401
    api("POST", "/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    api("POST", "/auth/logout")
    assert api("GET", "/users/profile").status_code == 401
