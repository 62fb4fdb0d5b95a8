"""Streams: what a user can do to one, and what its status then says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from dinsight import feed, streams
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
        "last_update": None,
        "latest_glow_count": 10,
        "batch_size": None,
        "delay_seconds": None,
        "rate": None,
        "epoch": 1,
        "last_seq": 0,
        "level": "healthy",
        "score": None,
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
    assert (first.first, len(first.x), first.reset, str(first.cursor)) == (2, 3, False, "1:4")
    send(2)
    second = act(feed.delta, first.cursor, limit=100, now=NOW)
    assert (second.first, len(second.x), str(second.cursor)) == (5, 2, "1:6")
    idle = act(feed.delta, second.cursor, limit=100, now=NOW)
    assert (len(idle.x), str(idle.cursor)) == (0, "1:6")
    act(streams.reset, now=NOW)
    send(6)
    fresh = act(feed.delta, idle.cursor, limit=100, now=NOW)
    assert (fresh.reset, fresh.epoch, fresh.first, len(fresh.x)) == (True, 2, 1, 6)


def test_cells_count_every_point_inside_the_extent(
    services: Services, user: Identity, act: Act, send: Act, baseline_id: int
) -> None:
    send(9)
    with services.sessions() as session:
        row = streams.find(session, user, baseline_id, "default")
        assert feed.cells(session, row, (-1e6, 1e6, -1e6, 1e6), bins=4).sum() == 9
        assert feed.cells(session, row, (1e6, 2e6, 1e6, 2e6), bins=4).sum() == 0
