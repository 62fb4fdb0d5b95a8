"""The machines page's callback: whole at first, then only what has changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from dinsight import minimap, streams
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from tests.conftest import make_user
from tests.factories import csv, failing, healthy
from tests.test_callbacks import Browser

EMPTY: dict[str, Any] = {"version": "", "known": {}}
Json = dict[str, Any]


class Machines(Browser):
    """The page: it keeps what it was told, and asks for what is new."""

    version, known = "", {}

    def ask(self, question: Any) -> Any:
        return self.call("machines-feed.data", "machines-ask.data", machines_ask__data=question)

    def poll(self, question: Any = None) -> Json:
        question = {"version": self.version, "known": self.known}
        told: Json = self.ask(question).json["response"]["machines-feed"]["data"]
        self.version = told["version"]
        self.known = self.known | {str(card["id"]): card["tag"] for card in told.get("cards", [])}
        return told


@pytest.fixture
def page(client: FlaskClient, user: Identity) -> Machines:
    browser = Machines(client)
    assert browser.sign_in(user.email).status_code == 303
    return browser


@pytest.fixture
def send(services: Services, user: Identity) -> Callable[..., None]:
    def post(baseline_id: int, rows: Any, stream: str = "default") -> None:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(rows), "batch.csv", stream)
            now = services.now()
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


def names(told: Json) -> list[str]:
    """The machines of the cards that were sent."""
    return sorted(card["name"] for card in told["cards"])


def test_only_what_has_changed_is_sent(
    page: Machines, user: Identity, make_baseline: Callable[..., int], send: Callable[..., None]
) -> None:
    a, b, _ = (make_baseline(user, name) for name in "ABC")
    send(a, healthy(20))
    send(b, healthy(20))
    first = page.poll()
    assert (names(first), first["total"]) == (["A", "B", "C"], 3)
    by_name = {card["name"]: card["id"] for card in first["cards"]}
    assert first["order"][-1] == by_name["C"]

    send(b, failing(20))
    second = page.poll()
    assert names(second) == ["B"]
    assert second["order"][0] == by_name["B"]
    (card,) = second["cards"]
    assert (card["level"], card["level_since"]) == ("alarm", card["last_update"])
    assert card["trend"]["path"].startswith("M60 ")
    assert "the last 40 points" in card["trend"]["words"]


def test_nothing_new_is_a_few_bytes(
    page: Machines, user: Identity, make_baseline: Callable[..., int]
) -> None:
    for number in range(30):
        make_baseline(user, f"Pump {number}")
    page.poll()
    answer = page.ask({"version": page.version, "known": page.known})
    told = answer.json["response"]["machines-feed"]["data"]
    assert set(told) == {"now", "version"}
    assert len(answer.data) < 200


def test_a_stream_that_is_paused_elsewhere_is_news(
    page: Machines,
    services: Services,
    user: Identity,
    baseline_id: int,
    send: Callable[..., None],
) -> None:
    send(baseline_id, healthy(3))
    page.poll()
    with services.sessions.begin() as session:
        streams.control(session, user, baseline_id, "default", "pause")
    (card,) = page.poll()["cards"]
    assert card["status"] == "paused"


def test_what_was_deleted_is_not_in_the_order(
    page: Machines, user: Identity, make_baseline: Callable[..., int]
) -> None:
    from dinsight import baselines

    make_baseline(user, "A")
    gone = make_baseline(user, "B")
    assert len(page.poll()["order"]) == 2
    services = page.client.application.extensions["dinsight"]
    with services.sessions.begin() as session:
        baselines.remove(session, user, gone)
    told = page.poll()
    assert (len(told["order"]), told["cards"], told["total"]) == (1, [], 1)


def test_each_sees_their_own_and_an_administrator_whose_it_is(
    client: FlaskClient,
    services: Services,
    user: Identity,
    other: Identity,
    make_baseline: Callable[..., int],
) -> None:
    boss = make_user(services, "boss@example.com", role="admin")
    for who in (user, other, boss):
        make_baseline(who, f"Pump of {who.email}")

    def owners(who: Identity) -> dict[str, str]:
        browser = Machines(client.application.test_client())
        browser.sign_in(who.email)
        return {card["name"]: card["owner"] for card in browser.poll()["cards"]}

    assert owners(user) == {f"Pump of {user.email}": ""}
    assert owners(boss) == {
        f"Pump of {user.email}": user.email,
        f"Pump of {other.email}": other.email,
        f"Pump of {boss.email}": "",
    }


@pytest.mark.parametrize(
    "junk",
    [
        *(None, [], {}, {"version": 1, "known": {}}, {"version": "", "known": []}),
        {"version": "", "known": {str(number): "x" for number in range(501)}},
    ],
)
def test_junk_is_a_bad_request(page: Machines, junk: Any) -> None:
    assert page.ask(junk).status_code == 400


def test_tags_of_other_streams_have_no_effect(page: Machines, baseline_id: int) -> None:
    whole = page.ask(EMPTY).json["response"]["machines-feed"]["data"]
    odd = {"version": "", "known": {"999": "x", "-1": None, "default": {"a": 1}}}
    told = page.ask(odd).json["response"]["machines-feed"]["data"]
    assert told["cards"] == whole["cards"]


def test_the_page_comes_with_its_first_answer(page: Machines, baseline_id: int) -> None:
    answer = page.call("main.children", "url.pathname", url__pathname="/dashboard/machines")
    stores = [
        part["props"]
        for part in answer.json["response"]["main"]["children"]["props"]["children"]
        if part["props"].get("id") == "machines-first"
    ]
    assert [store["data"]["anew"] for store in stores] == [True]
    assert names(stores[0]["data"]) == ["Pump 7"]


# ---- the wall ----


def wall(page: Machines, **more: Any) -> Any:
    question = {"version": page.version, "known": page.known, "wall": True, **more}
    return page.ask(question)


def told_of(answer: Any) -> Json:
    told: Json = answer.json["response"]["machines-feed"]["data"]
    return told


def spots(card: Json) -> np.ndarray:
    return np.frombuffer(base64.b64decode(card["map"]["spots"]), np.uint8).reshape(-1, 3)


def test_a_wall_is_sent_each_ground_once_and_the_points_of_what_changed(
    page: Machines, user: Identity, make_baseline: Callable[..., int], send: Callable[..., None]
) -> None:
    a, b = (make_baseline(user, name) for name in "AB")
    send(a, healthy(40))
    send(b, healthy(3))
    send(a, failing(5), "night")
    first = told_of(wall(page))
    cards = {(card["name"], card["stream"]): card for card in first["cards"]}
    assert len(first["grounds"]) == 2  # one of each map, however many streams it has
    assert len(spots(cards["A", "default"])) == minimap.NEWEST
    assert len(spots(cards["B", "default"])) == 3
    assert set(spots(cards["A", "night"])[:, 2] % minimap.OUTSIDE) <= {0, 1, 2}
    assert first["program"]

    page.version, page.known = first["version"], {str(c["id"]): c["tag"] for c in first["cards"]}
    have = [int(number) for number in first["grounds"]]
    assert set(told_of(wall(page, grounds=have))) == {"now", "version", "program"}
    send(b, failing(20))
    second = told_of(wall(page, grounds=have))
    assert (names(second), second["grounds"]) == (["B"], {})
    assert spots(second["cards"][0])[-1, 2] % minimap.OUTSIDE == 2

    page.version, page.known = "", {}
    listed = page.poll()
    assert all("map" not in card and "map_id" not in card for card in listed["cards"])


def test_a_wall_costs_few_bytes(
    page: Machines, user: Identity, make_baseline: Callable[..., int], send: Callable[..., None]
) -> None:
    number = make_baseline(user, "A")
    send(number, failing(40))
    told = told_of(wall(page))
    (card,), (ground,) = told["cards"], told["grounds"].values()
    assert len(json.dumps(card["map"])) < 250
    assert len(ground) < 4_000


def test_more_grounds_than_are_made_at_once_come_with_the_next_questions(
    page: Machines,
    user: Identity,
    make_baseline: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dinsight import wall as domain

    monkeypatch.setattr(domain, "_grounds", domain.Grounds())
    monkeypatch.setattr(domain, "MADE_AT_ONCE", 0)
    make_baseline(user, "A")
    first = told_of(wall(page))
    assert [(card["tag"], card["map"]) for card in first["cards"]] == [("", None)]
    monkeypatch.setattr(domain, "MADE_AT_ONCE", 1)
    second = told_of(wall(page))
    assert second["cards"][0]["tag"] and len(second["grounds"]) == 1


def test_a_map_that_cannot_be_read_says_why(
    page: Machines,
    services: Services,
    user: Identity,
    make_baseline: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dinsight import wall as domain

    make_baseline(user, "A")
    monkeypatch.setattr(domain, "_grounds", domain.Grounds())
    with services.sessions.begin() as session:
        session.execute(text("UPDATE maps SET format = 99"))
    (card,) = told_of(wall(page))["cards"]
    assert card["map"]["spots"] is None
    assert "another version" in card["map"]["note"]


@pytest.mark.parametrize("grounds", ["all", {"1": 2}, list(range(3_000))])
def test_junk_for_grounds_is_a_bad_request(page: Machines, grounds: Any) -> None:
    assert wall(page, grounds=grounds).status_code == 400
