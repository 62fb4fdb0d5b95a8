"""The pages' callbacks and the sign-in form over HTTP, on the real database, without a browser."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import sessionmaker

from callbacks import signin
from callbacks.streaming import Want, opened
from dinsight import (
    accounts,
    fitting,
    maps,
    mapstore,
    refitting,
    report_card,
    streams,
)
from dinsight.accounts import Identity
from dinsight.database import Database, open_engine
from dinsight.ingest import Incoming, ingest
from dinsight.models import Baseline, FittedMap, Job, Point
from dinsight.services import Services
from layouts.figures import Screen
from layouts.streaming import MAPS
from tests.factories import BASELINE, FEATURES, PASSWORD, csv, failing, healthy

STREAMING, MACHINES = "/dashboard/streaming", "/dashboard/machines"


class Browser:
    """A browser without a screen: signs in with the form, calls callbacks as Dash's page does."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> Any:
        form = {"email": email, "password": password, "next": more.pop("next", "")}
        return self.client.post("/signin", data=form, **more)

    def cookie(self, name: str) -> str:
        found = self.client.get_cookie(name)
        return found.value if found else ""

    def call(self, output: str, trigger: str, *, csrf: bool = True, **values: Any) -> Any:
        """Call the callback that fills `output`; `trigger` and `values` are `id__property`."""
        (entry,) = [
            entry
            for entry in self.client.get("/_dash-dependencies").json
            if output in entry["output"] and entry["clientside_function"] is None
        ]
        given = {name.replace("__", "."): value for name, value in values.items()}

        def ask(wanted: list[dict[str, str]]) -> list[dict[str, Any]]:
            return [
                {**each, "value": given.get(f"{each['id']}.{each['property']}".replace("-", "_"))}
                for each in wanted
            ]

        outputs = [
            dict(zip(("id", "property"), part.rsplit(".", 1), strict=True))
            for part in entry["output"].strip(".").split("...")
        ]
        body = {
            "output": entry["output"],
            "outputs": outputs if entry["output"].startswith("..") else outputs[0],
            "inputs": ask(entry["inputs"]),
            "state": ask(entry["state"]),
            "changedPropIds": [trigger],
        }
        headers = {"X-CSRF-TOKEN": self.cookie("csrf_access_token")} if csrf else {}
        return self.client.post("/_dash-update-component", json=body, headers=headers)

    def poll(self, question: Any) -> Any:
        return self.call("live-feed.data", "live-ask.data", live_ask__data=question)

    def feed(self, question: Any) -> dict[str, Any]:
        return dict(self.poll(question).json["response"]["live-feed"]["data"])

    def act(self, deed: str, view: Any, **more: Any) -> Any:
        """Press a button that does something with the stream."""
        wish = {**view, "act": deed}
        return self.call("live-acted.data", "live-deed.data", live_deed__data=wish, **more)


@pytest.fixture
def browser(client: FlaskClient) -> Browser:
    return Browser(client)


@pytest.fixture
def signed_in(browser: Browser, user: Identity) -> Browser:
    assert browser.sign_in(user.email).status_code == 303
    return browser


@pytest.fixture
def send(services: Services, user: Identity, baseline_id: int) -> Callable[[int], Any]:
    def post(rows: int) -> dict[str, Any]:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(healthy(rows)), "batch.csv")
            now = services.now()
            return ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


def question(baseline_id: int | None, **more: Any) -> dict[str, Any]:
    return {"key": "1", "baseline_id": baseline_id, "stream": "default", "after": None, **more}


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


# ---- signing in ----


def test_sign_in_page_needs_no_script(browser: Browser) -> None:
    page = browser.client.get("/signin").text
    for handle in ("signin-email", "signin-password", "signin-submit"):
        assert f'id="{handle}"' in page
    assert '<form method="post" action="/signin">' in page


def test_wrong_password_is_401_and_what_was_typed_is_escaped(browser: Browser) -> None:
    answer = browser.sign_in('"><script>alert(1)</script>@x')
    assert answer.status_code == 401
    assert "The e-mail address or the password is wrong." in answer.text
    assert "<script>alert" not in answer.text


def test_form_from_another_site_is_refused(browser: Browser, user: Identity) -> None:
    for origin in ("https://evil.example", "null"):
        answer = browser.sign_in(user.email, headers={"Origin": origin})
        assert answer.status_code == 403
        assert browser.cookie("access_token_cookie") == ""
    own = browser.sign_in(user.email, headers={"Origin": "http://localhost"})
    assert own.status_code == 303


def test_sign_in_leads_to_the_page_asked_for(browser: Browser, user: Identity) -> None:
    first = browser.client.get(f"{STREAMING}?baseline_id=3")
    assert first.location == "/signin?next=%2Fdashboard%2Fstreaming%3Fbaseline_id%3D3"
    answer = browser.sign_in(user.email, next=f"{STREAMING}?baseline_id=3")
    assert answer.location == f"{STREAMING}?baseline_id=3"


@pytest.mark.parametrize(
    "target",
    [
        *("", None, "account", "https://evil.example/", "//evil.example", "/\\evil.example"),
        *("\\\\evil.example", "javascript:alert(1)", "/\t/evil.example", "/a\nb", "http:/x"),
        *("///evil.example", "/signin", "/signin/link?token=x", "/api/v1/x", "/_dash-layout"),
    ],
)
def test_next_leads_nowhere_but_to_a_page_of_ours(target: str | None) -> None:
    assert signin.local_path(target) == STREAMING


@pytest.mark.parametrize("target", ["/account", "/dashboard/streaming?baseline_id=3&stream=a+b"])
def test_next_keeps_a_page_of_ours(target: str) -> None:
    assert signin.local_path(target) == target


def test_link_signs_in_once(browser: Browser, services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        token = accounts.make_link_token(session, user.id, services.now())
    first = browser.client.get(f"/signin/link?token={token}")
    assert (first.status_code, first.location) == (303, STREAMING)
    assert browser.client.get(f"/signin/link?token={token}").location == STREAMING

    stranger = browser.client.application.test_client().get(f"/signin/link?token={token}")
    assert stranger.status_code == 410
    assert "This sign-in link was used or is too old" in stranger.text


def test_front_door_leads_to_the_only_stream_or_to_all_machines(
    signed_in: Browser,
    user: Identity,
    other: Identity,
    make_baseline: Callable[..., int],
) -> None:
    make_baseline(other)
    assert signed_in.client.get("/").location == STREAMING
    make_baseline(user)
    assert signed_in.client.get("/").location == STREAMING
    make_baseline(user)
    assert signed_in.client.get("/").location == MACHINES


def test_sign_in_says_when_the_database_is_away(services: Services) -> None:
    from app import create_app

    url = "postgresql+psycopg2://nobody@/none?host=/nowhere"
    engine = open_engine(url)
    away = dataclasses.replace(services, database=Database(url, engine, sessionmaker(engine)))
    answer = Browser(create_app(away).server.test_client()).sign_in("ada@example.com")
    engine.dispose()
    assert answer.status_code == 503
    assert "The database cannot be reached" in answer.text


# ---- who may call ----


def test_callbacks_are_closed_to_strangers(signed_in: Browser, baseline_id: int) -> None:
    assert signed_in.poll(question(baseline_id)).status_code == 200
    signed_in.client.delete_cookie("access_token_cookie")
    for path in ("/_dash-layout", "/_dash-dependencies"):
        assert signed_in.client.get(path).status_code == 401
    answer = signed_in.client.post("/_dash-update-component", json={})
    assert answer.status_code == 401


def test_callback_without_the_csrf_header_changes_nothing(
    signed_in: Browser, services: Services, user: Identity, baseline_id: int
) -> None:
    answer = signed_in.act("stop", question(baseline_id), csrf=False)
    assert answer.status_code == 401
    assert state_of(services, user, baseline_id) == "not_started"


def test_anothers_stream_is_neither_shown_nor_touched(
    browser: Browser,
    services: Services,
    user: Identity,
    other: Identity,
    baseline_id: int,
    send: Callable[[int], Any],
) -> None:
    send(3)
    browser.sign_in(other.email)
    theirs = question(baseline_id)

    assert browser.feed(theirs) == {"key": "1", "kind": "refused"}
    contour = browser.call(
        "live-contour.data", "live-contour-ask.data", live_contour_ask__data=theirs
    )
    assert contour.json["response"]["live-contour"]["data"] is None
    for deed in ("start", "pause", "stop", "reset"):
        said = browser.act(deed, theirs).json["response"]["live-acted"]["data"]["sentence"]
        assert said == "There is no such baseline."

    assert state_of(services, user, baseline_id) == "streaming"
    with services.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Point)) == 3
        assert streams.find(session, user, baseline_id, "default").epoch == 1


def state_of(services: Services, who: Identity, baseline_id: int) -> str:
    with services.sessions() as session:
        return str(streams.find(session, who, baseline_id, "default").state)


# ---- polling ----


def test_poll_brings_what_came_after_the_cursor(
    signed_in: Browser, services: Services, baseline_id: int, send: Callable[[int], Any]
) -> None:
    send(5)
    answer = signed_in.feed(question(baseline_id, after="1:3"))
    with services.sessions() as session:
        stored = session.execute(
            select(Point.x, Point.y, Point.score, Point.level)
            .where(Point.seq > 3)
            .order_by(Point.seq)
        ).all()
    assert (answer["epoch"], answer["first"], answer["n"]) == (1, 4, 2)
    for name, column in zip(("x", "y", "score"), range(3), strict=True):
        expected = np.float32([row[column] for row in stored])
        assert np.array_equal(floats(answer[name]), expected)
    assert base64.b64decode(answer["level"]) == bytes(row.level for row in stored)
    assert answer["status"]["streamed_points"] == 5
    assert answer["status"]["last_update"].endswith("Z")
    assert 0 <= answer["status"]["age"] < 60


def test_idle_poll_is_small(
    signed_in: Browser, baseline_id: int, send: Callable[[int], Any]
) -> None:
    send(5)
    answer = signed_in.poll(question(baseline_id, after="1:5"))
    assert answer.json["response"]["live-feed"]["data"]["n"] == 0
    assert len(answer.data) < 1_000


def test_first_poll_brings_the_newest_only(
    signed_in: Browser, baseline_id: int, send: Callable[[int], Any]
) -> None:
    send(30)
    answer = signed_in.feed(question(baseline_id, limit=10))
    assert (answer["first"], answer["n"]) == (21, 10)


def test_poll_after_a_reset_starts_anew(
    signed_in: Browser,
    services: Services,
    user: Identity,
    baseline_id: int,
    send: Callable[[int], Any],
) -> None:
    send(5)
    signed_in.act("reset", question(baseline_id))
    send(5)
    answer = signed_in.feed(question(baseline_id, after="1:5"))
    assert (answer["epoch"], answer["first"], answer["n"]) == (2, 1, 5)


def test_poll_of_an_unfinished_baseline_brings_its_progress(
    signed_in: Browser, services: Services, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        session.query(Baseline).update(
            {"status": "processing", "progress": 40, "status_message": "Half way"}
        )
        session.execute(streams.Stream.__table__.delete())
    answer = signed_in.feed(question(baseline_id))
    assert answer == {"key": "1", "kind": "fitting", "progress": 40, "text": "40 % · Half way"}


@pytest.mark.parametrize(
    "junk",
    [
        *(None, [], {}, {"baseline_id": "1", "stream": "default"}),
        *({"baseline_id": True, "stream": "x"}, {"baseline_id": 2**40, "stream": "default"}),
        *({"baseline_id": 1, "stream": None}, {"baseline_id": 1, "stream": "\0"}),
        {"baseline_id": 1, "stream": "default", "after": "x"},
    ],
)
def test_junk_is_refused_as_a_bad_request(signed_in: Browser, junk: Any) -> None:
    assert signed_in.poll(junk).status_code == 400


def test_contour_of_the_points_has_a_densest_cell(
    signed_in: Browser, baseline_id: int, send: Callable[[int], Any]
) -> None:
    def contour() -> Any:
        asked = signed_in.call(
            "live-contour.data",
            "live-contour-ask.data",
            live_contour_ask__data=question(baseline_id),
        )
        return asked.json["response"]["live-contour"]["data"]

    assert contour() is None
    send(40)
    found = contour()
    grid = found["grid"]
    z = np.frombuffer(base64.b64decode(grid["z"]), np.uint8)
    assert len(z) == len(grid["x"]) * len(grid["y"])
    assert z.max() == 255
    assert found["epoch"] == 1
    assert "images" not in found


def test_what_lies_before_the_window_is_pictures_and_its_anomalous_points(
    signed_in: Browser, services: Services, user: Identity, baseline_id: int
) -> None:
    for rows in (failing(10), healthy(30), failing(5, seed=3)):
        with services.sessions.begin() as session:
            batch = Incoming(csv(rows), "batch.csv")
            ingest(session, user, baseline_id, batch, limits=services.limits, now=services.now())
    with services.sessions() as session:
        stored = session.execute(select(Point.seq, Point.level).order_by(Point.seq)).all()

    def ask(**more: Any) -> Any:
        asked = signed_in.call(
            "live-contour.data",
            "live-contour-ask.data",
            live_contour_ask__data=question(baseline_id, **more),
        )
        return asked.json["response"]["live-contour"]["data"]

    found = ask(window=41, earlier=True, contours=False)
    assert found["grid"] is None
    assert all(each["source"].startswith("data:image/png") for each in found["images"])
    earlier = found["earlier"]
    assert earlier["seq"] == [seq for seq, level in stored if level and seq < 41]
    assert len(earlier["seq"]) == len(floats(earlier["x"])) == len(floats(earlier["score"])) > 5
    assert "earlier" not in ask(window=41)


def test_a_point_says_when_it_came_and_its_metadata(
    signed_in: Browser, services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        batch = Incoming(csv(healthy(2), metadata=["first", "<b>second</b>"]), "batch.csv")
        now = services.now()
        ingest(session, user, baseline_id, batch, limits=services.limits, now=now)

    def about(after: str) -> Any:
        asked = signed_in.call(
            "live-about.data",
            "live-about-ask.data",
            live_about_ask__data=question(baseline_id, after=after),
        )
        return asked.json["response"]["live-about"]["data"]

    found = about("1:2")
    assert found == {
        "key": "1",
        "epoch": 1,
        "seq": 2,
        "received_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "metadata": {"note": "<b>second</b>"},
    }
    assert about("1:3") is None


def test_a_poll_tells_of_the_status_only_what_is_not_known(
    signed_in: Browser, services: Services, user: Identity, baseline_id: int
) -> None:
    def send(count: int) -> None:
        with services.sessions.begin() as session:
            batch = Incoming(csv(healthy(count)), "batch.csv")
            ingest(session, user, baseline_id, batch, limits=services.limits, now=services.now())

    send(5)
    whole = signed_in.feed(question(baseline_id))["status"]
    assert {"tag", "map_id", "alarm_limit", "level", "status", "streamed_points"} <= whole.keys()
    send(10)
    known = {"after": "1:5", "known": whole["tag"]}
    answer = signed_in.poll(question(baseline_id, **known))
    assert len(answer.data) <= 500
    status = answer.json["response"]["live-feed"]["data"]["status"]
    assert status.keys() == {"streamed_points", "last_update", "rate", "score", "age"}
    assert status["streamed_points"] == 15

    with services.sessions.begin() as session:
        streams.control(session, user, baseline_id, "default", "pause")
    again = signed_in.feed(question(baseline_id, **known))["status"]
    assert again["status"] == "paused"
    assert again["tag"] != whole["tag"]


def test_whoever_slept_is_given_the_newest_points_at_once(
    signed_in: Browser, send: Callable[[int], Any], baseline_id: int
) -> None:
    send(40)
    found = signed_in.feed(question(baseline_id, after="1:2", limit=10))
    assert (found["first"], found["n"]) == (31, 10)


# ---- opening ----


def view(services: Services, who: Identity, search: str) -> dict[str, Any]:
    """What opening this address gives."""
    return opened(services, who, Want(search, "1", Screen(), "http://localhost/"))


@pytest.mark.parametrize(
    "search", ["?baseline_id=1&stream=%00", "?baseline_id=" + "0" * 20 + "9" * 11, "?baseline_id=²"]
)
def test_what_no_address_can_mean_is_refused(
    services: Services, user: Identity, baseline_id: int, search: str
) -> None:
    found = view(services, user, search)
    assert (found["view"]["kind"], found["first"]) == ("refused", None)


def test_newest_fitted_baseline_opens_by_default(
    services: Services, user: Identity, make_baseline: Callable[..., int]
) -> None:
    first, second, third = (make_baseline(user, name) for name in ("A", "B", "C"))
    with services.sessions.begin() as session:
        unfinished = session.get_one(Baseline, third)
        unfinished.status, unfinished.progress = "processing", 30
    shown = view(services, user, "")
    assert shown["view"]["baseline_id"] == second
    assert shown["baselines"] == [
        {"label": "C (being fitted, 30 %)", "value": str(third)},
        {"label": "B", "value": str(second)},
        {"label": "A", "value": str(first)},
    ]
    assert shown["alone"] is True
    baseline = next(t for t in shown["figure"]["data"] if t["name"] == "Baseline")
    assert len(baseline["x"]) == len(BASELINE)


@pytest.mark.parametrize(
    ("layout", "word"), [("umap", "UMAP"), ("distance", "Distances"), ("mspc", "T² and SPE")]
)
def test_the_page_says_which_map_it_is(
    services: Services, user: Identity, baseline_id: int, layout: str, word: str
) -> None:
    with services.sessions.begin() as session:
        session.get_one(Baseline, baseline_id).layout = layout
    shown = view(services, user, f"?baseline_id={baseline_id}")
    assert shown["map"] == word
    with services.sessions() as session:
        assert shown["view"]["map_id"] == session.get_one(Baseline, baseline_id).map_id


def test_every_map_has_a_word() -> None:
    assert set(MAPS) == set(maps.LAYOUTS)


def test_a_poll_says_which_map_its_points_are_on(
    signed_in: Browser, services: Services, baseline_id: int
) -> None:
    before = signed_in.feed(question(baseline_id))["status"]["map_id"]
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    with services.sessions.begin() as session:
        refitting.adopt(session, baseline_id, made, services.now())
    after = signed_in.feed(question(baseline_id, after="1:0"))
    assert after["status"]["map_id"] != before


@pytest.mark.parametrize("failed", [False, True])
def test_a_map_of_an_earlier_version_is_waited_for_or_explained(
    signed_in: Browser,
    services: Services,
    user: Identity,
    baseline_id: int,
    monkeypatch: pytest.MonkeyPatch,
    failed: bool,
) -> None:
    monkeypatch.setattr(mapstore, "_cache", mapstore.MapCache())
    with services.sessions.begin() as session:
        session.query(FittedMap).update({"format": maps.FORMAT - 1})
        assert refitting.queue_outdated(session) == 1
        if failed:
            job = session.query(Job).one()
            refitting.fail(session, job.id, baseline_id, "It broke.")
    kind = "failed" if failed else "fitting"
    shown = view(services, user, f"?baseline_id={baseline_id}")
    assert shown["view"]["kind"] == kind
    assert ("It broke." if failed else "Waiting to be fitted") in str(shown["notice"])
    assert signed_in.feed(question(baseline_id))["kind"] == kind


@pytest.mark.parametrize(
    ("search", "sentence"),
    [
        ("?baseline_id=99999", "There is no such baseline."),
        ("?baseline_id=abc", "There is no such baseline."),
        ("?baseline_id=99999999999999999999999", "There is no such baseline."),
        ("?baseline_id={id}&stream=none", "has no stream"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(
    services: Services, user: Identity, baseline_id: int, search: str, sentence: str
) -> None:
    shown = view(services, user, search.format(id=baseline_id))
    assert shown["view"]["kind"] == "refused"
    assert sentence in str(shown["notice"])


def test_anothers_baseline_opens_as_one_that_is_not_there(
    services: Services, other: Identity, baseline_id: int
) -> None:
    theirs = view(services, other, f"?baseline_id={baseline_id}")
    nobodys = view(services, other, "?baseline_id=99999")
    assert str(theirs) == str(nobodys)


def test_without_a_baseline_the_page_says_how_to_upload_one(
    services: Services, user: Identity
) -> None:
    shown = view(services, user, "")
    assert shown["view"]["kind"] == "none"
    assert "http://localhost/api/v1/analyze" in str(shown["notice"])


# ---- acting ----


@pytest.mark.parametrize(
    ("deed", "state"), [("pause", "paused"), ("stop", "stopped"), ("resume", "streaming")]
)
def test_button_acts_on_the_stream(
    signed_in: Browser,
    services: Services,
    user: Identity,
    baseline_id: int,
    send: Callable[[int], Any],
    deed: str,
    state: str,
) -> None:
    send(1)
    signed_in.act(deed, question(baseline_id))
    assert state_of(services, user, baseline_id) == state


def test_password_callback_asks_for_the_current_one(
    signed_in: Browser, services: Services, user: Identity
) -> None:
    def change(current: str, new: str, repeat: str) -> str:
        answer = signed_in.call(
            "account-password-message.children",
            "account-save-password.n_clicks",
            account_save_password__n_clicks=1,
            account_current_password__value=current,
            account_new_password__value=new,
            account_repeat_password__value=repeat,
        )
        return str(answer.json["response"]["account-password-message"]["children"])

    new = "a new and better one"
    assert change(PASSWORD, new, "another") == "The two new passwords differ."
    assert change("wrong", new, new) == "The current password is wrong."
    assert "8 to 128 characters" in change(PASSWORD, "short", "short")
    assert change(PASSWORD, new, new).startswith("The password is set.")
    with services.sessions.begin() as session:
        assert accounts.sign_in(session, user.email, new).id == user.id
