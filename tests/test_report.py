"""The report of a stream or an alert: what it says, how it is drawn, and who may see it."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from api import display_door
from dinsight import displays, report, streams, trend
from dinsight.accounts import Identity
from dinsight.cells import count, lattice_of, none
from dinsight.errors import AlertNotFound, BaselineNotFound, EpochNotFound
from dinsight.ingest import Incoming, ingest
from dinsight.models import Alert, AlertEvent, Point, Stream
from dinsight.services import Services
from dinsight.trend import Buckets, Episode, Trend
from layouts import report as layout
from layouts.report_svg import HIGH, SIDE, Up, frame, map_svg, trend_svg
from tests.factories import csv, failing, healthy
from tests.test_callbacks import Browser

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def send(services: Services, who: Identity, baseline_id: int, values: Any, minutes: float) -> None:
    with services.sessions.begin() as session:
        ingest(
            *(session, who, baseline_id, Incoming(csv(values), "night.csv")),
            limits=services.limits,
            now=NOW + minutes * MINUTE,
        )


@pytest.fixture
def run(services: Services, user: Identity, baseline_id: int) -> None:
    """A machine that fails after forty healthy rows."""
    send(services, user, baseline_id, healthy(40), 0)
    send(services, user, baseline_id, failing(20), 5)


@pytest.fixture
def alert_id(run: None, services: Services, user: Identity, baseline_id: int) -> int:
    with services.sessions.begin() as session:
        stream = session.scalars(select(Stream).where(Stream.baseline_id == baseline_id)).one()
        alert = Alert(
            baseline_id=baseline_id,
            stream_id=stream.id,
            epoch=1,
            rule={"name": "Alarm level"},
            alert_type="anomaly",
            title="Alarm on <Pump 7>",
            message="It is at alarm.",
            severity="high",
            score=9.0,
            peak=12.0,
            peak_seq=45,
            opened_at=NOW + 5 * MINUTE,
            opened_seq=43,
            note="bearing looked at",
        )
        session.add(alert)
        session.flush()
        events = (("raised", None, {}), ("acknowledged", user.id, {"note": "bearing <looked> at"}))
        for minutes, (kind, who, details) in enumerate(events, 5):
            at = NOW + minutes * MINUTE
            session.add(
                AlertEvent(alert_id=alert.id, at=at, kind=kind, user_id=who, details=details)
            )
        return alert.id


def of_stream(services: Services, who: Identity, baseline_id: int, **more: Any) -> report.Report:
    with services.sessions() as session:
        return report.of_stream(session, who, baseline_id, "default", **more)


# --- what it says ---


def test_a_report_tells_state_since_when_and_what_drives_it(
    run: None, services: Services, user: Identity, baseline_id: int
) -> None:
    found = of_stream(services, user, baseline_id)
    with services.sessions() as session:
        last = session.scalars(select(Point).order_by(Point.seq.desc())).first()
    assert last is not None
    assert found.shown == report.Shown(60, last.received_at, last.x, last.y, last.score, "alarm")
    assert found.since == NOW + 5 * MINUTE
    assert (found.points, found.current, found.counted.total) == (60, True, 60)
    assert found.newest.tolist()[-1] == [last.x, last.y]
    assert found.drivers is not None
    assert {band["label"] for band in found.drivers["bands"]} >= {"f_2", "f_9"}
    page = layout.page(found, "Ada", NOW)
    for words in (
        *("Failing", "2026-06-01 12:05:00 UTC", "60 since", "Printed by Ada"),
        *("times the alarm limit, associated with", "False alarms to expect"),
    ):
        assert words in page
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|javascript:", page)


def test_a_report_of_an_empty_stream_says_so(
    services: Services, user: Identity, baseline_id: int
) -> None:
    found = of_stream(services, user, baseline_id)
    assert (found.shown, found.since, found.points) == (None, None, 0)
    page = layout.page(found, "Ada", NOW)
    assert "Unknown" in page
    assert "No points yet." in page


def test_a_long_history_is_read_to_its_end(
    run: None,
    services: Services,
    user: Identity,
    baseline_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trend.of_stream
    monkeypatch.setattr(trend, "of_stream", lambda s, stream: whole(s, stream, most=25))
    found = of_stream(services, user, baseline_id)
    assert found.points == 60
    assert found.drivers is not None


def test_an_earlier_epoch_is_judged_by_the_limit_of_then(
    services: Services, user: Identity, baseline_id: int
) -> None:
    def configure(factor: float) -> float:
        with services.sessions.begin() as session:
            wish = {"sensitivity_factor": factor}
            told = streams.configure(session, user, baseline_id, "default", wish)
        return float(told["alarm_limit"])

    send(services, user, baseline_id, healthy(4), 0)
    then = configure(5)
    send(services, user, baseline_id, failing(20), 5)
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW)
    assert configure(1) != then
    assert of_stream(services, user, baseline_id, epoch=1).limit == then


def test_a_healthy_machine_has_no_drivers(
    services: Services, user: Identity, baseline_id: int
) -> None:
    send(services, user, baseline_id, healthy(5), 0)
    found = of_stream(services, user, baseline_id)
    assert found.drivers is None
    assert "nothing drives it" in layout.page(found, "Ada", NOW)


def test_an_earlier_epoch_is_reported_as_it_was(
    run: None, services: Services, user: Identity, baseline_id: int
) -> None:
    before = of_stream(services, user, baseline_id)
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW + 9 * MINUTE)
    send(services, user, baseline_id, healthy(3), 10)
    then = of_stream(services, user, baseline_id, epoch=1)
    assert (then.shown, then.points, then.current) == (before.shown, 60, False)
    assert then.trend == before.trend or then.trend.last == 60
    assert "an earlier run" in layout.page(then, "Ada", NOW)
    assert of_stream(services, user, baseline_id).points == 3
    for epoch in (0, 7, 10**12):
        with pytest.raises(EpochNotFound):
            of_stream(services, user, baseline_id, epoch=epoch)


def test_an_alert_is_reported_as_it_began_with_all_that_happened(
    alert_id: int, services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions() as session:
        found = report.of_alert(session, user, baseline_id, alert_id)
        page = layout.page(found, "Ada", NOW)
    assert found.shown is not None
    assert (found.shown.seq, found.since) == (43, NOW + 5 * MINUTE)
    assert [(event.kind, event.who) for event in found.events] == [
        ("raised", ""),
        ("acknowledged", "ada@example.com"),
    ]
    assert "Alarm on &lt;Pump 7&gt;" in page
    assert "bearing &lt;looked&gt; at" in page
    assert 'class="marked"' in page
    assert 'class="mark"' in page
    whole = of_stream(services, user, baseline_id)
    assert "Alert: Alarm on &lt;Pump 7&gt;" in layout.page(whole, "Ada", NOW)


def test_readings_that_are_gone_leave_a_sentence(
    run: None, services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        for point in session.scalars(select(Point)):
            point.features = None
    found = of_stream(services, user, baseline_id)
    assert found.drivers is None
    assert "can no longer be explained" in layout.page(found, "Ada", NOW)


# --- whose it is ---


def test_anothers_report_is_not_there(
    alert_id: int, services: Services, user: Identity, other: Identity, baseline_id: int
) -> None:
    with pytest.raises(BaselineNotFound):
        of_stream(services, other, baseline_id)
    with services.sessions() as session:
        for who, number in ((other, alert_id), (user, alert_id + 1), (user, 10**30)):
            with pytest.raises(AlertNotFound):
                report.of_alert(session, who, baseline_id, number)


def test_the_page_is_for_the_signed_in_and_for_no_wall_screen(
    alert_id: int,
    client: FlaskClient,
    services: Services,
    user: Identity,
    other: Identity,
    baseline_id: int,
) -> None:
    path = f"/dashboard/report?baseline_id={baseline_id}"
    assert client.get(path).status_code == 302
    ada, eve = (Browser(client.application.test_client()) for _ in range(2))
    ada.sign_in(user.email)
    eve.sign_in(other.email)
    answer = ada.client.get(path)
    assert answer.status_code == 200
    assert "unsafe-eval" not in answer.headers["Content-Security-Policy"]
    assert "Pump 7" in answer.text
    assert "Alert report" in ada.client.get(f"{path}&alert={alert_id}").text
    for asked in (path, f"{path}&alert={alert_id}"):
        refused = eve.client.get(asked)
        assert refused.status_code == 404
        assert "Pump 7" not in refused.text
    for more in ("&epoch=9", "&epoch=x", "&alert=x", "&stream=none"):
        assert ada.client.get(path + more).status_code == 404
    assert ada.client.get("/dashboard/report").status_code == 404
    with services.sessions.begin() as session:
        _, token = displays.make(session, user, baseline_id, name="wall", stream="default")
    screen = client.application.test_client()
    screen.set_cookie(display_door.COOKIE, token)
    assert screen.get(path).status_code == 302


# --- how it is drawn ---


def test_the_map_shows_what_is_marked_wherever_it_is() -> None:
    places = healthy(50)[:, :2].astype(np.float64)
    counted = count(none(lattice_of(places)), places[:, 0] + 40, places[:, 1], np.ones(50, bool))
    far = (500.0, -300.0)
    on = frame(places, counted, [far])
    for x, y in [*places.tolist(), far]:
        assert 0 <= on.x(x) <= SIDE
        assert 0 <= on.y(y) <= SIDE
    assert on.y(10.0) < on.y(5.0)
    drawn = ET.fromstring(map_svg(places, counted, places[-3:], far))
    kinds = [e.get("class") for e in drawn if e.tag.endswith("circle")]
    assert kinds[-4:] == ["newest"] * 3 + ["marked"]
    assert set(kinds[:-4]) == {"baseline", "monitor anomalous"}
    many = np.random.default_rng(1).uniform(0, 10, (20_000, 2))
    crowd = count(none(lattice_of(places)), many[:, 0], many[:, 1], np.zeros(20_000, bool))
    assert "<image" in map_svg(places, crowd, places[-3:])


def test_the_trend_shows_scores_limits_and_episodes_to_scale() -> None:
    buckets = Buckets.of([(n, 0.1, 0.2 + n, n + 1, min(n, 2), 1e9 + n) for n in range(4)])
    episode = Episode(2, 3, 4, NOW, NOW + MINUTE, 3.2, 4)
    found = Trend(1, 4, 1, buckets, (episode,))
    drawn = ET.fromstring(trend_svg(found, 1.0, 0.5, marked=3))
    kinds = [element.get("class") or "" for element in drawn]
    assert kinds.count("episode alarm") == 1
    assert sum(kind.startswith("score") for kind in kinds) == 4
    assert {"limit alarm", "limit warning", "mark"} <= set(kinds)
    up = Up.around(found, 1.0, 0.5)
    assert up(3.2) == pytest.approx(0, abs=1e-3)
    assert up(float(np.float32(0.1))) == pytest.approx(HIGH)
    assert HIGH > up(0.5) > up(1.0) > 0
    assert up(0.0) == up(1e-9) == HIGH
    assert trend_svg(Trend(1, 0), 1.0, 0.5) == ""
