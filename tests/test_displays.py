"""Displays: made by who owns a baseline, shown once, signed in by a link, revoked at once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text

from api import display_door
from dinsight import accounts, displays, people
from dinsight.accounts import Identity
from dinsight.errors import DisplayNotFound, DisplayRevoked, InvalidRequest
from dinsight.models import Audit, Display, User
from dinsight.people import Change
from dinsight.services import Services
from dinsight.version import ROOT, fingerprint, version
from tests.conftest import make_user
from tests.test_api_auth import bearer, login
from tests.test_callbacks import Browser

WALL = "/dashboard/streaming?baseline_id={}&stream=default&kiosk=1"


def make(services: Services, who: Identity, baseline_id: int, **more: Any) -> tuple[int, str]:
    with services.sessions.begin() as session:
        wanted = {"name": "hall 3", "stream": "default", **more}
        row, token = displays.make(session, who, baseline_id, **wanted)
        return row.id, token


def identify(services: Services, token: str, now: dt.datetime | None = None) -> Identity:
    with services.sessions.begin() as session:
        return displays.identify(session, token, now or services.now())


def revoke(services: Services, who: Identity, baseline_id: int, display_id: int) -> str:
    with services.sessions.begin() as session:
        return displays.revoke(session, who, baseline_id, display_id, now=services.now())


# ---- the domain ----


def test_a_display_is_nobody_and_looks_at_one_baseline(
    services: Services, user: Identity, baseline_id: int
) -> None:
    number, token = make(services, user, baseline_id, stream="night shift")
    display = identify(services, token)
    assert display == Identity(
        0, "", "hall 3", "display", sight=accounts.Sight(number, baseline_id, "night shift")
    )
    assert not display.is_admin


def test_only_the_hash_of_a_token_is_kept(
    services: Services, user: Identity, baseline_id: int
) -> None:
    _, token = make(services, user, baseline_id)
    with services.sessions() as session:
        (row,) = session.execute(text("SELECT t::text FROM displays t")).scalars()
        noted = session.execute(text("SELECT string_agg(t::text, ' ') FROM audit t")).scalar_one()
    assert token.startswith("dd_") and len(token) > 40
    assert token not in row + noted
    assert accounts.key_hash(token).hex() in row


def test_last_use_is_written_once_a_minute(
    services: Services, user: Identity, baseline_id: int
) -> None:
    number, token = make(services, user, baseline_id)
    now = services.now()
    for seconds, kept in ((0, 0), (59, 0), (61, 61)):
        identify(services, token, now + dt.timedelta(seconds=seconds))
        with services.sessions() as session:
            used = session.get_one(Display, number).last_used_at
        assert used == now + dt.timedelta(seconds=kept)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\0b"])
def test_a_screen_needs_a_name(
    services: Services, user: Identity, baseline_id: int, name: str
) -> None:
    with pytest.raises(InvalidRequest, match="1 to 100 printable"):
        make(services, user, baseline_id, name=name)
    with pytest.raises(InvalidRequest, match="stream's name"):
        make(services, user, baseline_id, stream="a/b")


def test_revoking_ends_it_at_once_and_is_noted(
    services: Services, user: Identity, baseline_id: int
) -> None:
    number, token = make(services, user, baseline_id)
    assert revoke(services, user, baseline_id, number) == "hall 3"
    with pytest.raises(DisplayRevoked):
        identify(services, token)
    with pytest.raises(DisplayNotFound):
        revoke(services, user, baseline_id, number)
    with services.sessions() as session:
        noted = session.execute(select(Audit.action, Audit.user_id, Audit.details)).all()
        assert displays.list_all(session, user, baseline_id) == []
    details = {"name": "hall 3", "id": number}
    assert noted == [("display.make", user.id, details), ("display.revoke", user.id, details)]


def test_a_display_is_revoked_under_its_own_baseline_only(
    services: Services, user: Identity, other: Identity, baseline_id: int, make_baseline: Any
) -> None:
    number, token = make(services, user, baseline_id)
    for who in (user, other):
        with pytest.raises(DisplayNotFound):
            revoke(services, who, make_baseline(who, "Another"), number)
    assert identify(services, token)


def test_a_display_goes_with_who_made_it(
    services: Services, user: Identity, baseline_id: int
) -> None:
    """Disabled, it is revoked for good; no administrator any more, another's is not seen."""
    boss = make_user(services, "boss@example.com", role="admin")
    second = make_user(services, "second@example.com", role="admin")
    _, own = make(services, user, baseline_id)
    _, lent = make(services, second, baseline_id)
    with services.sessions.begin() as session:
        session.get_one(User, second.id).role = "user"
    with pytest.raises(DisplayRevoked):
        identify(services, lent)
    for disabled in (True, False):
        with services.sessions.begin() as session:
            people.change(session, boss, user.id, Change(disabled=disabled), now=services.now())
        with pytest.raises(DisplayRevoked):
            identify(services, own)


def test_a_display_of_all_streams_opens_on_the_wall_of_them(
    services: Services, client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    _, token = make(services, user, baseline_id, stream=displays.ALL_STREAMS)
    answer = client.get(f"/display?token={token}")
    assert (answer.status_code, answer.location) == (
        *(303, "/dashboard/machines?view=wall&kiosk=1"),
    )
    assert client.get(answer.location).status_code == 200


# ---- the door ----


def test_a_link_opens_the_wall_view_and_its_token_leaves_the_address(
    services: Services, client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    _, token = make(services, user, baseline_id)
    for _ in range(2):  # a browser that keeps no cookies starts on its link every day
        answer = client.get(f"/display?token={token}")
        assert (answer.status_code, answer.location) == (303, WALL.format(baseline_id))
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie
    assert client.get(answer.location).status_code == 200
    secure = client.get(f"/display?token={token}", base_url="https://localhost")
    assert "Secure" in secure.headers["Set-Cookie"]


@pytest.mark.parametrize("token", ["", "dd_guessed", "\0"])
def test_a_link_that_is_none_is_told_on_the_sign_in_page(client: FlaskClient, token: str) -> None:
    answer = client.get("/display", query_string={"token": token})
    assert answer.status_code == 401
    assert "link does not work any more" in answer.text.replace("&#39;", "'")
    assert "Set-Cookie" not in answer.headers


def test_a_revoked_display_is_out_at_its_next_request(
    services: Services, client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    number, token = make(services, user, baseline_id)
    screen = Browser(client)
    client.get(f"/display?token={token}")
    question = {"key": "1", "baseline_id": baseline_id, "stream": "default", "after": None}
    assert screen.poll(question).status_code == 200
    dependencies = client.get("/_dash-dependencies").json
    revoke(services, user, baseline_id, number)
    (entry,) = (each for each in dependencies or [] if each["output"] == "live-feed.data")
    body = {**entry, "outputs": {"id": "live-feed", "property": "data"}, "changedPropIds": []}
    assert client.post("/_dash-update-component", json=body).status_code == 401
    assert client.get(WALL.format(baseline_id)).location.startswith("/signin?next=")


def test_a_browser_is_a_persons_or_a_displays_never_both(
    services: Services, client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    _, token = make(services, user, baseline_id)
    browser = Browser(client)
    client.get(f"/display?token={token}")
    assert browser.cookie(display_door.COOKIE) == token
    browser.sign_in(user.email)
    assert browser.cookie(display_door.COOKIE) == ""
    answer = client.get(f"/display?token={token}")
    assert answer.location == WALL.format(baseline_id)
    assert browser.cookie(display_door.COOKIE) == ""
    assert client.get("/account").status_code == 200


# ---- the API and the dialog ----


def test_the_api_makes_lists_and_revokes(
    client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    headers = bearer(login(client, user.email)["access_token"])
    path = f"/api/v1/dinsight/{baseline_id}/displays"
    answer = client.post(path, json={"name": "hall 3"}, headers=headers)
    made = answer.get_json()["data"]
    link = made.pop("link")
    assert answer.status_code == 201 and link.startswith("http://localhost/display?token=dd_")
    assert client.get(path, headers=headers).get_json()["data"] == {"displays": [made]}
    screen = client.application.test_client()
    assert screen.get(link.removeprefix("http://localhost")).status_code == 303
    gone = client.delete(f"{path}/{made['id']}", headers=headers)
    assert gone.get_json()["data"] == {"id": made["id"]}
    assert client.delete(f"{path}/{made['id']}", headers=headers).status_code == 404
    assert client.get(path, headers=headers).get_json()["data"] == {"displays": []}


def test_the_dialog_says_what_is_wrong(client: FlaskClient, user: Identity) -> None:
    browser = Browser(client)
    browser.sign_in(user.email)
    for baseline_id, words in ((None, "no stream to show"), (910_009, "no such baseline")):
        view = {"key": "1", "baseline_id": baseline_id, "stream": "default"}
        deed = {**view, "act": "make", "name": "hall 3", "shows": "this"}
        answer = browser.call("displays-told.data", "displays-deed.data", displays_deed__data=deed)
        told = answer.json["response"]["displays-told"]["data"]
        assert words in told["sentence"] and not told["ok"]


# ---- the version that a page watches ----


def test_a_version_is_that_of_the_code(tmp_path: Any) -> None:
    assert version() == fingerprint(ROOT) != fingerprint(tmp_path)
    (tmp_path / "assets").mkdir()
    script = tmp_path / "assets" / "page.js"
    script.write_text("one")
    first = fingerprint(tmp_path)
    (tmp_path / "assets" / "notes.txt").write_text("no code")
    assert fingerprint(tmp_path) == first
    script.write_text("two")
    assert fingerprint(tmp_path) != first
