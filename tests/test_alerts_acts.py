"""Acts that must hold: what was resolved stays so, a shelf is the rule's, and acts may race."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from dinsight import candidates, maps, quality
from dinsight.accounts import Identity
from dinsight.alerts import acting, events, listing, missing, raising, rules, stale
from dinsight.alerts.engine import REJOIN_SECONDS
from dinsight.errors import (
    AlertRuleNotFound,
    CellInvalid,
    ColumnsMissing,
    InvalidRequest,
    WrongEncoding,
)
from dinsight.ingest import Incoming, ingest
from dinsight.models import Notice, Stream
from dinsight.notices import channels, notifier
from dinsight.services import Services
from tests.alerts_kit import Plant
from tests.factories import csv, failing, healthy
from tests.notices_kit import add_channel, notices

REFUSAL = ColumnsMissing("f_3 is missing.")


@pytest.fixture
def plant(services: Services, user: Identity, baseline_id: int) -> Plant:
    return Plant(services, user, baseline_id)


def look(plant: Plant, seconds: float) -> int:
    plant.now += dt.timedelta(seconds=seconds)
    return stale.look(plant.services.sessions, plant.now)


def resolve_newest(plant: Plant) -> Any:
    newest = max(plant.alerts(), key=lambda alert: alert["id"])
    return plant.do(acting.resolve, newest["id"], "known")


def test_silence_that_was_resolved_is_told_anew_only_after_a_point_came(plant: Plant) -> None:
    for _ in range(4):
        plant.send(healthy(1))
    assert look(plant, 70) == 1
    assert resolve_newest(plant)["status"] == "resolved"
    assert (look(plant, 5), look(plant, 3600), len(plant.alerts())) == (0, 0, 1)
    plant.send(healthy(1))
    assert (look(plant, 5), look(plant, 7200)) == (0, 1)
    assert [a["condition"] for a in plant.alerts()] == ["active", "cleared"]


def test_a_refusal_that_was_resolved_is_told_anew_only_after_a_good_batch(plant: Plant) -> None:
    plant.send(healthy(2))
    plant.do(missing.refused, plant.baseline_id, "default", REFUSAL)
    resolve_newest(plant)
    plant.do(missing.refused, plant.baseline_id, "default", REFUSAL)
    assert [a["condition"] for a in plant.alerts()] == ["cleared"]
    plant.send(healthy(1))
    plant.do(missing.refused, plant.baseline_id, "default", REFUSAL)
    assert [a["condition"] for a in plant.alerts()] == ["active", "cleared"]


def test_a_stuck_sensor_that_was_resolved_is_told_anew_only_after_it_moved(plant: Plant) -> None:
    plant.change(plant.rules()["level"]["id"], enabled=False)
    stuck = healthy(64, 9)
    stuck[:, 4] = stuck[0, 4]
    plant.send(stuck[:32])
    resolve_newest(plant)
    plant.send(stuck[32:])
    assert [a["condition"] for a in plant.alerts()] == ["cleared"]
    plant.send(healthy(32, 10))
    plant.send(stuck[:32])
    assert [a["condition"] for a in plant.alerts()] == ["active", "cleared"]


def test_only_readings_that_lack_something_are_told_as_missing(plant: Plant) -> None:
    plant.send(healthy(2))
    plant.do(missing.refused, plant.baseline_id, "default", WrongEncoding("not UTF-8"))
    assert plant.alerts() == []
    plant.do(missing.refused, plant.baseline_id, "default", CellInvalid("f_3 is no number."))
    assert [a["title"] for a in plant.alerts()] == ["Readings missing"]


def test_a_slow_stream_is_looked_at_without_being_held(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        plant.send(healthy(1), after=40.0)
    held: list[int] = []
    monkeypatch.setattr(stale, "_settle", lambda sessions, stream_id, *_: held.append(stream_id))
    plant.now += dt.timedelta(seconds=100)  # beyond the rule's, within its pace
    stale.look(plant.services.sessions, plant.now)
    assert held == []


def test_bringing_back_from_the_shelf_is_for_all_that_the_rule_raises(plant: Plant) -> None:
    plant.send(failing(8))
    (first,) = plant.alerts()
    until = plant.now + dt.timedelta(hours=8)
    plant.do(acting.shelve, first["id"], until.isoformat())
    plant.send(healthy(2))
    plant.send(failing(8), after=3600.0)
    second = max(plant.alerts(), key=lambda alert: alert["id"])
    assert second["shelved_until"] == until
    plant.do(acting.shelve, second["id"], None)
    assert [a["shelved_until"] for a in plant.alerts()] == [None, None]
    plant.send(healthy(2))
    plant.send(failing(8), after=3600.0)
    assert [a["shelved_until"] for a in plant.alerts()] == [None, None, None]


def test_shelving_an_old_alert_shelves_what_its_rule_raises_next(plant: Plant) -> None:
    plant.send(failing(8))
    plant.send(healthy(2))
    plant.send(failing(8), after=3600.0)
    plant.send(healthy(2))
    old = min(plant.alerts(), key=lambda alert: alert["id"])
    until = plant.now + dt.timedelta(hours=8)
    plant.do(acting.shelve, old["id"], until.isoformat())
    plant.send(failing(8), after=3600.0)
    assert max(plant.alerts(), key=lambda a: a["id"])["shelved_until"] == until
    other = plant.send(failing(8), "other")
    assert other and plant.alerts(stream="other")[0]["shelved_until"] is None


def test_a_baseline_has_one_rule_of_each_kind_about_data(plant: Plant) -> None:
    with pytest.raises(InvalidRequest, match="one rule of kind stale"):
        plant.rule(kind="stale", level=None)
    with plant.services.sessions.begin() as session:
        rules.remove(session, plant.who, plant.rules()["stale"]["id"], now=plant.now)
    assert plant.rule(kind="stale", level=None, seconds=90)["seconds"] == 90


def test_acts_that_race_happen_once(plant: Plant) -> None:
    plant.send(failing(8))
    (alert,) = plant.alerts()
    acts = (acting.acknowledge, acting.resolve, acting.resolve, acting.acknowledge)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda act: plant.do(act, alert["id"]), acts * 2))
    kinds = Counter(event["kind"] for event in plant.alert(alert["id"])["events"])
    assert kinds == {"raised": 1, "acknowledged": 1, "resolved": 1}
    assert plant.told()["told"]["active"] == plant.told()["told"]["unacknowledged"] == 0


def test_an_act_and_a_batch_that_race_leave_counts_that_are_right(plant: Plant) -> None:
    plant.send(failing(8))
    (alert,) = plant.alerts()
    with ThreadPoolExecutor(2) as pool:
        done = pool.submit(plant.do, acting.acknowledge, alert["id"])
        plant.send(healthy(3))
        assert done.result(timeout=10)["acknowledged_at"]
    assert plant.alert(alert["id"])["status"] == "resolved"
    assert plant.told()["told"]["active"] == plant.told()["told"]["unacknowledged"] == 0


# ---- what others hear of an alert that flickers ----


def waits(services: Services) -> list[tuple[str, float]]:
    """Each notice that is to be sent, and in how many seconds."""
    seconds = func.extract("epoch", Notice.due_at - Notice.created_at)
    with services.sessions() as session:
        found = session.execute(select(Notice.event, seconds).order_by(Notice.due_at)).all()
    return [(event, float(wait)) for event, wait in found]


def test_what_flickers_is_told_once_and_its_end_once_it_has_lasted(
    services: Services, plant: Plant
) -> None:
    add_channel(services, plant.who.id, "https://a.example.com")
    for _ in range(4):
        plant.send(failing(6))
        plant.send(healthy(2))
    assert plant.alerts()[0]["times"] == 4
    (raised, cleared) = waits(services)
    assert raised == ("raised", 0.0)
    assert cleared == ("cleared", events.SETTLED.total_seconds())
    assert events.SETTLED.total_seconds() > REJOIN_SECONDS
    plant.send(failing(6))
    assert waits(services) == [("raised", 0.0)]  # it is active, as they were told


def test_an_end_by_hand_is_told_at_once(services: Services, plant: Plant) -> None:
    add_channel(services, plant.who.id, "https://a.example.com")
    plant.send(failing(8))
    resolve_newest(plant)
    told = [(notice.event, notice.due_at <= notice.created_at) for notice in notices(services)]
    assert sorted(told) == [("acknowledged", True), ("cleared", True), ("raised", True)]


def test_what_is_raised_on_the_shelf_is_told_when_that_ends_unless_it_is_over_or_seen(
    services: Services, plant: Plant
) -> None:
    plant.send(failing(8))
    plant.send(healthy(3))
    (first,) = plant.alerts()
    until = plant.now + dt.timedelta(hours=8)
    plant.do(acting.shelve, first["id"], until.isoformat())
    add_channel(services, plant.who.id, "https://a.example.com")
    plant.send(failing(8), after=3600.0)
    hours_left = (until - plant.now).total_seconds()
    assert waits(services) == [("raised", hours_left)]
    plant.send(healthy(3))
    assert waits(services) == []
    plant.send(failing(8))
    assert waits(services) == [("raised", hours_left - 2)]
    second = max(plant.alerts(), key=lambda alert: alert["id"])
    later = plant.now + dt.timedelta(hours=20)
    plant.do(acting.shelve, second["id"], later.isoformat())
    ((event, wait),) = waits(services)
    assert (event, wait) == ("raised", pytest.approx(20 * 3600, abs=60))
    plant.do(acting.shelve, second["id"], None)
    (told,) = notices(services)
    assert told.due_at - told.created_at < dt.timedelta(minutes=1)
    plant.send(healthy(3))
    plant.do(acting.shelve, second["id"], later.isoformat())
    plant.send(failing(8), after=3600.0)
    third = max(plant.alerts(), key=lambda alert: alert["id"])
    assert [n.alert_id for n in notices(services) if n.event == "raised"][1:] == [third["id"]]
    plant.do(acting.acknowledge, third["id"])
    assert [n.alert_id for n in notices(services) if n.event == "raised"] == [second["id"]]


def test_what_flickers_within_a_batch_is_counted_and_not_written_each_time(
    plant: Plant, fitted: maps.Map
) -> None:
    rule = plant.rule(kind="score", level=None, score=1.0, hysteresis=1.0)
    values = healthy(600)
    values[::2] = failing(300)
    values[101], values[300, [2, 9]] = values[100], values[300, [2, 9]] + 30
    began = time.perf_counter()
    plant.send(values)
    took = time.perf_counter() - began
    (mine,) = [alert for alert in plant.alerts() if alert["rule_id"] == rule["id"]]
    scores = fitted.place(values).score
    above = np.concatenate([[False], scores > 1])
    comes = int((above[1:] & ~above[:-1]).sum())
    assert (mine["times"], mine["opened_seq"], mine["condition"]) == (comes, 1, "cleared")
    assert comes > 250
    assert (mine["peak"], mine["peak_seq"]) == (pytest.approx(float(scores[300])), 301)
    assert len(plant.alert(mine["id"])["events"]) <= 2 * raising.MOST_WRITTEN + 2
    assert took < 5  # each time by itself it was 15 s


def test_a_peak_is_the_same_whether_its_batch_was_counted_or_written(plant: Plant) -> None:
    plant.rule(kind="score", level=None, score=1.0, hysteresis=1.0)
    values = healthy(120)
    values[::2] = failing(60)
    plant.send(values, "whole")
    for row in values:
        plant.send(row[None], "ones", after=0.0)
    names = ("title", "times", "peak", "peak_seq", "opened_seq", "cleared_seq", "score", "message")
    whole, ones = (
        sorted(tuple(alert[name] for name in names) for alert in plant.alerts(stream=stream))
        for stream in ("whole", "ones")
    )
    assert whole == ones


def test_another_severity_reaches_what_is_active_and_is_told_where_it_is_higher(
    services: Services, plant: Plant
) -> None:
    plant.send(failing(8))
    rule = plant.rules()["level"]
    add_channel(services, plant.who.id, "https://a.example.com", least_severity="critical")
    plant.change(rule["id"], severity="low")
    plant.change(rule["id"], severity="critical")
    (alert,) = plant.alerts()
    assert (alert["severity"], alert["condition"]) == ("critical", "active")
    happened = [event["kind"] for event in plant.alert(alert["id"])["events"]]
    assert happened == ["raised", "severity_lowered", "severity_raised"]
    assert [notice.event for notice in notices(services)] == ["severity_raised"]
    assert plant.told()["told"]["severity"] == "critical"


def test_a_verdict_that_is_taken_back_takes_its_rows_back(plant: Plant) -> None:
    plant.send(failing(8))
    (alert,) = plant.alerts()
    for verdict, waits_for in (("new_normal", 1), ("real", 0), ("new_normal", 1), (None, 0)):
        plant.do(acting.judge, alert["id"], verdict)
        with plant.services.sessions() as session:
            assert len(candidates.queue(session, plant.who, plant.baseline_id)) == waits_for


def test_another_sensor_that_stands_still_is_named(plant: Plant) -> None:
    stuck = healthy(3 * quality.ROWS)
    stuck[: quality.ROWS, 4] = stuck[0, 4]
    stuck[-quality.ROWS :, 7] = stuck[-1, 7]
    plant.send(stuck)
    (alert,) = plant.alerts(alert_type="data_quality")
    assert (alert["times"], alert["condition"]) == (2, "active")
    assert "f_7" in alert["message"] and "f_4" not in alert["message"]
    again = plant.alert(alert["id"])["events"][-1]
    assert again["kind"] == "raised_again" and "f_7" in again["details"]["message"]


def test_changing_a_rule_that_is_deleted_meanwhile_finds_none(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = plant.rules()["level"]
    revise = rules._revise

    def after_another(session: Any, who: Identity, baseline_id: int) -> None:
        monkeypatch.setattr(rules, "_revise", revise)
        plant.do(rules.remove, rule["id"])
        revise(session, who, baseline_id)

    monkeypatch.setattr(rules, "_revise", after_another)
    with pytest.raises(AlertRuleNotFound):
        plant.change(rule["id"], name="Mine")


def test_the_marks_of_an_epoch_are_its_newest(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_MARKS", 2)
    for _ in range(3):
        plant.send(failing(8), after=700.0)
        plant.send(healthy(3))
    with plant.services.sessions() as session:
        stream_id = session.scalars(select(Stream.id)).one()
        marks = listing.of_epoch(session, stream_id, 1, now=plant.now)
    assert [mark["opened_seq"] for mark in marks] == [16, 27]


def test_a_rule_that_was_renamed_is_one_in_the_figures(plant: Plant) -> None:
    plant.send(failing(8))
    plant.send(healthy(3), after=700.0)
    plant.change(plant.rules()["level"]["id"], name="Bearing")
    plant.send(failing(8), after=700.0)
    with plant.services.sessions() as session:
        begin, end = plant.now - dt.timedelta(days=1), plant.now + dt.timedelta(days=1)
        told = listing.quality(session, plant.who, since=begin, until=end)
    assert [(rule["rule"], rule["alerts"]) for rule in told["rules"]] == [("Bearing", 2)]


def test_a_channel_that_is_switched_off_during_a_batch_hears_nothing_of_it(
    services: Services, plant: Plant
) -> None:
    channel_id = add_channel(services, plant.who.id, "https://a.example.com")
    with services.sessions.begin() as batch:
        sent = Incoming(csv(failing(8)), "batch.csv", "default")
        ingest(batch, plant.who, plant.baseline_id, sent, limits=services.limits, now=plant.now)
        with services.sessions.begin() as session:
            channels.change(session, plant.who, channel_id, {"enabled": False})
    with services.sessions.begin() as session:
        assert notifier.candidates(session, []) == []
        notifier.tidy(session, dt.timedelta(days=1))
    (notice,) = notices(services)
    assert (notice.delivered_at, notice.error) == (None, channels.OFF)


def test_an_active_alert_that_its_stream_has_forgotten_goes_on(plant: Plant) -> None:
    plant.send(failing(8))
    with plant.services.sessions.begin() as session:
        session.scalars(select(Stream)).one().alert_state = {}
    plant.send(failing(8))
    plant.send(healthy(3))
    (alert,) = plant.alerts()
    assert (alert["times"], alert["opened_seq"], alert["cleared_seq"]) == (1, 5, 17)


def test_what_flickers_without_end_is_noted_so_many_times_and_then_counted(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_TIMES", 2)
    seen = []
    for _ in range(4):
        plant.send(failing(6))
        seen.append(plant.told()["told"]["revision"])
        plant.send(healthy(2))
    (alert,) = plant.alerts()
    assert (alert["times"], alert["condition"]) == (4, "cleared")
    kinds = [event["kind"] for event in plant.alert(alert["id"])["events"]]
    assert kinds == ["raised", "cleared", "raised_again", "cleared"]
    assert seen == sorted(set(seen))  # pages hear of each
    plant.do(acting.acknowledge, alert["id"], "the coupling again")
    assert plant.alert(alert["id"])["events"][-1]["kind"] == "acknowledged"
