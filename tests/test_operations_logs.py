"""Logs: one line a request, each line with its request, errors told once, and no secret in any."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Response, request
from flask.testing import FlaskClient
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from dinsight import accounts, displays, logs
from dinsight.accounts import Identity
from dinsight.services import Services
from dinsight.settings import Settings
from tests.conftest import SECRET
from tests.factories import PASSWORD, csv, healthy
from tests.test_api_auth import bearer, login
from tests.test_metrics import reader

Lines = Callable[[], list[str]]


@pytest.fixture
def captured(settings: Settings) -> Iterator[Callable[..., io.StringIO]]:
    """Sends the log to a text that the test can read; as it was again afterwards."""
    root, access = logging.getLogger(), logging.getLogger(logs.ACCESS)
    handlers, level, of_access = root.handlers[:], root.level, access.level
    root.handlers = []  # pytest's own must not be closed by ours

    def begin(**more: Any) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(dataclasses.replace(settings, **more), stream)
        return stream

    yield begin
    root.handlers = handlers
    root.setLevel(level)
    access.setLevel(of_access)


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return reader(services)


def of_access(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["logger"] == logs.ACCESS]


def test_a_request_is_one_line_that_says_who_what_and_how_long(
    captured: Callable[..., io.StringIO], client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    token = login(client, user.email)["access_token"]
    log = captured(log_format="json")
    answer = client.get(
        f"/api/v1/monitor/{baseline_id}?values=0", headers=bearer(token) | {"X-Request-ID": "r-7"}
    )
    client.get("/api/v1/users/profile")
    first, second = of_access(log)
    assert 0 < first.pop("seconds") < 10
    assert first.pop("time").endswith("Z")
    assert first.pop("message").startswith(f"GET /api/v1/monitor/{baseline_id} 200 ")
    assert first == {
        "level": "info",
        "logger": logs.ACCESS,
        "request_id": "r-7",
        "method": "GET",
        "path": f"/api/v1/monitor/{baseline_id}",
        "route": "/api/v1/monitor/<int:baseline_id>",
        "status": 200,
        "bytes": len(answer.data),
        "user_id": user.id,
    }
    assert (second["status"], second["user_id"]) == (401, None)


def test_the_text_form_has_the_same_in_a_line(
    captured: Callable[..., io.StringIO], client: FlaskClient
) -> None:
    log = captured()
    client.get("/api/v1/users/profile", headers={"X-Request-ID": "r-8"})
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO dinsight\.access \[r-8\]: "
        r"GET /api/v1/users/profile 401 \d+\.\d ms \d+ B user -\n",
        log.getvalue(),
    )


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_programs_ask_for_every_few_seconds_is_for_debugging(
    captured: Callable[..., io.StringIO], client: FlaskClient, path: str
) -> None:
    log = captured(log_format="json")
    client.get(path)
    assert of_access(log) == []
    log = captured(log_format="json", log_level="debug")
    client.get(path)
    assert [line["level"] for line in of_access(log)] == ["debug"]


def test_a_person_at_a_terminal_sees_the_link_and_not_every_request(
    captured: Callable[..., io.StringIO], settings: Settings, client: FlaskClient
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    captured()
    terminal = Terminal()
    logs.configure(settings, terminal)
    client.get("/api/v1/users/profile")
    assert terminal.getvalue() == ""
    logs.configure(dataclasses.replace(settings, log_level="debug"), terminal)
    client.get("/api/v1/users/profile")
    assert "GET /api/v1/users/profile 401" in terminal.getvalue()


def test_every_line_of_a_request_names_it_and_those_after_it_do_not(
    captured: Callable[..., io.StringIO], client: FlaskClient
) -> None:
    said = logging.getLogger("dinsight.anything")
    client.application.before_request(lambda: said.warning("in between"))
    log = captured(log_format="json")
    client.get("/api/v1/users/profile", headers={"X-Request-ID": "r-9"})
    said.warning("afterwards")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["message"].split()[0], line.get("request_id")) for line in lines] == [
        ("in", "r-9"),
        ("GET", "r-9"),
        ("afterwards", None),
    ]


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_is_told_once_with_its_traceback_and_its_request(
    captured: Callable[..., io.StringIO],
    client: FlaskClient,
    user: Identity,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    token = login(client, user.email)["access_token"]
    log = captured(log_format=form)

    def fail(*_: object) -> None:
        raise RuntimeError("a bug of the tests")

    monkeypatch.setattr(accounts, "list_keys", fail)
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    answer = client.get("/api/v1/auth/keys", headers=bearer(token) | {"X-Request-ID": "r-10"})
    assert answer.status_code == 500
    told = [part for part in log.getvalue().split("\n") if "ERROR" in part or '"error"' in part]
    assert len(told) == 1
    assert "r-10" in told[0]
    assert log.getvalue().count("RuntimeError: a bug of the tests") == 1
    assert log.getvalue().count("Traceback") == 1


def test_an_answer_that_breaks_off_is_told_with_its_request(
    captured: Callable[..., io.StringIO], client: FlaskClient
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first"
        raise RuntimeError("half way")

    client.application.add_url_rule("/assets/breaks", "breaks", lambda: Response(pieces()))
    log = captured(log_format="json")
    with pytest.raises(RuntimeError, match="half way") as broken:
        client.get("/assets/breaks", headers={"X-Request-ID": "r-11"})
    error, access = (json.loads(line) for line in log.getvalue().splitlines())
    assert (error["level"], error["request_id"]) == ("error", "r-11")
    assert "half way" in error["traceback"]
    assert (access["request_id"], access["bytes"]) == ("r-11", 5)
    assert broken.value.__dict__["logged"]  # so that the outer server does not tell it again


def test_content_cannot_pose_as_a_line_of_its_own(
    captured: Callable[..., io.StringIO], client: FlaskClient
) -> None:
    log = captured()
    client.get("/api/v1/x%0A2026-01-01T00:00:00.000Z%20INFO%20forged")
    logging.getLogger("dinsight.anything").warning("a file named %s", "a\n2026 INFO forged")
    first, second, third = log.getvalue().splitlines()
    assert "%0A" in first
    assert second.endswith("a file named a")
    assert third == "    2026 INFO forged"


def test_no_secret_is_in_the_log_whatever_goes_wrong(
    captured: Callable[..., io.StringIO],
    services: Services,
    client: FlaskClient,
    user: Identity,
    baseline_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = captured(log_level="debug")
    data = login(client, user.email)
    with services.sessions.begin() as session:
        link = accounts.make_link_token(session, user.id, services.now())
    client.get(f"/signin/link?token={link}")
    cookie = client.get_cookie("access_token_cookie")
    assert cookie is not None
    client.delete_cookie("access_token_cookie")
    made = client.post(
        "/api/v1/auth/keys", json={"name": "press"}, headers=bearer(data["access_token"])
    )
    key = made.json["data"]["key"]
    client.get("/api/v1/auth/keys", headers=bearer(key))
    client.post("/api/v1/auth/login", json={"email": user.email, "password": "a wrong guess"})
    client.post("/api/v1/auth/refresh", json={"refresh_token": data["refresh_token"]})
    client.get("/api/v1/users/profile", headers=bearer(data["access_token"] + "x"))
    form = {"file": (io.BytesIO(csv(healthy(1))), "x.csv")}
    client.post(f"/api/v1/monitor/{baseline_id}", data=form, headers=bearer(key))
    url = "postgresql://plant:a-database-password@db.example.com/plant"

    def leak(*_: object) -> None:
        raise RuntimeError(f"{url} {request.headers} {request.get_data(as_text=True)}")

    monkeypatch.setattr(accounts, "sign_in", leak)
    monkeypatch.setattr(accounts, "list_keys", leak)
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    client.post("/api/v1/auth/login", json={"email": user.email, "password": PASSWORD})
    client.get("/api/v1/auth/keys", headers=bearer(data["access_token"]))
    client.get("/api/v1/auth/keys", headers=bearer(key))

    def break_down(session: Session, *_: object) -> None:
        session.execute(sql("SELECT 1 / 0 WHERE :secret <> 'x'"), {"secret": "as a parameter"})

    monkeypatch.setattr(accounts, "list_keys", break_down)
    client.get("/api/v1/auth/keys", headers=bearer(key))
    text = log.getvalue()
    assert text.count("Traceback (most") >= 4
    secrets = {
        *(PASSWORD, "a wrong guess", SECRET, link, key, cookie.value, "a-database-password"),
        *(data["access_token"], data["refresh_token"], "as a parameter"),
    }
    assert {secret for secret in secrets if secret in text} == set()


def test_a_displays_token_reaches_no_line_and_its_requests_are_nobodys(
    captured: Callable[..., io.StringIO],
    services: Services,
    client: FlaskClient,
    user: Identity,
    baseline_id: int,
) -> None:
    with services.sessions.begin() as session:
        _, token = displays.make(session, user, baseline_id, name="hall 3", stream="default")
    log = captured(log_format="json", log_level="debug")
    wall = client.get(f"/display?token={token}").location
    client.get(wall)
    client.post("/_dash-update-component", json={"output": "live-acted.data"})
    lines = [line for line in of_access(log) if line["path"] != "/favicon.ico"]
    assert [(line["path"], line["status"], line.get("user_id")) for line in lines] == [
        ("/display", 303, None),
        ("/dashboard/streaming", 200, None),
        ("/_dash-update-component", 403, None),
    ]
    assert token not in log.getvalue()
    assert logs.redact(f"{token} went wrong") == "… went wrong"
