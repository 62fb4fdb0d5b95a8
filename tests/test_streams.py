"""Streams: what a user can do to one, and what its status then says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest

from dinsight import feed, maps, streams
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, InvalidRequest
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from dinsight.status import status
from tests.factories import csv, healthy

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
Act = Callable[..., Any]


@pytest.fixture
def act(services: Services, user: Identity, baseline_id: int) -> Act:
    """Calls a function of the domain on the user's default stream."""

    def call(function: Callable[..., Any], *args: Any, who: Identity = user, **more: Any) -> Any:
        with services.sessions.begin() as session:
            return function(session, who, baseline_id, "default", *args, **more)

    return call


@pytest.fixture
def send(services: Services, user: Identity, baseline_id: int) -> Act:
    def post(rows: int, now: dt.datetime = NOW) -> dict[str, Any]:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(healthy(rows)), "batch.csv")
            return ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


def test_a_stream_that_nothing_was_sent_to_has_not_started(act: Act, baseline_id: int) -> None:
    assert act(status, now=NOW) == {
        "baseline_id": baseline_id,
        "stream": "default",
        "status": "not_started",
        "is_streaming": False,
        "is_active": False,
        "stale": False,
        "streamed_points": 0,
        "total_points": None,
        "progress_percentage": None,
        "baseline_points": 120,
        "version": 1,
        "last_update": None,
        "latest_glow_count": 10,
        "batch_size": None,
        "delay_seconds": None,
        "rate": None,
        "epoch": 1,
        "run_epoch": 1,
        "carried_points": 0,
        "map_id": 1,
        "last_seq": 0,
        "level": "healthy",
        "level_since": None,
        "score": None,
        "alerts": {
            **{"active": 0, "unacknowledged": 0, "open": 0},
            **{"severity": None, "revision": 0},
        },
        "sensitivity_factor": 3.0,
        "areas_revision": "",
        "alarm_limit": 1.0,
        "false_alarms_per_day": ANY,
    }


def test_progress_counts_against_the_declared_total_and_ends_completed(act: Act, send: Act) -> None:
    act(streams.configure, {"total_points": 8, "latest_glow_count": 5, "delay_seconds": 0.5})
    send(2)
    halfway = act(status, now=NOW)
    assert (halfway["status"], halfway["progress_percentage"]) == ("streaming", 25.0)
    assert (halfway["latest_glow_count"], halfway["delay_seconds"]) == (5, 0.5)
    send(6)
    assert act(status, now=NOW)["status"] == "completed"


def test_without_a_total_there_is_no_percentage(act: Act, send: Act) -> None:
    send(2)
    assert act(status, now=NOW)["total_points"] is None
    assert act(status, now=NOW)["progress_percentage"] is None


def test_a_stream_is_active_as_long_as_its_pace_explains_the_silence(act: Act, send: Act) -> None:
    send(1, NOW)
    assert act(status, now=NOW + 5 * SECOND)["is_active"]
    late = act(status, now=NOW + 6 * SECOND)
    assert (late["is_active"], late["stale"]) == (False, True)
    send(1, NOW + 10 * SECOND)
    send(1, NOW + 20 * SECOND)
    assert act(status, now=NOW + 50 * SECOND)["is_active"]
    assert not act(status, now=NOW + 51 * SECOND)["is_active"]
    act(streams.configure, {"delay_seconds": 60})
    assert act(status, now=NOW + 200 * SECOND)["is_active"]


def test_the_rate_counts_points_not_batches(act: Act, send: Act) -> None:
    for batch in range(4):
        send(5, NOW + batch * 2 * SECOND)
    assert act(status, now=NOW)["rate"] == pytest.approx(2.5)


def test_senders_are_told_to_hold_and_stop_but_never_refused(act: Act, send: Act) -> None:
    send(1)
    act(streams.control, "pause")
    assert (send(1)["control"], act(status, now=NOW)["status"]) == ("hold", "paused")
    act(streams.control, "resume")
    assert (send(1)["control"], act(status, now=NOW)["status"]) == ("run", "streaming")
    act(streams.control, "stop")
    assert (send(1)["control"], act(status, now=NOW)["status"]) == ("stop", "stopped")
    act(streams.control, "start")
    assert (send(1)["control"], act(status, now=NOW)["streamed_points"]) == ("run", 5)


def test_an_ended_stream_cannot_be_paused(act: Act, send: Act) -> None:
    send(1)
    act(streams.control, "complete")
    assert act(streams.control, "pause")["status"] == "completed"


def test_an_unknown_action_is_refused_with_the_known_ones(act: Act) -> None:
    with pytest.raises(InvalidRequest, match="start, resume, pause, stop, complete"):
        act(streams.control, "halt")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("latest_glow_count", -1),
        ("latest_glow_count", 1.5),
        ("batch_size", 0),
        ("batch_size", True),
        ("delay_seconds", "fast"),
        ("total_points", -3),
        ("total_points", "many"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(act: Act, field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=field):
        act(streams.configure, {field: value})


def test_a_reset_forgets_points_but_keeps_the_baseline(act: Act, send: Act) -> None:
    send(7)
    act(streams.configure, {"total_points": 9, "latest_glow_count": 3})
    assert act(streams.reset, now=NOW) == {"deleted_points": 7, "epoch": 2, "stream": "default"}
    after = act(status, now=NOW)
    assert (after["status"], after["streamed_points"], after["epoch"]) == ("not_started", 0, 2)
    assert (after["total_points"], after["latest_glow_count"]) == (None, 3)
    assert after["baseline_points"] == 120
    assert act(feed.latest, limit=10, offset=0)["points"] == []
    assert send(1)["first_seq"] == 1


def test_a_stream_is_made_by_writing_to_it_not_by_asking(
    services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        unknown = status(session, user, baseline_id, "night", now=NOW)
        assert (unknown["status"], unknown["stream"]) == ("not_started", "night")
        assert feed.latest(session, user, baseline_id, "night", limit=1, offset=0)["total"] == 0
        assert streams.names(session, user, baseline_id) == ["default"]
        streams.configure(session, user, baseline_id, "night", {"total_points": 4})
        assert status(session, user, baseline_id, "night", now=NOW)["total_points"] == 4
        assert streams.names(session, user, baseline_id) == ["default", "night"]


def test_another_users_stream_is_not_there(act: Act, other: Identity) -> None:
    for function, more in (
        (status, {"now": NOW}),
        (streams.reset, {"now": NOW}),
        (feed.latest, {"limit": 1, "offset": 0}),
    ):
        with pytest.raises(BaselineNotFound):
            act(function, who=other, **more)
    with pytest.raises(BaselineNotFound):
        act(streams.control, "stop", who=other)
    with pytest.raises(BaselineNotFound):
        act(streams.configure, {"total_points": 1}, who=other)


def test_latest_gives_the_newest_first_in_pages(act: Act, send: Act) -> None:
    send(5)
    page = act(feed.latest, limit=2, offset=0)
    assert [point["seq"] for point in page["points"]] == [5, 4]
    assert (page["total"], page["next"]) == (5, 2)
    last = act(feed.latest, limit=2, offset=4)
    assert ([point["seq"] for point in last["points"]], last["next"]) == ([1], None)


def test_a_cursor_reads_on_without_gap_or_repeat(act: Act, send: Act) -> None:
    send(5)
    page = act(feed.after, feed.Cursor(1, 0), limit=3)
    assert ([p["seq"] for p in page["points"]], page["next"]) == ([1, 2, 3], "1:3")
    page = act(feed.after, feed.Cursor.parse(page["next"]), limit=3)
    assert ([p["seq"] for p in page["points"]], page["next"]) == ([4, 5], "1:5")
    page = act(feed.after, feed.Cursor.parse(page["next"]), limit=3)
    assert (page["points"], page["next"]) == ([], "1:5")


@pytest.mark.parametrize("text", ["", "1", "1:", "a:b", "1:2:3", "-1:2", "1:²", "9" * 40 + ":1"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="epoch:seq"):
        feed.Cursor.parse(text)


def test_a_delta_carries_what_came_since_and_says_when_the_epoch_changed(
    act: Act, send: Act
) -> None:
    send(4)
    first = act(feed.delta, None, limit=3, now=NOW)
    assert (first.first, len(first.x), str(first.cursor)) == (2, 3, "1:4")
    send(2)
    second = act(feed.delta, first.cursor, limit=100, now=NOW)
    assert (second.first, len(second.x), str(second.cursor)) == (5, 2, "1:6")
    idle = act(feed.delta, second.cursor, limit=100, now=NOW)
    assert (len(idle.x), str(idle.cursor)) == (0, "1:6")
    act(streams.reset, now=NOW)
    send(6)
    fresh = act(feed.delta, idle.cursor, limit=100, now=NOW)
    assert (fresh.epoch, fresh.first, len(fresh.x)) == (2, 1, 6)


# ---- sensitivity ----


def test_new_points_are_judged_with_the_sensitivity_that_is_set(
    services: Services, act: Act, user: Identity, baseline_id: int, fitted: maps.Map
) -> None:
    rows = healthy(400, seed=61)
    score = fitted.place(rows).score
    between = rows[(score > fitted.limit_at(5.0)) & (score < 0.999)]
    assert len(between) >= 5

    def post() -> dict[str, Any]:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(between[:5]), "batch.csv")
            return ingest(session, user, baseline_id, incoming, limits=services.limits, now=NOW)

    assert (post()["anomalies"], act(status, now=NOW)["level"]) == (0, "healthy")
    set_ = act(streams.configure, {"sensitivity_factor": 5})
    assert (set_["sensitivity_factor"], set_["alarm_limit"]) == (5.0, fitted.limit_at(5.0))
    answer = post()
    assert (answer["anomalies"], answer["level"]) == (5, "alarm")
    levels = [point["level"] for point in act(feed.latest, limit=10, offset=0)["points"]]
    assert (levels[0], set(levels[5:])) == ("alarm", {"healthy"})


def test_status_says_how_sensitive_a_stream_is_and_what_that_costs(
    act: Act, send: Act, fitted: maps.Map
) -> None:
    def expected(factor: float, rate: float) -> dict[str, Any]:
        found = fitted.false_alarms(fitted.limit_at(factor), rate)
        values = {"expected": found.per_day, "low": found.low, "high": found.high}
        return {"rows_per_second": rate, **values}

    def told() -> dict[str, Any]:
        now: dict[str, Any] = act(status, now=NOW)
        return now

    usual = told()
    assert (usual["sensitivity_factor"], usual["alarm_limit"]) == (3.0, 1.0)
    assert usual["false_alarms_per_day"] == pytest.approx(expected(3, 1.0))
    act(streams.configure, {"sensitivity_factor": 4.5, "batch_size": 10, "delay_seconds": 5})
    after = told()
    assert after["alarm_limit"] == fitted.limit_at(4.5) < 1.0
    assert after["false_alarms_per_day"] == pytest.approx(expected(4.5, 2.0))
    for batch in range(3):
        send(8, NOW + batch * SECOND)
    assert told()["false_alarms_per_day"] == pytest.approx(expected(4.5, 8.0))
    act(streams.configure, {"sensitivity_factor": 3})
    assert told()["alarm_limit"] == 1.0


def test_sensitivity_can_be_set_by_the_false_alarms_that_it_costs(
    act: Act, fitted: maps.Map
) -> None:
    wish = fitted.false_alarms(fitted.limit_at(4.2), 1.0).per_day
    set_ = act(streams.configure, {"false_alarms_per_day": wish})
    assert set_["sensitivity_factor"] == pytest.approx(4.2, abs=0.1)
    assert "cost" not in set_
    told = act(status, now=NOW)["false_alarms_per_day"]
    assert told["expected"] == pytest.approx(wish, rel=0.1)
    assert told["low"] <= told["expected"] <= told["high"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"sensitivity_factor": 0.4}, "sensitivity_factor must be a number from 0.5 to 5"),
        ({"sensitivity_factor": 5.1}, "sensitivity_factor must be a number from 0.5 to 5"),
        ({"sensitivity_factor": True}, "sensitivity_factor"),
        ({"sensitivity_factor": "high"}, "sensitivity_factor"),
        ({"false_alarms_per_day": 0}, "false_alarms_per_day must be a number above 0"),
        ({"false_alarms_per_day": [1]}, "false_alarms_per_day"),
        ({"false_alarms_per_day": 1e6}, "can be set from about"),
        ({"false_alarms_per_day": 1e-30}, "can be set from about"),
        ({"false_alarms_per_day": 1, "sensitivity_factor": 3}, "not both"),
    ],
)
def test_a_sensitivity_that_cannot_be_had_is_refused(
    act: Act, wanted: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        act(streams.configure, wanted)
    assert act(status, now=NOW)["sensitivity_factor"] == 3.0
