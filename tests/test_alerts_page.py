"""The alerts page, the rules dialog and the streaming page's alerts, without a browser."""

from __future__ import annotations

import csv as reader
import datetime as dt
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from dash import no_update
from flask.testing import FlaskClient
from sqlalchemy import select

from callbacks import alert_rules, alerts, deeds, live_alerts
from callbacks.alerts import Ask
from callbacks.live import Ask as LiveAsk
from dinsight.accounts import Identity
from dinsight.alerts import rules
from dinsight.models import Alert, AlertRule, Audit, Json
from dinsight.services import Services
from layouts.alert_rules import DEFAULTS
from tests.alerts_kit import Plant
from tests.conftest import make_user
from tests.factories import failing, healthy
from tests.test_baselines_page import text
from tests.test_callbacks import Browser


@pytest.fixture
def plant(services: Services, user: Identity, baseline_id: int) -> Plant:
    """A machine whose alerts begin now, so that pages that ask for the time find them."""
    plant = Plant(services, user, baseline_id)
    plant.now = services.now() - dt.timedelta(minutes=5)
    if not plant.rules():
        with services.sessions.begin() as session:
            rules.add_defaults(session, baseline_id)
    return plant


def look(plant: Plant, search: str = "", **more: Any) -> list[Any]:
    return alerts.looked(plant.services, plant.who, Ask.parse({"search": search, **more}))


def raised(plant: Plant, stream: str = "default") -> dict[str, Any]:
    """An alert that is active."""
    plant.send(healthy(20), stream)
    plant.send(failing(20), stream)
    return plant.alerts(stream=stream)[0]


def do(plant: Plant, act: str, *ids: int, who: Identity | None = None, **more: Any) -> Any:
    return deeds.acted(plant.services, who or plant.who, {"act": act, "ids": list(ids), **more})


def form(**wanted: Any) -> Json:
    return {**DEFAULTS, **wanted}


def test_without_alerts_it_says_how_many_machines_are_watched(plant: Plant) -> None:
    listed, told = look(plant)
    assert "No alerts" in text(listed)
    assert "Rules watch 1 machine." in text(listed)
    assert told["words"] == "Nothing is open. Rules watch 1 machine."
    filtered, _ = look(plant, "?status=resolved")
    assert "No alert is like that" in text(filtered)
    assert look(plant, signature=told["signature"])[0] is no_update


def test_an_alert_is_listed_by_state_until_it_is_resolved(plant: Plant) -> None:
    alert = raised(plant)
    listed, told = look(plant)
    assert (told["unacknowledged"], told["active"]) == (1, 1)
    assert "Not acknowledged 1" in text(listed)
    assert "Active, not acknowledged" in text(listed)
    assert alert["message"] in text(listed)
    assert do(plant, "acknowledge", alert["id"], note="on my way")["ok"]
    listed, told = look(plant)
    assert "Acknowledged and still active" in text(listed)
    assert "on my way" in text(listed)
    assert told["words"] == "1 is active, all are acknowledged."
    assert do(plant, "resolve", alert["id"])["sentence"] == "Resolved."
    listed, _ = look(plant)
    assert "Resolved 1" in text(listed)
    assert "Acknowledge …" not in text(listed)


def test_a_filter_of_time_never_hides_what_nobody_has_acknowledged(plant: Plant) -> None:
    plant.now -= dt.timedelta(days=3)
    alert = raised(plant)
    listed, _ = look(plant, "?days=1")
    assert "whatever time is chosen" in text(listed)
    do(plant, "resolve", alert["id"])
    assert "No alert is like that" in text(look(plant, "?days=1")[0])
    assert alert["title"] in text(look(plant, "?days=7")[0])


PERIODS = [  # by days from when an alert began; whether it is within
    ((-1, 1), True),
    ((-1, None), True),
    ((None, 1), True),
    ((1, 2), False),
    ((-2, -1), False),
    ((1, None), False),
    ((None, -1), False),
    ((1, -1), True),  # which no moment is: left out
]


def period(plant: Plant, since: float | None, until: float | None) -> str:
    given = {"since": since, "until": until}
    return urlencode(
        {
            name: f"{plant.now + dt.timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
            for name, days in given.items()
            if days is not None
        }
    )


def test_a_free_period_never_hides_what_nobody_has_acknowledged(plant: Plant) -> None:
    alert = raised(plant)
    for days, _ in PERIODS:
        listed, told = look(plant, f"?{period(plant, *days)}")
        assert alert["title"] in text(listed) and told["unacknowledged"] == 1
    assert "whatever time is chosen" in text(look(plant, f"?{period(plant, None, -1)}")[0])
    do(plant, "resolve", alert["id"])
    for days, within in PERIODS:
        assert (alert["title"] in text(look(plant, f"?{period(plant, *days)}")[0])) == within, days


@pytest.mark.parametrize("since", ["2026-05-01T06:00", "yesterday", "%00", "2026-13-01T06:00:00Z"])
def test_a_moment_without_its_zone_or_that_is_none_is_left_out(plant: Plant, since: str) -> None:
    assert alerts.wish_of(f"?since={since}&until={since}", plant.now) == alerts.Wish()


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("?severity=high&kind=anomaly&status=active", True),
        ("?severity=low", False),
        ("?kind=data_quality", False),
        ("?baseline_id=999999", False),
        ("?severity=worst&baseline_id=-1&days=x", True),  # what it cannot mean is left out
        ("?stream=another", False),
    ],
)
def test_the_address_filters(plant: Plant, search: str, found: bool) -> None:
    alert = raised(plant)
    assert (alert["title"] in text(look(plant, search)[0])) == found


def test_the_list_is_shown_piece_by_piece(plant: Plant) -> None:
    for number in range(3):
        raised(plant, f"stream {number}")
    wish = alerts.wish_of("", plant.now)
    assert (wish.since, wish.status) == (None, None)
    with plant.services.sessions() as session:
        found = alerts.listing.page(session, plant.who, wish, now=plant.now, limit=2)
    shown = alerts.layout.groups(found.alerts, found.total, timed=False)
    assert "Showing 2 of 3." in text(shown)


def test_one_alert_says_all_that_is_known_and_what_happened(plant: Plant) -> None:
    alert = raised(plant)
    do(plant, "acknowledge", alert["id"], note="seen")
    until = (plant.services.now() + dt.timedelta(hours=8)).isoformat()
    assert do(plant, "shelve", alert["id"], until=until)["sentence"] == "Shelved."
    body, events, told = alerts.detailed(plant.services, plant.who, {"id": alert["id"]})
    said = text(body)
    assert "Raised when a row is at the level alarm." in said
    assert f"by {plant.who.email}" in said
    assert "until" in said
    assert [word in text(events) for word in ("Raised", "Acknowledged", "seen", "Shelved")] == [
        True
    ] * 4
    assert (told["acknowledged"], told["cleared"], told["shelved"]) == (True, False, True)
    again = {"id": alert["id"], "signature": told["signature"]}
    assert alerts.detailed(plant.services, plant.who, again)[0] is no_update
    assert do(plant, "unshelve", alert["id"])["sentence"] == "Taken from the shelf."
    assert not alerts.detailed(plant.services, plant.who, again)[2]["shelved"]
    assert "There is no such alert." in text(
        alerts.detailed(plant.services, plant.who, {"id": 999})[0]
    )


def test_a_new_normal_leads_to_its_review(plant: Plant) -> None:
    alert = raised(plant)
    answer = do(plant, "verdict", alert["id"], verdict="new_normal")
    assert answer["sentence"] == "New normal: the rows of an anomaly wait for review."
    body, _, told = alerts.detailed(plant.services, plant.who, {"id": alert["id"]})
    assert told["verdict"] == "new_normal"
    assert f"/dashboard/versions?baseline_id={plant.baseline_id}" in json.dumps(
        body, default=lambda part: part.to_plotly_json()
    )
    taken = do(plant, "verdict", alert["id"], verdict=None)
    assert taken["sentence"] == "The verdict is taken back."


def test_what_cannot_be_done_is_said(plant: Plant) -> None:
    alert = raised(plant)
    past = (plant.services.now() - dt.timedelta(hours=1)).isoformat()
    late = do(plant, "shelve", alert["id"], until=past)
    assert (late["ok"], late["sentence"]) == (
        False,
        "until must be a moment within the next 30 days.",
    )
    assert not do(plant, "acknowledge", alert["id"], note="x" * 1001)["ok"]
    assert do(plant, "melt", alert["id"])["sentence"] == "There is no such button."
    assert "no alert is chosen" in do(plant, "acknowledge")["sentence"]


def test_several_are_acknowledged_at_once_and_one_that_is_gone_is_said(plant: Plant) -> None:
    ids = [raised(plant, f"stream {number}")["id"] for number in range(2)]
    answer = do(plant, "acknowledge", *ids, 999, note="storm")
    assert answer["sentence"] == "2 alerts: acknowledged. There is no such alert."
    assert {alert["note"] for alert in plant.alerts()} == {"storm"}


def test_anothers_alert_is_not_there(plant: Plant) -> None:
    alert = raised(plant)
    eve = make_user(plant.services, "eve@example.com")
    for act in ("acknowledge", "resolve", "verdict", "unshelve"):
        answer = do(plant, act, alert["id"], who=eve, verdict="real")
        assert answer["sentence"] == "There is no such alert."
    assert plant.alert(alert["id"])["acknowledged_at"] is None
    with plant.services.sessions() as session:
        denied = select(Audit).where(Audit.user_id == eve.id, Audit.action == "denied")
        assert session.scalars(denied).all()


def test_quality_counts_by_day_and_rule(plant: Plant) -> None:
    ask = {"days": "7", "baseline_id": "all"}
    assert "No alert in this time" in text(alerts.figured(plant.services, plant.who, ask))
    alert = raised(plant)
    do(plant, "verdict", alert["id"], verdict="false_alarm")
    said = text(alerts.figured(plant.services, plant.who, ask))
    assert "0.14 alerts a day" in said
    assert "100% false" in said
    assert "Often wrong: tighten it." in said
    assert f"{alert['opened_at']:%Y-%m-%d}: 1 alert, 1 false" in said


def test_what_is_shown_is_exported_and_no_text_is_a_formula(
    plant: Plant, client: FlaskClient
) -> None:
    alert = raised(plant)
    do(plant, "acknowledge", alert["id"], note="=1+1")
    with plant.services.sessions.begin() as session:
        session.get_one(Alert, alert["id"]).title = '@SUM("a")'
    browser = Browser(client)
    browser.sign_in(plant.who.email)
    answer = browser.client.get("/dashboard/alerts/export?format=csv&status=acknowledged")
    (row,) = reader.DictReader(io.StringIO(answer.text))
    assert (row["note"], row["title"]) == ("'=1+1", '\'@SUM("a")')
    assert dt.datetime.fromisoformat(row["opened_at"]) == alert["opened_at"]
    lines = browser.client.get("/dashboard/alerts/export?format=jsonl").text.splitlines()
    (told,) = map(json.loads, lines)
    assert (told["id"], told["note"], told["status"]) == (alert["id"], "=1+1", "acknowledged")
    nothing = browser.client.get("/dashboard/alerts/export?format=jsonl&status=resolved")
    assert nothing.text == ""
    for days, within in PERIODS:
        asked = f"/dashboard/alerts/export?format=jsonl&{period(plant, *days)}"
        assert bool(browser.client.get(asked).text) == within, days
    make_user(plant.services, "eve@example.com")
    eve = Browser(client.application.test_client())
    eve.sign_in("eve@example.com")
    assert eve.client.get("/dashboard/alerts/export?format=jsonl").text == ""


def test_the_form_says_what_its_rule_would_do() -> None:
    assert alert_rules.sentence(form(name="")) == {
        "sentence": "Raised when 3 of the last 5 rows score above 1.2 × the alarm limit. "
        "Over when none of the last 5 rows scores 0.9 × that or more.",
        "ok": True,
    }
    assert alert_rules.sentence(form(needed=6)) == {
        "sentence": "needed can be no more than window: n of the last m rows.",
        "ok": False,
    }
    lasting = alert_rules.sentence(form(lasts="seconds", seconds=600))
    assert "all rows of at least 10 min" in lasting["sentence"]


@pytest.mark.parametrize("wish", [None, [], {}, {"kind": ["score"]}, {"kind": {}, "name": 3}])
def test_what_is_no_form_is_no_rule(wish: Any) -> None:
    assert not alert_rules.sentence(wish)["ok"]


def test_rules_are_added_changed_switched_and_deleted(plant: Plant) -> None:
    baseline = {"baseline_id": plant.baseline_id}

    def act(act: str, **deed: Any) -> Json:
        return alert_rules.acted(plant.services, plant.who, {**baseline, "act": act, **deed})

    assert not act("save", rule_id=None, form=form())["ok"]  # it has no name
    added = act("save", rule_id=None, form=form(name="Hot"))
    assert added["sentence"] == "The rule Hot is added."
    told = alert_rules.looked(plant.services, plant.who, baseline)
    assert "3 of the last 5 rows score above 1.2" in told["list"]
    (rule_id,) = (int(key) for key, each in told["forms"].items() if each["name"] == "Hot")
    assert told["forms"][str(rule_id)] == form(name="Hot")
    act("save", rule_id=rule_id, form=form(name="Hotter", lasts="seconds", seconds=30))
    act("disable", rule_id=rule_id)
    with plant.services.sessions() as session:
        row = session.get_one(AlertRule, rule_id)
        assert (row.name, row.seconds, row.enabled) == ("Hotter", 30, False)
    assert act("delete", rule_id=rule_id)["ok"]
    assert act("delete", rule_id=rule_id)["sentence"] == "There is no such alert rule."


def test_anothers_rules_are_not_there(plant: Plant) -> None:
    eve = make_user(plant.services, "eve@example.com")
    before = plant.rules()
    ask = {"baseline_id": plant.baseline_id, "form": form(name="Hers")}
    assert alert_rules.looked(plant.services, eve, ask).keys() == {"error"}
    for deed in ({"act": "save"}, {"act": "delete", "rule_id": before["level"]["id"]}):
        answer = alert_rules.acted(plant.services, eve, {**ask, **deed})
        assert answer["ok"] is False
    assert plant.rules() == before


def test_the_streaming_page_knows_what_is_open_and_the_alerts_of_its_run(plant: Plant) -> None:
    ask = LiveAsk("key", plant.baseline_id, "default", None, 1)
    alert = raised(plant)
    found = live_alerts.looked(plant.services, plant.who, ask)
    assert found is not None
    assert [each["id"] for each in found["open"]] == [alert["id"]]
    assert [each["opened_seq"] for each in found["run"]] == [alert["opened_seq"]]
    plant.reset()
    after = live_alerts.looked(plant.services, plant.who, ask)
    assert after is not None
    assert (len(after["open"]), after["run"]) == (1, [])  # nobody has acknowledged it
    eve = make_user(plant.services, "eve@example.com")
    assert live_alerts.looked(plant.services, eve, ask) is None


def test_the_badge_counts_for_whoever_asks(
    plant: Plant, client: FlaskClient, make_baseline: Callable[..., int]
) -> None:
    raised(plant)
    browser = Browser(client)
    browser.sign_in(plant.who.email)
    told = browser.call(
        "alerts-present.data", "alerts-present-ask.data", alerts_present_ask__data={}
    )
    assert told.json["response"]["alerts-present"]["data"]["unacknowledged"] == 1


@pytest.mark.parametrize(
    "query",
    [
        "alerts?stream=%00",
        "alerts?since=yesterday",
        "alerts/quality?until=0001-01-01T00:00:00+14:00",
        "alerts/quality?since=9999-12-31T23:59:59-14:00",
    ],
)
def test_what_nothing_can_be_is_refused(client: FlaskClient, user: Identity, query: str) -> None:
    browser = Browser(client)
    browser.sign_in(user.email)
    assert browser.client.get(f"/api/v1/{query}").status_code == 400


@pytest.mark.parametrize("query", ["alerts?since", "alerts/quality?until", "audit?from"])
def test_before_there_was_anything_is_a_time_too(
    client: FlaskClient, services: Services, query: str
) -> None:
    browser = Browser(client)
    browser.sign_in(make_user(services, "boss@example.com", role="admin").email)
    assert browser.client.get(f"/api/v1/{query}=0001-01-01T00:00:00Z").status_code == 200
