"""People over HTTP: their own account, what administrators do, and what is noted of it all."""

from __future__ import annotations

import datetime as dt
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from callbacks import account as account_page
from callbacks import admin as admin_page
from dinsight import accounts, audit_log, first_run, people
from dinsight.accounts import Identity
from dinsight.audit_log import ACTIONS, DENIALS_A_MINUTE
from dinsight.database import Database, open_engine
from dinsight.errors import AdminOnly, InvalidRequest, LastAdmin
from dinsight.models import Audit, User
from dinsight.people import Change
from dinsight.services import Services
from tests.conftest import make_user
from tests.factories import PASSWORD
from tests.test_api_auth import bearer, login, profile_status
from tests.test_api_main_job import Api
from tests.test_callbacks import Browser, question

ROOT = Path(__file__).parent.parent
NEW = "a new and better one"


@pytest.fixture
def boss(services: Services) -> Identity:
    return make_user(services, "boss@example.com", role="admin")


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.fixture
def admin(client: FlaskClient, boss: Identity) -> Api:
    return Api(client, boss.email)


def noted(services: Services, *columns: Any) -> list[Any]:
    """The audit log, the oldest first."""
    wanted = columns or (Audit.action,)
    with services.sessions() as session:
        return [tuple(row) for row in session.execute(select(*wanted).order_by(Audit.id))]


# ---- one's own account ----


def test_a_user_changes_their_own_name_and_nothing_else(
    api: Api, services: Services, user: Identity
) -> None:
    body = {"full_name": " Ada L. ", "role": "admin", "id": 1, "email": "x@example.com"}
    answer = api("PATCH", "/users/profile", json=body)
    expected = {"id": user.id, "email": user.email, "full_name": "Ada L.", "role": "user"}
    assert (answer.status_code, answer.json["data"]) == (200, expected)
    assert api("GET", "/users/profile").json["data"] == expected
    assert noted(services) == [("sign-in",), ("profile.rename",)]


@pytest.mark.parametrize("name", ["x" * 201, "a\u0007b", None, 3])
def test_a_name_that_cannot_be_used_is_422(api: Api, name: Any) -> None:
    assert api("PATCH", "/users/profile", json={"full_name": name}).status_code == 422


def test_a_user_changes_their_password_with_the_current_one(
    api: Api, client: FlaskClient, user: Identity
) -> None:
    wrong = api("PUT", "/users/password", json={"current_password": "x", "new_password": NEW})
    assert (wrong.status_code, wrong.json["error"]["code"]) == (401, "WRONG_PASSWORD")
    missing = api("PUT", "/users/password", json={"new_password": NEW})
    assert missing.status_code == 401
    body = {"current_password": PASSWORD, "new_password": "short"}
    assert api("PUT", "/users/password", json=body).status_code == 422
    body["new_password"] = NEW
    assert api("PUT", "/users/password", json=body).status_code == 200
    assert login(client, user.email, NEW)["user"]["id"] == user.id


def test_a_new_password_ends_every_sign_in_but_the_one_that_set_it(
    client: FlaskClient, services: Services, user: Identity
) -> None:
    old = login(client, user.email)
    with services.sessions.begin() as session:
        _, key = accounts.make_key(session, user.id, "gateway")
    here, there = (Browser(client.application.test_client()) for _ in range(2))
    for browser in (here, there):
        browser.sign_in(user.email)

    def statuses() -> list[int]:
        refreshed = client.post("/api/v1/auth/refresh", headers=bearer(old["refresh_token"]))
        pages = [each.client.get("/api/v1/users/profile").status_code for each in (here, there)]
        return [*pages, profile_status(client, old["access_token"]), refreshed.status_code]

    assert statuses() == [200, 200, 200, 200]
    body = {"current_password": PASSWORD, "new_password": NEW}
    csrf = {"X-CSRF-TOKEN": here.cookie("csrf_access_token")}
    answer = here.client.put("/api/v1/users/password", json=body, headers=csrf)
    assert profile_status(client, answer.json["data"]["access_token"]) == 200
    assert statuses() == [200, 401, 401, 401]
    assert profile_status(client, key) == 200
    there.sign_in(user.email, NEW)
    answer = there.call(
        "account-password-message.children",
        "account-save-password.n_clicks",
        account_save_password__n_clicks=1,
        account_current_password__value=NEW,
        account_new_password__value=PASSWORD,
        account_repeat_password__value=PASSWORD,
    )
    assert answer.status_code == 200
    assert statuses() == [401, 200, 401, 401]


# ---- what administrators do ----


def test_an_administrator_sees_everybody(admin: Api, boss: Identity, user: Identity) -> None:
    users = admin("GET", "/users").json["data"]["users"]
    assert {item["email"] for item in users} == {boss.email, user.email}
    (mine,) = (item for item in users if item["id"] == user.id)
    assert mine.pop("created_at").endswith("Z")
    assert mine == {
        **{"id": user.id, "email": user.email, "full_name": "", "role": "user"},
        **{"disabled": False, "disabled_at": None, "has_password": True},
    }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/users", None),
        ("GET", "/audit", None),
        ("POST", "/users", {"email": "new@example.com", "role": "admin"}),
    ],
)
def test_who_is_no_administrator_is_told_so(
    api: Api, services: Services, method: str, path: str, body: Any
) -> None:
    answer = api(method, path, json=body)
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "ADMIN_ONLY")
    with services.sessions() as session:
        assert session.scalars(select(User.email)).all() == ["ada@example.com"]


@pytest.mark.parametrize("method", ["PATCH /users/{}", "POST /users/{}/link"])
def test_who_is_no_administrator_finds_nobody_not_even_themselves(
    api: Api, user: Identity, other: Identity, method: str
) -> None:
    verb, path = method.split()
    for target in (user.id, other.id, 999_999, 10**20):
        answer = api(verb, path.format(target), json={"role": "admin"})
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "USER_NOT_FOUND")


def test_somebody_is_added_with_a_link_that_signs_them_in_once(
    admin: Api, client: FlaskClient, services: Services
) -> None:
    body = {"email": "new@example.com", "full_name": "New", "role": "user", "password": PASSWORD}
    answer = admin("POST", "/users", json=body)
    data = answer.json["data"]
    assert (answer.status_code, data["user"]["has_password"]) == (201, False)
    refused = client.post("/api/v1/auth/login", json=body)
    assert refused.status_code == 401  # the password that the administrator sent is nobody's
    path = data["link"].removeprefix("http://localhost")
    browser = client.application.test_client()
    assert browser.get(path).status_code == 303
    assert browser.get("/api/v1/users/profile").json["data"]["email"] == "new@example.com"
    assert client.application.test_client().get(path).status_code == 410
    assert noted(services, Audit.action, Audit.subject, Audit.details)[1] == (
        *("user.make", "new@example.com"),
        {"role": "user"},
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"email": "ADA@example.com"}, 409),
        ({"email": "nobody"}, 422),
        ({"email": "new@example.com", "role": "owner"}, 422),
        ({"full_name": "x"}, 422),
    ],
)
def test_who_cannot_be_added_is_refused(
    admin: Api, user: Identity, body: dict[str, str], status: int
) -> None:
    assert admin("POST", "/users", json=body).status_code == status


def test_a_role_is_given_and_taken(
    admin: Api, api: Api, services: Services, user: Identity
) -> None:
    answer = admin("PATCH", f"/users/{user.id}", json={"role": "admin", "full_name": "Ada"})
    assert (answer.json["data"]["role"], answer.json["data"]["full_name"]) == ("admin", "Ada")
    assert api("GET", "/users").status_code == 200  # at once, with the token that there is
    assert admin("PATCH", f"/users/{user.id}", json={"role": "user"}).status_code == 200
    assert api("GET", "/users").status_code == 403
    assert admin("PATCH", f"/users/{user.id}", json={"role": "owner"}).status_code == 422
    assert admin("PATCH", f"/users/{user.id}", json={"disabled": "yes"}).status_code == 422
    assert admin("PATCH", "/users/999999", json={"role": "user"}).status_code == 404
    actions = [action for (action,) in noted(services) if action.startswith("user.")]
    assert actions == ["user.rename", "user.role", "user.role"]


def test_a_fresh_link_ends_the_password_and_the_sign_ins_but_no_key(
    admin: Api, client: FlaskClient, services: Services, user: Identity
) -> None:
    token = login(client, user.email)["access_token"]
    with services.sessions.begin() as session:
        _, key = accounts.make_key(session, user.id, "gateway")
    first = admin("POST", f"/users/{user.id}/link").json["data"]["link"]
    second = admin("POST", f"/users/{user.id}/link").json["data"]["link"]
    assert profile_status(client, token) == 401
    assert profile_status(client, key) == 200
    credentials = {"email": user.email, "password": PASSWORD}
    assert client.post("/api/v1/auth/login", json=credentials).status_code == 401
    paths = [link.removeprefix("http://localhost") for link in (first, second)]
    browser = client.application.test_client()
    assert [browser.get(path).status_code for path in paths] == [410, 303]


def test_a_disabled_user_is_out_everywhere_and_comes_back_with_nothing_of_before(
    admin: Api,
    client: FlaskClient,
    services: Services,
    database: Database,
    user: Identity,
    baseline_id: int,
) -> None:
    tokens = login(client, user.email)
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    with services.sessions.begin() as session:
        _, key = accounts.make_key(session, user.id, "gateway")
    browser = Browser(client.application.test_client())
    browser.sign_in(user.email)
    engine = open_engine(database.url)  # another instance of the program
    there = Database(database.url, engine, sessionmaker(engine))
    elsewhere = _application(Services(services.settings, there, services.jobs, services.secret_key))

    def statuses() -> list[int]:
        return [
            *(
                profile_status(each, token)
                for each in (client, elsewhere)
                for token in (access, key)
            ),
            client.post("/api/v1/auth/refresh", headers=bearer(refresh)).status_code,
            elsewhere.post("/api/v1/auth/refresh", headers=bearer(refresh)).status_code,
            client.get(f"/api/v1/monitor/{baseline_id}", headers=bearer(key)).status_code,
            browser.client.get("/api/v1/users/profile").status_code,
            browser.client.get("/account").status_code,
            browser.client.post("/_dash-update-component", json={}).status_code,
        ]

    try:
        assert statuses()[:7] == [200] * 7
        changed = admin("PATCH", f"/users/{user.id}", json={"disabled": True})
        assert changed.json["data"]["disabled"] is True
        out = [401] * 8 + [302, 401]
        assert statuses() == out
        credentials = {"email": user.email, "password": PASSWORD}
        assert client.post("/api/v1/auth/login", json=credentials).status_code == 401
        assert admin("POST", f"/users/{user.id}/link").status_code == 422
        assert admin("PATCH", f"/users/{user.id}", json={"disabled": False}).status_code == 200
        assert statuses() == out
        assert profile_status(client, login(client, user.email)["access_token"]) == 200
    finally:
        engine.dispose()
    actions = [action for (action,) in noted(services) if action.startswith("user.")]
    assert actions == ["user.disable", "user.enable"]


@pytest.mark.parametrize("body", [{"role": "user"}, {"disabled": True}])
def test_the_last_administrator_stays_one(
    admin: Api, services: Services, boss: Identity, body: dict[str, Any]
) -> None:
    second = make_user(services, "second@example.com", role="admin")
    assert admin("PATCH", f"/users/{second.id}", json=body).status_code == 200
    answer = admin("PATCH", f"/users/{boss.id}", json=body)
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "LAST_ADMIN")
    same = {"role": "admin", "disabled": False, "full_name": "The last"}
    assert admin("PATCH", f"/users/{boss.id}", json=same).json["data"]["full_name"] == "The last"


def test_of_two_administrators_who_demote_each_other_one_stays(
    services: Services, boss: Identity
) -> None:
    second = make_user(services, "second@example.com", role="admin")
    together = threading.Barrier(2)

    def demote(who: Identity, whom: Identity) -> bool:
        together.wait()
        try:
            with services.sessions.begin() as session:
                people.change(session, who, whom.id, Change(role="user"), now=services.now())
        except LastAdmin:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(demote, boss, second), pool.submit(demote, second, boss)]
        assert sorted(done.result() for done in asked) == [False, True]
    with services.sessions() as session:
        admins = session.scalars(select(User.id).where(User.role == "admin")).all()
    assert len(admins) == 1


def test_the_first_user_is_an_administrator_and_the_link_is_for_one_who_may_enter(
    services: Services,
) -> None:
    with services.sessions.begin() as session:
        first = first_run.first_user(session, services.settings)
        assert (first.role, first.disabled_at) == ("admin", None)
        who = Identity(first.id, first.email, first.full_name, first.role)
        second = people.invite(session, who, "b@example.com", role="admin", now=services.now())
        assert first_run.first_user(session, services.settings).id == first.id
        people.change(session, who, first.id, Change(disabled=True), now=services.now())
        assert first_run.first_user(session, services.settings).id == second.user.id


# ---- the audit log ----


def test_what_people_do_is_noted(
    admin: Api, api: Api, client: FlaskClient, services: Services, baseline_id: int
) -> None:
    key = api("POST", "/auth/keys", json={"name": "gateway"}).json["data"]
    api("DELETE", f"/auth/keys/{key['id']}")
    api("DELETE", f"/streaming/{baseline_id}/reset")
    api("DELETE", f"/dinsight/{baseline_id}")
    api("POST", "/auth/logout")
    client.post("/api/v1/auth/register", json={"email": "new@example.com", "password": PASSWORD})
    client.post("/api/v1/auth/login", json={"email": "ada@example.com", "password": "wrong one"})
    data = admin("GET", "/audit").json["data"]
    assert data["next"] is None
    assert [(e["email"], e["action"], e["subject"]) for e in reversed(data["entries"])] == [
        ("boss@example.com", "sign-in", ""),
        ("ada@example.com", "sign-in", ""),
        ("ada@example.com", "key.make", "gateway"),
        ("ada@example.com", "key.revoke", "gateway"),
        ("ada@example.com", "stream.reset", f"{baseline_id}/default"),
        ("ada@example.com", "baseline.delete", str(baseline_id)),
        ("ada@example.com", "sign-out", ""),
        ("new@example.com", "register", ""),
        (None, "sign-in.refused", "ada@example.com"),
    ]
    assert key["key"] not in str(data)


def test_the_log_is_read_in_pages_and_narrowed(
    admin: Api, services: Services, user: Identity, boss: Identity
) -> None:
    start = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
    with services.sessions.begin() as session:
        session.query(Audit).delete()
        for n in range(7):
            who, action = (user, "key.make") if n % 2 else (boss, "sign-in")
            at = start + dt.timedelta(hours=n)
            session.add(Audit(at=at, user_id=who.id, action=action, subject=str(n), details={}))

    def subjects(query: str) -> tuple[str, Any]:
        data = admin("GET", f"/audit?{query}").json["data"]
        return "".join(entry["subject"] for entry in data["entries"]), data["next"]

    first, following = subjects("limit=3")
    second, then = subjects(f"limit=3&before={following}")
    assert (first, second, subjects(f"limit=3&before={then}")) == ("654", "321", ("0", None))
    assert subjects(f"user_id={user.id}") == ("531", None)
    assert subjects("action=sign-in") == ("6420", None)
    assert subjects("from=2026-05-01T14:00:00Z&to=2026-05-01T17:00:00%2B01:00") == ("32", None)
    assert subjects("from=2026-05-01T17:00:00") == ("65", None)
    assert subjects("action=nothing") == ("", None)
    assert admin("GET", "/audit?limit=100000").json["data"]["limit"] == audit_log.MOST
    for wrong in ("from=yesterday", "limit=0", "before=x", "user_id=-1"):
        assert admin("GET", f"/audit?{wrong}").status_code == 400


def test_a_denial_is_noted_with_whose_it_was_and_no_flood_is(
    client: FlaskClient, services: Services, user: Identity, other: Identity, baseline_id: int
) -> None:
    theirs = Api(client, other.email)
    for _ in range(3):
        theirs("GET", f"/dinsight/{baseline_id}")
    theirs("GET", "/dinsight/999999")
    columns = (Audit.user_id, Audit.subject, Audit.details)
    seen = [row for row in noted(services, Audit.action, *columns) if row[0] == "denied"]
    assert [row[1:] for row in seen] == [
        (other.id, f"GET /api/v1/dinsight/{baseline_id}", {"owner_id": user.id}),
        (other.id, "GET /api/v1/dinsight/999999", {"owner_id": None}),
    ]
    for number in range(3 * DENIALS_A_MINUTE):
        theirs("GET", f"/dinsight/{10_000 + number}")
    assert noted(services).count(("denied",)) == DENIALS_A_MINUTE
    later = services.now() + dt.timedelta(minutes=2)
    with services.sessions.begin() as session:
        audit_log.deny(session, other, "later", None, later)
    assert noted(services).count(("denied",)) == DENIALS_A_MINUTE + 1


def test_a_denial_on_a_page_is_noted_as_well(
    client: FlaskClient, services: Services, user: Identity, other: Identity, baseline_id: int
) -> None:
    browser = Browser(client)
    browser.sign_in(other.email)
    want = {"search": f"?baseline_id={baseline_id}", "n": "1"}
    browser.call("live-opened.data", "live-open.data", live_open__data=want)
    browser.act("reset", question(baseline_id))
    columns = (Audit.user_id, Audit.subject, Audit.details)
    assert [row[1:] for row in noted(services, Audit.action, *columns) if row[0] == "denied"] == [
        (other.id, f"open {baseline_id}", {"owner_id": user.id}),
        (other.id, f"reset {baseline_id}/default", {"owner_id": user.id}),
    ]


def test_an_administrator_is_denied_nothing(admin: Api, services: Services) -> None:
    assert admin("GET", "/dinsight/999999").status_code == 404
    assert noted(services) == [("sign-in",)]


def test_every_action_that_is_noted_has_words() -> None:
    noting = re.compile(r"\baudit\(\s*\w+,\s*\"([\w.-]+)\"")
    words = Path(audit_log.__file__)
    sources = [
        path.read_text()
        for folder in ("dinsight", "api", "callbacks")
        for path in (ROOT / folder).rglob("*.py")
        if path != words
    ]
    noted = {action for text in sources for action in noting.findall(text)}
    assert noted <= set(ACTIONS)
    named = {action for action in ACTIONS if any(f'"{action}"' in text for text in sources)}
    assert named | {audit_log.DENIED} == set(ACTIONS)  # some are named where another function notes


# ---- the page ----


def open_page(browser: Browser, path: str) -> str:
    answer = browser.call("main.children", "url.pathname", url__pathname=path)
    return str(answer.json["response"])


def test_the_page_is_for_administrators_and_nobody_else_learns_of_it(
    client: FlaskClient, boss: Identity, user: Identity
) -> None:
    browser = Browser(client)
    browser.sign_in(user.email)
    shown = open_page(browser, "/admin")
    assert shown.replace("/admin", "/nowhere") == open_page(browser, "/nowhere")
    assert "'account-admin': {'hidden': True}" in shown
    browser.sign_in(boss.email)
    shown = open_page(browser, "/admin")
    assert user.email in shown
    assert "'account-admin': {'hidden': False}" in shown


def test_every_callback_of_the_page_asks_for_the_role(
    services: Services, user: Identity, other: Identity
) -> None:
    with pytest.raises(AdminOnly):
        admin_page.page(services, user)
    with pytest.raises(AdminOnly):
        admin_page.entries(services, user, audit_log.Wish())
    assert (
        admin_page.added(services, user, "new@example.com", "", "admin")[1] == AdminOnly().message
    )
    for action in (*admin_page.CHANGES, "link", "nothing"):
        shown = admin_page.acted(services, user, action, other.id)
        assert shown[2] == "message error"
    with services.sessions() as session:
        kept = session.get_one(User, other.id)
        assert (kept.role, kept.disabled_at, kept.password_hash is None) == ("user", None, False)
        assert session.query(User).count() == 2


def test_the_buttons_of_the_page_do_what_they_say(
    services: Services, client: FlaskClient, boss: Identity, user: Identity
) -> None:
    with client.application.test_request_context("/"):
        told = [admin_page.acted(services, boss, a, user.id)[1] for a in admin_page.CHANGES]
        assert told == [
            "ada@example.com is an administrator now.",
            "ada@example.com is no administrator any more.",
            "ada@example.com may sign in again; old sign-ins and keys stay ended.",
            "ada@example.com is disabled: every sign-in and API key is ended.",
        ]
        added = admin_page.added(services, boss, "new@example.com", "New", "user")
    assert "http://localhost/signin/link?token=" in str(added[3])
    assert added[4:] == ["", ""]
    newest = str(admin_page.entries(services, boss, audit_log.Wish(limit=2))[0])
    assert "Added a person" in newest
    assert "Disabled a person" in newest


@pytest.mark.parametrize(
    "given", [("x", "any", "any", None), ("1", "any", "3", None), ("1", "any", "any", "1; --")]
)
def test_a_filter_that_the_page_does_not_offer_is_refused(
    services: Services, given: tuple[Any, ...]
) -> None:
    with pytest.raises(InvalidRequest):
        admin_page.wish(*given, services.now())


def test_a_key_is_made_on_the_account_page_and_shown_once(
    client: FlaskClient, services: Services, user: Identity
) -> None:
    browser = Browser(client)
    browser.sign_in(user.email)
    with client.application.test_request_context("/"):
        table, message, _, shown, _ = account_page.make_key(services, user, "gateway 3")
    assert message == "The key is made."
    (key,) = re.findall(r"dk_[\w-]+", str(shown[1].children[0]))
    assert profile_status(client, key) == 200
    assert key not in str(table)
    assert key not in open_page(browser, "/account")


def _application(services: Services) -> FlaskClient:
    from app import create_app

    return create_app(services).server.test_client()
