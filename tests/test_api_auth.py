"""The API's doors: tokens, keys, cookies with their CSRF header, and what stays shut."""

from __future__ import annotations

import datetime as dt

import jwt
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from dinsight import accounts
from dinsight.accounts import Identity
from dinsight.models import Audit
from dinsight.services import Services
from tests.conftest import SECRET
from tests.factories import PASSWORD


def login(client: FlaskClient, email: str, password: str = PASSWORD) -> dict[str, str]:
    answer = client.post("/api/v1/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.json
    return answer.json["data"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def profile_status(client: FlaskClient, token: str) -> int:
    return client.get("/api/v1/users/profile", headers=bearer(token)).status_code


def test_register_login_profile(client: FlaskClient) -> None:
    answer = client.post(
        "/api/v1/auth/register",
        json={"email": "a@example.com", "password": PASSWORD, "full_name": "A", "role": "admin"},
    )
    assert answer.status_code == 201
    user = answer.json["data"]["user"]
    assert user == {"id": user["id"], "email": "a@example.com", "full_name": "A", "role": "user"}
    data = login(client, "a@example.com")
    assert data["user"] == user
    assert data["expires_in"] == 12 * 3600
    profile = client.get("/api/v1/users/profile", headers=bearer(data["access_token"]))
    assert profile.json == {"success": True, "data": user}


def test_registering_twice_is_a_conflict(client: FlaskClient, user: Identity) -> None:
    answer = client.post("/api/v1/auth/register", json={"email": user.email, "password": PASSWORD})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "EMAIL_TAKEN")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"email": "a@example.com"}, "password: Missing data for required field."),
        ({"email": 3, "password": PASSWORD}, "email: Not a valid string."),
        ({"email": "a@example.com", "password": "short"}, "A password has 8 to 128 characters"),
        ({"email": "a\n@b", "password": PASSWORD}, "email: It holds a control character."),
    ],
)
def test_a_registration_that_is_wrong_is_422_and_says_where(
    client: FlaskClient, body: dict[str, object], expected: str
) -> None:
    answer = client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 422
    assert answer.json["message"].startswith(expected)
    assert answer.json["success"] is False


def test_a_body_that_is_not_json_is_a_4xx(client: FlaskClient) -> None:
    answer = client.post("/api/v1/auth/login", data="{", content_type="application/json")
    assert answer.status_code in {400, 422}
    assert answer.json["success"] is False


def test_wrong_passwords_are_401_and_audited(
    client: FlaskClient, services: Services, user: Identity
) -> None:
    answer = client.post(
        "/api/v1/auth/login", json={"email": user.email, "password": "wrong password"}
    )
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "WRONG_PASSWORD")
    with services.sessions() as session:
        assert session.scalars(select(Audit.action)).all() == ["sign-in.refused"]


def test_logout_kills_both_tokens_of_that_sign_in_only(client: FlaskClient, user: Identity) -> None:
    here, there = login(client, user.email), login(client, user.email)
    assert (
        client.post("/api/v1/auth/logout", headers=bearer(here["access_token"])).status_code == 200
    )
    assert profile_status(client, here["access_token"]) == 401
    again = client.post("/api/v1/auth/refresh", json={"refresh_token": here["refresh_token"]})
    assert again.status_code == 401
    assert profile_status(client, there["access_token"]) == 200


def test_a_refresh_token_works_in_the_body_and_as_bearer(
    client: FlaskClient, user: Identity
) -> None:
    refresh = login(client, user.email)["refresh_token"]
    for answer in (
        client.post("/api/v1/auth/refresh", json={"refresh_token": refresh}),
        client.post("/api/v1/auth/refresh", headers=bearer(refresh)),
    ):
        assert answer.status_code == 200
        assert profile_status(client, answer.json["data"]["access_token"]) == 200


def test_bad_tokens_are_401(client: FlaskClient, user: Identity) -> None:
    good = login(client, user.email)
    claims = jwt.decode(good["access_token"], SECRET, algorithms=["HS256"])
    past = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    tokens = {
        "garbage": "x.y.z",
        "empty": "",
        "none": jwt.encode(claims, key="", algorithm="none"),
        "other secret": jwt.encode(claims, key="s" * 32, algorithm="HS256"),
        "expired": jwt.encode(claims | {"exp": past}, key=SECRET, algorithm="HS256"),
        "no sid": jwt.encode({k: v for k, v in claims.items() if k != "sid"}, key=SECRET),
        "refresh": good["refresh_token"],
        "unknown key": "dk_unknown",
        "not ascii": "dk_\xe9",
    }
    assert {name: profile_status(client, token) for name, token in tokens.items()} == dict.fromkeys(
        tokens, 401
    )
    assert client.get("/api/v1/users/profile").status_code == 401
    basic = client.get("/api/v1/users/profile", headers={"Authorization": "Basic eDp5"})
    assert basic.json["error"]["code"] == "NOT_SIGNED_IN"


def test_an_access_token_cannot_refresh(client: FlaskClient, user: Identity) -> None:
    access = login(client, user.email)["access_token"]
    answer = client.post("/api/v1/auth/refresh", json={"refresh_token": access})
    assert answer.status_code == 401


def test_an_api_key_is_shown_once_listed_without_itself_and_revoked_at_once(
    client: FlaskClient, user: Identity
) -> None:
    token = bearer(login(client, user.email)["access_token"])
    made = client.post("/api/v1/auth/keys", json={"name": "gateway"}, headers=token)
    assert made.status_code == 201
    key = made.json["data"]["key"]
    assert profile_status(client, key) == 200
    listed = client.get("/api/v1/auth/keys", headers=token).json["data"]["keys"]
    assert [item["name"] for item in listed] == ["gateway"]
    assert key not in str(listed)
    assert client.delete(f"/api/v1/auth/keys/{listed[0]['id']}", headers=token).status_code == 200
    assert profile_status(client, key) == 401


def test_a_cookie_needs_its_csrf_header_to_change_anything(
    client: FlaskClient, services: Services, user: Identity
) -> None:
    with services.sessions.begin() as session:
        token = accounts.make_link_token(session, user.id, services.now())
    assert client.get(f"/signin/link?token={token}").status_code in {302, 303}
    assert client.get("/api/v1/users/profile").status_code == 200
    name = {"name": "sneaked in"}
    assert client.post("/api/v1/auth/keys", json=name).status_code == 401
    csrf = client.get_cookie("csrf_access_token")
    assert csrf is not None
    allowed = client.post("/api/v1/auth/keys", json=name, headers={"X-CSRF-TOKEN": csrf.value})
    assert allowed.status_code == 201


def test_registration_can_be_closed(client: FlaskClient, services: Services) -> None:
    object.__setattr__(services.settings, "registration", "closed")
    answer = client.post(
        "/api/v1/auth/register", json={"email": "x@example.com", "password": PASSWORD}
    )
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "REGISTRATION_CLOSED")


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
@pytest.mark.parametrize("path", ["/api/v1/typo", "/api/typo", "/api/", "/api/v1/dinsight/x"])
def test_unknown_paths_under_api_are_json_404(client: FlaskClient, method: str, path: str) -> None:
    answer = getattr(client, method)(path)
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "NOT_FOUND")


def test_a_wrong_method_is_json_405(client: FlaskClient) -> None:
    answer = client.get("/api/v1/auth/login")
    assert (answer.status_code, answer.json["success"]) == (405, False)


def test_every_answer_carries_a_request_id_and_keeps_a_good_one(client: FlaskClient) -> None:
    assert len(client.get("/healthz").headers["X-Request-ID"]) == 16
    given = client.get("/api/v1/typo", headers={"X-Request-ID": "from-the-gateway-7"})
    assert given.headers["X-Request-ID"] == "from-the-gateway-7"
    odd = client.get("/healthz", headers={"X-Request-ID": "<script>"})
    assert odd.headers["X-Request-ID"] != "<script>"


@pytest.mark.parametrize("path", ["/", "/dashboard/streaming", "/account", "/any/page"])
def test_pages_send_strangers_to_the_sign_in_page(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/signin?next=")


@pytest.mark.parametrize("path", ["/_dash-layout", "/_dash-dependencies"])
def test_what_dash_tells_of_the_pages_is_closed_to_strangers(
    client: FlaskClient, path: str
) -> None:
    assert client.get(path).status_code == 401


def test_callbacks_are_closed_to_strangers(client: FlaskClient) -> None:
    assert client.post("/_dash-update-component", json={}).status_code == 401


@pytest.mark.parametrize(("remember", "days"), [("on", 30), ("", 0)])
def test_a_remembered_browser_stays_signed_in_until_it_signs_out(
    client: FlaskClient, user: Identity, remember: str, days: int
) -> None:
    form = {"email": user.email, "password": PASSWORD, "remember": remember}
    assert client.post("/signin", data=form).status_code == 303
    cookie, csrf = client.get_cookie("access_token_cookie"), client.get_cookie("csrf_access_token")
    assert cookie is not None
    assert csrf is not None
    claims = jwt.decode(cookie.value, SECRET, algorithms=["HS256"])
    assert (claims["exp"] - claims["iat"]) == (days * 24 * 3600 or 12 * 3600)
    assert cookie.max_age == (days * 24 * 3600 or None)
    assert client.get("/api/v1/users/profile").status_code == 200
    out = client.post("/api/v1/auth/logout", headers={"X-CSRF-TOKEN": csrf.value})
    assert out.status_code == 200
    assert profile_status(client, cookie.value) == 401
