"""Playing back: an epoch is read as it was recorded, whatever has happened since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from dinsight import (
    diagnosis,
    fitting,
    history,
    maps,
    playback,
    refitting,
    report_card,
    streams,
    tallies,
    work,
    worst,
)
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, EpochNotFound
from dinsight.ingest import Incoming, ingest
from dinsight.models import Alert, Job, Point, Stream
from dinsight.retention import Rules, sweep
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy
from tests.test_api_main_job import Api

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
Send = Callable[..., None]
Ask = Callable[..., Any]


@pytest.fixture
def send(services: Services, user: Identity, baseline_id: int) -> Send:
    """Posts rows as they came so many seconds after `NOW`, in one batch."""

    def post(rows: np.ndarray, after: float = 0) -> None:
        incoming, now = Incoming(csv(rows), "x.csv"), NOW + after * SECOND
        with services.sessions.begin() as session:
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


@pytest.fixture
def ask(services: Services, user: Identity, baseline_id: int) -> Ask:
    """Calls the domain with a session, the user and the stream."""

    def call(function: Callable[..., Any], *args: Any, who: Identity = user, **more: Any) -> Any:
        with services.sessions.begin() as session:
            return function(session, who, baseline_id, "default", *args, **more)

    return call


def reset(ask: Ask, after: float = 0) -> None:
    ask(streams.reset, now=NOW + after * SECOND)


def points(services: Services, epoch: int) -> list[Any]:
    with services.sessions() as session:
        columns = (Point.seq, Point.x, Point.y, Point.score, Point.level, Point.received_at)
        found = select(*columns).where(Point.epoch == epoch).order_by(Point.seq)
        return list(session.execute(found))


def test_an_earlier_epoch_is_read_as_it_was_recorded(
    services: Services, send: Send, ask: Ask
) -> None:
    send(healthy(6))
    send(failing(12), after=60)
    stored = points(services, 1)
    reset(ask, after=90)
    send(healthy(3), after=100)

    found = ask(playback.chunk, 1, first=3, count=10)
    assert (found.first, found.archived, found.stream.epoch) == (3, True, 1)
    rows = zip(found.x, found.y, found.score, found.level, found.at, strict=True)
    assert list(rows) == [
        (row.x, row.y, row.score, row.level, row.received_at.timestamp() * 1000)
        for row in stored[2:12]
    ]
    assert set(found.level.tolist()) == {0, 2}
    now = ask(playback.chunk, None, first=1, count=10)
    assert (len(now.x), now.archived, now.stream.epoch) == (3, False, 2)
    assert len(ask(playback.chunk, 1, first=19, count=5).x) == 0


def test_a_timeline_tells_all_of_an_epoch(services: Services, send: Send, ask: Ask) -> None:
    send(healthy(6))
    send(failing(12), after=60)
    reset(ask, after=90)
    send(healthy(3), after=100)

    told = ask(playback.timeline, 1)
    assert (told["first_seq"], told["last_seq"], told["points"]) == (1, 18, 18)
    assert (told["worst"], told["ended_by"], told["current"]) == ("alarm", "reset", False)
    assert (told["state"], told["more"]) == (None, False)
    assert [(each["title"], each["opened_seq"]) for each in told["alerts"]] == [("Failing", 11)]
    assert told["trend"]["number"] == list(range(18))
    assert told["trend"]["at"][5:7] == [
        NOW.timestamp() * 1000,
        (NOW + 60 * SECOND).timestamp() * 1e3,
    ]
    alarm = told["trend"]["episodes"][-1]
    assert (alarm["level"], alarm["last"]) == (2, 18)
    present = ask(playback.timeline, None)
    assert (present["epoch"], present["last_seq"], present["worst"]) == (2, 3, "healthy")
    assert present["state"] == "streaming"


def test_what_retention_left_of_an_epoch_is_played_back(
    services: Services, send: Send, ask: Ask
) -> None:
    send(failing(12))
    send(healthy(8), after=3600)
    reset(ask, after=4000)
    sweep(services.sessions, Rules(age=dt.timedelta(seconds=1800)), NOW + 4000 * SECOND)

    told = ask(playback.timeline, 1)
    assert (told["first_seq"], told["last_seq"], told["points"]) == (13, 20, 8)
    assert told["trend"]["number"] == list(range(12, 20))
    found = ask(playback.chunk, 1, first=1, count=5_000)
    assert (found.first, len(found.x)) == (13, 8)


def test_each_epoch_has_the_map_that_it_was_placed_on(
    services: Services,
    user: Identity,
    baseline_id: int,
    send: Send,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    made = fitting.Made(fitted, 2.0, report_card.write(fitted))
    monkeypatch.setattr(fitting, "make", lambda *_: made)
    send(healthy(3))
    before = ask(playback.chunk, 1, first=1, count=3)
    with services.sessions.begin() as session:
        refitting.ask(session, user, baseline_id, "mspc")
    with services.sessions.begin() as session:
        job_id = session.scalars(select(Job.id)).one()
        session.execute(update(Job).values(lease="ours"))
    work.perform(services.sessions, job_id, "ours", services.limits)
    send(healthy(3))

    past, now = ask(playback.timeline, 1), ask(playback.timeline, 2)
    assert (past["map"], now["map"], past["ended_by"]) == ("distance", "mspc", "refit")
    assert (past["run"], now["run"]) == (1, 1), "a refit goes on with the run"
    assert past["map_id"] != now["map_id"]
    after = ask(playback.chunk, 1, first=1, count=3)
    assert after.x.tolist() == before.x.tolist() and after.stream.map_id == past["map_id"]
    reset(ask)
    assert ask(playback.timeline, 3)["run"] == 3


def test_the_alarm_limit_of_each_point_is_kept(services: Services, send: Send, ask: Ask) -> None:
    send(healthy(4))
    ask(streams.configure, {"sensitivity_factor": 5})
    ask(streams.configure, {"latest_glow_count": 3})
    send(healthy(4))
    high = ask(streams.find).settings["alarm_limit"]
    reset(ask)
    ask(streams.configure, {"sensitivity_factor": 3})
    usual = ask(streams.find).settings["alarm_limit"]

    assert ask(playback.timeline, 1)["limits"] == [[1, 1.0], [5, high]]
    assert ask(playback.timeline, 1)["limit"] == high
    assert ask(playback.timeline, 2)["limits"] == [[1, usual]]
    explained = [ask(diagnosis.explain, seq, epoch=1)["alarm_limit"] for seq in (4, 5)]
    assert explained == [1.0, high]


def test_alerts_of_an_epoch_stand_on_its_timeline(
    services: Services, baseline_id: int, send: Send, ask: Ask
) -> None:
    send(healthy(9))
    reset(ask)
    with services.sessions.begin() as session:
        stream_id = session.scalars(select(Stream.id)).one()
        for epoch, seq in ((1, 7), (1, 2), (2, 1)):
            session.add(
                Alert(
                    **{"baseline_id": baseline_id, "stream_id": stream_id, "epoch": epoch},
                    **{"rule": {}, "alert_type": "anomaly", "title": f"Alert {seq}"},
                    **{"message": "", "severity": "high", "opened_at": NOW, "opened_seq": seq},
                    **{"cleared_at": NOW, "cleared_seq": seq + 1},
                )
            )
    assert ask(playback.timeline, 1)["alerts"] == [
        {
            **{"id": seq_id, "title": f"Alert {seq}", "severity": "high", "opened_seq": seq},
            **{"alert_type": "anomaly", "cleared_seq": seq + 1, "opened_at": NOW},
            **{"cleared_at": NOW, "acknowledged_at": None},
        }
        for seq_id, seq in ((2, 2), (1, 7))
    ]


def test_the_density_of_a_moment_is_that_of_what_had_come(
    send: Send, ask: Ask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "STEP", 10)
    send(healthy(25))
    send(failing(12), after=60)
    reset(ask)

    def at(seq: int) -> tallies.Tally:
        found, _ = ask(playback.find, 1)
        with services.sessions() as session:
            return tallies.at(session, found, seq)

    for seq in (37, 5, 24, 30, 37):
        assert (at(seq).cells.total, at(seq).upto) == (seq, seq)
    assert at(25).anomalies.tolist() == []
    assert at(37).anomalies[:, 0].max() == 37
    assert at(99).upto == 37


def test_the_worst_level_is_read_a_part_at_a_time(
    services: Services, user: Identity, baseline_id: int, send: Send, ask: Ask
) -> None:
    send(healthy(6))
    send(failing(12), after=60)
    with services.sessions() as session:
        stream_id = session.scalars(select(Stream.id)).one()
        known = [
            worst.Reader(session, most=most).level(stream_id, 1, 1, 18) for most in (4, 4, 0, 50, 0)
        ]
    assert known == [None, None, None, 2, 2]
    with services.sessions() as session:
        listed = history.epochs(session, user, baseline_id, limit=5, offset=0)["sessions"]
    assert [each["worst"] for each in listed] == ["alarm"]


def test_nobody_else_plays_it_back(other: Identity, send: Send, ask: Ask) -> None:
    send(healthy(3))
    for function, more in (
        (playback.chunk, {"first": 1, "count": 5}),
        (playback.timeline, {}),
    ):
        with pytest.raises(BaselineNotFound):
            ask(function, 1, who=other, **more)
        for epoch in (7, 2**40):
            with pytest.raises(EpochNotFound, match="no run"):
                ask(function, epoch, **more)


def test_a_browser_keeps_what_has_ended(
    client: FlaskClient, user: Identity, baseline_id: int, send: Send, ask: Ask
) -> None:
    api = Api(client, user.email)
    send(healthy(6))
    path = f"/streaming/{baseline_id}/playback?epoch=1&count=4"
    present = api("GET", path)
    assert present.headers["Cache-Control"] == "private, no-cache"
    send(healthy(1), after=5)
    reset(ask)
    past = api("GET", path)
    assert (
        "immutable" in past.headers["Cache-Control"] and "private" in past.headers["Cache-Control"]
    )
    assert {"Authorization", "Cookie"} <= {each.strip() for each in past.headers["Vary"].split(",")}
    same = api("GET", path, headers={"If-None-Match": past.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    other_part = api("GET", f"{path}&first=2", headers={"If-None-Match": past.headers["ETag"]})
    assert (other_part.status_code, other_part.json["data"]["first"]) == (200, 2)
    assert len(api("GET", f"/streaming/{baseline_id}/playback?epoch=1").json["data"]["at"]) == 76
